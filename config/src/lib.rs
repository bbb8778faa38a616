//! The configuration of Pointsman: one typed struct for each section, read from TOML and checked as a whole.
//!
//! Every value has a default, so that no file is needed; `default.toml` beside this crate says them all with what
//! they mean. Sources are passed in: nothing here looks at the environment.

mod error;
mod live;
mod network;
mod origin;
mod sections;
mod web_address;
mod webhooks;

use std::path::{Path, PathBuf};

pub use error::ConfigError;
pub use network::{Network, NetworkError};
pub use origin::{Origin, OriginError, normalize_origin};
pub use sections::{
    Auth, Config, Data, Durability, ForwardedHeader, Limits, Listen, ListenerKind, Log, Metrics, Readers,
    Rules, Store, Sys, Tls,
};
pub use web_address::{PrivatePlace, PrivatePlaceError, WebAddress, WebAddressError};
pub use webhooks::{EnvironmentSecret, FileSecret, NotifySubscriber, Secret, Webhooks};

/// The largest packet that can be allowed: it must fit a record of the log.
const PACKET_BYTES_CEILING: usize = 32 * 1024 * 1024;

/// The longest time between figures.
const DAY_SECONDS: u64 = 24 * 60 * 60;

/// The annotated file of all defaults, as `pointsman config default` prints it.
pub const DEFAULT_TOML: &str = include_str!("../default.toml");

/// The policy of clients that do not authenticate, unless the configuration names another.
pub const GUEST_POLICY: &str = include_str!("../policies/guest.json");

/// The bundled rules and their tests: file name and text.
pub const BUNDLED_RULES: [(&str, &str); 2] = [
    ("chat.rhai", include_str!("../rules/chat.rhai")),
    ("chat.test.rhai", include_str!("../rules/chat.test.rhai")),
];

impl Config {
    /// Reads and checks the text of a file; `path` is for the error messages.
    pub fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
        let config: Config = toml::from_str(text)
            .map_err(|source| ConfigError::Syntax { path: path.to_owned(), source: Box::new(source) })?;
        config.check(path)?;
        Ok(config)
    }

    /// Reads and checks a file.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        Config::parse(&text, path)
    }

    fn check(&self, path: &Path) -> Result<(), ConfigError> {
        let wrong = |key: &'static str, problem: &str| {
            Err(ConfigError::Invalid { path: path.to_owned(), key, problem: problem.to_owned() })
        };
        if self.tls.certificate.is_some() != self.tls.key.is_some() {
            return wrong("tls", "certificate and key come together: give both or neither");
        }
        let limits = &self.limits;
        if !(1024..=PACKET_BYTES_CEILING).contains(&limits.packet_bytes_max) {
            return wrong(
                "limits.packet_bytes_max",
                "must be from 1024 to 33554432: a packet is one record of the log",
            );
        }
        for (key, value) in [
            ("limits.connections_max", limits.connections_max),
            ("limits.subscriptions_max", limits.subscriptions_max),
            ("limits.topic_levels_max", limits.topic_levels_max),
            ("limits.client_id_bytes_max", limits.client_id_bytes_max),
            ("limits.outbox_messages_max", limits.outbox_messages_max),
            ("limits.outbox_bytes_max", limits.outbox_bytes_max),
            ("limits.spine_bytes_max", limits.spine_bytes_max),
            ("rules.array_len_max", self.rules.array_len_max),
            ("rules.dead_letters_bytes_max", self.rules.dead_letters_bytes_max),
            ("rules.dead_letters_max", self.rules.dead_letters_max),
            ("rules.effects_max", self.rules.effects_max),
            ("rules.explain_kept_bytes_max", self.rules.explain_kept_bytes_max),
            ("rules.explain_kept_max", self.rules.explain_kept_max),
            ("rules.map_len_max", self.rules.map_len_max),
            ("rules.queue_events_max", self.rules.queue_events_max),
            ("rules.string_bytes_max", self.rules.string_bytes_max),
            ("rules.versions_bytes_max", self.rules.versions_bytes_max),
            ("rules.versions_max", self.rules.versions_max),
        ] {
            if value == 0 {
                return wrong(key, "must be at least 1");
            }
        }
        if self.sys.interval_seconds > DAY_SECONDS {
            return wrong("sys.interval_seconds", "must be at most 86400, or 0 for never");
        }
        if limits.inflight_max == 0 {
            return wrong("limits.inflight_max", "must be at least 1");
        }
        if limits.connect_timeout_seconds == 0 {
            return wrong("limits.connect_timeout_seconds", "must be at least 1");
        }
        if limits.connects_per_address_per_second == 0 {
            return wrong("limits.connects_per_address_per_second", "must be at least 1");
        }
        if !self.listen.proxy_protocol.is_empty() && self.listen.trusted_proxies.is_empty() {
            return wrong(
                "listen.proxy_protocol",
                "needs trusted_proxies: nobody else may say who a client is",
            );
        }
        if self.rules.run_time_max_ms == 0 || self.rules.operations_max == 0 || self.rules.overruns_max == 0 {
            return wrong("rules", "run_time_max_ms, operations_max and overruns_max must be at least 1");
        }
        if !(1..=64).contains(&self.rules.call_depth_max) {
            return wrong("rules.call_depth_max", "it must be 1 to 64: more would overflow the stack");
        }
        if self.store.segment_mib == 0 || self.store.log_mib_max < self.store.segment_mib {
            return wrong("store.log_mib_max", "must be at least segment_mib, which is at least 1");
        }
        match self.rules.wrong_for_the_web() {
            None => Ok(()),
            Some((key, problem)) => wrong(key, problem),
        }
    }

    /// Takes relative paths as relative to the folder that the configuration file is in.
    #[must_use]
    pub fn relative_to(mut self, folder: &Path) -> Config {
        let join = |path: &mut PathBuf| *path = folder.join(&*path);
        join(&mut self.data.directory);
        join(&mut self.rules.directory);
        self.rules.webhooks.files().for_each(join);
        self.tls.certificate.iter_mut().for_each(join);
        self.tls.key.iter_mut().for_each(join);
        self.auth.guest_policy.iter_mut().for_each(join);
        self.listen.mqtt_unix.iter_mut().for_each(join);
        self
    }
}

#[cfg(test)]
mod tests;
