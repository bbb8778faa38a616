//! SUBSCRIBE and UNSUBSCRIBE, and what answers them.

use bytes::{BufMut, BytesMut};

use super::control::Control;
use super::frame::{remaining_length_len, write_remaining_length};
use super::properties::{Place, Properties, Property};
use super::reader::Reader;
use super::reasons::{put_reason_string, reason_string_len};
use super::{ProtocolError, QoS, Reason, Version};

/// A filter of SUBSCRIBE and its options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The filter as it came.
    pub filter: String,
    /// The highest quality of service wanted.
    pub qos: QoS,
    /// Not what this client publishes itself.
    pub no_local: bool,
    /// Keep the publisher's RETAIN flag.
    pub retain_as_published: bool,
    /// When retained messages are sent.
    pub retain_handling: RetainHandling,
}

/// When a subscription is sent the retained messages that match it (MQTT 5 §3.8.3.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum RetainHandling {
    /// Whenever it is made.
    #[default]
    Always = 0,
    /// If it was not there before.
    IfNew = 1,
    /// Never.
    Never = 2,
}

fn refused(detail: impl Into<String>) -> ProtocolError {
    ProtocolError::new(Reason::ProtocolError, detail)
}

pub(super) fn read_subscribe(body: &[u8], version: Version) -> Result<Control, ProtocolError> {
    let mut reader = Reader::new("SUBSCRIBE", body);
    let packet_id = reader.packet_id()?;
    let mut subscription_id = None;
    if version == Version::V5 {
        let mut properties = Properties::new(Place::Subscribe, reader.properties()?);
        while let Some((property, _)) = properties.next()? {
            if let Property::SubscriptionId(id) = property {
                subscription_id = Some(id);
            }
        }
    }
    if reader.is_empty() {
        return Err(refused("SUBSCRIBE has no filter")); // [MQTT-3.8.3-3, MQTT5-3.8.3-2]
    }
    let mut filters = Vec::new();
    while !reader.is_empty() {
        let filter = read_filter(&mut reader)?;
        let options = reader.byte("subscription options")?;
        filters.push(subscription(filter, options, version)?);
    }
    Ok(Control::Subscribe { packet_id, subscription_id, filters })
}

pub(super) fn read_unsubscribe(body: &[u8], version: Version) -> Result<Control, ProtocolError> {
    let mut reader = Reader::new("UNSUBSCRIBE", body);
    let packet_id = reader.packet_id()?;
    if version == Version::V5 {
        Properties::new(Place::Unsubscribe, reader.properties()?).check()?;
    }
    if reader.is_empty() {
        return Err(refused("UNSUBSCRIBE has no filter")); // [MQTT-3.10.3-2]
    }
    let mut filters = Vec::new();
    while !reader.is_empty() {
        filters.push(read_filter(&mut reader)?.to_owned());
    }
    Ok(Control::Unsubscribe { packet_id, filters })
}

/// A filter has a character at least. [MQTT-4.7.3-1]
fn read_filter<'a>(reader: &mut Reader<'a>) -> Result<&'a str, ProtocolError> {
    match reader.name("topic filter")? {
        "" => Err(ProtocolError::malformed("a topic filter is empty")),
        filter => Ok(filter),
    }
}

/// Reads subscription options (MQTT 5 §3.8.3.1). Before MQTT 5 they are a QoS, and 3.1 leaves the other bits unused.
fn subscription(filter: &str, options: u8, version: Version) -> Result<Subscription, ProtocolError> {
    let reserved = match version {
        Version::V31 => 0,
        Version::V311 => 0b1111_1100,
        Version::V5 => 0b1100_0000,
    };
    if options & reserved != 0 {
        // [MQTT-3.8.3-4, MQTT5-3.8.3-5]
        return Err(ProtocolError::malformed("reserved bits of subscription options are set"));
    }
    let qos = QoS::from_bits(options & 0b11).ok_or_else(|| refused("a subscription asks for QoS 3"))?;
    let mut subscription = Subscription {
        filter: filter.to_owned(),
        qos,
        no_local: false,
        retain_as_published: false,
        retain_handling: RetainHandling::Always,
    };
    if version != Version::V5 {
        return Ok(subscription);
    }
    subscription.no_local = options & 0b0100 != 0;
    subscription.retain_as_published = options & 0b1000 != 0;
    subscription.retain_handling = match options >> 4 {
        0 => RetainHandling::Always,
        1 => RetainHandling::IfNew,
        2 => RetainHandling::Never,
        _ => return Err(refused("a subscription asks for retain handling 3")),
    };
    if is_shared(filter)? && subscription.no_local {
        return Err(refused("no local is set on a shared subscription")); // [MQTT5-3.8.3-4]
    }
    Ok(subscription)
}

/// Whether a filter is that of a shared subscription; if so it has a share name and a filter. [MQTT5-4.8.2-1, MQTT5-4.8.2-2]
fn is_shared(filter: &str) -> Result<bool, ProtocolError> {
    let Some(shared) = filter.strip_prefix("$share/") else { return Ok(false) };
    match shared.split_once('/') {
        Some((group, topic)) if !group.is_empty() && !group.contains(['+', '#']) && !topic.is_empty() => {
            Ok(true)
        }
        _ => Err(refused("a shared subscription is not $share/name/filter")),
    }
}

/// Writes SUBACK: a code for each filter, in order. [MQTT-3.8.4-5]
pub fn encode_suback(out: &mut BytesMut, version: Version, packet_id: u16, codes: &[Reason]) {
    encode_suback_with(out, version, packet_id, codes, None);
}

/// As [`encode_suback`], with words for MQTT 5.
pub fn encode_suback_with(
    out: &mut BytesMut,
    version: Version,
    packet_id: u16,
    codes: &[Reason],
    reason_string: Option<&str>,
) {
    head(out, 0x90, version, packet_id, codes.len(), reason_string);
    for code in codes {
        // 3.1.1 knows one failure code. [MQTT-3.9.3-2]
        let byte = *code as u8;
        out.put_u8(if version != Version::V5 && byte > 2 { 0x80 } else { byte });
    }
}

/// Writes UNSUBACK; the codes go to MQTT 5 only.
pub fn encode_unsuback(out: &mut BytesMut, version: Version, packet_id: u16, codes: &[Reason]) {
    encode_unsuback_with(out, version, packet_id, codes, None);
}

/// As [`encode_unsuback`], with words for MQTT 5.
pub fn encode_unsuback_with(
    out: &mut BytesMut,
    version: Version,
    packet_id: u16,
    codes: &[Reason],
    reason_string: Option<&str>,
) {
    let codes = if version == Version::V5 { codes } else { &[] };
    head(out, 0xB0, version, packet_id, codes.len(), reason_string);
    out.extend(codes.iter().map(|code| *code as u8));
}

/// Everything before the codes.
fn head(
    out: &mut BytesMut,
    first: u8,
    version: Version,
    packet_id: u16,
    codes: usize,
    reason_string: Option<&str>,
) {
    out.put_u8(first);
    if version == Version::V5 {
        let properties = reason_string_len(reason_string);
        write_remaining_length(out, 2 + remaining_length_len(properties) + properties + codes);
        out.put_u16(packet_id);
        put_reason_string(out, reason_string);
    } else {
        write_remaining_length(out, 2 + codes);
        out.put_u16(packet_id);
    }
}
