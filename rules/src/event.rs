//! What happens and is given to rules.

mod other;

use std::mem;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use rhai::{Dynamic, ImmutableString};

use crate::event_id::EventId;
use crate::json;
use crate::limits::Limits;
use crate::text::Text;
use crate::trigger::On;

pub use other::{Batch, Change, ChangeKind, Tick};

/// Something that happened. Cloning shares it, and what one rule has parsed is there for the next.
#[derive(Clone, Debug)]
pub struct Event(pub(crate) Kind);

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Batch(Arc<Batch>),
    /// An event of a bus: its payload is the event as subscribers get it.
    Bus(Arc<SharedMessage>),
    Change(Arc<Change>),
    Lifecycle(On, Arc<Lifecycle>),
    Message(Arc<SharedMessage>),
    Tick(Arc<Tick>),
}

/// A message that was published.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// Where it was published to.
    pub topic: Text,
    /// Who published it; empty for the server itself.
    pub client_id: Text,
    /// The user that client authenticated as.
    pub user: Option<Text>,
    /// What was published.
    pub payload: Bytes,
    /// 0, 1 or 2.
    pub qos: u8,
    /// Whether it came with the retain flag.
    pub retain: bool,
    /// When it came, in milliseconds.
    pub time_ms: i64,
    /// Its identity.
    pub id: EventId,
}

/// A connection or subscription that began or ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lifecycle {
    /// When, in milliseconds.
    pub time_ms: i64,
    /// Its identity.
    pub id: EventId,
    /// Whose connection or subscription it is.
    pub client_id: String,
    /// The user that client authenticated as.
    pub user: Option<String>,
    /// The session's identity.
    pub session_id: String,
    /// The client's address.
    pub ip: Option<String>,
    /// Grows with each connection of this client id; the same for the begin and the end of one.
    pub version_number: u64,
    /// Whether the client itself ended the connection.
    pub client_initiated: bool,
    /// Why the connection ended, for instance `CONNECTION_LOST`.
    pub reason: Option<String>,
    /// The filters of one SUBSCRIBE or UNSUBSCRIBE.
    pub filters: Vec<String>,
}

impl Event {
    /// A message was published.
    pub fn message(message: Message) -> Self {
        Self(Kind::Message(Arc::new(SharedMessage::new(message))))
    }

    /// An event was put on a bus. The payload is the event as subscribers get it, the client id its source.
    pub fn bus(message: Message) -> Self {
        Self(Kind::Bus(Arc::new(SharedMessage::new(message))))
    }

    /// The same message or event of a bus, given to a rule once more by the replay of that name. An event of a bus says so
    /// itself then, as its member `replay-name`. What is neither stays as it is.
    #[must_use]
    pub fn replayed(&self, name: &str) -> Self {
        match &self.0 {
            Kind::Message(shared) => {
                let replay = Some(Text::from(name));
                Self(Kind::Message(Arc::new(SharedMessage {
                    replay,
                    ..SharedMessage::new(shared.message.clone())
                })))
            }
            Kind::Bus(shared) => {
                let payload = with_replay_name(&shared.message.payload, name);
                Self::bus(Message { payload, ..shared.message.clone() })
            }
            Kind::Batch(_) | Kind::Change(_) | Kind::Lifecycle(..) | Kind::Tick(_) => self.clone(),
        }
    }

    /// A row was written or deleted.
    pub fn change(change: Change) -> Self {
        Self(Kind::Change(Arc::new(change)))
    }

    /// Messages are to be handled together.
    pub fn batch(batch: Batch) -> Self {
        Self(Kind::Batch(Arc::new(batch)))
    }

    /// A time has come.
    pub fn tick(tick: Tick) -> Self {
        Self(Kind::Tick(Arc::new(tick)))
    }

    /// A client connected.
    pub fn connect(lifecycle: Lifecycle) -> Self {
        Self(Kind::Lifecycle(On::Connect, Arc::new(lifecycle)))
    }

    /// A connection ended.
    pub fn disconnect(lifecycle: Lifecycle) -> Self {
        Self(Kind::Lifecycle(On::Disconnect, Arc::new(lifecycle)))
    }

    /// A client subscribed.
    pub fn subscribe(lifecycle: Lifecycle) -> Self {
        Self(Kind::Lifecycle(On::Subscribe, Arc::new(lifecycle)))
    }

    /// A client unsubscribed.
    pub fn unsubscribe(lifecycle: Lifecycle) -> Self {
        Self(Kind::Lifecycle(On::Unsubscribe, Arc::new(lifecycle)))
    }

