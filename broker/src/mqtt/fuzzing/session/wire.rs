//! The packets of a client, as far as the model speaks MQTT: written and read without the server's codec.

/// A packet from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Packet {
    Connack {
        present: bool,
        reason: u8,
    },
    Publish(Publish),
    /// PUBACK, PUBREC, PUBREL or PUBCOMP.
    Ack {
        kind: u8,
        packet_id: u16,
        reason: u8,
    },
    Suback {
        packet_id: u16,
        codes: Vec<u8>,
    },
    Unsuback {
        packet_id: u16,
    },
    Pong,
    Disconnect {
        reason: u8,
    },
    Auth,
}

/// PUBLISH, in either direction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Publish {
    pub(super) dup: bool,
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) topic: String,
    pub(super) packet_id: u16,
    pub(super) payload: Vec<u8>,
    /// Subscription identifiers, in rising order.
    pub(super) ids: Vec<u32>,
}

/// What CONNECT says.
#[derive(Debug, Clone, Default)]
pub(super) struct Connect<'a> {
    pub(super) client_id: &'a str,
    pub(super) v5: bool,
    pub(super) clean: bool,
    pub(super) expiry: u32,
    pub(super) receive_max: u16,
    /// Topic, payload, QoS and RETAIN.
    pub(super) will: Option<(&'a str, &'a [u8], u8, bool)>,
}

fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&u16::try_from(bytes.len()).expect("a short text").to_be_bytes());
    out.extend_from_slice(bytes);
}

fn varint(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let low = u8::try_from(value & 0x7f).expect("seven bits");
        value >>= 7;
        out.push(if value > 0 { low | 0x80 } else { low });
        if value == 0 {
            return;
        }
    }
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    varint(&mut out, body.len());
    out.extend_from_slice(body);
    out
}

pub(super) fn connect(connect: &Connect<'_>) -> Vec<u8> {
    let mut body = Vec::new();
    text(&mut body, b"MQTT");
    body.push(if connect.v5 { 5 } else { 4 });
    let mut flags = u8::from(connect.clean) << 1;
    if let Some((_, _, qos, retain)) = connect.will {
        flags |= 4 | qos << 3 | u8::from(retain) << 5;
    }
    body.push(flags);
    body.extend_from_slice(&[0, 0]);
    if connect.v5 {
        body.push(8);
        body.push(0x11);
        body.extend_from_slice(&connect.expiry.to_be_bytes());
        body.push(0x21);
        body.extend_from_slice(&connect.receive_max.to_be_bytes());
    }
    text(&mut body, connect.client_id.as_bytes());
    if let Some((topic, payload, ..)) = connect.will {
        if connect.v5 {
            body.push(0);
        }
        text(&mut body, topic.as_bytes());
        text(&mut body, payload);
    }
    packet(0x10, &body)
}

pub(super) fn publish(publish: &Publish, v5: bool) -> Vec<u8> {
    let mut body = Vec::new();
    text(&mut body, publish.topic.as_bytes());
    if publish.qos > 0 {
        body.extend_from_slice(&publish.packet_id.to_be_bytes());
    }
    if v5 {
        body.push(0);
    }
    body.extend_from_slice(&publish.payload);
    let flags = u8::from(publish.dup) << 3 | publish.qos << 1 | u8::from(publish.retain);
    packet(0x30 | flags, &body)
}

pub(super) fn ack(kind: u8, packet_id: u16) -> Vec<u8> {
    packet(kind << 4 | if kind == 6 { 2 } else { 0 }, &packet_id.to_be_bytes())
}

/// `filters` are the filters and their options.
pub(super) fn subscribe(packet_id: u16, id: Option<u32>, filters: &[(&str, u8)], v5: bool) -> Vec<u8> {
    let mut body = packet_id.to_be_bytes().to_vec();
    if v5 {
        let mut properties = Vec::new();
        if let Some(id) = id {
            properties.push(0x0b);
            varint(&mut properties, id as usize);
        }
        varint(&mut body, properties.len());
        body.extend_from_slice(&properties);
    }
    for (filter, options) in filters {
        text(&mut body, filter.as_bytes());
        body.push(*options);
    }
    packet(0x82, &body)
}

