//! What one SQL rule costs a message: `cargo run --release -p pointsman-rules --example sql_cost [part of a name]`.

use std::hint::black_box;
use std::time::Instant;

use pointsman_rules::sql::{NoFunctions, SqlRule};
use pointsman_rules::{EmptySnapshot, EventId, Message, RuleName};

const RUNS: u32 = 10_000;
/// The best of many short rounds counts: what else runs on the machine does not disturb all of them.
const ROUNDS: u32 = 100;

const SMALL: &str = r#"{"room":"lobby","text":"hello there","n":12,"at":1700000000000}"#;
const LARGE: &str = r#"{"room":"lobby","text":"hello there","lang":"en","n":12,"seen":true,"tags":["a","b"],"at":1700000000000,"temp":21.5,"user":{"name":"ann","id":17},"meta":{"page":"/lobby","note":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}}"#;

const CASES: [(&str, &str, &str); 7] = [
    ("republish by a field", SMALL, "SELECT * FROM 'chat/out' THEN REPUBLISH 'chat/pub/${room}'"),
    (
        "republish by a field what WHERE lets through",
        SMALL,
        "SELECT * FROM 'chat/out' WHERE n < 100 THEN REPUBLISH 'chat/pub/${room}'",
    ),
    (
        "republish two fields by a field",
        SMALL,
        "SELECT room, text FROM 'chat/out' THEN REPUBLISH 'chat/pub/${room}'",
    ),
    (
        "the chat rule",
        SMALL,
        "SELECT *, clientId() AS clientId, timestamp() AS timestamp FROM 'chat/out'
         WHERE NOT isUndefined(text) AND NOT isUndefined(room) THEN REPUBLISH 'chat/pub/${room}'",
    ),
    ("reject by WHERE", SMALL, "SELECT * FROM 'chat/out' WHERE n > 100 THEN REPUBLISH 'chat/pub/${room}'"),
    (
        "nine fields of 300 bytes",
        LARGE,
        "SELECT room, text, lang, n * 2 AS n, seen, at, temp, user.name AS name, meta.page AS page
         FROM 'chat/out' THEN REPUBLISH 'chat/pub/${room}', TABLE 'chat' KEY '${room}' SORT '${at}'",
    ),
    (
        "reject 300 bytes by WHERE",
        LARGE,
        "SELECT * FROM 'chat/out' WHERE n > 100 THEN REPUBLISH 'chat/pub/${room}'",
    ),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let only = std::env::args().nth(1).unwrap_or_default();
    for (name, payload, sql) in CASES.into_iter().filter(|(name, ..)| name.contains(&only)) {
        let rule = SqlRule::compile(&RuleName::parse("bench")?, "bench.sql", sql)?;
        let message = Message {
            topic: "chat/out".into(),
            client_id: "client-1".into(),
            user: None,
            payload: payload.into(),
            qos: 0,
            retain: false,
            time_ms: 1_700_000_000_000,
            id: EventId::new(1_700_000_000_000, 1),
        };
        let outcome = rule.run(&message, &EmptySnapshot, &NoFunctions)?;
        let mut best = f64::MAX;
        for _ in 0..ROUNDS {
            let start = Instant::now();
            for _ in 0..RUNS {
                black_box(rule.run(black_box(&message), &EmptySnapshot, &NoFunctions)?);
            }
            best = best.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(RUNS));
        }
        println!(
            "{name}: {} bytes, {} effects, {best:.0} ns a message",
            payload.len(),
            outcome.effects.len()
        );
    }
    Ok(())
}
