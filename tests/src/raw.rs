//! A connection for bytes of one's own: what no well-behaved client would send, and answers to the byte.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::eventually::within;
use crate::transport::Stream;
use crate::wire::{self, Connect, Packet, Published, kind};

/// A connection that speaks in packets, right or wrong. Dropping it cuts the connection.
pub struct Raw {
    stream: Box<dyn Stream>,
    buffer: BytesMut,
    /// Messages that came before an answer that was waited for.
    set_aside: VecDeque<Packet>,
    level: u8,
}

/// A CONNACK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connack {
    /// The return code, or the reason code of MQTT 5.
    pub code: u8,
    /// Whether the server had a session.
    pub session_present: bool,
    /// The properties of MQTT 5, encoded.
    pub properties: Bytes,
}

impl Connack {
    /// Reads the packet, which must be one.
    pub fn read(packet: &Packet) -> Connack {
        assert_eq!(packet.first, 0x20, "CONNACK was expected: {packet:?}");
        let mut body = packet.body.clone();
        let flags = body.get_u8();
        assert!(flags <= 1, "the reserved bits of CONNACK's flags: {flags:#04x}"); // [MQTT-3.2.2-1]
        let code = body.get_u8();
        let properties = if body.is_empty() { Bytes::new() } else { wire::take_properties(&mut body) };
        Connack { code, session_present: flags == 1, properties }
    }
}

impl Raw {
    pub(crate) fn new(stream: Box<dyn Stream>) -> Raw {
        Raw { stream, buffer: BytesMut::new(), set_aside: VecDeque::new(), level: wire::V311 }
    }

    /// Writes bytes.
    pub async fn send(&mut self, bytes: &[u8]) {
        let sending = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        within("writing to the server", sending).await.expect("the server reads");
    }

    /// The next packet, or `None` if the server has ended the connection.
    pub async fn next(&mut self) -> Option<Packet> {
        match self.set_aside.pop_front() {
            Some(packet) => Some(packet),
            None => self.read().await,
        }
    }

    async fn read(&mut self) -> Option<Packet> {
        loop {
            if let Some(packet) = wire::take_packet(&mut self.buffer) {
                return Some(packet);
            }
            let read = within("a packet, or the end", self.stream.read_buf(&mut self.buffer)).await;
            if !matches!(read, Ok(1..)) {
                return None;
            }
        }
    }

    /// The next bytes, whatever they are; none if the server has ended the connection.
    pub async fn bytes(&mut self) -> Bytes {
        if self.buffer.is_empty() {
            // An error is an end too.
            let _ = within("bytes, or the end", self.stream.read_buf(&mut self.buffer)).await;
        }
        self.buffer.split().freeze()
    }

    /// The next packet, which must be of that kind.
    pub async fn expect(&mut self, kind: u8) -> Packet {
        match self.next().await {
            Some(packet) if packet.kind() == kind => packet,
            other => panic!("a packet of type {kind} was expected, and there was {other:?}"),
        }
    }

    /// The next packet that is not PUBLISH, which must be of that kind. What is published may come before an answer,
    /// and is read later.
    pub async fn answer(&mut self, kind: u8) -> Packet {
        loop {
            match self.read().await {
                Some(packet) if packet.kind() == kind => return packet,
                Some(packet) if packet.kind() == kind::PUBLISH => self.set_aside.push_back(packet),
                other => panic!("an answer of type {kind} was expected, and there was {other:?}"),
            }
        }
    }

    /// Asserts that the server ends the connection without another packet.
    pub async fn expect_end(&mut self) {
        let next = self.next().await;
        assert_eq!(next, None, "the connection should have ended");
    }

    /// Sends CONNECT and gives the answer.
    pub async fn connect(&mut self, connect: &Connect) -> Connack {
        self.level = connect.level;
        self.send(&connect.packet()).await;
        self.connack().await
    }

    /// Reads CONNACK.
    pub async fn connack(&mut self) -> Connack {
        Connack::read(&self.expect(kind::CONNACK).await)
    }

    /// Sends bytes in the place of CONNECT, and gives CONNACK; `None` if the server ends the connection without one.
    pub async fn try_connect(&mut self, level: u8, bytes: &[u8]) -> Option<Connack> {
        self.level = level;
        self.send(bytes).await;
        self.next().await.map(|packet| Connack::read(&packet))
    }

    /// Connects and must be let in.
    pub async fn join(mut self, connect: &Connect) -> Raw {
        let connack = self.connect(connect).await;
        assert_eq!(connack.code, 0, "{} should be let in: {connack:?}", connect.client_id);
        self
    }

