//! What a run asks the broker to do.

use bytes::Bytes;
use serde::Serialize;

use crate::effect_json;

/// The result of a run that went well: perform all effects, in order, or none.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Outcome {
    /// What to do, in the order the handler asked for it.
    pub effects: Vec<Effect>,
    /// How many steps of the interpreter it took.
    pub operations: u64,
}

/// One thing to do.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Effect {
    /// Delete a row, if it is there.
    Delete {
        /// The table's name.
        table: String,
        /// The first part of the key.
        hash: String,
        /// The second part of the key.
        sort: String,
    },
    /// Write a line to the rule's log.
    Log {
        /// How serious it is.
        level: LogLevel,
        /// The line.
        text: String,
    },
    /// Publish a message.
    Publish {
        /// A valid topic that does not start with `$`.
        topic: String,
        /// The message.
        #[serde(serialize_with = "effect_json::payload")]
        payload: Bytes,
        /// 0, 1 or 2.
        qos: u8,
        /// Whether it is retained.
        retain: bool,
    },
    /// Write a row, whether or not it is there.
    Put {
        /// The table's name.
        table: String,
        /// The first part of the key.
        hash: String,
        /// The second part of the key, by which a query sorts.
        sort: String,
        /// The value, a JSON text.
        #[serde(serialize_with = "effect_json::value")]
        value: Bytes,
        /// When the row is to be gone, in milliseconds.
        #[serde(rename = "expires_at", skip_serializing_if = "Option::is_none")]
        expires_at_ms: Option<i64>,
    },
}

/// How serious a line of a rule's log is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// For finding a fault.
    Debug,
    /// Worth knowing.
    Info,
    /// Somebody should look.
    Warn,
    /// Something is wrong.
    Error,
}
