//! Shadow runs: what a draft of a rule would make of live traffic, beside the version that is active.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pointsman_rules::{On, RuleName, RuleSet};

use super::compare::{Comparer, Comparison};
use super::replay::DraftError;
use crate::mqtt::Envelope;
use crate::pipeline::inputs::wanted::{BUS_PREFIX, CHANGES_PREFIX};
use crate::pipeline::{Pipeline, spawn};

/// Envelopes that may wait to be looked at; what comes beyond is skipped and counted.
const WAITING_MAX: usize = 256;
/// Where nothing is due, the thread looks this often.
const REST: Duration = Duration::from_secs(1);

/// A draft that is being tried.
pub(in crate::pipeline) struct Shadow {
    name: RuleName,
    /// What the draft and the active version listen to.
    set: RuleSet,
    queue: SyncSender<Envelope>,
    skipped: AtomicU64,
    comparer: Arc<Mutex<Comparer>>,
}

/// Ends a shadow run when it is dropped.
pub struct ShadowRun {
    pipeline: Arc<Pipeline>,
    shadow: Arc<Shadow>,
}

impl Pipeline {
    /// Begins to run a draft beside the active version on all that they listen to, one draft at a time. Nothing of it is
    /// done.
    pub fn shadow(self: &Arc<Self>, name: &RuleName, source: &str) -> Result<ShadowRun, DraftError> {
        let (draft, active) = self.draft(name, source)?;
        let rules = std::iter::once(Arc::clone(&draft)).chain(active.clone()).collect();
        let comparer = Arc::new(Mutex::new(Comparer::new(draft, active, self.now_ms())));
        let (queue, waiting) = sync_channel(WAITING_MAX);
        let shadow = Arc::new(Shadow {
            name: name.clone(),
            set: RuleSet::new(rules),
            queue,
            skipped: AtomicU64::new(0),
            comparer: Arc::clone(&comparer),
        });
        let before = self.shadow.compare_and_swap(&None::<Arc<Shadow>>, Some(Arc::clone(&shadow)));
        if let Some(other) = before.as_ref() {
            return Err(DraftError::Busy(other.name.to_string()));
        }
        // Publishers learn that somebody listens.
        self.bump_generation();
        let pipeline = Arc::clone(self);
        spawn("shadow", move || look(&pipeline, &comparer, &waiting));
        Ok(ShadowRun { pipeline: Arc::clone(self), shadow })
    }

    /// Gives what comes to the draft that is being tried, if there is one.
    pub(in crate::pipeline) fn offer_to_shadow(&self, envelopes: &[Envelope]) {
        let Some(shadow) = &*self.shadow.load() else { return };
        for envelope in envelopes {
            if envelope.interest().rules
                && let Err(TrySendError::Full(envelope)) = shadow.queue.try_send(envelope.clone())
            {
                shadow.skipped.fetch_add(envelope.len() as u64, Ordering::Relaxed);
            }
        }
    }

    /// Whether a draft that is being tried listens to the messages of a topic.
    pub(in crate::pipeline) fn shadow_wants(&self, topic: &str) -> bool {
        self.shadow.load().as_ref().is_some_and(|shadow| shadow.wants(topic))
    }

    /// Whether a draft that is being tried listens to lifecycle events of a kind.
    pub(in crate::pipeline) fn shadow_wants_lifecycle(&self, on: &On) -> bool {
        self.shadow.load().as_ref().is_some_and(|shadow| shadow.set.lifecycle_triggers(on).next().is_some())
    }
}

impl Shadow {
    fn wants(&self, topic: &str) -> bool {
        match (topic.strip_prefix(CHANGES_PREFIX), topic.strip_prefix(BUS_PREFIX)) {
            (Some(table), _) => !self.set.change_triggers(table).is_empty(),
            (_, Some(bus)) => self.set.has_bus(bus),
            (None, None) => self.set.has_message_match(topic),
        }
    }
}

impl ShadowRun {
    /// What was found so far.
    pub fn comparison(&self) -> Comparison {
        let mut comparison = lock(&self.shadow.comparer).comparison();
        comparison.skipped += self.shadow.skipped.load(Ordering::Relaxed);
        comparison
    }
}

impl Drop for ShadowRun {
    fn drop(&mut self) {
        // The queue ends with the last who knows the shadow, and its thread with the queue.
        self.pipeline.shadow.store(None);
        self.pipeline.bump_generation();
    }
}

/// Looks at what comes, and at what is due, until nobody sends any more.
fn look(pipeline: &Pipeline, comparer: &Mutex<Comparer>, waiting: &Receiver<Envelope>) {
    loop {
        let next_ms = lock(comparer).next_due_ms().unwrap_or(i64::MAX);
        let wait = u64::try_from(next_ms.saturating_sub(pipeline.now_ms())).unwrap_or(0);
        match waiting.recv_timeout(Duration::from_millis(wait).min(REST)) {
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => run_due(pipeline, comparer),
            Ok(envelope) => {
                for index in 0..envelope.len() {
                    run_due(pipeline, comparer);
                    lock(comparer).take_in(pipeline, &envelope, index, pipeline.now_ms());
                }
            }
        }
    }
}

/// Runs what has fallen due.
fn run_due(pipeline: &Pipeline, comparer: &Mutex<Comparer>) {
    while lock(comparer).run_due(pipeline, pipeline.now_ms()) {}
}

fn lock(comparer: &Mutex<Comparer>) -> MutexGuard<'_, Comparer> {
    comparer.lock().unwrap_or_else(PoisonError::into_inner)
}
