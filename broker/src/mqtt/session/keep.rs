//! Keeping sessions: their rows while the server runs, and taking them up from rows and log when it starts.
//!
//! Every change to a session is an op in the log. So that a start need not read all of the log, the sessions that have
//! changed are written to rows every few seconds; a start takes the rows and applies the ops behind them. The log behind
//! the last round is also looked through for messages that sessions are owed.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tracing::{info, warn};

use super::super::codec::QoS;
use super::super::envelope::Envelope;
use super::Hub;
use super::from_log::envelope_of;
use super::outbox::Outbox;
use super::session::Session;
use super::sessions::{TABLE, delete_row, ends_at_ms, handled, ops_bytes, shared_places};
use super::share::Share;
use super::state::{Assigned, Op, Place, State, read_ops, read_row, write_row};
use super::subscriptions::{Subscriber, WantedFilter};
use super::uuid::Uuid;
use crate::report::chain;
use crate::store::{AppendError, Appended, CommitError, ReadError, Record, Seq, Write};

/// How often sessions that are over are ended.
const TICK: Duration = Duration::from_secs(1);
/// How many ticks there are between two rounds.
const TICKS_A_ROUND: u32 = 5;
/// Rows in one record.
const ROWS_A_RECORD: usize = 64;
/// Rows read at a time.
const PAGE_ROWS: usize = 1000;

/// The table of the place from which ops and messages are read at a start.
const ROUNDS: &str = "_session_rounds";
/// How the log calls this reader.
const READER: &str = "sessions";

