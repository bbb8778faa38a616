//! A session: what the server knows of a client from one connection to the next.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;

use super::super::reserved;
use super::outbox::Outbox;
use super::state::State;
use super::uuid::Uuid;
use crate::auth::{Action, Auth, Identity, Ruling};

/// A session. One that ends with its connection is made for that connection; a durable one is kept in the log.
#[derive(Debug)]
#[expect(clippy::struct_field_names, reason = "lifecycle events call it so")]
pub(crate) struct Session {
    /// No other session has it while the server runs.
    pub(crate) number: u64,
    pub(crate) client_id: Arc<str>,
    /// The UUID of lifecycle events.
    pub(crate) session_id: Uuid,
    /// Whether it outlives its connection.
    pub(crate) durable: bool,
    pub(crate) outbox: Outbox,
    /// Who was connected last; none since the start of the server.
    identity: ArcSwapOption<Identity>,
    state: Mutex<State>,
    /// Its row is not as it is.
    dirty: AtomicBool,
    /// The disk refused a change that something would be built on.
    unlogged: AtomicBool,
}

impl Session {
    pub(crate) fn new(
        number: u64,
        client_id: Arc<str>,
        session_id: Uuid,
        durable: bool,
        outbox: Outbox,
        state: State,
    ) -> Session {
        Session {
            number,
            client_id,
            session_id,
            durable,
            outbox,
            identity: ArcSwapOption::empty(),
            state: Mutex::new(state),
            dirty: AtomicBool::new(true),
            unlogged: AtomicBool::new(false),
        }
    }

    /// Its state. Whoever changes what must survive appends the op to the log before the lock is let go.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether its client may receive a topic. While nobody has been connected since the start, that is left open: it is
    /// asked again when somebody is. What is for a rule alone is for nobody.
    pub(crate) fn may_receive(&self, topic: &str) -> bool {
        !reserved::is_for_rule(topic)
            && self.identity.load().as_ref().is_none_or(|identity| identity.may(Action::Receive, topic))
    }

    /// What the policy says of its client receiving a topic; `None` while nobody has been connected since the start.
    pub(crate) fn receive_ruling(&self, auth: &Auth, topic: &str) -> Option<Ruling> {
        self.identity.load().as_ref().map(|identity| auth.ruling(identity, Action::Receive, topic))
    }

    /// Notes who is connected.
    pub(crate) fn set_identity(&self, identity: Arc<Identity>) {
        self.identity.store(Some(identity));
    }

    /// Has who was connected last go by the policies that there are now.
    pub(crate) fn refresh_identity(&self, auth: &Auth) {
        if let Some(identity) = self.identity.load().as_ref() {
            auth.refresh(identity, &self.client_id);
        }
    }

    /// Notes that its row is not as it is.
    pub(crate) fn touch(&self) {
        if !self.dirty.load(Ordering::Relaxed) {
            self.dirty.store(true, Ordering::Release);
        }
    }

    /// Whether its row is not as it is; from now on it counts as written.
    pub(crate) fn take_dirty(&self) -> bool {
        self.dirty.swap(false, Ordering::AcqRel)
    }

    /// Notes that the disk refused a change of what must survive. The connection ends, and no other takes the session up
    /// before all of it is on disk.
    pub(crate) fn note_unlogged(&self) {
        self.touch();
        self.unlogged.store(true, Ordering::Release);
    }

    /// Whether the disk has refused a change; from now on it counts as made good.
    pub(crate) fn take_unlogged(&self) -> bool {
        self.unlogged.swap(false, Ordering::AcqRel)
    }
}
