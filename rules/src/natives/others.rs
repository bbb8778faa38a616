//! What a handler gets besides messages and lifecycle events, with its members computed when asked for.

use std::sync::Arc;

use bytes::Bytes;
use rhai::{Dynamic, Engine, EvalAltResult, ImmutableString, Map};

use super::events::MessageEvent;
use crate::event::{Batch, Change, Kind, SharedMessage, Tick};
use crate::json::{self, Raw};
use crate::limits::Limits;
use crate::state::{NativeResult, charge_bytes, refuse};
use crate::topic::LevelFilter;

/// A batch, as scripts see it.
#[derive(Clone)]
pub(crate) struct BatchEvent {
    pub(crate) batch: Arc<Batch>,
    /// The filter of the trigger, for `params`.
    pub(crate) levels: LevelFilter,
}

/// An event of a bus, as scripts see it.
#[derive(Clone)]
pub(crate) struct BusEvent(pub(crate) Arc<SharedMessage>);

/// A change of a row, as scripts see it.
#[derive(Clone)]
pub(crate) struct ChangeEvent(pub(crate) Arc<Change>);

/// A time, as scripts see it.
#[derive(Clone)]
pub(crate) struct TickEvent(pub(crate) Arc<Tick>);

pub(super) fn register(engine: &mut Engine, limits: Limits) {
    register_batch(engine);
    register_bus(engine, limits);
    register_change(engine, limits);
    engine.register_type_with_name::<TickEvent>("Tick");
    engine.register_get("time", |tick: &mut TickEvent| tick.0.scheduled_ms);
    engine.register_get("id", |tick: &mut TickEvent| ImmutableString::from(tick.0.id.to_string()));
}

fn register_batch(engine: &mut Engine) {
    engine.register_type_with_name::<BatchEvent>("Batch");
    engine.register_get("time", |event: &mut BatchEvent| event.batch.time_ms);
    engine.register_get("id", |event: &mut BatchEvent| ImmutableString::from(event.batch.id.to_string()));
    engine.register_get("len", |event: &mut BatchEvent| {
        i64::try_from(event.batch.messages.len()).unwrap_or(i64::MAX)
    });
    engine.register_get("messages", |event: &mut BatchEvent| -> Dynamic {
        let messages = event.batch.messages.iter().filter_map(|message| match &message.0 {
            Kind::Message(shared) => {
                Some(Dynamic::from(MessageEvent { shared: Arc::clone(shared), levels: event.levels.clone() }))
            }
            _ => None,
        });
        Dynamic::from_array(messages.collect())
    });
}

fn register_bus(engine: &mut Engine, limits: Limits) {
    engine.register_type_with_name::<BusEvent>("BusEvent");
    engine.register_get("time", |event: &mut BusEvent| event.0.message.time_ms);
    engine.register_get("json", move |event: &mut BusEvent| whole(event, &limits));
    // Members as the event has them; scripts cannot write the dash of `detail-type` behind a dot.
    for (getter, member) in [
        ("detail", "detail"),
        ("detail_type", "detail-type"),
        ("source", "source"),
        ("id", "id"),
        ("resources", "resources"),
        ("cause", "cause"),
        ("replay", "replay-name"),
    ] {
        engine.register_get(getter, move |event: &mut BusEvent| {
            let event = whole(event, &limits)?;
            let map = event.read_lock::<Map>();
            Ok::<_, Box<EvalAltResult>>(map.and_then(|map| map.get(member).cloned()).unwrap_or(Dynamic::UNIT))
        });
    }
}

fn whole(event: &BusEvent, limits: &Limits) -> NativeResult<Dynamic> {
    charge_bytes(event.0.message.payload.len());
    event.0.json(limits).map_err(|error| refuse(format!("the event cannot be read: {error}")))
}

fn register_change(engine: &mut Engine, limits: Limits) {
    engine.register_type_with_name::<ChangeEvent>("Change");
    engine.register_get("kind", |event: &mut ChangeEvent| ImmutableString::from(event.0.kind().to_string()));
    engine.register_get("table", |event: &mut ChangeEvent| ImmutableString::from(&event.0.table));
    engine.register_get("hash", |event: &mut ChangeEvent| ImmutableString::from(&event.0.hash));
    engine.register_get("sort", |event: &mut ChangeEvent| ImmutableString::from(&event.0.sort));
    engine.register_get("expired", |event: &mut ChangeEvent| event.0.expired);
    engine.register_get("time", |event: &mut ChangeEvent| event.0.time_ms);
    engine.register_get("id", |event: &mut ChangeEvent| ImmutableString::from(event.0.id.to_string()));
    engine.register_get("before", move |event: &mut ChangeEvent| image(event.0.old.as_ref(), &limits));
    engine.register_get("after", move |event: &mut ChangeEvent| image(event.0.new.as_ref(), &limits));
    engine.register_get("raw", |event: &mut ChangeEvent| Raw {
        bytes: event.0.new.clone().unwrap_or_else(|| Bytes::from_static(b"null")),
        is_json: true,
    });
}

fn image(value: Option<&Bytes>, limits: &Limits) -> NativeResult<Dynamic> {
    let Some(value) = value else { return Ok(Dynamic::UNIT) };
    charge_bytes(value.len());
    json::read(value, limits).map_err(|error| refuse(format!("the stored value cannot be read: {error}")))
}
