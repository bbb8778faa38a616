//! The chat rule that ships with the server, conversation by conversation.

use std::sync::Arc;

use pointsman_rules::{
    Effect, Engine, Event, EventId, Lifecycle, Message, Outcome, Rule, RuleName, RunError, Snapshot,
};
use serde_json::{Value, json};

use crate::support::{NOW_MS, Tables, lifecycle, patient};

const HEAR: usize = 0;
const REPLAY: usize = 1;
const LEAVE_ALL: usize = 2;

/// A server with the chat rule and nothing else.
struct Chat {
    engine: Engine,
    rule: Rule,
    tables: Tables,
    now_ms: i64,
    count: u128,
}

/// Something that was published: topic, quality of service, JSON.
type Sent = (String, u8, Value);

impl Chat {
    fn new() -> Self {
        let engine = patient();
        let source = include_str!("../../../config/rules/chat.rhai");
        let rule = engine.compile(&RuleName::parse("chat").unwrap(), "chat.rhai", source);
        let rule = rule.unwrap_or_else(|error| panic!("{error}"));
        Self { engine, rule, tables: Tables::default(), now_ms: NOW_MS, count: 0 }
    }

    fn try_run(&mut self, trigger: usize, event: &Event) -> Result<Outcome, Box<RunError>> {
        self.tables.expire(self.now_ms);
        let snapshot: Arc<dyn Snapshot> = Arc::new(self.tables.clone());
        let outcome = self.engine.run(&self.rule, trigger, event, &snapshot)?;
        self.tables.apply(&outcome);
        Ok(outcome)
    }

    fn run(&mut self, trigger: usize, event: &Event) -> Vec<Sent> {
        let outcome = self.try_run(trigger, event).unwrap_or_else(|error| panic!("{error}"));
        let sent = outcome.effects.into_iter().filter_map(|effect| match effect {
            Effect::Publish { topic, payload, qos, .. } => {
                Some((topic, qos, serde_json::from_slice(&payload).expect("the chat speaks JSON")))
            }
            _ => None,
        });
        sent.collect()
    }

    fn message(&mut self, client_id: &str, user: Option<&str>, payload: &[u8]) -> Message {
        self.now_ms += 1;
        self.count += 1;
        Message {
            topic: "chat/out".into(),
            client_id: client_id.into(),
            user: user.map(Into::into),
            payload: payload.to_vec().into(),
            qos: 0,
            retain: false,
            time_ms: self.now_ms,
            id: EventId::new(self.now_ms.unsigned_abs(), self.count),
        }
    }

    /// A guest says something.
    fn say(&mut self, client_id: &str, value: &Value) -> Vec<Sent> {
        let message = self.message(client_id, None, value.to_string().as_bytes());
        self.run(HEAR, &Event::message(message))
    }

    fn subscribe(&mut self, client_id: &str, filter: &str) -> Vec<Sent> {
        let lifecycle = Lifecycle { filters: vec![filter.to_owned()], ..lifecycle(client_id) };
        self.run(REPLAY, &Event::subscribe(lifecycle))
    }

    fn disconnect(&mut self, client_id: &str, reason: &str) -> Vec<Sent> {
        let lifecycle = Lifecycle { reason: Some(reason.to_owned()), ..lifecycle(client_id) };
        self.run(LEAVE_ALL, &Event::disconnect(lifecycle))
    }
}

fn topics(sent: &[Sent]) -> Vec<&str> {
    sent.iter().map(|(topic, ..)| topic.as_str()).collect()
}

fn texts(messages: &Value) -> Vec<&str> {
    messages.as_array().unwrap().iter().map(|message| message["text"].as_str().unwrap()).collect()
}

