//! What only MQTT 5 has: options, properties, and reasons that say why.

use pointsman_tests::wire::{self, Connect, kind};
use pointsman_tests::{QoS, Raw, TestServer};

const NO_LOCAL: u8 = 0b100;
const QOS_1: u8 = 0b10;
/// Properties by their identifiers.
const SUBSCRIPTION_ID: u8 = 0x0B;
const RECEIVE_MAX: u8 = 0x21;
const TOPIC_ALIAS: u8 = 0x23;
const PACKET_BYTES_MAX: u8 = 0x27;

async fn join(server: &TestServer, client_id: &str) -> Raw {
    server.raw().await.join(&Connect::new(wire::V5, client_id)).await
}

/// Sends bytes on a new connection, and gives the reason with which the server ends it.
async fn refusal(server: &TestServer, bytes: &[u8]) -> u8 {
    let mut raw = join(server, "refused").await;
    raw.send(bytes).await;
    let reason = raw.expect(kind::DISCONNECT).await.reason();
    raw.expect_end().await;
    reason
}

fn publish(flags: u8, topic: &str, properties: &[u8]) -> Vec<u8> {
    let topic = topic.as_bytes();
    wire::Publish { flags, topic, packet_id: 3, properties: Some(properties), payload: b"x" }.packet()
}

#[tokio::test]
async fn no_local_keeps_ones_own_messages_away() {
    let server = TestServer::start().await;
    let mut own = join(&server, "own").await;
    assert_eq!(own.subscribe(&[("a", NO_LOCAL | 1)]).await, [1]);
    own.publish("a", "mine").await;
    server.mqtt("other").await.publish("a", "theirs").await;
    assert_eq!(own.published().await.payload, "theirs");
}

#[tokio::test]
async fn a_message_names_every_subscription_that_it_matches() {
    let server = TestServer::start().await;
    let mut subscriber = join(&server, "subscriber").await;
    subscriber.subscribe_with(&[("a/#", 0)], &[SUBSCRIPTION_ID, 7]).await;
    subscriber.subscribe_with(&[("a/+", 0)], &[SUBSCRIPTION_ID, 0xC8, 0x01]).await;
    subscriber.subscribe(&[("+/b", 0)]).await;
    server.mqtt("publisher").await.publish("a/b", "x").await;
    let properties = subscriber.published().await.properties;
    let either = [
        [SUBSCRIPTION_ID, 7, SUBSCRIPTION_ID, 0xC8, 0x01],
        [SUBSCRIPTION_ID, 0xC8, 0x01, SUBSCRIPTION_ID, 7],
    ];
    assert!(either.iter().any(|wanted| properties == wanted.as_slice()), "{properties:?}");
}

#[tokio::test]
async fn topic_aliases_stand_for_topics() {
    let server = TestServer::start().await;
    let mut subscriber = server.mqtt5("subscriber").await;
    subscriber.subscribe("alias/#", QoS::AtMostOnce).await;
    let mut publisher = join(&server, "publisher").await;
    let alias = wire::property_u16(TOPIC_ALIAS, 5);
    for topic in ["alias/one", "", "alias/two", ""] {
        publisher.publish_with(0, topic, "x", &alias).await;
    }
    for topic in ["alias/one", "alias/one", "alias/two", "alias/two"] {
        subscriber.recv_on(topic).await;
    }
}

#[tokio::test]
async fn topic_aliases_that_mean_nothing_end_the_connection() {
    let server = TestServer::start().await;
    let max = server.config().limits.topic_alias_max;
    let alias = |value| wire::property_u16(TOPIC_ALIAS, value);
    assert_eq!(refusal(&server, &publish(0, "a", &alias(0))).await, 0x94);
    assert_eq!(refusal(&server, &publish(0, "a", &alias(max + 1))).await, 0x94);
    assert_eq!(refusal(&server, &publish(0, "", &alias(1))).await, 0x82);
    assert_eq!(refusal(&server, &publish(0, "", &[])).await, 0x82);
}

#[tokio::test]
async fn user_properties_and_their_like_pass_through() {
    let server = TestServer::start().await;
    let mut subscriber = server.mqtt5("subscriber").await;
    let mut old = server.mqtt("old").await;
    subscriber.subscribe("p", QoS::AtLeastOnce).await;
    old.subscribe("p", QoS::AtLeastOnce).await;
    let properties = [("city", "Ulm"), ("city", "Zürich"), ("", "")];
    server.mqtt5("publisher").await.publish_with("p", "text", &properties).await;
    let message = subscriber.recv_on("p").await;
    let wanted: Vec<_> = properties.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    assert_eq!(message.user_properties, wanted);
    assert_eq!(old.recv_on("p").await.text(), "text", "3.1.1 gets the message without them");
}

#[tokio::test]
async fn every_filter_has_a_code_of_its_own() {
    let server = TestServer::start().await;
    let filters = [("a", 0), ("a/#/b", 0), ("chat/in/other", 1), ("b+", 1), ("chat/in/mixed", 1), ("c/#", 1)];
    let mut new = join(&server, "mixed").await;
    assert_eq!(new.subscribe(&filters).await, [0, 0x8F, 0x87, 0x8F, 1, 1]);
    let mut old = server.raw().await.join(&Connect::new(wire::V311, "mixed")).await;
    assert_eq!(old.subscribe(&filters).await, [0, 0x80, 0x80, 0x80, 1, 1]);
}

