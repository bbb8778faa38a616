//! Events as JSON: what tests, dry runs and dead letters keep of them.

use bytes::Bytes;
use data_encoding::BASE64;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::bus::{DEFAULT_BUS, Entry, PutContext};
use crate::event::{Batch, Change, Event, Kind, Lifecycle, Message, Tick};
use crate::event_id::EventId;
use crate::topic::validate_topic;
use crate::trigger::On;

/// The kinds of events that there are, by the `kind` of their JSON.
const KINDS: [&str; 9] =
    ["message", "bus", "batch", "change", "tick", "connect", "disconnect", "subscribe", "unsubscribe"];

/// What an event has that its JSON leaves out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EventDefaults {
    /// When it happened, in milliseconds.
    pub time_ms: i64,
    /// Its identity.
    pub id: EventId,
}

/// Why a JSON value is no event. `Display` says which member is wrong and what is right.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{0}")]
pub struct EventJsonError(String);

/// A message. A payload that is no string is written as JSON text; bytes that are no text go as base64.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct MessageJson {
    topic: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    qos: u8,
    #[serde(default)]
    retain: bool,
    /// The replay that gives it once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replay: Option<String>,
    time: Option<i64>,
    id: Option<String>,
}

/// The begin or the end of a connection or a subscription.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct LifecycleJson {
    client_id: String,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    session_id: String,
    #[serde(default)]
    ip: Option<String>,
    #[serde(default)]
    version_number: u64,
    #[serde(default)]
    client_initiated: bool,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    filters: Vec<String>,
    time: Option<i64>,
    id: Option<String>,
}

/// An event of a bus: whole, or by the members that `put_events` takes.
#[derive(Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct BusJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    bus: Option<String>,
    /// What it travelled on, where that is not the bus alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resources: Vec<String>,
    time: Option<i64>,
    id: Option<String>,
}

/// Messages that are handled together, each as an event of its own.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct BatchJson {
    messages: Vec<Value>,
    time: Option<i64>,
    id: Option<String>,
}

/// A row that was written or deleted.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ChangeJson {
    table: String,
    hash: String,
    #[serde(default)]
    sort: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<Value>,
    #[serde(default)]
    expired: bool,
    time: Option<i64>,
    id: Option<String>,
}

/// A time that has come.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct TickJson {
    time: Option<i64>,
    id: Option<String>,
}

impl Event {
    /// Reads an event. Its members are those that scripts see, and `kind` says which of the kinds it is; what is
    /// left out is as in `defaults`, or empty.
    ///
    /// # Errors
    /// Says which member is unknown, missing or of the wrong type.
    pub fn from_json(value: &Value, defaults: EventDefaults) -> Result<Self, EventJsonError> {
        let wrong = |message: String| Err(EventJsonError(message));
        let Value::Object(members) = value else { return wrong("an event is a JSON object".to_owned()) };
        let mut members = members.clone();
        let kind = match members.remove("kind") {
            Some(Value::String(kind)) if KINDS.contains(&kind.as_str()) => kind,
            Some(kind) => return wrong(format!("there is no kind {kind}: there are {}", KINDS.join(", "))),
            None => return wrong(format!("the member `kind` is missing: it is one of {}", KINDS.join(", "))),
        };
        let lifecycle = |make: fn(Lifecycle) -> Self| {
            let lifecycle = read::<LifecycleJson>(&kind, members.clone())?;
            Ok(make(lifecycle.into_lifecycle(defaults)?))
        };
        match kind.as_str() {
            "batch" => Ok(Self::batch(read::<BatchJson>(&kind, members)?.into_batch(defaults)?)),
            "bus" => Ok(Self::bus(read::<BusJson>(&kind, members)?.into_message(defaults)?)),
            "change" => Ok(Self::change(read::<ChangeJson>(&kind, members)?.into_change(defaults)?)),
            "message" => {
                let read = read::<MessageJson>(&kind, members)?;
                let replay = read.replay.clone();
                let event = Self::message(read.into_message(defaults)?);
                Ok(replay.map_or_else(|| event.clone(), |name| event.replayed(&name)))
            }
            "tick" => Ok(Self::tick(read::<TickJson>(&kind, members)?.into_tick(defaults)?)),
            "connect" => lifecycle(Self::connect),
            "disconnect" => lifecycle(Self::disconnect),
            "subscribe" => lifecycle(Self::subscribe),
            _ => lifecycle(Self::unsubscribe),
        }
    }

