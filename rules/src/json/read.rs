//! From JSON text to a script's value.

use std::cell::Cell;
use std::fmt;

use rhai::{Array, Dynamic, ImmutableString, Map};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::de::Read;

use super::DEPTH_MAX;
use crate::limits::Limits;

/// Reads one JSON text. The error is for people: it says what was expected, with line and column.
pub(crate) fn read(text: &[u8], limits: &Limits) -> Result<Dynamic, String> {
    if text.len() > limits.payload_bytes_max {
        let (bytes, max) = (text.len(), limits.payload_bytes_max);
        return Err(format!("{bytes} bytes are more than payload_bytes_max = {max}"));
    }
    match str::from_utf8(text) {
        Ok(text) => read_from(serde_json::Deserializer::from_str(text), limits),
        // Reading it as far as it goes tells where it is wrong.
        Err(_) => read_from(serde_json::Deserializer::from_slice(text), limits),
    }
}

fn read_from<'de, R: Read<'de>>(
    mut deserializer: serde_json::Deserializer<R>,
    limits: &Limits,
) -> Result<Dynamic, String> {
    let seed = Seed { limits, used: &Used::default(), depth: 0 };
    let value = seed.deserialize(&mut deserializer).map_err(|error| error.to_string())?;
    deserializer.end().map_err(|error| error.to_string())?;
    Ok(value)
}

/// How much the text holds so far. Scripts cannot catch it when the library finds a value too large, so it
/// must be found here.
#[derive(Default)]
struct Used {
    elements: Cell<usize>,
    members: Cell<usize>,
    text_bytes: Cell<usize>,
}

#[derive(Clone, Copy)]
struct Seed<'read> {
    limits: &'read Limits,
    used: &'read Used,
    depth: usize,
}

/// Counts what is found, and refuses what is too much.
fn count<E: Error>(used: &Cell<usize>, more: usize, what: &str, name: &str, max: usize) -> Result<(), E> {
    used.set(used.get() + more);
    if used.get() > max {
        return Err(E::custom(format_args!("it holds more {what} than {name} = {max}")));
    }
    Ok(())
}

impl Seed<'_> {
    fn count_text<E: Error>(self, text: &str) -> Result<(), E> {
        let max = self.limits.string_bytes_max;
        count(&self.used.text_bytes, text.len(), "bytes of text", "string_bytes_max", max)
    }

    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth == DEPTH_MAX {
            return Err(E::custom(format_args!("arrays and objects lie more than {DEPTH_MAX} deep")));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Dynamic;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Dynamic, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Dynamic;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Dynamic, E> {
        Ok(Dynamic::UNIT)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Dynamic, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Dynamic, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Dynamic, E> {
        #[expect(clippy::cast_precision_loss, reason = "JSON numbers are floats to most of its readers")]
        Ok(i64::try_from(value).map_or_else(|_| (value as f64).into(), Dynamic::from))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Dynamic, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Dynamic, E> {
        self.count_text(value)?;
        Ok(ImmutableString::from(value).into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Dynamic, A::Error> {
        let inner = self.deeper()?;
        let mut array = Array::new();
        while let Some(element) = elements.next_element_seed(inner)? {
            count(&self.used.elements, 1, "elements", "array_len_max", self.limits.array_len_max)?;
            array.push(element);
        }
        Ok(Dynamic::from_array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Dynamic, A::Error> {
        let inner = self.deeper()?;
        let mut map = Map::new();
        while let Some(key) = members.next_key_seed(Key)? {
            let value = members.next_value_seed(inner)?;
            count(&self.used.members, 1, "members", "map_len_max", self.limits.map_len_max)?;
            map.insert(key, value);
        }
        Ok(Dynamic::from_map(map))
    }
}

/// A member's name, read without an intermediate `String`: short names then need no allocation.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = rhai::Identifier;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = rhai::Identifier;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a member's name")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(value.into())
    }
}