#[tokio::test]
async fn a_refused_publish_of_qos_1_says_so_and_the_connection_stays() {
    let server = TestServer::start().await;
    let mut raw = join(&server, "forger").await;
    raw.publish_with(QOS_1, "chat/pub/lobby", "forged", &[]).await;
    let ack = raw.expect(kind::PUBACK).await;
    assert_eq!((ack.packet_id(), ack.reason()), (9, 0x87));
    raw.publish_with(QOS_1, "chat", "right", &[]).await;
    assert_eq!(raw.expect(kind::PUBACK).await.reason(), 0);
    raw.publish("chat/pub/lobby", "forged").await;
    assert_eq!(raw.expect(kind::DISCONNECT).await.reason(), 0x87);
}

#[tokio::test]
async fn a_client_is_sent_nothing_larger_than_it_takes() {
    let server = TestServer::start().await;
    let properties = wire::property_u32(PACKET_BYTES_MAX, 100);
    let mut small = server.raw().await.join(&Connect { properties, ..Connect::new(wire::V5, "small") }).await;
    small.subscribe(&[("a", 1)]).await;
    let mut publisher = server.mqtt("publisher").await;
    publisher.publish("a", "x".repeat(100)).await;
    publisher.publish("a", "x".repeat(50)).await;
    assert_eq!(small.published().await.payload.len(), 50, "the one that fits comes, without the other");
    assert_eq!(server.status().await["dropped"], 1, "and the other is counted");
}

#[tokio::test]
async fn what_just_fits_is_sent_and_what_just_does_not_is_dropped() {
    const MAX: usize = 100;
    let server = TestServer::start().await;
    let mut publisher = server.mqtt("publisher").await;
    let properties = wire::property_u32(PACKET_BYTES_MAX, 100);
    for (name, own) in [("without", vec![]), ("with", vec![SUBSCRIPTION_ID, 0xC8, 0x01])] {
        let connect = Connect { properties: properties.clone(), ..Connect::new(wire::V5, "tight") };
        let mut tight = server.raw().await.join(&connect).await;
        tight.subscribe_with(&[("t", 1)], &own).await;
        // Fixed header, topic, packet id, length of the properties, properties.
        let room = MAX - (2 + 3 + 2 + 1 + own.len());
        for len in [room + 1, room] {
            publisher.publish("t", "x".repeat(len)).await;
        }
        assert_eq!(tight.published().await.payload.len(), room, "{name} a subscription identifier");
    }
}

#[tokio::test]
async fn acknowledgements_in_any_order_open_the_window() {
    let server = TestServer::start().await;
    let properties = wire::property_u16(RECEIVE_MAX, 3);
    let mut slow = server.raw().await.join(&Connect { properties, ..Connect::new(wire::V5, "slow") }).await;
    slow.subscribe(&[("a", 1)]).await;
    let mut publisher = server.mqtt("publisher").await;
    for number in 0..9 {
        publisher.publish("a", number.to_string()).await;
    }
    let mut seen = Vec::new();
    for _ in 0..3 {
        let window = [slow.published().await, slow.published().await, slow.published().await];
        // Nothing more comes before an acknowledgement.
        slow.ping().await;
        for message in window.iter().rev() {
            slow.send(&wire::puback(message.packet_id)).await;
        }
        seen.extend(window.iter().map(|message| String::from_utf8_lossy(&message.payload).into_owned()));
    }
    assert_eq!(seen, ["0", "1", "2", "3", "4", "5", "6", "7", "8"]);
    slow.ping().await;
}

#[tokio::test]
async fn an_acknowledgement_of_nothing_is_ignored() {
    let server = TestServer::start().await;
    let mut raw = join(&server, "confused").await;
    raw.send(&wire::puback(77)).await;
    raw.ping().await;
}

#[tokio::test]
async fn the_server_may_shorten_a_keep_alive_and_says_so() {
    let server =
        TestServer::builder().config(|config| config.limits.keep_alive_max_seconds = 20).start().await;
    for (asked, told) in [(60, true), (0, true), (10, false)] {
        let mut raw = server.raw().await;
        let connack =
            raw.connect(&Connect { keep_alive_seconds: asked, ..Connect::new(wire::V5, "keen") }).await;
        let said = connack.properties.windows(3).any(|window| window == [0x13, 0, 20]);
        assert_eq!(said, told, "a keep-alive of {asked}: {connack:?}");
    }
}

#[tokio::test]
async fn bytes_that_are_no_packet_of_mqtt_5_end_the_connection_with_malformed() {
    let server = TestServer::start().await;
    for (what, bytes) in [
        ("a reserved packet type", vec![0x00, 0x00]),
        ("SUBSCRIBE without its flag", vec![0x80, 0x05, 0, 1, 0, 0, 0]),
        ("SUBSCRIBE without a filter", vec![0x82, 0x03, 0, 1, 0]),
        ("SUBSCRIBE with an empty filter", vec![0x82, 0x06, 0, 1, 0, 0, 0, 0]),
        ("a text that is longer than the packet", vec![0x30, 0x03, 0x00, 0x09, b'a']),
        ("a length of five bytes", vec![0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x01]),
        ("an unknown property", publish(0, "a", &[0x7F, 0x00])),
    ] {
        let reason = refusal(&server, &bytes).await;
        // 0x8F is for what is wrong with a filter.
        assert!(matches!(reason, 0x81 | 0x82 | 0x8F), "{what}: {reason:#04x}");
    }
}
