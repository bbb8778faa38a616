//! A publisher that does what the standard asks of one: whatever was not acknowledged is sent again, in order, with the same
//! packet id.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use pointsman_tests::wire::{self, Connect, Packet, kind};
use pointsman_tests::{Connack, Peer};

use super::super::random::Random;
use super::super::scene::Phase;
use super::books::{Said, Stream};
use super::world::{World, resuming};

/// Messages that wait for their acknowledgement at a time.
const WINDOW: usize = 20;
/// Packet ids go round soon, so that each is used again and again.
const PACKET_IDS: u16 = 50;
/// A connection is cut after at most so many packets.
const CUT_PACKETS_MAX: u64 = 3000;
/// One message in so many is retained.
const KEPT_EVERY: u64 = 8;
/// Bytes with which payloads are filled up.
const FILL_MAX: u64 = 300;

/// See the module.
pub(super) struct Publisher {
    number: u32,
    world: World,
    connect: Connect,
    random: Random,
    /// Whether the server has said once that it knows this client.
    known: bool,
    /// Sent and not acknowledged to the end.
    flights: VecDeque<Flight>,
    last_id: u16,
}

#[derive(Debug)]
struct Flight {
    packet_id: u16,
    said: Said,
    payload: String,
    /// PUBREC has come.
    released: bool,
}

impl Publisher {
    pub(super) fn new(number: u32, world: World, random: Random) -> Publisher {
        let level = if number.is_multiple_of(2) { wire::V5 } else { wire::V311 };
        let connect = resuming(level, &format!("publisher-{number}"), 100);
        Publisher { number, world, connect, random, known: false, flights: VecDeque::new(), last_id: 0 }
    }

    /// Publishes until the phase ends and everything is acknowledged.
    pub(super) async fn run(mut self) {
        while let Some((peer, connack)) = self.world.connect(&self.connect).await {
            self.greet(&connack);
            if self.talk(peer).await.is_some_and(|flow| flow.is_break()) {
                return;
            }
        }
    }

    fn greet(&mut self, connack: &Connack) {
        assert_eq!(connack.code, 0, "publisher {} is let in", self.number);
        if connack.session_present != self.known && self.known {
            self.world.books.faults.note(format!("publisher {}'s session is lost", self.number));
        }
        self.known = true;
    }

    /// Breaks when there is nothing left to do; `None` if the connection has ended.
    async fn talk(&mut self, mut peer: Peer) -> Option<ControlFlow<()>> {
        let cut_after = self.random.below(CUT_PACKETS_MAX);
        let mut packets = 0;
        let mut out = self.again();
        loop {
            let loading = self.world.link.phase() == Phase::Load;
            if loading {
                self.fill_window(&mut out);
            } else if self.flights.is_empty() {
                return Some(ControlFlow::Break(()));
            }
            peer.send(&out).await?;
            out.clear();
            let mut next = Some(peer.next().await?);
            while let Some(packet) = next {
                self.take(&packet, &mut out);
                packets += 1;
                next = peer.arrived();
            }
            if loading && packets > cut_after {
                self.world.books.cut();
                return Some(ControlFlow::Continue(()));
            }
        }
    }

    /// What was not acknowledged, once more. [MQTT-4.4.0-1]
    fn again(&self) -> Vec<u8> {
        self.flights.iter().flat_map(|flight| self.packet(flight, 8)).collect()
    }

    fn packet(&self, flight: &Flight, dup: u8) -> Vec<u8> {
        if flight.released {
            return wire::pubrel(flight.packet_id);
        }
        let retain = u8::from(flight.said.stream == Stream::Kept);
        let topic = flight.said.topic();
        let publish = wire::Publish {
            flags: dup | flight.said.qos() << 1 | retain,
            topic: topic.as_bytes(),
            packet_id: flight.packet_id,
            properties: (self.connect.level >= wire::V5).then_some(&[]),
            payload: flight.payload.as_bytes(),
        };
        publish.packet()
    }

    fn fill_window(&mut self, out: &mut Vec<u8>) {
        while self.flights.len() < WINDOW {
            let stream = match self.random.below(KEPT_EVERY) {
                0 => Stream::Kept,
                even if even % 2 == 0 => Stream::AtLeastOnce,
                _ => Stream::ExactlyOnce,
            };
            let said = self.world.books.next(stream, self.number);
            let fill = usize::try_from(self.random.below(FILL_MAX)).expect("a small number");
            let payload = format!("{}{}", said.number, ".".repeat(fill));
            let flight = Flight { packet_id: self.free_id(), said, payload, released: false };
            out.extend(self.packet(&flight, 0));
            self.flights.push_back(flight);
        }
    }

    fn free_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id % PACKET_IDS + 1;
            if self.flights.iter().all(|flight| flight.packet_id != self.last_id) {
                return self.last_id;
            }
        }
    }

    fn take(&mut self, packet: &Packet, out: &mut Vec<u8>) {
        if packet.kind() == kind::DISCONNECT && self.world.disk_fills {
            return self.world.books.refused.raise();
        }
        let packet_id = packet.packet_id();
        let at = self.flights.iter().position(|flight| flight.packet_id == packet_id);
        let Some(at) = at else {
            return self.world.books.faults.note(format!("{packet:?} is for a message that is not out"));
        };
        let flight = &mut self.flights[at];
        let qos = flight.said.qos();
        if packet.reason() >= 0x80 && packet.kind() != kind::PUBCOMP {
            if self.world.disk_fills && packet.reason() == 0x97 && !flight.released {
                self.flights.remove(at);
                return self.world.books.refused.raise();
            }
            return self.world.books.faults.note(format!("{} is refused: {packet:?}", flight.said));
        }
        match packet.kind() {
            kind::PUBACK if qos == 1 => {
                self.world.books.acknowledge(flight.said);
                self.flights.remove(at);
            }
            kind::PUBREC if qos == 2 => {
                if !std::mem::replace(&mut flight.released, true) {
                    self.world.books.acknowledge(flight.said);
                }
                out.extend(wire::pubrel(packet_id));
            }
            // Whether the server still knew the packet id or not.
            kind::PUBCOMP if flight.released => {
                self.flights.remove(at);
            }
            _ => self.world.books.faults.note(format!("{} is answered with {packet:?}", flight.said)),
        }
    }
}
