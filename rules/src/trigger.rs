//! What a rule listens to, and how its events are handled.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::pattern::Pattern;
use crate::schedule::Schedule;
use crate::topic::LevelFilter;

/// Something a rule listens to, and the function that handles it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trigger {
    /// What it listens to.
    pub on: On,
    /// How its events are handled.
    pub handling: Handling,
    /// The function of the script that is called with the event.
    pub handler: String,
    /// The line of the source that says so.
    pub line: usize,
}

/// What a trigger listens to.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum On {
    /// Messages, several at a time.
    Batch(LevelFilter, BatchLimits),
    /// A row of this table was written or deleted.
    Change(Arc<str>),
    /// A client connected.
    Connect,
    /// A connection ended.
    Disconnect,
    /// An event was put on a bus.
    Event(BusPattern),
    /// A message was published to a topic that the filter matches.
    Message(LevelFilter),
    /// A client subscribed.
    Subscribe,
    /// A time has come.
    Time(Schedule),
    /// A client unsubscribed.
    Unsubscribe,
}

/// Which events of which bus.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BusPattern {
    /// The bus.
    pub bus: Arc<str>,
    /// What the event must be.
    pub pattern: Arc<Pattern>,
}

/// When a batch is complete: as soon as one of these is reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BatchLimits {
    /// Messages.
    pub messages_max: usize,
    /// Bytes of their payloads.
    pub bytes_max: usize,
    /// Time since the first of them came.
    pub delay_max: Duration,
}

/// How the events of a trigger are handled.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Handling {
    /// Messages at QoS 1 and 2 are kept on disk until they are handled, also across a crash.
    pub durable: bool,
    /// Which events wait for each other.
    pub order_by: OrderBy,
    /// Where a trigger begins that was not there before.
    pub start: Start,
}

impl Default for Handling {
    fn default() -> Self {
        Self { durable: true, order_by: OrderBy::Publisher, start: Start::Now }
    }
}

/// Which events of a trigger wait for each other: those that agree in this. Others are handled beside them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum OrderBy {
    /// All of them.
    All,
    /// A field of the payload, by the names that lead to it. Payloads without it wait for each other.
    Field(Arc<[Box<str>]>),
    /// None.
    Nothing,
    /// A named level of the topic.
    Param(Arc<str>),
    /// The client that published, the bus' source, the row's key.
    #[default]
    Publisher,
    /// The topic.
    Topic,
}

/// Where a trigger begins that was not there before.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Start {
    /// With what happened at or after this time in milliseconds, as far as it is kept.
    At(i64),
    /// With what happens from now on.
    #[default]
    Now,
    /// With the oldest that is kept.
    Oldest,
}

impl OrderBy {
    /// Reads `publisher`, `topic`, `all`, `none`, `params.<level>` or `json.<field>.<field>`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let usable = |name: &str| !name.is_empty() && !name.contains(['"', '\0']);
        if let Some(name) = text.strip_prefix("params.").filter(|name| usable(name) && !name.contains('.')) {
            return Ok(Self::Param(name.into()));
        }
        if let Some(path) = text.strip_prefix("json.").filter(|path| path.split('.').all(usable)) {
            return Ok(Self::Field(path.split('.').map(Box::from).collect()));
        }
        match text {
            "all" => Ok(Self::All),
            "none" => Ok(Self::Nothing),
            "publisher" => Ok(Self::Publisher),
            "topic" => Ok(Self::Topic),
            _ => Err(format!(
                "order_by {text:?} is none of \"publisher\", \"topic\", \"all\", \"none\", \"params.level\" and \
                 \"json.field\""
            )),
        }
    }
}

impl fmt::Display for On {
    /// As it is written in a script.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Batch(filter, _) => write!(formatter, "on_batch(\"{filter}\")"),
            Self::Change(table) => write!(formatter, "on_change(\"{table}\")"),
            Self::Connect => formatter.write_str("on_connect"),
            Self::Disconnect => formatter.write_str("on_disconnect"),
            Self::Event(wanted) => write!(formatter, "on_event({}: {})", wanted.bus, wanted.pattern.source()),
            Self::Message(filter) => write!(formatter, "on_message(\"{filter}\")"),
            Self::Subscribe => formatter.write_str("on_subscribe"),
            Self::Time(schedule) => write!(formatter, "{schedule}"),
            Self::Unsubscribe => formatter.write_str("on_unsubscribe"),
        }
    }
}