    /// The event as JSON, from which [`Event::from_json`] reads the same event.
    pub fn to_json(&self) -> Value {
        let (kind, members) = match &self.0 {
            Kind::Batch(batch) => ("batch", to_value(&BatchJson::of(batch))),
            Kind::Bus(shared) => ("bus", to_value(&BusJson::of(&shared.message))),
            Kind::Change(change) => ("change", to_value(&ChangeJson::of(change))),
            Kind::Message(shared) => {
                let replay = shared.replay.as_ref().map(ToString::to_string);
                ("message", to_value(&MessageJson { replay, ..MessageJson::of(&shared.message) }))
            }
            Kind::Tick(tick) => ("tick", to_value(&TickJson::of(tick))),
            Kind::Lifecycle(on, lifecycle) => (lifecycle_kind(on), to_value(&LifecycleJson::of(lifecycle))),
        };
        let mut value = members;
        if let Value::Object(members) = &mut value {
            members.insert("kind".to_owned(), kind.into());
        }
        value
    }
}

impl MessageJson {
    fn of(message: &Message) -> Self {
        let text = str::from_utf8(&message.payload).ok();
        Self {
            topic: message.topic.to_string(),
            payload: text.map(Value::from),
            payload_base64: text.is_none().then(|| BASE64.encode(&message.payload)),
            client_id: message.client_id.to_string(),
            user: message.user.as_ref().map(ToString::to_string),
            qos: message.qos,
            retain: message.retain,
            replay: None,
            time: Some(message.time_ms),
            id: Some(message.id.to_string()),
        }
    }

    fn into_message(self, defaults: EventDefaults) -> Result<Message, EventJsonError> {
        let wrong = |message: String| EventJsonError(format!("an event of kind \"message\": {message}"));
        validate_topic(&self.topic).map_err(|error| wrong(error.to_string()))?;
        if self.qos > 2 {
            return Err(wrong(format!("qos is {}: it is 0, 1 or 2", self.qos)));
        }
        let payload = match (self.payload, self.payload_base64) {
            (Some(_), Some(_)) => return Err(wrong("give payload or payload_base64, not both".to_owned())),
            (None, Some(text)) => {
                let decoded = BASE64.decode(text.as_bytes());
                Bytes::from(decoded.map_err(|error| wrong(format!("payload_base64 is no base64: {error}")))?)
            }
            (Some(Value::String(text)), None) => Bytes::from(text),
            (Some(value), None) => Bytes::from(value.to_string()),
            (None, None) => Bytes::new(),
        };
        Ok(Message {
            topic: self.topic.into(),
            client_id: self.client_id.into(),
            user: self.user.map(Into::into),
            payload,
            qos: self.qos,
            retain: self.retain,
            time_ms: self.time.unwrap_or(defaults.time_ms),
            id: id_of(self.id, defaults)?,
        })
    }
}

impl LifecycleJson {
    fn of(lifecycle: &Lifecycle) -> Self {
        let lifecycle = lifecycle.clone();
        Self {
            client_id: lifecycle.client_id,
            user: lifecycle.user,
            session_id: lifecycle.session_id,
            ip: lifecycle.ip,
            version_number: lifecycle.version_number,
            client_initiated: lifecycle.client_initiated,
            reason: lifecycle.reason,
            filters: lifecycle.filters,
            time: Some(lifecycle.time_ms),
            id: Some(lifecycle.id.to_string()),
        }
    }

    fn into_lifecycle(self, defaults: EventDefaults) -> Result<Lifecycle, EventJsonError> {
        Ok(Lifecycle {
            time_ms: self.time.unwrap_or(defaults.time_ms),
            id: id_of(self.id, defaults)?,
            client_id: self.client_id,
            user: self.user,
            session_id: self.session_id,
            ip: self.ip,
            version_number: self.version_number,
            client_initiated: self.client_initiated,
            reason: self.reason,
            filters: self.filters,
        })
    }
}

impl BusJson {
    fn of(message: &Message) -> Self {
        let bus = message.topic.rsplit('/').next().unwrap_or_default();
        Self {
            bus: Some(bus.to_owned()),
            topic: (*message.topic != *bus).then(|| message.topic.to_string()),
            event: serde_json::from_slice(&message.payload).ok(),
            time: Some(message.time_ms),
            id: Some(message.id.to_string()),
            ..Self::default()
        }
    }

