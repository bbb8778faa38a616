//! CONNECT, in every version.

use bytes::Bytes;

use super::control::check_flags;
use super::frame::next_frame;
use super::properties::{Place, Properties, Property};
use super::reader::Reader;
use super::{ProtocolError, QoS, Reason, Version};

/// CONNECT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connect {
    /// The version it asks for.
    pub version: Version,
    /// Empty where the server is to assign one.
    pub client_id: String,
    /// Clean start, or clean session.
    pub clean_start: bool,
    /// Seconds; 0 for none.
    pub keep_alive_seconds: u16,
    /// The user name.
    pub username: Option<String>,
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
    pub auth_method: Option<String>,
    /// What the method starts with.
    pub auth_data: Option<Bytes>,
}

/// A will.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Will {
    /// Its topic.
    pub topic: String,
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

const CONNECT: u8 = 1;

/// Reads CONNECT from a whole packet, of whichever version it names.
pub fn decode_connect(packet: &[u8], head_len: usize) -> Result<Connect, ProtocolError> {
    let first = packet.first().copied().unwrap_or_default();
    if first >> 4 != CONNECT {
        // [MQTT-3.1.0-1]
        return Err(ProtocolError::new(Reason::ProtocolError, "the first packet is not CONNECT"));
    }
    let body = packet.get(head_len..).unwrap_or_default();
    let version = version_of(body)?;
    check_flags(first, 0, version)?;
    // Now that the version is known, the length is looked at again as it asks.
    if next_frame(packet, usize::MAX, version)?.is_none_or(|head| head.len != packet.len()) {
        return Err(ProtocolError::malformed("CONNECT ends before its length says"));
    }
    read_connect(body, version)
}

/// The version that a CONNECT names, as far as it has arrived.
pub fn version_of_connect(packet: &[u8]) -> Option<Version> {
    let head_len = 2 + packet.get(1..5)?.iter().take_while(|byte| **byte & 0x80 != 0).count();
    version_of(packet.get(head_len..)?).ok()
}

/// An unknown level is answered so that the client may try another; what is not called MQTT is not answered.
/// [MQTT-3.1.2-1, MQTT-3.1.2-2]
fn version_of(body: &[u8]) -> Result<Version, ProtocolError> {
    let mut reader = Reader::new("CONNECT", body);
    let name = reader.binary("protocol name")?;
    let level = reader.byte("protocol level")?;
    match (name, level) {
        (b"MQIsdp", 3) => Ok(Version::V31),
        (b"MQTT", 4) => Ok(Version::V311),
        (b"MQTT", 5) => Ok(Version::V5),
        (b"MQTT" | b"MQIsdp", level) => {
            let detail = format!("protocol level {level} is none of 3, 4, 5");
            Err(ProtocolError::new(Reason::UnsupportedProtocolVersion, detail))
        }
        _ => Err(ProtocolError::new(Reason::ProtocolError, "the protocol name is not MQTT")),
    }
}

/// The connect flags (MQTT 5 §3.1.2.3).
struct Flags {
    clean_start: bool,
    /// QoS and RETAIN of the will, if there is one.
    will: Option<(QoS, bool)>,
    password: bool,
    username: bool,
}

fn read_flags(bits: u8, version: Version) -> Result<Flags, ProtocolError> {
    let malformed = |detail: &str| Err(ProtocolError::malformed(detail));
    // 3.1 does not use the last bit, and disregards what is said of a will that is not there.
    let strict = version != Version::V31;
    if strict && bits & 1 != 0 {
        return malformed("the reserved connect flag is set"); // [MQTT-3.1.2-3]
    }
    let has_will = bits & 0b0000_0100 != 0;
    if strict && !has_will && bits & 0b0011_1000 != 0 {
        // [MQTT-3.1.2-13, MQTT-3.1.2-15, MQTT5-3.1.2-11, MQTT5-3.1.2-13]
        return malformed("the connect flags say something of a will that is not there");
    }
    let qos = QoS::from_bits(bits >> 3 & 0b11);
    let will = match (has_will, qos) {
        (false, _) => None,
        (true, Some(qos)) => Some((qos, bits & 0b0010_0000 != 0)),
        (true, None) => return malformed("a will has QoS 3"), // [MQTT-3.1.2-14, MQTT5-3.1.2-12]
    };
    let password = bits & 0b0100_0000 != 0;
    let username = bits & 0b1000_0000 != 0;
    if version != Version::V5 && password && !username {
        return malformed("there is a password and no user name"); // [MQTT-3.1.2-22]
    }
    Ok(Flags { clean_start: bits & 0b0000_0010 != 0, will, password, username })
}

