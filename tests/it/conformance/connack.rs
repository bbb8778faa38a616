//! CONNACK: that it comes, once and first, and what it says.

use pointsman_tests::Raw;
use pointsman_tests::wire::{self, Connect, Will, id, kind};

use super::case::{BOTH, Case, ONLY_V5, each};

/// What this server offers: everything.
const QOS: u8 = 2;

async fn welcome(case: &Case, connect: &Connect) -> (Raw, Vec<(u8, bytes::Bytes)>) {
    let mut raw = case.raw().await;
    let connack = raw.connect(connect).await;
    assert_eq!(connack.code, 0, "{connack:?}");
    (raw, wire::read_properties(&connack.properties))
}

#[tokio::test]
pub(super) async fn connack_is_the_first_packet_and_comes_once() {
    each(BOTH, async |case| {
        let topic = case.topic("waiting");
        let mut client = case.join_with(&case.persistent("client")).await;
        client.subscribe(&[(&topic, 1)]).await;
        client.leave().await;
        case.join("publisher").await.deliver(1, &topic, "x", &[]).await;
        // A message waits for the client, and yet CONNACK is first.
        let mut client = case.raw().await;
        client.send(&case.persistent("client").packet()).await;
        let connack = client.connack().await;
        assert_eq!(connack.code, 0);
        assert_eq!(client.receive().await.topic, topic);
        client.ping().await;
        client.leave().await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_connection_that_is_let_in_is_told_so() {
    each(BOTH, async |case| {
        let connack = case.raw().await.connect(&case.connect("client")).await;
        assert_eq!((connack.code, connack.session_present), (0, false));
        if !case.is_v5() {
            assert!(connack.properties.is_empty(), "{connack:?}");
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_refusal_says_why_and_ends_the_connection() {
    each(BOTH, async |case| {
        // There is a session, and yet a refusal says no. [MQTT-3.2.2-6]
        case.join_with(&case.persistent("client")).await.leave().await;
        let refused = case.persistent("client").login("nobody", b"wrong");
        case.rejects(&refused, 4, &[0x86]).await;
        let forged = Will::new("$SYS/broker/fake", "x");
        case.rejects(&case.connect("forger").will(forged), 5, &[0x87]).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn everything_is_offered() {
    each(ONLY_V5, async |case| {
        let (mut client, properties) = welcome(&case, &case.connect("client")).await;
        // What is left out is available.
        for available in [
            id::RETAIN_AVAILABLE,
            id::WILDCARD_AVAILABLE,
            id::SUBSCRIPTION_ID_AVAILABLE,
            id::SHARED_AVAILABLE,
        ] {
            assert!(!properties.contains(&(available, bytes::Bytes::from_static(&[0]))), "{properties:?}");
        }
        assert!(properties.iter().all(|(found, _)| *found != id::QOS_MAX), "{properties:?}");
        for qos in 0..=QOS {
            assert_eq!(client.subscribe(&[(&case.topic("a"), qos)]).await, [qos]);
        }
        for qos in 0..=QOS {
            for retain in [false, true] {
                let will = Will { qos, retain, ..Will::new(&case.topic("will"), "") };
                case.join_with(&case.connect("will").will(will)).await.leave().await;
            }
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn no_property_comes_twice_or_where_it_does_not_belong() {
    each(ONLY_V5, async |case| {
        let (_, properties) = welcome(&case, &Connect::new(case.level, "")).await;
        let known = [
            id::SESSION_EXPIRY,
            id::RECEIVE_MAX,
            id::QOS_MAX,
            id::RETAIN_AVAILABLE,
            id::PACKET_BYTES_MAX,
            id::ASSIGNED_CLIENT_ID,
            id::TOPIC_ALIAS_MAX,
            id::REASON_STRING,
            id::WILDCARD_AVAILABLE,
            id::SUBSCRIPTION_ID_AVAILABLE,
            id::SHARED_AVAILABLE,
            id::SERVER_KEEP_ALIVE,
            id::RESPONSE_INFO,
            id::SERVER_REFERENCE,
        ];
        let mut found: Vec<u8> = properties.iter().map(|(found, _)| *found).collect();
        found.sort_unstable();
        let count = found.len();
        found.dedup();
        assert_eq!(found.len(), count, "{properties:?}");
        assert!(found.iter().all(|found| known.contains(found)), "{properties:?}");
        for (property, value) in properties {
            let zero = value.iter().all(|byte| *byte == 0);
            let is_max = matches!(property, id::RECEIVE_MAX | id::PACKET_BYTES_MAX);
            assert!(!is_max || !zero, "{property:#04x} is 0");
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn response_information_is_for_those_who_ask() {
    each(ONLY_V5, async |case| {
        for value in [None, Some(0)] {
            let properties =
                value.map(|value| wire::property_u8(id::REQUEST_RESPONSE_INFO, value)).unwrap_or_default();
            let (_, found) = welcome(&case, &Connect { properties, ..case.connect("client") }).await;
            assert!(found.iter().all(|(found, _)| *found != id::RESPONSE_INFO), "{found:?}");
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_refusal_fits_into_what_the_client_takes() {
    each(ONLY_V5, async |case| {
        for max in [5, 20, 40] {
            let properties = wire::property_u32(id::PACKET_BYTES_MAX, max);
            let connect = Connect { properties, ..case.connect("small") }.login("nobody", b"wrong");
            let mut raw = case.raw().await;
            raw.send(&connect.packet()).await;
            let packet = raw.expect(kind::CONNACK).await;
            let len = 2 + packet.body.len();
            assert!(len <= usize::try_from(max).unwrap_or(0), "{len} of {max}: {packet:?}");
            assert_eq!(packet.body[1], 0x86);
            raw.expect_end().await;
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn an_authentication_method_that_is_not_offered_is_refused() {
    each(ONLY_V5, async |case| {
        let properties =
            [wire::property_text(id::AUTH_METHOD, "GS2-KRB5"), wire::property_text(id::AUTH_DATA, "data")];
        for count in 1..=2 {
            let properties = properties[..count].concat();
            case.rejects(&Connect { properties, ..case.connect("method") }, 0, &[0x8C]).await;
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn auth_is_for_those_who_named_a_method() {
    each(ONLY_V5, async |case| {
        let method = wire::property_text(id::AUTH_METHOD, "SCRAM-SHA-256");
        for reason in [0x00, 0x18, 0x19] {
            case.refuses("AUTH", &wire::auth(reason, &method), &[0x82]).await;
        }
        let mut flags = wire::auth(0x19, &method);
        flags[0] |= 1;
        case.refuses("AUTH with a flag", &flags, &[0x81]).await;
        case.refuses("AUTH with a reason that is none", &wire::auth(0x42, &method), &[0x81, 0x82]).await;
        let (_, properties) = welcome(&case, &case.connect("plain")).await;
        assert!(properties.iter().all(|(found, _)| !matches!(*found, id::AUTH_METHOD | id::AUTH_DATA)));
    })
    .await;
}
