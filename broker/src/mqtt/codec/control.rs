//! The packets that come a few times in a connection's life, through `rmqtt-codec`, as one type for all versions.

use bytes::{BufMut, Bytes, BytesMut};
use bytestring::ByteString;
use rmqtt_codec::error::DecodeError;
use rmqtt_codec::types::QoS as WireQoS;
use rmqtt_codec::v5::ToReasonCode;
use rmqtt_codec::{v3, v5};
use tokio_util::codec::{Decoder, Encoder};

use super::{ProtocolError, QoS, Reason, Version, write_remaining_length};

/// CONNECT.
#[derive(Debug, Clone)]
pub struct Connect {
    /// The version it asks for.
    pub version: Version,
    /// Empty where the server is to assign one.
    pub client_id: ByteString,
    /// Clean start, or clean session.
    pub clean_start: bool,
    /// Seconds; 0 for none.
    pub keep_alive_seconds: u16,
    /// The user name.
    pub username: Option<ByteString>,
    /// The password, which is binary.
    pub password: Option<Bytes>,
    /// What to publish when the connection ends badly.
    pub will: Option<Will>,
    /// How many QoS 1 and 2 publishes the client takes unacknowledged.
    pub receive_max: u16,
    /// The largest packet the client takes.
    pub packet_bytes_max: u32,
    /// Seconds that the session outlives the connection; `u32::MAX` for ever. Before MQTT 5: 0 for a clean session,
    /// `u32::MAX` for another.
    pub session_expiry_seconds: u32,
    /// How many topic aliases the client takes.
    pub topic_alias_max: u16,
    /// Whether CONNACK may carry response information.
    pub request_response_info: bool,
    /// Whether reason strings may be sent on packets other than CONNACK and DISCONNECT.
    pub request_problem_info: bool,
    /// The method of an enhanced authentication, where one is asked for.
    pub auth_method: Option<ByteString>,
    /// What the method starts with.
    pub auth_data: Option<Bytes>,
}

/// A will.
#[derive(Debug, Clone)]
pub struct Will {
    /// Its topic.
    pub topic: ByteString,
    /// Its payload.
    pub payload: Bytes,
    /// Its quality of service.
    pub qos: QoS,
    /// Whether it is to be retained.
    pub retain: bool,
    /// Seconds between the end of the connection and its publication.
    pub delay_seconds: u32,
    /// Its properties as they go into a PUBLISH.
    pub properties: Vec<u8>,
}

/// A filter of SUBSCRIBE and its options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The filter as it came.
    pub filter: ByteString,
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

/// The other packets of a client, but for PUBLISH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// AUTH.
    Auth {
        /// Success (0x00), continue (0x18) or re-authenticate (0x19).
        reason: u8,
        /// The method.
        method: Option<ByteString>,
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
        filters: Vec<ByteString>,
    },
}

/// Where the connect flags are behind the fixed header of MQTT 5: after the name `MQTT` and the level.
const FLAGS_AT: usize = 7;
const CLEAN_START: u8 = 0b10;

/// Reads CONNECT from a whole packet, of whichever version it names.
pub fn decode_connect(packet: &[u8], head_len: usize) -> Result<Connect, ProtocolError> {
    let version = version_of(&packet[head_len..])?;
    if version == Version::V5 {
        // The codec takes an empty client id with Clean Start only; MQTT 5 takes it always. [MQTT5-3.1.3-6]
        let mut clean = packet.to_vec();
        let flags =
            clean.get_mut(head_len + FLAGS_AT).map(|flags| std::mem::replace(flags, *flags | CLEAN_START));
        let clean_start = flags.is_some_and(|flags| flags & CLEAN_START != 0);
        match decode_v5(&clean)? {
            v5::Packet::Connect(connect) => Ok(Connect { clean_start, ..connect_v5(*connect) }),
            _ => Err(ProtocolError::new(Reason::ProtocolError, "the first packet is not CONNECT")),
        }
    } else {
        match decode_v3(packet)? {
            v3::Packet::Connect(connect) => Ok(connect_v3(*connect, version)),
            _ => Err(ProtocolError::new(Reason::ProtocolError, "the first packet is not CONNECT")),
        }
    }
}

