//! A broker as simple as can be: lists and linear search. It says what each client is to be sent.
//!
//! It is told what happens in the order in which the clients did it. Where the order in which a server sees things is
//! open, it is content with each.

use super::script::{CLIENTS, TOPICS};
use super::wire::Publish;

/// A message that was published, or may have been.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) publisher: usize,
    pub(super) topic: &'static str,
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) payload: Vec<u8>,
    /// Its publisher knows that the server has it.
    pub(super) certain: bool,
    /// Its publisher's order counts; wills come when they come.
    pub(super) ordered: bool,
}

/// A subscription.
#[derive(Debug, Clone)]
pub(super) struct Subscription {
    pub(super) filter: &'static str,
    pub(super) qos: u8,
    pub(super) no_local: bool,
    pub(super) as_published: bool,
    pub(super) id: Option<u32>,
}

/// What a session is to be sent.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent of each other")]
pub(super) struct Expected {
    pub(super) message: usize,
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) ids: Vec<u32>,
    /// By a subscription and not as a retained message.
    pub(super) live: bool,
    /// It must come, if the message is certain.
    pub(super) must: bool,
    /// How it comes is open, as subscriptions changed while it waited.
    pub(super) loose: bool,
    /// How often it may come yet.
    pub(super) left: u8,
    pub(super) got: u8,
}

/// A message that goes to one member of a shared subscription.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) message: usize,
    filter: &'static str,
    /// Who has been a member since it was published.
    members: Vec<usize>,
    pub(super) must: bool,
    left: u8,
    pub(super) got: u8,
}

/// A message that may be retained now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retaining {
    pub(super) message: usize,
    /// It may have been published before, and then changes nothing.
    pub(super) again: bool,
}

