//! `put_events(#{ … })`: events for the bus, with a result for each.

use rhai::{Array, Dynamic, Engine, ImmutableString, Map};

use crate::bus::{CallError, Entry, EntryError, PutContext, check_call};
use crate::effect::Effect;
use crate::json;
use crate::state::{NativeResult, Run, refuse, with_run};

/// The members of an entry, in both spellings that people use.
const MEMBERS: [(&str, &str); 6] = [
    ("source", "Source"),
    ("detail_type", "DetailType"),
    ("detail", "Detail"),
    ("bus", "EventBusName"),
    ("time", "Time"),
    ("resources", "Resources"),
];

pub(super) fn register(engine: &mut Engine) {
    engine.register_fn("put_events", |entry: Map| put_events(&[Dynamic::from_map(entry)]));
    engine.register_fn("put_events", |entries: Array| put_events(&entries));
}

/// Puts entries, and gives what `PutEvents` answers: how many failed, and an id or an error for each.
fn put_events(entries: &[Dynamic]) -> NativeResult<Dynamic> {
    with_run("put_events", |run| {
        let entries: Vec<Entry> =
            entries.iter().map(|entry| read_entry(entry, run)).collect::<NativeResult<_>>()?;
        check_call(&entries).map_err(|error: CallError| refuse(format!("put_events: {error}")))?;
        let mut results = Array::new();
        let mut failed = 0;
        for entry in &entries {
            let mut result = Map::new();
            match put(entry, run)? {
                Ok(id) => drop(result.insert("EventId".into(), id.into())),
                Err(error) => {
                    failed += 1;
                    result.insert("ErrorCode".into(), error.code().into());
                    result.insert("ErrorMessage".into(), error.to_string().into());
                }
            }
            results.push(Dynamic::from_map(result));
        }
        let mut answer = Map::new();
        answer.insert("FailedEntryCount".into(), Dynamic::from_int(failed));
        answer.insert("Entries".into(), Dynamic::from_array(results));
        Ok(Dynamic::from_map(answer))
    })
}

fn put(entry: &Entry, run: &mut Run) -> NativeResult<Result<String, EntryError>> {
    run.drawn += 1;
    let context = PutContext {
        time_ms: run.time_ms,
        seed: run.event_id,
        rule: &run.rule,
        number: run.drawn,
        cause: Some(run.event_id),
    };
    let id = context.uuid();
    match entry.event(&context) {
        Err(error) => Ok(Err(error)),
        Ok(event) => {
            run.reserve(event.len())?;
            run.effects.push(Effect::PutEvent { bus: entry.bus().to_owned(), event });
            Ok(Ok(id))
        }
    }
}

fn read_entry(value: &Dynamic, run: &Run) -> NativeResult<Entry> {
    let map = value.read_lock::<Map>();
    let map = map.ok_or_else(|| refuse(format!("put_events needs maps, not {}", value.type_name())))?;
    let known = |key: &str| MEMBERS.iter().any(|(short, long)| key == *short || key == *long);
    if let Some(key) = map.keys().find(|key| !known(key)) {
        let names = MEMBERS.map(|(short, _)| short).join(", ");
        return Err(refuse(format!("an event for the bus has no member {key:?}: it has {names}")));
    }
    let member = |name: &str| {
        let (short, long) = MEMBERS.iter().find(|(short, _)| *short == name).copied().unwrap_or((name, name));
        map.get(short).or_else(|| map.get(long)).filter(|value| !value.is_unit())
    };
    let text = |name: &str| match member(name) {
        None => Ok(None),
        Some(value) => match value.read_lock::<ImmutableString>() {
            Some(text) => Ok(Some(text.to_string())),
            None => Err(refuse(format!("put_events needs a string as {name}, not {}", value.type_name()))),
        },
    };
    let detail = match member("detail") {
        Some(value) if !value.is_string() => {
            let json = json::write(value, run.limits.effect_bytes_max);
            let json =
                json.map_err(|error| refuse(format!("put_events cannot send this detail: {error}")))?;
            Some(String::from_utf8(json).map_err(|error| refuse(error.to_string()))?)
        }
        _ => text("detail")?,
    };
    Ok(Entry {
        source: text("source")?,
        detail_type: text("detail_type")?,
        detail,
        bus: text("bus")?,
        time_ms: member("time").map(time_of).transpose()?,
        resources: member("resources").map(resources_of).transpose()?.unwrap_or_default(),
    })
}

fn time_of(value: &Dynamic) -> NativeResult<i64> {
    if let Ok(time_ms) = value.as_int() {
        return Ok(time_ms);
    }
    let text = value.read_lock::<ImmutableString>();
    let time = text.and_then(|text| text.parse::<jiff::Timestamp>().ok());
    time.map(jiff::Timestamp::as_millisecond).ok_or_else(|| {
        refuse("put_events needs milliseconds or a text such as \"2026-03-01T10:00:00Z\" as time")
    })
}

fn resources_of(value: &Dynamic) -> NativeResult<Vec<String>> {
    let refused = || refuse("put_events needs an array of strings as resources");
    let array = value.read_lock::<Array>().ok_or_else(refused)?;
    let text = |it: &Dynamic| it.read_lock::<ImmutableString>().map(|text| text.to_string());
    array.iter().map(text).collect::<Option<Vec<String>>>().ok_or_else(refused)
}