/// The version that a CONNECT names, as far as it has arrived.
pub fn version_of_connect(packet: &[u8]) -> Option<Version> {
    let head_len = 2 + packet.get(1..5)?.iter().take_while(|byte| **byte & 0x80 != 0).count();
    version_of(packet.get(head_len..)?).ok()
}

fn version_of(body: &[u8]) -> Result<Version, ProtocolError> {
    let named = body.split_first_chunk::<2>().and_then(|(len, rest)| {
        let (name, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        Some((name, *rest.first()?))
    });
    let unknown = |what: String| Err(ProtocolError::new(Reason::UnsupportedProtocolVersion, what));
    match named {
        Some((b"MQIsdp", 3)) => Ok(Version::V31),
        Some((b"MQTT", 4)) => Ok(Version::V311),
        Some((b"MQTT", 5)) => Ok(Version::V5),
        Some((b"MQTT" | b"MQIsdp", level)) => unknown(format!("protocol level {level} is none of 3, 4, 5")),
        Some(_) => unknown("the protocol name is not MQTT".to_owned()),
        None => Err(ProtocolError::malformed("CONNECT ends before its protocol level")),
    }
}

/// Reads any other packet that a client may send after CONNECT, except PUBLISH and its acknowledgements.
pub fn decode_control(packet: &[u8], version: Version) -> Result<Control, ProtocolError> {
    let expected_flags = if packet[0] >> 4 == 8 || packet[0] >> 4 == 10 { 2 } else { 0 };
    if packet[0] & 0x0f != expected_flags {
        return Err(ProtocolError::malformed("the reserved flags of a fixed header are wrong")); // [MQTT-2.2.2-2]
    }
    if version == Version::V5 { control_v5(decode_v5(packet)?) } else { control_v3(decode_v3(packet)?) }
}

fn control_v3(packet: v3::Packet) -> Result<Control, ProtocolError> {
    match packet {
        v3::Packet::Subscribe { packet_id, topic_filters } => Ok(Control::Subscribe {
            packet_id: packet_id.get(),
            subscription_id: None,
            filters: topic_filters
                .into_iter()
                .map(|(filter, qos)| Subscription {
                    filter,
                    qos: qos_of(qos),
                    no_local: false,
                    retain_as_published: false,
                    retain_handling: RetainHandling::Always,
                })
                .collect(),
        }),
        v3::Packet::Unsubscribe { packet_id, topic_filters } => {
            Ok(Control::Unsubscribe { packet_id: packet_id.get(), filters: topic_filters })
        }
        v3::Packet::PingRequest => Ok(Control::PingRequest),
        v3::Packet::Disconnect => Ok(Control::Disconnect { with_will: false, session_expiry_seconds: None }),
        other => Err(unexpected(other.packet_type())),
    }
}

fn control_v5(packet: v5::Packet) -> Result<Control, ProtocolError> {
    match packet {
        v5::Packet::Subscribe(subscribe) => Ok(Control::Subscribe {
            packet_id: subscribe.packet_id.get(),
            subscription_id: subscribe.id.map(std::num::NonZeroU32::get),
            filters: subscribe
                .topic_filters
                .into_iter()
                .map(|(filter, options)| Subscription {
                    filter,
                    qos: qos_of(options.qos),
                    no_local: options.no_local,
                    retain_as_published: options.retain_as_published,
                    retain_handling: match options.retain_handling {
                        v5::RetainHandling::AtSubscribe => RetainHandling::Always,
                        v5::RetainHandling::AtSubscribeNew => RetainHandling::IfNew,
                        v5::RetainHandling::NoAtSubscribe => RetainHandling::Never,
                    },
                })
                .collect(),
        }),
        v5::Packet::Unsubscribe(unsubscribe) => Ok(Control::Unsubscribe {
            packet_id: unsubscribe.packet_id.get(),
            filters: unsubscribe.topic_filters,
        }),
        v5::Packet::PingRequest => Ok(Control::PingRequest),
        v5::Packet::Disconnect(disconnect) => Ok(Control::Disconnect {
            with_will: disconnect.reason_code == v5::DisconnectReasonCode::DisconnectWithWillMessage,
            session_expiry_seconds: disconnect.session_expiry_interval_secs,
        }),
        v5::Packet::Auth(auth) => Ok(Control::Auth {
            reason: auth.reason_code as u8,
            method: auth.auth_method,
            data: auth.auth_data,
        }),
        other => Err(unexpected(other.packet_type())),
    }
}

fn unexpected(packet_type: u8) -> ProtocolError {
    let detail = format!("a packet of type {} is not for a server in this state", packet_type >> 4);
    ProtocolError::new(Reason::ProtocolError, detail)
}

fn decode_v3(packet: &[u8]) -> Result<v3::Packet, ProtocolError> {
    let decoded = v3::Codec::new(0).decode(&mut BytesMut::from(packet));
    decoded.map_err(|error| refused(&error))?.map(|(packet, _)| packet).ok_or_else(cut_off)
}

fn decode_v5(packet: &[u8]) -> Result<v5::Packet, ProtocolError> {
    let decoded = v5::Codec::new(0, 0).decode(&mut BytesMut::from(packet));
    decoded.map_err(|error| refused(&error))?.map(|(packet, _)| packet).ok_or_else(cut_off)
}

fn cut_off() -> ProtocolError {
    ProtocolError::malformed("a packet ends before its length says")
}

fn refused(error: &DecodeError) -> ProtocolError {
    let reason = match error.to_reason_code() {
        v5::DisconnectReasonCode::ProtocolError => Reason::ProtocolError,
        v5::DisconnectReasonCode::TopicFilterInvalid => Reason::TopicFilterInvalid,
        v5::DisconnectReasonCode::TopicNameInvalid => Reason::TopicNameInvalid,
        _ => Reason::MalformedPacket,
    };
    let reason =
        if matches!(error, DecodeError::InvalidClientId) { Reason::ClientIdNotValid } else { reason };
    ProtocolError::new(reason, error.to_string().to_lowercase())
}

fn qos_of(qos: WireQoS) -> QoS {
    match qos {
        WireQoS::AtMostOnce => QoS::AtMostOnce,
        WireQoS::AtLeastOnce => QoS::AtLeastOnce,
        WireQoS::ExactlyOnce => QoS::ExactlyOnce,
    }
}

fn connect_v3(connect: v3::Connect, version: Version) -> Connect {
    Connect {
        version,
        client_id: connect.client_id,
        clean_start: connect.clean_session,
        keep_alive_seconds: connect.keep_alive,
        username: connect.username,
        password: connect.password,
        will: connect.last_will.map(|will| Will {
            topic: will.topic,
            payload: will.message,
            qos: qos_of(will.qos),
            retain: will.retain,
            delay_seconds: 0,
            properties: Vec::new(),
        }),
        receive_max: u16::MAX,
        packet_bytes_max: u32::MAX,
        session_expiry_seconds: if connect.clean_session { 0 } else { u32::MAX },
        topic_alias_max: 0,
        request_response_info: false,
        request_problem_info: false,
        auth_method: None,
        auth_data: None,
    }
}

fn connect_v5(connect: v5::Connect) -> Connect {
    Connect {
        version: Version::V5,
        client_id: connect.client_id,
        clean_start: connect.clean_start,
        keep_alive_seconds: connect.keep_alive,
        username: connect.username,
        password: connect.password,
        will: connect.last_will.map(|will| Will {
            delay_seconds: will.will_delay_interval_sec.unwrap_or(0),
            properties: will_properties(&will),
            topic: will.topic,
            payload: will.message,
            qos: qos_of(will.qos),
            retain: will.retain,
        }),
        receive_max: connect.receive_max.map_or(u16::MAX, std::num::NonZeroU16::get),
        packet_bytes_max: connect.max_packet_size.map_or(u32::MAX, std::num::NonZeroU32::get),
        session_expiry_seconds: connect.session_expiry_interval_secs,
        topic_alias_max: connect.topic_alias_max,
        request_response_info: connect.request_response_info,
        request_problem_info: connect.request_problem_info,
        auth_method: connect.auth_method,
        auth_data: connect.auth_data,
    }
}

fn will_properties(will: &v5::LastWill) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some(is_utf8) = will.is_utf8_payload {
        out.put_slice(&[0x01, u8::from(is_utf8)]);
    }
    if let Some(seconds) = will.message_expiry_interval {
        out.put_u8(0x02);
        out.put_u32(seconds.get());
    }
    let mut text = |id: u8, bytes: &[u8]| {
        out.put_u8(id);
        put_text(&mut out, bytes);
    };
    if let Some(content_type) = &will.content_type {
        text(0x03, content_type.as_bytes());
    }
    if let Some(topic) = &will.response_topic {
        text(0x08, topic.as_bytes());
    }
    if let Some(data) = &will.correlation_data {
        text(0x09, data);
    }
    for (name, value) in &will.user_properties {
        out.put_u8(0x26);
        put_text(&mut out, name.as_bytes());
        put_text(&mut out, value.as_bytes());
    }
    out
}

