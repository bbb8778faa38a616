//! MQTT packets. The hot ones (PUBLISH and the acknowledgements) are read in place and written here;
//! the others go through `rmqtt-codec` (docs/adr/0002-codec.md).

mod control;
mod publish;
mod reason;

use bytes::{BufMut, BytesMut};

pub use control::{ConnackOptions, encode_disconnect, version_of_connect};
pub use control::{
    Connect, Control, RetainHandling, Subscription, Will, decode_connect, decode_control, encode_connack,
};
pub(crate) use publish::without_alias;
pub use publish::{OutboundPublish, PublishView, encode_publish, parse_publish};
pub use reason::Reason;

/// Quality of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum QoS {
    /// At most once.
    AtMostOnce = 0,
    /// At least once.
    AtLeastOnce = 1,
    /// Exactly once.
    ExactlyOnce = 2,
}

impl QoS {
    /// The level of two bits; three is malformed. [MQTT-3.3.1-4]
    pub fn from_bits(bits: u8) -> Option<QoS> {
        match bits {
            0 => Some(QoS::AtMostOnce),
            1 => Some(QoS::AtLeastOnce),
            2 => Some(QoS::ExactlyOnce),
            _ => None,
        }
    }
}

/// The version a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// MQTT 3.1 (`MQIsdp`, level 3).
    V31,
    /// MQTT 3.1.1 (level 4).
    V311,
    /// MQTT 5 (level 5).
    V5,
}

/// Why a packet was refused: the reason an MQTT 5 client is told, and a sentence for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct ProtocolError {
    /// What MQTT 5 calls it.
    pub reason: Reason,
    /// What was wrong.
    pub detail: String,
}

impl ProtocolError {
    /// An error of that reason.
    pub fn new(reason: Reason, detail: impl Into<String>) -> ProtocolError {
        ProtocolError { reason, detail: detail.into() }
    }

    pub(crate) fn malformed(detail: impl Into<String>) -> ProtocolError {
        ProtocolError::new(Reason::MalformedPacket, detail)
    }
}

/// Where a packet at the front of a buffer begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHead {
    /// The first byte: packet type and flags.
    pub first: u8,
    /// Bytes of the fixed header.
    pub head_len: usize,
    /// Bytes of the whole packet.
    pub len: usize,
}

/// Reads the fixed header of the packet at the front of `buffer`; `None` while it is not all there.
///
/// A packet of more than `len_max` bytes is refused before it has arrived.
pub fn frame_head(buffer: &[u8], len_max: usize) -> Result<Option<FrameHead>, ProtocolError> {
    let Some((&first, rest)) = buffer.split_first() else { return Ok(None) };
    let mut remaining = 0_usize;
    for (index, &byte) in rest.iter().take(4).enumerate() {
        remaining |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let head_len = index + 2;
            let len = head_len + remaining;
            if len > len_max {
                let detail = format!("a packet of {len} bytes is larger than the {len_max} allowed");
                return Err(ProtocolError::new(Reason::PacketTooLarge, detail));
            }
            return Ok(Some(FrameHead { first, head_len, len }));
        }
    }
    if rest.len() >= 4 {
        return Err(ProtocolError::malformed("the remaining length has more than four bytes"));
    }
    Ok(None)
}

/// Writes a variable byte integer. `value` is at most 268,435,455.
pub fn write_remaining_length(out: &mut BytesMut, mut value: usize) {
    loop {
        #[expect(clippy::cast_possible_truncation, reason = "seven bits")]
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            out.put_u8(byte);
            return;
        }
        out.put_u8(byte | 0x80);
    }
}

/// Bytes of a variable byte integer.
pub fn remaining_length_len(value: usize) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}

/// Writes PUBACK, PUBREC, PUBREL or PUBCOMP (`first` is the whole first byte). A reason goes to MQTT 5 only,
/// and success without saying so. [MQTT5-3.4.2.1]
pub fn encode_ack(out: &mut BytesMut, version: Version, first: u8, packet_id: u16, reason: Reason) {
    if version == Version::V5 && reason != Reason::Success {
        out.put_slice(&[first, 3]);
        out.put_u16(packet_id);
        out.put_u8(reason as u8);
    } else {
        out.put_slice(&[first, 2]);
        out.put_u16(packet_id);
    }
}

/// Writes SUBACK: a code for each filter, in order. [MQTT-3.9.3-1]
pub fn encode_suback(out: &mut BytesMut, version: Version, packet_id: u16, codes: &[Reason]) {
    let properties = usize::from(version == Version::V5);
    out.put_u8(0x90);
    write_remaining_length(out, 2 + properties + codes.len());
    out.put_u16(packet_id);
    out.put_bytes(0, properties);
    for code in codes {
        // 3.1.1 knows one failure code. [MQTT-3.9.3-2]
        let byte = *code as u8;
        out.put_u8(if version != Version::V5 && byte > 2 { 0x80 } else { byte });
    }
}

/// Writes UNSUBACK; the codes go to MQTT 5 only.
pub fn encode_unsuback(out: &mut BytesMut, version: Version, packet_id: u16, codes: &[Reason]) {
    out.put_u8(0xB0);
    if version == Version::V5 {
        write_remaining_length(out, 3 + codes.len());
        out.put_u16(packet_id);
        out.put_u8(0);
        out.extend(codes.iter().map(|code| *code as u8));
    } else {
        out.put_u8(2);
        out.put_u16(packet_id);
    }
}

/// Writes PINGRESP.
pub fn encode_pingresp(out: &mut BytesMut) {
    out.put_slice(&[0xD0, 0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_header_is_read_when_it_is_all_there() {
        assert_eq!(frame_head(b"", 100).unwrap(), None);
        assert_eq!(frame_head(b"\x30", 100).unwrap(), None);
        assert_eq!(frame_head(b"\x30\x80", 1000).unwrap(), None);
        let head = frame_head(b"\x30\x80\x01rest", 1000).unwrap().unwrap();
        assert_eq!(head, FrameHead { first: 0x30, head_len: 3, len: 131 });
    }

    #[test]
    fn an_oversized_or_endless_header_is_refused() {
        assert_eq!(frame_head(b"\x30\xff\xff\xff\x7f", 1000).unwrap_err().reason, Reason::PacketTooLarge);
        assert_eq!(frame_head(b"\x30\xff\xff\xff\xff", 1000).unwrap_err().reason, Reason::MalformedPacket);
    }

    #[test]
    fn variable_byte_integers_have_the_length_foretold() {
        for value in [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455] {
            let mut out = BytesMut::new();
            write_remaining_length(&mut out, value);
            assert_eq!(out.len(), remaining_length_len(value), "{value}");
        }
    }
}
