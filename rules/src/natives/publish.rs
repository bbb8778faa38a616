//! `publish` and `log`: what leaves a script.

use bytes::Bytes;
use rhai::{Blob, Dynamic, Engine, ImmutableString, Map};

use super::Argument;
use super::options::Options;
use crate::effect::{Effect, LogLevel};
use crate::json::{self, Raw};
use crate::state::{NativeResult, Run, refuse, with_run};
use crate::topic::{excerpt, validate_topic};

pub(super) fn register(engine: &mut Engine) {
    register_for::<Dynamic>(engine);
    // As with tables, exact types are found at the first lookup.
    register_for::<ImmutableString>(engine);
    register_for::<Map>(engine);
    engine.register_fn("log", |value: Dynamic| log(LogLevel::Info, &value));
    engine.register_fn("log", |level: &str, value: Dynamic| log(parse_level(level)?, &value));
    // Neither hook can fail; a line too many is remembered by the run and ends it.
    engine.on_print(|text| drop(log(LogLevel::Info, &text.into())));
    engine.on_debug(|text, _, _| drop(log(LogLevel::Debug, &text.into())));
}

/// Registers `publish` for one type of values.
fn register_for<V: Argument>(engine: &mut Engine) {
    engine.register_fn("publish", |topic: &str, value: V| {
        publish(topic, &value.into_value(), &Options::none("publish"))
    });
    engine.register_fn("publish", |topic: &str, value: V, options: Map| {
        publish(topic, &value.into_value(), &Options::new("publish", &options, &["qos", "retain"])?)
    });
}

fn publish(topic: &str, value: &Dynamic, options: &Options) -> NativeResult<()> {
    validate_topic(topic).map_err(|error| refuse(error.to_string()))?;
    if topic.starts_with('$') {
        let topic = excerpt(topic);
        return Err(refuse(format!("topic {topic:?} starts with `$`: those topics belong to the server")));
    }
    let qos = match options.number("qos")? {
        None => 0,
        Some(qos @ 0..=2) => u8::try_from(qos).unwrap_or(0),
        Some(qos) => return Err(refuse(format!("publish needs 0, 1 or 2 as qos, not {qos}"))),
    };
    let retain = options.truth("retain")?.unwrap_or(false);
    with_run("publish", |run| {
        let payload = payload(value, run)?;
        run.reserve(topic.len() + payload.len())?;
        run.effects.push(Effect::Publish { topic: topic.to_owned(), payload, qos, retain });
        Ok(())
    })
}

/// A string is sent as its text, a blob as its bytes, anything else as JSON.
fn payload(value: &Dynamic, run: &Run) -> NativeResult<Bytes> {
    if let Some(text) = value.read_lock::<ImmutableString>() {
        return Ok(Bytes::copy_from_slice(text.as_bytes()));
    }
    if let Some(raw) = value.read_lock::<Raw>() {
        return Ok(raw.bytes.clone());
    }
    if let Some(blob) = value.read_lock::<Blob>() {
        return Ok(Bytes::copy_from_slice(&blob));
    }
    let json = json::write(value, run.limits.effect_bytes_max);
    json.map(Bytes::from).map_err(|error| refuse(format!("publish cannot send this value: {error}")))
}

fn log(level: LogLevel, value: &Dynamic) -> NativeResult<()> {
    with_run("log", |run| {
        let text = value.to_string();
        run.reserve(text.len())?;
        run.effects.push(Effect::Log { level, text });
        Ok(())
    })
}

fn parse_level(text: &str) -> NativeResult<LogLevel> {
    match text {
        "debug" => Ok(LogLevel::Debug),
        "info" => Ok(LogLevel::Info),
        "warn" => Ok(LogLevel::Warn),
        "error" => Ok(LogLevel::Error),
        _ => Err(refuse(format!("log has no level {:?}: it has debug, info, warn, error", excerpt(text)))),
    }
}
