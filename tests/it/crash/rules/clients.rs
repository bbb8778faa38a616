//! The clients: publishers that send again what was not acknowledged, and a listener whose session outlives its connections.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;

use pointsman_tests::wire::{self, Connect, Packet, kind};
use pointsman_tests::{Peer, within};
use serde_json::Value;

use super::super::random::Random;
use super::super::scene::{Link, Phase, resuming};
use super::books::{Books, Said};

/// Messages of one publisher that wait for their acknowledgement at a time.
const WINDOW: usize = 20;
/// A publisher waits for the rules when it is so many messages ahead of what it was told of: a start of the server takes as
/// long as the rules need until what is left of them fits their queue.
const AHEAD_MAX: u32 = 200;
/// A connection is cut after at most so many packets.
const CUT_PACKETS_MAX: u64 = 2000;
/// The packet id of SUBSCRIBE.
const SUBSCRIBE_ID: u16 = 60_000;

/// See the module.
pub(super) struct Publisher {
    from: u32,
    link: Link,
    books: Arc<Books>,
    random: Random,
    /// Sent and not acknowledged, in order, with their packet ids.
    flights: VecDeque<(u16, Said)>,
    last_number: u32,
    last_id: u16,
}

impl Publisher {
    pub(super) fn new(from: u32, link: Link, books: Arc<Books>, random: Random) -> Publisher {
        Publisher { from, link, books, random, flights: VecDeque::new(), last_number: 0, last_id: 0 }
    }

    /// Publishes until the phase ends and everything is acknowledged.
    pub(super) async fn run(mut self) {
        let connect = resuming(wire::V5, &format!("publisher-{}", self.from));
        while let Some((peer, connack)) = self.link.connect(&connect).await {
            assert_eq!(connack.code, 0, "publisher {} is let in", self.from);
            if self.talk(peer).await.is_some_and(|flow| flow.is_break()) {
                return;
            }
        }
    }

    /// Breaks when there is nothing left to do; `None` if the connection has ended.
    async fn talk(&mut self, mut peer: Peer) -> Option<ControlFlow<()>> {
        let books = Arc::clone(&self.books);
        let cut_after = self.random.below(CUT_PACKETS_MAX);
        let mut packets = 0;
        let mut out = Vec::new();
        for (packet_id, said) in &self.flights {
            out.extend(self.packet(*packet_id, *said, true));
        }
        loop {
            let loading = self.link.phase() == Phase::Load;
            if loading {
                self.fill_window(&mut out);
            } else if self.flights.is_empty() {
                return Some(ControlFlow::Break(()));
            }
            peer.send(&out).await?;
            out.clear();
            let mut next = tokio::select! {
                packet = peer.next() => Some(packet?),
                () = books.hears(self.from, self.told_at_least()), if self.flights.is_empty() => continue,
            };
            while let Some(packet) = next {
                self.take(&packet);
                packets += 1;
                next = peer.arrived();
            }
            if loading && packets > cut_after {
                return Some(ControlFlow::Continue(()));
            }
        }
    }

    fn fill_window(&mut self, out: &mut Vec<u8>) {
        let newest = self.books.newest(self.from);
        while self.flights.len() < WINDOW && newest >= self.told_at_least() {
            self.last_number += 1;
            self.last_id = self.last_id % u16::MAX + 1;
            let said = Said { from: self.from, number: self.last_number };
            out.extend(self.packet(self.last_id, said, false));
            self.flights.push_back((self.last_id, said));
        }
    }

    /// The number that must have been heard of before the next message is sent.
    fn told_at_least(&self) -> u32 {
        (self.last_number + 1).saturating_sub(AHEAD_MAX)
    }

    fn packet(&self, packet_id: u16, said: Said, again: bool) -> Vec<u8> {
        self.books.send(said);
        let (topic, payload) = (format!("work/{}", said.from), said.number.to_string());
        let publish = wire::Publish {
            flags: u8::from(again) << 3 | 1 << 1,
            topic: topic.as_bytes(),
            packet_id,
            properties: Some(&[]),
            payload: payload.as_bytes(),
        };
        publish.packet()
    }

    fn take(&mut self, packet: &Packet) {
        let packet_id = packet.packet_id();
        let at = self.flights.iter().position(|(its, _)| *its == packet_id);
        match at.and_then(|at| self.flights.remove(at)) {
            Some((_, said)) if packet.kind() == kind::PUBACK && packet.reason() < 0x80 => {
                self.books.acknowledge(said);
            }
            said => self.books.faults.note(format!("{said:?} is answered with {packet:?}")),
        }
    }
}

/// See the module.
pub(super) struct Listener {
    link: Link,
    books: Arc<Books>,
    connect: Connect,
    random: Random,
}

impl Listener {
    /// Subscribes, and stays away until it runs.
    pub(super) async fn subscribed(link: Link, books: Arc<Books>, random: Random) -> Listener {
        let connect = resuming(wire::V5, "listener");
        let (mut peer, connack) = link.connect(&connect).await.expect("the case has just begun");
        assert_eq!((connack.code, connack.session_present), (0, false), "the listener is new");
        let subscribe = wire::subscribe(SUBSCRIBE_ID, &[("next/#", 1)], Some(&[]));
        peer.send(&subscribe).await.expect("the server reads");
        let suback = within("SUBACK", peer.next()).await.expect("the server answers");
        assert_eq!((suback.kind(), suback.body.last()), (kind::SUBACK, Some(&1)), "{suback:?}");
        Listener { link, books, connect, random }
    }

    /// Takes what it is sent until everybody stops.
    pub(super) async fn run(mut self) {
        let link = self.link.clone();
        tokio::select! {
            () = self.listen() => {}
            () = link.comes_to(Phase::Stop) => {}
        }
    }

    async fn listen(&mut self) {
        while let Some((peer, connack)) = self.link.connect(&self.connect).await {
            if (connack.code, connack.session_present) != (0, true) {
                self.books.faults.note(format!("the listener's session is lost: {connack:?}"));
            }
            let _ = self.talk(peer).await;
        }
    }

    /// Until the connection has ended, which it is made to after a while.
    async fn talk(&mut self, mut peer: Peer) -> Option<()> {
        let cut_after = self.random.below(CUT_PACKETS_MAX);
        let mut packets = 0;
        while packets <= cut_after || self.link.phase() != Phase::Load {
            let mut out = Vec::new();
            let mut next = Some(peer.next().await?);
            while let Some(packet) = next {
                out.extend(self.take(&packet));
                packets += 1;
                next = peer.arrived();
            }
            peer.send(&out).await?;
        }
        None
    }

    fn take(&self, packet: &Packet) -> Vec<u8> {
        if packet.kind() != kind::PUBLISH {
            self.books.faults.note(format!("the listener is sent {packet:?}"));
            return Vec::new();
        }
        let published = packet.publish(wire::V5);
        match heard(&published.topic, &published.payload) {
            Some((id, said)) => self.books.hear(&id, said),
            None => self.books.faults.note(format!("the listener is sent {published:?}")),
        }
        wire::puback(published.packet_id)
    }
}

fn heard(topic: &str, payload: &[u8]) -> Option<(String, Said)> {
    let value: Value = serde_json::from_slice(payload).ok()?;
    let from = topic.strip_prefix("next/")?.parse().ok()?;
    let number = value["number"].as_u64()?.try_into().ok()?;
    Some((value["id"].as_str()?.to_owned(), Said { from, number }))
}
