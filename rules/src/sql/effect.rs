//! What a SQL rule asks the broker to do, and what it could not ask for.

use bytes::Bytes;

/// What a rule made of one message.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SqlOutcome {
    /// Whether WHERE let the message through.
    pub fired: bool,
    /// What to do, in the order of the file; that of the error action is the last.
    pub effects: Vec<SqlEffect>,
    /// What failed. If the rule has an error action, it has been asked for.
    pub failures: Vec<SqlFailure>,
}

/// One thing to do.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SqlEffect {
    /// Delete a row, if it is there.
    Delete {
        /// The table's name.
        table: String,
        /// The first part of the key.
        hash: String,
        /// The second part of the key.
        sort: String,
    },
    /// Send a notification.
    Notify {
        /// The topic of notifications.
        topic: String,
        /// What it is about.
        subject: Option<String>,
        /// The message.
        message: Bytes,
    },
    /// Publish a message.
    Publish {
        /// A valid topic. It starts with `$` only where the file says so with `$$`.
        topic: String,
        /// The message.
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
        /// The second part of the key.
        sort: String,
        /// The value, a JSON text.
        value: Bytes,
        /// When the row is to be gone, in milliseconds.
        expires_at_ms: Option<i64>,
    },
    /// Put an event on the default bus.
    PutEvent {
        /// Who says it.
        source: String,
        /// What kind of event it is.
        detail_type: String,
        /// The text of a JSON object.
        detail: Bytes,
    },
}

/// An action that could not be asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SqlFailure {
    /// The kind of action, for instance `RepublishAction`; `Select` for the statement itself.
    pub action: &'static str,
    /// What it would have been done to, as the file says it.
    pub resource: String,
    /// Why not.
    pub message: String,
}
