//! The chat: its flow, its answers to what is wrong, who comes and goes, and its history.

use pointsman_tests::{Client, Endpoints, Message, QoS, ServerProcess, TestServer, Transport, Version};
use serde_json::{Value, json};

/// A client that hears its own topic and a room.
async fn chatter(server: &Endpoints, client_id: &str) -> Client {
    chatter_over(server, client_id, Transport::Tcp, Version::V311).await
}

async fn chatter_over(server: &Endpoints, client_id: &str, transport: Transport, version: Version) -> Client {
    let mut client = server.client(client_id).over(transport).version(version).connect().await;
    client.subscribe(&format!("chat/in/{client_id}"), QoS::AtLeastOnce).await;
    client.subscribe("chat/pub/#", QoS::AtLeastOnce).await;
    client
}

async fn say(client: &mut Client, value: &Value) {
    client.publish_json("chat/out", value).await;
}

async fn enter(client: &mut Client, room: &str, user: &str) -> Value {
    say(client, &json!({ "connected": true, "path": room, "user": user })).await;
    answer(client, "welcome").await
}

/// The next answer of a kind.
async fn answer(client: &mut Client, cmd: &str) -> Value {
    let topic = format!("chat/in/{}", client.id());
    let is_it = |message: &Message| message.topic == topic && message.json()["cmd"] == cmd;
    client.recv_where(is_it).await.json()
}

/// The next thing that was said by somebody in a room.
async fn heard(client: &mut Client, room: &str) -> Value {
    let topic = format!("chat/pub{room}");
    client.recv_where(|message| message.topic == topic && message.json()["message"].is_object()).await.json()
}

/// The next coming or going in a room.
async fn moved(client: &mut Client, room: &str) -> Value {
    let topic = format!("chat/pub{room}");
    client.recv_where(|message| message.topic == topic && message.json()["event"].is_string()).await.json()
}

fn texts(history: &Value) -> Vec<&str> {
    let messages = history["messages"].as_array().expect("a history has messages");
    messages.iter().filter_map(|message| message["text"].as_str()).collect()
}

#[tokio::test]
async fn two_browsers_and_a_device_talk_in_a_room() {
    let server = TestServer::start().await;
    let mut ana = chatter_over(&server, "ana-1", Transport::Wss, Version::V5).await;
    let mut bob = chatter_over(&server, "bob-1", Transport::Wss, Version::V311).await;
    let welcome = enter(&mut ana, "/lobby", "ana").await;
    assert_eq!(welcome["room"], "/lobby");
    assert_eq!(welcome["messages"][0]["text"], "Welcome to chat room /lobby");
    enter(&mut bob, "/lobby", "bob").await;
    say(
        &mut ana,
        &json!({ "room": "/lobby", "message": { "user": "ana", "text": "hi", "source_lang": "en" } }),
    )
    .await;
    for client in [&mut ana, &mut bob] {
        let said = heard(client, "/lobby").await;
        assert_eq!(said["room"], "/lobby");
        assert_eq!(said["message"], json!({ "user": "ana", "text": "hi", "source_lang": "en" }));
        assert_eq!(said["clientId"], "ana-1");
        assert!(said["timestamp"].is_u64() && said["id"].is_string(), "{said}");
    }
    server
        .mqtt5("device")
        .await
        .publish_json("chat/out", &json!({ "room": "lobby", "text": "23 °C 🌡️" }))
        .await;
    let said = heard(&mut bob, "/lobby").await;
    assert_eq!((&said["message"]["user"], &said["message"]["text"]), (&json!("guest"), &json!("23 °C 🌡️")));
    say(&mut bob, &json!({ "sendroom": "/lobby" })).await;
    assert_eq!(texts(&answer(&mut bob, "history").await), ["hi", "23 °C 🌡️"]);
}

