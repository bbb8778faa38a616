//! A message as a client was sent it.

use bytes::Bytes;
use serde_json::Value;

/// A PUBLISH that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its topic.
    pub topic: String,
    /// Its payload.
    pub payload: Bytes,
    /// Its level, 0 to 2.
    pub qos: u8,
    /// Whether it came with the retain flag.
    pub retain: bool,
    /// Its MQTT 5 user properties.
    pub user_properties: Vec<(String, String)>,
    /// The identifiers of the subscriptions that it matched.
    pub subscription_ids: Vec<u32>,
}

impl Message {
    /// The payload as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.payload)
            .unwrap_or_else(|_| panic!("the payload on {} is not text", self.topic))
    }

    /// The payload as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap_or_else(|error| {
            panic!("the payload on {} is not JSON ({error}): {}", self.topic, self.text())
        })
    }
}
