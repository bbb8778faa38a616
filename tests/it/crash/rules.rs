//! The server is killed at random moments while rules count, submit scores, republish, batch and are called by the clock.
//!
//! Publishers send again what was not acknowledged, so a number may be in the log twice; every entry of the log has an id of
//! its own. What rules leave in tables is compared with what the clients know: each entry is handled once by each trigger,
//! in its publisher's order, and everything that was published about it is heard by a session that outlives its connections.

mod audit;
mod books;
mod clients;

use std::sync::Arc;
use std::time::Instant;

use pointsman_tests::{Client, PATIENCE, QoS, ServerProcess};
use serde_json::Value;
use tokio::task::JoinSet;

use super::scene::Phase;
use super::stage::{Pace, Stage, StartsCutShort, ended};
use books::Books;
use clients::{Listener, Publisher};

/// Publishers at a time.
const PUBLISHERS: u32 = 4;
/// Long rounds are longer than the server takes to note how far the rules have come.
const PACE: Pace = Pace {
    progress_max: 250,
    long_every: 8,
    long_ms: 1_000..2_500,
    starts: StartsCutShort { every: 6, ms_max: 400 },
};

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
    let mut run = Run::start().await;
    while run.stage.goes_on() {
        run.stage.let_be(&run.books.acknowledged).await;
        run.stage.fall().await;
        run.books.faults.assert_none(&run.stage.when());
        run.stage.tell(&run.books);
    }
    let found = run.conclude().await;
    run.stage.tell(format!("{}; {found}", run.books));
}

/// A server with its clients.
struct Run {
    stage: Stage,
    books: Arc<Books>,
    publishers: JoinSet<()>,
    listener: JoinSet<()>,
}

impl Run {
    async fn start() -> Run {
        let mut stage = Stage::open(PACE).await;
        stage.server.add_rule("crash", RULE).await;
        let books = Arc::<Books>::default();
        let (mut publishers, mut listener) = (JoinSet::new(), JoinSet::new());
        let random = stage.random.fork();
        listener.spawn(Listener::subscribed(stage.link(), Arc::clone(&books), random).await.run());
        for number in 0..PUBLISHERS {
            let random = stage.random.fork();
            publishers.spawn(Publisher::new(number, stage.link(), Arc::clone(&books), random).run());
        }
        Run { stage, books, publishers, listener }
    }

    /// Lets everything come to its end in peace, kills the server once more, and compares. Gives what was found.
    async fn conclude(&mut self) -> String {
        self.stage.come_to(Phase::Drain);
        ended(&mut self.publishers, "the publishers are answered").await;
        let unsettled = self.settle().await;
        self.stage.come_to(Phase::Stop);
        ended(&mut self.listener, "the listener stops").await;
        // The leaderboard is to be what a new server makes of the rows.
        self.stage.server.kill().await;
        self.stage.server.run().await;
        let told = ask(&mut asker(&self.stage.server).await).await;
        self.stage.close().await;
        let tables = audit::Tables::read(self.stage.server.directory(), PUBLISHERS);
        tables.check(&self.books, &told);
        if let Some(told) = unsettled {
            self.books.faults.note(format!("rules or deliveries came to rest with work left: {told}"));
        }
        self.books.faults.assert_none(&self.stage.when());
        tables.to_string()
    }

    /// Waits until everything is handled and heard; if nothing moves any more before, gives what there was then.
    async fn settle(&self) -> Option<Value> {
        let mut asker = asker(&self.stage.server).await;
        let (mut before, mut moved) = (Value::Null, Instant::now());
        loop {
            let told = ask(&mut asker).await;
            let heard = self.books.heard_count();
            let is_last_heard = self.books.has_heard_last();
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
