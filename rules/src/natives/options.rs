//! The `#{ … }` of optional settings that some functions take last.

use std::time::Duration;

use bytes::Bytes;
use rhai::{Blob, Dynamic, ImmutableString, Map};

use crate::state::{NativeResult, refuse};

/// Optional settings, with the function's name for errors.
pub(super) struct Options<'map> {
    function: &'static str,
    map: Option<&'map Map>,
}

impl<'map> Options<'map> {
    /// No settings.
    pub(super) fn none(function: &'static str) -> Self {
        Self { function, map: None }
    }

    /// Checks that no setting is unknown.
    pub(super) fn new(function: &'static str, map: &'map Map, known: &[&str]) -> NativeResult<Self> {
        match map.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(Self { function, map: Some(map) }),
            Some(key) => {
                Err(refuse(format!("{function} has no setting {key:?}: it has {}", known.join(", "))))
            }
        }
    }

    /// Whether nothing is set.
    pub(super) fn is_empty(&self) -> bool {
        self.map.is_none_or(Map::is_empty)
    }

    pub(super) fn bytes(&self, name: &str) -> NativeResult<Option<Bytes>> {
        let read = |value: &Dynamic| match value.read_lock::<ImmutableString>() {
            Some(text) => Some(Bytes::copy_from_slice(text.as_bytes())),
            None => value.read_lock::<Blob>().map(|blob| Bytes::copy_from_slice(&blob)),
        };
        self.typed(name, "a string or a blob", read)
    }

    pub(super) fn map(&self, name: &str) -> NativeResult<Option<Map>> {
        self.typed(name, "a map", |value| Some(value.read_lock::<Map>()?.clone()))
    }

    /// How many rows are asked for: `limit`, or as many as there may be.
    pub(super) fn limit(&self, function: &str, rows_max: usize) -> NativeResult<usize> {
        let Some(limit) = self.number("limit")? else { return Ok(rows_max) };
        let limit_of = usize::try_from(limit).ok().filter(|limit| (1..=rows_max).contains(limit));
        limit_of.ok_or_else(|| {
            refuse(format!("{function} needs 1 to query_rows_max = {rows_max} as limit, not {limit}"))
        })
    }

    /// A map of names to strings.
    pub(super) fn texts(&self, name: &str) -> NativeResult<Vec<(String, String)>> {
        let read = |value: &Dynamic| {
            let map = value.read_lock::<Map>()?;
            let text = |value: &Dynamic| Some(value.read_lock::<ImmutableString>()?.to_string());
            map.iter().map(|(name, value)| Some((name.to_string(), text(value)?))).collect()
        };
        Ok(self.typed(name, "a map of strings", read)?.unwrap_or_default())
    }

    pub(super) fn truth(&self, name: &str) -> NativeResult<Option<bool>> {
        self.typed(name, "true or false", |value| value.as_bool().ok())
    }

    pub(super) fn number(&self, name: &str) -> NativeResult<Option<i64>> {
        self.typed(name, "a whole number", |value| value.as_int().ok())
    }

    pub(super) fn text(&self, name: &str) -> NativeResult<Option<String>> {
        self.typed(name, "a string", |value| Some(value.read_lock::<ImmutableString>()?.to_string()))
    }

    pub(super) fn duration(&self, name: &str) -> NativeResult<Option<Duration>> {
        let read = |value: &Dynamic| parse_duration(&value.read_lock::<ImmutableString>()?);
        self.typed(name, "a duration such as \"250ms\", \"10s\", \"5m\", \"2h\" or \"7d\"", read)
    }

    /// A setting that is `()` counts as not given, so that scripts can pass on what may be missing.
    fn typed<T>(
        &self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&Dynamic) -> Option<T>,
    ) -> NativeResult<Option<T>> {
        let Some(value) = self.map.and_then(|map| map.get(name)).filter(|value| !value.is_unit()) else {
            return Ok(None);
        };
        match read(value) {
            Some(value) => Ok(Some(value)),
            None => Err(refuse(format!("{} needs {expected} as {name}, not {value:?}", self.function))),
        }
    }
}

/// Reads `250ms`, `10s`, `5m`, `2h` or `7d`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|character: char| !character.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(unit_ms)?))
}

/// Reads a time such as `2026-03-01T10:00:00Z`, as milliseconds since 1970.
pub fn parse_time(text: &str) -> Option<i64> {
    text.parse().ok().map(jiff::Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_number_and_a_unit() {
        let ms = Duration::from_millis;
        for (text, expected) in [
            ("250ms", Some(ms(250))),
            ("10s", Some(ms(10_000))),
            ("5m", Some(ms(300_000))),
            ("2h", Some(ms(7_200_000))),
            ("7d", Some(ms(604_800_000))),
            ("", None),
            ("5", None),
            ("m", None),
            ("5 m", None),
            ("-5m", None),
            ("1.5h", None),
            ("99999999999999999999d", None),
            ("999999999999999d", None),
        ] {
            assert_eq!(parse_duration(text), expected, "{text}");
        }
    }
}
