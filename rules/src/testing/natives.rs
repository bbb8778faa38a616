//! The functions that tests find besides the language.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rhai::{Dynamic, Engine, EvalAltResult, INT, ImmutableString, Map, NativeCallContext};
use serde_json::Value;

use super::events;
use super::expect::{Any, difference, expected, is_met};
use super::world::World;
use crate::json;
use crate::limits::Limits;
use crate::natives::parse_duration;
use crate::snapshot::{Query, Snapshot};
use crate::state::{NativeResult, is_registering, refuse};

/// The world of the test that runs.
pub(super) type SharedWorld = Arc<Mutex<World>>;

/// Rows and effects that a test looks at itself are larger than what rules may hold.
const READ_FACTOR: usize = 64;
/// Bytes of a row that a test puts into a table.
const ROW_BYTES_MAX: usize = 4 << 20;

pub(super) fn register(engine: &mut Engine, limits: Limits, world: &SharedWorld) {
    engine.register_type_with_name::<Any>("Any");
    engine.register_fn("any", || Any);
    events::register(engine, world);
    register_given(engine, world);
    register_time(engine, world);
    register_looks(engine, limits, world);
    register_published(engine, world);
    register_rows(engine, world);
    register_rest(engine, world);
    register_asserts(engine, world);
}

/// The world, for a function of a test.
pub(super) fn lock(world: &SharedWorld) -> NativeResult<MutexGuard<'_, World>> {
    if is_registering() {
        return Err(refuse("this works only in a test: move it into a function `test_…` or `setup`"));
    }
    Ok(world.lock().unwrap_or_else(PoisonError::into_inner))
}

fn register_given(engine: &mut Engine, shared: &SharedWorld) {
    let world = shared.clone();
    engine.register_fn("given", move |table: &str, hash: Dynamic, value: Dynamic| {
        given(&world, table, &hash, &"".into(), &value, &Map::new())
    });
    let world = shared.clone();
    engine.register_fn("given", move |table: &str, hash: Dynamic, sort: Dynamic, value: Dynamic| {
        given(&world, table, &hash, &sort, &value, &Map::new())
    });
    let world = shared.clone();
    engine.register_fn(
        "given",
        move |table: &str, hash: Dynamic, sort: Dynamic, value: Dynamic, options: Map| {
            given(&world, table, &hash, &sort, &value, &options)
        },
    );
}

/// Puts a row where it is before anything happens.
fn given(
    world: &SharedWorld,
    table: &str,
    hash: &Dynamic,
    sort: &Dynamic,
    value: &Dynamic,
    options: &Map,
) -> NativeResult<()> {
    let mut world = lock(world)?;
    let value = json::write(value, ROW_BYTES_MAX).map(Bytes::from).map_err(refuse)?;
    if let Some(name) = options.keys().find(|name| *name != "ttl") {
        return Err(refuse(format!("given has no setting {name:?}: it has ttl")));
    }
    let ttl_ms = match options.get("ttl") {
        None => None,
        Some(ttl) => Some(milliseconds(&ttl.to_string())?),
    };
    let expires_at_ms = ttl_ms.map(|ttl| world.now_ms.saturating_add(ttl));
    let put = world.tables.put(table, &hash.to_string(), &sort.to_string(), value, expires_at_ms);
    put.map_err(|error| refuse(error.to_string()))
}

fn register_time(engine: &mut Engine, shared: &SharedWorld) {
    let world = shared.clone();
    engine.register_fn("now", move || Ok::<_, Box<EvalAltResult>>(lock(&world)?.now_ms));
    let world = shared.clone();
    engine.register_fn("at", move |context: NativeCallContext, time_ms: INT| {
        lock(&world)?.set_time(context.call_position(), time_ms)
    });
    let world = shared.clone();
    engine.register_fn("wait", move |context: NativeCallContext, duration: &str| {
        let mut world = lock(&world)?;
        let time_ms = world.now_ms.saturating_add(milliseconds(duration)?);
        world.set_time(context.call_position(), time_ms)
    });
    let world = shared.clone();
    engine.register_fn("last_id", move || Ok::<_, Box<EvalAltResult>>(lock(&world)?.last_id.to_string()));
}

/// Functions that give a test what it may look at itself.
fn register_looks(engine: &mut Engine, limits: Limits, shared: &SharedWorld) {
    let limits = Limits {
        array_len_max: limits.array_len_max.saturating_mul(READ_FACTOR),
        map_len_max: limits.map_len_max.saturating_mul(READ_FACTOR),
        payload_bytes_max: limits.payload_bytes_max.saturating_mul(READ_FACTOR),
        string_bytes_max: limits.string_bytes_max.saturating_mul(READ_FACTOR),
        ..limits
    };
    let to_script = move |value: &Value| json::read(value.to_string().as_bytes(), &limits).map_err(refuse);
    let world = shared.clone();
    engine.register_fn("effects", move || {
        let mut world = lock(&world)?;
        world.no_error_is_left()?;
        to_script(&Value::Array(world.effects.iter().map(|seen| seen.json.clone()).collect()))
    });
    let world = shared.clone();
    let row = move |table: &str, hash: &Dynamic, sort: &Dynamic| {
        let row = lock(&world)?.row([table, &hash.to_string(), &sort.to_string()])?;
        row.as_ref().map_or(Ok(Dynamic::UNIT), to_script)
    };
    let other = row.clone();
    engine.register_fn("row", move |table: &str, hash: Dynamic| other(table, &hash, &"".into()));
    engine.register_fn("row", move |table: &str, hash: Dynamic, sort: Dynamic| row(table, &hash, &sort));
    let world = shared.clone();
    engine.register_fn("rows", move |table: &str, hash: Dynamic| {
        let query = Query { limit: limits.query_rows_max, ..Query::default() };
        let rows = lock(&world)?.tables.query(table, &hash.to_string(), &query);
        let rows = rows.map_err(|error| refuse(error.to_string()))?;
        let row = |row: crate::Row| {
            let value: Value = serde_json::from_slice(&row.value).unwrap_or_default();
            serde_json::json!({ "sort": row.sort, "value": value })
        };
        to_script(&Value::Array(rows.into_iter().map(row).collect()))
    });
}

