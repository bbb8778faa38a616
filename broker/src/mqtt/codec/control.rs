//! What a client sends besides CONNECT, PUBLISH and acknowledgements, as one type for all versions.

use bytes::Bytes;

use super::frame::next_frame;
use super::reader::Reader;
use super::{ProtocolError, Reason, Subscription, Version, disconnect, subscribe};

/// The other packets of a client, but for PUBLISH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// AUTH.
    Auth {
        /// Continue (0x18) or re-authenticate (0x19); success is for a server to say.
        reason: u8,
        /// The method; there always is one.
        method: Option<String>,
        /// What the method says.
        data: Option<Bytes>,
    },
    /// DISCONNECT with its reason.
    Disconnect {
        /// Whether the will is to be published all the same.
        with_will: bool,
        /// Another session expiry than that of CONNECT, in seconds.
        session_expiry_seconds: Option<u32>,
    },
    /// PINGREQ.
    PingRequest,
    /// SUBSCRIBE.
    Subscribe {
        /// Its packet id.
        packet_id: u16,
        /// The identifier of all its filters.
        subscription_id: Option<u32>,
        /// Its filters.
        filters: Vec<Subscription>,
    },
    /// UNSUBSCRIBE.
    Unsubscribe {
        /// Its packet id.
        packet_id: u16,
        /// Its filters.
        filters: Vec<String>,
    },
}

const SUBSCRIBE: u8 = 8;
const SUBACK: u8 = 9;
const UNSUBSCRIBE: u8 = 10;
const UNSUBACK: u8 = 11;
const PINGREQ: u8 = 12;
const DISCONNECT: u8 = 14;
const AUTH: u8 = 15;

/// Reads any other whole packet that a client may send after CONNECT, except PUBLISH and its acknowledgements.
pub fn decode_control(packet: &[u8], version: Version) -> Result<Control, ProtocolError> {
    let head = next_frame(packet, usize::MAX, version)?
        .filter(|head| head.len == packet.len())
        .ok_or_else(|| ProtocolError::malformed("a packet ends before its length says"))?;
    let packet_type = head.first >> 4;
    let expected_flags = match packet_type {
        SUBSCRIBE | UNSUBSCRIBE => 0b0010,
        // Two things are wrong with these at once, and interoperability suites ask for this one.
        SUBACK | UNSUBACK if head.first & 0x0f != 0 => 0,
        PINGREQ | DISCONNECT => 0,
        AUTH if version == Version::V5 => 0,
        _ => return Err(unexpected(head.first)),
    };
    check_flags(head.first, expected_flags, version)?;
    let body = &packet[head.head_len..];
    match packet_type {
        SUBSCRIBE => subscribe::read_subscribe(body, version),
        UNSUBSCRIBE => subscribe::read_unsubscribe(body, version),
        DISCONNECT => disconnect::read_disconnect(body, version),
        AUTH => disconnect::read_auth(body),
        PINGREQ => Reader::new("PINGREQ", body).finish().map(|()| Control::PingRequest),
        _ => Err(unexpected(head.first)),
    }
}

/// Checks the reserved flags of a fixed header. [MQTT-2.2.2-2, MQTT5-2.1.3-1]
///
/// MQTT 3.1 gives DUP a meaning where the QoS is 1, and does not use the others.
pub(super) fn check_flags(first: u8, expected: u8, version: Version) -> Result<(), ProtocolError> {
    let good = match version {
        Version::V31 => expected == 0 || first & 0b0110 == expected,
        Version::V311 | Version::V5 => first & 0x0f == expected,
    };
    if good {
        Ok(())
    } else {
        Err(ProtocolError::malformed("the reserved flags of a fixed header are wrong"))
    }
}

/// A packet that only a server sends, or that its version does not have.
pub(super) fn unexpected(first: u8) -> ProtocolError {
    let detail = format!("a packet of type {} is not for a server in this state", first >> 4);
    ProtocolError::new(Reason::ProtocolError, detail)
}
