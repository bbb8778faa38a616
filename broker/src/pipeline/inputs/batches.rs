//! Messages that a rule takes several at a time: they grow here into a batch, which then is a unit of work.

mod growing;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use pointsman_rules::BatchLimits;

use crate::mqtt::Envelope;
use crate::pipeline::rules::active::ActiveRule;
use crate::pipeline::turns::lanes::Key;
use crate::pipeline::turns::unit::{Events, Unit};
use crate::pipeline::{Pipeline, monotonic, spawn};
use crate::store::Seq;

pub(in crate::pipeline) use growing::{Growing, Grown};

/// Messages that may be in growing batches; beyond, all batches are complete as they are.
pub(in crate::pipeline) const WAITING_MAX: usize = 100_000;
/// Without batches the thread looks this often whether it is still needed.
const REST: Duration = Duration::from_secs(1);

/// A message of a batch, and its place in the log if its rule was promised it.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) envelope: Envelope,
    pub(crate) index: u32,
    pub(crate) promised: Option<Seq>,
}

/// All batches that grow.
#[derive(Debug, Default)]
pub(in crate::pipeline) struct Batches {
    inner: Mutex<Inner>,
    /// A batch is to be complete earlier than any before, or no more come.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    growing: HashMap<Which, Dated>,
    waiting: usize,
    closed: bool,
}

/// The version of a rule, its trigger, and what keeps its events in order.
type Which = (usize, usize, Key);

/// A batch, and when it is complete at the latest.
#[derive(Debug)]
struct Dated {
    rule: Arc<ActiveRule>,
    batch: Growing<Item>,
    due: Duration,
}

impl Batches {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Messages that wait for their batch to be complete.
    pub(in crate::pipeline) fn waiting(&self) -> usize {
        self.lock().waiting
    }
}

impl Pipeline {
    /// Adds a message to the batch of a trigger, and queues the batch if it is complete.
    pub(in crate::pipeline) fn add_to_batch(
        &self,
        rule: &Arc<ActiveRule>,
        trigger: usize,
        key: Key,
        limits: BatchLimits,
        item: Item,
    ) {
        if let Some(seq) = item.promised {
            self.progress.add(seq, 1);
        }
        let bytes = item.envelope.message(item.index as usize).payload().len();
        let mut inner = self.batches.lock();
        inner.waiting += 1;
        let full = inner.waiting > WAITING_MAX;
        let which = (Arc::as_ptr(rule).addr(), trigger, key);
        let entry = inner.growing.entry(which);
        let is_new = matches!(entry, Entry::Vacant(_));
        let dated = entry.or_insert_with(|| Dated {
            rule: Arc::clone(rule),
            batch: Growing::default(),
            due: monotonic() + limits.delay_max,
        });
        let grown = dated.batch.add(item, bytes, &limits);
        if let Some(items) = grown.before {
            dated.due = monotonic() + limits.delay_max;
            self.queue_batch(&mut inner, rule, trigger, key, items);
        }
        if let Some(items) = grown.full {
            inner.growing.remove(&which);
            self.queue_batch(&mut inner, rule, trigger, key, items);
        } else if full {
            self.complete_batches(&mut inner, Duration::MAX);
        } else if is_new {
            self.batches.changed.notify_all();
        }
    }

    /// Queues what is due. The lock is held meanwhile, so that the batches of a key are queued in order.
    fn complete_batches(&self, inner: &mut Inner, now: Duration) -> Option<Duration> {
        let due: Vec<Which> =
            inner.growing.iter().filter(|(_, batch)| batch.due <= now).map(|(which, _)| *which).collect();
        for which in due {
            if let Some(mut dated) = inner.growing.remove(&which) {
                let (_, trigger, key) = which;
                self.queue_batch(inner, &dated.rule, trigger, key, dated.batch.take());
            }
        }
        inner.growing.values().map(|batch| batch.due).min()
    }

    fn queue_batch(
        &self,
        inner: &mut Inner,
        rule: &Arc<ActiveRule>,
        trigger: usize,
        key: Key,
        items: Vec<Item>,
    ) {
        inner.waiting -= items.len();
        let hops = items.iter().map(|item| item.envelope.hops()).max().unwrap_or_default();
        let events = Events::Batch(items, self.clock.now_ms());
        self.submit(key, Unit { rule: Arc::clone(rule), trigger, events, hops, counted: None });
    }

    /// Ends the thread; what grows is left to the next run of the server, if it was promised.
    pub(in crate::pipeline) fn close_batches(&self) {
        self.batches.lock().closed = true;
        self.batches.changed.notify_all();
    }
}

/// Starts the thread that completes batches whose time is over.
pub(in crate::pipeline) fn start(pipeline: &Arc<Pipeline>) {
    let pipeline = Arc::downgrade(pipeline);
    spawn("batches", move || run(&pipeline));
}

fn run(pipeline: &Weak<Pipeline>) {
    while let Some(pipeline) = pipeline.upgrade() {
        let mut inner = pipeline.batches.lock();
        if inner.closed {
            return;
        }
        let now = monotonic();
        let next = pipeline.complete_batches(&mut inner, now);
        let wait = next.map_or(REST, |due| due.saturating_sub(now).min(REST));
        let (_inner, _) =
            pipeline.batches.changed.wait_timeout(inner, wait).unwrap_or_else(PoisonError::into_inner);
    }
}