/// Why sessions are not written down.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RoundError {
    #[error("the log does not take their rows")]
    Append(#[from] AppendError),
    #[error("the disk does not take their rows")]
    Commit(#[from] CommitError),
}

/// Rows on their way to the disk.
struct Round {
    rows: Vec<Appended>,
    /// The first record that some session still needs.
    needed: Seq,
}

/// Ends what is over and writes rounds, until the hub is gone.
pub(super) async fn keep(hub: Weak<Hub>) {
    let mut ticks = 0_u32;
    loop {
        tokio::time::sleep(TICK).await;
        let Some(hub) = hub.upgrade() else { return };
        hub.expire_sessions();
        let _more = hub.retained.sweep(hub.clock.now_ms());
        ticks += 1;
        if ticks.is_multiple_of(TICKS_A_ROUND)
            && let Err(error) = hub.write_round().await
        {
            warn!(
                error = chain(&error),
                "sessions could not be written down; the next start reads more of the log"
            );
        }
    }
}

impl Hub {
    /// The first record that was not given to every session yet, as far as is known.
    fn undispatched(&self) -> Seq {
        let log = self.ingress.end();
        let dispatched = self.dispatched_through.load(Ordering::Acquire);
        if dispatched >= log.last_message { log.end + 1 } else { dispatched + 1 }
    }

    /// Writes the rows of sessions that have changed, and then from where the log is to be read at a start.
    pub(super) async fn write_round(&self) -> Result<(), RoundError> {
        let _turn = self.rounds.lock().await;
        let from = self.undispatched();
        let sessions = self.sessions.all();
        let round = self.write_rows(&sessions, from);
        let written = match round {
            Ok(Round { rows, needed }) => self.rows_are_kept(rows).await.map(|()| needed),
            Err(error) => Err(error.into()),
        };
        let needed = match written {
            Ok(needed) => needed,
            Err(error) => {
                // Nobody knows which of them are on disk, and the place of the last round stands.
                for session in &sessions {
                    session.touch();
                }
                return Err(error);
            }
        };
        if self.round_from.load(Ordering::Relaxed) != from {
            let writes = vec![Write::put(ROUNDS, "", "", from.to_string(), None)];
            self.store.append(Record { writes, ..Record::default() })?.durable().await?;
            self.round_from.store(from, Ordering::Relaxed);
        }
        self.store.hold_from(READER, needed);
        Ok(())
    }

    async fn rows_are_kept(&self, rows: Vec<Appended>) -> Result<(), RoundError> {
        for appended in rows {
            appended.durable().await?;
        }
        Ok(())
    }

    /// Appends the rows of those that have changed.
    fn write_rows(&self, sessions: &[Arc<Session>], from: Seq) -> Result<Round, AppendError> {
        let mut round = Round { rows: Vec::new(), needed: from };
        for sessions in sessions.chunks(ROWS_A_RECORD) {
            let mut writes = Vec::new();
            for session in sessions {
                let state = session.state();
                // First, so that what comes to be owed from here on makes it dirty again.
                let dirty = session.take_dirty();
                let owed_from = session.outbox.owed_from();
                let needs_from = owed_from.into_iter().chain(state.needs_from()).min();
                round.needed = round.needed.min(needs_from.unwrap_or(from));
                if dirty && !state.over {
                    writes.push(self.row_of(session, &state, owed_from));
                }
            }
            if !writes.is_empty() {
                round.rows.push(self.store.append(Record { writes, ..Record::default() })?);
            }
            // A session that has ended meanwhile must not come back by its row.
            let over = sessions.iter().filter(|session| session.state().over);
            let writes: Vec<Write> = over.map(|session| delete_row(&session.client_id)).collect();
            if !writes.is_empty() {
                round.rows.push(self.store.append(Record { writes, ..Record::default() })?);
            }
        }
        Ok(round)
    }

    /// A session's row. `state` is its own, locked: every op before the end of the log is in it.
    fn row_of(&self, session: &Session, state: &State, owed_from: Option<Seq>) -> Write {
        let value = write_row(self.store.end(), owed_from, session.session_id, state);
        Write::put(TABLE, "", &*session.client_id, value, None)
    }

    /// Puts a session on disk as it is, if the disk has refused a change of it. Nothing may be built on that change before:
    /// a PUBREL, say, for a message that after a crash would be sent again.
    pub(super) async fn make_good(&self, session: &Session) -> Result<(), RoundError> {
        if !session.take_unlogged() {
            return Ok(());
        }
        let appended = {
            let state = session.state();
            let writes = vec![self.row_of(session, &state, session.outbox.owed_from())];
            // The other members of a share go by the log alone.
            let shared = state.window.iter().filter(|(_, slot)| slot.shared && slot.place.is_in_log());
            let op = handled(shared.map(|(_, slot)| slot.place));
            let sessions = ops_bytes(&session.client_id, &[op]);
            self.store.append(Record { writes, sessions, ..Record::default() })
        };
        let kept = match appended {
            Ok(appended) => appended.durable().await.map_err(RoundError::from),
            Err(error) => Err(error.into()),
        };
        if kept.is_err() {
            session.note_unlogged();
        }
        kept
    }

    /// Takes sessions up as the last run left them.
    pub(super) fn restore_sessions(&self) -> Result<(), ReadError> {
        let mut restored = Restored { hub: self, shared: Vec::new(), handled: HashSet::new() };
        let mut as_of = std::collections::HashMap::new();
        for row in self.store.scan(TABLE, "", PAGE_ROWS) {
            let row = row?;
            let client_id: Arc<str> = row.sort.into();
            match read_row(row.value) {
                Ok(row) => {
                    as_of.insert(Arc::clone(&client_id), row.as_of);
                    restored.add(&client_id, row.session_id, row.state, row.owed_from);
                }
                Err(error) => warn!(%client_id, %error, "a session is lost"),
            }
        }
        let from = match self.store.get(ROUNDS, "", "")? {
            Some(row) => std::str::from_utf8(&row.value).ok().and_then(|text| text.parse().ok()).unwrap_or(0),
            None => 0,
        };
        for entry in self.store.replay(from.max(self.store.first()))? {
            let (seq, record) = entry?;
            let ops = read_ops(record.sessions.clone(), |client_id, op| {
                restored.note_handled(&op);
                if as_of.get(client_id).is_none_or(|as_of| seq > *as_of) {
                    restored.apply(client_id, &op, seq);
                }
            });
            if let Err(error) = ops {
                warn!(seq, %error, "a change to a session is lost");
            }
            if let Some(envelope) = envelope_of(record, seq) {
                restored.look_at(&envelope, seq);
            }
        }
        restored.settle_assigned();
        restored.assign_shared();
        self.detach_all();
        let count = self.sessions.len();
        if count > 0 {
            info!(sessions = count, "taken up");
        }
        Ok(())
    }

    /// Nobody is connected yet: for sessions that were when the server ended, their time without a client begins now.
    fn detach_all(&self) {
        for session in self.sessions.all() {
            let mut state = session.state();
            let now_ms = self.clock.now_ms();
            state.detached_at_ms.get_or_insert(now_ms);
            self.sessions.end_at(&session, None, ends_at_ms(&state));
        }
    }
}

/// Sessions on their way from rows and log.
struct Restored<'a> {
    hub: &'a Hub,
    /// Shared messages that were found, to be given to somebody if nobody had them.
    shared: Vec<(Place, Arc<Share>, String)>,
    /// What was sent or had, and then what members are to send.
    handled: HashSet<Place>,
}

