//! The envelope: everything one read of a connection published, as one run of bytes.
//!
//! An envelope is what the spine carries and what the log keeps, so its layout is part of the
//! format on disk. Its messages are stored as the frames that a subscriber of MQTT 3.1.1 at QoS 0
//! gets, back to back: delivering a run of messages to such a subscriber is copying one slice.
//!
//! ```text
//! frames      PUBLISH packets of MQTT 3.1.1 at QoS 0, back to back
//! properties  MQTT 5 properties of the messages that have any, as they came
//! identity    client id, then user name
//! metas       24 bytes a message: frame at, frame length, properties at, properties length (u32 each),
//!             topic length (u16), length of the fixed header (u8), flags (u8), 4 bytes unused
//! footer      56 bytes, see `Footer`
//! ```
//! All integers outside the frames are little-endian.

mod builder;
mod message;
mod single;

use bytes::{Bytes, BytesMut};
use pointsman_rules::EventId;

use super::codec::QoS;

pub use builder::{BuilderMark, EnvelopeBuilder};
pub use message::Message;

const META_BYTES: usize = 24;
const FOOTER_BYTES: usize = 56;
const FORMAT_VERSION: u8 = 1;
const NO_USER: u16 = u16::MAX;
/// Where in the footer it says which of its record's messages the first one is.
const LOG_INDEX_AT: usize = 52;

const FLAG_QOS: u8 = 0b0000_0011;
const FLAG_RETAIN: u8 = 0b0000_0100;
const FLAG_DURABLE: u8 = 0b0000_1000;
const FLAG_RULES: u8 = 0b0001_0000;
const FLAG_EXPIRES: u8 = 0b0010_0000;

/// What some message of an envelope is, in the footer beside the interest.
const SOME_RETAINED: u8 = 0b0100;
const SOME_EXPIRES: u8 = 0b1000;

/// The connection id of what the server itself publishes.
pub const SERVER: u64 = 0;

/// Who wants a message besides the sessions; decided once, where it enters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Interest {
    /// A durable rule or session wants it: it must be on disk before it is acknowledged (at QoS 1 and 2).
    pub durable: bool,
    /// Some rule wants it.
    pub rules: bool,
}

/// How one message was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// The quality of service of the publisher.
    pub qos: QoS,
    /// The RETAIN flag of the publisher.
    pub retain: bool,
    /// Who wants it.
    pub interest: Interest,
}

/// Who published the messages of an envelope, and when.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The connection, or [`SERVER`].
    pub publisher: u64,
    /// The publisher's client id.
    pub client_id: &'a str,
    /// The authenticated user, if any.
    pub user: Option<&'a str>,
    /// How many rules the messages went through before.
    pub hops: u8,
    /// Id of the first message; the others count up from it.
    pub first_id: EventId,
}

#[derive(Debug, Clone, Copy)]
struct Meta {
    frame_at: u32,
    frame_len: u32,
    properties_at: u32,
    properties_len: u32,
    topic_len: u16,
    fixed_len: u8,
    flags: u8,
}

/// A sealed envelope. Cloning counts a reference.
#[derive(Debug, Clone)]
pub struct Envelope {
    bytes: Bytes,
}

