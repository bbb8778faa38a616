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
            in_hand_bytes: AtomicU64::new(0),
            limits,
            drops,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
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
        queue.deliveries.push_back(delivery);
        let waiting = queue.bytes + usize::try_from(self.in_hand_bytes.load(Ordering::Relaxed)).unwrap_or(0);
        if waiting > self.limits.bytes_max || queue.messages > self.limits.messages_max {
            self.shed(&mut queue);
        }
        let crowded = waiting > self.limits.bytes_max / 2 || queue.messages > self.limits.messages_max / 2;
        let acknowledged = queue.deliveries.back().is_some_and(|delivery| delivery.acknowledged);
        drop(queue);
        self.wake();
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
        self.wake();
    }

    fn wake(&self) {
        if !self.filled.swap(true, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

    /// Ready when there is something to take.
    pub(crate) fn poll_filled(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.filled.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        self.waker.register(cx.waker());
        if self.filled.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Moves everything into `deliveries`, which is empty, and gives the kick if there is one.
    pub(crate) fn take(&self, deliveries: &mut VecDeque<Delivery>) -> Option<Kick> {
        let mut queue = self.lock();
        self.filled.store(false, Ordering::Release);
        debug_assert!(deliveries.is_empty(), "what was taken before has been written");
        std::mem::swap(&mut queue.deliveries, deliveries);
        self.in_hand_bytes.fetch_add(queue.bytes as u64, Ordering::Relaxed);
        queue.bytes = 0;
        queue.messages = 0;
        queue.kick.take()
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
