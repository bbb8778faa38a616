//! `publish` and `log`: what leaves a script.

use bytes::Bytes;
use rhai::{Blob, Dynamic, Engine, ImmutableString, Map};

use super::Argument;
use super::options::Options;
use crate::effect::{Effect, LogLevel, PublishProperties};
use crate::json::{self, Raw};
use crate::state::{NativeResult, Run, refuse, with_run};
use crate::topic::{excerpt, validate_topic};

/// What the last argument of `publish` may hold.
const SETTINGS: [&str; 8] =
    ["content_type", "correlation_data", "expiry", "is_text", "qos", "response_topic", "retain", "user"];

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
        publish(topic, &value.into_value(), &Options::new("publish", &options, &SETTINGS)?)
    });
}

fn publish(topic: &str, value: &Dynamic, options: &Options) -> NativeResult<()> {
    check_topic(topic)?;
    let qos = match options.number("qos")? {
        None => 0,
        Some(qos @ 0..=2) => u8::try_from(qos).unwrap_or(0),
        Some(qos) => return Err(refuse(format!("publish needs 0, 1 or 2 as qos, not {qos}"))),
    };
    let retain = options.truth("retain")?.unwrap_or(false);
    let properties = properties(options)?;
    with_run("publish", |run| {
        let payload = payload(value, run)?;
        if let Some(properties) = &properties
            && properties.is_text
            && str::from_utf8(&payload).is_err()
        {
            return Err(refuse("publish with is_text needs text: the payload is not UTF-8"));
        }
        ask(run, topic.to_owned(), payload, qos, retain, properties)
    })
}

/// Refuses topics to which no script can publish.
pub(crate) fn check_topic(topic: &str) -> NativeResult<()> {
    validate_topic(topic).map_err(|error| refuse(error.to_string()))?;
    if topic.starts_with('$') {
        let topic = excerpt(topic);
        return Err(refuse(format!("topic {topic:?} starts with `$`: those topics belong to the server")));
    }
    Ok(())
}

/// Asks for a message to be published to a topic that was checked.
pub(crate) fn ask(
    run: &mut Run,
    topic: String,
    payload: Bytes,
    qos: u8,
    retain: bool,
    properties: Option<Box<PublishProperties>>,
) -> NativeResult<()> {
    let along = properties.as_deref().map_or(0, size_of_properties);
    run.reserve(topic.len() + payload.len() + along)?;
    run.effects.push(Effect::Publish { topic, payload, qos, retain, properties });
    Ok(())
}

/// What MQTT 5 sends along.
fn properties(options: &Options) -> NativeResult<Option<Box<PublishProperties>>> {
    if options.is_empty() {
        return Ok(None);
    }
    let response_topic = options.text("response_topic")?;
    if let Some(topic) = &response_topic {
        validate_topic(topic).map_err(|error| refuse(format!("response_topic: {error}")))?;
    }
    let expiry = options.duration("expiry")?.map(|expiry| {
        // A part of a second is still time to live.
        u32::try_from(expiry.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX)
    });
    let properties = PublishProperties {
        content_type: options.text("content_type")?,
        correlation_data: options.bytes("correlation_data")?,
        expiry_seconds: expiry,
        is_text: options.truth("is_text")?.unwrap_or(false),
        response_topic,
        user: options.texts("user")?,
    };
    Ok((properties != PublishProperties::default()).then(|| Box::new(properties)))
}

fn size_of_properties(properties: &PublishProperties) -> usize {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    text(&properties.content_type)
        + text(&properties.response_topic)
        + properties.correlation_data.as_ref().map_or(0, Bytes::len)
        + properties.user.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
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
