//! What waits to be sent to one session.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use smallvec::SmallVec;

use super::super::codec::QoS;
use super::super::envelope::Envelope;
use super::share::Share;
use crate::store::Seq;
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
    pub(crate) via: Via,
    /// The shared subscription, where it is to be given to another member if this one leaves.
    pub(crate) share: Option<Arc<Share>>,
    pub(crate) subscription_ids: SmallVec<[u32; 2]>,
}

/// By which way a delivery comes to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Via {
    /// By its subscriptions, as it was published.
    Subscription,
    /// By a shared subscription.
    Share,
    /// As a retained message, when the subscription was made.
    Retained,
}

impl Delivery {
    /// Whether `next` is the run behind this one, for the same subscriptions.
    pub(super) fn is_continued_by(&self, next: &Delivery) -> bool {
        self.envelope.is_same(&next.envelope)
            && self.first + self.count == next.first
            && self.qos_max == next.qos_max
            && self.acknowledged == next.acknowledged
            && self.retain_as_published == next.retain_as_published
            && self.via == next.via
            && self.share.as_ref().map(Arc::as_ptr) == next.share.as_ref().map(Arc::as_ptr)
            && self.subscription_ids == next.subscription_ids
    }

    /// Bytes it takes on the way out, near enough.
    pub(crate) fn bytes(&self) -> usize {
        self.envelope.frames_len(self.first as usize, self.count as usize)
    }

    /// The record it can be read from again, if it is owed to a session that outlives its connection.
    fn logged(&self) -> Option<Seq> {
        if self.acknowledged && self.via == Via::Subscription { self.envelope.log_seq() } else { None }
    }
}

/// Bounds of one outbox.
#[derive(Debug, Clone, Copy)]
pub struct OutboxLimits {
    /// Bytes that may wait.
    pub bytes_max: usize,
    /// Messages that may wait.
    pub messages_max: usize,
}

/// What waits for one session; filled by the dispatcher, emptied by the session's connection.
///
/// What is in the log waits there and not here whenever it would pile up: while a session that outlives its connections
/// has none, and when its connection is too slow. It is then fed from the log until it has caught up.
#[derive(Debug)]
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    waker: AtomicWaker,
    /// Whether the queue has something, to be read without the lock.
    filled: AtomicBool,
    /// Bytes handed to the connection and not yet written by it.
    in_hand_bytes: AtomicU64,
    /// Whether it outlives its connection.
    durable: bool,
    limits: OutboxLimits,
    drops: Arc<Drops>,
}

#[derive(Debug, Default)]
struct Queue {
    deliveries: VecDeque<Delivery>,
    bytes: usize,
    messages: usize,
    /// It takes more than it may, and nothing of it may be lost.
    hopeless: bool,
    /// Whether there is a connection.
    attached: bool,
    feed: Feed,
    /// The first record that may hold something this session was to be sent and was not.
    owed_from: Option<Seq>,
    /// The last record that was left in the log instead of being queued.
    skipped_through: Seq,
}

/// Where a session's logged messages come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Feed {
    /// From the dispatcher, but for records up to this one, which were read from the log.
    Live { after: Seq },
    /// From the log.
    Log,
}

impl Default for Feed {
    fn default() -> Feed {
        Feed::Live { after: 0 }
    }
}

impl Queue {
    /// Puts a delivery at the end, as part of the last one where it continues it.
    fn add(&mut self, delivery: Delivery) {
        self.bytes += delivery.bytes();
        self.messages += delivery.count as usize;
        match self.deliveries.back_mut() {
            Some(last) if last.is_continued_by(&delivery) => last.count += delivery.count,
            _ => self.deliveries.push_back(delivery),
        }
    }

    /// Leaves record `seq` in the log.
    fn skip(&mut self, seq: Seq) {
        self.owed_from = Some(self.owed_from.map_or(seq, |from| from.min(seq)));
        self.skipped_through = self.skipped_through.max(seq);
    }

    /// Leaves everything that is in the log there.
    fn leave_in_log(&mut self, deliveries: &mut VecDeque<Delivery>) {
        self.feed = Feed::Log;
        deliveries.retain(|delivery| match delivery.logged() {
            Some(seq) => {
                self.skip(seq);
                false
            }
            None => true,
        });
    }

    fn count_again(&mut self) {
        self.bytes = self.deliveries.iter().map(Delivery::bytes).sum();
        self.messages = self.deliveries.iter().map(|delivery| delivery.count as usize).sum();
    }
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It waits, here or in the log.
    Queued,
    /// It waits, and so much with it that whoever publishes should slow down.
    Crowded,
    /// It waits, and is the first of what this session would have to read from the log after a crash.
    Owed,
    /// There is nobody to give it to.
    Gone,
}

