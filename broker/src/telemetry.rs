//! Every counter of the server, by name.

mod traffic;
mod transports;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use traffic::{Batch, Traffic};
pub use transports::{Open, Transport, Transports};

/// A count that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// What it is at.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A count that grows and shrinks.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Adds one unless that would be more than `max`; says whether it did.
    pub fn enter(&self, max: u64) -> bool {
        let more = |count: u64| (count < max).then_some(count + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Takes one away.
    pub fn leave(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// What it is at.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Connections that were not let in, by reason; what their CONNECT was refused for is in `refusals_total` alone.
#[derive(Debug, Default)]
pub struct Refusals {
    /// `connections_max` was reached.
    pub connections_max: Counter,
    /// The address had more than `connects_per_address_per_second`.
    pub connect_rate: Counter,
    /// The page that opened the WebSocket is of an origin that is not listed.
    pub origin: Counter,
    /// A trusted proxy did not begin with a right header of the PROXY protocol.
    pub proxy_header: Counter,
}

/// Counts by a reason code of MQTT 5.
#[derive(Debug)]
pub struct ByCode([Counter; 256]);

impl Default for ByCode {
    fn default() -> Self {
        ByCode(std::array::from_fn(|_| Counter::default()))
    }
}

impl ByCode {
    /// Adds one of that code.
    pub fn add(&self, code: u8) {
        self.0[usize::from(code)].add(1);
    }

    /// How many there were in all.
    pub fn total(&self) -> u64 {
        self.0.iter().map(Counter::get).sum()
    }

    /// How many of that code there were.
    pub fn get(&self, code: u8) -> u64 {
        self.0[usize::from(code)].get()
    }
}

impl Refusals {
    /// Every reason with its count, by the name it has in metrics.
    pub fn by_reason(&self) -> [(&'static str, u64); 4] {
        [
            ("connect_rate", self.connect_rate.get()),
            ("connections_max", self.connections_max.get()),
            ("origin", self.origin.get()),
            ("proxy_header", self.proxy_header.get()),
        ]
    }
}

/// Messages that were not delivered, by reason.
#[derive(Debug, Default)]
pub struct Drops {
    /// QoS 0 messages that gave way because a client reads too slowly.
    pub slow_consumer: Counter,
    /// Messages for sessions without a connection that are not kept for them (QoS 0).
    pub offline: Counter,
    /// Messages whose time was over. [MQTT-3.3.2-5]
    pub expired: Counter,
    /// Messages that were owed to a session and that the log's limits have dropped.
    pub log_dropped: Counter,
    /// Messages larger than the client takes. [MQTT-3.1.2-24]
    pub packet_too_large: Counter,
    /// Messages for one rule alone (`$aws/rules/<rule>/…`) that is not there, or does not listen to their topic.
    pub no_rule: Counter,
    /// Publishes that the policy denies to a client which cannot be told (QoS 0, or before MQTT 5).
    pub not_authorized: Counter,
}

impl Drops {
    /// Every reason with its count, by the name it has in metrics.
    pub fn by_reason(&self) -> [(&'static str, u64); 7] {
        // All of them, or this does not compile.
        let Drops { expired, log_dropped, no_rule, not_authorized, offline, packet_too_large, slow_consumer } =
            self;
        [
            ("expired", expired.get()),
            ("log_dropped", log_dropped.get()),
            ("no_rule", no_rule.get()),
            ("not_authorized", not_authorized.get()),
            ("offline", offline.get()),
            ("packet_too_large", packet_too_large.get()),
            ("slow_consumer", slow_consumer.get()),
        ]
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.by_reason().iter().map(|(_, count)| count).sum()
    }
}

/// The server's counters.
#[derive(Debug, Default)]
pub struct Telemetry {
    /// Connections accepted since the start.
    pub connections_total: Counter,
    /// Connections refused since the start, for whatever reason.
    pub refusals_total: Counter,
    /// Those of them that did not come as far as CONNECT, by reason.
    pub refusals: Refusals,
    /// Connections that are open now, whatever they speak and however far they have come.
    pub connections_open: Gauge,
    /// Times that the system would not give a connection, such as when the process had no file descriptor left.
    pub accept_errors_total: Counter,
    /// Connections ended because of a fault of the server.
    pub connection_faults_total: Counter,
    /// Sessions ended as their time was over.
    pub sessions_expired_total: Counter,
    /// Sessions ended as the log had dropped what they were owed.
    pub sessions_cut_total: Counter,
    /// CONNECT packets refused since the start, by the code of the reason.
    pub connects_refused: ByCode,
    /// Connections by transport.
    pub transports: Arc<Transports>,
    /// What clients sent.
    pub received: Traffic,
    /// What was written to clients.
    pub sent: Traffic,
    /// Rule runs that ended well.
    pub rule_runs_total: Counter,
    /// Rule runs that failed.
    pub rule_failures_total: Counter,
    /// Events on which rules failed that are no longer kept, as there were too many.
    pub dead_letters_dropped_total: Counter,
    /// Turns of the rules' workers: each is one record at most.
    pub rule_turns_total: Counter,
    /// Events that were handled in them.
    pub rule_turn_events_total: Counter,
    /// Events that a suspended rule did not see and nobody was promised (QoS 0, lifecycle).
    pub rule_events_skipped_total: Counter,
    /// Messages for suspended rules that found no room to be put aside and went to the dead letters.
    pub rule_events_turned_away_total: Counter,
    /// Publishers held up because a subscriber or the spine was crowded.
    pub throttles_total: Counter,
    /// Messages dropped, by reason.
    pub drops: Arc<Drops>,
}
