//! PUBLISH, read in place and written straight to the buffer that goes out.

use bytes::{BufMut, BytesMut};

use super::{ProtocolError, QoS, Reason, Version, remaining_length_len, write_remaining_length};

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
    let short = || ProtocolError::malformed("a PUBLISH ends before its topic or packet id does");
    let (len, rest) = body.split_first_chunk::<2>().ok_or_else(short)?;
    let (topic, mut rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len))).ok_or_else(short)?;
    let mut packet_id = 0;
    if qos > QoS::AtMostOnce {
        let (id, after) = rest.split_first_chunk::<2>().ok_or_else(short)?;
        packet_id = u16::from_be_bytes(*id);
        if packet_id == 0 {
            return Err(ProtocolError::malformed("a PUBLISH has packet id 0")); // [MQTT-2.3.1-1]
        }
        rest = after;
    }
    let mut view = PublishView {
        dup,
        qos,
        retain: first & 1 != 0,
        topic,
        packet_id,
        topic_alias: None,
        properties: &[],
        payload: rest,
    };
    if version == Version::V5 {
        let (properties, payload) = split_properties(rest)?;
        view.topic_alias = check_properties(properties)?;
        view.properties = properties;
        view.payload = payload;
    }
    Ok(view)
}

fn split_properties(bytes: &[u8]) -> Result<(&[u8], &[u8]), ProtocolError> {
    let (len, used) = read_variable(bytes)
        .ok_or_else(|| ProtocolError::malformed("the length of the properties is malformed"))?;
    bytes[used..]
        .split_at_checked(len)
        .ok_or_else(|| ProtocolError::malformed("the properties are longer than the packet"))
}

fn read_variable(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (index, &byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
}

const PAYLOAD_FORMAT: u8 = 0x01;
const MESSAGE_EXPIRY: u8 = 0x02;
const CONTENT_TYPE: u8 = 0x03;
const RESPONSE_TOPIC: u8 = 0x08;
const CORRELATION_DATA: u8 = 0x09;
const SUBSCRIPTION_ID: u8 = 0x0B;
const TOPIC_ALIAS: u8 = 0x23;
const USER_PROPERTY: u8 = 0x26;

/// Checks the properties of a client's PUBLISH (MQTT 5 §3.3.2.3) and gives the topic alias.
fn check_properties(mut rest: &[u8]) -> Result<Option<u16>, ProtocolError> {
    let mut alias = None;
    let mut seen = 0_u64;
    while let Some((&id, after)) = rest.split_first() {
        let len = value_len(id, after)?;
        let (value, after) = after
            .split_at_checked(len)
            .ok_or_else(|| ProtocolError::malformed(format!("property {id:#04x} ends too early")))?;
        if id != USER_PROPERTY {
            if seen & 1 << id != 0 {
                let detail = format!("property {id:#04x} is there twice");
                return Err(ProtocolError::new(Reason::ProtocolError, detail));
            }
            seen |= 1 << id;
        }
        check_value(id, value)?;
        if id == TOPIC_ALIAS {
            alias = Some(u16::from_be_bytes([value[0], value[1]]));
        }
        rest = after;
    }
    Ok(alias)
}

fn value_len(id: u8, after: &[u8]) -> Result<usize, ProtocolError> {
    let text = |at: usize| match after.get(at..at + 2) {
        Some(len) => Ok(2 + usize::from(u16::from_be_bytes([len[0], len[1]]))),
        None => Err(ProtocolError::malformed(format!("property {id:#04x} ends too early"))),
    };
    match id {
        PAYLOAD_FORMAT => Ok(1),
        MESSAGE_EXPIRY => Ok(4),
        TOPIC_ALIAS => Ok(2),
        CONTENT_TYPE | RESPONSE_TOPIC | CORRELATION_DATA => text(0),
        USER_PROPERTY => {
            let name = text(0)?;
            Ok(name + text(name)?)
        }
        SUBSCRIPTION_ID => {
            // [MQTT-3.3.4-6]
            let detail = "a client's PUBLISH carries a subscription identifier";
            Err(ProtocolError::new(Reason::ProtocolError, detail))
        }
        _ => Err(ProtocolError::malformed(format!("property {id:#04x} does not belong to PUBLISH"))),
    }
}

fn check_value(id: u8, value: &[u8]) -> Result<(), ProtocolError> {
    let text =
        |bytes: &[u8]| {
            std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0')).map(|_| ()).ok_or_else(|| {
                ProtocolError::malformed(format!("property {id:#04x} is not valid UTF-8 text"))
            })
        };
    match id {
        PAYLOAD_FORMAT if value[0] > 1 => {
            Err(ProtocolError::new(Reason::ProtocolError, "the payload format indicator is neither 0 nor 1"))
        }
        TOPIC_ALIAS if value == [0, 0] => {
            Err(ProtocolError::new(Reason::TopicAliasInvalid, "topic alias 0")) // [MQTT-3.3.2-8]
        }
        CONTENT_TYPE => text(&value[2..]),
        RESPONSE_TOPIC => {
            text(&value[2..])?;
            if value[2..].iter().any(|byte| matches!(byte, b'+' | b'#')) {
                // [MQTT-3.3.2-14]
                return Err(ProtocolError::new(Reason::ProtocolError, "the response topic has a wildcard"));
            }
            Ok(())
        }
        USER_PROPERTY => {
            let name = usize::from(u16::from_be_bytes([value[0], value[1]]));
            text(&value[2..2 + name])?;
            text(&value[4 + name..])
        }
        _ => Ok(()),
    }
}

