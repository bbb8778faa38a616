//! Why an event sets a trigger off, or not, and why a statement asks for nothing.

use pointsman_rules::{EmptySnapshot, Event, EventDefaults, EventId, RuleName};
use serde_json::{Value, json};

use crate::support::{NOW_MS, compile, message, patient};

const RULE: &str = r#"
    on_message("a/{room}", "take");
    on_batch("b/#", #{ max_messages: 10 }, "many");
    on_event(#{ source: ["game"], detail: #{ points: [#{ numeric: [">", 5] }] } }, "score");
    on_change("orders", "changed");
    on_connect("came");
    every("1m", "tick");
    fn take(msg) { }
    fn many(batch) { }
    fn score(event) { }
    fn changed(change) { }
    fn came(event) { }
    fn tick(event) { }
"#;

fn event(value: &Value) -> Event {
    let defaults = EventDefaults { time_ms: NOW_MS, id: EventId::new(NOW_MS.unsigned_abs(), 1) };
    Event::from_json(value, defaults).unwrap()
}

#[test]
fn each_trigger_says_why_an_event_does_not_set_it_off() {
    let rule = compile(&patient(), RULE).unwrap();
    let bus = |source: &str, points: u64| json!({ "kind": "bus", "source": source, "detail_type": "t", "detail": { "points": points } });
    let change = |table: &str| json!({ "kind": "change", "table": table, "hash": "h", "after": 1 });
    for (trigger, value, says) in [
        (0, json!({ "kind": "message", "topic": "a/b" }), None),
        (0, json!({ "kind": "message", "topic": "b/c" }), Some("filter a/{room} does not match b/c")),
        (1, json!({ "kind": "message", "topic": "b/c" }), None),
        (1, json!({ "kind": "message", "topic": "a/b" }), Some("filter b/# does not match a/b")),
        (2, bus("game", 6), None),
        (2, bus("game", 5), Some("detail.points: 5 is not wanted")),
        (2, bus("shop", 6), Some("source: \"shop\" is not wanted")),
        (2, json!({ "kind": "message", "topic": "a/b" }), Some("is not set off by a message")),
        (3, change("orders"), None),
        (3, change("users"), Some("it watches table orders, and this is a row of users")),
        (4, json!({ "kind": "connect", "client_id": "c" }), None),
        (4, json!({ "kind": "disconnect", "client_id": "c" }), Some("what sets off on_disconnect")),
        (5, json!({ "kind": "tick" }), None),
        (5, change("orders"), Some("is not set off by a change of a row")),
    ] {
        let event = event(&value);
        let why = rule.triggers[trigger].why_not(&event);
        let is_said = match (&why, says) {
            (None, None) => true,
            (Some(why), Some(says)) => why.contains(says),
            _ => false,
        };
        assert!(is_said, "trigger {trigger} on {value}: {why:?}");
        let is_heard = rule.triggers_of(&event).any(|found| found == trigger);
        // A message by itself is no batch yet.
        assert!(is_heard == why.is_none() || trigger == 1, "trigger {trigger} on {value}");
    }
    let other_bus = event(&json!({
        "kind": "bus", "bus": "lab", "source": "game", "detail_type": "t", "detail": { "points": 6 },
    }));
    let why = rule.triggers[2].why_not(&other_bus).unwrap();
    assert_eq!(why, "it listens to bus default, and this is an event of bus lab");
}

#[test]
fn a_statement_says_that_its_condition_was_not_true() {
    let text = "SELECT * FROM 'a/+' WHERE x > 5 THEN REPUBLISH 'b'";
    let rule = patient().compile(&RuleName::parse("test").unwrap(), "test.sql", text).unwrap();
    let why =
        |payload: &'static str| rule.why_nothing(&Event::message(message("a/b", payload)), &EmptySnapshot);
    assert_eq!(why("{\"x\": 6}"), None);
    assert_eq!(why("{\"x\": 5}").as_deref(), Some("WHERE was not true"));
    let script = compile(&patient(), RULE).unwrap();
    assert_eq!(script.why_nothing(&Event::message(message("a/b", "{}")), &EmptySnapshot), None);
}