pub(super) fn unsubscribe(packet_id: u16, filter: &str, v5: bool) -> Vec<u8> {
    let mut body = packet_id.to_be_bytes().to_vec();
    if v5 {
        body.push(0);
    }
    text(&mut body, filter.as_bytes());
    packet(0xa2, &body)
}

pub(super) const PING: [u8; 2] = [0xc0, 0];

/// `expiry` is another session expiry than that of CONNECT.
pub(super) fn disconnect(v5: bool, with_will: bool, expiry: Option<u32>) -> Vec<u8> {
    if !v5 {
        return packet(0xe0, &[]);
    }
    let mut body = vec![if with_will { 4 } else { 0 }];
    match expiry {
        Some(seconds) => {
            body.extend_from_slice(&[5, 0x11]);
            body.extend_from_slice(&seconds.to_be_bytes());
        }
        None => body.push(0),
    }
    packet(0xe0, &body)
}

/// Takes the first whole packet out of a buffer.
pub(super) fn take(buffer: &mut Vec<u8>, v5: bool) -> Option<Packet> {
    let mut len = 0;
    let mut at = 1;
    loop {
        let byte = *buffer.get(at)?;
        len |= usize::from(byte & 0x7f) << (7 * (at - 1));
        at += 1;
        if byte & 0x80 == 0 {
            break;
        }
        assert!(at < 5, "the server wrote a length of more than four bytes");
    }
    if buffer.len() < at + len {
        return None;
    }
    let rest = buffer.split_off(at + len);
    let whole = std::mem::replace(buffer, rest);
    Some(read(whole[0], Body(&whole[at..]), v5))
}

/// What is left of a packet's body.
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at_checked(count).expect("the server wrote a whole packet");
        self.0 = rest;
        taken
    }

    fn byte(&mut self) -> u8 {
        self.bytes(1)[0]
    }

    fn two(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    fn varint(&mut self) -> usize {
        let mut value = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.byte();
            value |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        value
    }

    fn text(&mut self) -> &'a [u8] {
        let len = self.two();
        self.bytes(usize::from(len))
    }

    /// Reads over properties, and gives the subscription identifiers among them.
    fn properties(&mut self) -> Vec<u32> {
        let len = self.varint();
        let mut body = Body(self.bytes(len));
        let mut ids = Vec::new();
        while !body.0.is_empty() {
            match body.byte() {
                0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2a => drop(body.byte()),
                0x13 | 0x21..=0x23 => drop(body.two()),
                0x02 | 0x11 | 0x18 | 0x27 => drop(body.bytes(4)),
                0x0b => ids.push(u32::try_from(body.varint()).expect("28 bits")),
                0x26 => drop((body.text(), body.text())),
                _ => drop(body.text()),
            }
        }
        ids.sort_unstable();
        ids
    }
}

fn read(first: u8, mut body: Body<'_>, v5: bool) -> Packet {
    match first >> 4 {
        2 => Packet::Connack { present: body.byte() & 1 == 1, reason: body.byte() },
        3 => {
            let topic = String::from_utf8(body.text().to_vec()).expect("a topic is text");
            let qos = first >> 1 & 3;
            let packet_id = if qos > 0 { body.two() } else { 0 };
            let ids = if v5 { body.properties() } else { Vec::new() };
            let (dup, retain) = (first & 8 != 0, first & 1 != 0);
            Packet::Publish(Publish { dup, qos, retain, topic, packet_id, payload: body.0.to_vec(), ids })
        }
        kind @ 4..=7 => {
            let packet_id = body.two();
            Packet::Ack { kind, packet_id, reason: body.0.first().copied().unwrap_or(0) }
        }
        9 => {
            let packet_id = body.two();
            if v5 {
                body.properties();
            }
            Packet::Suback { packet_id, codes: body.0.to_vec() }
        }
        11 => Packet::Unsuback { packet_id: body.two() },
        13 => Packet::Pong,
        14 => Packet::Disconnect { reason: body.0.first().copied().unwrap_or(0) },
        15 => Packet::Auth,
        other => panic!("a packet of type {other} from a server"),
    }
}
