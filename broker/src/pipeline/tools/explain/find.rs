//! Finding a message by its id: among the samples, and in the log, whose order is nearly that of the ids' times.

use std::sync::Weak;

use pointsman_rules::EventId;

use super::{Deadline, ExplainError, Found};
use crate::mqtt::{Envelope, Sampled, envelope_of};
use crate::pipeline::Pipeline;

/// How far the times of messages that follow each other in the log may differ: a message has its id before its place.
const SLACK_MS: u64 = 10_000;

/// A message that was found.
pub(super) struct Subject {
    /// It, in an envelope of its own.
    pub(super) envelope: Envelope,
    /// What was noted when it was delivered, if it was kept.
    pub(super) sampled: Option<Sampled>,
}

impl Subject {
    pub(super) fn found(&self) -> Found {
        if self.envelope.log_seq().is_some() { Found::Log } else { Found::Sample }
    }
}

impl Pipeline {
    /// The message with this id.
    pub(super) fn find(&self, id: EventId, deadline: Deadline) -> Result<Subject, ExplainError> {
        // A sample of what is in the log says where.
        let hub = self.hub.get().and_then(Weak::upgrade);
        if let Some(sampled) = hub.and_then(|hub| hub.sample(id)) {
            return Ok(Subject { envelope: sampled.envelope.clone(), sampled: Some(sampled) });
        }
        let time_ms = id.time_ms();
        for entry in self.store.replay(self.seq_at(time_ms.saturating_sub(SLACK_MS))?)? {
            let (seq, record) = entry?;
            let Some(envelope) = envelope_of(record, seq) else { continue };
            if let Some(index) = index_of(&envelope, id) {
                return Ok(Subject { envelope: envelope.single(index), sampled: None });
            }
            if envelope.id(0).time_ms() > time_ms.saturating_add(SLACK_MS) {
                break;
            }
            if deadline.is_over() {
                return Err(ExplainError::TooLong(id));
            }
        }
        Err(ExplainError::NotFound(id))
    }
}

/// Where in an envelope a message is: its ids follow each other.
fn index_of(envelope: &Envelope, id: EventId) -> Option<usize> {
    let behind = id.to_u128().checked_sub(envelope.id(0).to_u128())?;
    usize::try_from(behind).ok().filter(|index| *index < envelope.len())
}
