//! What a run asks the broker to do.

use std::time::Duration;

use bytes::Bytes;

use crate::error::RunError;
use crate::leaderboard::BoardChange;
use crate::sql::Asked;

/// The result of a run that has something to do: perform all effects, in order, or none.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Outcome {
    /// What to do, in the order the handler asked for it.
    pub effects: Vec<Effect>,
    /// How many steps of the interpreter it took.
    pub operations: u64,
    /// By which actions of a statement the effects are asked for.
    pub asked: Asked,
    /// What failed although there is something to do: actions of a statement, each of which is for itself. Of a script
    /// there is no such thing.
    pub failure: Option<Box<PartFailure>>,
}

/// Actions of a statement that failed, beside others that did not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PartFailure {
    /// What failed, where and why.
    pub error: RunError,
    /// The actions that are among the effects, as they are written: what is not to be done once more.
    pub done: Vec<String>,
    /// Whether the error action is among the effects: what failed is its business then.
    pub is_told: bool,
}

/// One thing to do.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Effect {
    /// Change a leaderboard: write its [row](BoardChange::row), and tell the index once it is committed.
    Board(BoardChange),
    /// Delete a row, if it is there.
    Delete {
        /// The table's name.
        table: String,
        /// The first part of the key.
        hash: String,
        /// The second part of the key.
        sort: String,
    },
    /// End the connection of a client, if it has one.
    Disconnect {
        /// The client.
        client_id: String,
        /// What the client is told, if the rule says why.
        reason: Option<String>,
    },
    /// Write a line to the rule's log.
    Log {
        /// How serious it is.
        level: LogLevel,
        /// The line.
        text: String,
    },
    /// Tell all who subscribe to a topic of notifications.
    Notify {
        /// The topic: see [`is_notify_topic`](crate::is_notify_topic).
        topic: String,
        /// What it is about, in one line.
        subject: Option<String>,
        /// The message; JSON where the rule gave something else than text.
        message: String,
    },
    /// Publish a message.
    Publish {
        /// A valid topic. It starts with `$` only where a SQL rule asks for that with `$$`.
        topic: String,
        /// The message.
        payload: Bytes,
        /// 0, 1 or 2.
        qos: u8,
        /// Whether it is retained.
        retain: bool,
        /// What MQTT 5 sends along; `None` is nothing.
        properties: Option<Box<PublishProperties>>,
    },
    /// Put an event on a bus.
    PutEvent {
        /// The bus.
        bus: String,
        /// The event, a JSON object as subscribers get it (docs/RULES.md).
        event: Bytes,
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
        value: Bytes,
        /// When the row is to be gone, in milliseconds.
        expires_at_ms: Option<i64>,
    },
    /// Send a request to a web server.
    Webhook(Box<Webhook>),
}

/// A request to a web server, whose answer matters only in that it says that the request was taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Webhook {
    /// Where to: `http` or `https`, in visible ASCII without a fragment; not checked further.
    pub url: String,
    /// `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: &'static str,
    /// Names in small letters, each once, in the order of the names; `content-type` is among them.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// How long one attempt may take, if the rule says so.
    pub timeout: Option<Duration>,
    /// How often it is tried again after the first time, if the rule says so.
    pub retries: Option<u32>,
    /// The name of the secret that signs it.
    pub secret: Option<String>,
}

/// How serious a line of a rule's log is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
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

/// What MQTT 5 sends along with a message (MQTT 5 section 3.3.2.3).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PublishProperties {
    /// What kind of payload it is, such as `application/json`.
    pub content_type: Option<String>,
    /// By which a response is known to belong to a request.
    pub correlation_data: Option<Bytes>,
    /// Seconds after which the message is no longer sent.
    pub expiry_seconds: Option<u32>,
    /// Whether the payload is UTF-8 text.
    pub is_text: bool,
    /// Where a response is to be published.
    pub response_topic: Option<String>,
    /// Names and values, in order.
    pub user: Vec<(String, String)>,
}