/// A session.
#[derive(Debug, Clone, Default)]
pub(super) struct Session {
    pub(super) durable: bool,
    pub(super) expiry: u32,
    /// When it was left; `None` while its client is connected.
    pub(super) left_at_ms: Option<u64>,
    /// Its client has come back to it: what comes may have been sent before.
    pub(super) resumed: bool,
    /// Its client takes no more for now, so that retained messages may not have been read.
    pub(super) is_full: bool,
    pub(super) subscriptions: Vec<Subscription>,
    pub(super) expected: Vec<Expected>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Naive {
    pub(super) messages: Vec<Message>,
    pub(super) sessions: [Option<Session>; CLIENTS.len()],
    pub(super) shared: Vec<Shared>,
    /// The retained message of each topic.
    pub(super) retained: [Option<usize>; TOPICS.len()],
    /// Wills that were published since all was still.
    pub(super) wills: Vec<usize>,
    /// Published to be retained since all was still.
    pub(super) retaining: Vec<Retaining>,
}

/// Whether a topic matches a filter.
pub(super) fn matches(filter: &str, topic: &str) -> bool {
    let (mut filter, mut topic) = (filter.split('/'), topic.split('/'));
    loop {
        match (filter.next(), topic.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
    }
}

/// The filter behind `$share/group/`.
fn shared_filter(filter: &str) -> Option<&str> {
    filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/')).map(|(_, filter)| filter)
}

impl Session {
    fn expect(&self, message: &Message, publisher: usize, me: usize) -> Option<(u8, bool, Vec<u32>)> {
        let wanted = self
            .subscriptions
            .iter()
            .filter(|it| matches(it.filter, message.topic) && !(it.no_local && publisher == me));
        let wanted: Vec<&Subscription> = wanted.collect();
        let qos = wanted.iter().map(|it| it.qos).max()?.min(message.qos);
        let retain = message.retain && wanted.iter().any(|it| it.as_published);
        let mut ids: Vec<u32> = wanted.iter().filter_map(|it| it.id).collect();
        ids.sort_unstable();
        Some((qos, retain, ids))
    }

    /// A topic has another retained message: who waits for the one before, as his window is full, may get either.
    fn retained_anew(&mut self, id: usize, messages: &[Message]) {
        let waits =
            |it: &Expected| !it.live && it.got == 0 && messages[it.message].topic == messages[id].topic;
        self.expected.iter_mut().filter(|it| waits(it)).for_each(|it| it.must = false);
        let message = &messages[id];
        let reads = self.subscriptions.iter().filter(|it| matches(it.filter, message.topic));
        if self.is_full && self.is_connected() && !message.payload.is_empty() && reads.count() > 0 {
            let (qos, retain, ids) = (message.qos, true, Vec::new());
            let (live, must, loose, left, got) = (false, false, true, 3, 0);
            self.expected.push(Expected { message: id, qos, retain, ids, live, must, loose, left, got });
        }
    }

    /// Whether a copy that came may have been that of the share, as it need not have been another: it was no must, or
    /// what was published again may have been the first that the server read.
    pub(super) fn took_for_other(&self, shared: &Shared) -> bool {
        self.expected.iter().any(|it| it.message == shared.message && it.got > u8::from(it.must))
    }

    fn is_connected(&self) -> bool {
        self.left_at_ms.is_none()
    }

    /// Whether everything has come that must.
    pub(super) fn missing(&self, messages: &[Message]) -> Option<&Expected> {
        self.expected.iter().find(|it| it.must && it.got == 0 && messages[it.message].certain)
    }
}

impl Naive {
    /// A message is published; `again` says that its publisher could not know whether it was before.
    pub(super) fn publish(&mut self, id: usize, again: bool) {
        let message = self.messages[id].clone();
        if message.retain {
            self.retaining.push(Retaining { message: id, again: again && message.qos == 2 });
            self.sessions.iter_mut().flatten().for_each(|session| session.retained_anew(id, &self.messages));
        }
        for (who, session) in self.sessions.iter_mut().enumerate() {
            let Some(session) = session else { continue };
            let wanted = session.expect(&message, message.publisher, who);
            // Its own will may come late enough for a connection that takes over.
            let late = !message.ordered && message.publisher == who;
            let wanted =
                wanted.filter(|(qos, ..)| session.is_connected() || session.durable && (*qos > 0 || late));
            let known =
                if again { session.expected.iter_mut().find(|it| it.message == id && it.live) } else { None };
            match (known, wanted) {
                (Some(known), Some((qos, retain, ids))) => {
                    known.left += u8::from(message.qos == 1 || known.left + known.got == 0);
                    let same = known.qos == qos && known.retain == retain && known.ids == ids;
                    known.loose |= !same;
                }
                (Some(known), None) => known.must = false,
                (None, Some((qos, retain, ids))) => {
                    let must = (!again || message.qos == 1) && !(late && qos == 0);
                    let (live, loose, left, got) = (true, false, 1, 0);
                    session.expected.push(Expected {
                        message: id,
                        qos,
                        retain,
                        ids,
                        live,
                        must,
                        loose,
                        left,
                        got,
                    });
                }
                (None, None) => {}
            }
        }
        self.share(id, again);
    }

    fn share(&mut self, id: usize, again: bool) {
        let message = &self.messages[id];
        let mut filters: Vec<&'static str> = Vec::new();
        for it in self.sessions.iter().flatten().flat_map(|session| &session.subscriptions) {
            let shares = shared_filter(it.filter).is_some_and(|filter| matches(filter, message.topic));
            if shares && !filters.contains(&it.filter) {
                filters.push(it.filter);
            }
        }
        for filter in filters {
            let members = self.members(filter);
            let known = self.shared.iter_mut().find(|it| again && it.message == id && it.filter == filter);
            if let Some(known) = known {
                known.left += u8::from(message.qos == 1);
                known.members.extend(members);
                continue;
            }
            let acknowledged = message.qos > 0 && members.iter().all(|who| self.shared_qos(*who, filter) > 0);
            let must = acknowledged && !again;
            self.shared.push(Shared { message: id, filter, members, must, left: 1, got: 0 });
        }
    }

    fn shared_qos(&self, who: usize, filter: &str) -> u8 {
        let session = self.sessions[who].as_ref();
        let mine = session.and_then(|it| it.subscriptions.iter().find(|it| it.filter == filter));
        mine.map_or(0, |it| it.qos)
    }

    fn members(&self, filter: &str) -> Vec<usize> {
        let is_member = |session: &Session| session.subscriptions.iter().any(|it| it.filter == filter);
        let sessions = self.sessions.iter().enumerate();
        sessions.filter(|(_, session)| session.as_ref().is_some_and(is_member)).map(|(who, _)| who).collect()
    }

    /// A client subscribes.
    pub(super) fn subscribe(&mut self, who: usize, wanted: Subscription, handling: u8) {
        let shared = shared_filter(wanted.filter);
        for it in self.shared.iter_mut().filter(|it| it.filter == wanted.filter) {
            it.members.push(who);
            it.must &= wanted.qos > 0;
        }
        let Some(session) = &mut self.sessions[who] else { return };
        for it in session.expected.iter_mut().filter(|it| it.live && it.got == 0) {
            if matches(wanted.filter, self.messages[it.message].topic) {
                it.loose = true;
                it.must &= wanted.qos > 0;
            }
        }
        let known = session.subscriptions.iter().position(|it| it.filter == wanted.filter);
        // What was to come for the subscription before may come for this one.
        for it in session.expected.iter_mut().filter(|it| !it.live && it.got == 0) {
            it.must &= !matches(wanted.filter, self.messages[it.message].topic);
        }
        if shared.is_none() && (handling == 0 || handling == 1 && known.is_none()) {
            for id in self.retained.iter().flatten().copied() {
                let message = &self.messages[id];
                if matches(wanted.filter, message.topic) {
                    let qos = message.qos.min(wanted.qos);
                    let ids = wanted.id.into_iter().collect();
                    let (retain, live, must, loose, left, got) = (true, false, true, false, 1, 0);
                    session.expected.push(Expected {
                        message: id,
                        qos,
                        retain,
                        ids,
                        live,
                        must,
                        loose,
                        left,
                        got,
                    });
                }
            }
        }
        match known {
            Some(at) => session.subscriptions[at] = wanted,
            None => session.subscriptions.push(wanted),
        }
    }

    /// A client unsubscribes. What waits may come or not.
    pub(super) fn unsubscribe(&mut self, who: usize, filter: &'static str) {
        let Some(session) = &mut self.sessions[who] else { return };
        session.subscriptions.retain(|it| it.filter != filter);
        for it in session.expected.iter_mut().filter(|it| it.got == 0) {
            if matches(filter, self.messages[it.message].topic) {
                (it.must, it.loose) = (false, true);
            }
        }
        self.forget_empty_shares();
    }

    fn forget_empty_shares(&mut self) {
        let filters: Vec<&str> = self.shared.iter().map(|it| it.filter).collect();
        for filter in filters {
            if self.members(filter).is_empty() {
                self.shared.iter_mut().filter(|it| it.filter == filter).for_each(|it| it.must = false);
            }
        }
    }

    /// A connection has ended. `unacknowledged` are the payloads that its client had not acknowledged.
    pub(super) fn leave(&mut self, who: usize, now_ms: u64, unacknowledged: &[Vec<u8>]) {
        let Some(session) = &mut self.sessions[who] else { return };
        if !session.durable || session.expiry == 0 {
            self.end(who, unacknowledged);
            return;
        }
        session.left_at_ms = Some(now_ms);
        for it in session.expected.iter_mut().filter(|it| it.got == 0) {
            it.must &= it.live;
            if it.qos == 0 {
                (it.left, it.must) = (0, false);
            }
        }
        let owed = |it: &Expected, messages: &[Message]| it.got > 0 || messages[it.message].qos > 0;
        let messages = &self.messages;
        session.expected.retain(|it| owed(it, messages) || it.left > 0);
    }

    /// A session is over.
    pub(super) fn end(&mut self, who: usize, unacknowledged: &[Vec<u8>]) {
        if self.sessions[who].take().is_none() {
            return;
        }
        for it in self.shared.iter_mut().filter(|it| it.members.contains(&who)) {
            let message = &self.messages[it.message];
            // What was under way to it may have got there.
            it.must &= message.qos < 2;
            it.left += u8::from(unacknowledged.contains(&message.payload));
        }
        self.forget_empty_shares();
    }

    /// Sessions whose time is over end.
    pub(super) fn expire(&mut self, now_ms: u64) {
        for who in 0..self.sessions.len() {
            let over = self.sessions[who].as_ref().is_some_and(|session| {
                let ends = |at: u64| at + u64::from(session.expiry) * 1000;
                session.expiry != u32::MAX && session.left_at_ms.is_some_and(|at| ends(at) <= now_ms)
            });
            if over {
                self.end(who, &[]);
            }
        }
    }

    /// The server was killed: what was on its way, and not of QoS 2, may come again.
    pub(super) fn killed(&mut self) {
        for it in self.sessions.iter_mut().flatten().flat_map(|session| &mut session.expected) {
            if it.qos == 1 {
                it.left = 1;
            }
        }
        for it in &mut self.shared {
            it.must = false;
            it.left = it.left.max(u8::from(self.messages[it.message].qos > 0));
        }
    }

    /// A client is sent something that it was not sent before under this packet id.
    pub(super) fn take(&mut self, who: usize, publish: &Publish, v5: bool) -> Result<(), String> {
        let messages = &self.messages;
        let is_it =
            |id: usize| messages[id].topic == publish.topic && messages[id].payload == publish.payload;
        let Some(session) = &mut self.sessions[who] else { return Err("there is no session".to_owned()) };
        // How well it fits; what fits exactly and must come goes first.
        let fits = |it: &Expected| {
            let like = it.qos == publish.qos
                && it.retain == publish.retain
                && (!v5 || publish.dup || it.ids == publish.ids);
            let loosely = it.loose && (it.live || publish.retain);
            let may = it.left > 0 && is_it(it.message) && (like || loosely);
            may.then_some(u8::from(like) << 1 | u8::from(it.must && it.got == 0))
        };
        let fitting = session.expected.iter().enumerate().filter_map(|(at, it)| Some((at, fits(it)?)));
        let found = fitting.rev().max_by_key(|(_, well)| *well).map(|(at, _)| at);
        if let Some(at) = found {
            let it = &mut session.expected[at];
            it.left -= 1;
            it.got += 1;
            let it = it.clone();
            if publish.dup && !session.resumed {
                return Err("DUP is set on what was not sent before".to_owned());
            }
            return if it.got == 1 { session.check_order(&it, messages) } else { Ok(()) };
        }
        let known: Vec<_> = session.expected.iter().filter(|it| is_it(it.message)).cloned().collect();
        let fits = |it: &&Shared| {
            it.left > 0
                && it.members.contains(&who)
                && publish.qos <= messages[it.message].qos
                && is_it(it.message)
        };
        // Of several groups that it may be of, the one whose subscription says so.
        let said =
            |it: &&Shared| self.shared_qos(who, it.filter).min(messages[it.message].qos) == publish.qos;
        let new = |it: &&Shared| it.got == 0 && said(it);
        let found = self.shared.iter().filter(fits).find(new);
        let found = found.or_else(|| self.shared.iter().filter(fits).find(said));
        let found = found.or_else(|| self.shared.iter().find(fits));
        let found = found.map(|it| (it.message, it.filter));
        let shared = self.shared.iter_mut().find(|it| it.left > 0 && Some((it.message, it.filter)) == found);
        let Some(shared) = shared else {
            return Err(format!("it is not to be sent that; expected was {known:?}"));
        };
        shared.left -= 1;
        shared.got += 1;
        Ok(())
    }
}

impl Session {
    /// Messages of one publisher to one topic at one QoS come in order.
    fn check_order(&self, it: &Expected, messages: &[Message]) -> Result<(), String> {
        let key = |it: &Expected| {
            let message = &messages[it.message];
            (message.publisher, message.topic, it.qos, message.qos)
        };
        // A share brings the same messages a second time, in an order of its own.
        let is_shared = |topic: &str| {
            let shares = self.subscriptions.iter().filter_map(|it| shared_filter(it.filter));
            shares.filter(|filter| matches(filter, topic)).count() > 0
        };
        let counts = |it: &Expected| {
            let message = &messages[it.message];
            it.live && !it.loose && message.ordered && !is_shared(message.topic)
        };
        let overtaken = self.expected.iter().find(|other| {
            counts(it)
                && counts(other)
                && other.message > it.message
                && other.got > 0
                && key(other) == key(it)
        });
        overtaken.map_or(Ok(()), |other| {
            let other = &messages[other.message];
            Err(format!("it comes after {}", String::from_utf8_lossy(&other.payload)))
        })
    }
}
