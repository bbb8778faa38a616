//! The events that a test has happen.

use rhai::{Blob, Dynamic, Engine, ImmutableString, Map, NativeCallContext};
use serde_json::Value;

use super::natives::{SharedWorld, lock};
use super::world::World;
use crate::event::Event;
use crate::json;
use crate::state::{NativeResult, refuse};

/// Bytes of an event that a test describes.
const EVENT_BYTES_MAX: usize = 4 << 20;

pub(super) fn register(engine: &mut Engine, world: &SharedWorld) {
    for with_options in [false, true] {
        register_publish(engine, world, with_options);
        for kind in ["connect", "disconnect"] {
            register_connection(engine, world, kind, with_options);
        }
        for kind in ["subscribe", "unsubscribe"] {
            register_subscription(engine, world, kind, with_options);
        }
    }
    let shared = world.clone();
    engine.register_fn("event", move |context: NativeCallContext, members: Map| {
        happen(&shared, &context, members)
    });
}

fn register_publish(engine: &mut Engine, world: &SharedWorld, with_options: bool) {
    let world = world.clone();
    let publish =
        move |context: &NativeCallContext, topic: ImmutableString, payload: Dynamic, mut members: Map| {
            if let Some(bytes) = payload.read_lock::<Blob>() {
                let text = data_encoding::BASE64.encode(&bytes);
                members.insert("payload_base64".into(), text.into());
            } else {
                // A unit is sent as JSON's null, as scripts send it.
                let payload = if payload.is_unit() { "null".into() } else { payload.clone() };
                members.insert("payload".into(), payload);
            }
            members.insert("topic".into(), topic.into());
            members.entry("client_id".into()).or_insert_with(|| "client".into());
            happen_as(&world, context, "message", members)
        };
    if with_options {
        engine.register_fn(
            "publish",
            move |context: NativeCallContext, topic: ImmutableString, payload: Dynamic, members: Map| {
                publish(&context, topic, payload, members)
            },
        );
    } else {
        engine.register_fn(
            "publish",
            move |context: NativeCallContext, topic: ImmutableString, payload: Dynamic| {
                publish(&context, topic, payload, Map::new())
            },
        );
    }
}

fn register_connection(engine: &mut Engine, world: &SharedWorld, kind: &'static str, with_options: bool) {
    let world = world.clone();
    let run = move |context: &NativeCallContext, client_id: ImmutableString, mut members: Map| {
        members.insert("client_id".into(), client_id.into());
        happen_as(&world, context, kind, members)
    };
    if with_options {
        engine.register_fn(
            kind,
            move |context: NativeCallContext, client_id: ImmutableString, members: Map| {
                run(&context, client_id, members)
            },
        );
    } else {
        engine.register_fn(kind, move |context: NativeCallContext, client_id: ImmutableString| {
            run(&context, client_id, Map::new())
        });
    }
}

fn register_subscription(engine: &mut Engine, world: &SharedWorld, kind: &'static str, with_options: bool) {
    let world = world.clone();
    let run =
        move |context: &NativeCallContext, client_id: ImmutableString, filters: Dynamic, mut members: Map| {
            let filters = if filters.is_array() { filters } else { Dynamic::from_array(vec![filters]) };
            members.insert("client_id".into(), client_id.into());
            members.insert("filters".into(), filters);
            happen_as(&world, context, kind, members)
        };
    if with_options {
        engine.register_fn(
            kind,
            move |context: NativeCallContext, client_id: ImmutableString, filters: Dynamic, members: Map| {
                run(&context, client_id, filters, members)
            },
        );
    } else {
        engine.register_fn(
            kind,
            move |context: NativeCallContext, client_id: ImmutableString, filters: Dynamic| {
                run(&context, client_id, filters, Map::new())
            },
        );
    }
}

fn happen_as(
    world: &SharedWorld,
    context: &NativeCallContext,
    kind: &str,
    mut members: Map,
) -> NativeResult<()> {
    members.insert("kind".into(), kind.into());
    happen(world, context, members)
}

/// Has an event happen that is described by its members.
fn happen(world: &SharedWorld, context: &NativeCallContext, members: Map) -> NativeResult<()> {
    let position = context.call_position();
    let mut world = lock(world)?;
    let described = json::write(&Dynamic::from_map(members), EVENT_BYTES_MAX).map_err(refuse)?;
    let event = read(&world, &described).map_err(refuse)?;
    world.happen(position, &event)
}

fn read(world: &World, described: &[u8]) -> Result<Event, String> {
    let value: Value = serde_json::from_slice(described).map_err(|error| error.to_string())?;
    Event::from_json(&value, world.defaults()).map_err(|error| error.to_string())
}
