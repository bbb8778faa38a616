//! Effects as JSON: what tests, dry runs and comparisons show of them.

use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::effect::{Effect, LogLevel, PublishProperties, Webhook};
use crate::leaderboard::{BoardChange, Number};

impl Effect {
    /// The effect as a JSON object; its member `effect` says which it is. Payloads and values that are JSON objects or
    /// arrays are shown as such, others as text, and bytes that are no text as `{ "base64": … }`.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Board(change) => board(change),
            Self::Delete { table, hash, sort } => {
                json!({ "effect": "delete", "table": table, "hash": hash, "sort": sort })
            }
            Self::Disconnect { client_id, reason } => {
                json!({ "effect": "disconnect", "client_id": client_id, "reason": reason })
            }
            Self::Log { level, text } => {
                let level = match level {
                    LogLevel::Debug => "debug",
                    LogLevel::Info => "info",
                    LogLevel::Warn => "warn",
                    LogLevel::Error => "error",
                };
                json!({ "effect": "log", "level": level, "text": text })
            }
            Self::Notify { topic, subject, message } => {
                let message = readable(message.as_bytes());
                json!({ "effect": "notify", "topic": topic, "subject": subject, "message": message })
            }
            Self::Publish { topic, payload, qos, retain, properties } => {
                let payload = readable(payload);
                let mut value = json!({
                    "effect": "publish", "topic": topic, "payload": payload, "qos": qos, "retain": retain,
                });
                if let Some(properties) = properties {
                    value["properties"] = along(properties);
                }
                value
            }
            Self::PutEvent { bus, event } => {
                json!({ "effect": "event", "bus": bus, "event": readable(event) })
            }
            Self::Put { table, hash, sort, value, expires_at_ms } => {
                let stored = serde_json::from_slice(value).unwrap_or_else(|_| readable(value));
                let mut row =
                    json!({ "effect": "put", "table": table, "hash": hash, "sort": sort, "value": stored });
                if let Some(at) = expires_at_ms {
                    row["expires_at"] = (*at).into();
                }
                row
            }
            Self::Webhook(webhook) => self::webhook(webhook),
        }
    }
}

fn board(change: &BoardChange) -> Value {
    let standings = change.id().to_string();
    match change {
        BoardChange::Open { generation, .. } => {
            json!({ "effect": "board", "standings": standings, "generation": generation })
        }
        BoardChange::Score { member, standing, .. } => {
            let score = standing.as_ref().map(|standing| match standing.score.number() {
                Number::Whole(number) => Value::from(number),
                Number::Decimal(number) => Value::from(number),
            });
            json!({ "effect": "board", "standings": standings, "member": member, "score": score })
        }
    }
}

fn along(properties: &PublishProperties) -> Value {
    json!({
        "content_type": properties.content_type,
        "correlation_data": properties.correlation_data.as_ref().map(|bytes| BASE64.encode(bytes)),
        "expiry_seconds": properties.expiry_seconds, "is_text": properties.is_text,
        "response_topic": properties.response_topic, "user": properties.user,
    })
}

fn webhook(webhook: &Webhook) -> Value {
    let milliseconds = |timeout: std::time::Duration| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
    json!({
        "effect": "webhook", "url": webhook.url, "method": webhook.method, "headers": webhook.headers,
        "body": readable(&webhook.body), "timeout_ms": webhook.timeout.map(milliseconds),
        "retries": webhook.retries, "secret": webhook.secret,
    })
}

/// Bytes as people want to see them.
fn readable(bytes: &[u8]) -> Value {
    let is_tree = matches!(bytes.first(), Some(b'{' | b'['));
    if is_tree && let Ok(value) = serde_json::from_slice(bytes) {
        return value;
    }
    match str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => json!({ "base64": BASE64.encode(bytes) }),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn effects_are_readable() {
        let publish = |payload: &'static [u8]| Effect::Publish {
            topic: "a".to_owned(),
            payload: Bytes::from_static(payload),
            qos: 1,
            retain: false,
            properties: None,
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
