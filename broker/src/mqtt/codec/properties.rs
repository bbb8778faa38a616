//! The properties of MQTT 5 (§2.2.2): which belong where, what they are made of, and which values they may have.

use super::frame::read_variable;
use super::text::check_text;
use super::{ProtocolError, Reason};

pub(super) const PAYLOAD_FORMAT: u8 = 0x01;
pub(super) const MESSAGE_EXPIRY: u8 = 0x02;
pub(super) const CONTENT_TYPE: u8 = 0x03;
pub(super) const RESPONSE_TOPIC: u8 = 0x08;
pub(super) const CORRELATION_DATA: u8 = 0x09;
pub(super) const SUBSCRIPTION_ID: u8 = 0x0B;
pub(super) const SESSION_EXPIRY: u8 = 0x11;
pub(super) const AUTH_METHOD: u8 = 0x15;
pub(super) const AUTH_DATA: u8 = 0x16;
const REQUEST_PROBLEM_INFO: u8 = 0x17;
pub(super) const WILL_DELAY: u8 = 0x18;
const REQUEST_RESPONSE_INFO: u8 = 0x19;
const SERVER_REFERENCE: u8 = 0x1C;
pub(super) const REASON_STRING: u8 = 0x1F;
pub(super) const RECEIVE_MAX: u8 = 0x21;
pub(super) const TOPIC_ALIAS_MAX: u8 = 0x22;
pub(super) const TOPIC_ALIAS: u8 = 0x23;
pub(super) const USER_PROPERTY: u8 = 0x26;
pub(super) const PACKET_BYTES_MAX: u8 = 0x27;

/// Where properties of a client stand. The number is the packet type; a will has that of no packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Will = 0,
    Connect = 1,
    Publish = 3,
    /// PUBACK, PUBREC, PUBREL and PUBCOMP, which have the same.
    Ack = 4,
    Subscribe = 8,
    Unsubscribe = 10,
    Disconnect = 14,
    Auth = 15,
}

impl Place {
    const fn bit(self) -> u16 {
        1 << self as u16
    }

    const fn name(self) -> &'static str {
        match self {
            Place::Will => "a will",
            Place::Connect => "CONNECT",
            Place::Publish => "PUBLISH",
            Place::Ack => "an acknowledgement",
            Place::Subscribe => "SUBSCRIBE",
            Place::Unsubscribe => "UNSUBSCRIBE",
            Place::Disconnect => "DISCONNECT",
            Place::Auth => "AUTH",
        }
    }
}

/// What a property's value is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Byte,
    Two,
    Four,
    Variable,
    Text,
    Pair,
    Binary,
}

/// The table of MQTT 5 §2.2.2.2, as far as a client may send them: what the value is, and where the property may be.
const fn table(id: u8) -> Option<(Kind, u16)> {
    const MESSAGE: u16 = Place::Publish.bit() | Place::Will.bit();
    const AUTHENTICATION: u16 = Place::Connect.bit() | Place::Auth.bit();
    const CONNECT: u16 = Place::Connect.bit();
    const DISCONNECT: u16 = Place::Disconnect.bit();
    Some(match id {
        PAYLOAD_FORMAT => (Kind::Byte, MESSAGE),
        MESSAGE_EXPIRY => (Kind::Four, MESSAGE),
        CONTENT_TYPE | RESPONSE_TOPIC => (Kind::Text, MESSAGE),
        CORRELATION_DATA => (Kind::Binary, MESSAGE),
        SUBSCRIPTION_ID => (Kind::Variable, Place::Subscribe.bit() | Place::Publish.bit()),
        SESSION_EXPIRY => (Kind::Four, CONNECT | DISCONNECT),
        AUTH_METHOD => (Kind::Text, AUTHENTICATION),
        AUTH_DATA => (Kind::Binary, AUTHENTICATION),
        REQUEST_PROBLEM_INFO | REQUEST_RESPONSE_INFO => (Kind::Byte, CONNECT),
        WILL_DELAY => (Kind::Four, Place::Will.bit()),
        SERVER_REFERENCE => (Kind::Text, DISCONNECT),
        REASON_STRING => (Kind::Text, Place::Ack.bit() | DISCONNECT | Place::Auth.bit()),
        RECEIVE_MAX | TOPIC_ALIAS_MAX => (Kind::Two, CONNECT),
        TOPIC_ALIAS => (Kind::Two, Place::Publish.bit()),
        USER_PROPERTY => (Kind::Pair, u16::MAX),
        PACKET_BYTES_MAX => (Kind::Four, CONNECT),
        _ => return None,
    })
}

