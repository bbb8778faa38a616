//! Reading one message of an envelope.

use bytes::Bytes;

use super::super::codec::QoS;
use super::{Envelope, FLAG_DURABLE, FLAG_EXPIRES, FLAG_QOS, FLAG_RETAIN, FLAG_RULES, Interest, Marks, Meta};

/// One message of an envelope.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    pub(super) envelope: &'a Envelope,
    pub(super) meta: Meta,
    pub(super) frame: &'a [u8],
}

impl<'a> Message<'a> {
    /// Its topic, as bytes of UTF-8.
    pub fn topic_bytes(&self) -> &'a [u8] {
        let at = usize::from(self.meta.fixed_len) + 2;
        &self.frame[at..at + usize::from(self.meta.topic_len)]
    }

    /// Its topic.
    pub fn topic(&self) -> &'a str {
        std::str::from_utf8(self.topic_bytes()).unwrap_or_default()
    }

    /// Its topic with the two bytes of length before it, then its payload: the frame without its fixed header.
    pub fn body(&self) -> &'a [u8] {
        &self.frame[usize::from(self.meta.fixed_len)..]
    }

    /// Its payload.
    pub fn payload(&self) -> &'a [u8] {
        &self.frame[usize::from(self.meta.fixed_len) + 2 + usize::from(self.meta.topic_len)..]
    }

    /// Its payload, sharing the envelope's memory.
    pub fn payload_shared(&self) -> Bytes {
        self.envelope.bytes.slice_ref(self.payload())
    }

    /// Its MQTT 5 properties, without length, topic alias and subscription identifiers.
    pub fn properties(&self) -> &'a [u8] {
        let at = self.meta.properties_at as usize;
        &self.envelope.bytes[at..at + self.meta.properties_len as usize]
    }

    /// Whether it expires: then there is a message expiry interval among its properties.
    pub fn expires(&self) -> bool {
        self.meta.flags & FLAG_EXPIRES != 0
    }

    /// How it was published.
    pub fn marks(&self) -> Marks {
        let flags = self.meta.flags;
        Marks {
            qos: QoS::from_bits(flags & FLAG_QOS).unwrap_or(QoS::AtMostOnce),
            retain: flags & FLAG_RETAIN != 0,
            interest: Interest { durable: flags & FLAG_DURABLE != 0, rules: flags & FLAG_RULES != 0 },
        }
    }
}
