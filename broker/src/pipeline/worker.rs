//! Workers: each runs its share of the rules' events, in order, off the network's threads.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use pointsman_rules::{Event, RunError, RunErrorKind, Snapshot};
use rustc_hash::FxBuildHasher;
use tracing::{error, warn};

use super::act::Commit;
use super::active::ActiveRule;
use super::outbox::Afterwards;
use super::progress::Input;
use super::snapshot::StoreSnapshot;
use super::{Pipeline, spawn};
use crate::mqtt::{Envelope, EnvelopeBuilder, Origin, SERVER, retained_writes};
use crate::store::{AppendError, Appended, Seq};

/// Events taken up together: their commits share a sync, their messages an envelope.
const BATCH_EVENTS_MAX: usize = 256;
/// Batches that may wait for the disk.
const BATCHES_MAX: usize = 16;
/// Bytes that may wait on the spine before what rules publish has to wait too.
const OUTPUT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How long what rules publish waits for the spine at most.
const SPINE_PATIENCE: Duration = Duration::from_secs(1);
/// A thread of the pipeline that has to wait for room looks again after this.
const BRIEF: Duration = Duration::from_millis(1);
/// Times that a run is tried again because what it read has changed.
const CONFLICTS_MAX: usize = 16;

/// One event for one trigger of one rule.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) rule: Arc<ActiveRule>,
    pub(crate) trigger: usize,
    pub(crate) event: Event,
    /// Where in the log it is, if it was promised.
    pub(crate) input: Option<Input>,
    pub(crate) hops: u8,
}

/// The threads that run rules.
pub(crate) struct Workers {
    queues: Mutex<Option<Vec<SyncSender<Job>>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    count: usize,
}

impl Workers {
    pub(crate) fn start(pipeline: &Arc<Pipeline>, count: usize, queue_events_max: usize) -> Workers {
        let mut queues = Vec::new();
        let mut threads = Vec::new();
        for index in 0..count {
            let (jobs, inbox) = sync_channel(queue_events_max);
            let (batches, outbox) = sync_channel(BATCHES_MAX);
            let (worker, sender) = (Arc::downgrade(pipeline), Arc::downgrade(pipeline));
            threads.push(spawn(&format!("worker-{index}"), move || work(&worker, &inbox, &batches)));
            threads.push(spawn(&format!("sender-{index}"), move || send(&sender, &outbox)));
            queues.push(jobs);
        }
        Workers { queues: Mutex::new(Some(queues)), threads: Mutex::new(threads), count }
    }

    /// Queues an event. One rule's events of one client are handled in order; others beside them.
    pub(crate) fn submit(&self, job: Job) {
        let mut hasher = FxBuildHasher.build_hasher();
        job.rule.rule.name.as_str().hash(&mut hasher);
        job.event.client_id().hash(&mut hasher);
        let lane = usize::try_from(hasher.finish() >> 32).unwrap_or(0) % self.count;
        let queue = {
            let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
            queues.as_ref().map(|queues| queues[lane].clone())
        };
        // A full queue holds the spine's reader up, and that the publishers.
        if let Some(queue) = queue {
            let _ = queue.send(job);
        }
    }

    /// Lets the workers finish what waits.
    pub(crate) fn stop(&self) {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).take();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            let _ = thread.join();
        }
    }
}

/// What a batch of runs leaves for the sender.
#[derive(Default)]
struct Batch {
    /// The last commit of the batch: when it is on disk, all are.
    last: Option<Appended>,
    /// What goes to the spine once the batch is on disk, besides what is in the log.
    envelopes: Vec<Envelope>,
    /// Some envelope of the batch is in the log.
    logged: bool,
    /// Records of which a piece of work is done once the batch is on disk.
    finished: Vec<Seq>,
    /// Jobs that are undone if the disk refuses the batch.
    jobs: Vec<Job>,
    /// What is done once the batch is on disk.
    afterwards: Afterwards,
}

