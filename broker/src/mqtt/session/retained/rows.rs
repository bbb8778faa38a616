//! The retained messages in the store: a row for each topic, whose content is the envelope.

use std::collections::HashSet;

use tracing::warn;

use super::super::super::envelope::Envelope;
use super::{Applied, Retained, RetainedLimits, expires_at_ms};
use crate::store::{ReadError, Store, Write};

/// The table. All rows have the same hash, so that they can be read in order; their sort is the topic.
const TABLE: &str = "_retained";
const HASH: &str = "";

/// The longest topic of a retained message: with the table's name it must fit a key of the store.
pub const TOPIC_BYTES_MAX: usize = 4_000;

/// Rows read at a time when the server starts.
const PAGE_ROWS: usize = 1_000;

/// What an envelope's messages with the RETAIN flag change in the store. Of those of one topic the last counts.
pub fn writes_of(envelope: &Envelope) -> Vec<Write> {
    let mut written = HashSet::new();
    let mut writes = Vec::new();
    for index in (0..envelope.len()).rev() {
        let message = envelope.message(index);
        // Nothing is retained under a topic that is too long, so that there is nothing to remove, either.
        let can_be_kept = message.marks().retain && message.topic_bytes().len() <= TOPIC_BYTES_MAX;
        if can_be_kept && written.insert(message.topic_bytes()) {
            writes.push(write_of(envelope, index));
        }
    }
    writes
}

/// What message `index` of an envelope changes in the store.
pub(crate) fn write_of(envelope: &Envelope, index: usize) -> Write {
    let message = envelope.message(index);
    if message.payload().is_empty() {
        return Write::delete(TABLE, HASH, message.topic());
    }
    let value = envelope.single(index).bytes().clone();
    Write::put(TABLE, HASH, message.topic(), value, expires_at_ms(envelope, index))
}

impl Retained {
    /// Those that the store holds. What is no envelope, or too much since a limit was lowered, is left out with a warning.
    pub(crate) fn load(store: &Store, limits: RetainedLimits, now_ms: u64) -> Result<Retained, ReadError> {
        let retained = Retained::new(limits);
        let mut left_out = 0_u64;
        for row in store.scan(TABLE, HASH, PAGE_ROWS) {
            let kept = Envelope::from_bytes(row?.value)
                .is_ok_and(|one| one.len() == 1 && retained.apply(&one, 0, now_ms) == Applied::Kept);
            left_out += u64::from(!kept);
        }
        if left_out > 0 {
            warn!(
                left_out,
                "retained messages of the store were not taken: the limits are lower, or they are damaged"
            );
        }
        Ok(retained)
    }
}
