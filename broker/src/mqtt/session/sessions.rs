//! The sessions that outlive their connections: taking them up, letting them go, ending them.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use smallvec::SmallVec;

use super::super::codec::QoS;
use super::super::envelope::Envelope;
use super::Hub;
use super::from_log::envelopes_at;
use super::keep::RoundError;
use super::outbox::{Delivery, Outbox, Via};
use super::session::Session;
use super::share::Share;
use super::state::{Op, Place, Sent, Stage, State, write_ops};
use super::subscriptions::{Subscriber, WantedFilter};
use super::uuid::Uuid;
use crate::store::{AppendError, Appended, Record, Write};

/// The table of sessions: sort is the client id.
pub(super) const TABLE: &str = "_sessions";

/// All durable sessions.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    inner: Mutex<Inner>,
    next_number: AtomicU64,
}

#[derive(Debug, Default)]
struct Inner {
    by_id: HashMap<Arc<str>, Arc<Session>>,
    /// Those without a connection, by when they end (ms).
    ending: BTreeSet<(u64, Arc<str>)>,
}

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that no other session has.
    pub(super) fn number(&self) -> u64 {
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn get(&self, client_id: &str) -> Option<Arc<Session>> {
        self.lock().by_id.get(client_id).cloned()
    }

    /// Adds a session; false if there are as many as may be.
    pub(super) fn insert(&self, session: &Arc<Session>, sessions_max: usize) -> bool {
        let mut inner = self.lock();
        if inner.by_id.len() >= sessions_max {
            return false;
        }
        inner.by_id.insert(Arc::clone(&session.client_id), Arc::clone(session));
        true
    }

    pub(super) fn remove(&self, session: &Session) {
        let ends_at_ms = ends_at_ms(&session.state());
        let mut inner = self.lock();
        // The client may have another by now.
        if inner.by_id.get(&session.client_id).is_some_and(|it| it.number == session.number) {
            inner.by_id.remove(&session.client_id);
        }
        if let Some(at_ms) = ends_at_ms {
            inner.ending.remove(&(at_ms, Arc::clone(&session.client_id)));
        }
    }

    /// Has a session end at that time, or, for `None`, not by itself. `before` is what was said last.
    pub(super) fn end_at(&self, session: &Session, before: Option<u64>, at_ms: Option<u64>) {
        let mut inner = self.lock();
        if let Some(before) = before {
            inner.ending.remove(&(before, Arc::clone(&session.client_id)));
        }
        if let Some(at_ms) = at_ms {
            inner.ending.insert((at_ms, Arc::clone(&session.client_id)));
        }
    }

    /// Those whose time has come.
    fn due(&self, now_ms: u64, count_max: usize) -> Vec<Arc<Session>> {
        let inner = self.lock();
        let due = inner.ending.iter().take_while(|(at_ms, _)| *at_ms <= now_ms).take(count_max);
        due.filter_map(|(_, client_id)| inner.by_id.get(client_id).cloned()).collect()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Session>> {
        self.lock().by_id.values().cloned().collect()
    }

    /// How many there are, connected or not.
    pub(crate) fn len(&self) -> usize {
        self.lock().by_id.len()
    }
}

/// When a session that was let go then ends, in milliseconds since 1970.
pub(super) fn ends_at_ms(state: &State) -> Option<u64> {
    let detached = state.detached_at_ms?;
    (state.expiry_seconds != u32::MAX).then(|| detached + u64::from(state.expiry_seconds) * 1000)
}

/// Takes a session's row away.
pub(super) fn delete_row(client_id: &str) -> Write {
    Write::delete(TABLE, "", client_id)
}

/// Whether the time of a session is over.
fn is_due(state: &State, now_ms: u64) -> bool {
    ends_at_ms(state).is_some_and(|at_ms| at_ms <= now_ms)
}

/// Why a session cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionRefused {
    #[error("there are {0} sessions already, which is sessions_max")]
    TooMany(usize),
    #[error("the session cannot be kept")]
    Log(#[from] AppendError),
    #[error("the session cannot be kept: {0}")]
    Commit(String),
    #[error("the session cannot be made good")]
    Round(#[from] RoundError),
}

impl Hub {
    /// Appends ops of one session.
    pub(crate) fn append_ops(&self, client_id: &str, ops: &[Op]) -> Result<Appended, AppendError> {
        self.store.append(Record { sessions: ops_bytes(client_id, ops), ..Record::default() })
    }

    /// The session of a client that connects, and whether it was there before.
    pub(super) async fn take_up(
        &self,
        client_id: &Arc<str>,
        clean_start: bool,
        expiry_seconds: u32,
    ) -> Result<(Arc<Session>, bool), SessionRefused> {
        if let Some(session) = self.sessions.get(client_id) {
            let resumes = !clean_start && !self.is_cut_off(&session);
            if resumes {
                self.make_good(&session).await?;
            }
            if resumes && self.attach(&session, expiry_seconds) {
                return Ok((session, true));
            }
            if let Some(ended) = self.end_session(&session)? {
                committed(ended).await?;
            }
        }
        let durable = expiry_seconds > 0;
        let outbox = Outbox::new(durable, self.limits().outbox, Arc::clone(&self.telemetry.drops));
        let state = State { expiry_seconds, ..State::default() };
        let (number, session_id) = (self.sessions.number(), Uuid::random());
        let session =
            Arc::new(Session::new(number, Arc::clone(client_id), session_id, durable, outbox, state));
        if durable {
            let sessions_max = self.limits().sessions_max;
            if !self.sessions.insert(&session, sessions_max) {
                return Err(SessionRefused::TooMany(sessions_max));
            }
            let begun =
                self.append_ops(client_id, &[Op::Begin { session_id }, Op::Attach { expiry_seconds }]);
            let begun = match begun {
                Ok(appended) => committed(appended).await,
                Err(error) => Err(error.into()),
            };
            if let Err(error) = begun {
                self.sessions.remove(&session);
                return Err(error);
            }
        }
        Ok((session, false))
    }

    /// Whether the log has dropped something that the session is owed. Then it is not what its client thinks it is, and
    /// session present = 0 is how MQTT says so.
    fn is_cut_off(&self, session: &Session) -> bool {
        let needed = session.outbox.owed_from().into_iter().chain(session.state().needs_from()).min();
        let cut = needed.is_some_and(|needed| needed < self.store.first());
        if cut {
            self.telemetry.sessions_cut_total.add(1);
            tracing::warn!(client_id = %session.client_id, "the log has dropped what this session was owed; it ends");
        }
        cut
    }

    /// Takes a session up; false if its time is over, also between two looks of the housekeeper. [MQTT-4.1.0-2]
    fn attach(&self, session: &Session, expiry_seconds: u32) -> bool {
        let op = Op::Attach { expiry_seconds };
        let mut state = session.state();
        if state.over || is_due(&state, self.clock.now_ms()) {
            return false;
        }
        self.sessions.end_at(session, ends_at_ms(&state), None);
        if let Err(error) = self.append_ops(&session.client_id, std::slice::from_ref(&op)) {
            tracing::debug!(%error, "a session's new connection is not noted");
        }
        state.apply(&op, 0);
        session.touch();
        true
    }

    /// Lets a session go when its connection has ended.
    pub(super) fn let_go(&self, session: &Arc<Session>, expiry_seconds: Option<u32>) {
        let mut state = session.state();
        let expiry_seconds = expiry_seconds.unwrap_or(state.expiry_seconds);
        if expiry_seconds == 0 {
            drop(state);
            if let Err(error) = self.end_session(session) {
                tracing::debug!(%error, "a session's end is not noted");
            }
            return;
        }
        let op = Op::Detach { at_ms: self.clock.now_ms(), expiry_seconds };
        if let Err(error) = self.append_ops(&session.client_id, std::slice::from_ref(&op)) {
            tracing::debug!(%error, "a session's lost connection is not noted");
        }
        state.apply(&op, 0);
        self.sessions.end_at(session, None, ends_at_ms(&state));
        session.touch();
    }

    /// Ends a session: what it was to be sent is forgotten, but for shared messages, which go to others. `None` if it has
    /// ended already.
    pub(super) fn end_session(&self, session: &Arc<Session>) -> Result<Option<Appended>, AppendError> {
        self.end_session_if(session, |_| true)
    }

    fn end_session_if(
        &self,
        session: &Arc<Session>,
        is_to_end: impl FnOnce(&State) -> bool,
    ) -> Result<Option<Appended>, AppendError> {
        let writes = vec![delete_row(&session.client_id)];
        let sessions = ops_bytes(&session.client_id, &[Op::End]);
        let (appended, places) = {
            // Under the lock, so that nobody takes it up in between, or begins another before this one's end is noted.
            let mut state = session.state();
            if state.over || !is_to_end(&state) {
                return Ok(None);
            }
            let appended = self.store.append(Record { writes, sessions, ..Record::default() })?;
            state.over = true;
            (appended, shared_places(&state))
        };
        self.sessions.remove(session);
        self.wills.publish_now(self, &session.client_id);
        let shares = if places.is_empty() { Vec::new() } else { self.shares_of(session) };
        self.unsubscribe_all(session);
        self.share_places(session, places, shares);
        Ok(Some(appended))
    }

    /// Takes a session's subscriptions away.
    pub(super) fn unsubscribe_all(&self, session: &Session) {
        let subscriptions = std::mem::take(&mut session.state().subscriptions);
        for it in subscriptions {
            if let Some(filter) = WantedFilter::parse(&it.wanted.filter) {
                self.subscriptions.unsubscribe(&filter, session.number);
            }
        }
    }

    /// The shares that a session is a member of.
    fn shares_of(&self, session: &Session) -> Vec<Arc<Share>> {
        let state = session.state();
        let wanted = state.subscriptions.iter().filter_map(|it| WantedFilter::parse(&it.wanted.filter));
        wanted.filter_map(|it| self.subscriptions.share(it.share.as_deref()?, &it.filter)).collect()
    }

    /// Gives what was shared with a session that is over to other members.
    fn share_places(&self, session: &Arc<Session>, places: Vec<Place>, shares: Vec<Arc<Share>>) {
        if places.is_empty() {
            return;
        }
        let (store, session) = (Arc::clone(&self.store), Arc::clone(session));
        let Some(hub) = self.me.upgrade() else { return };
        let read = move || match envelopes_at(&store, &places) {
            Ok(envelopes) => {
                let found = places.iter().zip(envelopes).filter_map(|(place, envelope)| {
                    let envelope = envelope?;
                    let topic = envelope.message(place.index as usize).topic();
                    let share = shares.iter().find(|share| share.filter.matches(topic))?;
                    Some(shared_delivery(share, envelope.single(place.index as usize)))
                });
                hub.share_again(&session, found.collect());
            }
            Err(error) => tracing::warn!(%error, "what was shared with a session that ended cannot be read"),
        };
        std::thread::spawn(read);
    }

    /// When a connection has ended: gives to other members what was shared with it and not sent, and, if the session is
    /// over, what was not acknowledged.
    pub(super) fn share_leftovers(&self, session: &Session, mut unsent: Vec<Delivery>) {
        if !session.durable {
            let shares = self.shares_of(session);
            let state = session.state();
            let unacknowledged =
                state.window.iter().filter(|(_, slot)| slot.shared && slot.stage == Stage::Puback);
            let kept = unacknowledged.filter_map(|(packet_id, _)| state.window.kept(packet_id).cloned());
            for message in kept {
                let topic = message.message(0).topic();
                let own = shares.iter().find(|share| share.filter.matches(topic)).cloned();
                // It may have unsubscribed meanwhile.
                let share = own.or_else(|| self.subscriptions.route(topic).shares.into_iter().next());
                unsent.extend(share.map(|share| shared_delivery(&share, message)));
            }
        }
        self.share_again(session, unsent);
    }

    /// Puts a session's subscriptions in place.
    pub(super) fn subscribe_all(&self, session: &Arc<Session>) {
        for it in &session.state().subscriptions {
            if let Some(filter) = WantedFilter::parse(&it.wanted.filter) {
                self.subscriptions.subscribe(&filter, Subscriber::new(session, &it.wanted, it.id));
            }
        }
    }

    /// Ends the sessions whose time has come.
    pub(super) fn expire_sessions(&self) {
        const STEP: usize = 1000;
        loop {
            let due = self.sessions.due(self.clock.now_ms(), STEP);
            let count = due.len();
            for session in due {
                // Taken up meanwhile, it has no end any more.
                match self.end_session_if(&session, |state| is_due(state, self.clock.now_ms())) {
                    Ok(Some(_unawaited)) => self.telemetry.sessions_expired_total.add(1),
                    Ok(None) => {}
                    Err(_) => return,
                }
            }
            if count < STEP {
                return;
            }
        }
    }
}

fn shared_delivery(share: &Arc<Share>, message: Envelope) -> Delivery {
    Delivery {
        envelope: message,
        first: 0,
        count: 1,
        qos_max: QoS::ExactlyOnce,
        acknowledged: true,
        retain_as_published: false,
        via: Via::Share,
        share: Some(Arc::clone(share)),
        subscription_ids: SmallVec::new(),
    }
}

/// What of a session is shared and may go to another member: QoS 1, or QoS 2 that its client has not got
/// ([MQTT-4.8.2-5] forbids the rest).
pub(super) fn shared_places(state: &State) -> Vec<Place> {
    let window = state.window.iter().filter(|(_, slot)| slot.shared && slot.stage == Stage::Puback);
    let window = window.map(|(_, slot)| slot.place).filter(|place| place.is_in_log());
    let assigned = state
        .assigned
        .iter()
        .flat_map(|run| (0..run.count).map(|at| Place { index: run.place.index + at, ..run.place }));
    window.chain(assigned).collect()
}

/// The bytes of ops, for a record.
pub(super) fn ops_bytes(client_id: &str, ops: &[Op]) -> Bytes {
    let mut bytes = Vec::new();
    write_ops(&mut bytes, client_id, ops);
    bytes.into()
}

/// The op that says that shared messages were had.
pub(super) fn handled(places: impl Iterator<Item = Place>) -> Op {
    Op::Sent(places.map(Sent::handled).collect())
}

async fn committed(appended: Appended) -> Result<(), SessionRefused> {
    appended.durable().await.map_err(|error| SessionRefused::Commit(crate::report::chain(&error)))
}
