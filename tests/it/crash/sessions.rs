//! The server is killed at random moments under QoS 1 and QoS 2 load of clients whose sessions outlive their connections.
//!
//! Every client does what the standard asks of it and is cut off at random moments besides. Whatever was acknowledged must
//! reach every subscriber, those that are away most of the time too; what is QoS 2 on its whole way must do so once.

mod audit;
mod books;
mod publisher;
mod subscriber;
mod world;

use std::sync::Arc;

use pointsman_tests::{DiskFull, PATIENCE, wire, within};
use tokio::task::JoinSet;

use super::scene::Phase;
use super::stage::{Pace, Stage, StartsCutShort, ended, kills_wanted};
use publisher::Publisher;
use subscriber::{Kind, Subscriber};
use world::World;

/// Publishers at a time.
const PUBLISHERS: u32 = 4;
/// Long rounds are longer than the server takes to write sessions down.
const PACE: Pace = Pace {
    progress_max: 300,
    long_every: 16,
    long_ms: 5_000..6_500,
    starts: StartsCutShort { every: 6, ms_max: 250 },
};

const fn reads(name: &'static str, level: u8, filter: &'static str, qos: u8) -> Kind {
    Kind { name, level, filter, qos, receive_max: 100, rare: false }
}

const fn rarely(kind: Kind) -> Kind {
    Kind { rare: true, ..kind }
}

/// Who listens.
const SUBSCRIBERS: [Kind; 9] = [
    reads("online-1", wire::V311, "load/#", 1),
    reads("online-2", wire::V311, "load/#", 2),
    Kind { receive_max: 5, ..reads("narrow", wire::V5, "load/#", 2) },
    rarely(reads("rare-1", wire::V5, "load/#", 1)),
    rarely(reads("rare-2", wire::V5, "load/#", 2)),
    rarely(reads("rare-311", wire::V311, "load/#", 2)),
    reads("member-1", wire::V5, "$share/group/load/#", 2),
    reads("member-2", wire::V311, "$share/group/load/#", 2),
    rarely(reads("member-3", wire::V5, "$share/group/load/#", 2)),
];

#[tokio::test]
async fn what_was_acknowledged_reaches_every_session_over_kills() {
    let mut run = Run::start(|_| {}).await;
    while run.stage.goes_on() {
        run.stage.let_be(&run.world.books.acknowledged).await;
        run.stage.fall().await;
        audit::retained(&run.stage.server, &run.world.books).await;
        run.world.books.faults.assert_none(&run.stage.when());
        run.stage.tell(&run.world.books);
    }
    run.conclude(&run.stage.when()).await;
    run.stage.tell(&run.world.books);
}

#[tokio::test]
async fn what_was_acknowledged_reaches_every_session_over_full_disks() {
    let falls = kills_wanted() / 2;
    let mut run = Run::start(|world| world.disk_fills = true).await;
    for fall in 1..=falls {
        let when = format!("after {fall} full disks, {}", run.stage.random);
        run.stage.let_be(&run.world.books.acknowledged).await;
        run.stage.server.fill_disk(DiskFull::Yes).await;
        let refusals = 1 + run.stage.random.below(20);
        within("some are refused", run.world.books.refused.grows(refusals)).await;
        if fall % 3 == 0 {
            // Killed with a full disk, it starts when there is room.
            run.stage.fall().await;
        } else {
            run.stage.server.fill_disk(DiskFull::No).await;
        }
        let stderr = run.stage.server.stderr();
        assert!(!stderr.contains("panicked"), "{when}: {stderr}");
        run.world.books.faults.assert_none(&when);
    }
    run.conclude(&format!("after {falls} full disks, {}", run.stage.random)).await;
    run.stage.tell(format!("{falls} full disks, {}", run.world.books));
}

/// A server with its clients.
struct Run {
    stage: Stage,
    world: World,
    publishers: JoinSet<()>,
    subscribers: JoinSet<()>,
}

impl Run {
    async fn start(differs: impl FnOnce(&mut World)) -> Run {
        let mut stage = Stage::open(PACE).await;
        let mut world = World { link: stage.link(), books: Arc::default(), disk_fills: false };
        differs(&mut world);
        let (mut publishers, mut subscribers) = (JoinSet::new(), JoinSet::new());
        for kind in SUBSCRIBERS {
            subscribers.spawn(Subscriber::new(kind, world.clone(), stage.random.fork()).await.run());
        }
        for number in 0..PUBLISHERS {
            publishers.spawn(Publisher::new(number, world.clone(), stage.random.fork()).run());
        }
        Run { stage, world, publishers, subscribers }
    }

    /// Lets everything come to its end in peace, and compares.
    async fn conclude(&mut self, when: &str) {
        let books = Arc::clone(&self.world.books);
        self.stage.come_to(Phase::Drain);
        ended(&mut self.publishers, "the publishers are answered").await;
        let mut heard = books.heard.watch();
        loop {
            let missing = audit::missing(&books, &SUBSCRIBERS);
            if missing.is_empty() {
                break;
            }
            // At least as many must be heard before it is worth to look again.
            let goal = *heard.borrow() + missing.len() as u64;
            while *heard.borrow_and_update() < goal {
                let changed = tokio::time::timeout(PATIENCE, heard.changed()).await;
                let still = || audit::summary(&books, &audit::missing(&books, &SUBSCRIBERS));
                assert!(changed.is_ok(), "nothing more is heard, {when}:{}", still());
            }
        }
        audit::retained(&self.stage.server, &books).await;
        self.stage.come_to(Phase::Stop);
        ended(&mut self.subscribers, "the subscribers stop").await;
        audit::note_duplicates(&books, &SUBSCRIBERS);
        books.faults.assert_none(when);
        self.stage.close().await;
    }
}