fn put_text(out: &mut Vec<u8>, bytes: &[u8]) {
    out.put_u16(u16::try_from(bytes.len()).unwrap_or(u16::MAX));
    out.put_slice(bytes);
}

/// What CONNACK tells besides the reason; all but the first go to MQTT 5 only.
#[derive(Debug, Clone, Default)]
pub struct ConnackOptions<'a> {
    /// Whether there is a session from before.
    pub session_present: bool,
    /// The session expiry in seconds, where it is not what the client asked for.
    pub session_expiry_seconds: Option<u32>,
    /// The prefix of topics for responses.
    pub response_info: Option<&'a str>,
    /// The method of an enhanced authentication that has succeeded, and its last data.
    pub auth: Option<(&'a str, &'a [u8])>,
    /// The client id that the server made.
    pub assigned_client_id: Option<&'a str>,
    /// Why it was refused, in words.
    pub reason_string: Option<&'a str>,
    /// The keep-alive that the server wants instead of the client's.
    pub server_keep_alive_seconds: Option<u16>,
    /// How many unacknowledged publishes the server takes.
    pub receive_max: u16,
    /// The largest packet the server takes.
    pub packet_bytes_max: u32,
    /// How many topic aliases the server takes.
    pub topic_alias_max: u16,
}

/// Writes CONNACK.
pub fn encode_connack(out: &mut BytesMut, version: Version, reason: Reason, options: &ConnackOptions<'_>) {
    if version != Version::V5 {
        // 3.1 has no session present, and a refusal says no. [MQTT-3.2.2-4]
        let present = options.session_present && reason == Reason::Success && version != Version::V31;
        out.put_slice(&[0x20, 2, u8::from(present), reason.connack_v3()]);
        return;
    }
    let mut properties = Vec::new();
    if reason == Reason::Success {
        if let Some(seconds) = options.session_expiry_seconds {
            properties.put_u8(0x11);
            properties.put_u32(seconds);
        }
        properties.put_u8(0x21);
        properties.put_u16(options.receive_max);
        properties.put_slice(&[0x24, 1]); // Maximum QoS
        properties.put_slice(&[0x25, 0]); // Retain Available
        properties.put_u8(0x27);
        properties.put_u32(options.packet_bytes_max);
        properties.put_u8(0x22);
        properties.put_u16(options.topic_alias_max);
        properties.put_slice(&[0x2A, 0]); // Shared Subscription Available
        if let Some(client_id) = options.assigned_client_id {
            properties.put_u8(0x12);
            put_text(&mut properties, client_id.as_bytes());
        }
        if let Some(seconds) = options.server_keep_alive_seconds {
            properties.put_u8(0x13);
            properties.put_u16(seconds);
        }
        if let Some(prefix) = options.response_info {
            properties.put_u8(0x1A);
            put_text(&mut properties, prefix.as_bytes());
        }
        if let Some((method, data)) = options.auth {
            properties.put_u8(0x15);
            put_text(&mut properties, method.as_bytes());
            properties.put_u8(0x16);
            put_text(&mut properties, data);
        }
    }
    if let Some(text) = options.reason_string {
        properties.put_u8(0x1F);
        put_text(&mut properties, text.as_bytes());
    }
    out.put_u8(0x20);
    let properties_len = super::remaining_length_len(properties.len());
    write_remaining_length(out, 2 + properties_len + properties.len());
    out.put_slice(&[u8::from(options.session_present && reason == Reason::Success), reason as u8]);
    write_remaining_length(out, properties.len());
    out.put_slice(&properties);
}

