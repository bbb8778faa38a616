//! Replay: what a draft of a rule would make of the messages that the log holds.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use pointsman_rules::{Rule, RuleName};

use super::compare::{Comparer, Comparison};
use crate::mqtt::{Envelope, envelope_of};
use crate::pipeline::Pipeline;
use crate::pipeline::monotonic;
use crate::pipeline::on_own_stack;
use crate::pipeline::rules::active::{LoadError, compile_rule};
use crate::store::{ReadError, Seq};

/// Events that are run at most.
const EVENTS_MAX: u64 = 20_000;
/// How long it may take.
const TIME_MAX: Duration = Duration::from_secs(20);
/// Records that are read to learn the time at a place of the log.
const PROBE_RECORDS: usize = 256;

/// Why a draft cannot be tried.
#[derive(Debug, thiserror::Error)]
pub enum DraftError {
    /// Another draft is being tried on live traffic.
    #[error("a draft of rule {0:?} is being tried on live traffic: wait until that has ended")]
    Busy(String),
    /// It does not compile.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The log cannot be read.
    #[error("the log cannot be read")]
    Log(#[from] ReadError),
}

/// A replay that goes on.
struct Replay<'a> {
    pipeline: &'a Pipeline,
    comparer: Comparer,
    deadline: Duration,
}

impl Replay<'_> {
    fn run(&mut self, since_ms: u64, until_ms: u64) -> Result<(), ReadError> {
        let store = &self.pipeline.store;
        for entry in store.replay(self.pipeline.seq_at(since_ms)?)? {
            let (seq, record) = entry?;
            if let Some(envelope) = envelope_of(record, seq)
                && !self.run_envelope(&envelope, since_ms..=until_ms)
            {
                return Ok(());
            }
        }
        self.run_due(i64::try_from(until_ms).unwrap_or(i64::MAX));
        Ok(())
    }

    /// Runs the messages of an envelope that lie within a time; `false` where the replay has to end.
    fn run_envelope(&mut self, envelope: &Envelope, within: RangeInclusive<u64>) -> bool {
        for index in 0..envelope.len() {
            let time_ms = envelope.id(index).time_ms();
            if !within.contains(&time_ms) {
                continue;
            }
            let at_ms = i64::try_from(time_ms).unwrap_or(i64::MAX);
            if !self.run_due(at_ms) || !self.goes_on() {
                return false;
            }
            self.comparer.take_in(self.pipeline, envelope, index, at_ms);
        }
        true
    }

    /// Runs what is due by a time; `false` where the replay has to end.
    fn run_due(&mut self, until_ms: i64) -> bool {
        while self.comparer.next_due_ms().is_some_and(|due_ms| due_ms <= until_ms) {
            if !self.goes_on() {
                return false;
            }
            self.comparer.run_due(self.pipeline, until_ms);
        }
        true
    }

    /// Whether more may be run; if not, says why.
    fn goes_on(&mut self) -> bool {
        if self.comparer.ran() >= EVENTS_MAX {
            self.comparer.end_early(format!("{EVENTS_MAX} events are the most that are run at a time"));
        } else if monotonic() > self.deadline {
            self.comparer.end_early(format!("it may take {} seconds at most", TIME_MAX.as_secs()));
        } else {
            return true;
        }
        false
    }
}

impl Pipeline {
    /// Runs a draft and the active version on the messages that the log holds since a time, in milliseconds, on the batches
    /// that they make and at the times in between. Both see the tables as they are now; nothing is done.
    pub fn replay(&self, name: &RuleName, source: &str, since_ms: u64) -> Result<Comparison, DraftError> {
        let (draft, active) = self.draft(name, source)?;
        let until_ms = self.clock.now_ms();
        // What came before the first message is not recorded, so that times do not count either.
        let from_ms = since_ms.max(self.first_time_ms()?.unwrap_or(since_ms)).min(until_ms);
        let comparer = Comparer::new(draft, active, i64::try_from(from_ms).unwrap_or(i64::MAX));
        on_own_stack(|| {
            let mut replay = Replay { pipeline: self, comparer, deadline: monotonic() + TIME_MAX };
            replay.run(since_ms, until_ms)?;
            Ok(replay.comparer.comparison())
        })
    }

    /// When the first message came that the log holds.
    fn first_time_ms(&self) -> Result<Option<u64>, ReadError> {
        Ok(self.message_behind(self.store.first())?.map(|(_, time_ms)| time_ms))
    }

    /// The first message behind a place of the log, if it is near, and its time.
    fn message_behind(&self, seq: Seq) -> Result<Option<(Seq, u64)>, ReadError> {
        Ok(self.store.replay(seq)?.take(PROBE_RECORDS).find_map(|entry| {
            let (seq, record) = entry.ok()?;
            Some((seq, envelope_of(record, seq)?.id(0).time_ms()))
        }))
    }

    /// A draft of a rule, and the version of it that is active.
    pub(in crate::pipeline) fn draft(
        &self,
        name: &RuleName,
        source: &str,
    ) -> Result<(Arc<Rule>, Option<Arc<Rule>>), LoadError> {
        let library = self.activation().library.clone();
        let draft = compile_rule(&self.engine, &self.rule_path(name), source, &library)?;
        let active = self.active.load();
        let active = active.rules.iter().find(|rule| rule.rule.name == *name);
        Ok((Arc::new(draft), active.map(|active| Arc::clone(&active.rule))))
    }

    /// A place of the log before which every message is older than a time. Times rise along the log.
    pub(in crate::pipeline) fn seq_at(&self, since_ms: u64) -> Result<Seq, ReadError> {
        let (mut low, mut high) = (self.store.first(), self.store.durable_end() + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.message_behind(middle)? {
                Some((seq, time_ms)) if time_ms < since_ms => low = seq + 1,
                // Where no message says the time, it is looked for further up.
                _ => high = middle,
            }
        }
        Ok(low)
    }
}
