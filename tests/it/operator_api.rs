//! What the operator does over HTTP: publishing, and reading what is retained.

use std::collections::BTreeSet;

use data_encoding::BASE64;
use pointsman::api::http::operator_routes;
use pointsman_tests::wire::{self, Connect};
use pointsman_tests::{Answer, Http, QoS, TestServer, eventually};

struct Operator {
    server: TestServer,
    /// Its requests.
    http: Http,
}

impl Operator {
    fn of(server: TestServer) -> Operator {
        let http = server.operator();
        Operator { server, http }
    }

    async fn post(&self, path: &str, body: &str) -> Answer {
        self.http.post(path, body.to_owned()).await
    }

    async fn get(&self, path: &str) -> Answer {
        let password = self.server.admin_password();
        self.server.https().login("admin", password).get(path).await
    }

    /// Retains a message, and waits until it is there to be read.
    async fn retain(&self, path: &str, topic: &str, body: &str) {
        let answer = self.post(&format!("/topics/{path}?qos=1&retain=true"), body).await;
        assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
        eventually(&format!("{topic} is retained"), async || {
            let answer = self.get(&format!("/retainedMessage/{path}")).await;
            let found = answer.json()["payload"] == BASE64.encode(body.as_bytes());
            if found { Ok(()) } else { Err(format!("{answer:?}")) }
        })
        .await;
    }
}

