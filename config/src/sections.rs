//! The sections of the configuration, with their defaults.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use serde::Deserialize;

use crate::network::Network;
use crate::origin::Origin;
use crate::webhooks::{NotifySubscriber, Webhooks};

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where it listens.
    pub listen: Listen,
    /// Where it keeps its data.
    pub data: Data,
    /// Its certificates.
    pub tls: Tls,
    /// Who may connect.
    pub auth: Auth,
    /// Bounds of connections.
    pub limits: Limits,
    /// Figures for clients.
    pub sys: Sys,
    /// Figures for monitoring.
    pub metrics: Metrics,
    /// The durable log and the tables.
    pub store: Store,
    /// The rule scripts.
    pub rules: Rules,
    /// What it logs.
    pub log: Log,
}

/// Where it listens; an empty list turns a listener off.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// MQTT over TCP.
    pub mqtt: Vec<SocketAddr>,
    /// MQTT over TLS.
    pub mqtts: Vec<SocketAddr>,
    /// Pages, HTTP and MQTT over WebSocket.
    pub http: Vec<SocketAddr>,
    /// The same over TLS.
    pub https: Vec<SocketAddr>,
    /// MQTT over unix sockets.
    pub mqtt_unix: Vec<PathBuf>,
    /// Origins whose pages may open a WebSocket, besides this server's own.
    pub origins: Vec<Origin>,
    /// After so long without traffic a WebSocket is sent a ping; 0 for never.
    pub websocket_ping_seconds: u64,
    /// Proxies whose word is taken for a client's address.
    pub trusted_proxies: Vec<Network>,
    /// Listeners on which trusted proxies begin each connection with a header of the PROXY protocol, version 2.
    pub proxy_protocol: Vec<ListenerKind>,
    /// The header in which trusted proxies say a client's address to the HTTP listeners.
    pub forwarded_header: ForwardedHeader,
}

/// A kind of listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListenerKind {
    /// Pages, HTTP and MQTT over WebSocket.
    Http,
    /// The same over TLS.
    Https,
    /// MQTT over TCP.
    Mqtt,
    /// MQTT over TLS.
    Mqtts,
}

/// A header that names a client's address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedHeader {
    /// `Forwarded: for=…` (RFC 7239).
    Forwarded,
    /// `X-Forwarded-For: …`
    #[default]
    XForwardedFor,
}

impl Default for Listen {
    fn default() -> Self {
        let loopback = |port| {
            vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port)), SocketAddr::from((Ipv6Addr::LOCALHOST, port))]
        };
        Listen {
            mqtt: loopback(1883),
            mqtts: loopback(8883),
            http: loopback(8080),
            https: loopback(8443),
            mqtt_unix: Vec::new(),
            origins: Vec::new(),
            websocket_ping_seconds: 30,
            trusted_proxies: Vec::new(),
            proxy_protocol: Vec::new(),
            forwarded_header: ForwardedHeader::default(),
        }
    }
}

/// Where it keeps its data.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Data {
    /// The folder; it is made if it is not there.
    pub directory: PathBuf,
}

impl Default for Data {
    fn default() -> Self {
        Data { directory: PathBuf::from("pointsman-data") }
    }
}

/// Its certificates; without, a local authority and a certificate are made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// PEM: the certificate and those that lead to its root.
    pub certificate: Option<PathBuf>,
    /// PEM: the private key.
    pub key: Option<PathBuf>,
}

/// Who may connect.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// Whether a client without a user name may connect.
    pub guests: bool,
    /// The policy of guests; the bundled one if none is named.
    pub guest_policy: Option<PathBuf>,
}

impl Default for Auth {
    fn default() -> Self {
        Auth { guests: true, guest_policy: None }
    }
}

