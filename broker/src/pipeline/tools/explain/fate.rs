//! What the log says of how far a trigger has come with a message.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Deadline, ExplainError};
use crate::mqtt::Envelope;
use crate::pipeline::Pipeline;
use crate::pipeline::turns::progress::{Input, TriggerKey};
use crate::store::{Done, ReadError};

/// How far a trigger has come with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Fate {
    /// It failed, and the event is among the dead letters.
    Failed,
    /// It was handled.
    Handled,
    /// The trigger begins behind the message.
    Newer,
    /// Nobody was promised the message, so it is not noted whether it was handled.
    NotNoted,
    /// It is put aside, as the rule is suspended or the disk or other runs were in its way.
    PutAside,
    /// It is not noted as handled; it may be waiting.
    Waiting,
}

/// The fates of the triggers that were promised a message.
pub(super) struct Fates {
    /// What is not here was not promised it.
    known: BTreeMap<TriggerKey, Fate>,
    /// The time was over before the log was read.
    pub(super) is_cut_short: bool,
}

impl Fates {
    pub(super) fn of(&self, key: &TriggerKey) -> Fate {
        self.known.get(key).copied().unwrap_or(Fate::NotNoted)
    }
}

impl Pipeline {
    /// Finds out how far triggers have come with a message that they were promised.
    pub(super) fn fates(
        &self,
        envelope: &Envelope,
        promised: &[TriggerKey],
        deadline: Deadline,
    ) -> Result<Fates, ExplainError> {
        let mut fates = Fates { known: BTreeMap::new(), is_cut_short: false };
        let Some(seq) = envelope.log_seq() else { return Ok(fates) };
        let input = (seq, envelope.log_index(0));
        for key in promised {
            fates.known.insert(key.clone(), self.fate(key, input)?);
        }
        let mut open = fates.known.values().filter(|fate| **fate == Fate::Waiting).count();
        if open == 0 {
            return Ok(fates);
        }
        // What was handled is said behind the message.
        for entry in self.store.replay(seq.max(self.store.first()))? {
            for Done { rule, trigger, seq, index, count } in entry?.1.done {
                let is_it = (seq, index) <= input && input.0 == seq && input.1 - index < count;
                if is_it
                    && let Some(fate @ Fate::Waiting) = fates.known.get_mut(&TriggerKey { rule, trigger })
                {
                    *fate = Fate::Handled;
                    open -= 1;
                }
            }
            fates.is_cut_short = deadline.is_over();
            if open == 0 || fates.is_cut_short {
                break;
            }
        }
        Ok(fates)
    }

    /// As far as it is known without reading the log.
    fn fate(&self, key: &TriggerKey, input: Input) -> Result<Fate, ReadError> {
        // First, as nothing is settled that is put aside or waits for a worker.
        let is_settled = self.store.settled_before(&key.rule, key.trigger)? > input.0;
        Ok(if self.first_owed(key)? > input.0 {
            Fate::Newer
        } else if is_settled {
            Fate::Handled
        } else if self.progress.is_parked(key, input) {
            Fate::PutAside
        } else {
            Fate::Waiting
        })
    }
}