/// Writes DISCONNECT with a reason and its words; only MQTT 5 has one from the server.
pub fn encode_disconnect(out: &mut BytesMut, version: Version, reason: Reason, detail: &str) {
    if version != Version::V5 {
        return;
    }
    let code = v5::DisconnectReasonCode::try_from(reason as u8)
        .unwrap_or(v5::DisconnectReasonCode::UnspecifiedError);
    let packet = v5::Packet::Disconnect(v5::Disconnect {
        reason_code: code,
        session_expiry_interval_secs: None,
        server_reference: None,
        reason_string: Some(ByteString::from(detail)),
        user_properties: Vec::new(),
    });
    // It cannot fail: the packet is small and has nothing that needs an id.
    let _ = v5::Codec::new(0, 0).encode(packet, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(first: u8, body: &[u8]) -> Vec<u8> {
        let mut out = BytesMut::new();
        out.put_u8(first);
        write_remaining_length(&mut out, body.len());
        out.put_slice(body);
        out.to_vec()
    }

    #[test]
    fn connect_is_read_in_every_version() {
        let v31 = packet(0x10, b"\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x02c1");
        let v311 = packet(0x10, b"\x00\x04MQTT\x04\xc2\x00\x3c\x00\x02c1\x00\x01u\x00\x02\xff\x00");
        let v5 = packet(0x10, b"\x00\x04MQTT\x05\x02\x00\x3c\x03\x21\x00\x0a\x00\x02c1");
        assert_eq!(decode_connect(&v31, 2).unwrap().version, Version::V31);
        let connect = decode_connect(&v311, 2).unwrap();
        assert_eq!(connect.password.as_deref(), Some(&b"\xff\x00"[..]), "passwords are binary");
        let connect = decode_connect(&v5, 2).unwrap();
        assert_eq!((connect.client_id.as_ref(), connect.receive_max), ("c1", 10));
    }

    #[test]
    fn an_unknown_level_is_told_apart_from_a_malformed_packet() {
        let level = packet(0x10, b"\x00\x04MQTT\x06\x02\x00\x3c\x00\x00\x02c1");
        assert_eq!(decode_connect(&level, 2).unwrap_err().reason, Reason::UnsupportedProtocolVersion);
        let short = packet(0x10, b"\x00\x04MQ");
        assert_eq!(decode_connect(&short, 2).unwrap_err().reason, Reason::MalformedPacket);
    }

    #[test]
    fn subscribe_needs_its_flags_and_a_filter() {
        let good = packet(0x82, b"\x00\x07\x00\x03a/#\x01");
        let Control::Subscribe { packet_id, filters, .. } = decode_control(&good, Version::V311).unwrap()
        else {
            panic!("a SUBSCRIBE")
        };
        assert_eq!((packet_id, filters[0].filter.as_ref(), filters[0].qos), (7, "a/#", QoS::AtLeastOnce));
        assert!(decode_control(&packet(0x80, b"\x00\x07\x00\x03a/#\x01"), Version::V311).is_err());
        assert!(decode_control(&packet(0x82, b"\x00\x07"), Version::V311).is_err());
    }
}
