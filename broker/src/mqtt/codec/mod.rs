//! MQTT packets, read strictly and in place, and written (docs/adr/0002-codec.md).

mod ack;
mod along;
mod connack;
mod connect;
mod control;
mod disconnect;
mod frame;
mod properties;
mod publish;
mod reader;
mod reason;
mod reasons;
mod subscribe;
mod text;

pub use ack::{Ack, encode_ack, encode_ack_with, encode_pingresp, parse_ack};
pub use along::{AlongError, encode_along};
pub use connack::{ConnackOptions, encode_connack, encode_connack_within};
pub use connect::{Connect, Will, decode_connect, version_of_connect};
pub use control::{Control, decode_control};
pub use disconnect::{encode_auth, encode_disconnect, encode_disconnect_within};
pub use frame::{FrameHead, frame_head, next_frame, remaining_length_len, write_remaining_length};
pub(crate) use publish::without_alias;
pub use publish::{OutboundPublish, PublishView, encode_publish, message_expiry, parse_publish, publish_len};
pub use reason::Reason;
pub use subscribe::{RetainHandling, Subscription};
pub use subscribe::{encode_suback, encode_suback_with, encode_unsuback, encode_unsuback_with};
pub use text::check_name;

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

#[cfg(test)]
mod tests;
