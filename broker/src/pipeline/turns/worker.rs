//! Workers: each takes the lane whose turn it is and runs its events, off the network's threads.

use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;

use pointsman_rules::{PartFailure, RunError, RunErrorKind, Snapshot};
use tracing::error;

use super::act::{Commit, Interests};
use super::lanes::{Held, Key, LaneStats, Lanes};
use super::send::{Batch, send};
use super::snapshot::TurnSnapshot;
use super::turn::Turn;
use super::unit::{Job, Piece, Texts, Unit};
use crate::pipeline::tools::dead_letters::Failed;
use crate::pipeline::{Pipeline, monotonic, spawn};

/// Turns that may wait for the disk; workers wait for it too beyond that.
const BATCHES_MAX: usize = 64;

/// The threads that run rules.
pub(crate) struct Workers {
    lanes: Arc<Lanes<Piece>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Workers {
    pub(crate) fn start(pipeline: &Arc<Pipeline>, count: usize, queue_events_max: usize) -> Workers {
        let lanes = Arc::new(Lanes::new(count, queue_events_max));
        let (batches, outbox) = sync_channel(BATCHES_MAX);
        let mut threads = Vec::new();
        for index in 0..count {
            let (worker, lanes, batches) = (Arc::downgrade(pipeline), Arc::clone(&lanes), batches.clone());
            threads.push(spawn(&format!("worker-{index}"), move || work(&worker, &lanes, &batches)));
        }
        let (sender, its_lanes) = (Arc::downgrade(pipeline), Arc::clone(&lanes));
        threads.push(spawn("sender", move || send_all(&sender, &its_lanes, &outbox)));
        Workers { lanes, threads: Mutex::new(threads) }
    }

    /// Queues a unit of work. What has the same key is done in order. Waits while there is too much.
    pub(crate) fn submit(&self, key: Key, unit: Unit) {
        self.lanes.submit(key, unit.into());
    }

    pub(crate) fn stats(&self) -> LaneStats {
        self.lanes.stats()
    }

    /// Lets the workers finish what waits.
    pub(crate) fn stop(&self) {
        self.lanes.close();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            let _ = thread.join();
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.lanes.abandon();
    }
}

/// What a worker uses again from turn to turn.
pub(in crate::pipeline) struct Desk {
    pub(in crate::pipeline) snapshot: Arc<TurnSnapshot>,
    pub(in crate::pipeline) tables: Arc<dyn Snapshot>,
    pub(in crate::pipeline) texts: Texts,
    pub(in crate::pipeline) interests: Interests,
}

impl Desk {
    pub(in crate::pipeline) fn new(pipeline: &Pipeline) -> Desk {
        let snapshot = Arc::new(TurnSnapshot::new(
            Arc::clone(&pipeline.store),
            Arc::clone(&pipeline.clock),
            Arc::clone(&pipeline.leaderboards),
        ));
        snapshot.begin(pipeline.active.load_full());
        let tables = Arc::clone(&snapshot) as Arc<dyn Snapshot>;
        Desk { snapshot, tables, texts: Texts::default(), interests: Interests::default() }
    }
}

fn work(pipeline: &Weak<Pipeline>, lanes: &Lanes<Piece>, batches: &SyncSender<Batch>) {
    let mut desk = None;
    while let Some(first) = lanes.take() {
        let Some(pipeline) = pipeline.upgrade() else { return };
        let desk = desk.get_or_insert_with(|| Desk::new(&pipeline));
        let batch = pipeline.take_turn(lanes, first, desk);
        if !batch.waits_for_disk() {
            send(&pipeline, lanes, batch);
        } else if batches.send(batch).is_err() {
            return;
        }
    }
}

/// Sends, in order, what has to be on disk before.
fn send_all(pipeline: &Weak<Pipeline>, lanes: &Lanes<Piece>, outbox: &Receiver<Batch>) {
    while let Ok(batch) = outbox.recv() {
        let Some(pipeline) = pipeline.upgrade() else { return };
        send(&pipeline, lanes, batch);
    }
}

impl Pipeline {
    /// Runs events of a lane, and of others that are ready while the turn has room.
    fn take_turn(&self, lanes: &Lanes<Piece>, first: Held<Piece>, desk: &mut Desk) -> Batch {
        let mut turn = Turn::new(monotonic());
        desk.snapshot.begin(self.active.load_full());
        let mut next = Some(first);
        while let Some(mut held) = next.take() {
            self.run_lane(&mut held, &mut turn, desk);
            let goes_on = held.work.is_empty() && !held.is_slow && turn.has_room(desk);
            turn.held.push(held);
            next = if goes_on { lanes.take_more() } else { None };
        }
        for held in &mut turn.held {
            lanes.ran(held);
        }
        self.close_turn(turn, desk)
    }

