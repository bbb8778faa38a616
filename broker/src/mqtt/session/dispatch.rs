//! From the spine to the outboxes: the reader of the spine that delivers.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;

use super::super::codec::QoS;
use super::super::envelope::{Envelope, SERVER};
use super::Hub;
use super::outbox::{Delivery, Pushed, Via};
use super::samples::Sampler;
use super::session::Session;
use super::share::Share;
use super::state::{Assigned, Op, Place, Sent, State, write_ops};
use super::subscriptions::{Route, Routes, Subscriber, Target};
use super::witness::Witness;
use crate::store::Record;

/// How long a publisher is held up at a time when a subscriber of its is crowded.
const HOLD_MS: u64 = 5;

/// Delivers envelopes to whoever subscribes to their topics.
pub(crate) struct Dispatcher {
    routes: Routes,
    sampler: Sampler,
}

/// How many envelopes were dispatched, for those who wait until what was published before now has been.
#[derive(Debug, Default)]
pub(crate) struct Dispatched {
    count: AtomicU64,
    waiters: AtomicUsize,
    more: Notify,
}

/// Notes that envelopes were dispatched, also where that panicked.
struct Noted<'a> {
    hub: &'a Hub,
    envelopes: usize,
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        self.hub.dispatched.note(self.envelopes);
    }
}

impl Dispatched {
    fn note(&self, envelopes: usize) {
        self.count.fetch_add(envelopes as u64, Ordering::SeqCst);
        if self.waiters.load(Ordering::SeqCst) > 0 {
            self.more.notify_waiters();
        }
    }

    /// Resolves once that many were.
    async fn reached(&self, count: u64) {
        if self.count.load(Ordering::SeqCst) >= count {
            return;
        }
        self.waiters.fetch_add(1, Ordering::SeqCst);
        loop {
            let more = self.more.notified();
            if self.count.load(Ordering::SeqCst) >= count {
                break;
            }
            // Not for ever, whatever holds the dispatcher up.
            if tokio::time::timeout(DISPATCH_PATIENCE, more).await.is_err() {
                break;
            }
        }
        self.waiters.fetch_sub(1, Ordering::SeqCst);
    }
}

/// How long a SUBSCRIBE waits at most for what was published before it.
const DISPATCH_PATIENCE: Duration = Duration::from_secs(1);

/// How often another member of a share is looked for when the one that was picked has just ended.
const PICKS_MAX: usize = 8;

/// Messages of one envelope that follow each other on one topic.
#[derive(Debug, Clone)]
struct Run<'a> {
    envelope: &'a Envelope,
    topic: &'a str,
    range: Range<usize>,
    /// The highest QoS among them.
    qos: QoS,
}

impl Dispatcher {
    pub(crate) fn new(hub: &Hub) -> Dispatcher {
        let sampler = Sampler::new(&hub.samples, u64::from_ne_bytes(crate::random::array()));
        Dispatcher { routes: Routes::new(Arc::clone(&hub.subscriptions)), sampler }
    }

    pub(crate) fn deliver(&mut self, hub: &Hub, envelopes: &[Envelope]) {
        let _noted = Noted { hub, envelopes: envelopes.len() };
        for envelope in envelopes {
            let mut witness = self.sampler.witness(envelope);
            self.deliver_one(hub, envelope, witness.as_mut());
            if let Some(seq) = envelope.log_seq() {
                hub.dispatched_through.store(seq, Ordering::Release);
            }
        }
    }

    fn deliver_one(&mut self, hub: &Hub, envelope: &Envelope, mut witness: Option<&mut Witness>) {
        let mut crowded = false;
        let mut first = 0;
        while first < envelope.len() {
            let run = run_from(envelope, first);
            first = run.range.end;
            // Retained first: who subscribes in between gets a message twice rather than not at all.
            if envelope.has_retained() {
                hub.retain(envelope, run.range.clone());
            }
            let route = self.routes.find(run.topic.as_bytes());
            if let Some(witness) = &mut witness {
                witness.begin(hub, run.topic, &run.range, &route);
            }
            crowded |= hub.fan_out(&run, &route);
            for share in &route.shares {
                crowded |= hub.share_out(share, &run, witness.as_deref_mut());
            }
            if let Some(witness) = &mut witness {
                witness.end(hub, envelope, &run.range);
            }
        }
        if crowded
            && envelope.publisher() != SERVER
            && let Some(publisher) = hub.registry.connection(envelope.publisher())
        {
            hub.telemetry.throttles_total.add(1);
            publisher.hold_until(hub.clock.now_ms() + HOLD_MS);
        }
    }
}