#[test]
fn coming_in_is_welcomed_and_shown() {
    let mut chat = Chat::new();
    let sent = chat.say("c1", &json!({"connected": true, "path": "/lobby", "user": "ana", "host": "x"}));
    assert_eq!(topics(&sent), ["chat/pub/lobby", "chat/in/c1"]);
    let (_, qos, joined) = &sent[0];
    assert_eq!((*qos, &joined["event"], &joined["user"]), (1, &json!("joined"), &json!("ana")));
    assert_eq!(joined["clientId"], "c1");
    let (_, qos, welcome) = &sent[1];
    assert_eq!((*qos, &welcome["cmd"], &welcome["room"]), (1, &json!("welcome"), &json!("/lobby")));
    assert_eq!(welcome["windowTitle"], "/lobby - Pointsman");
    assert_eq!(welcome["messages"], json!([{"text": "Welcome to chat room /lobby"}]));
    assert_eq!(welcome["members"][0]["clientId"], "c1");
    assert_eq!(welcome["members"][0]["user"], "ana");

    chat.say("c1", &json!({"room": "/lobby", "text": "hi", "user": "ana"}));
    let sent = chat.say("c1", &json!({"connected": true, "path": "lobby", "user": "ana"}));
    assert_eq!(topics(&sent), ["chat/in/c1", "chat/in/c1"], "a member is not announced again");
    assert_eq!((&sent[1].2["cmd"], texts(&sent[1].2["messages"])), (&json!("history"), vec!["hi"]));
}

#[test]
fn what_is_said_is_heard_and_kept() {
    let mut chat = Chat::new();
    let said = json!({"room": "/lobby", "message": {"user": "ana", "text": "hi", "source_lang": "en"}, "event": "left"});
    let mut message = chat.message("c1", None, said.to_string().as_bytes());
    message.qos = 1;
    let (id, time_ms) = (message.id.to_string(), message.time_ms);
    let sent = chat.run(HEAR, &Event::message(message));
    let expected = json!({
        "room": "/lobby",
        "message": {"user": "ana", "text": "hi", "source_lang": "en"},
        "clientId": "c1", "timestamp": time_ms, "id": id,
    });
    assert_eq!(sent, [("chat/pub/lobby".to_owned(), 1, expected)]);

    let sent = chat.say("c2", &json!({"room": "lobby", "text": "ho"}));
    assert_eq!(sent[0].1, 0);
    assert_eq!(sent[0].2["message"], json!({"user": "guest", "text": "ho"}));
    assert_eq!(sent[0].2["room"], "/lobby");

    let sent = chat.say("c3", &json!({"sendroom": "/lobby"}));
    assert_eq!((sent[0].0.as_str(), sent[0].1, &sent[0].2["cmd"]), ("chat/in/c3", 1, &json!("history")));
    let first = &sent[0].2["messages"][0];
    let expected = json!({"user": "ana", "text": "hi", "source_lang": "en", "clientId": "c1", "timestamp": time_ms, "id": id});
    assert_eq!(*first, expected);
}

#[test]
fn saying_something_costs_one_read_and_two_effects() {
    let mut chat = Chat::new();
    let said = json!({"room": "/lobby", "message": {"user": "ana", "text": "hi"}});
    chat.say("c1", &said);
    let message = chat.message("c1", None, said.to_string().as_bytes());
    let outcome = chat.try_run(HEAR, &Event::message(message)).unwrap();
    assert_eq!(outcome.effects.len(), 2, "the claim of the name is fresh: {:?}", outcome.effects);
    assert!(outcome.operations < 300, "{} operations", outcome.operations);
}

#[test]
fn history_comes_in_pages_and_is_over_after_a_day() {
    let mut chat = Chat::new();
    for number in 0..60 {
        chat.say("c1", &json!({"room": "/a/b", "text": number.to_string()}));
    }
    let sent = chat.say("c2", &json!({"sendroom": "a/b"}));
    let newest = texts(&sent[0].2["messages"]);
    assert_eq!((newest.len(), newest[0], newest[49]), (50, "10", "59"));
    let oldest = sent[0].2["messages"][0]["id"].clone();
    let sent = chat.say("c2", &json!({"sendroom": "/a/b", "before": oldest, "limit": 3}));
    assert_eq!(texts(&sent[0].2["messages"]), ["7", "8", "9"]);
    chat.now_ms += 24 * 3_600_000 + 1_000;
    let sent = chat.say("c2", &json!({"sendroom": "/a/b"}));
    assert_eq!(sent[0].2, json!({"cmd": "history", "room": "/a/b", "messages": []}));
}

