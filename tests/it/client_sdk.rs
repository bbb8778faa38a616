//! The Rust client: typed messages, refusals with reasons, and a server that goes and comes back.

use pointsman_client::{Client, ConnectError, Options, PublishError, ReceiveError, SubscribeError};
use pointsman_tests::{QoS, ServerProcess, TestServer, eventually, within};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Score {
    player: String,
    points: u64,
}

fn score(points: u64) -> Score {
    Score { player: "ana".to_owned(), points }
}

#[tokio::test]
async fn values_go_over_every_transport() {
    let server = TestServer::start().await;
    let urls = [
        format!("mqtt://{}", server.mqtt),
        format!("mqtts://{}", server.mqtts),
        format!("ws://{}/mqtt", server.http),
        format!("wss://{}/mqtt", server.https),
    ];
    for (number, url) in (0..).zip(urls) {
        let options = Options::new(&url, "typed").authority_file(&server.authority);
        let client = Client::connect(options).await.unwrap_or_else(|error| panic!("{url}: {error:?}"));
        let mut scores = client.subscribe::<Score>("scores/+").await.expect("guests may subscribe");
        client.publish("scores/chess", &score(number)).await.expect("guests may publish");
        let message = within("the score", scores.next()).await.expect("it is a score");
        assert_eq!((message.topic.as_str(), message.value), ("scores/chess", score(number)));
    }
}

async fn connect(server: &TestServer, client_id: &str) -> Client {
    let options = Options::new(format!("mqtt://{}", server.mqtt), client_id);
    Client::connect(options).await.expect("the server listens")
}

#[tokio::test]
async fn what_the_server_refuses_has_its_reason() {
    let server = TestServer::start().await;
    let client = connect(&server, "typed").await;
    let refused = client.publish("chat/pub/lobby", "forged").await;
    assert!(
        matches!(&refused, Err(PublishError::Refused { reason, .. }) if reason == "NotAuthorized"),
        "{refused:?}"
    );
    let refused = client.subscribe::<Score>("chat/in/other").await;
    assert!(
        matches!(&refused, Err(SubscribeError::Refused { reason, .. }) if reason == "NotAuthorized"),
        "{refused:?}"
    );
    let wrong = Options::new(format!("mqtt://{}", server.mqtt), "x").login("admin", "wrong");
    assert!(matches!(Client::connect(wrong).await, Err(ConnectError::Unreachable { .. })));
    client.publish("scores/chess", &score(1)).await.expect("the connection stays");
}

#[tokio::test]
async fn a_payload_of_another_type_is_an_error_and_the_next_goes_on() {
    let server = TestServer::start().await;
    let client = connect(&server, "typed").await;
    let mut scores = client.subscribe::<Score>("scores/#").await.expect("granted");
    server.mqtt("other").await.publish("scores/chess", "no json").await;
    client.publish("scores/chess", &score(2)).await.expect("acknowledged");
    let unreadable = within("the first", scores.next()).await;
    assert!(matches!(&unreadable, Err(ReceiveError::Unreadable { topic, .. }) if topic == "scores/chess"));
    assert_eq!(within("the second", scores.next()).await.expect("a score").value, score(2));
}

#[tokio::test]
async fn subscriptions_of_one_filter_share_it_and_the_last_ends_it() {
    let server = TestServer::start().await;
    let client = connect(&server, "typed").await;
    let mut first = client.subscribe::<Score>("scores/#").await.expect("granted");
    let mut second = client.subscribe::<serde_json::Value>("scores/#").await.expect("granted");
    let mut narrow = client.subscribe::<Score>("scores/chess").await.expect("granted");
    client.publish("scores/chess", &score(3)).await.expect("acknowledged");
    assert_eq!(within("first", first.next()).await.expect("a score").value, score(3));
    assert_eq!(within("second", second.next()).await.expect("JSON").value["points"], 3);
    assert_eq!(within("narrow", narrow.next()).await.expect("a score").value, score(3));
    assert_eq!(server.status().await["subscriptions"], 2);
    drop((first, second, narrow));
    eventually("nothing is subscribed to", async || {
        let count = server.status().await["subscriptions"].clone();
        if count == 0 { Ok(()) } else { Err(count) }
    })
    .await;
    drop(client);
    eventually("the client is gone with its last clone", async || {
        let count = server.status().await["clients"].clone();
        if count == 0 { Ok(()) } else { Err(count) }
    })
    .await;
}

#[tokio::test]
async fn a_client_outlives_its_server() {
    let mut server = ServerProcess::start(env!("CARGO_BIN_EXE_server")).await;
    let options =
        Options::new(format!("wss://{}/mqtt", server.https), "lasting").authority_file(&server.authority);
    let client = Client::connect(options).await.expect("the server listens");
    let mut scores = client.subscribe::<Score>("scores/#").await.expect("granted");
    server.kill().await;
    let sender = client.clone();
    let published = tokio::spawn(async move { sender.publish("scores/late", &score(9)).await });
    server.run().await;
    within("the publish", published)
        .await
        .expect("no panic")
        .expect("it is sent when there is a server again");
    let mut other = server.mqtt("other").await;
    eventually("the subscription is there again", async || {
        other.publish("scores/again", r#"{"player": "ana", "points": 10}"#).await;
        let subscribed = server.status().await["subscriptions"].clone();
        if subscribed == 1 { Ok(()) } else { Err(subscribed) }
    })
    .await;
    other.publish("scores/again", r#"{"player": "ana", "points": 11}"#).await;
    loop {
        let message = within("a score after the restart", scores.next()).await.expect("a score");
        if message.value == score(11) {
            break;
        }
    }
    other.subscribe("still/here", QoS::AtLeastOnce).await;
    client.publish("still/here", "yes").await.expect("acknowledged");
    assert_eq!(other.recv_on("still/here").await.text(), "\"yes\"");
}