fn read_connect(body: &[u8], version: Version) -> Result<Connect, ProtocolError> {
    let mut reader = Reader::new("CONNECT", body);
    reader.binary("protocol name")?;
    reader.byte("protocol level")?;
    let flags = read_flags(reader.byte("connect flags")?, version)?;
    let keep_alive_seconds = reader.two("keep-alive")?;
    let mut connect = Connect {
        version,
        client_id: String::new(),
        clean_start: flags.clean_start,
        keep_alive_seconds,
        username: None,
        password: None,
        will: None,
        receive_max: u16::MAX,
        packet_bytes_max: u32::MAX,
        session_expiry_seconds: if version == Version::V5 || flags.clean_start { 0 } else { u32::MAX },
        topic_alias_max: 0,
        request_response_info: false,
        request_problem_info: version == Version::V5,
        auth_method: None,
        auth_data: None,
    };
    if version == Version::V5 {
        read_properties(reader.properties()?, &mut connect)?;
    }
    // The payload has its fields in this order. [MQTT-3.1.3-1]
    reader.name("client id")?.clone_into(&mut connect.client_id);
    if let Some((qos, retain)) = flags.will {
        connect.will = Some(read_will(&mut reader, version, qos, retain)?);
    }
    // In 3.1 a packet may end where user name and password were announced, and that is to be allowed.
    let may_end = |reader: &Reader<'_>| version == Version::V31 && reader.is_empty();
    if flags.username && !may_end(&reader) {
        connect.username = Some(reader.name("user name")?.to_owned());
    }
    if flags.password && !may_end(&reader) {
        connect.password = Some(Bytes::copy_from_slice(reader.binary("password")?));
    }
    reader.finish()?;
    Ok(connect)
}

fn read_properties(bytes: &[u8], connect: &mut Connect) -> Result<(), ProtocolError> {
    let mut properties = Properties::new(Place::Connect, bytes);
    while let Some((property, _)) = properties.next()? {
        match property {
            Property::AuthData(data) => connect.auth_data = Some(Bytes::copy_from_slice(data)),
            Property::AuthMethod(method) => connect.auth_method = Some(method.to_owned()),
            Property::PacketBytesMax(max) => connect.packet_bytes_max = max,
            Property::ReceiveMax(max) => connect.receive_max = max,
            Property::RequestProblemInfo(wanted) => connect.request_problem_info = wanted,
            Property::RequestResponseInfo(wanted) => connect.request_response_info = wanted,
            Property::SessionExpiry(seconds) => connect.session_expiry_seconds = seconds,
            Property::TopicAliasMax(max) => connect.topic_alias_max = max,
            Property::SubscriptionId(_)
            | Property::TopicAlias(_)
            | Property::WillDelay(_)
            | Property::Other => {}
        }
    }
    if connect.auth_data.is_some() && connect.auth_method.is_none() {
        // MQTT 5 §3.1.2.11.10
        let detail = "CONNECT has authentication data and no authentication method";
        return Err(ProtocolError::new(Reason::ProtocolError, detail));
    }
    Ok(())
}

fn read_will(
    reader: &mut Reader<'_>,
    version: Version,
    qos: QoS,
    retain: bool,
) -> Result<Will, ProtocolError> {
    let mut delay_seconds = 0;
    let mut kept = Vec::new();
    if version == Version::V5 {
        let mut properties = Properties::new(Place::Will, reader.properties()?);
        while let Some((property, bytes)) = properties.next()? {
            match property {
                Property::WillDelay(seconds) => delay_seconds = seconds,
                _ => kept.extend_from_slice(bytes),
            }
        }
    }
    let topic = reader.name("will topic")?.to_owned();
    if topic.is_empty() || topic.contains(['+', '#']) {
        // [MQTT-4.7.1-1, MQTT-4.7.3-1]
        return Err(ProtocolError::malformed("the will topic is empty or has a wildcard"));
    }
    let payload = Bytes::copy_from_slice(reader.binary("will payload")?);
    Ok(Will { topic, payload, qos, retain, delay_seconds, properties: kept })
}