#[tokio::test]
async fn what_is_not_understood_is_answered_to_the_one_who_said_it() {
    let server = TestServer::start().await;
    let mut ana = chatter(&server, "ana").await;
    let long = "x".repeat(2_001);
    let huge = "y".repeat(9_001);
    for (input, code) in [
        ("not json", "not_json"),
        ("", "not_json"),
        ("[1, 2]", "not_an_object"),
        ("\"text\"", "not_an_object"),
        ("{}", "unknown_command"),
        (r#"{"room": "/lobby", "message": 7}"#, "bad_message"),
        (r#"{"room": "/lobby", "text": 7}"#, "bad_text"),
        (r#"{"room": "/lobby", "text": "   "}"#, "bad_text"),
        (&format!(r#"{{"room": "/lobby", "text": "{long}"}}"#), "bad_text"),
        (&huge, "too_long"),
        (r#"{"text": "nowhere"}"#, "bad_room"),
        (r#"{"room": "/a/#", "text": "x"}"#, "bad_room"),
        (r#"{"room": "/in/+", "text": "x"}"#, "bad_room"),
        (r#"{"room": "//", "text": "x"}"#, "bad_room"),
        (r#"{"room": "/lobby", "text": "x", "user": 5}"#, "bad_user"),
        (r#"{"sendroom": "/lobby", "limit": 1000}"#, "bad_limit"),
        (r#"{"sendroom": "/lobby", "before": 3}"#, "bad_before"),
    ] {
        ana.publish("chat/out", input.to_owned()).await;
        let error = answer(&mut ana, "error").await;
        assert_eq!(error["code"], code, "{input:.60}: {error}");
        assert!(error["message"].as_str().is_some_and(|message| message.len() > 10), "{error}");
    }
    ana.expect_silence().await;
}

#[tokio::test]
async fn payloads_that_are_no_text_are_answered_too() {
    let server = TestServer::start().await;
    let mut ana = chatter(&server, "ana").await;
    ana.publish("chat/out", vec![0xFF, 0xFE, 0x00]).await;
    assert_eq!(answer(&mut ana, "error").await["code"], "not_json");
    ana.publish("chat/out", "[".repeat(5_000)).await;
    assert_eq!(answer(&mut ana, "error").await["code"], "not_json");
}

#[tokio::test]
async fn comings_and_goings_are_shown() {
    let server = TestServer::start().await;
    let mut ana = chatter(&server, "ana").await;
    enter(&mut ana, "/lobby", "ana").await;
    assert_eq!(moved(&mut ana, "/lobby").await["user"], "ana");
    let mut bob = chatter(&server, "bob").await;
    let welcome = enter(&mut bob, "/lobby", "bob").await;
    let names: Vec<_> =
        welcome["members"].as_array().into_iter().flatten().map(|member| &member["user"]).collect();
    assert_eq!(names, ["ana", "bob"]);
    let joined = moved(&mut ana, "/lobby").await;
    assert_eq!((&joined["event"], &joined["user"]), (&json!("joined"), &json!("bob")));
    say(&mut bob, &json!({ "leave": "/lobby" })).await;
    let left = moved(&mut ana, "/lobby").await;
    assert_eq!((&left["event"], &left["user"]), (&json!("left"), &json!("bob")));
    enter(&mut bob, "/lobby", "bob").await;
    assert_eq!(moved(&mut ana, "/lobby").await["event"], "joined");
    drop(bob);
    let left = moved(&mut ana, "/lobby").await;
    assert_eq!(
        (&left["event"], &left["clientId"]),
        (&json!("left"), &json!("bob")),
        "a cut connection leaves"
    );
}

#[tokio::test]
async fn a_takeover_is_no_leaving() {
    let server = TestServer::start().await;
    let mut ana = chatter(&server, "ana").await;
    enter(&mut ana, "/lobby", "ana").await;
    moved(&mut ana, "/lobby").await;
    let mut bob = chatter(&server, "bob").await;
    enter(&mut bob, "/lobby", "bob").await;
    assert_eq!(moved(&mut ana, "/lobby").await["event"], "joined");
    let mut again = chatter(&server, "bob").await;
    enter(&mut again, "/lobby", "bob").await;
    say(&mut again, &json!({ "leave": "/lobby" })).await;
    let next = moved(&mut ana, "/lobby").await;
    assert_eq!((&next["event"], &next["clientId"]), (&json!("left"), &json!("bob")), "and only now");
}

#[tokio::test]
async fn a_name_belongs_to_one_client() {
    let server = TestServer::start().await;
    let mut ana = chatter(&server, "ana").await;
    enter(&mut ana, "/lobby", "Ana").await;
    let mut eve = chatter(&server, "eve").await;
    for user in ["Ana", "ana", " ANA "] {
        say(&mut eve, &json!({ "room": "/lobby", "text": "it is me", "user": user })).await;
        assert_eq!(answer(&mut eve, "error").await["code"], "name_taken", "{user}");
    }
    say(&mut eve, &json!({ "room": "/lobby", "text": "it is me", "user": "eve" })).await;
    assert_eq!(heard(&mut ana, "/lobby").await["message"]["user"], "eve", "nothing of the others was heard");
}

#[tokio::test]
async fn rooms_are_apart() {
    let server = TestServer::start().await;
    let mut ana = chatter(&server, "ana").await;
    for (room, text) in [("/one", "in one"), ("/two", "in two"), ("/one/more", "deeper")] {
        say(&mut ana, &json!({ "room": room, "text": text })).await;
        assert_eq!(heard(&mut ana, room).await["message"]["text"], text);
    }
    for (room, wanted) in [("/one", vec!["in one"]), ("/two", vec!["in two"]), ("/three", vec![])] {
        say(&mut ana, &json!({ "sendroom": room })).await;
        let history = answer(&mut ana, "history").await;
        assert_eq!((&history["room"], texts(&history)), (&json!(room), wanted));
    }
}

#[tokio::test]
async fn history_goes_back_page_by_page() {
    let server = TestServer::start().await;
    let mut ana = chatter(&server, "ana").await;
    for number in 0..12 {
        say(&mut ana, &json!({ "room": "/long", "text": number.to_string() })).await;
    }
    let mut before = Value::Null;
    for wanted in [["8", "9", "10", "11"], ["4", "5", "6", "7"], ["0", "1", "2", "3"]] {
        let mut ask = json!({ "sendroom": "/long", "limit": 4 });
        if before.is_string() {
            ask["before"] = before.take();
        }
        say(&mut ana, &ask).await;
        let history = answer(&mut ana, "history").await;
        assert_eq!(texts(&history), wanted);
        before = history["messages"][0]["id"].clone();
    }
}

#[tokio::test]
async fn a_client_that_comes_back_gets_what_was_said_in_its_rooms() {
    let mut server = TestServer::start().await;
    let mut ana = chatter(&server, "ana").await;
    enter(&mut ana, "/lobby", "ana").await;
    say(&mut ana, &json!({ "room": "/lobby", "text": "before" })).await;
    heard(&mut ana, "/lobby").await;
    drop(ana);
    server.restart().await;
    let mut ana = chatter(&server, "ana").await;
    let history = answer(&mut ana, "history").await;
    assert_eq!((&history["room"], texts(&history)), (&json!("/lobby"), vec!["before"]));
}

#[tokio::test]
async fn what_was_acknowledged_is_in_the_history_after_a_kill() {
    const SAID: usize = 40;
    let mut server = ServerProcess::start(env!("CARGO_BIN_EXE_server")).await;
    let mut ana = chatter(&server, "ana").await;
    for number in 0..SAID {
        say(&mut ana, &json!({ "room": "/lobby", "text": number.to_string() })).await;
    }
    server.kill().await;
    server.run().await;
    let mut bob = chatter(&server, "bob").await;
    let wanted: Vec<String> = (0..SAID).map(|number| number.to_string()).collect();
    pointsman_tests::eventually("every message is in the history, once", async || {
        say(&mut bob, &json!({ "sendroom": "/lobby", "limit": 50 })).await;
        let history = answer(&mut bob, "history").await;
        if texts(&history) == wanted { Ok(()) } else { Err(history) }
    })
    .await;
}
