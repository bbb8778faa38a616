//! Replay: what a draft of a rule would make of the messages that the log holds.

use std::sync::Arc;
use std::time::Duration;

use pointsman_rules::{Rule, RuleName};

use super::compare::{Comparer, Comparison};
use crate::mqtt::envelope_of;
use crate::pipeline::inputs::route::spine_event;
use crate::pipeline::rules::active::{LoadError, compile_rule};
use crate::pipeline::turns::unit::Texts;
use crate::pipeline::{Pipeline, monotonic, on_own_stack};
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

impl Pipeline {
    /// Runs a draft and the active version on the messages that the log holds since a time, in milliseconds. Both see the
    /// tables as they are now; nothing is done.
    pub fn replay(&self, name: &RuleName, source: &str, since_ms: u64) -> Result<Comparison, DraftError> {
        let (draft, active) = self.draft(name, source)?;
        on_own_stack(|| self.replay_here(Comparer::new(draft, active), since_ms))
    }

    fn replay_here(&self, mut comparer: Comparer, since_ms: u64) -> Result<Comparison, DraftError> {
        let deadline = monotonic() + TIME_MAX;
        let mut texts = Texts::default();
        for entry in self.store.replay(self.seq_at(since_ms)?)? {
            let (seq, record) = entry?;
            let Some(envelope) = envelope_of(record, seq) else { continue };
            for index in 0..envelope.len() {
                if envelope.id(index).time_ms() < since_ms {
                    continue;
                }
                if comparer.matched() == EVENTS_MAX {
                    comparer.end_early(format!("{EVENTS_MAX} events are the most that are run at a time"));
                    return Ok(comparer.comparison());
                }
                let Some(event) = spine_event(&envelope, index, &mut texts) else { continue };
                comparer.look_at(self, &event);
            }
            if monotonic() > deadline {
                comparer.end_early(format!("it may take {} seconds at most", TIME_MAX.as_secs()));
                break;
            }
        }
        Ok(comparer.comparison())
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
            let probe = self.store.replay(middle)?.take(PROBE_RECORDS).find_map(|entry| {
                let (seq, record) = entry.ok()?;
                Some((seq, envelope_of(record, seq)?.id(0).time_ms()))
            });
            match probe {
                Some((seq, time_ms)) if time_ms < since_ms => low = seq + 1,
                // Where no message says the time, it is looked for further up.
                _ => high = middle,
            }
        }
        Ok(low)
    }
}
