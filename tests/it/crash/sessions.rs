//! The server is killed at random moments under QoS 1 and QoS 2 load of clients whose sessions outlive their connections.
//!
//! Every client does what the standard asks of it and is cut off at random moments besides. Whatever was acknowledged must
//! reach every subscriber, those that are away most of the time too; what is QoS 2 on its whole way must do so once.

mod audit;
mod books;
mod publisher;
mod subscriber;
mod world;

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pointsman_tests::{DiskFull, PATIENCE, ServerProcess, wire, within};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::random::Random;
use books::Books;
use publisher::Publisher;
use subscriber::{Kind, Subscriber};
use world::{Phase, Scene, World};

/// How often the server is killed if nobody says how often.
const KILLS: u64 = 12;
/// Set, it says how often the server is killed.
pub(super) const KILLS_VARIABLE: &str = "POINTSMAN_CRASH_KILLS";
/// Set, it is the seed of an earlier run.
pub(super) const SEED_VARIABLE: &str = "POINTSMAN_CRASH_SEED";
/// Publishers at a time.
const PUBLISHERS: u32 = 4;
/// A kill comes when at most this many messages of its round were acknowledged.
const PROGRESS_MAX: u64 = 300;
/// One round in so many is longer than the server takes to write sessions down.
const LONG_EVERY: u64 = 16;
/// How long such a round is, and what may be added to it.
const LONG_MS: (u64, u64) = (5_000, 1_500);
/// After a fall, one start in so many is cut short, after at most this long.
const START_KILLED_EVERY: u64 = 6;
const START_MS_MAX: u64 = 250;

/// A rate keeps the books of a long run small. The section of rules is open at this place.
const CONFIG: &str = "run_time_max_ms = 10000\n[limits]\npublish_messages_per_second = 200\n";

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
    let kills = number_in(KILLS_VARIABLE).unwrap_or(KILLS);
    let mut random = number_in(SEED_VARIABLE).map_or_else(Random::new, Random::of);
    println!("{random}");
    let started = Instant::now();
    let mut run = Run::start(&mut random).await;
    let (mut done, mut round) = (0, 0);
    while done < kills {
        round += 1;
        run.let_be(round, &mut random).await;
        done += run.fall(&mut random).await;
        audit::retained(&run.server, &run.world.books).await;
        run.world.books.assert_faultless(&format!("after {done} kills, {random}"));
        println!("{done} kills in {:?}, {}", started.elapsed(), run.world.books);
    }
    run.conclude(&format!("after {done} kills, {random}")).await;
    println!("{done} kills in {:?}, {}", started.elapsed(), run.world.books);
}

#[tokio::test]
async fn what_was_acknowledged_reaches_every_session_over_full_disks() {
    let falls = number_in(KILLS_VARIABLE).unwrap_or(KILLS) / 2;
    let mut random = number_in(SEED_VARIABLE).map_or_else(Random::new, Random::of);
    println!("{random}");
    let mut run = Run::start_where(&mut random, |world| world.disk_fills = true).await;
    for fall in 1..=falls {
        let when = format!("after {fall} full disks, {random}");
        run.let_be(0, &mut random).await;
        run.server.fill_disk(DiskFull::Yes).await;
        within("some are refused", run.world.books.refuses(1 + random.below(20))).await;
        if fall % 3 == 0 {
            // Killed with a full disk, it starts when there is room.
            run.fall(&mut random).await;
        } else {
            run.server.fill_disk(DiskFull::No).await;
        }
        assert!(!run.server.stderr().contains("panicked"), "{when}: {}", run.server.stderr());
        run.world.books.assert_faultless(&when);
    }
    run.conclude(&format!("after {falls} full disks, {random}")).await;
    println!("{falls} full disks, {}", run.world.books);
}

/// What a variable of the environment says, decimal or hexadecimal.
pub(super) fn number_in(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    Some(number.unwrap_or_else(|error| panic!("{variable}={text:?} is no number: {error}")))
}

/// A server with its clients.
struct Run {
    server: ServerProcess,
    scene: watch::Sender<Scene>,
    world: World,
    publishers: JoinSet<()>,
    subscribers: JoinSet<()>,
}

impl Run {
    async fn start(random: &mut Random) -> Run {
        Run::start_where(random, |_| {}).await
    }

    async fn start_where(random: &mut Random, differs: impl FnOnce(&mut World)) -> Run {
        let server = ServerProcess::start_with(env!("CARGO_BIN_EXE_server"), CONFIG).await;
        let scene = watch::Sender::new(Scene { phase: Phase::Load, up: true });
        let books = Arc::<Books>::default();
        let mut world = World { address: server.mqtt, scene: scene.subscribe(), books, disk_fills: false };
        differs(&mut world);
        let (mut publishers, mut subscribers) = (JoinSet::new(), JoinSet::new());
        for kind in SUBSCRIBERS {
            subscribers.spawn(Subscriber::new(kind, world.clone(), random.fork()).await.run());
        }
        for number in 0..PUBLISHERS {
            publishers.spawn(Publisher::new(number, world.clone(), random.fork()).run());
        }
        Run { server, scene, world, publishers, subscribers }
    }

    /// Lets the clients go on for a random while.
    async fn let_be(&self, round: u64, random: &mut Random) {
        if round > 0 && round % LONG_EVERY == LONG_EVERY / 2 {
            let (least, more) = LONG_MS;
            let long = Duration::from_millis(least + random.below(more));
            let _ = tokio::time::timeout(long, pending::<()>()).await;
        }
        let messages = random.below(PROGRESS_MAX);
        within("the talk goes on", self.world.books.advances(messages)).await;
    }

    /// Kills the server and starts it again. Gives how often it was killed.
    async fn fall(&mut self, random: &mut Random) -> u64 {
        self.scene.send_modify(|scene| scene.up = false);
        let mut kills = 1;
        let mut ended = self.server.kill().await;
        while random.below(START_KILLED_EVERY) == 0 {
            // The start is given up in the middle, so that the kill meets what recovery does.
            let patience = Duration::from_millis(random.below(START_MS_MAX));
            let _ = tokio::time::timeout(patience, self.server.run()).await;
            ended = self.server.kill().await;
            kills += 1;
        }
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        self.server.run().await;
        self.scene.send_modify(|scene| scene.up = true);
        kills
    }

    /// Lets everything come to its end in peace, and compares.
    async fn conclude(&mut self, when: &str) {
        let books = Arc::clone(&self.world.books);
        self.scene.send_modify(|scene| scene.phase = Phase::Drain);
        finish(&mut self.publishers, "the publishers are answered").await;
        let mut heard = books.heard();
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
        audit::retained(&self.server, &books).await;
        self.scene.send_modify(|scene| scene.phase = Phase::Stop);
        finish(&mut self.subscribers, "the subscribers stop").await;
        audit::note_duplicates(&books, &SUBSCRIBERS);
        books.assert_faultless(when);
        let ended = self.server.terminate().await;
        assert!(ended.status.success() && !ended.stderr.contains("panicked"), "{ended:?}");
    }
}

/// Waits for clients' tasks, whose own failures are failures of the case.
async fn finish(clients: &mut JoinSet<()>, what: &str) {
    while let Some(ended) = within(what, clients.join_next()).await {
        ended.expect("a client does not fail");
    }
}
