//! PUBLISH, read in place and written straight to the buffer that goes out.

use bytes::{BufMut, BytesMut};

use super::frame::{remaining_length_len, write_remaining_length};
use super::properties::{MESSAGE_EXPIRY, Place, Properties, Property, SUBSCRIPTION_ID, TOPIC_ALIAS, checked};
use super::reader::Reader;
use super::{ProtocolError, QoS, Version};

/// A PUBLISH as it lies in the read buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishView<'a> {
    /// Sent before, perhaps.
    pub dup: bool,
    /// Quality of service.
    pub qos: QoS,
    /// To be retained.
    pub retain: bool,
    /// The topic name's bytes, unchecked; empty where an alias stands for it.
    pub topic: &'a [u8],
    /// The packet id; zero at QoS 0.
    pub packet_id: u16,
    /// The alias, if one is given.
    pub topic_alias: Option<u16>,
    /// The properties without their length; still with the alias.
    pub properties: &'a [u8],
    /// The payload.
    pub payload: &'a [u8],
}

/// Reads the PUBLISH whose first byte is `first` and whose bytes after the fixed header are `body`.
pub fn parse_publish(first: u8, body: &[u8], version: Version) -> Result<PublishView<'_>, ProtocolError> {
    let qos = QoS::from_bits(first >> 1 & 3)
        .ok_or_else(|| ProtocolError::malformed("a PUBLISH has both QoS bits set"))?; // [MQTT-3.3.1-4]
    let dup = first & 0x08 != 0;
    if dup && qos == QoS::AtMostOnce {
        return Err(ProtocolError::malformed("a PUBLISH at QoS 0 has DUP set")); // [MQTT-3.3.1-2]
    }
    let mut reader = Reader::new("PUBLISH", body);
    let topic = reader.binary("topic")?;
    let packet_id = if qos > QoS::AtMostOnce { reader.packet_id()? } else { 0 };
    let (properties, topic_alias) = if version == Version::V5 {
        let properties = reader.properties()?;
        (properties, check_properties(properties)?)
    } else {
        (&[][..], None)
    };
    Ok(PublishView {
        dup,
        qos,
        retain: first & 1 != 0,
        topic,
        packet_id,
        topic_alias,
        properties,
        payload: reader.rest(),
    })
}

/// Checks the properties of a client's PUBLISH (MQTT 5 §3.3.2.3) and gives the topic alias.
fn check_properties(bytes: &[u8]) -> Result<Option<u16>, ProtocolError> {
    let mut alias = None;
    let mut properties = Properties::new(Place::Publish, bytes);
    while let Some((property, _)) = properties.next()? {
        if let Property::TopicAlias(number) = property {
            alias = Some(number);
        }
    }
    Ok(alias)
}

/// The properties without the topic alias, which concerns one connection only. [MQTT-3.3.2-7]
pub(crate) fn without_alias(properties: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(properties.len());
    for (id, bytes) in checked(properties) {
        if id != TOPIC_ALIAS {
            kept.extend_from_slice(bytes);
        }
    }
    kept
}

/// The seconds after which a message with these properties is worth nothing.
pub fn message_expiry(properties: &[u8]) -> Option<u32> {
    let at = expiry_at(properties)?;
    properties[at..].first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

/// Where the seconds of a message expiry are.
fn expiry_at(properties: &[u8]) -> Option<usize> {
    let mut at = 0;
    for (id, bytes) in checked(properties) {
        if id == MESSAGE_EXPIRY {
            return Some(at + 1);
        }
        at += bytes.len();
    }
    None
}

/// What makes a stored message into the PUBLISH that one subscriber gets.
#[derive(Debug, Clone, Copy)]
pub struct OutboundPublish<'a> {
    /// Topic length, topic and payload, as in the frame of 3.1.1 at QoS 0.
    pub body: &'a [u8],
    /// Bytes of topic length and topic.
    pub topic_len: usize,
    /// The message's properties.
    pub properties: &'a [u8],
    /// The subscription identifiers that matched.
    pub subscription_ids: &'a [u32],
    /// The quality of service to deliver at.
    pub qos: QoS,
    /// The RETAIN flag to deliver with.
    pub retain: bool,
    /// The DUP flag to deliver with.
    pub dup: bool,
    /// The packet id, where QoS is above 0.
    pub packet_id: u16,
    /// The alias to send: of MQTT 5, and no more than the client takes. [MQTT5-3.1.2-26]
    pub topic_alias: Option<u16>,
    /// Whether the topic's name goes with it; false where MQTT 5 has an alias that stands for it already.
    pub send_topic: bool,
    /// What is left of the message expiry that is among the properties. [MQTT5-3.3.2-6]
    pub expiry_seconds: Option<u32>,
}

/// Bytes of the packet that [`encode_publish`] writes, whatever its packet id.
pub fn publish_len(version: Version, publish: &OutboundPublish<'_>) -> usize {
    let remaining = remaining_len(version, publish);
    1 + remaining_length_len(remaining) + remaining
}

/// Writes a PUBLISH.
pub fn encode_publish(out: &mut BytesMut, version: Version, publish: &OutboundPublish<'_>) {
    let (topic, payload) = publish.body.split_at(publish.topic_len);
    let remaining = remaining_len(version, publish);
    out.reserve(remaining + 5);
    let first = 0x30 | u8::from(publish.dup) << 3 | (publish.qos as u8) << 1 | u8::from(publish.retain);
    out.put_u8(first);
    write_remaining_length(out, remaining);
    out.put_slice(if names_topic(version, publish) { topic } else { NO_TOPIC });
    if publish.qos > QoS::AtMostOnce {
        out.put_u16(publish.packet_id);
    }
    if version == Version::V5 {
        write_remaining_length(out, properties_len(publish));
        put_properties(out, publish);
    }
    out.put_slice(payload);
}

/// A topic name of no bytes, for which an alias stands.
const NO_TOPIC: &[u8] = &[0, 0];

fn names_topic(version: Version, publish: &OutboundPublish<'_>) -> bool {
    publish.send_topic || version != Version::V5
}

fn remaining_len(version: Version, publish: &OutboundPublish<'_>) -> usize {
    let topic = if names_topic(version, publish) { publish.topic_len } else { NO_TOPIC.len() };
    let id = if publish.qos > QoS::AtMostOnce { 2 } else { 0 };
    let properties = if version == Version::V5 {
        let len = properties_len(publish);
        remaining_length_len(len) + len
    } else {
        0
    };
    topic + id + properties + publish.body.len() - publish.topic_len
}

fn properties_len(publish: &OutboundPublish<'_>) -> usize {
    let ids: usize = publish.subscription_ids.iter().map(|id| 1 + remaining_length_len(*id as usize)).sum();
    let alias = if publish.topic_alias.is_some() { 3 } else { 0 };
    publish.properties.len() + ids + alias
}

fn put_properties(out: &mut BytesMut, publish: &OutboundPublish<'_>) {
    let start = out.len();
    out.put_slice(publish.properties);
    if let Some(seconds) = publish.expiry_seconds
        && let Some(at) = expiry_at(publish.properties)
    {
        out[start + at..][..4].copy_from_slice(&seconds.to_be_bytes());
    }
    for id in publish.subscription_ids {
        out.put_u8(SUBSCRIPTION_ID);
        write_remaining_length(out, *id as usize);
    }
    if let Some(alias) = publish.topic_alias {
        out.put_u8(TOPIC_ALIAS);
        out.put_u16(alias);
    }
}