    /// When it happened, in milliseconds.
    pub fn time_ms(&self) -> i64 {
        match &self.0 {
            Kind::Batch(batch) => batch.time_ms,
            Kind::Bus(shared) | Kind::Message(shared) => shared.message.time_ms,
            Kind::Change(change) => change.time_ms,
            Kind::Lifecycle(_, lifecycle) => lifecycle.time_ms,
            Kind::Tick(tick) => tick.scheduled_ms,
        }
    }

    /// Its identity.
    pub fn id(&self) -> EventId {
        match &self.0 {
            Kind::Batch(batch) => batch.id,
            Kind::Bus(shared) | Kind::Message(shared) => shared.message.id,
            Kind::Change(change) => change.id,
            Kind::Lifecycle(_, lifecycle) => lifecycle.id,
            Kind::Tick(tick) => tick.id,
        }
    }

    /// Whose event it is: the client's, or the source of an event on a bus; empty for the server's own.
    pub fn client_id(&self) -> &str {
        match &self.0 {
            Kind::Bus(shared) | Kind::Message(shared) => &shared.message.client_id,
            Kind::Lifecycle(_, lifecycle) => &lifecycle.client_id,
            Kind::Batch(_) | Kind::Change(_) | Kind::Tick(_) => "",
        }
    }

    /// The message, if it is one or travelled as one.
    pub fn as_message(&self) -> Option<&Message> {
        match &self.0 {
            Kind::Message(shared) | Kind::Bus(shared) => Some(&shared.message),
            Kind::Batch(_) | Kind::Change(_) | Kind::Lifecycle(..) | Kind::Tick(_) => None,
        }
    }
}

/// An event of a bus with a first member more; what is no JSON object stays as it is.
fn with_replay_name(event: &Bytes, name: &str) -> Bytes {
    let Some(members) = event.trim_ascii_start().strip_prefix(b"{") else { return event.clone() };
    let comma = if members.trim_ascii_start().starts_with(b"}") { "" } else { "," };
    let mut text = format!("{{\"replay-name\":{}{comma}", serde_json::Value::from(name)).into_bytes();
    text.extend_from_slice(members);
    Bytes::from(text)
}

/// A message with what scripts have asked for so far.
#[derive(Debug)]
pub(crate) struct SharedMessage {
    pub(crate) message: Message,
    /// The replay that gives it once more.
    pub(crate) replay: Option<Text>,
    id: OnceLock<ImmutableString>,
    json: Mutex<Json>,
}

impl SharedMessage {
    fn new(message: Message) -> Self {
        Self { message, replay: None, id: OnceLock::new(), json: Mutex::default() }
    }

    pub(crate) fn id(&self) -> &ImmutableString {
        self.id.get_or_init(|| str::from_utf8(&self.message.id.text()).unwrap_or_default().into())
    }

    /// The payload as JSON. Most messages are looked at once, so the first value is given away; from the
    /// second look on one is kept and copied.
    pub(crate) fn json(&self, limits: &Limits) -> Result<Dynamic, String> {
        let mut json = self.json.lock().unwrap_or_else(PoisonError::into_inner);
        let parse = || json::read(&self.message.payload, limits);
        let (value, next) = match mem::take(&mut *json) {
            Json::Untouched => (parse(), Json::GivenAway),
            Json::Checked(value) => (Ok(value), Json::GivenAway),
            Json::GivenAway => {
                let value = parse()?;
                (Ok(value.clone()), Json::Kept(value))
            }
            Json::Kept(value) => (Ok(value.clone()), Json::Kept(value)),
            Json::Bad(error) => (Err(error), Json::Untouched),
        };
        *json = match &value {
            Ok(_) => next,
            Err(error) => Json::Bad(error.clone()),
        };
        value
    }

    /// Whether the payload is JSON.
    pub(crate) fn is_json(&self, limits: &Limits) -> bool {
        let mut json = self.json.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*json, Json::Untouched) {
            *json = json::read(&self.message.payload, limits).map_or_else(Json::Bad, Json::Checked);
        }
        !matches!(*json, Json::Bad(_))
    }
}

/// What is known of a payload as JSON.
#[derive(Debug, Default)]
enum Json {
    /// It is none, for this reason.
    Bad(String),
    /// It was parsed to see whether it can be.
    Checked(Dynamic),
    /// It was parsed, and the value is somebody's.
    GivenAway,
    /// It was asked for twice and may be again.
    Kept(Dynamic),
    /// Nobody has asked.
    #[default]
    Untouched,
}
