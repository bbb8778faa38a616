//! What waits to be written to one connection.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use smallvec::SmallVec;

use super::super::codec::{QoS, Reason};
use super::super::envelope::Envelope;
use crate::telemetry::Drops;

/// A run of consecutive messages of one envelope for one subscriber.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) envelope: Envelope,
    pub(crate) first: u32,
    pub(crate) count: u32,
    /// The highest quality of service that the subscription wants.
    pub(crate) qos_max: QoS,
    /// Some message of the run has a higher QoS than 0, and so does the subscription.
    pub(crate) acknowledged: bool,
    pub(crate) retain_as_published: bool,
    pub(crate) subscription_ids: SmallVec<[u32; 2]>,
}

impl Delivery {
    /// Whether `next` is the run behind this one, for the same subscriptions.
    fn is_continued_by(&self, next: &Delivery) -> bool {
        self.envelope.is_same(&next.envelope)
            && self.first + self.count == next.first
            && self.qos_max == next.qos_max
            && self.acknowledged == next.acknowledged
            && self.retain_as_published == next.retain_as_published
            && self.subscription_ids == next.subscription_ids
    }

    /// Bytes it takes on the way out, near enough.
    pub(crate) fn bytes(&self) -> usize {
        self.envelope.frames_len(self.first as usize, self.count as usize)
    }
}

/// Why somebody else ends a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kick {
    /// What an MQTT 5 client is told.
    pub(crate) reason: Reason,
    /// The words with it.
    pub(crate) detail: &'static str,
    /// The `disconnectReason` of the lifecycle event.
    pub(crate) lifecycle: &'static str,
}

/// Bounds of one outbox.
#[derive(Debug, Clone, Copy)]
pub struct OutboxLimits {
    /// Bytes that may wait.
    pub bytes_max: usize,
    /// Messages that may wait.
    pub messages_max: usize,
}

/// What waits for one connection; filled by the dispatcher, emptied by the connection.
#[derive(Debug)]
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    waker: AtomicWaker,
    /// Whether the queue has something, to be read without the lock.
    filled: AtomicBool,
    /// Whether the connection is to be ended, likewise.
    kicked: AtomicBool,
    /// Bytes handed to the connection and not yet written by it.
    in_hand_bytes: AtomicU64,
    limits: OutboxLimits,
    drops: Arc<Drops>,
}

#[derive(Debug, Default)]
struct Queue {
    deliveries: VecDeque<Delivery>,
    bytes: usize,
    messages: usize,
    kick: Option<Kick>,
    closed: bool,
}

impl Queue {
    /// Puts a delivery at the end, as part of the last one where it continues it.
    fn add(&mut self, delivery: Delivery) {
        match self.deliveries.back_mut() {
            Some(last) if last.is_continued_by(&delivery) => last.count += delivery.count,
            _ => self.deliveries.push_back(delivery),
        }
    }
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It waits.
    Queued,
    /// It waits, and so much with it that whoever publishes should slow down.
    Crowded,
}