/// A property that somebody here acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Property<'a> {
    AuthData(&'a [u8]),
    AuthMethod(&'a str),
    PacketBytesMax(u32),
    ReceiveMax(u16),
    RequestProblemInfo(bool),
    RequestResponseInfo(bool),
    SessionExpiry(u32),
    SubscriptionId(u32),
    TopicAlias(u16),
    TopicAliasMax(u16),
    WillDelay(u32),
    /// One that is checked, and passed on or left alone.
    Other,
}

/// A property as it lies in a packet.
#[derive(Debug, Clone, Copy)]
struct Raw<'a> {
    id: u8,
    kind: Kind,
    value: &'a [u8],
    /// With its identifier.
    whole: &'a [u8],
}

/// Cuts the first property off; it is malformed if it is unknown or ends too early.
fn split(bytes: &[u8]) -> Result<Option<(Raw<'_>, &[u8])>, ProtocolError> {
    let Some((&id, after)) = bytes.split_first() else { return Ok(None) };
    let short = || ProtocolError::malformed(format!("property {id:#04x} ends too early"));
    let text = |at: usize| {
        let len = after.get(at..at + 2).ok_or_else(short)?;
        Ok(2 + usize::from(u16::from_be_bytes([len[0], len[1]])))
    };
    let Some((kind, _)) = table(id) else {
        let detail = format!("property {id:#04x} is none that a client may send");
        return Err(ProtocolError::malformed(detail));
    };
    let len = match kind {
        Kind::Byte => 1,
        Kind::Two => 2,
        Kind::Four => 4,
        Kind::Variable => read_variable(after).ok_or_else(short)?.1,
        Kind::Text | Kind::Binary => text(0)?,
        Kind::Pair => {
            let name = text(0)?;
            name + text(name)?
        }
    };
    let (value, rest) = after.split_at_checked(len).ok_or_else(short)?;
    Ok(Some((Raw { id, kind, value, whole: &bytes[..=len] }, rest)))
}

/// The properties of a packet, each checked as it is reached.
pub(super) struct Properties<'a> {
    place: Place,
    rest: &'a [u8],
    /// A bit for each identifier that was there; they are all below 64.
    seen: u64,
}

