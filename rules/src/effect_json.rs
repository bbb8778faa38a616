//! Effects as JSON: what tests, dry runs and comparisons show of them.

use bytes::Bytes;
use data_encoding::BASE64;
use serde::Serializer;
use serde_json::{Value, json};

use crate::effect::Effect;

impl Effect {
    /// The effect as a JSON object; its member `effect` says which it is. Payloads and values that are JSON objects or
    /// arrays are shown as such, others as text, and bytes that are no text as `#{ base64 }`.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// Bytes as people want to see them.
pub(crate) fn readable(bytes: &[u8]) -> Value {
    let is_tree = matches!(bytes.first(), Some(b'{' | b'['));
    if is_tree && let Ok(value) = serde_json::from_slice(bytes) {
        return value;
    }
    match str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => json!({ "base64": BASE64.encode(bytes) }),
    }
}

/// Writes a payload.
pub(crate) fn payload<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&readable(bytes), serializer)
}

/// Writes a stored value, which is a JSON text.
pub(crate) fn value<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    let value = serde_json::from_slice(bytes).unwrap_or_else(|_| readable(bytes));
    serde::Serialize::serialize(&value, serializer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LogLevel;

    #[test]
    fn effects_are_readable() {
        let publish = |payload: &'static [u8]| Effect::Publish {
            topic: "a".to_owned(),
            payload: Bytes::from_static(payload),
            qos: 1,
            retain: false,
        };
        for (payload, shown) in [
            (&b"{\"b\":[1]}"[..], json!({ "b": [1] })),
            (b"hi", json!("hi")),
            (b"5", json!("5")),
            (b"{", json!("{")),
            (b"\xff", json!({ "base64": "/w==" })),
        ] {
            let expected =
                json!({ "effect": "publish", "topic": "a", "payload": shown, "qos": 1, "retain": false });
            assert_eq!(publish(payload).to_json(), expected);
        }
        let put = Effect::Put {
            table: "t".to_owned(),
            hash: "h".to_owned(),
            sort: String::new(),
            value: Bytes::from_static(b"5"),
            expires_at_ms: None,
        };
        let expected = json!({ "effect": "put", "table": "t", "hash": "h", "sort": "", "value": 5 });
        assert_eq!(put.to_json(), expected);
        let log = Effect::Log { level: LogLevel::Warn, text: "x".to_owned() };
        assert_eq!(log.to_json(), json!({ "effect": "log", "level": "warn", "text": "x" }));
    }
}
