//! A shared subscription: each message goes to one of its members (MQTT 5 §4.8.2).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pointsman_rules::topic::TopicFilter;

use super::session::Session;
use super::subscriptions::Subscriber;

/// The members of a group on one filter.
#[derive(Debug)]
pub(crate) struct Share {
    pub(crate) group: String,
    pub(crate) filter: TopicFilter,
    members: Mutex<Vec<Subscriber>>,
    /// Whose turn it is.
    turn: AtomicUsize,
}

impl Share {
    pub(crate) fn new(group: &str, filter: &TopicFilter) -> Share {
        Share {
            group: group.to_owned(),
            filter: filter.clone(),
            members: Mutex::default(),
            turn: AtomicUsize::new(0),
        }
    }

    fn members(&self) -> MutexGuard<'_, Vec<Subscriber>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a member, or replaces the one of that session.
    pub(crate) fn join(&self, subscriber: Subscriber) -> Option<Subscriber> {
        let mut members = self.members();
        if let Some(mine) = members.iter_mut().find(|it| it.session.number == subscriber.session.number) {
            return Some(std::mem::replace(mine, subscriber));
        }
        members.push(subscriber);
        None
    }

    /// Takes the member of a session out.
    pub(crate) fn leave(&self, session: u64) -> Option<Subscriber> {
        let mut members = self.members();
        let at = members.iter().position(|it| it.session.number == session)?;
        Some(members.remove(at))
    }

    /// The member of a session.
    pub(crate) fn member(&self, session: u64) -> Option<Subscriber> {
        self.members().iter().find(|it| it.session.number == session).cloned()
    }

    /// The sessions of its members.
    pub(crate) fn sessions(&self) -> Vec<Arc<Session>> {
        self.members().iter().map(|it| Arc::clone(&it.session)).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members().is_empty()
    }

    /// How many pieces a run of messages is to be cut into: one for each member that takes some now.
    pub(crate) fn ready(&self) -> usize {
        self.members().iter().filter(|it| it.session.outbox.is_ready()).count()
    }

    /// Whose turn it is among those who may receive the topic: a member that takes messages now, or else one that is
    /// connected, or else one whose session waits for its client. `except` is a session that has just left.
    pub(crate) fn pick(&self, topic: &str, except: Option<u64>) -> Option<Subscriber> {
        let members = self.members();
        let count = members.len();
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let in_turn = || {
            let turns = (0..count).map(|step| &members[first.wrapping_add(step) % count]);
            turns.filter(|it| Some(it.session.number) != except && it.session.may_receive(topic))
        };
        let picked = in_turn()
            .find(|it| it.session.outbox.is_ready())
            .or_else(|| in_turn().find(|it| it.session.outbox.is_attached()))
            .or_else(|| in_turn().find(|it| it.session.durable))
            .or_else(|| members.iter().find(|it| Some(it.session.number) == except && it.session.durable));
        picked.cloned()
    }
}
