//! Rules: what a script sees, what it asks for, and what stops it.

use pointsman_tests::{Client, QoS, TestServer, eventually};
use serde_json::json;

/// A server with one rule, and a client that hears all that is said on `out/#`.
async fn with_rule(text: &str) -> (TestServer, Client) {
    let server = TestServer::builder().without_bundled_rules().rule("case", text).start().await;
    assert!(server.started().broken_rules.is_empty(), "{}", server.started().broken_rules.join("\n"));
    let mut client = server.mqtt("client").await;
    client.subscribe("out/#", QoS::AtLeastOnce).await;
    (server, client)
}

#[tokio::test]
async fn a_rule_sees_all_of_a_message_and_answers() {
    let (server, mut client) = with_rule(
        r#"on_message("in/{game}/{player}", "tell");
           fn tell(msg) {
               publish("out/seen", #{
                   topic: msg.topic, client: msg.client_id, user: msg.user, qos: msg.qos, retain: msg.retain,
                   game: msg.params.game, player: msg.params.player, text: msg.text(), score: msg.json.score,
                   is_json: msg.is_json, size: msg.size, has_time: msg.time > 1700000000000, id: msg.id,
               }, #{ qos: 1 });
           }"#,
    )
    .await;
    client.publish_json("in/chess/ana", &json!({ "score": 7 })).await;
    let mut seen = client.recv_on("out/seen").await.json();
    let id = seen.as_object_mut().expect("an object").remove("id");
    assert!(id.is_some_and(|id| id.is_string()));
    let wanted = json!({
        "topic": "in/chess/ana", "client": "client", "user": null, "qos": 1, "retain": false, "game": "chess",
        "player": "ana", "text": "{\"score\":7}", "score": 7, "is_json": true, "size": 11, "has_time": true,
    });
    assert_eq!(seen, wanted);
    let mut boss = server.client("boss").login("admin", server.admin_password()).connect().await;
    boss.publish("in/a/b", "{\"score\":1}").await;
    assert_eq!(client.recv_on("out/seen").await.json()["user"], "admin");
}

