//! Lanes, stepped through at random: whatever publishers, the router and the reader do in whatever order, the reader
//! has every entry once and in order.

use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;
use crate::mqtt::codec::QoS;
use crate::mqtt::{EnvelopeBuilder, Interest, Marks, Origin, SERVER};
use pointsman_rules::EventId;

const PUBLISHERS: usize = 3;

fn envelope(number: u64) -> Envelope {
    let mut builder = EnvelopeBuilder::default();
    builder.push("t", b"", &[], Marks { qos: QoS::AtMostOnce, retain: false, interest: Interest::default() });
    let first_id = EventId::from_u128(u128::from(number));
    builder.seal(&Origin { publisher: SERVER, client_id: "", user: None, hops: 0, first_id })
}

/// One thing that one thread or the router does, with the lock held or without.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// A publisher adds an entry; one that is delivering delivers, and looks for more.
    Publisher(usize),
    /// The reader takes up to so many entries from the router.
    Take(usize),
    /// The reader has had them.
    Had,
    /// The router drops its oldest entries, all but so many.
    Evict(usize),
    /// The router damages the entry that the reader gets next.
    Damage,
    /// The router ends, and the next publisher starts another.
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..PUBLISHERS).prop_map(Step::Publisher),
        4 => (1..5_usize).prop_map(Step::Take),
        4 => Just(Step::Had),
        1 => (1..4_usize).prop_map(Step::Evict),
        1 => Just(Step::Damage),
        1 => Just(Step::Kill),
    ]
}

/// A publisher that delivers: with what, how many bytes it has in hand, and how often it has looked for more.
struct Carrying {
    deliver: Deliver,
    batch: Vec<Envelope>,
    rounds: usize,
}

struct World {
    lane: Lane,
    got: Arc<Mutex<Vec<u64>>>,
    published: u64,
    carrying: [Option<Carrying>; PUBLISHERS],
    /// The router: how many entries it was ever given, and those it still has for the reader.
    given: u64,
    log: VecDeque<Routed>,
    /// Whether the reader is linked to a router that has ended.
    orphaned: bool,
    turn: Option<(Turn, Vec<Envelope>)>,
}

impl World {
    fn new(inline: bool) -> World {
        let got: Arc<Mutex<Vec<u64>>> = Arc::default();
        let seen = Arc::clone(&got);
        let deliver = move |envelopes: &[Envelope]| {
            let numbers = envelopes.iter().map(|it| u64::try_from(it.id(0).to_u128()).unwrap());
            seen.lock().unwrap().extend(numbers);
        };
        let options = ReaderOptions { inline, ..ReaderOptions::default() };
        World {
            lane: Lane::new(options, Box::new(deliver)),
            got,
            published: 0,
            carrying: Default::default(),
            given: 0,
            log: VecDeque::new(),
            orphaned: false,
            turn: None,
        }
    }

    fn send(&mut self, envelopes: &[Envelope]) {
        for envelope in envelopes {
            self.log.push_back((self.given, Some(envelope.clone())));
            self.given += 1;
            self.lane.note_sent();
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Publisher(publisher) => match self.carrying[publisher].take() {
                Some(carrying) => self.carry(publisher, carrying),
                None => self.publish(publisher),
            },
            Step::Take(count) if self.turn.is_none() => self.take(count),
            Step::Had => self.had(),
            Step::Evict(left) => self.log.drain(..self.log.len().saturating_sub(left)).for_each(drop),
            Step::Damage => self.log.front_mut().into_iter().for_each(|(_, envelope)| *envelope = None),
            Step::Kill => {
                self.log.clear();
                self.given = 0;
                self.orphaned = true;
                self.lane.reset();
            }
            Step::Take(_) => {}
        }
    }

    fn publish(&mut self, publisher: usize) {
        let envelope = envelope(self.published);
        self.published += 1;
        match self.lane.add(&envelope) {
            Added::Nothing => {}
            Added::Deliver(deliver) => {
                self.carrying[publisher] = Some(Carrying { deliver, batch: vec![envelope], rounds: 0 });
            }
            Added::Send => self.send(&[envelope]),
        }
    }

    fn carry(&mut self, publisher: usize, mut carrying: Carrying) {
        (carrying.deliver)(&carrying.batch);
        let had = carrying.batch.drain(..).map(|envelope| envelope.bytes().len() as u64).sum();
        if carrying.rounds == 2 {
            let left = self.lane.hand_over(carrying.deliver, had);
            self.send(&left);
            return;
        }
        let mut batch = carrying.batch;
        let rounds = carrying.rounds + 1;
        let more = self.lane.more(carrying.deliver, had, 2, &mut batch);
        self.carrying[publisher] = more.map(|deliver| Carrying { deliver, batch, rounds });
    }

    fn take(&mut self, count: usize) {
        let mut batch = Vec::new();
        let turn = if std::mem::take(&mut self.orphaned) {
            self.lane.take_all(&mut batch)
        } else {
            let count = count.min(self.log.len());
            let routed: Vec<Routed> = self.log.drain(..count).collect();
            self.lane.take_turn(routed.into_iter(), &mut batch)
        };
        self.turn = turn.map(|turn| (turn, batch));
    }

    fn had(&mut self) {
        if let Some((mut turn, batch)) = self.turn.take() {
            (turn.deliver)(&batch);
            self.lane.end_turn(turn.deliver, turn.end);
        }
    }

    /// Everybody goes on until nothing is left to do.
    fn settle(&mut self) {
        for _ in 0..1000 {
            for publisher in 0..PUBLISHERS {
                if self.carrying[publisher].is_some() {
                    self.step(Step::Publisher(publisher));
                }
            }
            self.step(Step::Take(16));
            self.step(Step::Had);
        }
    }
}

proptest! {
    #[test]
    fn the_reader_has_every_entry_once_and_in_order(
        inline in any::<bool>(),
        steps in proptest::collection::vec(step(), 1..200),
    ) {
        let mut world = World::new(inline);
        for step in steps {
            world.step(step);
        }
        world.settle();
        let expected: Vec<u64> = (0..world.published).collect();
        prop_assert_eq!(&*world.got.lock().unwrap(), &expected);
        prop_assert_eq!(world.lane.bytes(), 0);
        prop_assert_eq!(world.lane.route.is_none(), inline, "publishers carry again once all is had");
    }
}

#[test]
fn what_comes_while_a_publisher_delivers_is_left_to_it_and_then_to_the_router() {
    let mut world = World::new(true);
    for publisher in [0, 1, 1, 1] {
        world.step(Step::Publisher(publisher));
    }
    world.step(Step::Publisher(0));
    assert_eq!(*world.got.lock().unwrap(), [0], "it delivers its own");
    world.step(Step::Publisher(0));
    assert_eq!(*world.got.lock().unwrap(), [0, 1, 2], "and what came meanwhile, a few at a time");
    world.step(Step::Publisher(0));
    assert_eq!(*world.got.lock().unwrap(), [0, 1, 2, 3]);
    world.step(Step::Publisher(2));
    assert!(world.log.is_empty(), "the last was delivered at the third round, and nothing was left");
}

#[test]
fn a_reader_is_not_given_what_it_does_not_want() {
    let got: Arc<Mutex<usize>> = Arc::default();
    let seen = Arc::clone(&got);
    let options = ReaderOptions { inline: true, wants: |envelope| envelope.interest().rules };
    let mut lane = Lane::new(options, Box::new(move |batch| *seen.lock().unwrap() += batch.len()));
    assert!(matches!(lane.add(&envelope(0)), Added::Nothing));
    assert_eq!((lane.bytes(), lane.end()), (0, 0));
}
