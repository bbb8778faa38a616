//! The properties of MQTT 5, written and read byte by byte.

use bytes::{Buf, BufMut, Bytes};

use super::put_text;

/// The identifiers of properties, by the names of the standard.
pub mod id {
    #![expect(missing_docs, reason = "the names are the standard's")]
    pub const PAYLOAD_FORMAT: u8 = 0x01;
    pub const MESSAGE_EXPIRY: u8 = 0x02;
    pub const CONTENT_TYPE: u8 = 0x03;
    pub const RESPONSE_TOPIC: u8 = 0x08;
    pub const CORRELATION_DATA: u8 = 0x09;
    pub const SUBSCRIPTION_ID: u8 = 0x0B;
    pub const SESSION_EXPIRY: u8 = 0x11;
    pub const ASSIGNED_CLIENT_ID: u8 = 0x12;
    pub const SERVER_KEEP_ALIVE: u8 = 0x13;
    pub const AUTH_METHOD: u8 = 0x15;
    pub const AUTH_DATA: u8 = 0x16;
    pub const REQUEST_PROBLEM_INFO: u8 = 0x17;
    pub const WILL_DELAY: u8 = 0x18;
    pub const REQUEST_RESPONSE_INFO: u8 = 0x19;
    pub const RESPONSE_INFO: u8 = 0x1A;
    pub const SERVER_REFERENCE: u8 = 0x1C;
    pub const REASON_STRING: u8 = 0x1F;
    pub const RECEIVE_MAX: u8 = 0x21;
    pub const TOPIC_ALIAS_MAX: u8 = 0x22;
    pub const TOPIC_ALIAS: u8 = 0x23;
    pub const QOS_MAX: u8 = 0x24;
    pub const RETAIN_AVAILABLE: u8 = 0x25;
    pub const USER_PROPERTY: u8 = 0x26;
    pub const PACKET_BYTES_MAX: u8 = 0x27;
    pub const WILDCARD_AVAILABLE: u8 = 0x28;
    pub const SUBSCRIPTION_ID_AVAILABLE: u8 = 0x29;
    pub const SHARED_AVAILABLE: u8 = 0x2A;
}

/// A property of one byte.
pub fn property_u8(id: u8, value: u8) -> Vec<u8> {
    vec![id, value]
}

/// A property of two bytes, such as the receive maximum or a topic alias.
pub fn property_u16(id: u8, value: u16) -> Vec<u8> {
    let mut out = vec![id];
    out.put_u16(value);
    out
}

/// A property of four bytes, such as the maximum packet size.
pub fn property_u32(id: u8, value: u32) -> Vec<u8> {
    let mut out = vec![id];
    out.put_u32(value);
    out
}

/// A property that is a variable byte integer: a subscription identifier.
pub fn property_varint(id: u8, value: usize) -> Vec<u8> {
    let mut out = vec![id];
    super::put_length(&mut out, value);
    out
}

/// A property that is text or binary data.
pub fn property_text(id: u8, value: impl AsRef<[u8]>) -> Vec<u8> {
    let mut out = vec![id];
    put_text(&mut out, value.as_ref());
    out
}

/// A user property.
pub fn property_pair(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Vec<u8> {
    let mut out = vec![id::USER_PROPERTY];
    put_text(&mut out, name.as_ref());
    put_text(&mut out, value.as_ref());
    out
}

/// The properties of a packet that arrived, in order: identifier and value. Numbers are big-endian, texts are without
/// their lengths, and a user property is both texts with their lengths.
pub fn read_properties(properties: &Bytes) -> Vec<(u8, Bytes)> {
    let mut rest = properties.clone();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let id = rest.get_u8();
        let value = match id {
            0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28..=0x2A => rest.split_to(1),
            0x13 | 0x21..=0x23 => rest.split_to(2),
            0x02 | 0x11 | 0x18 | 0x27 => rest.split_to(4),
            0x0B => take_varint(&mut rest),
            0x03 | 0x08 | 0x09 | 0x12 | 0x15 | 0x16 | 0x1A | 0x1C | 0x1F => {
                let len = usize::from(rest.get_u16());
                rest.split_to(len)
            }
            id::USER_PROPERTY => {
                let name = 2 + usize::from(u16::from_be_bytes([rest[0], rest[1]]));
                let value = 2 + usize::from(u16::from_be_bytes([rest[name], rest[name + 1]]));
                rest.split_to(name + value)
            }
            unknown => panic!("the server sent property {unknown:#04x}: {properties:?}"),
        };
        found.push((id, value));
    }
    found
}

fn take_varint(rest: &mut Bytes) -> Bytes {
    let mut value = 0_u32;
    for shift in [0, 7, 14, 21] {
        let byte = rest.get_u8();
        value |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    Bytes::copy_from_slice(&value.to_be_bytes())
}

/// The values of all properties of that id.
pub fn property_values(properties: &Bytes, id: u8) -> Vec<Bytes> {
    let all = read_properties(properties).into_iter();
    all.filter(|(found, _)| *found == id).map(|(_, value)| value).collect()
}

/// The value of the first property of that id.
pub fn property(properties: &Bytes, id: u8) -> Option<Bytes> {
    property_values(properties, id).into_iter().next()
}

/// The first property of that id as a number.
pub fn property_number(properties: &Bytes, id: u8) -> Option<u32> {
    let value = property(properties, id)?;
    Some(value.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
}