/// Bounds of connections.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections at a time, counted from the moment they are accepted.
    pub connections_max: usize,
    /// Connections that one address (of IPv6: one /64) may open in a second.
    pub connects_per_address_per_second: u32,
    /// How long ending the server may take, for clients to be told and for what is under way to finish.
    pub drain_seconds: u64,
    /// From a connection's first byte to the end of its CONNECT, handshakes included.
    pub connect_timeout_seconds: u64,
    /// The largest packet taken.
    pub packet_bytes_max: usize,
    /// Subscriptions of one connection.
    pub subscriptions_max: usize,
    /// Levels of a topic or filter.
    pub topic_levels_max: usize,
    /// Bytes of a client id.
    pub client_id_bytes_max: usize,
    /// Publishes sent to a client and not yet acknowledged.
    pub inflight_max: u16,
    /// Topic aliases that a client may set.
    pub topic_alias_max: u16,
    /// The longest keep-alive that an MQTT 5 client may have; 0 for any.
    pub keep_alive_max_seconds: u16,
    /// Messages that may wait for one client.
    pub outbox_messages_max: usize,
    /// Bytes that may wait for one client.
    pub outbox_bytes_max: usize,
    /// Publishes of QoS 2 that a client may have under way (the receive maximum).
    pub receive_max: u16,
    /// Messages that one client may publish in a second; 0 for any number.
    pub publish_messages_per_second: u64,
    /// Bytes that one client may publish in a second; 0 for any number.
    pub publish_bytes_per_second: u64,
    /// Sessions that outlive their connections.
    pub sessions_max: usize,
    /// The longest that a session outlives its connection.
    pub session_expiry_max_seconds: u32,
    /// Bytes by which a reader of the spine may be behind before publishers wait.
    pub spine_bytes_max: usize,
    /// Retained messages in total.
    pub retained_messages_max: usize,
    /// Bytes of all retained messages.
    pub retained_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections_max: 100_000,
            connects_per_address_per_second: 10_000,
            drain_seconds: 10,
            connect_timeout_seconds: 10,
            packet_bytes_max: 1024 * 1024,
            subscriptions_max: 100,
            topic_levels_max: 32,
            client_id_bytes_max: 256,
            inflight_max: 1024,
            topic_alias_max: 32,
            keep_alive_max_seconds: 0,
            outbox_messages_max: 100_000,
            outbox_bytes_max: 16 * 1024 * 1024,
            receive_max: 1024,
            publish_messages_per_second: 1_000_000,
            publish_bytes_per_second: 256 * 1024 * 1024,
            sessions_max: 100_000,
            session_expiry_max_seconds: 7 * 24 * 3600,
            spine_bytes_max: 8 * 1024 * 1024,
            retained_messages_max: 100_000,
            retained_bytes_max: 64 * 1024 * 1024,
        }
    }
}

/// Figures for clients.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sys {
    /// How often the topics under `$SYS/broker` are published; 0 for never.
    pub interval_seconds: u64,
}

impl Default for Sys {
    fn default() -> Self {
        Sys { interval_seconds: 10 }
    }
}

/// Who may read figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Readers {
    /// The operator.
    Admin,
    /// The operator, and whoever asks from this machine.
    #[default]
    Loopback,
}

/// Figures for monitoring.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// Who may read `/metrics`.
    pub allow: Readers,
}

/// When an acknowledgement may leave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// After a sync of its own.
    EveryWrite,
    /// After a sync that all who wait share.
    #[default]
    Group,
    /// At once; a sync follows every second.
    Interval,
}

/// The durable log and the tables.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// When an acknowledgement may leave.
    pub durability: Durability,
    /// The size of a file of the log.
    pub segment_mib: u64,
    /// The size of all files of the log.
    pub log_mib_max: u64,
    /// How long the log is kept.
    pub log_hours_max: u64,
    /// What the tables may keep in memory.
    pub cache_mib: u64,
}

impl Default for Store {
    fn default() -> Self {
        Store {
            durability: Durability::Group,
            segment_mib: 64,
            log_mib_max: 1024,
            log_hours_max: 168,
            cache_mib: 32,
        }
    }
}

