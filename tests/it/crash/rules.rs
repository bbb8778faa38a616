//! The server is killed at random moments while rules count, submit scores, republish, batch and are called by the clock.
//!
//! Publishers send again what was not acknowledged, so a number may be in the log twice; every entry of the log has an id of
//! its own. What rules leave in tables is compared with what the clients know: each entry is handled once by each trigger,
//! in its publisher's order, and everything that was published about it is heard by a session that outlives its connections.

mod audit;
mod books;
mod clients;

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pointsman_tests::{Client, PATIENCE, QoS, ServerProcess, within};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::random::Random;
use super::sessions::{KILLS_VARIABLE, SEED_VARIABLE, number_in};
use clients::{Link, Listener, Phase, Publisher, Scene};

/// How often the server is killed if nobody says how often.
const KILLS: u64 = 12;
/// Publishers at a time.
const PUBLISHERS: u32 = 4;
/// A kill comes when at most this many messages of its round were acknowledged.
const PROGRESS_MAX: u64 = 250;
/// One round in so many is longer than the server takes to note how far the rules have come.
const LONG_EVERY: u64 = 8;
/// How long such a round is, and what may be added to it.
const LONG_MS: (u64, u64) = (1_000, 1_500);
/// After a fall, one start in so many is cut short, after at most this long.
const START_KILLED_EVERY: u64 = 6;
const START_MS_MAX: u64 = 400;

/// A rate keeps the books of a long run small. The section of rules is open at this place.
const CONFIG: &str = "run_time_max_ms = 10000\n[limits]\npublish_messages_per_second = 200\n";

