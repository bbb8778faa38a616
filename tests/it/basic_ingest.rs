//! Basic Ingest: messages for one rule alone.

use pointsman_tests::wire::{self, Connect};
use pointsman_tests::{Client, QoS, TestServer, eventually};
use serde_json::json;

const POLICY: &str = r#"{"Statement": [
    {"Effect": "Allow", "Action": ["connect", "subscribe", "receive"], "Resource": "*"},
    {"Effect": "Allow", "Action": "publish", "NotResource": "$aws/rules/closed/*"}
]}"#;

const DOORS: &str = r#"
    on_message("doors/{door}", "opened");
    on_message("windows/#", "opened");
    on_batch("doors/#", #{ max_messages: 2, max_delay: "60s" }, "several");
    fn opened(msg) { publish("out/doors", [msg.topic, msg.params.door ?? "-", msg.text()], #{ qos: 1 }); }
    on_message("which", "which");
    fn which(msg) { publish("out/which", msg.id, #{ qos: 1 }); }
    fn several(batch) { publish("out/batch", batch.messages.map(|msg| msg.topic), #{ qos: 1 }); }
"#;

/// Would hear all of it, if it could.
const OTHER: &str = r#"
    on_message("doors/#", "heard");
    on_message("$aws/+/doors/#", "heard");
    fn heard(msg) { publish("out/other", msg.topic, #{ qos: 1 }); }
"#;

async fn server() -> TestServer {
    let server = TestServer::builder().without_bundled_rules().guest_policy(POLICY);
    let server = server
        .rule("doors", DOORS)
        .rule("other", OTHER)
        .sql("counted", "SELECT topic() AS t, topic(2) AS second FROM 'elsewhere' THEN REPUBLISH 'out/sql' QOS 1")
        .sql("only", "SELECT topic() AS t THEN REPUBLISH 'out/only' QOS 1, REPUBLISH '$$aws/rules/counted/on/it' QOS 1")
        .start()
        .await;
    assert!(server.started().broken_rules.is_empty(), "{}", server.started().broken_rules.join("\n"));
    server
}

async fn listener(server: &TestServer) -> Client {
    let mut client = server.mqtt("listener").await;
    client.subscribe("#", QoS::AtLeastOnce).await;
    for filter in ["$aws/+/doors/#", "$aws/+/counted/#", "$aws/+/only/#"] {
        client.subscribe(filter, QoS::AtLeastOnce).await;
    }
    client
}

#[tokio::test]
async fn a_message_is_for_the_rule_that_its_topic_names() {
    let server = server().await;
    let mut client = listener(&server).await;
    client.publish("$aws/rules/doors/doors/7", "a").await;
    assert_eq!(client.recv_on("out/doors").await.json(), json!(["doors/7", "7", "a"]));
    client.publish("$aws/rules/doors/windows/1/2", "b").await;
    assert_eq!(client.recv_on("out/doors").await.json(), json!(["windows/1/2", "-", "b"]));
    client.publish("$aws/rules/doors/doors/8", "c").await;
    // The subscriber of everything is sent nothing but what the rule made of it.
    let mut heard = [client.recv().await, client.recv().await].map(|it| (it.topic.clone(), it.json()));
    heard.sort_by(|(one, _), (other, _)| one.cmp(other));
    let [batch, door] = heard;
    assert_eq!(batch, ("out/batch".to_owned(), json!(["doors/7", "doors/8"])));
    assert_eq!(door, ("out/doors".to_owned(), json!(["doors/8", "8", "c"])));
    // The same message the common way: all rules that listen, and who subscribes.
    client.publish("doors/9", "d").await;
    let mut heard = Vec::new();
    for _ in 0..3 {
        heard.push(client.recv().await.topic);
    }
    heard.sort();
    assert_eq!(heard, ["doors/9", "out/doors", "out/other"]);
}

#[tokio::test]
async fn a_statement_takes_whatever_is_published_to_it() {
    let server = server().await;
    let mut client = listener(&server).await;
    client.publish("$aws/rules/counted/a/b", "{}").await;
    assert_eq!(client.recv_on("out/sql").await.json(), json!({ "t": "a/b", "second": "b" }));
    client.publish("$aws/rules/only/c", "{}").await;
    assert_eq!(client.recv_on("out/only").await.json(), json!({ "t": "c" }));
    assert_eq!(
        client.recv_on("out/sql").await.json(),
        json!({ "t": "on/it", "second": "it" }),
        "by a rule, too"
    );
}

#[tokio::test]
async fn what_no_rule_listens_to_is_counted_and_said() {
    let server = server().await;
    let mut client = server.raw().await.join(&Connect::new(wire::V5, "client")).await;
    for topic in ["$aws/rules/none/doors/1", "$aws/rules/doors/roof", "$aws/rules/DOORS/doors/1"] {
        assert_eq!(client.deliver(1, topic, "x", &[]).await, 0x10, "{topic}");
    }
    assert_eq!(client.deliver(1, "$aws/rules/doors/doors/1", "x", &[]).await, 0);
    eventually("they are counted", async || {
        let dropped = server.metric("pointsman_messages_dropped_total{reason=\"no_rule\"}").await;
        if dropped == 3 { Ok(()) } else { Err(dropped.to_string()) }
    })
    .await;
}

#[tokio::test]
async fn it_takes_a_policy_and_nobody_listens() {
    let server = server().await;
    let mut client = server.raw().await.join(&Connect::new(wire::V5, "client")).await;
    for topic in ["$aws/rules/closed/doors/1", "$aws/rules/doors", "$aws/rules/doors/", "$aws/events/doors/1"]
    {
        assert_eq!(client.deliver(1, topic, "x", &[]).await, 0x87, "{topic}");
    }
    let mut boss = server.client("boss").login("admin", server.admin_password()).connect().await;
    for filter in ["$aws/rules/#", "$aws/rules", "$aws/rules/doors/+", "$share/g/$aws/rules/doors/#"] {
        assert!(!boss.try_subscribe(filter, QoS::AtLeastOnce).await, "{filter}");
    }
    boss.subscribe("out/#", QoS::AtLeastOnce).await;
    boss.publish("$aws/rules/doors/doors/1", "x").await;
    assert_eq!(boss.recv_on("out/doors").await.json(), json!(["doors/1", "1", "x"]));
}

#[tokio::test]
async fn it_is_explained_as_what_it_is() {
    let server = server().await;
    let mut client = listener(&server).await;
    client.publish("$aws/rules/doors/which", "").await;
    let id = client.recv_on("out/which").await.text().to_owned();
    let told = server.operator().get(&format!("/api/explain/{id}")).await.json();
    let matched: Vec<_> =
        told["matched"].as_array().expect("triggers").iter().map(|it| &it["handler"]).collect();
    assert_eq!(matched, ["which"], "{told}");
    let why = |rule: &str| {
        let all = told["notMatched"].as_array().expect("triggers").iter();
        all.filter(|it| it["rule"] == rule)
            .map(|it| it["why"].as_str().unwrap_or_default())
            .collect::<Vec<_>>()
    };
    assert!(why("other").iter().all(|why| *why == "the message is for rule doors alone"), "{told}");
    assert!(why("doors").iter().all(|why| why.ends_with("does not match which")), "{told}");
    assert_eq!(told["recipientCount"], 0, "{told}");
}
