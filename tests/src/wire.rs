//! MQTT packets byte by byte, written independently of the server's codec, so that a case can say anything.

mod properties;

use bytes::{Buf, BufMut, Bytes, BytesMut};

pub use properties::{
    id, property, property_number, property_pair, property_text, property_u8, property_u16, property_u32,
    property_values, property_varint, read_properties,
};

/// The level byte of MQTT 3.1.1 in CONNECT.
pub const V311: u8 = 4;
/// The level byte of MQTT 5 in CONNECT.
pub const V5: u8 = 5;

/// A CONNECT.
#[derive(Debug, Clone)]
pub struct Connect {
    /// The level byte: 3, 4 or 5, or something wrong.
    pub level: u8,
    /// The client id.
    pub client_id: String,
    /// Whether to begin anew.
    pub clean: bool,
    /// The keep-alive.
    pub keep_alive_seconds: u16,
    /// What to publish when the connection ends badly.
    pub will: Option<Will>,
    /// The user name, UTF-8 or not.
    pub user: Option<Vec<u8>>,
    /// The password.
    pub password: Option<Vec<u8>>,
    /// The properties, encoded; MQTT 5 only.
    pub properties: Vec<u8>,
    /// Bits of the connect flags that are to be the other way round, so that they do not fit the rest.
    pub flipped_flags: u8,
}

impl Connect {
    /// A clean CONNECT with nothing special.
    pub fn new(level: u8, client_id: &str) -> Connect {
        Connect {
            level,
            client_id: client_id.to_owned(),
            clean: true,
            keep_alive_seconds: 60,
            will: None,
            user: None,
            password: None,
            properties: Vec::new(),
            flipped_flags: 0,
        }
    }

    /// As this user.
    #[must_use]
    pub fn login(mut self, user: &str, password: &[u8]) -> Connect {
        self.user = Some(user.into());
        self.password = Some(password.into());
        self
    }

    /// With a will.
    #[must_use]
    pub fn will(mut self, will: Will) -> Connect {
        self.will = Some(will);
        self
    }

    /// The packet.
    pub fn packet(&self) -> Vec<u8> {
        let name = if self.level == 3 { "MQIsdp" } else { "MQTT" };
        let mut body = Vec::new();
        put_text(&mut body, name.as_bytes());
        body.put_u8(self.level);
        body.put_u8(self.flags() ^ self.flipped_flags);
        body.put_u16(self.keep_alive_seconds);
        self.put_properties(&mut body, &self.properties);
        put_text(&mut body, self.client_id.as_bytes());
        if let Some(will) = &self.will {
            self.put_properties(&mut body, &will.properties);
            put_text(&mut body, &will.topic);
            put_text(&mut body, &will.payload);
        }
        for text in [&self.user, &self.password].into_iter().flatten() {
            put_text(&mut body, text);
        }
        packet(0x10, &body)
    }

    fn flags(&self) -> u8 {
        let will = self.will.as_ref().map_or(0, |will| 0x04 | will.qos << 3 | u8::from(will.retain) << 5);
        let password = u8::from(self.password.is_some()) << 6;
        let user = u8::from(self.user.is_some()) << 7;
        user | password | will | u8::from(self.clean) << 1
    }

    fn put_properties(&self, body: &mut Vec<u8>, properties: &[u8]) {
        if self.level >= V5 {
            put_length(body, properties.len());
            body.put_slice(properties);
        }
    }
}

/// A will.
#[derive(Debug, Clone)]
pub struct Will {
    /// Its topic, UTF-8 or not.
    pub topic: Vec<u8>,
    /// Its payload.
    pub payload: Vec<u8>,
    /// Its level: 0 to 2, or 3, which is wrong.
    pub qos: u8,
    /// Whether it is to be retained.
    pub retain: bool,
    /// Its properties, encoded; MQTT 5 only.
    pub properties: Vec<u8>,
}

impl Will {
    /// A will at QoS 0 that is not retained.
    pub fn new(topic: &str, payload: &str) -> Will {
        Will { topic: topic.into(), payload: payload.into(), qos: 0, retain: false, properties: Vec::new() }
    }
}

