//! A turn: what runs one after the other and becomes one record of the log.

use std::ops::Range;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tracing::{error, warn};

use super::act::Commit;
use super::lanes::Held;
use super::send::{Batch, Part};
use super::snapshot::Written;
use super::unit::{Job, Piece, Unit};
use super::worker::{Desk, refusal};
use crate::mqtt::{Envelope, Origin, SERVER, retained_writes};
use crate::pipeline::Pipeline;
use crate::pipeline::tools::dead_letters::Failed;
use crate::report::chain;
use crate::store::{AppendError, Appended, Record, Seq};

/// Events in a turn: their writes are one record, their messages one envelope.
const EVENTS_MAX: usize = 256;
/// Rows that a turn writes before it takes no more events.
const ROWS_MAX: usize = 1024;
/// Bytes that a turn writes and publishes before it takes no more events.
const BYTES_MAX: usize = 256 * 1024;
/// Time after which a turn takes no more events.
const TIME_MAX: Duration = Duration::from_millis(1);
/// A run that takes longer is slow: it ends the turn, and others do not wait for the next of its lane.
const SLOW_RUN: Duration = Duration::from_millis(2);
/// Times that a run is tried again because what it read has changed.
const CONFLICTS_MAX: usize = 16;
/// A worker that has to wait for room in the store looks again after this.
const BRIEF: Duration = Duration::from_millis(1);

/// See the module.
pub(in crate::pipeline) struct Turn {
    /// The lanes whose events these are.
    pub(in crate::pipeline) held: Vec<Held<Piece>>,
    pub(in crate::pipeline) commit: Commit,
    /// What was run, in order.
    ran: Vec<Piece>,
    /// Records of which a piece of work is done with this turn.
    pub(in crate::pipeline) finished: Vec<Seq>,
    /// The last run was a slow one.
    pub(in crate::pipeline) was_slow: bool,
    hops: u8,
    events: usize,
    begun: Duration,
    now: Duration,
}

impl Turn {
    pub(in crate::pipeline) fn new(now: Duration) -> Turn {
        Turn {
            held: Vec::new(),
            commit: Commit::default(),
            ran: Vec::new(),
            finished: Vec::new(),
            was_slow: false,
            hops: 0,
            events: 0,
            begun: now,
            now,
        }
    }

    /// Whether the unit's events may join: one envelope has gone through one number of rules.
    pub(in crate::pipeline) fn takes(&mut self, unit: &Unit) -> bool {
        if self.commit.publishes.is_empty() {
            self.hops = unit.hops;
        }
        self.hops == unit.hops
    }

    /// Whether there is room and time for another event.
    pub(in crate::pipeline) fn has_room(&self, desk: &Desk) -> bool {
        let (rows, bytes) = desk.snapshot.written();
        // Ranks are those of commits, so what changes them ends the turn.
        self.commit.boards.is_empty()
            && !self.was_slow
            && self.events < EVENTS_MAX
            && self.now.saturating_sub(self.begun) < TIME_MAX
            && rows < ROWS_MAX
            && bytes + self.commit.publishes.frame_bytes() < BYTES_MAX
    }

    /// Takes note that an event was run.
    pub(in crate::pipeline) fn note_event(&mut self, now: Duration) {
        self.events += 1;
        self.was_slow = now.saturating_sub(self.now) > SLOW_RUN;
        self.now = now;
    }

    /// Takes note of what was run.
    pub(in crate::pipeline) fn note_ran(&mut self, unit: &Arc<Unit>, range: Range<usize>) {
        if !range.is_empty() {
            self.ran.push(Piece { unit: Arc::clone(unit), range });
        }
    }
}

impl Pipeline {
    /// Appends what came of a turn, as one record if nothing else came between.
    pub(in crate::pipeline) fn close_turn(&self, turn: Turn, desk: &mut Desk) -> Batch {
        let Turn { held, mut commit, ran, finished, hops, events, .. } = turn;
        self.telemetry.rule_turns_total.add(1);
        self.telemetry.rule_turn_events_total.add(events as u64);
        let parts = match self.append(&mut commit, &ran, hops, desk) {
            Ok(part) => vec![Part { ran, ..part }],
            Err(error) => {
                // Once the disk takes writes again, it takes these.
                let is_of_disk =
                    !matches!(error, AppendError::Conflict { .. } | AppendError::TooLarge { .. });
                if is_of_disk && events <= 1 {
                    self.give_up(&ran, &error);
                    Vec::new()
                } else {
                    self.run_singly(&ran, desk)
                }
            }
        };
        Batch { parts, finished, held }
    }

    /// Runs events again, each for itself: together they cannot be kept.
    fn run_singly(&self, ran: &[Piece], desk: &mut Desk) -> Vec<Part> {
        let mut parts = Vec::new();
        for piece in ran {
            for at in piece.range.clone() {
                let single = Piece { unit: Arc::clone(&piece.unit), range: at..at + 1 };
                parts.extend(self.run_single(single, desk));
            }
        }
        parts
    }