impl Restored<'_> {
    fn add(&mut self, client_id: &Arc<str>, session_id: Uuid, state: State, owed_from: Option<Seq>) {
        let hub = self.hub;
        let outbox = Outbox::new(true, hub.limits().outbox, Arc::clone(&hub.telemetry.drops));
        let known_through = owed_from.map_or(0, |_| hub.store.durable_end());
        outbox.restore(owed_from, known_through);
        let number = hub.sessions.number();
        let session = Arc::new(Session::new(number, Arc::clone(client_id), session_id, true, outbox, state));
        // A limit that was lowered keeps new ones out and ends none.
        hub.sessions.insert(&session, usize::MAX);
        hub.subscribe_all(&session);
    }

    fn apply(&mut self, client_id: &str, op: &Op, seq: Seq) {
        if let Op::Begin { session_id } = op {
            self.remove(client_id);
            self.add(&Arc::from(client_id), *session_id, State::default(), None);
            return;
        }
        let Some(session) = self.hub.sessions.get(client_id) else { return };
        match op {
            Op::End => {
                for place in shared_places(&session.state()) {
                    self.handled.remove(&place);
                }
                return self.remove(client_id);
            }
            Op::Subscribe { wanted, id } => {
                if let Some(filter) = WantedFilter::parse(&wanted.filter) {
                    self.hub.subscriptions.subscribe(&filter, Subscriber::new(&session, wanted, *id));
                }
            }
            Op::Unsubscribe { filter } => {
                if let Some(filter) = WantedFilter::parse(filter) {
                    self.hub.subscriptions.unsubscribe(&filter, session.number);
                }
            }
            _ => {}
        }
        session.state().apply(op, seq);
        session.touch();
    }

    fn remove(&mut self, client_id: &str) {
        if let Some(session) = self.hub.sessions.get(client_id) {
            self.hub.unsubscribe_all(&session);
            self.hub.sessions.remove(&session);
        }
    }

    /// Remembers which shared messages were on their way to somebody, or were had.
    fn note_handled(&mut self, op: &Op) {
        if let Op::Sent(sent) = op {
            let gone = sent.iter().filter(|it| it.shared && !it.is_taken_back());
            self.handled.extend(gone.map(|it| it.place));
        }
    }

    /// Notes to whom the messages of a record are owed. Some may have been sent; their sessions know by their position.
    fn look_at(&mut self, envelope: &Envelope, seq: Seq) {
        for index in 0..envelope.len() {
            let message = envelope.message(index);
            if message.marks().qos == QoS::AtMostOnce {
                continue;
            }
            let route = self.hub.subscriptions.route(message.topic());
            for target in &route.targets {
                if target.qos > QoS::AtMostOnce {
                    target.session.outbox.owe(seq);
                    target.session.touch();
                }
            }
            let place = Place::of(envelope, index);
            for share in route.shares {
                self.shared.push((place, share, message.topic().to_owned()));
            }
        }
    }

    /// Has each shared message be one member's to deliver at most. Who was given it and who was relieved of it are noted
    /// apart, and the disk may have taken the one and refused the other.
    fn settle_assigned(&mut self) {
        for session in self.hub.sessions.all() {
            let mut state = session.state();
            let places = state.assigned.iter().flat_map(Assigned::single).map(|one| one.place);
            let own: Vec<bool> = places.map(|place| self.handled.insert(place)).collect();
            if own.contains(&false) {
                let singles = state.assigned.iter().flat_map(Assigned::single);
                state.assigned = singles.zip(own).filter_map(|(one, own)| own.then_some(one)).collect();
                session.touch();
            }
        }
    }

    /// Gives shared messages that nobody had to members.
    fn assign_shared(&mut self) {
        for (place, share, topic) in std::mem::take(&mut self.shared) {
            if self.handled.contains(&place) {
                continue;
            }
            let Some(member) = share.pick(&topic, None).filter(|member| member.qos > QoS::AtMostOnce) else {
                continue;
            };
            let subscription_id = member.subscription_id;
            let op = Op::Assigned(Assigned { place, count: 1, qos: member.qos, subscription_id });
            let mut state = member.session.state();
            let _unawaited = self.hub.append_ops(&member.session.client_id, std::slice::from_ref(&op));
            state.apply(&op, place.seq);
            member.session.touch();
        }
    }
}