/// Every row says how often it was written. `places` numbers what is handled, publisher by publisher.
const RULE: &str = r#"
    const BOARD = leaderboard("crash", #{ kind: "sum" });
    on_message("work/{from}", "work");
    on_batch("work/+", #{ max_messages: 20, max_delay: "50ms" }, "batch");
    on_message("next/{from}", "next");
    every("100ms", #{ missed: "all" }, "tick");
    on_message("ask", "ask");

    fn note(name, hash, sort, row) {
        let before = table(name).get(hash, sort);
        row.times = if before == () { 1 } else { before.times + 1 };
        table(name).put(hash, sort, row);
    }
    fn work(msg) {
        let from = msg.params.from;
        let number = msg.json;
        let place = table("places").add(from, "", "n", 1);
        note("entries", from, msg.id, #{ number: number, place: place });
        table("count").add("work", "", "n", 1);
        BOARD.submit(from, number);
        publish("next/" + from, #{ id: msg.id, number: number }, #{ qos: 1 });
    }
    fn next(msg) {
        table("count").add("next", "", "n", 1);
        note("nexts", msg.params.from, msg.json.id, #{ number: msg.json.number });
    }
    fn batch(batch) {
        let messages = [];
        for msg in batch.messages { messages.push(#{ topic: msg.topic, id: msg.id }); }
        let place = table("count").add("batch", "", "n", messages.len());
        note("batches", "all", batch.id, #{ place: place, messages: messages });
    }
    fn tick(tick) { note("ticks", "all", tick.time, #{}); }
    fn ask(msg) {
        let count = table("count");
        let scores = #{};
        for entry in BOARD.top(100) { scores[entry.member] = entry.score; }
        publish("told", #{
            work: count.get("work")?.n ?? 0, next: count.get("next")?.n ?? 0, batch: count.get("batch")?.n ?? 0,
            scores: scores,
        }, #{ qos: 1 });
    }
"#;

#[tokio::test]
async fn what_was_acknowledged_is_handled_once_over_kills() {
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
        run.link.books.assert_faultless(&format!("after {done} kills, {random}"));
        println!("{done} kills in {:?}, {}", started.elapsed(), run.link.books);
    }
    let found = run.conclude(&format!("after {done} kills, {random}")).await;
    println!("{done} kills in {:?}, {}; {found}", started.elapsed(), run.link.books);
}

/// A server with its clients.
struct Run {
    server: ServerProcess,
    scene: watch::Sender<Scene>,
    link: Link,
    publishers: JoinSet<()>,
    listener: JoinSet<()>,
}

impl Run {
    async fn start(random: &mut Random) -> Run {
        let server = ServerProcess::start_with(env!("CARGO_BIN_EXE_server"), CONFIG).await;
        server.add_rule("crash", RULE).await;
        let scene = watch::Sender::new(Scene { phase: Phase::Load, up: true });
        let link = Link { address: server.mqtt, scene: scene.subscribe(), books: Arc::default() };
        let (mut publishers, mut listener) = (JoinSet::new(), JoinSet::new());
        listener.spawn(Listener::subscribed(link.clone(), random.fork()).await.run());
        for number in 0..PUBLISHERS {
            publishers.spawn(Publisher::new(number, link.clone(), random.fork()).run());
        }
        Run { server, scene, link, publishers, listener }
    }

    /// Lets the clients go on for a random while.
    async fn let_be(&self, round: u64, random: &mut Random) {
        if round % LONG_EVERY == LONG_EVERY / 2 {
            let (least, more) = LONG_MS;
            let long = Duration::from_millis(least + random.below(more));
            let _ = tokio::time::timeout(long, pending::<()>()).await;
        }
        within("the work goes on", self.link.books.advances(random.below(PROGRESS_MAX))).await;
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

    /// Lets everything come to its end in peace, kills the server once more, and compares. Gives what was found.
    async fn conclude(&mut self, when: &str) -> String {
        self.scene.send_modify(|scene| scene.phase = Phase::Drain);
        finish(&mut self.publishers, "the publishers are answered").await;
        let unsettled = self.settle().await;
        self.scene.send_modify(|scene| scene.phase = Phase::Stop);
        finish(&mut self.listener, "the listener stops").await;
        // The leaderboard is to be what a new server makes of the rows.
        self.server.kill().await;
        self.server.run().await;
        let told = ask(&mut asker(&self.server).await).await;
        let ended = self.server.terminate().await;
        assert!(ended.status.success() && !ended.stderr.contains("panicked"), "{ended:?}");
        let tables = audit::Tables::read(self.server.directory(), PUBLISHERS);
        tables.check(&self.link.books, &told);
        if let Some(told) = unsettled {
            self.link.books.fault(format!("rules or deliveries came to rest with work left: {told}"));
        }
        self.link.books.assert_faultless(when);
        tables.to_string()
    }

    /// Waits until everything is handled and heard; if nothing moves any more before, gives what there was then.
    async fn settle(&self) -> Option<Value> {
        let mut asker = asker(&self.server).await;
        let (mut before, mut moved) = (Value::Null, Instant::now());
        loop {
            let told = ask(&mut asker).await;
            let heard = self.link.books.heard_count();
            let is_last_heard = self.link.books.has_heard_last();
            if is_last_heard && told["work"] == heard && told["next"] == heard && told["batch"] == heard {
                return None;
            }
            let now = serde_json::json!([told, heard]);
            if now != before {
                (before, moved) = (now, Instant::now());
            }
            if moved.elapsed() > PATIENCE {
                return Some(before);
            }
        }
    }
}

async fn asker(server: &ServerProcess) -> Client {
    let mut asker = server.mqtt("asker").await;
    asker.subscribe("told", QoS::AtLeastOnce).await;
    asker
}

async fn ask(asker: &mut Client) -> Value {
    asker.publish("ask", "").await;
    asker.recv_on("told").await.json()
}

/// Waits for clients' tasks, whose own failures are failures of the case.
async fn finish(clients: &mut JoinSet<()>, what: &str) {
    while let Some(ended) = within(what, clients.join_next()).await {
        ended.expect("a client does not fail");
    }
}