    /// Subscribes and gives the codes.
    pub async fn subscribe(&mut self, filters: &[(&str, u8)]) -> Vec<u8> {
        self.subscribe_with(filters, &[]).await
    }

    /// Subscribes with MQTT 5 properties and gives the codes.
    pub async fn subscribe_with(&mut self, filters: &[(&str, u8)], properties: &[u8]) -> Vec<u8> {
        let properties = (self.level >= wire::V5).then_some(properties);
        self.send(&wire::subscribe(7, filters, properties)).await;
        let mut body = self.answer(kind::SUBACK).await.body;
        assert_eq!(body.get_u16(), 7, "the packet id of SUBACK");
        if self.level >= wire::V5 {
            wire::take_properties(&mut body);
        }
        body.to_vec()
    }

    /// Unsubscribes and gives the codes, which only MQTT 5 has.
    pub async fn unsubscribe(&mut self, filters: &[&str]) -> Vec<u8> {
        let properties = (self.level >= wire::V5).then_some(&[][..]);
        self.send(&wire::unsubscribe(8, filters, properties)).await;
        let mut body = self.answer(kind::UNSUBACK).await.body;
        assert_eq!(body.get_u16(), 8, "the packet id of UNSUBACK");
        if self.level >= wire::V5 {
            wire::take_properties(&mut body);
        }
        body.to_vec()
    }

    /// Publishes with QoS 0.
    pub async fn publish(&mut self, topic: &str, payload: &str) {
        self.publish_with(0, topic, payload, &[]).await;
    }

    /// Publishes with flags (QoS 1 is 2, with packet id 9) and MQTT 5 properties.
    pub async fn publish_with(&mut self, flags: u8, topic: &str, payload: &str, properties: &[u8]) {
        let properties = (self.level >= wire::V5).then_some(properties);
        let (topic, payload) = (topic.as_bytes(), payload.as_bytes());
        let publish = wire::Publish { flags, topic, packet_id: 9, properties, payload };
        self.send(&publish.packet()).await;
    }

    /// Reads a PUBLISH; it is not acknowledged.
    pub async fn published(&mut self) -> Published {
        let level = self.level;
        self.expect(kind::PUBLISH).await.publish(level)
    }

    /// Reads a PUBLISH and acknowledges it, to the end if it is QoS 2.
    pub async fn receive(&mut self) -> Published {
        let published = self.published().await;
        let packet_id = published.packet_id;
        match published.qos {
            0 => {}
            1 => self.send(&wire::puback(packet_id)).await,
            _ => {
                self.send(&wire::pubrec(packet_id)).await;
                let release = self.answer(kind::PUBREL).await;
                assert_eq!(release.packet_id(), packet_id, "the packet id of PUBREL");
                self.send(&wire::pubcomp(packet_id)).await;
            }
        }
        published
    }

    /// Publishes at a level with packet id 9, and sees it acknowledged to the end. Gives the first reason.
    pub async fn deliver(&mut self, qos: u8, topic: &str, payload: &str, properties: &[u8]) -> u8 {
        self.deliver_flagged(qos << 1, topic, payload, properties).await
    }

    /// As [`Raw::deliver`], with all flags of the first byte.
    pub async fn deliver_flagged(&mut self, flags: u8, topic: &str, payload: &str, properties: &[u8]) -> u8 {
        self.publish_with(flags, topic, payload, properties).await;
        match flags >> 1 & 3 {
            0 => 0,
            1 => self.acknowledged(kind::PUBACK).await,
            _ => {
                let reason = self.acknowledged(kind::PUBREC).await;
                if reason < 0x80 {
                    self.send(&wire::pubrel(9)).await;
                    self.acknowledged(kind::PUBCOMP).await;
                }
                reason
            }
        }
    }

    async fn acknowledged(&mut self, kind: u8) -> u8 {
        let ack = self.answer(kind).await;
        assert_eq!(ack.packet_id(), 9, "the packet id of {ack:?}");
        ack.reason()
    }

    /// Sends PINGREQ and reads PINGRESP: what was sent before has been handled.
    pub async fn ping(&mut self) {
        self.send(&wire::PINGREQ).await;
        self.expect(kind::PINGRESP).await;
    }

    /// Says goodbye and waits for the end.
    pub async fn leave(mut self) {
        self.send(&wire::DISCONNECT).await;
        self.expect_end().await;
    }

    /// Ends the sending side; over WebSocket that is a Close frame.
    pub async fn shutdown(&mut self) {
        within("shutting down", self.stream.shutdown()).await.expect("the connection was open");
    }
}
