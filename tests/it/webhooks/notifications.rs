//! `notify` and `disconnect`: who is told, and who is sent away.

use std::path::Path;

use pointsman_config::{Config, NotifySubscriber, PrivatePlace, WebAddress};
use pointsman_tests::wire::{self, Connect, kind};
use pointsman_tests::{QoS, TestServer, WebServer};
use serde_json::json;

const ADMINISTRATIVE_ACTION: u8 = 0x98;

/// Notifications are for those whom a policy names; here for everybody.
const OPEN: &str = r#"{"Statement": [{"Effect": "Allow", "Action": ["connect", "publish", "subscribe", "receive"], "Resource": "*"}]}"#;

const RULE: &str = r#"
    on_message("alarm", "tell");
    on_message("away/{client}", "away");
    on_disconnect("gone");
    fn tell(msg) { notify("alarms/fire", "Fire", #{ where: msg.text() }); }
    fn away(msg) { disconnect(msg.params.client, #{ reason: "too loud" }); }
    fn gone(event) { publish("out/gone/" + event.client_id, event.reason, #{ qos: 1 }); }
"#;

#[tokio::test]
async fn a_notification_reaches_mqtt_clients_and_web_servers() {
    let (web, raw) = (WebServer::start().await, WebServer::start().await);
    let subscriber = |web: &WebServer, raw: bool| NotifySubscriber {
        topic: "alarms/fire".to_owned(),
        url: WebAddress::parse(&web.url("/told")).expect("a URL"),
        raw,
        secret: None,
        filter: None,
    };
    let picky = |place: &str| {
        let filter = format!(
            "rules.notify = [{{ topic = \"alarms/fire\", url = \"{}\", filter = {{ where = [\"{place}\"] }} }}]",
            raw.url("/picky")
        );
        Config::parse(&filter, Path::new("p.toml")).expect("a configuration").rules.notify.remove(0)
    };
    let notify = vec![subscriber(&web, false), picky("hall"), picky("kitchen"), subscriber(&raw, true)];
    let private =
        [&web, &raw].map(|web| PrivatePlace::try_from(web.address().to_string()).expect("an address"));
    let builder = TestServer::builder().without_bundled_rules().rule("notify", RULE).guest_policy(OPEN);
    let server = builder
        .config(|config| {
            config.rules.notify = notify;
            config.rules.webhooks.allow_private = private.to_vec();
        })
        .start()
        .await;
    let mut client = server.mqtt("client").await;
    client.subscribe("$notify/#", QoS::AtLeastOnce).await;
    client.publish("alarm", "kitchen").await;
    let message = client.recv().await;
    assert_eq!(message.topic, "$notify/alarms/fire");
    let document = message.json();
    let told = json!({
        "Type": "Notification", "TopicArn": "arn:pointsman:sns:::alarms/fire", "Topic": "alarms/fire", "Subject": "Fire",
        "Message": "{\"where\":\"kitchen\"}", "MessageId": document["MessageId"], "Timestamp": document["Timestamp"],
    });
    assert_eq!(document, told);
    let hooked = web.receives(1).await[0].clone();
    assert_eq!((hooked.line.as_str(), hooked.json()), ("POST /told", told));
    assert_eq!(hooked.header("x-amz-sns-message-type"), Some("Notification"));
    assert_eq!(hooked.header("x-amz-sns-message-id"), document["MessageId"].as_str());
    assert_eq!(hooked.header("content-type"), Some("text/plain; charset=UTF-8"));
    let received = raw.receives(2).await;
    assert_eq!(received[0].line, "POST /picky", "one of the two wants it");
    let rawly = received[1].clone();
    assert_eq!(
        (rawly.text(), rawly.header("x-amz-sns-rawdelivery")),
        ("{\"where\":\"kitchen\"}", Some("true"))
    );
    assert_ne!(rawly.id(), hooked.id(), "each has a name of its own");
}

#[tokio::test]
async fn notifications_wait_for_a_session_and_cannot_be_forged() {
    let mut server =
        TestServer::builder().without_bundled_rules().rule("notify", RULE).guest_policy(OPEN).start().await;
    let durable = Connect { clean: false, ..Connect::new(wire::V311, "durable") };
    let mut absent = server.raw().await.join(&durable).await;
    assert_eq!(absent.subscribe(&[("$notify/alarms/+", 1)]).await, [1]);
    absent.leave().await;
    let mut client = server.mqtt("client").await;
    client.publish("alarm", "cellar").await;
    server.restart().await;
    let mut back = server.raw().await.join(&durable).await;
    let told = back.receive().await;
    assert_eq!(told.topic, "$notify/alarms/fire");
    assert!(told.text().contains("cellar"), "{}", told.text());
    let mut forger = server.raw().await.join(&Connect::new(wire::V5, "forger")).await;
    assert!(forger.deliver(1, "$notify/alarms/fire", "forged", &[]).await >= 0x80, "`$` is the server's");
}

#[tokio::test]
async fn a_rule_sends_a_client_away_with_a_reason() {
    let server = TestServer::builder().without_bundled_rules().rule("away", RULE).start().await;
    let mut client = server.mqtt("client").await;
    client.subscribe("out/#", QoS::AtLeastOnce).await;
    let mut loud = server.raw().await.join(&Connect::new(wire::V5, "loud")).await;
    let mut old = server.raw().await.join(&Connect::new(wire::V311, "old")).await;
    client.publish("away/nobody", "").await;
    client.publish("away/loud", "").await;
    let goodbye = loud.expect(kind::DISCONNECT).await;
    assert_eq!(goodbye.reason(), ADMINISTRATIVE_ACTION);
    assert!(
        format!("{goodbye:?}").contains("too loud") || goodbye.body.windows(8).any(|it| it == b"too loud")
    );
    loud.expect_end().await;
    assert_eq!(client.recv_on("out/gone/loud").await.text(), "SERVER_INITIATED_DISCONNECT");
    client.publish("away/old", "").await;
    old.expect_end().await;
    assert_eq!(client.recv_on("out/gone/old").await.text(), "SERVER_INITIATED_DISCONNECT");
}
