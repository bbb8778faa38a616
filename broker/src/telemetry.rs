//! Every counter of the server, by name.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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
    /// Messages that clients published.
    pub messages_in_total: Counter,
    /// Messages written to clients.
    pub messages_out_total: Counter,
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
