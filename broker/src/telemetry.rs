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
    /// Publishes that the policy denies to a client which cannot be told (QoS 0, or before MQTT 5).
    pub not_authorized: Counter,
}

impl Drops {
    /// Every reason with its count, by the name it has in metrics.
    pub fn by_reason(&self) -> [(&'static str, u64); 3] {
        [
            ("not_authorized", self.not_authorized.get()),
            ("packet_too_large", self.packet_too_large.get()),
            ("slow_consumer", self.slow_consumer.get()),
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
    /// Connections refused since the start.
    pub refusals_total: Counter,
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
    /// Events that a suspended rule did not see and nobody was promised (QoS 0, lifecycle).
    pub rule_events_skipped_total: Counter,
    /// Publishers held up because a subscriber or the spine was crowded.
    pub throttles_total: Counter,
    /// Messages dropped, by reason.
    pub drops: Arc<Drops>,
}