fn work(pipeline: &Weak<Pipeline>, inbox: &Receiver<Job>, batches: &SyncSender<Batch>) {
    while let Ok(first) = inbox.recv() {
        let Some(pipeline) = pipeline.upgrade() else { return };
        let mut batch = Batch::default();
        let mut together = EnvelopeBuilder::default();
        pipeline.run(first, &mut batch, &mut together);
        for job in inbox.try_iter().take(BATCH_EVENTS_MAX - 1) {
            pipeline.run(job, &mut batch, &mut together);
        }
        pipeline.seal(&mut together, &mut batch, 0);
        if batches.send(batch).is_err() {
            return;
        }
    }
}

/// Publishes what rules asked for, once what they wrote is on disk.
fn send(pipeline: &Weak<Pipeline>, outbox: &Receiver<Batch>) {
    while let Ok(batch) = outbox.recv() {
        let committed = batch.last.map_or(Ok(()), Appended::wait);
        let Some(pipeline) = pipeline.upgrade() else { return };
        if let Err(error) = committed {
            error!(%error, "what rules wrote could not be kept; their events are put aside");
            pipeline.put_aside(batch.jobs);
        } else {
            wait_for_spine(&pipeline);
            if batch.logged {
                pipeline.publish_logged();
            }
            for envelope in batch.envelopes {
                wait_for_spine(&pipeline);
                pipeline.spine.publish(envelope);
            }
            pipeline.do_afterwards(batch.afterwards);
        }
        for seq in batch.finished {
            pipeline.progress.finish(seq);
        }
    }
}

/// Slows rules down where what they publish piles up far beyond what publishers may cause. Not for ever: it may be the
/// rules themselves that the spine waits for, which is why they do not wait as soon as publishers do.
fn wait_for_spine(pipeline: &Pipeline) {
    let mut waited = Duration::ZERO;
    while pipeline.spine.stats().lag_bytes > OUTPUT_BYTES_MAX && waited < SPINE_PATIENCE {
        thread::sleep(BRIEF);
        waited += BRIEF;
    }
}

impl Pipeline {
    /// Runs one event and appends what comes of it.
    fn run(&self, job: Job, batch: &mut Batch, together: &mut EnvelopeBuilder) {
        if let Some((seq, _)) = job.input {
            batch.finished.push(seq);
        }
        if job.rule.is_suspended() {
            self.put_aside(vec![job]);
            return;
        }
        for _ in 0..CONFLICTS_MAX {
            let snapshot = Arc::new(StoreSnapshot::new(Arc::clone(&self.store)));
            let mut commit = self.evaluate(&job, &snapshot);
            let afterwards = std::mem::take(&mut commit.afterwards);
            if !commit.is_durable() {
                self.take_publishes(commit, &job, batch, together);
                batch.afterwards.append(afterwards);
                return;
            }
            match self.append(commit, &job, &snapshot, batch, together) {
                Ok(()) => {
                    batch.jobs.push(job);
                    batch.afterwards.append(afterwards);
                    return;
                }
                Err(AppendError::Conflict { .. }) => {}
                Err(error) => {
                    error!(rule = %job.rule.rule.name, %error, "what a rule wrote could not be kept; its event is put aside");
                    self.put_aside(vec![job]);
                    return;
                }
            }
        }
        warn!(rule = %job.rule.rule.name, "what a rule reads keeps changing under it; its event is put aside");
        self.put_aside(vec![job]);
    }

    fn evaluate(&self, job: &Job, snapshot: &Arc<StoreSnapshot>) -> Commit {
        let tables: Arc<dyn Snapshot> = Arc::clone(snapshot) as Arc<dyn Snapshot>;
        let result = self.engine.run(&job.rule.rule, job.trigger, &job.event, &tables);
        let error = match result {
            Ok(outcome) => match self.commit_of(job, outcome.effects) {
                Ok(commit) => {
                    self.telemetry.rule_runs_total.add(1);
                    job.rule.behaved();
                    return commit;
                }
                Err(message) => refusal(job, message),
            },
            Err(error) => *error,
        };
        // Only what holds other rules up counts: a size that some client's input reaches fails that input alone.
        let overran = matches!(error.kind, RunErrorKind::Deadline | RunErrorKind::Limit("operations_max"));
        if overran && job.rule.overran(self.overruns_max) {
            error!(
                rule = %job.rule.rule.name,
                "suspended after {} runs in a row over a limit; it is taken up again when its file changes",
                self.overruns_max
            );
        }
        self.commit_of_failure(job, &error)
    }

