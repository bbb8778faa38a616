//! What one field of a JSON text is, without building the rest of it.

use std::fmt;
use std::hash::{BuildHasher, Hash};

use rustc_hash::FxBuildHasher;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A hash of the value that `path` leads to. Where there is none, or an array or object, it is always the same.
pub(super) fn hash(payload: &[u8], path: &[Box<str>]) -> u64 {
    let mut deserializer = serde_json::Deserializer::from_slice(payload);
    Walk(path).deserialize(&mut deserializer).unwrap_or_default()
}

fn hash_of(value: impl Hash) -> u64 {
    FxBuildHasher.hash_one(value)
}

/// The names that are left of the path.
struct Walk<'path>(&'path [Box<str>]);

impl Walk<'_> {
    /// The hash of a value that is neither array nor object.
    fn end(&self, value: impl Hash) -> u64 {
        if self.0.is_empty() { hash_of(value) } else { 0 }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = u64;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<u64, E> {
        Ok(0)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<u64, E> {
        Ok(self.end(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<u64, E> {
        Ok(self.end(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<u64, E> {
        Ok(self.end(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<u64, E> {
        Ok(self.end(value.to_bits()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<u64, E> {
        Ok(self.end(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<u64, A::Error> {
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(0)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<u64, A::Error> {
        let Some((name, rest)) = self.0.split_first() else {
            while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(0);
        };
        let mut found = 0;
        while let Some(is_it) = members.next_key_seed(Is(name))? {
            // Of two members of one name the last counts, as it does for scripts.
            if is_it {
                found = members.next_value_seed(Walk(rest))?;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Whether a member has this name.
struct Is<'name>(&'name str);

impl<'de> DeserializeSeed<'de> for Is<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a member's name")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<bool, E> {
        Ok(value == self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(payload: &str, path: &str) -> u64 {
        let path: Vec<Box<str>> = path.split('.').map(Box::from).collect();
        hash(payload.as_bytes(), &path)
    }

    #[test]
    fn equal_values_have_equal_hashes_wherever_they_are() {
        let one = of(r#"{"room":"lobby","n":1}"#, "room");
        assert_ne!(one, 0);
        assert_eq!(of(r#" { "n": [1, {"room":"x"}], "room":"lobb\u0079" }"#, "room"), one);
        assert_eq!(of(r#"{"a":{"b":"lobby","c":2}}"#, "a.b"), one);
        assert_eq!(of(r#"{"room":"hall","room":"lobby"}"#, "room"), one);
        assert_ne!(of(r#"{"room":"hall"}"#, "room"), one);
        assert_ne!(of(r#"{"room":1}"#, "room"), of(r#"{"room":2}"#, "room"));
    }

    #[test]
    fn what_is_not_there_is_always_the_same() {
        for payload in
            ["", "no JSON", "{\"room\":", "7", "null", "[]", "{}", "{\"room\":null}", "{\"room\":{}}"]
        {
            assert_eq!(of(payload, "room"), 0, "{payload}");
        }
        assert_eq!(of(r#"{"room":"lobby"}"#, "room.name"), 0);
        assert_eq!(of(r#"{"room":"lobby"} and more"#, "room"), of(r#"{"room":"lobby"}"#, "room"));
    }
}
