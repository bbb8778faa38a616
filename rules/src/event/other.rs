//! What rules are given besides messages and lifecycle events.

use std::fmt;

use bytes::Bytes;

use super::Event;
use crate::event_id::EventId;

/// A row that was written or deleted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// The table.
    pub table: String,
    /// The first part of the row's key.
    pub hash: String,
    /// The second part.
    pub sort: String,
    /// The value before, a JSON text; `None` if there was none.
    pub old: Option<Bytes>,
    /// The value after; `None` if there is none any more.
    pub new: Option<Bytes>,
    /// Whether the row went because its time to live was over.
    pub expired: bool,
    /// When, in milliseconds.
    pub time_ms: i64,
    /// Its identity.
    pub id: EventId,
}

/// What a change did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ChangeKind {
    /// There was no such row before.
    Insert,
    /// The row has another value.
    Modify,
    /// The row is gone.
    Remove,
}

impl Change {
    /// What it did.
    pub fn kind(&self) -> ChangeKind {
        match (&self.old, &self.new) {
            (None, Some(_)) => ChangeKind::Insert,
            (Some(_), Some(_)) => ChangeKind::Modify,
            (_, None) => ChangeKind::Remove,
        }
    }
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Insert => "INSERT",
            Self::Modify => "MODIFY",
            Self::Remove => "REMOVE",
        })
    }
}

/// Messages that are handled together.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The messages, in the order in which they came.
    pub messages: Vec<Event>,
    /// When it was complete, in milliseconds.
    pub time_ms: i64,
    /// Its identity: that of its first message.
    pub id: EventId,
}

/// A time that has come.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tick {
    /// The time that the schedule names, in milliseconds.
    pub scheduled_ms: i64,
    /// Its identity, the same whenever this time of this trigger is handled.
    pub id: EventId,
}