fn register_published(engine: &mut Engine, shared: &SharedWorld) {
    let world = shared.clone();
    engine.register_fn("expect_published", move |context: NativeCallContext, topic: &str| {
        lock(&world)?.expect_published(context.call_position(), topic, None, &Map::new())
    });
    let world = shared.clone();
    engine.register_fn(
        "expect_published",
        move |context: NativeCallContext, topic: &str, payload: Dynamic| {
            lock(&world)?.expect_published(context.call_position(), topic, Some(&payload), &Map::new())
        },
    );
    let world = shared.clone();
    engine.register_fn(
        "expect_published",
        move |context: NativeCallContext, topic: &str, payload: Dynamic, marks: Map| {
            lock(&world)?.expect_published(context.call_position(), topic, Some(&payload), &marks)
        },
    );
    let world = shared.clone();
    engine.register_fn("expect_not_published", move |context: NativeCallContext, filter: &str| {
        lock(&world)?.expect_not_published(context.call_position(), filter)
    });
}

fn register_rows(engine: &mut Engine, shared: &SharedWorld) {
    let world = shared.clone();
    engine.register_fn(
        "expect_row",
        move |context: NativeCallContext, table: &str, hash: Dynamic, sort: Dynamic, value: Dynamic| {
            let (hash, sort) = (hash.to_string(), sort.to_string());
            lock(&world)?.expect_row(context.call_position(), [table, &hash, &sort], Some(&value))
        },
    );
    let world = shared.clone();
    engine.register_fn(
        "expect_row",
        move |context: NativeCallContext, table: &str, hash: Dynamic, sort: Dynamic| {
            let (hash, sort) = (hash.to_string(), sort.to_string());
            lock(&world)?.expect_row(context.call_position(), [table, &hash, &sort], None)
        },
    );
    let world = shared.clone();
    engine.register_fn(
        "expect_no_row",
        move |context: NativeCallContext, table: &str, hash: Dynamic, sort: Dynamic| {
            let (hash, sort) = (hash.to_string(), sort.to_string());
            lock(&world)?.expect_no_row(context.call_position(), [table, &hash, &sort])
        },
    );
}

fn register_rest(engine: &mut Engine, shared: &SharedWorld) {
    let world = shared.clone();
    engine.register_fn("expect_nothing", move |context: NativeCallContext| {
        lock(&world)?.expect_nothing(context.call_position())
    });
    let world = shared.clone();
    engine.register_fn("expect_effect", move |context: NativeCallContext, members: Map| {
        lock(&world)?.expect_effect(context.call_position(), &members)
    });
    let world = shared.clone();
    engine.register_fn("expect_error", move |context: NativeCallContext, part: &str| {
        lock(&world)?.expect_error(context.call_position(), part)
    });
    let world = shared.clone();
    engine.register_fn("expect_log", move |context: NativeCallContext, part: &str| {
        lock(&world)?.expect_log(context.call_position(), part)
    });
}

fn register_asserts(engine: &mut Engine, shared: &SharedWorld) {
    let world = shared.clone();
    engine.register_fn("assert", move |context: NativeCallContext, truth: bool| {
        assert(&world, &context, truth, "it is not so")
    });
    let world = shared.clone();
    engine.register_fn("assert", move |context: NativeCallContext, truth: bool, message: ImmutableString| {
        assert(&world, &context, truth, &message)
    });
    let world = shared.clone();
    engine.register_fn("assert_eq", move |context: NativeCallContext, actual: Dynamic, wanted: Dynamic| {
        let (actual, wanted) = (expected(&actual)?, expected(&wanted)?);
        if is_met(&wanted, &actual) || is_met(&actual, &wanted) {
            return Ok(());
        }
        let message = "the two are not equal".to_owned();
        lock(&world)?.fail(context.call_position(), message, difference(&wanted, &actual))
    });
}

fn assert(world: &SharedWorld, context: &NativeCallContext, truth: bool, message: &str) -> NativeResult<()> {
    if truth {
        return Ok(());
    }
    lock(world)?.fail(context.call_position(), message.to_owned(), Vec::new())
}

fn milliseconds(text: &str) -> NativeResult<i64> {
    let duration = parse_duration(text).ok_or_else(|| {
        refuse(format!("{text:?} is no duration such as \"250ms\", \"10s\", \"5m\", \"2h\" or \"7d\""))
    })?;
    Ok(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}