#[test]
fn members_come_and_go() {
    let mut chat = Chat::new();
    let here = json!({"here": "/lobby", "user": "ana"});
    assert_eq!(chat.say("c1", &here)[0].2["event"], "joined");
    chat.now_ms += 80_000;
    assert_eq!(chat.say("c1", &here), [], "a heartbeat in time is quiet");
    chat.now_ms += 80_000;
    assert_eq!(chat.say("c1", &here), []);
    chat.now_ms += 91_000;
    assert_eq!(chat.say("c1", &here)[0].2["event"], "joined", "one that comes too late is a return");
    let sent = chat.say("c1", &json!({"leave": "/lobby"}));
    assert_eq!(
        (sent[0].0.as_str(), &sent[0].2["event"], &sent[0].2["user"]),
        ("chat/pub/lobby", &json!("left"), &json!("ana"))
    );
    assert_eq!(chat.say("c1", &json!({"leave": "/lobby"})), []);
    assert_eq!((chat.tables.rows("members"), chat.tables.rows("rooms_of")), (0, 0));
}

#[test]
fn a_lost_connection_leaves_all_rooms_but_a_takeover_does_not() {
    let mut chat = Chat::new();
    for room in ["/a", "/b"] {
        chat.say("c1", &json!({"connected": true, "path": room}));
    }
    assert_eq!(chat.disconnect("c1", "DUPLICATE_CLIENTID"), []);
    let sent = chat.disconnect("c1", "CONNECTION_LOST");
    assert_eq!(topics(&sent), ["chat/pub/a", "chat/pub/b"]);
    assert!(sent.iter().all(|(_, qos, left)| *qos == 1 && left["event"] == "left"));
    assert_eq!(chat.disconnect("c1", "CONNECTION_LOST"), []);
}

#[test]
fn listening_again_brings_the_history_of_the_rooms() {
    let mut chat = Chat::new();
    for room in ["/a", "/b", "/silent"] {
        chat.say("c1", &json!({"connected": true, "path": room}));
    }
    chat.disconnect("c1", "CONNECTION_LOST");
    chat.say("c2", &json!({"room": "/a", "text": "in a"}));
    chat.say("c2", &json!({"room": "/b", "text": "in b"}));
    assert_eq!(chat.subscribe("c1", "chat/pub/a"), []);
    assert_eq!(chat.subscribe("c1", "chat/in/c2"), []);
    let sent = chat.subscribe("c1", "chat/in/c1");
    assert_eq!(topics(&sent), ["chat/in/c1", "chat/in/c1"]);
    assert_eq!((&sent[0].2["room"], texts(&sent[0].2["messages"])), (&json!("/a"), vec!["in a"]));
    assert_eq!((&sent[1].2["room"], sent[1].1), (&json!("/b"), 1));
}

#[test]
fn of_the_largest_rooms_a_replay_has_as_many_as_may_be_read() {
    let mut chat = Chat::new();
    for number in 0..11 {
        let room = format!("/r{number}");
        chat.say("c1", &json!({"connected": true, "path": room}));
        for _ in 0..45 {
            let message =
                json!({"room": room, "message": {"text": "🚂".repeat(2_000), "extra": "x".repeat(800)}});
            chat.say("c2", &message);
        }
    }
    let sent = chat.subscribe("c1", "chat/in/c1");
    assert!((5..=10).contains(&sent.len()), "{} rooms", sent.len());
    assert!(sent.iter().all(|(.., history)| !history["messages"].as_array().unwrap().is_empty()));
}

#[test]
fn a_name_belongs_to_who_uses_it() {
    let mut chat = Chat::new();
    let said = |user: &str| json!({"room": "/lobby", "message": {"user": user, "text": "hi"}});
    chat.say("c1", &said("Ana"));
    let sent = chat.say("c2", &said("ana"));
    assert_eq!((sent[0].0.as_str(), &sent[0].2["code"]), ("chat/in/c2", &json!("name_taken")));
    assert_eq!(chat.say("c2", &json!({"here": "/lobby", "user": " ANA "}))[0].2["code"], "name_taken");
    assert_eq!(chat.tables.rows("members"), 0, "what is refused changes nothing");

    let message = chat.message("c3", Some("ana"), said("somebody").to_string().as_bytes());
    let sent = chat.run(HEAR, &Event::message(message));
    assert_eq!(sent[0].2["message"]["user"], "ana", "an authenticated user is who they are");
    assert_eq!(chat.say("c1", &said("Ana"))[0].2["code"], "name_taken", "and keeps guests off");

    chat.now_ms += 25 * 3_600_000;
    assert_eq!(chat.say("c2", &said("ana"))[0].0, "chat/pub/lobby", "claims are over after a day");
}

