//! What a run asks the broker to do.

use bytes::Bytes;

/// The result of a run that went well: perform all effects, in order, or none.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Outcome {
    /// What to do, in the order the handler asked for it.
    pub effects: Vec<Effect>,
    /// How many steps of the interpreter it took.
    pub operations: u64,
}

/// One thing to do.
#[derive(Clone, Debug, Eq, PartialEq)]
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
