//! What a handler gets: a message or a lifecycle event, with its members computed when asked for.

use std::sync::Arc;

use rhai::{Array, Dynamic, Engine, INT, ImmutableString, Map};

use crate::event::{Lifecycle, SharedMessage};
use crate::json::Raw;
use crate::limits::Limits;
use crate::state::{NativeResult, charge_bytes, refuse};
use crate::topic::LevelFilter;

/// A message, as scripts see it.
#[derive(Clone)]
pub(crate) struct MessageEvent {
    pub(crate) shared: Arc<SharedMessage>,
    /// The filter of the trigger, for `params`.
    pub(crate) levels: LevelFilter,
}

/// A lifecycle event, as scripts see it.
#[derive(Clone)]
pub(crate) struct LifecycleEvent(pub(crate) Arc<Lifecycle>);

pub(super) fn register(engine: &mut Engine, limits: Limits) {
    register_message(engine);
    register_payload(engine, limits);
    register_lifecycle(engine);
}

fn register_message(engine: &mut Engine) {
    engine.register_type_with_name::<MessageEvent>("Message");
    engine.register_get("topic", |event: &mut MessageEvent| event.shared.message.topic.value());
    engine.register_get("client_id", |event: &mut MessageEvent| event.shared.message.client_id.value());
    engine.register_get("user", |event: &mut MessageEvent| -> Dynamic {
        event.shared.message.user.as_ref().map_or(Dynamic::UNIT, |user| user.value().into())
    });
    engine.register_get("qos", |event: &mut MessageEvent| i64::from(event.shared.message.qos));
    engine.register_get("retain", |event: &mut MessageEvent| event.shared.message.retain);
    engine.register_get("time", |event: &mut MessageEvent| event.shared.message.time_ms);
    engine.register_get("id", |event: &mut MessageEvent| event.shared.id().clone());
    engine.register_get("replay", |event: &mut MessageEvent| -> Dynamic {
        event.shared.replay.as_ref().map_or(Dynamic::UNIT, |name| name.value().into())
    });
    engine.register_get("params", |event: &mut MessageEvent| -> Dynamic {
        let params = event.levels.params(&event.shared.message.topic);
        let member = |(name, level): (&str, &str)| (name.into(), ImmutableString::from(level).into());
        Dynamic::from_map(params.map(member).collect::<Map>())
    });
}

fn register_payload(engine: &mut Engine, limits: Limits) {
    engine.register_get("payload", |event: &mut MessageEvent| payload(event));
    engine.register_get("raw", |event: &mut MessageEvent| Raw {
        bytes: event.shared.message.payload.clone(),
        is_json: false,
    });
    engine.register_get("size", |event: &mut MessageEvent| {
        i64::try_from(event.shared.message.payload.len()).unwrap_or(i64::MAX)
    });
    engine.register_fn("excerpt", |event: &mut MessageEvent, chars_max: INT| excerpt(event, chars_max));
    engine.register_fn("text", |event: &mut MessageEvent| text(event));
    engine.register_get("json", move |event: &mut MessageEvent| json(event, &limits));
    engine.register_fn("json", move |event: &mut MessageEvent| json(event, &limits));
    engine.register_get("is_json", move |event: &mut MessageEvent| {
        charge_bytes(event.shared.message.payload.len());
        event.shared.is_json(&limits)
    });
}

fn register_lifecycle(engine: &mut Engine) {
    engine.register_type_with_name::<LifecycleEvent>("LifecycleEvent");
    engine.register_get("client_id", |event: &mut LifecycleEvent| ImmutableString::from(&event.0.client_id));
    engine.register_get("user", |event: &mut LifecycleEvent| optional(event.0.user.as_deref()));
    engine.register_get("time", |event: &mut LifecycleEvent| event.0.time_ms);
    engine.register_get("id", |event: &mut LifecycleEvent| ImmutableString::from(event.0.id.to_string()));
    engine
        .register_get("session_id", |event: &mut LifecycleEvent| ImmutableString::from(&event.0.session_id));
    engine.register_get("ip", |event: &mut LifecycleEvent| optional(event.0.ip.as_deref()));
    engine.register_get("version_number", |event: &mut LifecycleEvent| {
        i64::try_from(event.0.version_number).unwrap_or(i64::MAX)
    });
    engine.register_get("client_initiated", |event: &mut LifecycleEvent| event.0.client_initiated);
    engine.register_get("reason", |event: &mut LifecycleEvent| optional(event.0.reason.as_deref()));
    engine.register_get("filters", |event: &mut LifecycleEvent| -> Array {
        event.0.filters.iter().map(|filter| ImmutableString::from(filter).into()).collect()
    });
}

fn optional(text: Option<&str>) -> Dynamic {
    text.map_or(Dynamic::UNIT, |text| ImmutableString::from(text).into())
}

/// The payload: a string if it is UTF-8, a blob if not.
fn payload(event: &MessageEvent) -> Dynamic {
    let bytes = &event.shared.message.payload;
    charge_bytes(bytes.len());
    match str::from_utf8(bytes) {
        Ok(text) => ImmutableString::from(text).into(),
        Err(_) => Dynamic::from_blob(bytes.to_vec()),
    }
}

fn text(event: &MessageEvent) -> NativeResult<ImmutableString> {
    let bytes = &event.shared.message.payload;
    charge_bytes(bytes.len());
    let text = str::from_utf8(bytes);
    text.map(ImmutableString::from).map_err(|error| {
        let at = error.valid_up_to();
        refuse(format!("the payload is not UTF-8 text (byte {at}): use `msg.payload`, which is then a blob"))
    })
}

/// The begin of the payload as text, whatever it is: for telling somebody what came.
fn excerpt(event: &MessageEvent, chars_max: INT) -> ImmutableString {
    let bytes = &event.shared.message.payload;
    let chars_max = usize::try_from(chars_max).unwrap_or(0).min(bytes.len());
    // No character has more than four bytes, so this much holds as many as are asked for.
    let begin = &bytes[..bytes.len().min(chars_max.saturating_mul(4))];
    charge_bytes(begin.len());
    let text: String = String::from_utf8_lossy(begin).chars().take(chars_max).collect();
    text.into()
}

fn json(event: &MessageEvent, limits: &Limits) -> NativeResult<Dynamic> {
    // Every call parses or copies, so every call is charged.
    charge_bytes(event.shared.message.payload.len());
    event.shared.json(limits).map_err(|error| refuse(format!("the payload is not JSON: {error}")))
}
