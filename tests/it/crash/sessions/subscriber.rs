//! A subscriber whose session outlives its connections: it acknowledges what it is sent, and shows its application no QoS 2
//! message twice, as long as the server keeps its part.

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman_tests::wire::{self, Connect, Packet, kind};
use pointsman_tests::{Connack, Peer, within};

use super::super::random::Random;
use super::super::scene::Phase;
use super::books::Said;
use super::world::{World, resuming};

/// A connection is cut after at most so many packets.
const CUT_PACKETS_MAX: u64 = 2000;
/// One who comes now and then stays for more, to take what came meanwhile.
const VISIT_PACKETS_MAX: u64 = 6000;
/// One who comes now and then stays away until at most so many messages were acknowledged to publishers.
const AWAY_MAX: u64 = 1500;
/// The packet id of SUBSCRIBE.
const SUBSCRIBE_ID: u16 = 60_000;

/// What a subscriber is like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) level: u8,
    pub(super) filter: &'static str,
    pub(super) qos: u8,
    /// Messages that it takes without having acknowledged them; MQTT 5 only.
    pub(super) receive_max: u16,
    /// Whether it comes now and then.
    pub(super) rare: bool,
}

impl Kind {
    /// Whether others have a part of the messages.
    pub(super) fn is_shared(&self) -> bool {
        self.filter.starts_with("$share/")
    }
}

/// See the module.
pub(super) struct Subscriber {
    kind: Kind,
    world: World,
    connect: Connect,
    random: Random,
    /// QoS 2 messages that were taken and not released, by packet id.
    taken: BTreeMap<u16, Said>,
}

impl Subscriber {
    /// Subscribes, and stays away until it runs.
    pub(super) async fn new(kind: Kind, world: World, random: Random) -> Subscriber {
        let connect = resuming(kind.level, kind.name, kind.receive_max);
        let (mut peer, connack) = world.connect(&connect).await.expect("the case has just begun");
        assert_eq!((connack.code, connack.session_present), (0, false), "{} is new", kind.name);
        let properties = (kind.level >= wire::V5).then_some(&[][..]);
        let subscribe = wire::subscribe(SUBSCRIBE_ID, &[(kind.filter, kind.qos)], properties);
        peer.send(&subscribe).await.expect("the server reads");
        let suback = within("SUBACK", peer.next()).await.expect("the server answers");
        assert_eq!((suback.kind(), suback.body.last()), (kind::SUBACK, Some(&kind.qos)), "{suback:?}");
        Subscriber { kind, world, connect, random, taken: BTreeMap::new() }
    }

    /// Takes what it is sent until everybody stops.
    pub(super) async fn run(mut self) {
        loop {
            if self.kind.rare {
                self.stay_away().await;
            }
            self.world.books.does(self.kind.name, "connects".to_owned());
            let Some((peer, connack)) = self.world.connect(&self.connect).await else { return };
            self.greet(&connack);
            let world = self.world.clone();
            tokio::select! {
                _ = self.talk(peer) => {}
                () = world.link.comes_to(Phase::Stop) => return,
            }
        }
    }

    fn greet(&self, connack: &Connack) {
        assert_eq!(connack.code, 0, "{} is let in", self.kind.name);
        if !connack.session_present {
            self.world.books.faults.note(format!("{}'s session is lost", self.kind.name));
        }
    }

    async fn stay_away(&mut self) {
        let messages = self.random.below(AWAY_MAX);
        tokio::select! {
            () = self.world.books.acknowledged.grows(messages) => {}
            () = self.world.link.comes_to(Phase::Drain) => {}
        }
    }

    /// Until the connection has ended, which it is made to after a while.
    async fn talk(&mut self, mut peer: Peer) -> Option<()> {
        let cut_after = self.random.below(if self.kind.rare { VISIT_PACKETS_MAX } else { CUT_PACKETS_MAX });
        let mut packets = 0;
        let mut out = Vec::new();
        let books = Arc::clone(&self.world.books);
        books.does(self.kind.name, "has connected".to_owned());
        loop {
            let mut next = Some(peer.next().await?);
            while let Some(packet) = next {
                self.take(&packet, &mut out);
                packets += 1;
                next = peer.arrived();
            }
            if packets > cut_after && self.world.link.phase() == Phase::Load {
                self.world.books.cut();
                return None;
            }
            books.does(self.kind.name, format!("writes its answer to packet {packets}"));
            peer.send(&out).await?;
            books.does(
                self.kind.name,
                format!("waits behind packet {packets}, has {} to be released", self.taken.len()),
            );
            out.clear();
        }
    }

    fn take(&mut self, packet: &Packet, out: &mut Vec<u8>) {
        let books = &self.world.books;
        let name = self.kind.name;
        match packet.kind() {
            kind::PUBLISH => self.take_publish(packet, out),
            kind::DISCONNECT if self.world.disk_fills => books.refused.raise(),
            kind::PUBREL => {
                let packet_id = packet.packet_id();
                // A second PUBREL is answered as the first was.
                if let Some(said) = self.taken.remove(&packet_id) {
                    books.hear(name, said);
                }
                out.extend(wire::pubcomp(packet_id));
            }
            _ => books.faults.note(format!("{name} is sent {packet:?}")),
        }
    }

    fn take_publish(&mut self, packet: &Packet, out: &mut Vec<u8>) {
        let books = &self.world.books;
        let name = self.kind.name;
        let published = packet.publish(self.kind.level);
        let Some(said) = Said::of(&published.topic, &published.payload) else {
            return books.faults.note(format!("{name} is sent {published:?}"));
        };
        let packet_id = published.packet_id;
        if published.qos != said.qos().min(self.kind.qos) {
            books.faults.note(format!("{name} has {said} at QoS {}", published.qos));
        }
        if published.qos == 1 {
            books.meet(name, said, !self.kind.is_shared());
            books.hear(name, said);
            out.extend(wire::puback(packet_id));
            return;
        }
        match self.taken.get(&packet_id) {
            None => {
                books.meet(name, said, !self.kind.is_shared());
                self.taken.insert(packet_id, said);
            }
            Some(before) if *before != said => {
                books.faults.note(format!("{name} is sent {said} with the packet id of {before}"));
            }
            Some(before) if !published.dup => {
                books.faults.note(format!("{name} is sent {before} again, and not told so"));
            }
            Some(_) => {}
        }
        out.extend(wire::pubrec(packet_id));
    }
}