    fn run_lane(&self, held: &mut Held<Piece>, turn: &mut Turn, desk: &mut Desk) {
        held.is_slow = false;
        while let Some(piece) = held.work.front_mut()
            && turn.takes(&piece.unit)
            && turn.has_room(desk)
        {
            self.run_piece(piece, turn, desk);
            held.is_slow = turn.was_slow;
            if piece.range.is_empty() {
                turn.finished.extend(piece.unit.records());
                held.work.pop_front();
            }
        }
    }

    /// Runs events of a piece while the turn has room, and takes them off it.
    fn run_piece(&self, piece: &mut Piece, turn: &mut Turn, desk: &mut Desk) {
        let unit = Arc::clone(&piece.unit);
        let from = piece.range.start;
        while !piece.range.is_empty() && turn.has_room(desk) && !unit.rule.is_suspended() {
            let job = unit.job(piece.range.start, &mut desk.texts);
            self.evaluate(&job, &mut turn.commit, desk);
            piece.range.start += 1;
            turn.note_event(monotonic());
        }
        turn.note_ran(&unit, from..piece.range.start);
        if unit.rule.is_suspended() {
            self.put_aside_within(piece, turn, desk);
        }
    }

    /// Keeps events of a suspended rule, as far as there is room; the others go to the dead letters.
    fn put_aside_within(&self, piece: &mut Piece, turn: &mut Turn, desk: &mut Desk) {
        let unit = Arc::clone(&piece.unit);
        let is_kept = |at: usize| {
            let inputs = unit.inputs(at);
            if inputs.is_empty() {
                self.telemetry.rule_events_skipped_total.add(1);
                return true;
            }
            self.progress.park_within(&unit.rule.key(unit.trigger), &inputs, self.parked_messages_max)
        };
        while !piece.range.is_empty() && turn.has_room(desk) {
            let at = piece.range.start;
            if !is_kept(at) {
                let job = unit.job(at, &mut desk.texts);
                self.turn_away(&job, &mut turn.commit);
                desk.snapshot.end_run(&mut turn.commit.writes);
                turn.note_event(monotonic());
                turn.note_ran(&unit, at..at + 1);
            }
            piece.range.start += 1;
        }
    }

    /// Leaves an event of a suspended rule among the dead letters, as there is no room to put it aside.
    fn turn_away(&self, job: &Job<'_>, commit: &mut Commit) {
        self.telemetry.rule_events_turned_away_total.add(1);
        let max = self.parked_messages_max;
        let message = format!(
            "the rule is suspended, and parked_messages_max ({max}) are put aside for suspended rules: mend the rule's file"
        );
        self.add_dead_letter(job, Failed::whole(&refusal(job, message)), commit);
    }

    /// Runs one event and adds what comes of it to the commit.
    pub(in crate::pipeline) fn evaluate(&self, job: &Job<'_>, commit: &mut Commit, desk: &mut Desk) {
        match self.perform(job, commit, desk) {
            Ok(None) => {
                self.telemetry.rule_runs_total.add(1);
                job.rule.behaved();
            }
            Ok(Some(failure)) => {
                let PartFailure { error, done, is_told } = *failure;
                self.note_failure(&error);
                self.count_overrun(job, &error);
                if !is_told {
                    let failed = Failed { error: &error, variables: Vec::new(), done };
                    self.add_dead_letter(job, failed, commit);
                }
            }
            Err(error) => {
                self.note_failure(&error);
                // What takes long to fail is not run again to look at it.
                let variables = if self.count_overrun(job, &error) {
                    Vec::new()
                } else {
                    let rule = &job.rule.rule;
                    self.engine.variables_at_failure(rule, job.trigger, &job.event, &desk.tables)
                };
                desk.snapshot.forget_run();
                self.add_dead_letter(job, Failed { variables, ..Failed::whole(&error) }, commit);
            }
        }
        commit.writes.extend(job.note.clone());
        desk.snapshot.end_run(&mut commit.writes);
    }

    /// Whether a failed run held others up; a rule that does so again and again is suspended. Only that counts: a size that
    /// some client's input reaches fails that input alone.
    fn count_overrun(&self, job: &Job<'_>, error: &RunError) -> bool {
        let overran = error.kind.is_overrun();
        if overran && job.rule.overran(self.overruns_max) {
            error!(
                rule = %job.rule.rule.name,
                "suspended after {} runs in a row over a limit; it is taken up again when its file changes",
                self.overruns_max
            );
        }
        overran
    }

    /// Keeps durable events for when their rule can handle them; others are given up, as nobody was promised them.
    pub(in crate::pipeline) fn put_aside(&self, unit: &Unit, range: Range<usize>) {
        for position in range {
            let inputs = unit.inputs(position);
            if inputs.is_empty() {
                self.telemetry.rule_events_skipped_total.add(1);
            }
            for input in inputs {
                self.progress.park(unit.rule.key(unit.trigger), input);
            }
        }
    }
}

/// An effect that the broker refuses is a failure of the run like any other.
pub(in crate::pipeline) fn refusal(job: &Job<'_>, message: String) -> RunError {
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
