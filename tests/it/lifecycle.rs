//! Lifecycle events: payloads, reasons and version numbers for every way to come and go.

use pointsman_tests::wire::{self, Connect};
use pointsman_tests::{Client, QoS, TestServer, Transport, eventually};
use serde_json::{Value, json};

/// One that hears every lifecycle event.
async fn watcher(server: &TestServer) -> Client {
    let mut watcher = server.mqtt("watcher").await;
    watcher.subscribe("$aws/events/#", QoS::AtLeastOnce).await;
    watcher
}

/// The next event of a kind about a client.
async fn event(watcher: &mut Client, kind: &str, client_id: &str) -> Value {
    let suffix = format!("{kind}/{client_id}");
    let message = watcher.recv_where(|message| message.topic.ends_with(&suffix)).await;
    let folder = if kind.ends_with("subscribed") { "subscriptions" } else { "presence" };
    assert_eq!(message.topic, format!("$aws/events/{folder}/{suffix}"));
    message.json()
}

/// Asserts that an event has exactly these members, besides the time and the session.
fn check(event: &Value, wanted: &Value) {
    let mut rest = event.as_object().expect("an event is an object").clone();
    let timestamp = rest.remove("timestamp").and_then(|value| value.as_u64());
    assert!(timestamp.is_some_and(|at| at > 1_700_000_000_000), "{event}");
    let session = rest.remove("sessionIdentifier");
    assert!(session.as_ref().and_then(Value::as_str).is_some_and(|text| text.len() == 36), "{event}");
    assert_eq!(Value::Object(rest), *wanted);
}

/// Checks the pair of events of one connection that ended for `reason`, and gives its version number.
async fn check_pair(watcher: &mut Client, client_id: &str, reason: &str) -> u64 {
    let connected = event(watcher, "connected", client_id).await;
    let version = connected["versionNumber"].as_u64().expect("a version number");
    let who = json!({ "clientId": client_id, "principalIdentifier": "guest", "versionNumber": version });
    check(&connected, &with(&who, &json!({ "eventType": "connected", "ipAddress": "127.0.0.1" })));
    let gone = event(watcher, "disconnected", client_id).await;
    let end = json!({
        "eventType": "disconnected",
        "clientInitiatedDisconnect": reason == "CLIENT_INITIATED_DISCONNECT",
        "disconnectReason": reason,
    });
    check(&gone, &with(&who, &end));
    assert_eq!(gone["sessionIdentifier"], connected["sessionIdentifier"]);
    version
}

fn with(one: &Value, other: &Value) -> Value {
    let members = one.as_object().into_iter().chain(other.as_object()).flatten();
    Value::Object(members.map(|(name, value)| (name.clone(), value.clone())).collect())
}

#[tokio::test]
async fn a_polite_client_and_its_version_numbers() {
    let server = TestServer::start().await;
    let mut watcher = watcher(&server).await;
    let mut versions = Vec::new();
    for transport in Transport::ALL {
        server.client("polite").over(transport).connect().await.disconnect().await;
        versions.push(check_pair(&mut watcher, "polite", "CLIENT_INITIATED_DISCONNECT").await);
    }
    assert!(versions.windows(2).all(|pair| pair[0] < pair[1]), "{versions:?}");
}

#[tokio::test]
async fn a_cut_connection() {
    let server = TestServer::start().await;
    let mut watcher = watcher(&server).await;
    for transport in Transport::ALL {
        drop(server.client("cut").over(transport).connect().await);
        check_pair(&mut watcher, "cut", "CONNECTION_LOST").await;
    }
}

#[tokio::test]
async fn a_close_frame() {
    let server = TestServer::start().await;
    let mut watcher = watcher(&server).await;
    let mut closer = server.raw_over(Transport::Wss).await.join(&Connect::new(wire::V5, "closer")).await;
    closer.shutdown().await;
    check_pair(&mut watcher, "closer", "CLIENT_INITIATED_DISCONNECT").await;
}

#[tokio::test]
async fn a_lost_keep_alive() {
    let server = TestServer::start().await;
    let mut watcher = watcher(&server).await;
    let connect = Connect { keep_alive_seconds: 1, ..Connect::new(wire::V311, "sleeper") };
    let _sleeper = server.raw().await.join(&connect).await;
    check_pair(&mut watcher, "sleeper", "MQTT_KEEP_ALIVE_TIMEOUT").await;
}

#[tokio::test]
async fn a_protocol_violation_and_a_forbidden_publish() {
    let server = TestServer::start().await;
    let mut watcher = watcher(&server).await;
    for (bytes, reason) in [
        (Connect::new(4, "bad").packet(), "CLIENT_ERROR"),
        (wire::publish("a/#", "x"), "CLIENT_ERROR"),
        (wire::publish("$aws/events/presence/connected/bad", "x"), "AUTH_ERROR"),
        (wire::publish("chat/pub/lobby", "x"), "AUTH_ERROR"),
    ] {
        let mut bad = server.raw().await.join(&Connect::new(wire::V311, "bad")).await;
        bad.send(&bytes).await;
        bad.expect_end().await;
        check_pair(&mut watcher, "bad", reason).await;
    }
}

