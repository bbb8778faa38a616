//! JSON and checks of text for scripts.

use rhai::{Dynamic, Engine, INT, ImmutableString, Map};

use crate::json;
use crate::limits::Limits;
use crate::state::{NativeResult, charge_bytes, refuse};

pub(super) fn register(engine: &mut Engine, limits: Limits) {
    engine.register_fn("to_json", move |value: Dynamic| to_json(&value, &limits));
    // The library has its own for maps, with another form of some values.
    engine.register_fn("to_json", move |map: &mut Map| to_json(&Dynamic::from_map(map.clone()), &limits));
    engine.register_fn("parse_json", move |text: &str| {
        charge_bytes(text.len());
        json::read(text.as_bytes(), &limits).map_err(|error| refuse(format!("the text is not JSON: {error}")))
    });
    engine.register_fn("is_topic_path", is_topic_path);
    engine.register_fn("is_blank", |text: &str| text.trim().is_empty());
}

/// Whether `text` may become part of a topic: 1 to `levels_max` levels of 1 to 64 letters, digits, `_`, `.` and
/// `-`, with or without a slash before the first.
fn is_topic_path(text: &str, levels_max: INT) -> bool {
    const LEVEL_LEN_MAX: usize = 64;
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let mut levels = 0;
    let all = text.strip_prefix('/').unwrap_or(text).split('/').all(|level| {
        levels += 1;
        levels <= levels_max && (1..=LEVEL_LEN_MAX).contains(&level.len()) && level.bytes().all(is_allowed)
    });
    all && levels > 0
}

fn to_json(value: &Dynamic, limits: &Limits) -> NativeResult<ImmutableString> {
    let json = json::write(value, limits.effect_bytes_max).map_err(refuse)?;
    charge_bytes(json.len());
    let text = String::from_utf8(json).map_err(|error| refuse(error.to_string()))?;
    Ok(text.into())
}
