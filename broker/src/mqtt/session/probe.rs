//! What the model test and the fuzz target of the sessions see of a hub, and do to it.

use super::Hub;
use super::session::Session;

impl Hub {
    /// Does what the keeper does now and then: ends what is over, and writes sessions down.
    pub(crate) async fn keep_now(&self) {
        self.expire_sessions();
        if let Err(error) = self.write_round().await {
            tracing::debug!(%error, "a round was not written");
        }
    }

    /// How many publishes are out to a client that is connected and all that it can take now was sent to; `None` if
    /// something is still under way. `window_max` is how many it takes.
    pub(crate) fn settled(&self, client_id: &str, window_max: u16) -> Option<u16> {
        let clients = self.registry.all();
        let client = clients.iter().find(|client| &*client.client_id == client_id)?;
        client.session.get()?.settled(window_max)
    }
}

impl Session {
    fn settled(&self, window_max: u16) -> Option<u16> {
        let state = self.state();
        let out = state.window.outstanding();
        let nothing_waits = state.assigned.is_empty();
        drop(state);
        let done = nothing_waits
            && self.outbox.waiting() == (0, 0)
            && self.outbox.owed_from().is_none()
            && self.outbox.is_attached();
        (done || out >= window_max).then_some(out)
    }
}