/// The rule scripts.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// The folder of the scripts; if it is not there, the bundled ones are put into the data folder and used.
    pub directory: PathBuf,
    /// Steps of one run.
    pub operations_max: u64,
    /// Wall clock of one run.
    pub run_time_max_ms: u64,
    /// Bytes of memory that one run holds at a time.
    pub run_memory_bytes_max: usize,
    /// Bytes of text in one value of a script: of a text, or of all in an array or map.
    pub string_bytes_max: usize,
    /// Items of one array in a script.
    pub array_len_max: usize,
    /// Members of one map in a script.
    pub map_len_max: usize,
    /// Effects of one run.
    pub effects_max: usize,
    /// Bytes of all payloads, values and log lines of one run.
    pub effect_bytes_max: usize,
    /// Depth of function calls, at most 64.
    pub call_depth_max: usize,
    /// Nesting of one expression in the source.
    pub expression_depth_max: usize,
    /// Variables in scope of one function.
    pub variables_max: usize,
    /// Bytes of a rule's source.
    pub script_bytes_max: usize,
    /// Bytes of a text that is parsed as JSON.
    pub payload_bytes_max: usize,
    /// Bytes that one run reads from tables.
    pub read_bytes_max: usize,
    /// Rows of one query.
    pub query_rows_max: usize,
    /// Bytes of a part of a table's key.
    pub key_bytes_max: usize,
    /// Events that may wait for one worker.
    pub queue_events_max: usize,
    /// Runs in a row that may overrun or fail by a limit before a rule is suspended.
    pub overruns_max: u32,
    /// Leaderboards, those of closed periods included.
    pub boards_max: usize,
    /// Members of one leaderboard.
    pub board_members_max: usize,
    /// Members of all leaderboards.
    pub board_members_total_max: usize,
    /// Bytes of a member's name.
    pub board_member_bytes_max: usize,
    /// Messages that are put aside for suspended rules; what comes then goes to the dead letters.
    pub parked_messages_max: usize,
    /// Versions kept of each rule.
    pub versions_max: usize,
    /// Bytes of all versions kept of one rule.
    pub versions_bytes_max: usize,
    /// Events kept on which rules failed.
    pub dead_letters_max: usize,
    /// Bytes of all events kept on which rules failed.
    pub dead_letters_bytes_max: usize,
    /// One message in so many is kept to be explained; zero for none.
    pub explain_sample: u64,
    /// Messages kept to be explained.
    pub explain_kept_max: usize,
    /// Bytes of all messages kept to be explained.
    pub explain_kept_bytes_max: usize,
    /// Requests that rules send to web servers.
    pub webhooks: Webhooks,
    /// Web servers that are told of notifications.
    pub notify: Vec<NotifySubscriber>,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            directory: PathBuf::from("config/rules"),
            operations_max: 20_000,
            run_time_max_ms: 50,
            run_memory_bytes_max: 32 * 1024 * 1024,
            string_bytes_max: 16 * 1024,
            array_len_max: 2_000,
            map_len_max: 2_000,
            effects_max: 100,
            effect_bytes_max: 1024 * 1024,
            call_depth_max: 32,
            expression_depth_max: 64,
            variables_max: 128,
            script_bytes_max: 256 * 1024,
            payload_bytes_max: 256 * 1024,
            read_bytes_max: 4 * 1024 * 1024,
            query_rows_max: 1_000,
            key_bytes_max: 1_024,
            queue_events_max: 10_000,
            overruns_max: 5,
            boards_max: 10_000,
            board_members_max: 1_000_000,
            board_members_total_max: 4_000_000,
            board_member_bytes_max: 256,
            parked_messages_max: 1_000_000,
            versions_max: 50,
            versions_bytes_max: 4 * 1024 * 1024,
            dead_letters_max: 10_000,
            dead_letters_bytes_max: 64 * 1024 * 1024,
            explain_sample: 1_000,
            explain_kept_max: 1_000,
            explain_kept_bytes_max: 8 * 1024 * 1024,
            webhooks: Webhooks::default(),
            notify: Vec::new(),
        }
    }
}

/// What it logs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// A level (`error`, `warn`, `info`, `debug`, `trace`) or a filter such as `info,pointsman::mqtt=debug`.
    pub filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Log { filter: "info".to_owned() }
    }
}