/// A PUBLISH.
#[derive(Debug, Clone, Copy)]
pub struct Publish<'a> {
    /// The flags of the first byte: DUP 8, QoS 2 and 4, RETAIN 1.
    pub flags: u8,
    /// The topic, UTF-8 or not.
    pub topic: &'a [u8],
    /// Written if QoS is above 0.
    pub packet_id: u16,
    /// The properties, encoded; `None` for versions before 5.
    pub properties: Option<&'a [u8]>,
    /// The payload.
    pub payload: &'a [u8],
}

impl Publish<'_> {
    /// The packet.
    pub fn packet(&self) -> Vec<u8> {
        let mut body = Vec::new();
        put_text(&mut body, self.topic);
        if self.flags & 0b0110 != 0 {
            body.put_u16(self.packet_id);
        }
        if let Some(properties) = self.properties {
            put_length(&mut body, properties.len());
            body.put_slice(properties);
        }
        body.put_slice(self.payload);
        packet(0x30 | self.flags, &body)
    }
}

/// A PUBLISH of QoS 0 with no properties, for versions before 5.
pub fn publish(topic: &str, payload: &str) -> Vec<u8> {
    let (topic, payload) = (topic.as_bytes(), payload.as_bytes());
    Publish { flags: 0, topic, packet_id: 0, properties: None, payload }.packet()
}

/// A SUBSCRIBE: filters with their option bytes. `properties` is `None` for versions before 5.
pub fn subscribe(packet_id: u16, filters: &[(&str, u8)], properties: Option<&[u8]>) -> Vec<u8> {
    let mut body = packet_id.to_be_bytes().to_vec();
    if let Some(properties) = properties {
        put_length(&mut body, properties.len());
        body.put_slice(properties);
    }
    for (filter, options) in filters {
        put_text(&mut body, filter.as_bytes());
        body.put_u8(*options);
    }
    packet(0x82, &body)
}

/// An UNSUBSCRIBE. `properties` is `None` for versions before 5.
pub fn unsubscribe(packet_id: u16, filters: &[&str], properties: Option<&[u8]>) -> Vec<u8> {
    let mut body = packet_id.to_be_bytes().to_vec();
    if let Some(properties) = properties {
        put_length(&mut body, properties.len());
        body.put_slice(properties);
    }
    for filter in filters {
        put_text(&mut body, filter.as_bytes());
    }
    packet(0xA2, &body)
}

/// PUBACK of success.
pub fn puback(packet_id: u16) -> Vec<u8> {
    packet(0x40, &packet_id.to_be_bytes())
}

/// PUBREC of success.
pub fn pubrec(packet_id: u16) -> Vec<u8> {
    packet(0x50, &packet_id.to_be_bytes())
}

/// PUBREL of success.
pub fn pubrel(packet_id: u16) -> Vec<u8> {
    packet(0x62, &packet_id.to_be_bytes())
}

/// PUBCOMP of success.
pub fn pubcomp(packet_id: u16) -> Vec<u8> {
    packet(0x70, &packet_id.to_be_bytes())
}

/// An acknowledgement of MQTT 5 with a reason: `first` is the whole first byte.
pub fn ack_with(first: u8, packet_id: u16, reason: u8) -> Vec<u8> {
    let [high, low] = packet_id.to_be_bytes();
    packet(first, &[high, low, reason])
}

/// AUTH with its properties, encoded.
pub fn auth(reason: u8, properties: &[u8]) -> Vec<u8> {
    let mut body = vec![reason];
    put_length(&mut body, properties.len());
    body.put_slice(properties);
    packet(0xF0, &body)
}

/// DISCONNECT of MQTT 5 with a reason and properties, encoded.
pub fn disconnect(reason: u8, properties: &[u8]) -> Vec<u8> {
    let mut body = vec![reason];
    put_length(&mut body, properties.len());
    body.put_slice(properties);
    packet(0xE0, &body)
}

/// PINGREQ.
pub const PINGREQ: [u8; 2] = [0xC0, 0];

/// DISCONNECT, as every version reads it.
pub const DISCONNECT: [u8; 2] = [0xE0, 0];

/// A packet: first byte, length, body.
pub fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    put_length(&mut out, body.len());
    out.put_slice(body);
    out
}

/// Puts a text, or other bytes, behind its length.
pub fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    out.put_u16(u16::try_from(text.len()).expect("a text of MQTT has at most 65535 bytes"));
    out.put_slice(text);
}

