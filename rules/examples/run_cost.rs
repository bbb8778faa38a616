//! What one run of a rule costs: `cargo run --release -p pointsman-rules --example run_cost [part of a name]`.

use std::hint::black_box;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use pointsman_rules::{EmptySnapshot, Engine, Event, EventId, Limits, Message, RuleName, Snapshot};

const RUNS: u32 = 500;
/// The best of many short rounds counts: what else runs on the machine does not disturb all of them.
const ROUNDS: u32 = 1_000;

const EMPTY: &str = r#"
on_message("chat/out", "relay");
fn relay(msg) { }
"#;

const PARSE: &str = r#"
on_message("chat/out", "relay");
fn relay(msg) { let said = msg.json; }
"#;

const PUBLISH: &str = r#"
on_message("chat/out", "relay");
fn relay(msg) {
    let said = msg.json;
    publish(`chat/pub/${said.room}`, #{ from: msg.client_id, text: said.text, at: msg.time });
}
"#;

const RELAY: &str = r#"
on_message("chat/out", "relay");
fn relay(msg) {
    let said = msg.json;
    publish(`chat/pub/${said.room}`, #{ from: msg.client_id, text: said.text, at: msg.time });
    table("messages").put(said.room, msg.id, #{ from: msg.client_id, text: said.text }, #{ ttl: "7d" });
}
"#;

/// Nine fields of the message and its JSON, a topic of them, and one effect.
const NINE: &str = r#"
on_message("chat/out", "relay");
fn relay(msg) {
    let said = msg.json;
    publish(`chat/pub/${said.room}/${said.lang}`, #{
        text: said.text, n: said.n, seen: said.seen, at: said.at, page: said.meta.page, from: msg.client_id, time: msg.time
    });
}
"#;

/// The same with something that takes the interpreter, and costs no more there.
const NINE_INTERPRETED: &str = r#"
on_message("chat/out", "relay");
fn relay(msg) {
    let said = msg.json;
    publish(`chat/pub/${said["room"]}/${said.lang}`, #{
        text: said.text, n: said.n, seen: said.seen, at: said.at, page: said.meta.page, from: msg.client_id, time: msg.time
    });
}
"#;

/// What a device on a chat mostly needs: one field becomes a part of the topic.
const FORWARD: &str = r#"
on_message("chat/out", "relay");
fn relay(msg) { publish("chat/pub/" + msg.json.room, msg.raw); }
"#;

fn monotonic() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let only = std::env::args().nth(1).unwrap_or_default();
    let engine = Engine::new(Limits::default(), monotonic);
    let filler = "x".repeat(130);
    let payload = format!(
        "{{\"room\":\"lobby\",\"text\":\"hello there\",\"lang\":\"en\",\"n\":12,\"seen\":true,\
         \"tags\":[\"a\",\"b\"],\"at\":1700000000000,\"meta\":{{\"page\":\"/lobby\",\"note\":\"{filler}\"}}}}"
    );
    println!("payload: {} bytes", payload.len());
    let snapshot: Arc<dyn Snapshot> = Arc::new(EmptySnapshot);
    for (name, source) in [
        ("empty handler", EMPTY),
        ("JSON parsed", PARSE),
        ("parsed and published", PUBLISH),
        ("parsed, published and stored", RELAY),
        ("nine fields", NINE),
        ("nine fields, by the interpreter", NINE_INTERPRETED),
        ("forwarded by a field", FORWARD),
        ("chat.rhai", include_str!("../../config/rules/chat.rhai")),
    ] {
        if !name.contains(&only) {
            continue;
        }
        let rule = engine.compile(&RuleName::parse("bench")?, "bench.rhai", source)?;
        let message = Message {
            topic: "chat/out".into(),
            client_id: "client-1".into(),
            user: None,
            payload: payload.clone().into(),
            qos: 1,
            retain: false,
            time_ms: 1_700_000_000_000,
            id: EventId::new(1_700_000_000_000, 1),
        };
        let operations = engine.run(&rule, 0, &Event::message(message.clone()), &snapshot)?.operations;
        let mut best = f64::MAX;
        for _ in 0..ROUNDS {
            let start = Instant::now();
            for _ in 0..RUNS {
                // A new event each time, so that parsing counts.
                let event = Event::message(message.clone());
                black_box(engine.run(&rule, 0, &event, &snapshot)?);
            }
            best = best.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(RUNS));
        }
        println!("{name}: {best:.0} ns a run, {operations} operations");
    }
    Ok(())
}