impl Outbox {
    pub(crate) fn new(limits: OutboxLimits, drops: Arc<Drops>) -> Outbox {
        Outbox {
            queue: Mutex::default(),
            waker: AtomicWaker::new(),
            filled: AtomicBool::new(false),
            kicked: AtomicBool::new(false),
            in_hand_bytes: AtomicU64::new(0),
            limits,
            drops,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many messages and bytes wait here and in the connection's hand.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        let queue = self.lock();
        let in_hand = usize::try_from(self.in_hand_bytes.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        (queue.messages, queue.bytes.saturating_add(in_hand))
    }

    /// Adds a delivery. Where the limits are reached, the oldest that may be lost (QoS 0) give way; if none may, the
    /// consumer is hopeless and the connection is ended.
    pub(crate) fn push(&self, delivery: Delivery) -> Pushed {
        let mut queue = self.lock();
        if queue.closed {
            return Pushed::Queued;
        }
        queue.bytes += delivery.bytes();
        queue.messages += delivery.count as usize;
        let acknowledged = delivery.acknowledged;
        queue.add(delivery);
        let waiting = queue.bytes + usize::try_from(self.in_hand_bytes.load(Ordering::Relaxed)).unwrap_or(0);
        if waiting > self.limits.bytes_max || queue.messages > self.limits.messages_max {
            self.shed(&mut queue);
        }
        let crowded = waiting > self.limits.bytes_max / 2 || queue.messages > self.limits.messages_max / 2;
        let hopeless = queue.kick.is_some();
        drop(queue);
        if hopeless {
            self.wake_to_kick();
        } else if !self.filled.swap(true, Ordering::AcqRel) {
            self.waker.wake();
        }
        if crowded && acknowledged { Pushed::Crowded } else { Pushed::Queued }
    }

    fn shed(&self, queue: &mut Queue) {
        let (bytes_max, messages_max) = (self.limits.bytes_max / 2, self.limits.messages_max / 2);
        let mut kept = VecDeque::with_capacity(queue.deliveries.len());
        while let Some(delivery) = queue.deliveries.pop_front() {
            let enough = queue.bytes <= bytes_max && queue.messages <= messages_max;
            if enough || delivery.acknowledged {
                kept.push_back(delivery);
            } else {
                queue.bytes -= delivery.bytes();
                queue.messages -= delivery.count as usize;
                self.drops.slow_consumer.add(u64::from(delivery.count));
            }
        }
        queue.deliveries = kept;
        if queue.bytes > self.limits.bytes_max || queue.messages > self.limits.messages_max {
            queue.kick = Some(Kick {
                reason: Reason::QuotaExceeded,
                detail: "too many messages wait for this client to read them",
                lifecycle: "THROTTLED",
            });
        }
    }

    /// Ends the connection, with a reason.
    pub(crate) fn kick(&self, kick: Kick) {
        self.lock().kick.get_or_insert(kick);
        self.wake_to_kick();
    }

    /// Wakes the connection though it may take nothing: one whose peer does not read is ended all the same.
    fn wake_to_kick(&self) {
        self.kicked.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Ready when the connection is to be ended, or, if it takes deliveries now, when there are some.
    pub(crate) fn poll_ready(&self, cx: &mut Context<'_>, takes: bool) -> Poll<()> {
        let ready = || self.kicked.load(Ordering::Acquire) || takes && self.filled.load(Ordering::Acquire);
        if ready() {
            return Poll::Ready(());
        }
        self.waker.register(cx.waker());
        if ready() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Why the connection is to be ended, if it is.
    pub(crate) fn take_kick(&self) -> Option<Kick> {
        if self.kicked.load(Ordering::Acquire) { self.lock().kick.take() } else { None }
    }

    /// Moves everything into `deliveries`, which is empty.
    pub(crate) fn take(&self, deliveries: &mut VecDeque<Delivery>) {
        let mut queue = self.lock();
        self.filled.store(false, Ordering::Release);
        debug_assert!(deliveries.is_empty(), "what was taken before has been written");
        std::mem::swap(&mut queue.deliveries, deliveries);
        self.in_hand_bytes.fetch_add(queue.bytes as u64, Ordering::Relaxed);
        queue.bytes = 0;
        queue.messages = 0;
    }

    /// Notes that bytes taken before have been written.
    pub(crate) fn written(&self, bytes: usize) {
        self.in_hand_bytes.fetch_sub(bytes as u64, Ordering::Relaxed);
    }

    /// Takes nothing more.
    pub(crate) fn close(&self) {
        let mut queue = self.lock();
        queue.closed = true;
        queue.deliveries = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::{EnvelopeBuilder, Interest, Marks, Origin, SERVER};
    use futures_util::task::noop_waker_ref;
    use pointsman_rules::EventId;

    const LIMITS: OutboxLimits = OutboxLimits { bytes_max: 1_000_000, messages_max: 10 };

    fn envelope(count: usize) -> Envelope {
        let mut builder = EnvelopeBuilder::default();
        for number in 0..count {
            let marks = Marks { qos: QoS::AtLeastOnce, retain: false, interest: Interest::default() };
            builder.push("t", &[u8::try_from(number).unwrap()], &[], marks);
        }
        let first_id = EventId::from_u128(1);
        builder.seal(&Origin { publisher: SERVER, client_id: "", user: None, hops: 0, first_id })
    }

    fn delivery(envelope: &Envelope, first: u32, acknowledged: bool) -> Delivery {
        Delivery {
            envelope: envelope.clone(),
            first,
            count: 1,
            qos_max: QoS::AtLeastOnce,
            acknowledged,
            retain_as_published: false,
            subscription_ids: SmallVec::new(),
        }
    }

    fn is_ready(outbox: &Outbox, takes: bool) -> bool {
        outbox.poll_ready(&mut Context::from_waker(noop_waker_ref()), takes).is_ready()
    }

    #[test]
    fn runs_that_continue_each_other_become_one() {
        let outbox = Outbox::new(LIMITS, Arc::default());
        let envelope = envelope(4);
        for first in [0, 1, 3] {
            outbox.push(delivery(&envelope, first, false));
        }
        let mut taken = VecDeque::new();
        outbox.take(&mut taken);
        let runs: Vec<(u32, u32)> = taken.iter().map(|run| (run.first, run.count)).collect();
        assert_eq!(runs, [(0, 2), (3, 1)]);
    }

    #[test]
    fn beyond_the_limit_the_oldest_that_may_be_lost_go_first() {
        let drops: Arc<Drops> = Arc::default();
        let outbox = Outbox::new(LIMITS, Arc::clone(&drops));
        for number in 0..11 {
            outbox.push(delivery(&envelope(1), 0, number == 0));
        }
        let mut taken = VecDeque::new();
        outbox.take(&mut taken);
        assert!(taken[0].acknowledged, "what was promised stays, though it is the oldest");
        assert_eq!(drops.slow_consumer.get() + taken.len() as u64, 11);
        assert!(taken.len() <= LIMITS.messages_max && outbox.take_kick().is_none());
    }

    #[test]
    fn a_client_whose_promised_messages_exceed_the_limit_is_ended_though_it_takes_nothing() {
        let outbox = Outbox::new(LIMITS, Arc::default());
        let pushed: Vec<Pushed> = (0..11).map(|_| outbox.push(delivery(&envelope(1), 0, true))).collect();
        assert_eq!((pushed[0], pushed[6]), (Pushed::Queued, Pushed::Crowded), "publishers slow down before");
        assert!(is_ready(&outbox, false));
        assert_eq!(outbox.take_kick().unwrap().reason, Reason::QuotaExceeded);
    }

    #[test]
    fn a_connection_that_takes_nothing_sleeps_until_it_is_kicked() {
        let outbox = Outbox::new(LIMITS, Arc::default());
        outbox.push(delivery(&envelope(1), 0, false));
        assert!(!is_ready(&outbox, false) && is_ready(&outbox, true));
        outbox.kick(Kick { reason: Reason::SessionTakenOver, detail: "", lifecycle: "DUPLICATE_CLIENTID" });
        assert!(is_ready(&outbox, false));
    }
}