    fn run_single(&self, single: Piece, desk: &mut Desk) -> Option<Part> {
        let ran = vec![single];
        let Piece { unit, range } = &ran[0];
        for _ in 0..CONFLICTS_MAX {
            let mut commit = Commit::default();
            let job = unit.job(range.start, &mut desk.texts);
            self.evaluate(&job, &mut commit, desk);
            match self.append(&mut commit, &ran, unit.hops, desk) {
                Ok(part) => return Some(Part { ran, ..part }),
                Err(AppendError::Conflict { .. }) => {}
                Err(error) => {
                    let is_too_large = matches!(error, AppendError::TooLarge { .. });
                    match if is_too_large { self.leave(&job, &error, &ran, desk) } else { Err(error) } {
                        Ok(part) => return Some(Part { ran, ..part }),
                        Err(error) => self.give_up(&ran, &error),
                    }
                    return None;
                }
            }
        }
        warn!(rule = %unit.rule.rule.name, "what a rule reads keeps changing under it; its event is put aside");
        self.put_aside(unit, range.clone());
        None
    }

    /// Leaves an event among the dead letters, or, if that is too large as well, alone: trying again would not help.
    fn leave(
        &self,
        job: &Job<'_>,
        error: &AppendError,
        ran: &[Piece],
        desk: &mut Desk,
    ) -> Result<Part, AppendError> {
        let error = refusal(job, chain(error));
        self.note_failure(&error);
        let mut commit = Commit::default();
        self.add_dead_letter(job, Failed::whole(&error), &mut commit);
        commit.writes.extend(job.note.clone());
        desk.snapshot.end_run(&mut commit.writes);
        self.append(&mut commit, ran, job.hops, desk)
    }

    fn give_up(&self, ran: &[Piece], error: &AppendError) {
        for Piece { unit, range } in ran {
            error!(rule = %unit.rule.rule.name, %error, "what a rule wrote could not be kept; its event is put aside");
            self.put_aside(unit, range.clone());
        }
    }

    /// Makes a record of what was run, and appends it if there is anything to keep. Whatever happens, the desk is free for
    /// the next run.
    pub(in crate::pipeline) fn append(
        &self,
        commit: &mut Commit,
        ran: &[Piece],
        hops: u8,
        desk: &mut Desk,
    ) -> Result<Part, AppendError> {
        let Written { writes, reads, ended } = desk.snapshot.take();
        let afterwards = std::mem::take(&mut commit.afterwards);
        let is_kept = commit.publishes_must_be_kept();
        let envelope = (!commit.publishes.is_empty()).then(|| self.sealed(commit, hops));
        let done = ran.iter().flat_map(Piece::done).collect();
        let mut record = Record { reads, ended, writes, done, ..Record::default() };
        let boards = std::mem::take(&mut commit.boards);
        let part = match envelope {
            // Some durable rule or session wants what is published: it goes into the log with the rest.
            Some(envelope) if is_kept => {
                record.messages = envelope.bytes().clone();
                if envelope.has_retained() {
                    record.writes.extend(retained_writes(&envelope));
                }
                let appended = self.append_patiently(record, Some(&envelope))?;
                Part { appended: Some(appended), is_logged: true, afterwards, ..Part::default() }
            }
            envelope => {
                let is_durable = !record.writes.is_empty() || !record.done.is_empty();
                let appended = is_durable.then(|| self.append_patiently(record, None)).transpose()?;
                Part { appended, envelope, afterwards, ..Part::default() }
            }
        };
        if let Some(appended) = &part.appended {
            self.leaderboards.apply(&boards, appended.seq);
        }
        Ok(part)
    }

    /// Appends, waiting while the store is full: there is nobody to refuse.
    pub(in crate::pipeline) fn append_patiently(
        &self,
        record: Record,
        messages: Option<&Envelope>,
    ) -> Result<Appended, AppendError> {
        let mut prepared = self.store.prepare(record)?;
        loop {
            let appended = match messages {
                Some(envelope) => self.enter_envelope(envelope, || self.store.enter(&mut prepared)),
                None => self.store.enter(&mut prepared),
            };
            match appended {
                Err(AppendError::Full { .. }) => thread::sleep(BRIEF),
                decided => return decided,
            }
        }
    }

    pub(in crate::pipeline) fn sealed(&self, commit: &mut Commit, hops: u8) -> Envelope {
        let first_id = self.ids.take(self.clock.now_ms(), commit.publishes.len());
        let origin = Origin { publisher: SERVER, client_id: "", user: None, hops: hops + 1, first_id };
        commit.publishes.seal(&origin)
    }
}