/// Bytes that are no envelope.
#[derive(Debug, thiserror::Error)]
#[error("not an envelope: {0}")]
pub struct NotAnEnvelope(&'static str);

impl Envelope {
    /// Takes bytes that [`Envelope::bytes`] gave, checking every offset once so that no later access can fail.
    pub fn from_bytes(bytes: Bytes) -> Result<Envelope, NotAnEnvelope> {
        let envelope = Envelope { bytes };
        if envelope.bytes.len() < FOOTER_BYTES {
            return Err(NotAnEnvelope("shorter than a footer"));
        }
        if envelope.footer_u8(50) != FORMAT_VERSION {
            return Err(NotAnEnvelope("unknown format version"));
        }
        let end = envelope.bytes.len() - FOOTER_BYTES;
        if envelope.metas_at().checked_add(envelope.len() * META_BYTES) != Some(end) {
            return Err(NotAnEnvelope("its index does not end at its footer"));
        }
        let client_end = envelope.client_at() + envelope.client_len() + envelope.user_len().unwrap_or(0);
        if client_end > envelope.metas_at() {
            return Err(NotAnEnvelope("its identity reaches into its index"));
        }
        for index in 0..envelope.len() {
            let meta = envelope.meta(index);
            let frame_end = meta.frame_at as usize + meta.frame_len as usize;
            let properties_end = meta.properties_at as usize + meta.properties_len as usize;
            let head = usize::from(meta.fixed_len) + 2 + usize::from(meta.topic_len);
            if frame_end > end || properties_end > end || head > meta.frame_len as usize {
                return Err(NotAnEnvelope("a message reaches beyond it"));
            }
        }
        Ok(envelope)
    }

    /// The whole envelope, as the spine and the log carry it.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Whether both are the same bytes in memory.
    pub fn is_same(&self, other: &Envelope) -> bool {
        std::ptr::eq(self.bytes.as_ref(), other.bytes.as_ref())
    }

    /// Notes where in the log this envelope is. Copies it only if somebody else holds it already.
    pub fn set_log_seq(&mut self, seq: u64) {
        let at = self.bytes.len() - FOOTER_BYTES;
        let mut bytes = std::mem::take(&mut self.bytes)
            .try_into_mut()
            .unwrap_or_else(|shared| BytesMut::from(shared.as_ref()));
        bytes[at..at + 8].copy_from_slice(&seq.to_le_bytes());
        self.bytes = bytes.freeze();
    }

    /// Where in the log it is, if it is there.
    pub fn log_seq(&self) -> Option<u64> {
        Some(self.footer_u64(0)).filter(|seq| *seq != 0)
    }

    /// Which of its record's messages the one at `index` is: another one where it was cut out of a larger envelope.
    pub fn log_index(&self, index: usize) -> u32 {
        self.footer_u32(LOG_INDEX_AT).saturating_add(u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// The connection that published it, or [`SERVER`].
    pub fn publisher(&self) -> u64 {
        self.footer_u64(8)
    }

    /// Id of the message at `index`.
    pub fn id(&self, index: usize) -> EventId {
        let at = self.bytes.len() - FOOTER_BYTES + 16;
        let first = u128::from_le_bytes(self.bytes[at..at + 16].try_into().expect("sixteen bytes"));
        EventId::from_u128(first.wrapping_add(index as u128))
    }

    /// How many messages it holds.
    #[expect(clippy::len_without_is_empty, reason = "an envelope is sealed only when it holds something")]
    pub fn len(&self) -> usize {
        self.footer_u32(36) as usize
    }

    /// What its messages together need.
    pub fn interest(&self) -> Interest {
        let flags = self.footer_u8(48);
        Interest { durable: flags & 1 != 0, rules: flags & 2 != 0 }
    }

    /// Whether some message of it is to be retained.
    pub fn has_retained(&self) -> bool {
        self.footer_u8(48) & SOME_RETAINED != 0
    }

    /// Whether some message of it expires.
    pub fn has_expiring(&self) -> bool {
        self.footer_u8(48) & SOME_EXPIRES != 0
    }

    /// How many rules its messages went through.
    pub fn hops(&self) -> u8 {
        self.footer_u8(49)
    }

    /// The publisher's client id; empty if the server published it.
    pub fn client_id(&self) -> &str {
        let at = self.client_at();
        std::str::from_utf8(&self.bytes[at..at + self.client_len()]).unwrap_or_default()
    }

    /// The publisher's authenticated user.
    pub fn user(&self) -> Option<&str> {
        let at = self.client_at() + self.client_len();
        let len = self.user_len()?;
        std::str::from_utf8(&self.bytes[at..at + len]).ok()
    }

    /// The message at `index`, which is below [`Envelope::len`].
    pub fn message(&self, index: usize) -> Message<'_> {
        let meta = self.meta(index);
        let frame = &self.bytes[meta.frame_at as usize..(meta.frame_at + meta.frame_len) as usize];
        Message { envelope: self, meta, frame }
    }

    /// The frames of `count` messages from `first` on: what an MQTT 3.1.1 subscriber gets at QoS 0.
    pub fn frames(&self, first: usize, count: usize) -> &[u8] {
        let (from, to) = self.frames_range(first, count);
        &self.bytes[from..to]
    }

    /// Bytes of [`Envelope::frames`].
    pub fn frames_len(&self, first: usize, count: usize) -> usize {
        let (from, to) = self.frames_range(first, count);
        to - from
    }

    fn frames_range(&self, first: usize, count: usize) -> (usize, usize) {
        let from = self.meta(first).frame_at as usize;
        let last = self.meta(first + count - 1);
        (from, (last.frame_at + last.frame_len) as usize)
    }

    fn meta(&self, index: usize) -> Meta {
        let at = self.metas_at() + index * META_BYTES;
        let raw: &[u8; META_BYTES] = self.bytes[at..at + META_BYTES].try_into().expect("a meta's bytes");
        let u32_at = |at: usize| u32::from_le_bytes([raw[at], raw[at + 1], raw[at + 2], raw[at + 3]]);
        Meta {
            frame_at: u32_at(0),
            frame_len: u32_at(4),
            properties_at: u32_at(8),
            properties_len: u32_at(12),
            topic_len: u16::from_le_bytes([raw[16], raw[17]]),
            fixed_len: raw[18],
            flags: raw[19],
        }
    }

    fn metas_at(&self) -> usize {
        self.footer_u32(32) as usize
    }

    fn client_at(&self) -> usize {
        self.footer_u32(40) as usize
    }

    fn client_len(&self) -> usize {
        usize::from(self.footer_u16(44))
    }

    fn user_len(&self) -> Option<usize> {
        Some(self.footer_u16(46)).filter(|len| *len != NO_USER).map(usize::from)
    }

    fn footer_u8(&self, at: usize) -> u8 {
        self.bytes[self.bytes.len() - FOOTER_BYTES + at]
    }

    fn footer_u16(&self, at: usize) -> u16 {
        let at = self.bytes.len() - FOOTER_BYTES + at;
        u16::from_le_bytes(self.bytes[at..at + 2].try_into().expect("two bytes"))
    }

    fn footer_u32(&self, at: usize) -> u32 {
        let at = self.bytes.len() - FOOTER_BYTES + at;
        u32::from_le_bytes(self.bytes[at..at + 4].try_into().expect("four bytes"))
    }

    fn footer_u64(&self, at: usize) -> u64 {
        let at = self.bytes.len() - FOOTER_BYTES + at;
        u64::from_le_bytes(self.bytes[at..at + 8].try_into().expect("eight bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Envelope {
        let mut builder = EnvelopeBuilder::default();
        let plain = Marks { qos: QoS::AtMostOnce, retain: false, interest: Interest::default() };
        let durable =
            Marks { qos: QoS::AtLeastOnce, retain: true, interest: Interest { durable: true, rules: true } };
        builder.push("a/b", b"one", b"", plain);
        builder.push("日本/語", b"two", b"\x01\x01", durable);
        builder.push("c", &[7; 300], b"", plain);
        builder.seal(&Origin {
            publisher: 9,
            client_id: "c1",
            user: Some("ann"),
            hops: 2,
            first_id: EventId::from_u128(41),
        })
    }

    #[test]
    fn what_goes_in_comes_out() {
        let mut envelope = sample();
        envelope.set_log_seq(77);
        let envelope = Envelope::from_bytes(envelope.bytes().clone()).unwrap();
        assert_eq!(envelope.len(), 3);
        assert_eq!(envelope.log_seq(), Some(77));
        assert_eq!((envelope.client_id(), envelope.user(), envelope.hops()), ("c1", Some("ann"), 2));
        assert_eq!(envelope.publisher(), 9);
        assert_eq!(envelope.id(2), EventId::from_u128(43));
        assert!(envelope.interest().durable && envelope.interest().rules);
        let two = envelope.message(1);
        assert_eq!(
            (two.topic(), two.payload(), two.properties()),
            ("日本/語", &b"two"[..], &b"\x01\x01"[..])
        );
        assert!(two.marks().retain && two.marks().interest.durable);
        assert_eq!(envelope.message(2).payload(), &[7; 300]);
        assert!(!envelope.message(0).marks().retain);
    }

    #[test]
    fn frames_are_mqtt_packets_back_to_back() {
        let envelope = sample();
        assert_eq!(envelope.frames(0, 1), b"\x30\x08\x00\x03a/bone");
        assert_eq!(
            envelope.frames_len(0, 3),
            envelope.frames_len(0, 1) + envelope.frames_len(1, 1) + envelope.frames_len(2, 1)
        );
    }

    #[test]
    fn damaged_bytes_are_refused_and_never_panic() {
        let good = sample().bytes().clone();
        for cut in 0..good.len() {
            let _ = Envelope::from_bytes(good.slice(..cut));
            let _ = Envelope::from_bytes(good.slice(cut..));
        }
        let footer = good.len() - FOOTER_BYTES - 3 * META_BYTES;
        for at in footer..good.len() {
            let mut bad = good.to_vec();
            bad[at] ^= 0x5a;
            if let Ok(envelope) = Envelope::from_bytes(Bytes::from(bad)) {
                for index in 0..envelope.len() {
                    let message = envelope.message(index);
                    let _ = (message.topic(), message.payload(), message.properties(), envelope.client_id());
                }
            }
        }
    }
}
