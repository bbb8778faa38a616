//! PUBACK, PUBREC, PUBREL and PUBCOMP, read in place and written; and PINGRESP.

use bytes::{BufMut, BytesMut};

use super::control::{check_flags, unexpected};
use super::frame::{remaining_length_len, write_remaining_length};
use super::properties::{Place, Properties};
use super::reader::Reader;
use super::reasons::{put_reason_string, reason_string_len};
use super::{ProtocolError, Reason, Version};

/// What acknowledges a publish, in one of its four packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// The packet id of the publish.
    pub packet_id: u16,
    /// How it went; at 0x80 and above not well.
    pub reason: u8,
}

/// Reads the acknowledgement whose first byte is `first` and whose bytes after the fixed header are `body`.
pub fn parse_ack(first: u8, body: &[u8], version: Version) -> Result<Ack, ProtocolError> {
    let (name, expected_flags) = match first >> 4 {
        4 => ("PUBACK", 0),
        5 => ("PUBREC", 0),
        6 => ("PUBREL", 0b0010), // [MQTT-3.6.1-1]
        7 => ("PUBCOMP", 0),
        _ => return Err(unexpected(first)),
    };
    check_flags(first, expected_flags, version)?;
    let mut reader = Reader::new(name, body);
    let packet_id = reader.packet_id()?;
    let mut reason = 0;
    if version == Version::V5 && !reader.is_empty() {
        reason = reader.byte("reason code")?;
        // [MQTT5-3.4.2-1, MQTT5-3.5.2-1, MQTT5-3.6.2-1, MQTT5-3.7.2-1]
        if !is_legal(first >> 4, reason) {
            let detail = format!("{reason:#04x} is no reason code of {name}");
            return Err(ProtocolError::new(Reason::ProtocolError, detail));
        }
        if !reader.is_empty() {
            Properties::new(Place::Ack, reader.properties()?).check()?;
        }
    }
    reader.finish()?;
    Ok(Ack { packet_id, reason })
}

fn is_legal(packet_type: u8, reason: u8) -> bool {
    if packet_type >= 6 {
        matches!(reason, 0x00 | 0x92)
    } else {
        matches!(reason, 0x00 | 0x10 | 0x80 | 0x83 | 0x87 | 0x90 | 0x91 | 0x97 | 0x99)
    }
}

/// Writes PUBACK, PUBREC, PUBREL or PUBCOMP (`first` is the whole first byte). A reason goes to MQTT 5 only,
/// and success without saying so (MQTT 5 §3.4.2.1).
pub fn encode_ack(out: &mut BytesMut, version: Version, first: u8, packet_id: u16, reason: Reason) {
    encode_ack_with(out, version, first, packet_id, reason, None);
}

/// As [`encode_ack`], with words for MQTT 5. Whoever asked for no problem information is sent none. [MQTT5-3.1.2-29]
pub fn encode_ack_with(
    out: &mut BytesMut,
    version: Version,
    first: u8,
    packet_id: u16,
    reason: Reason,
    reason_string: Option<&str>,
) {
    let properties = reason_string_len(reason_string);
    out.put_u8(first);
    if version != Version::V5 || reason == Reason::Success && properties == 0 {
        out.put_u8(2);
        out.put_u16(packet_id);
    } else if properties == 0 {
        out.put_u8(3);
        out.put_u16(packet_id);
        out.put_u8(reason as u8);
    } else {
        write_remaining_length(out, 3 + remaining_length_len(properties) + properties);
        out.put_u16(packet_id);
        out.put_u8(reason as u8);
        put_reason_string(out, reason_string);
    }
}

/// Writes PINGRESP.
pub fn encode_pingresp(out: &mut BytesMut) {
    out.put_slice(&[0xD0, 0]);
}