fn put_length(out: &mut Vec<u8>, mut length: usize) {
    loop {
        let byte = u8::try_from(length & 0x7f).expect("seven bits");
        length >>= 7;
        out.put_u8(if length == 0 { byte } else { byte | 0x80 });
        if length == 0 {
            return;
        }
    }
}

/// A packet that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// The first byte.
    pub first: u8,
    /// What follows the length.
    pub body: Bytes,
}

/// Takes a packet from the front of what has arrived, if the whole of it is there.
pub fn take_packet(arrived: &mut BytesMut) -> Option<Packet> {
    let mut length = 0_usize;
    for index in 0..4 {
        let byte = *arrived.get(index + 1)?;
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            // [MQTT-1.5.5-1]
            assert!(byte > 0 || index == 0, "a length with too many bytes: {arrived:?}");
            let head = index + 2;
            if arrived.len() < head + length {
                return None;
            }
            let mut packet = arrived.split_to(head + length).freeze();
            let first = packet[0];
            packet.advance(head);
            return Some(Packet { first, body: packet });
        }
    }
    panic!("the server sent a length of more than four bytes: {arrived:?}");
}

/// The types of packets that a server sends.
pub mod kind {
    /// CONNACK.
    pub const CONNACK: u8 = 2;
    /// PUBLISH.
    pub const PUBLISH: u8 = 3;
    /// PUBACK.
    pub const PUBACK: u8 = 4;
    /// PUBREC.
    pub const PUBREC: u8 = 5;
    /// PUBREL.
    pub const PUBREL: u8 = 6;
    /// PUBCOMP.
    pub const PUBCOMP: u8 = 7;
    /// SUBACK.
    pub const SUBACK: u8 = 9;
    /// UNSUBACK.
    pub const UNSUBACK: u8 = 11;
    /// PINGRESP.
    pub const PINGRESP: u8 = 13;
    /// DISCONNECT.
    pub const DISCONNECT: u8 = 14;
    /// AUTH.
    pub const AUTH: u8 = 15;
}

impl Packet {
    /// The type, as in [`kind`].
    pub fn kind(&self) -> u8 {
        self.first >> 4
    }

    /// The packet id of an acknowledgement.
    pub fn packet_id(&self) -> u16 {
        self.body.clone().get_u16()
    }

    /// The reason of PUBACK or DISCONNECT of MQTT 5; 0 if it is left out.
    pub fn reason(&self) -> u8 {
        let at = if self.kind() == kind::DISCONNECT { 0 } else { 2 };
        self.body.get(at).copied().unwrap_or(0)
    }

    /// A PUBLISH taken apart: topic, packet id (0 with QoS 0), properties, payload.
    pub fn publish(&self, level: u8) -> Published {
        assert_eq!(self.kind(), kind::PUBLISH, "a PUBLISH was expected: {self:?}");
        let mut rest = self.body.clone();
        let topic_len = usize::from(rest.get_u16());
        let topic = String::from_utf8(rest.split_to(topic_len).to_vec()).expect("a topic is UTF-8");
        let qos = self.first >> 1 & 0b11;
        let packet_id = if qos > 0 { rest.get_u16() } else { 0 };
        let properties = if level >= V5 { take_properties(&mut rest) } else { Bytes::new() };
        let (dup, retain) = (self.first & 8 != 0, self.first & 1 != 0);
        Published { topic, qos, dup, retain, packet_id, properties, payload: rest }
    }
}

/// A PUBLISH that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Its topic.
    pub topic: String,
    /// Its level.
    pub qos: u8,
    /// Whether it says that it was sent before.
    pub dup: bool,
    /// Whether it says that it was retained.
    pub retain: bool,
    /// Its packet id, 0 with QoS 0.
    pub packet_id: u16,
    /// Its properties, encoded.
    pub properties: Bytes,
    /// Its payload.
    pub payload: Bytes,
}

impl Published {
    /// The payload as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).expect("a payload of text")
    }

    /// The value of its first property of that id.
    pub fn property(&self, id: u8) -> Option<Bytes> {
        property(&self.properties, id)
    }
}

/// Takes the properties from the front of a body.
pub fn take_properties(rest: &mut Bytes) -> Bytes {
    let mut length = 0_usize;
    for shift in [0, 7, 14, 21] {
        let byte = rest.get_u8();
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    rest.split_to(length)
}