    fn into_message(self, defaults: EventDefaults) -> Result<Message, EventJsonError> {
        let (time_ms, id) = (self.time.unwrap_or(defaults.time_ms), id_of(self.id, defaults)?);
        let bus = self.bus.unwrap_or_else(|| DEFAULT_BUS.to_owned());
        let payload = if let Some(event) = self.event {
            Bytes::from(event.to_string())
        } else {
            let entry = Entry {
                source: self.source,
                detail_type: self.detail_type,
                detail: self.detail.map(|detail| detail.to_string()),
                bus: Some(bus.clone()),
                time_ms: Some(time_ms),
                resources: self.resources,
            };
            let context = PutContext { time_ms, seed: id, rule: "", number: 0, cause: None };
            let event = entry.event(&context);
            event.map_err(|error| EventJsonError(format!("an event of kind \"bus\": {error}")))?
        };
        let event: Value = serde_json::from_slice(&payload).unwrap_or_default();
        let source = event.get("source").and_then(Value::as_str).unwrap_or_default();
        Ok(Message {
            topic: self.topic.unwrap_or(bus).into(),
            client_id: source.into(),
            user: None,
            payload,
            qos: 1,
            retain: false,
            time_ms,
            id,
        })
    }
}

impl BatchJson {
    fn of(batch: &Batch) -> Self {
        let messages = batch.messages.iter().map(Event::to_json).collect();
        Self { messages, time: Some(batch.time_ms), id: Some(batch.id.to_string()) }
    }

    fn into_batch(self, defaults: EventDefaults) -> Result<Batch, EventJsonError> {
        let message = |(at, value): (usize, &Value)| {
            // Each has an id of its own, that sorts behind that of the one before.
            let id = EventId::from_u128(defaults.id.to_u128().saturating_add(at as u128));
            match Event::from_json(value, EventDefaults { id, ..defaults }) {
                Ok(event) if matches!(event.0, Kind::Message(_)) => Ok(event),
                Ok(_) => Err(EventJsonError(format!("messages[{at}] is no message"))),
                Err(error) => Err(EventJsonError(format!("messages[{at}]: {error}"))),
            }
        };
        let messages = self.messages.iter().enumerate().map(message).collect::<Result<Vec<_>, _>>()?;
        let first = messages.first().map_or(defaults.id, Event::id);
        let id = id_of(self.id, EventDefaults { id: first, ..defaults })?;
        Ok(Batch { messages, time_ms: self.time.unwrap_or(defaults.time_ms), id })
    }
}

impl ChangeJson {
    fn of(change: &Change) -> Self {
        let value = |text: &Option<Bytes>| serde_json::from_slice(text.as_deref()?).ok();
        Self {
            table: change.table.clone(),
            hash: change.hash.clone(),
            sort: change.sort.clone(),
            before: value(&change.old),
            after: value(&change.new),
            expired: change.expired,
            time: Some(change.time_ms),
            id: Some(change.id.to_string()),
        }
    }

    fn into_change(self, defaults: EventDefaults) -> Result<Change, EventJsonError> {
        let text = |value: Option<Value>| value.map(|value| Bytes::from(value.to_string()));
        Ok(Change {
            table: self.table,
            hash: self.hash,
            sort: self.sort,
            old: text(self.before),
            new: text(self.after),
            expired: self.expired,
            time_ms: self.time.unwrap_or(defaults.time_ms),
            id: id_of(self.id, defaults)?,
        })
    }
}

impl TickJson {
    fn of(tick: &Tick) -> Self {
        Self { time: Some(tick.scheduled_ms), id: Some(tick.id.to_string()) }
    }

    fn into_tick(self, defaults: EventDefaults) -> Result<Tick, EventJsonError> {
        Ok(Tick { scheduled_ms: self.time.unwrap_or(defaults.time_ms), id: id_of(self.id, defaults)? })
    }
}

fn id_of(text: Option<String>, defaults: EventDefaults) -> Result<EventId, EventJsonError> {
    let Some(text) = text else { return Ok(defaults.id) };
    text.parse().map_err(|error| EventJsonError(format!("id {text:?}: {error}")))
}

fn read<T: DeserializeOwned>(kind: &str, members: Map<String, Value>) -> Result<T, EventJsonError> {
    serde_json::from_value(Value::Object(members))
        .map_err(|error| EventJsonError(format!("an event of kind {kind:?}: {error}")))
}

fn to_value(members: &impl Serialize) -> Value {
    serde_json::to_value(members).unwrap_or_default()
}

fn lifecycle_kind(on: &On) -> &'static str {
    match on {
        On::Connect => "connect",
        On::Disconnect => "disconnect",
        On::Subscribe => "subscribe",
        _ => "unsubscribe",
    }
}

#[cfg(test)]
mod tests;
