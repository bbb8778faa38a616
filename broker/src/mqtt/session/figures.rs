//! What there is to count of all sessions together, for `$SYS` and `/metrics`.

use super::Hub;
use super::retained::RetainedStats;
use super::session::Session;

/// Figures of the sessions, of about one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Clients that are connected.
    pub clients: u64,
    /// Sessions that wait for their client to come back.
    pub sessions_offline: u64,
    /// Sessions that were given up because their client did not.
    pub sessions_expired: u64,
    /// Subscriptions, shared ones included.
    pub subscriptions: u64,
    /// Shared subscriptions.
    pub subscriptions_shared: u64,
    /// Messages that wait for their clients, but for those that wait in the log.
    pub outbox_messages: u64,
    /// Bytes that do, and those handed to connections and not yet written.
    pub outbox_bytes: u64,
    /// Messages sent and not yet acknowledged.
    pub inflight: u64,
    /// Retained messages.
    pub retained: RetainedStats,
}

impl Hub {
    /// Looks at every session: some milliseconds where there are very many.
    pub fn figures(&self) -> Figures {
        let clients = self.registry.all();
        let mut figures = Figures {
            clients: clients.len() as u64,
            sessions_expired: self.telemetry.sessions_expired_total.get(),
            subscriptions: self.subscriptions.len() as u64,
            subscriptions_shared: self.subscriptions.shared_len() as u64,
            retained: self.retained.stats(),
            ..Figures::default()
        };
        for session in clients.iter().filter_map(|client| client.session.get()) {
            figures.look_at(session);
        }
        for session in self.sessions.all().iter().filter(|session| !session.outbox.is_attached()) {
            figures.sessions_offline += 1;
            figures.look_at(session);
        }
        figures
    }
}

impl Figures {
    fn look_at(&mut self, session: &Session) {
        let (messages, bytes) = session.outbox.waiting();
        self.outbox_messages += messages as u64;
        self.outbox_bytes += bytes as u64;
        self.inflight += u64::from(session.state().window.outstanding());
    }
}