const TABLES: &str = r#"
    on_message("put/{hash}/{sort}", "put");
    on_message("get/{hash}/{sort}", "get");
    on_message("delete/{hash}/{sort}", "delete");
    on_message("query/{hash}", "list");
    on_message("brief/{hash}/{sort}", "brief");
    fn put(msg) { table("t").put(msg.params.hash, msg.params.sort, msg.text()); }
    fn brief(msg) { table("t").put(msg.params.hash, msg.params.sort, msg.text(), #{ ttl: "1s" }); }
    fn get(msg) { publish("out/got", #{ value: table("t").get(msg.params.hash, msg.params.sort) }, #{ qos: 1 }); }
    fn delete(msg) { table("t").delete(msg.params.hash, msg.params.sort); }
    fn list(msg) {
        let rows = [];
        for row in table("t").query(msg.params.hash) { rows.push([row.sort, row.value]); }
        publish("out/rows", rows, #{ qos: 1 });
    }
"#;

async fn rows(client: &mut Client, hash: &str) -> serde_json::Value {
    client.publish(&format!("query/{hash}"), "").await;
    client.recv_on("out/rows").await.json()
}

/// Asks until a row is what it should be: events of different topics are handled side by side.
async fn expect_row(client: &mut Client, key: &str, wanted: serde_json::Value) {
    eventually(&format!("the row {key} is {wanted}"), async || {
        client.publish(&format!("get/{key}"), "").await;
        let value = client.recv_on("out/got").await.json()["value"].clone();
        if value == wanted { Ok(()) } else { Err(value) }
    })
    .await;
}

#[tokio::test]
async fn tables_keep_rows_in_order_and_forget_what_is_deleted() {
    let (mut server, mut client) = with_rule(TABLES).await;
    for (key, value) in [("a/2", "two"), ("a/1", "one"), ("b/1", "other"), ("a/é", "accent")] {
        client.publish(&format!("put/{key}"), value).await;
        expect_row(&mut client, key, json!(value)).await;
    }
    assert_eq!(rows(&mut client, "a").await, json!([["1", "one"], ["2", "two"], ["é", "accent"]]));
    client.publish("delete/a/2", "").await;
    expect_row(&mut client, "a/2", json!(null)).await;
    drop(client);
    server.restart().await;
    let mut client = server.mqtt("client").await;
    client.subscribe("out/#", QoS::AtLeastOnce).await;
    assert_eq!(rows(&mut client, "a").await, json!([["1", "one"], ["é", "accent"]]));
}

#[tokio::test]
async fn rows_are_gone_when_their_time_is_up() {
    let (_server, mut client) = with_rule(TABLES).await;
    client.publish("brief/a/1", "for a second").await;
    client.publish("put/a/2", "for ever").await;
    expect_row(&mut client, "a/2", json!("for ever")).await;
    expect_row(&mut client, "a/1", json!(null)).await;
    assert_eq!(rows(&mut client, "a").await, json!([["2", "for ever"]]));
}

#[tokio::test]
async fn a_handler_that_fails_changes_nothing() {
    let (server, mut client) = with_rule(
        r#"on_message("fail", "fail"); on_message("ask", "ask");
           fn fail(msg) { table("t").put("a", "b", 1); publish("out/never", "x"); throw "on purpose"; }
           fn ask(msg) { publish("out/asked", #{ value: table("t").get("a", "b") }, #{ qos: 1 }); }"#,
    )
    .await;
    client.publish("fail", "").await;
    client.publish("fail", "").await;
    client.publish("ask", "").await;
    assert_eq!(client.recv().await.json()["value"], json!(null));
    assert_eq!(server.status().await["rules"][0]["suspended"], false, "what throws overruns nothing");
}

#[tokio::test]
async fn one_counter_counts_every_message_of_many_publishers_once() {
    const EACH: usize = 25;
    let (server, mut client) = with_rule(
        r#"on_message("count/+", "count"); on_message("ask", "ask");
           fn count(msg) { let old = table("t").get("n"); table("t").put("n", if old == () { 1 } else { old + 1 }); }
           fn ask(msg) { publish("out/count", #{ n: table("t").get("n") }, #{ qos: 1 }); }"#,
    )
    .await;
    let mut tasks = Vec::new();
    for number in 0..8 {
        let mut publisher = server.mqtt(&format!("publisher-{number}")).await;
        tasks.push(tokio::spawn(async move {
            for _ in 0..EACH {
                publisher.publish(&format!("count/{number}"), "").await;
            }
        }));
    }
    for task in tasks {
        task.await.expect("a publisher publishes");
    }
    eventually("all are counted", async || {
        client.publish("ask", "").await;
        let count = client.recv_on("out/count").await.json()["n"].clone();
        if count == 8 * EACH { Ok(()) } else { Err(count) }
    })
    .await;
}

#[tokio::test]
async fn connects_subscriptions_and_ends_reach_a_rule() {
    let (server, mut client) = with_rule(
        r#"on_connect("up"); on_disconnect("down"); on_subscribe("sub"); on_unsubscribe("unsub");
           fn up(e) { publish("out/up/" + e.client_id, e.ip, #{ qos: 1 }); }
           fn down(e) { publish("out/down/" + e.client_id, e.reason, #{ qos: 1 }); }
           fn sub(e) { if e.client_id == "guest" { publish("out/sub", e.filters, #{ qos: 1 }); } }
           fn unsub(e) { publish("out/unsub", e.filters, #{ qos: 1 }); }"#,
    )
    .await;
    let mut guest = server.wss("guest").await;
    assert_eq!(client.recv_where(|message| message.topic == "out/up/guest").await.text(), "127.0.0.1");
    guest.subscribe("a/#", QoS::AtMostOnce).await;
    assert_eq!(client.recv_where(|message| message.topic == "out/sub").await.json(), json!(["a/#"]));
    guest.unsubscribe("a/#").await;
    assert_eq!(client.recv_where(|message| message.topic == "out/unsub").await.json(), json!(["a/#"]));
    guest.disconnect().await;
    assert_eq!(
        client.recv_where(|message| message.topic == "out/down/guest").await.text(),
        "CLIENT_INITIATED_DISCONNECT"
    );
}

#[tokio::test]
async fn rules_hear_rules_until_the_hop_limit() {
    let (_server, mut client) = with_rule(
        r#"on_message("out/loop", "again"); on_message("start", "start");
           fn start(msg) { publish("out/loop", 1, #{ qos: 1 }); }
           fn again(msg) { publish("out/loop", msg.json + 1, #{ qos: 1 }); }"#,
    )
    .await;
    client.publish("start", "").await;
    let mut last = 0;
    while last < 8 {
        last = client.recv_on("out/loop").await.json().as_i64().expect("a number");
    }
    client.publish("start", "").await;
    assert_eq!(client.recv_on("out/loop").await.text(), "1", "after eight rules the message went no further");
}

#[tokio::test]
async fn what_a_rule_may_not_publish_to_fails_its_run() {
    let (_server, mut client) =
        with_rule(r#"on_message("to", "to"); fn to(msg) { publish(msg.text(), "x", #{ qos: 1 }); }"#).await;
    for topic in ["", "out/+", "out/#", "$SYS/x", "out/\u{0}"] {
        client.publish("to", topic).await;
    }
    client.publish("to", "out/right").await;
    assert_eq!(client.recv().await.topic, "out/right");
}
