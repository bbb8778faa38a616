//! MQTT packets byte by byte, written independently of the server's codec, so that a case can say anything.

use bytes::{Buf, BufMut, Bytes};

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
    /// Topic and payload of a will.
    pub will: Option<(String, String)>,
    /// User name and password.
    pub login: Option<(String, String)>,
    /// The properties, encoded; MQTT 5 only.
    pub properties: Vec<u8>,
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
            login: None,
            properties: Vec::new(),
        }
    }

    /// The packet.
    pub fn packet(&self) -> Vec<u8> {
        let name = if self.level == 3 { "MQIsdp" } else { "MQTT" };
        let mut body = Vec::new();
        put_text(&mut body, name.as_bytes());
        body.put_u8(self.level);
        let login = if self.login.is_some() { 0xC0 } else { 0 };
        let will = if self.will.is_some() { 0x0C } else { 0 };
        body.put_u8(login | will | u8::from(self.clean) << 1);
        body.put_u16(self.keep_alive_seconds);
        self.put_properties(&mut body, &self.properties);
        put_text(&mut body, self.client_id.as_bytes());
        if let Some((topic, payload)) = &self.will {
            self.put_properties(&mut body, &[]);
            put_text(&mut body, topic.as_bytes());
            put_text(&mut body, payload.as_bytes());
        }
        if let Some((user, password)) = &self.login {
            put_text(&mut body, user.as_bytes());
            put_text(&mut body, password.as_bytes());
        }
        packet(0x10, &body)
    }

    fn put_properties(&self, body: &mut Vec<u8>, properties: &[u8]) {
        if self.level >= V5 {
            put_length(body, properties.len());
            body.put_slice(properties);
        }
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

/// PUBACK of success.
pub fn puback(packet_id: u16) -> Vec<u8> {
    packet(0x40, &packet_id.to_be_bytes())
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

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
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

/// An MQTT 5 property of two bytes, such as the receive maximum (0x21) or a topic alias (0x23).
pub fn property_u16(id: u8, value: u16) -> Vec<u8> {
    let mut out = vec![id];
    out.put_u16(value);
    out
}

/// An MQTT 5 property of four bytes, such as the maximum packet size (0x27).
pub fn property_u32(id: u8, value: u32) -> Vec<u8> {
    let mut out = vec![id];
    out.put_u32(value);
    out
}

/// A packet that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// The first byte.
    pub first: u8,
    /// What follows the length.
    pub body: Bytes,
}

/// The types of packets that a server sends.
pub mod kind {
    /// CONNACK.
    pub const CONNACK: u8 = 2;
    /// PUBLISH.
    pub const PUBLISH: u8 = 3;
    /// PUBACK.
    pub const PUBACK: u8 = 4;
    /// SUBACK.
    pub const SUBACK: u8 = 9;
    /// UNSUBACK.
    pub const UNSUBACK: u8 = 11;
    /// PINGRESP.
    pub const PINGRESP: u8 = 13;
    /// DISCONNECT.
    pub const DISCONNECT: u8 = 14;
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
        Published { topic, qos, packet_id, properties, payload: rest }
    }
}

/// A PUBLISH that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Its topic.
    pub topic: String,
    /// Its level.
    pub qos: u8,
    /// Its packet id, 0 with QoS 0.
    pub packet_id: u16,
    /// Its properties, encoded.
    pub properties: Bytes,
    /// Its payload.
    pub payload: Bytes,
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
