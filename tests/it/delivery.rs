//! Delivery: who is sent what, once, at which level, in which order.

use pointsman_tests::wire::{self, Connect};
use pointsman_tests::{QoS, TestServer, Tool, Version};

#[tokio::test]
async fn a_message_comes_at_the_lower_of_the_two_levels() {
    let server = TestServer::start().await;
    for version in Version::ALL {
        let mut publisher = server.client("publisher").version(version).connect().await;
        for (wanted, level) in [(QoS::AtMostOnce, 0), (QoS::AtLeastOnce, 1)] {
            let mut subscriber = server.client("subscriber").version(version).connect().await;
            subscriber.subscribe("level", wanted).await;
            publisher.send("level", "zero").await;
            publisher.publish("level", "one").await;
            let zero = subscriber.recv().await;
            let one = subscriber.recv().await;
            assert_eq!((zero.text(), zero.qos), ("zero", 0), "{version:?}");
            assert_eq!((one.text(), one.qos), ("one", level), "{version:?}");
            subscriber.disconnect().await;
        }
    }
}

/// Filters, with topics that match and topics that do not.
const FILTERS: [(&str, &[&str], &[&str]); 9] = [
    ("a/b", &["a/b"], &["a", "a/b/c", "A/b", "/a/b"]),
    ("a/+", &["a/b", "a/"], &["a", "a/b/c"]),
    ("+/b", &["a/b", "/b"], &["b", "a/b/c"]),
    ("+", &["a"], &["/a", "a/b", "$a"]),
    ("/+", &["/a"], &["a", "a/b"]),
    ("a/#", &["a", "a/b", "a/b/c", "a/"], &["ab", "b/a"]),
    ("#", &["a", "/", "a/b/c"], &["$a", "$a/b"]),
    ("+/+", &["a/b", "/"], &["a", "$a/b", "a/b/c"]),
    ("a/+/c", &["a/b/c", "a//c"], &["a/c", "a/b/b/c"]),
];

#[tokio::test]
async fn filters_match_as_the_standard_says() {
    // The operator may not publish under `$` either, so a rule does.
    let rule = r#"on_message("say", "say"); fn say(msg) { publish(msg.text(), "said", #{ qos: 1 }); }"#;
    let server = TestServer::builder().rule("say", rule).start().await;
    let mut publisher = server.mqtt("publisher").await;
    for (filter, matching, others) in FILTERS {
        let mut subscriber = server.mqtt("subscriber").await;
        subscriber.subscribe(filter, QoS::AtMostOnce).await;
        subscriber.subscribe("the/end", QoS::AtMostOnce).await;
        for topic in others.iter().chain(matching).chain(&["the/end"]) {
            publisher.publish("say", *topic).await;
        }
        let mut seen = Vec::new();
        loop {
            let message = subscriber.recv().await;
            match message.topic.as_str() {
                "the/end" => break,
                "say" => {}
                topic => seen.push(topic.to_owned()),
            }
        }
        seen.sort_unstable();
        let mut wanted = matching.to_vec();
        wanted.sort_unstable();
        assert_eq!(seen, wanted, "what {filter} is sent");
        subscriber.disconnect().await;
    }
}

#[tokio::test]
async fn overlapping_subscriptions_bring_a_message_once_at_the_highest_level() {
    let server = TestServer::start().await;
    let mut subscriber = server.mqtt("subscriber").await;
    subscriber.subscribe("a/#", QoS::AtMostOnce).await;
    subscriber.subscribe("a/+", QoS::AtLeastOnce).await;
    subscriber.subscribe("a/b", QoS::AtMostOnce).await;
    server.mqtt("publisher").await.publish("a/b", "once").await;
    assert_eq!(subscriber.recv_on("a/b").await.qos, 1);
    subscriber.expect_silence().await;
}

#[tokio::test]
async fn subscribing_again_replaces_and_unsubscribing_ends_it() {
    let server = TestServer::start().await;
    let mut subscriber = server.mqtt("subscriber").await;
    let mut publisher = server.mqtt("publisher").await;
    subscriber.subscribe("a", QoS::AtLeastOnce).await;
    subscriber.subscribe("a", QoS::AtMostOnce).await;
    publisher.publish("a", "1").await;
    assert_eq!(subscriber.recv_on("a").await.qos, 0);
    subscriber.unsubscribe("a").await;
    subscriber.unsubscribe("never/subscribed").await;
    publisher.publish("a", "2").await;
    subscriber.expect_silence().await;
}

#[tokio::test]
async fn messages_of_one_publisher_keep_their_order() {
    const COUNT: usize = 2_000;
    let server = TestServer::start().await;
    let mut subscriber = server.mqtt("subscriber").await;
    subscriber.subscribe("order", QoS::AtLeastOnce).await;
    let mut publisher = server.raw().await.join(&Connect::new(wire::V311, "publisher")).await;
    for number in 0..COUNT {
        publisher.publish_with(if number % 2 == 0 { 0 } else { 2 }, "order", &number.to_string(), &[]).await;
    }
    for number in 0..COUNT {
        assert_eq!(subscriber.recv_on("order").await.text(), number.to_string());
    }
}

#[tokio::test]
async fn many_subscribers_get_each_message_once() {
    let server = TestServer::start().await;
    let mut subscribers = Vec::new();
    for number in 0..20 {
        let version = Version::ALL[number % 2];
        let mut subscriber = server.client(&format!("subscriber-{number}")).version(version).connect().await;
        subscriber.subscribe("news/#", QoS::AtLeastOnce).await;
        subscribers.push(subscriber);
    }
    let mut publisher = server.mqtt("publisher").await;
    for number in 0..10 {
        publisher.publish("news/today", number.to_string()).await;
    }
    for subscriber in &mut subscribers {
        for number in 0..10 {
            assert_eq!(subscriber.recv_on("news/today").await.text(), number.to_string());
        }
        subscriber.expect_silence().await;
    }
}

#[tokio::test]
async fn payloads_come_byte_for_byte() {
    let server = TestServer::start().await;
    let mut subscriber = server.wss("subscriber").await;
    subscriber.subscribe("bytes", QoS::AtLeastOnce).await;
    let mut publisher = server.mqtts("publisher").await;
    let all: Vec<u8> = (0..=255).collect();
    for payload in [Vec::new(), all.clone(), all.repeat(2_000)] {
        publisher.publish("bytes", payload.clone()).await;
        assert!(subscriber.recv_on("bytes").await.payload == payload, "{} bytes come as sent", payload.len());
    }
}

#[tokio::test]
async fn the_clients_of_mosquitto_are_served() {
    let server = TestServer::start().await;
    let port = server.mqtts.port().to_string();
    let authority = server.authority.to_string_lossy().into_owned();
    let mut subscriber = server.mqtt("subscriber").await;
    subscriber.subscribe("tools/#", QoS::AtLeastOnce).await;
    for version in ["mqttv31", "mqttv311", "mqttv5"] {
        let arguments = [
            "-h",
            "localhost",
            "-p",
            &port,
            "--cafile",
            &authority,
            "-V",
            version,
            "-q",
            "1",
            "-t",
            "tools/a",
            "-m",
            version,
        ];
        Tool("mosquitto_pub").run(&arguments).await;
        assert_eq!(subscriber.recv_on("tools/a").await.text(), version);
    }
}
