//! What is done once a commit is on disk.

use super::target::Ticket;

/// What is done once a commit is on disk, and not at all if it never is.
#[derive(Debug, Default)]
pub(in crate::pipeline) struct Afterwards {
    /// Places in the queues of web servers, whose rows are in the commit.
    tickets: Vec<Ticket>,
    /// Clients to send away, with what they are told.
    disconnects: Vec<(String, Option<String>)>,
}

impl Afterwards {
    /// Whether there is nothing to do.
    pub(in crate::pipeline) fn is_empty(&self) -> bool {
        self.tickets.is_empty() && self.disconnects.is_empty()
    }

    pub(in crate::pipeline) fn sends(&mut self, ticket: Ticket) {
        self.tickets.push(ticket);
    }

    pub(in crate::pipeline) fn disconnects(&mut self, client_id: String, reason: Option<String>) {
        self.disconnects.push((client_id, reason));
    }

    /// Adds what another commit wants done.
    pub(in crate::pipeline) fn append(&mut self, mut other: Afterwards) {
        self.tickets.append(&mut other.tickets);
        self.disconnects.append(&mut other.disconnects);
    }

    /// The commit is on disk: wakes the couriers, and calls `disconnect` with each client to send away.
    pub(in crate::pipeline) fn perform(self, mut disconnect: impl FnMut(&str, Option<&str>)) {
        self.tickets.into_iter().for_each(Ticket::keep);
        for (client_id, reason) in &self.disconnects {
            disconnect(client_id, reason.as_deref());
        }
    }
}