fn run_from(envelope: &Envelope, first: usize) -> Run<'_> {
    let message = envelope.message(first);
    let topic = message.topic_bytes();
    let mut qos = message.marks().qos;
    let mut end = first + 1;
    while end < envelope.len() {
        let next = envelope.message(end);
        if next.topic_bytes() != topic {
            break;
        }
        qos = qos.max(next.marks().qos);
        end += 1;
    }
    Run { envelope, topic: message.topic(), range: first..end, qos }
}

fn push(target: &Target, run: &Run<'_>) -> Pushed {
    let delivery = Delivery {
        envelope: run.envelope.clone(),
        first: u32::try_from(run.range.start).unwrap_or(u32::MAX),
        count: u32::try_from(run.range.len()).unwrap_or(u32::MAX),
        qos_max: target.qos,
        acknowledged: run.qos.min(target.qos) > QoS::AtMostOnce,
        retain_as_published: target.retain_as_published,
        via: Via::Subscription,
        share: None,
        subscription_ids: target.subscription_ids.clone(),
    };
    target.session.outbox.push(delivery)
}

/// Whether the client published the envelope. Lifecycle events are of the server, though they bear a client id.
pub(super) fn is_publisher(envelope: &Envelope, client_id: &str) -> bool {
    envelope.publisher() != SERVER && envelope.client_id() == client_id
}

impl Hub {
    /// Resolves once everything published before now has been dispatched: whoever subscribes afterwards is sent nothing
    /// that was acknowledged before.
    pub(super) async fn dispatched_until_now(&self) {
        let published = self.spine.stats().published;
        self.dispatched.reached(published - self.published_before).await;
    }

    /// Gives the messages of a run to everybody whose subscriptions match.
    fn fan_out(&self, run: &Run<'_>, route: &Route) -> bool {
        let mut crowded = false;
        for target in &route.targets {
            let pushed = if target.no_local && is_publisher(run.envelope, &target.session.client_id) {
                let own = self.subscriptions.target_of(&target.session, run.topic, true);
                own.map_or(Pushed::Gone, |own| push(&own, run))
            } else {
                push(target, run)
            };
            match pushed {
                Pushed::Crowded => crowded = true,
                Pushed::Owed => target.session.touch(),
                Pushed::Queued | Pushed::Gone => {}
            }
        }
        crowded
    }

    /// Gives the messages of a run to members of a share in turn.
    fn share_out(&self, share: &Arc<Share>, run: &Run<'_>, mut witness: Option<&mut Witness>) -> bool {
        let pieces = share.ready().clamp(1, run.range.len());
        let step = run.range.len().div_ceil(pieces);
        let mut crowded = false;
        for first in run.range.clone().step_by(step) {
            let end = (first + step).min(run.range.end);
            let piece = Run { range: first..end, ..run.clone() };
            crowded |= self.give_to_one(share, &piece, None, witness.as_deref_mut());
        }
        crowded
    }

    /// Gives messages to a member of a share, but if possible not to the one that has left. One that has ended since it
    /// was picked is not picked again.
    fn give_to_one(
        &self,
        share: &Arc<Share>,
        run: &Run<'_>,
        left: Option<&Session>,
        witness: Option<&mut Witness>,
    ) -> bool {
        for _ in 0..PICKS_MAX {
            let Some(member) = share.pick(run.topic, left.map(|left| left.number)) else { break };
            if left.is_some_and(|left| left.number == member.session.number) {
                // Nobody else: it waits for its client, as it is assigned to it.
                return false;
            }
            match self.give(&member, share, run, left) {
                Pushed::Gone => {}
                pushed => {
                    if let Some(witness) = witness {
                        witness.given(run.range.clone(), &member.session);
                    }
                    return pushed == Pushed::Crowded;
                }
            }
        }
        self.telemetry.drops.offline.add(run.range.len() as u64);
        false
    }