impl<'a> Properties<'a> {
    pub(super) fn new(place: Place, bytes: &'a [u8]) -> Properties<'a> {
        Properties { place, rest: bytes, seen: 0 }
    }

    /// The next property, and its bytes with the identifier.
    pub(super) fn next(&mut self) -> Result<Option<(Property<'a>, &'a [u8])>, ProtocolError> {
        let Some((raw, rest)) = split(self.rest)? else { return Ok(None) };
        self.rest = rest;
        let Raw { id, kind, whole, .. } = raw;
        let at_home = table(id).is_some_and(|(_, places)| places & self.place.bit() != 0);
        if !at_home {
            let detail = format!("property {id:#04x} does not belong to {}", self.place.name());
            return Err(ProtocolError::malformed(detail));
        }
        if self.place == Place::Publish && id == SUBSCRIPTION_ID {
            // [MQTT5-3.3.4-6]
            return Err(refused("a client's PUBLISH carries a subscription identifier"));
        }
        if kind != Kind::Pair && self.seen & 1 << id != 0 {
            return Err(refused(format!("property {id:#04x} is there twice")));
        }
        self.seen |= 1 << id;
        Ok(Some((read(raw)?, whole)))
    }

    /// Checks them all, for nobody acts on any.
    pub(super) fn check(mut self) -> Result<(), ProtocolError> {
        while self.next()?.is_some() {}
        Ok(())
    }
}

fn refused(detail: impl Into<String>) -> ProtocolError {
    ProtocolError::new(Reason::ProtocolError, detail)
}

/// Reads and checks a value. The slices are as long as their kind says: `split` saw to it.
fn read(raw: Raw<'_>) -> Result<Property<'_>, ProtocolError> {
    let Raw { id, kind, value, .. } = raw;
    let what = || format!("property {id:#04x}");
    let text = |bytes| check_text(bytes, "").or_else(|_| check_text(bytes, &what()));
    Ok(match kind {
        Kind::Byte => byte(id, value[0])?,
        Kind::Two => two(id, u16::from_be_bytes([value[0], value[1]]))?,
        Kind::Four => four(id, u32::from_be_bytes([value[0], value[1], value[2], value[3]]))?,
        Kind::Variable => match read_variable(value) {
            None | Some((0, _)) => return Err(refused("subscription identifier 0")),
            Some((value, _)) => Property::SubscriptionId(value),
        },
        Kind::Binary if id == AUTH_DATA => Property::AuthData(&value[2..]),
        Kind::Binary => Property::Other,
        Kind::Text => {
            let value = text(&value[2..])?;
            if id == AUTH_METHOD {
                return Ok(Property::AuthMethod(value));
            }
            if id == RESPONSE_TOPIC && value.contains(['+', '#']) {
                return Err(refused("the response topic has a wildcard")); // [MQTT5-3.3.2-14]
            }
            Property::Other
        }
        Kind::Pair => {
            let name = usize::from(u16::from_be_bytes([value[0], value[1]]));
            text(&value[2..2 + name])?;
            text(&value[4 + name..])?;
            Property::Other
        }
    })
}

fn byte(id: u8, value: u8) -> Result<Property<'static>, ProtocolError> {
    if value > 1 {
        return Err(refused(format!("property {id:#04x} is neither 0 nor 1")));
    }
    Ok(match id {
        REQUEST_PROBLEM_INFO => Property::RequestProblemInfo(value == 1),
        REQUEST_RESPONSE_INFO => Property::RequestResponseInfo(value == 1),
        _ => Property::Other,
    })
}

fn two(id: u8, value: u16) -> Result<Property<'static>, ProtocolError> {
    match (id, value) {
        (RECEIVE_MAX, 0) => Err(refused("a receive maximum of 0")),
        (RECEIVE_MAX, value) => Ok(Property::ReceiveMax(value)),
        // [MQTT5-3.3.2-8]
        (TOPIC_ALIAS, 0) => Err(ProtocolError::new(Reason::TopicAliasInvalid, "topic alias 0")),
        (TOPIC_ALIAS, value) => Ok(Property::TopicAlias(value)),
        (_, value) => Ok(Property::TopicAliasMax(value)),
    }
}

fn four(id: u8, value: u32) -> Result<Property<'static>, ProtocolError> {
    match (id, value) {
        (PACKET_BYTES_MAX, 0) => Err(refused("a maximum packet size of 0")),
        (PACKET_BYTES_MAX, value) => Ok(Property::PacketBytesMax(value)),
        (SESSION_EXPIRY, value) => Ok(Property::SessionExpiry(value)),
        (WILL_DELAY, value) => Ok(Property::WillDelay(value)),
        _ => Ok(Property::Other),
    }
}

/// Properties that were checked before: each identifier with all of its bytes.
pub(super) fn checked(properties: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = properties;
    std::iter::from_fn(move || {
        let (raw, after) = split(rest).ok()??;
        rest = after;
        Some((raw.id, raw.whole))
    })
}