/// The properties without the topic alias, which concerns one connection only. [MQTT-3.3.2-7]
pub(crate) fn without_alias(properties: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(properties.len());
    let mut rest = properties;
    while let Some((&id, after)) = rest.split_first() {
        let Ok(len) = value_len(id, after) else { break };
        if id != TOPIC_ALIAS {
            kept.extend_from_slice(&rest[..=len]);
        }
        rest = &after[len..];
    }
    kept
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
}

/// Writes a PUBLISH.
pub fn encode_publish(out: &mut BytesMut, version: Version, publish: &OutboundPublish<'_>) {
    let (topic, payload) = publish.body.split_at(publish.topic_len);
    let id_len = if publish.qos > QoS::AtMostOnce { 2 } else { 0 };
    let subscriptions_len: usize =
        publish.subscription_ids.iter().map(|id| 1 + remaining_length_len(*id as usize)).sum();
    let properties_len = publish.properties.len() + subscriptions_len;
    let head = if version == Version::V5 { remaining_length_len(properties_len) + properties_len } else { 0 };
    let remaining = publish.body.len() + id_len + head;
    out.reserve(remaining + 5);
    let first = 0x30 | u8::from(publish.dup) << 3 | (publish.qos as u8) << 1 | u8::from(publish.retain);
    out.put_u8(first);
    write_remaining_length(out, remaining);
    out.put_slice(topic);
    if id_len > 0 {
        out.put_u16(publish.packet_id);
    }
    if version == Version::V5 {
        write_remaining_length(out, properties_len);
        out.put_slice(publish.properties);
        for id in publish.subscription_ids {
            out.put_u8(SUBSCRIPTION_ID);
            write_remaining_length(out, *id as usize);
        }
    }
    out.put_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publish_is_read_and_written_alike() {
        let mut out = BytesMut::new();
        let publish = OutboundPublish {
            body: b"\x00\x03a/bhello",
            topic_len: 5,
            properties: b"\x01\x01",
            subscription_ids: &[],
            qos: QoS::AtLeastOnce,
            retain: true,
            dup: true,
            packet_id: 513,
        };
        encode_publish(&mut out, Version::V5, &publish);
        let view = parse_publish(out[0], &out[2..], Version::V5).unwrap();
        assert_eq!((view.topic, view.payload, view.packet_id), (&b"a/b"[..], &b"hello"[..], 513));
        assert_eq!((view.qos, view.dup, view.retain), (QoS::AtLeastOnce, true, true));
        assert_eq!(view.properties, b"\x01\x01");
    }

    #[test]
    fn illegal_publishes_are_refused_with_the_reason_of_the_standard() {
        let cases: [(&str, u8, &[u8], Reason); 8] = [
            ("QoS 3", 0x36, b"\x00\x01a\x00\x01\x00", Reason::MalformedPacket),
            ("DUP at QoS 0", 0x38, b"\x00\x01a\x00", Reason::MalformedPacket),
            ("packet id 0", 0x32, b"\x00\x01a\x00\x00\x00", Reason::MalformedPacket),
            ("topic cut off", 0x30, b"\x00\x09a", Reason::MalformedPacket),
            ("alias 0", 0x30, b"\x00\x00\x03\x23\x00\x00", Reason::TopicAliasInvalid),
            ("subscription id", 0x30, b"\x00\x01a\x02\x0b\x01", Reason::ProtocolError),
            ("expiry twice", 0x30, b"\x00\x01a\x0a\x02\0\0\0\x01\x02\0\0\0\x01", Reason::ProtocolError),
            ("unknown property", 0x30, b"\x00\x01a\x02\x7f\x01", Reason::MalformedPacket),
        ];
        for (name, first, body, reason) in cases {
            assert_eq!(parse_publish(first, body, Version::V5).unwrap_err().reason, reason, "{name}");
        }
    }

    #[test]
    fn an_alias_is_cut_out_of_the_properties() {
        let properties = b"\x01\x01\x23\x00\x05\x26\x00\x01k\x00\x01v";
        assert_eq!(without_alias(properties), b"\x01\x01\x26\x00\x01k\x00\x01v");
    }
}
