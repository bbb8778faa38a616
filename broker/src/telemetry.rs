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

/// Messages that were not delivered, by reason.
#[derive(Debug, Default)]
pub struct Drops {
    /// QoS 0 messages that gave way because a client reads too slowly.
    pub slow_consumer: Counter,
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
    /// Connections refused since the start, for whatever reason.
    pub refusals_total: Counter,
    /// Those of them that did not come as far as CONNECT, by reason.
    pub refusals: Refusals,
    /// Connections that are open now, whatever they speak and however far they have come.
    pub connections_open: Gauge,
    /// Times that the system would not give a connection, such as when the process had no file descriptor left.
    pub accept_errors_total: Counter,
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
