//! What rules do besides publishing: leaderboards, indexes, and rules in SQL.

use pointsman_tests::{Client, QoS, ServerProcess, TestServer, eventually};
use serde_json::json;

const SCORES: &str = r#"
    const BOARD = leaderboard("go");
    on_message("score/{player}", "score");
    on_message("ask", "ask");
    fn score(msg) {
        let now = BOARD.submit(msg.params.player, msg.json);
        table("count").add("all", "", "n", 1);
        publish("ranked", `${msg.params.player} ${now.rank} ${now.score} ${now.improved}`, #{ qos: 1 });
    }
    fn ask(msg) {
        let names = [];
        for entry in BOARD.top(3) { names.push(`${entry.rank} ${entry.member} ${entry.score}`); }
        publish("told", #{ top: names, len: BOARD.len(), count: table("count").get("all")?.n }, #{ qos: 1 });
    }
"#;

async fn told(client: &mut Client) -> serde_json::Value {
    client.publish("ask", "").await;
    client.recv_on("told").await.json()
}

#[tokio::test]
async fn a_leaderboard_is_the_same_after_a_kill() {
    let mut server = ServerProcess::start(env!("CARGO_BIN_EXE_server")).await;
    server.add_rule("scores", SCORES).await;
    let mut client = server.mqtt("client").await;
    client.subscribe("told", QoS::AtLeastOnce).await;
    let mut ranked = server.mqtt("ranked").await;
    ranked.subscribe("ranked", QoS::AtLeastOnce).await;
    for (player, score, expected) in [
        ("ana", "10", "ana 1 10 true"),
        ("bob", "30", "bob 1 30 true"),
        ("cid", "20", "cid 2 20 true"),
        ("ana", "5", "ana 3 10 false"),
        ("ana", "30", "ana 2 30 true"),
    ] {
        client.publish(&format!("score/{player}"), score).await;
        assert_eq!(ranked.recv_on("ranked").await.text(), expected);
    }
    let expected = json!({ "top": ["1 bob 30", "2 ana 30", "3 cid 20"], "len": 3, "count": 5 });
    assert_eq!(told(&mut client).await, expected, "who came to a score first stands before");
    server.kill().await;
    server.run().await;
    let mut client = server.mqtt("client").await;
    client.subscribe("told", QoS::AtLeastOnce).await;
    assert_eq!(told(&mut client).await, expected);
}

#[tokio::test]
async fn rows_are_found_by_an_index_that_another_rule_declares() {
    let server = TestServer::builder()
        .rule(
            "orders",
            r#"
            index("orders", "status");
            on_message("find/{status}", "find");
            fn find(msg) {
                let ids = [];
                for row in table("orders").find("status", msg.params.status) { ids.push(row.hash); }
                publish("found", ids, #{ qos: 1 });
            }
            "#,
        )
        .rule(
            "writer",
            r#"
            on_message("order/{id}", "put");
            fn put(msg) {
                table("orders").put(msg.params.id, "", #{ status: msg.text() });
                publish("put", msg.params.id, #{ qos: 1 });
            }
            "#,
        )
        .start()
        .await;
    let mut client = server.mqtt("client").await;
    client.subscribe("put", QoS::AtLeastOnce).await;
    client.subscribe("found", QoS::AtLeastOnce).await;
    for (id, status) in [("1", "open"), ("2", "open"), ("3", "open"), ("2", "done")] {
        client.publish(&format!("order/{id}"), status).await;
        client.recv_on("put").await;
    }
    for (status, expected) in [("open", json!(["1", "3"])), ("done", json!(["2"])), ("lost", json!([]))] {
        client.publish(&format!("find/{status}"), "").await;
        assert_eq!(client.recv_on("found").await.json(), expected, "{status}");
    }
}

#[tokio::test]
async fn a_statement_may_call_a_function_of_the_library() {
    let server = TestServer::builder()
        .rule("lib/temperature", "fn fahrenheit(value) { #{ f: value.celsius * 9 / 5 + 32 } }")
        .sql(
            "warm",
            "SELECT aws_lambda('arn:aws:lambda:local:0:function:fahrenheit', *).f AS f FROM 'in' \
             THEN REPUBLISH 'out' QOS 1",
        )
        .start()
        .await;
    let mut client = server.mqtt("client").await;
    client.subscribe("out", QoS::AtLeastOnce).await;
    client.publish("in", r#"{"celsius": 20}"#).await;
    assert_eq!(client.recv_on("out").await.json(), json!({ "f": 68 }));
}

#[tokio::test]
async fn a_statement_may_select_from_lifecycle_events() {
    let server = TestServer::builder()
        .sql(
            "presence",
            "SELECT clientId, eventType FROM '$aws/events/presence/connected/+' THEN REPUBLISH 'told' QOS 1",
        )
        .start()
        .await;
    let mut listener = server.mqtt("listener").await;
    listener.subscribe("told", QoS::AtLeastOnce).await;
    let _other = server.mqtt("other").await;
    let told = listener.recv_where(|it| it.json()["clientId"] == "other").await.json();
    assert_eq!(told, json!({ "clientId": "other", "eventType": "connected" }));
}

#[tokio::test]
async fn a_rule_may_be_a_statement() {
    let server = TestServer::builder()
        .sql(
            "hot",
            "SELECT *, clientid() AS who FROM 'room/+' WHERE temperature > 30 \
             THEN REPUBLISH 'alarm/${topic(2)}' QOS 1, TABLE 'alarms' KEY '${topic(2)}'",
        )
        .rule(
            "reader",
            "on_message(\"ask\", \"ask\"); fn ask(msg) { publish(\"told\", table(\"alarms\").get(msg.text()), #{ qos: 1 }); }",
        )
        .start()
        .await;
    let mut client = server.mqtt("sensor").await;
    client.subscribe("alarm/#", QoS::AtLeastOnce).await;
    client.subscribe("told", QoS::AtLeastOnce).await;
    client.publish("room/1", r#"{"temperature": 20}"#).await;
    client.publish("room/2", r#"{"temperature": 31}"#).await;
    let alarm = client.recv().await;
    assert_eq!(
        (alarm.topic.as_str(), alarm.json()),
        ("alarm/2", json!({ "temperature": 31, "who": "sensor" }))
    );
    eventually("the row is written", async || {
        client.publish("ask", "2").await;
        let row = client.recv_on("told").await;
        if row.json()["temperature"] == 31 { Ok(()) } else { Err(row.text().to_owned()) }
    })
    .await;
}