    /// Gives messages to a member of a share; they are gone if that has ended.
    fn give(&self, member: &Subscriber, share: &Arc<Share>, run: &Run<'_>, left: Option<&Session>) -> Pushed {
        let delivery = Delivery {
            envelope: run.envelope.clone(),
            first: u32::try_from(run.range.start).unwrap_or(u32::MAX),
            count: u32::try_from(run.range.len()).unwrap_or(u32::MAX),
            qos_max: member.qos,
            acknowledged: run.qos.min(member.qos) > QoS::AtMostOnce,
            retain_as_published: member.retain_as_published,
            via: Via::Share,
            share: Some(Arc::clone(share)),
            subscription_ids: member.subscription_id.into_iter().collect(),
        };
        let logged = run.envelope.log_seq().filter(|_| delivery.acknowledged && member.session.durable);
        let Some(seq) = logged else {
            if let Some(left) = left {
                self.take_back(left, run);
            }
            let durable = member.session.durable;
            return match member.session.outbox.push(delivery) {
                // It is away, and of what is not in the log nothing is kept for it.
                Pushed::Gone if durable => Pushed::Queued,
                pushed => pushed,
            };
        };
        // Whose it is must be known after a crash, or two members would be sent it.
        let assigned = Assigned {
            place: Place::of(run.envelope, run.range.start),
            count: delivery.count,
            qos: member.qos,
            subscription_id: member.subscription_id,
        };
        let from = left.filter(|left| left.durable);
        let (mut state, mut state_before) = lock_both(&member.session, from);
        if state.over {
            return Pushed::Gone;
        }
        let op = Op::Assigned(assigned);
        let mut sessions = Vec::new();
        write_ops(&mut sessions, &member.session.client_id, std::slice::from_ref(&op));
        // In one record: after a crash it is the one's or the other's, and not both's or nobody's. What has ended has none,
        // and its client may be the member by a session that is new.
        if let (Some(from), Some(before)) = (from, &mut state_before)
            && !before.over
        {
            let back = taken_back(run);
            write_ops(&mut sessions, &from.client_id, std::slice::from_ref(&back));
            before.apply(&back, seq);
            from.touch();
        }
        let record = Record { sessions: sessions.into(), ..Record::default() };
        let _unawaited = self.store.append(record);
        drop(state_before);
        state.apply(&op, seq);
        member.session.touch();
        // Under the lock: who takes the session up sees it either assigned or queued.
        match member.session.outbox.push(delivery) {
            // It is away, and has them assigned.
            Pushed::Gone => Pushed::Queued,
            pushed => pushed,
        }
    }

    /// Finds other members for what one that left was to deliver.
    pub(super) fn share_again(&self, left: &Session, deliveries: Vec<Delivery>) {
        for delivery in deliveries {
            let Some(share) = delivery.share.clone() else { continue };
            let range = delivery.first as usize..(delivery.first + delivery.count) as usize;
            let topic = delivery.envelope.message(range.start).topic();
            let qos = range.clone().map(|index| delivery.envelope.message(index).marks().qos).max();
            let qos = qos.unwrap_or(QoS::AtMostOnce);
            let run = Run { envelope: &delivery.envelope, topic, range, qos };
            self.give_to_one(&share, &run, Some(left), None);
        }
    }

    /// Notes that shared messages are not this session's to deliver any more.
    fn take_back(&self, session: &Session, run: &Run<'_>) {
        let Some(seq) = run.envelope.log_seq().filter(|_| session.durable) else { return };
        let op = taken_back(run);
        let mut state = session.state();
        if state.over {
            return;
        }
        let _unawaited = self.append_ops(&session.client_id, std::slice::from_ref(&op));
        state.apply(&op, seq);
        session.touch();
    }
}

/// Messages that a member is not to deliver any more, and nobody is until they are assigned anew.
fn taken_back(run: &Run<'_>) -> Op {
    let places = run.range.clone().map(|index| Place::of(run.envelope, index));
    Op::Sent(places.map(Sent::taken_back).collect())
}

/// The states of one session and of another, if there is one: locked in the order of their numbers, so that nobody who
/// locks both waits for ever.
fn lock_both<'a>(
    one: &'a Session,
    other: Option<&'a Session>,
) -> (MutexGuard<'a, State>, Option<MutexGuard<'a, State>>) {
    match other {
        Some(other) if other.number < one.number => {
            let first = other.state();
            (one.state(), Some(first))
        }
        other => (one.state(), other.map(Session::state)),
    }
}