    fn append(
        &self,
        mut commit: Commit,
        job: &Job,
        snapshot: &StoreSnapshot,
        batch: &mut Batch,
        together: &mut EnvelopeBuilder,
    ) -> Result<(), AppendError> {
        let reads = snapshot.take_reads();
        if !commit.publishes_must_be_kept() {
            let publishes = std::mem::take(&mut commit.publishes);
            let record = commit.into_record(bytes::Bytes::new(), reads);
            batch.last = Some(self.store_append(&record)?);
            self.take_publishes(Commit { publishes, ..Commit::default() }, job, batch, together);
            return Ok(());
        }
        // Some durable rule or session wants what this one publishes: it goes into the log with the commit.
        self.seal(together, batch, 0);
        let mut publishes = std::mem::take(&mut commit.publishes);
        let envelope = self.sealed(&mut publishes, job.hops + 1);
        let mut record = commit.into_record(envelope.bytes().clone(), reads);
        if envelope.has_retained() {
            record.writes.extend(retained_writes(&envelope));
        }
        let appended = loop {
            match self.enter_envelope(&envelope, || self.store.append(record.clone())) {
                // There is nobody to refuse.
                Err(AppendError::Full { .. }) => thread::sleep(BRIEF),
                other => break other?,
            }
        };
        batch.last = Some(appended);
        batch.logged = true;
        Ok(())
    }

    /// Appends, waiting while the store is full: there is nobody to refuse.
    fn store_append(&self, record: &crate::store::Record) -> Result<Appended, AppendError> {
        loop {
            match self.store.append(record.clone()) {
                Err(AppendError::Full { .. }) => thread::sleep(BRIEF),
                other => return other,
            }
        }
    }

    /// Adds what a run publishes to the batch's common envelope.
    fn take_publishes(&self, commit: Commit, job: &Job, batch: &mut Batch, together: &mut EnvelopeBuilder) {
        let mut publishes = commit.publishes;
        if publishes.is_empty() {
            return;
        }
        if job.hops == 0 {
            together.append(&mut publishes);
            return;
        }
        self.seal(together, batch, 0);
        self.seal(&mut publishes, batch, job.hops);
    }

    fn seal(&self, builder: &mut EnvelopeBuilder, batch: &mut Batch, hops: u8) {
        if !builder.is_empty() {
            batch.envelopes.push(self.sealed(builder, hops + 1));
        }
    }

    fn sealed(&self, builder: &mut EnvelopeBuilder, hops: u8) -> Envelope {
        let first_id = self.ids.take(self.clock.now_ms(), builder.len());
        builder.seal(&Origin { publisher: SERVER, client_id: "", user: None, hops, first_id })
    }

    /// Keeps durable events for when their rule can handle them; others are given up, as nobody was promised them.
    fn put_aside(&self, jobs: Vec<Job>) {
        for job in jobs {
            match job.input {
                Some(input) => self.progress.park(job.rule.key(job.trigger), input),
                None => self.telemetry.rule_events_skipped_total.add(1),
            }
        }
    }
}

/// An effect that the broker refuses is a failure of the run like any other.
fn refusal(job: &Job, message: String) -> RunError {
    let trigger = &job.rule.rule.triggers[job.trigger];
    RunError {
        rule: job.rule.rule.name.to_string(),
        file: job.rule.rule.file.clone(),
        version: job.rule.rule.version.clone(),
        handler: trigger.handler.clone(),
        line: 0,
        column: 0,
        source_line: String::new(),
        message,
        kind: RunErrorKind::Thrown,
    }
}