/// What a connection is to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Wait for what the dispatcher brings.
    Live,
    /// Read the log from this record on, unless it is ahead of that already.
    Log {
        /// The first record.
        from: Seq,
        /// The last that is known to hold something.
        through: Seq,
    },
}

impl Outbox {
    pub(crate) fn new(durable: bool, limits: OutboxLimits, drops: Arc<Drops>) -> Outbox {
        Outbox {
            queue: Mutex::default(),
            waker: AtomicWaker::new(),
            filled: AtomicBool::new(false),
            in_hand_bytes: AtomicU64::new(0),
            durable,
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

    /// Adds a delivery. Where the limits are reached, what is in the log is left there, then the oldest that may be lost
    /// (QoS 0) give way; if none may, the consumer is hopeless and the connection is ended.
    pub(crate) fn push(&self, delivery: Delivery) -> Pushed {
        let mut queue = self.lock();
        let logged = if self.durable { delivery.logged() } else { None };
        match (logged, queue.feed) {
            (Some(seq), Feed::Log) => {
                let first = queue.owed_from.is_none();
                queue.skip(seq);
                self.add_unlogged(queue, &delivery);
                return if first { Pushed::Owed } else { Pushed::Queued };
            }
            (Some(seq), Feed::Live { after }) if seq <= after => {
                self.add_unlogged(queue, &delivery);
                return Pushed::Queued;
            }
            // Its session has it assigned.
            _ if !queue.attached && self.durable && delivery.via == Via::Share => return Pushed::Gone,
            _ if !queue.attached => {
                self.drops.offline.add(u64::from(delivery.count));
                return Pushed::Gone;
            }
            _ => {}
        }
        let first = logged.is_some() && queue.owed_from.is_none();
        if let Some(seq) = logged {
            queue.owed_from.get_or_insert(seq);
        }
        let acknowledged = delivery.acknowledged;
        queue.add(delivery);
        let in_hand = usize::try_from(self.in_hand_bytes.load(Ordering::Relaxed)).unwrap_or(0);
        let waiting = queue.bytes + in_hand;
        if waiting > self.limits.bytes_max || queue.messages > self.limits.messages_max {
            self.shed(&mut queue);
        }
        let crowded = !self.durable
            && (waiting > self.limits.bytes_max / 2 || queue.messages > self.limits.messages_max / 2);
        let hopeless = queue.hopeless;
        drop(queue);
        if hopeless || !self.filled.swap(true, Ordering::AcqRel) {
            self.waker.wake();
        }
        match (first, crowded && acknowledged) {
            // It is not sent yet, so its place must be in the session's row before the log is read from behind it.
            (true, _) => Pushed::Owed,
            (false, true) => Pushed::Crowded,
            (false, false) => Pushed::Queued,
        }
    }

    /// Adds what of a run that is read from the log is not found there: messages of QoS 0, for a client that is connected.
    fn add_unlogged(&self, mut queue: MutexGuard<'_, Queue>, run: &Delivery) {
        if !queue.attached {
            return;
        }
        let unlogged = (run.first..run.first + run.count)
            .filter(|index| run.envelope.message(*index as usize).marks().qos == QoS::AtMostOnce);
        for first in unlogged {
            queue.add(Delivery { first, count: 1, acknowledged: false, ..run.clone() });
        }
        if queue.bytes > self.limits.bytes_max || queue.messages > self.limits.messages_max {
            self.shed(&mut queue);
        }
        let any = !queue.deliveries.is_empty();
        drop(queue);
        if any && !self.filled.swap(true, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

    fn shed(&self, queue: &mut Queue) {
        if self.durable {
            let mut deliveries = std::mem::take(&mut queue.deliveries);
            queue.leave_in_log(&mut deliveries);
            queue.deliveries = deliveries;
            queue.count_again();
        }
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
        queue.hopeless = queue.bytes > self.limits.bytes_max || queue.messages > self.limits.messages_max;
    }

    /// Gives back what room nothing waits in.
    pub(crate) fn shrink(&self) {
        self.lock().deliveries.shrink_to_fit();
    }

    /// Ready when there are deliveries and the connection takes some now, or when it is hopelessly behind.
    pub(crate) fn poll_ready(&self, cx: &mut Context<'_>, takes: bool) -> Poll<()> {
        if takes && self.filled.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        self.waker.register(cx.waker());
        if takes && self.filled.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Whether more waits than may, of what may not be lost.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.filled.load(Ordering::Acquire) && self.lock().hopeless
    }

    /// Moves everything into `deliveries`, which is empty, and says where more comes from.
    pub(crate) fn take(&self, deliveries: &mut VecDeque<Delivery>) -> Source {
        let mut queue = self.lock();
        self.filled.store(false, Ordering::Release);
        debug_assert!(deliveries.is_empty(), "what was taken before has been written");
        std::mem::swap(&mut queue.deliveries, deliveries);
        self.in_hand_bytes.fetch_add(queue.bytes as u64, Ordering::Relaxed);
        queue.bytes = 0;
        queue.messages = 0;
        match (queue.feed, queue.owed_from) {
            (Feed::Log, Some(from)) => Source::Log { from, through: queue.skipped_through },
            (Feed::Log, None) => {
                queue.feed = Feed::Live { after: 0 };
                Source::Live
            }
            (Feed::Live { .. }, _) => {
                if self.durable {
                    queue.owed_from = deliveries.iter().find_map(Delivery::logged);
                }
                Source::Live
            }
        }
    }

    /// Notes that everything taken has been sent, so that nothing is owed unless more has come.
    pub(crate) fn sent_all(&self) {
        let mut queue = self.lock();
        if queue.deliveries.is_empty() && matches!(queue.feed, Feed::Live { .. }) {
            queue.owed_from = None;
        }
    }

    /// Says that the log was read up to and with record `through`, and what was found was sent. Gives where more comes
    /// from: the dispatcher, if nothing was left in the log behind that.
    pub(crate) fn caught_up(&self, through: Seq) -> Source {
        let mut queue = self.lock();
        if queue.feed != Feed::Log {
            return Source::Live;
        }
        if queue.skipped_through <= through {
            queue.owed_from = None;
            queue.feed = Feed::Live { after: through };
            return Source::Live;
        }
        queue.owed_from = Some(through + 1);
        Source::Log { from: through + 1, through: queue.skipped_through }
    }

    /// Notes that the connection has something in hand that was not taken from here.
    pub(crate) fn took(&self, bytes: usize) {
        self.in_hand_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Notes that bytes taken before have been written.
    pub(crate) fn written(&self, bytes: usize) {
        self.in_hand_bytes.fetch_sub(bytes as u64, Ordering::Relaxed);
    }

    /// Has a connection. Whatever is owed is to be read from the log.
    pub(crate) fn attach(&self) {
        let mut queue = self.lock();
        queue.attached = true;
        queue.hopeless = false;
        self.in_hand_bytes.store(0, Ordering::Relaxed);
        // So that the connection looks where its messages come from.
        self.filled.store(true, Ordering::Release);
    }

    /// Has no connection any more. `in_hand` is what that had taken and not sent. Gives back what is shared and not sent.
    pub(crate) fn detach(&self, mut in_hand: VecDeque<Delivery>) -> Vec<Delivery> {
        let mut queue = self.lock();
        queue.attached = false;
        let mut queued = std::mem::take(&mut queue.deliveries);
        in_hand.append(&mut queued);
        let (shared, mut own): (VecDeque<Delivery>, VecDeque<Delivery>) =
            in_hand.into_iter().partition(|delivery| delivery.via == Via::Share);
        if self.durable {
            queue.leave_in_log(&mut own);
        }
        queue.bytes = 0;
        queue.messages = 0;
        self.in_hand_bytes.store(0, Ordering::Relaxed);
        shared.into()
    }

    /// Whether there is a connection.
    pub(crate) fn is_attached(&self) -> bool {
        self.lock().attached
    }

    /// Whether a connection takes deliveries and is not far behind.
    pub(crate) fn is_ready(&self) -> bool {
        let queue = self.lock();
        let roomy =
            queue.messages <= self.limits.messages_max / 2 && queue.bytes <= self.limits.bytes_max / 2;
        queue.attached && roomy
    }

    /// The first record that may hold something owed.
    pub(crate) fn owed_from(&self) -> Option<Seq> {
        self.lock().owed_from
    }

    /// At a start: notes that record `seq` holds something for the session.
    pub(crate) fn owe(&self, seq: Seq) {
        self.lock().skip(seq);
    }

    /// At a start: what a session was owed when its row was written.
    pub(crate) fn restore(&self, owed_from: Option<Seq>, skipped_through: Seq) {
        let mut queue = self.lock();
        queue.feed = Feed::Log;
        queue.owed_from = owed_from;
        queue.skipped_through = skipped_through;
    }
}

#[cfg(test)]
mod tests;