#[tokio::test]
async fn a_takeover_tells_of_both_connections() {
    let server = TestServer::start().await;
    let mut watcher = watcher(&server).await;
    let _first = server.mqtt("twin").await;
    let _second = server.mqtt("twin").await;
    let old = check_pair(&mut watcher, "twin", "DUPLICATE_CLIENTID").await;
    let connected = event(&mut watcher, "connected", "twin").await;
    assert!(connected["versionNumber"].as_u64() > Some(old), "{connected}");
}

#[tokio::test]
async fn subscriptions_name_the_filters_that_were_granted() {
    let server = TestServer::start().await;
    let mut watcher = watcher(&server).await;
    let mut client = server.raw().await.join(&Connect::new(wire::V311, "reader")).await;
    client.subscribe(&[("a/+", 0), ("chat/in/other", 0), ("b/#", 1)]).await;
    let subscribed = event(&mut watcher, "subscribed", "reader").await;
    let who = json!({ "clientId": "reader", "principalIdentifier": "guest" });
    check(&subscribed, &with(&who, &json!({ "eventType": "subscribed", "topics": ["a/+", "b/#"] })));
    let mut client = server.mqtt("leaver").await;
    client.subscribe("a", QoS::AtMostOnce).await;
    client.unsubscribe("a").await;
    let unsubscribed = event(&mut watcher, "unsubscribed", "leaver").await;
    assert_eq!(unsubscribed["topics"], json!(["a"]));
}

#[tokio::test]
async fn a_refused_connection_is_told_of() {
    let server = TestServer::start().await;
    let mut watcher = watcher(&server).await;
    let refused = server.client("intruder").login("admin", "guess").try_connect().await;
    assert!(refused.is_err());
    let event = event(&mut watcher, "connect_failed", "intruder").await;
    assert_eq!(event["connectFailureReason"], "AUTHORIZATION_FAILED");
    assert_eq!(event["ipAddress"], "127.0.0.1");
}

#[tokio::test]
async fn a_client_id_that_would_be_a_wildcard_has_no_events() {
    let server = TestServer::start().await;
    let mut watcher = watcher(&server).await;
    for client_id in ["a+b", "a#b"] {
        server.mqtt(client_id).await.disconnect().await;
    }
    server.mqtt("plain").await.disconnect().await;
    let of_others = |topic: &str| topic.contains("/presence/") && !topic.ends_with("/watcher");
    let first = watcher.recv_where(|message| of_others(&message.topic)).await;
    assert_eq!(first.topic, "$aws/events/presence/connected/plain");
}

/// Keeps the end of every connection, and tells it when asked.
const NOTE_ENDS: &str = r#"
    on_disconnect("note");
    on_message("ends/ask", "tell");
    fn note(event) { table("ends").put("all", event.client_id, #{ reason: event.reason, version: event.version_number }); }
    fn tell(msg) {
        for row in table("ends").query("all") {
            publish("ends/" + row.sort, row.value, #{ qos: 1 });
        }
    }
"#;

#[tokio::test]
async fn a_server_that_stops_tells_its_rules_why_every_client_is_gone() {
    let mut server = TestServer::builder().rule("ends", NOTE_ENDS).start().await;
    let mut first = server.mqtt5("first").await;
    let mut second = server.wss("second").await;
    server.stop().await;
    first.ended().await;
    second.ended().await;
    server.restart().await;
    let mut asker = server.mqtt("asker").await;
    asker.subscribe("ends/+", QoS::AtLeastOnce).await;
    asker.publish("ends/ask", "").await;
    for client_id in ["first", "second"] {
        let topic = format!("ends/{client_id}");
        let end = asker.recv_where(|message| message.topic == topic).await.json();
        assert_eq!(end["reason"], "SERVER_INITIATED_DISCONNECT");
    }
}

#[tokio::test]
async fn version_numbers_grow_over_a_restart() {
    let mut server = TestServer::start().await;
    let mut before = watcher(&server).await;
    let first = server.mqtt("durable").await;
    let old = event(&mut before, "connected", "durable").await["versionNumber"].as_u64();
    drop(first);
    server.restart().await;
    let mut after = watcher(&server).await;
    let _second = server.mqtt("durable").await;
    let new = event(&mut after, "connected", "durable").await["versionNumber"].as_u64();
    assert!(new > old, "{new:?} after {old:?}");
}

#[tokio::test]
async fn the_count_of_clients_follows_every_end() {
    let server = TestServer::start().await;
    let _stays = server.mqtt("stays").await;
    for _ in 0..20 {
        drop(server.raw().await.join(&Connect::new(wire::V311, "comes")).await);
        server.mqtt("goes").await.disconnect().await;
    }
    eventually("only the one that stays is counted", async || {
        let clients = server.status().await["clients"].clone();
        if clients == 1 { Ok(()) } else { Err(clients) }
    })
    .await;
}
