//! The fixed header that every packet begins with, and the variable byte integer in it.

use bytes::{BufMut, BytesMut};

use super::{ProtocolError, Reason, Version};

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

/// As [`frame_head`], once the version is known: a packet of the type that is forbidden is refused by its first byte,
/// and MQTT 5 writes a length in as few bytes as it can. [MQTT5-1.5.5-1]
///
/// 3.1.1 does not ask for that, and there are clients that leave room for four bytes and fill them in later.
pub fn next_frame(
    buffer: &[u8],
    len_max: usize,
    version: Version,
) -> Result<Option<FrameHead>, ProtocolError> {
    if buffer.first().is_some_and(|first| first >> 4 == 0) {
        return Err(ProtocolError::new(Reason::ProtocolError, "packet type 0 is forbidden"));
    }
    let head = frame_head(buffer, len_max)?;
    match head {
        Some(head) if version == Version::V5 && head.is_padded() => {
            Err(ProtocolError::malformed("the remaining length is written in more bytes than it needs"))
        }
        head => Ok(head),
    }
}

impl FrameHead {
    /// Whether the remaining length is written in more bytes than it needs.
    fn is_padded(self) -> bool {
        self.head_len - 1 > remaining_length_len(self.len - self.head_len)
    }
}

/// Reads a variable byte integer and how many bytes it has; `None` if there is no good one. [MQTT5-1.5.5-1]
pub(super) fn read_variable(bytes: &[u8]) -> Option<(u32, usize)> {
    let mut value = 0;
    for (index, &byte) in bytes.iter().take(4).enumerate() {
        value |= u32::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let shortest = index == 0 || byte != 0;
            return shortest.then_some((value, index + 1));
        }
    }
    None
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
    fn a_padded_length_is_for_the_versions_that_do_not_forbid_it() {
        let padded = b"\x30\x85\x00\x00\x01aXX";
        assert!(next_frame(padded, 1000, Version::V311).unwrap().is_some());
        assert_eq!(next_frame(padded, 1000, Version::V5).unwrap_err().reason, Reason::MalformedPacket);
        assert!(next_frame(b"\x30\x80\x01", 1000, Version::V5).unwrap().is_some());
    }

    #[test]
    fn the_forbidden_type_is_refused_by_its_first_byte() {
        assert_eq!(next_frame(b"\x0a", 1000, Version::V311).unwrap_err().reason, Reason::ProtocolError);
        assert_eq!(next_frame(b"", 1000, Version::V311).unwrap(), None);
    }

    #[test]
    fn variable_byte_integers_have_the_length_foretold_and_are_read_back() {
        for value in [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455] {
            let mut out = BytesMut::new();
            write_remaining_length(&mut out, value as usize);
            assert_eq!(out.len(), remaining_length_len(value as usize), "{value}");
            assert_eq!(read_variable(&out), Some((value, out.len())));
        }
        for bad in [&b""[..], b"\x80", b"\x80\x00", b"\xff\xff\xff\xff\x01"] {
            assert_eq!(read_variable(bad), None, "{bad:?}");
        }
    }
}