#[test]
fn too_many_rooms_are_refused() {
    let mut chat = Chat::new();
    for number in 0..40 {
        chat.say("c1", &json!({"connected": true, "path": format!("/{number}")}));
    }
    assert_eq!(chat.say("c1", &json!({"connected": true, "path": "/more"}))[0].2["code"], "too_many_rooms");
    let sent = chat.disconnect("c1", "CONNECTION_LOST");
    assert_eq!(sent.len(), 40);
}

#[test]
fn whatever_cannot_be_understood_is_answered() {
    let mut chat = Chat::new();
    let long = "x".repeat(2_001);
    let table = [
        (json!([1]), "not_an_object"),
        (json!("x"), "not_an_object"),
        (json!({}), "unknown_command"),
        (json!({"hello": 1}), "unknown_command"),
        (json!({"text": "hi"}), "bad_room"),
        (json!({"room": 5, "text": "hi"}), "bad_room"),
        (json!({"room": "", "text": "hi"}), "bad_room"),
        (json!({"room": "/", "text": "hi"}), "bad_room"),
        (json!({"room": "/a/b/c/d", "text": "hi"}), "bad_room"),
        (json!({"room": "/a//b", "text": "hi"}), "bad_room"),
        (json!({"room": "/+", "text": "hi"}), "bad_room"),
        (json!({"room": "/#", "text": "hi"}), "bad_room"),
        (json!({"room": "/é", "text": "hi"}), "bad_room"),
        (json!({"room": format!("/{}", "x".repeat(65)), "text": "hi"}), "bad_room"),
        (json!({"room": "/a", "text": ""}), "bad_text"),
        (json!({"room": "/a", "text": "  "}), "bad_text"),
        (json!({"room": "/a", "text": 5}), "bad_text"),
        (json!({"room": "/a", "text": long}), "bad_text"),
        (json!({"room": "/a", "message": "hi"}), "bad_message"),
        (json!({"room": "/a", "message": {"user": "ana"}}), "bad_text"),
        (json!({"room": "/a", "message": {"user": 1, "text": "hi"}}), "bad_user"),
        (json!({"room": "/a", "message": {"user": " ", "text": "hi"}}), "bad_user"),
        (json!({"room": "/a", "message": {"user": "x".repeat(41), "text": "hi"}}), "bad_user"),
        (json!({"connected": true}), "bad_room"),
        (json!({"here": null}), "bad_room"),
        (json!({"leave": 1}), "bad_room"),
        (json!({"sendroom": "/a", "limit": 51}), "bad_limit"),
        (json!({"sendroom": "/a", "limit": "5"}), "bad_limit"),
        (json!({"sendroom": "/a", "before": 5}), "bad_before"),
    ];
    for (said, code) in table {
        let sent = chat.say("c1", &said);
        let [(topic, 1, error)] = sent.as_slice() else { panic!("{said} gave {sent:?}") };
        assert_eq!((topic.as_str(), &error["cmd"]), ("chat/in/c1", &json!("error")), "{said}");
        assert_eq!(error["code"], code, "{said}: {error}");
        assert!(error["message"].as_str().unwrap().contains(": "), "{error}");
        let received: String = said.to_string().chars().take(200).collect();
        assert_eq!(error["received"], json!(received));
    }
    for (payload, code) in [
        (&b"hello"[..], "not_json"),
        (b"", "not_json"),
        (b"\xff\xfe", "not_json"),
        (&b"[".repeat(8_000), "not_json"),
        (&b"{}".repeat(50_000), "too_long"),
        (&b"\xf0\x9f".repeat(3_000), "not_json"),
    ] {
        let message = chat.message("c1", None, payload);
        let sent = chat.run(HEAR, &Event::message(message));
        assert_eq!(sent[0].2["code"], code, "{}", String::from_utf8_lossy(payload));
    }
    assert_eq!(chat.tables.rows("messages") + chat.tables.rows("members") + chat.tables.rows("names"), 0);
}