/// Neither the rest of a path nor a query or a body is looked at before it is known who asks.
#[tokio::test]
async fn what_is_for_the_operator_is_for_nobody_else() {
    let operator = Operator::of(TestServer::start().await);
    let http = operator.server.http();
    for (method, path) in operator_routes() {
        let what = format!("{method} {path}");
        let fixed = path.split_once('{').map_or(path, |(fixed, _)| fixed);
        let behind = path.rsplit_once('}').map_or("", |(_, behind)| behind);
        let parameter = if fixed == path { "" } else { "%FF" };
        let path = format!("{fixed}{parameter}{behind}?nonsense");
        let answer = http.ask_without_the_body(method.clone(), &path).await;
        assert_eq!(answer.status.as_u16(), 401, "{what}: {answer:?}");
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{what}");
        assert!(answer.headers.contains_key("www-authenticate"), "{what}: {answer:?}");
        let answer = operator.http.ask(method, &path, &[], "").await;
        assert_ne!(answer.status.as_u16(), 401, "{what}: {answer:?}");
    }
    for path in ["/api/rules", "/api/rules/chat", "/topics/a"] {
        let answer = http.delete(path).await;
        assert_eq!(answer.status.as_u16(), 405, "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn a_message_is_published_with_its_properties() {
    let operator = Operator::of(TestServer::start().await);
    let mut plain = operator.server.mqtt("plain").await;
    plain.subscribe("rooms/日/temperature", QoS::AtLeastOnce).await;
    let mut raw = operator.server.raw().await.join(&Connect::new(wire::V5, "raw")).await;
    raw.subscribe(&[("rooms/#", 1)]).await;
    let headers =
        [("x-amz-mqtt5-payload-format-indicator", "UTF8_DATA"), ("x-amz-mqtt5-correlation-data", "AAE=")];
    let path = "/topics/rooms%2F%E6%97%A5/temperature?qos=1&contentType=text/plain";
    let answer = operator.http.post_with(path, &headers, "21").await;
    assert_eq!((answer.status.as_u16(), &answer.json()["message"]), (200, &"OK".into()));
    assert_eq!(plain.recv_on("rooms/日/temperature").await.text(), "21");
    let publish = raw.published().await;
    assert_eq!((publish.topic.as_str(), publish.qos), ("rooms/日/temperature", 1));
    assert_eq!(publish.payload, "21");
    assert_eq!(publish.properties, &b"\x01\x01\x03\x00\x0atext/plain\x09\x00\x02\x00\x01"[..]);
}

#[tokio::test]
async fn a_publish_that_a_rule_keeps_is_kept_when_it_is_answered() {
    let rule = r#"on_message("kept", "keep"); fn keep(msg) { publish("echo", msg.text(), #{ qos: 1 }); }"#;
    let operator = Operator::of(TestServer::builder().rule("kept", rule).start().await);
    let end = async || operator.server.status().await["log"]["durableEnd"].as_u64().unwrap();
    let before = end().await;
    let mut listener = operator.server.mqtt("listener").await;
    listener.subscribe("echo", QoS::AtLeastOnce).await;
    assert_eq!(operator.post("/topics/kept?qos=1", "x").await.status.as_u16(), 200);
    assert!(end().await > before);
    assert_eq!(listener.recv_on("echo").await.text(), "x");
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_a_reason() {
    let limit = |config: &mut pointsman_config::Config| {
        config.limits.packet_bytes_max = 1024;
        config.limits.topic_levels_max = 4;
        config.limits.retained_bytes_max = 1_000;
    };
    let operator = Operator::of(TestServer::builder().config(limit).start().await);
    for (path, status, part) in [
        ("/topics/a?qos=3", 400, "give 0 or 1"),
        ("/topics/a%2B?qos=1", 400, "wildcard"),
        ("/topics/a?color=red", 400, "color"),
        ("/topics/1/2/3/4/5", 400, "topic_levels_max"),
        ("/topics/$SYS/broker/uptime", 403, "$SYS/broker/uptime"),
        ("/topics/chat/in/ana", 403, "policy"),
        ("/topics/a?retain=true", 507, "retained_bytes_max"),
    ] {
        let answer = operator.post(path, &"x".repeat(1_000)).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {answer:?}");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        assert!(answer.json()["detail"].as_str().unwrap().contains(part), "{path}: {answer:?}");
    }
    let answer = operator.post("/topics/a", &"x".repeat(1_025)).await;
    assert_eq!(answer.status.as_u16(), 413, "{answer:?}");
    let answer = operator.server.http().post("/topics/a", "x").await;
    assert_eq!(answer.status.as_u16(), 401, "{answer:?}");
    let headers = [("origin", "https://evil.example")];
    let answer = operator.http.post_with("/topics/a", &headers, "x").await;
    assert_eq!(answer.status.as_u16(), 403, "{answer:?}");
    assert_eq!(operator.get("/topics/a").await.status.as_u16(), 405);
}

#[tokio::test]
async fn retained_messages_are_read_one_by_one_and_in_pages() {
    let operator = Operator::of(TestServer::start().await);
    assert_eq!(operator.get("/retainedMessage").await.json()["retainedTopics"], serde_json::json!([]));
    let answer = operator.get("/retainedMessage/a").await;
    assert_eq!((answer.status.as_u16(), &answer.json()["title"]), (404, &"No retained message".into()));
    for (path, topic) in [("a", "a"), ("a%2Fb", "a/b"), ("%E6%97%A5", "日")] {
        operator.retain(path, topic, "x").await;
    }
    let one = operator.get("/retainedMessage/a/b").await.json();
    assert_eq!((&one["topic"], &one["qos"]), (&"a/b".into(), &1.into()));
    assert!(one["lastModifiedTime"].as_u64() > Some(1_600_000_000_000));
    let mut seen = BTreeSet::new();
    let mut path = "/retainedMessage?maxResults=2".to_owned();
    loop {
        let page = operator.get(&path).await.json();
        let topics = page["retainedTopics"].as_array().expect("a page of topics").clone();
        assert!((1..=2).contains(&topics.len()), "{page}");
        for topic in &topics {
            assert_eq!((&topic["payloadSize"], &topic["qos"]), (&1.into(), &1.into()), "{page}");
            assert!(seen.insert(topic["topic"].to_string()), "{page}");
        }
        let Some(token) = page["nextToken"].as_str() else { break };
        path = format!("/retainedMessage?maxResults=2&nextToken={token}");
    }
    assert_eq!(seen.len(), 3);
    operator.post("/topics/a?retain=true", "").await;
    eventually("the message is removed", async || {
        let answer = operator.get("/retainedMessage/a").await;
        if answer.status.as_u16() == 404 { Ok(()) } else { Err(format!("{answer:?}")) }
    })
    .await;
    assert_eq!(operator.server.http().get("/retainedMessage").await.status.as_u16(), 401);
}
