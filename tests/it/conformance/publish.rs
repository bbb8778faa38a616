//! PUBLISH: its flags, its topic, its properties, and what comes back.

use pointsman_tests::wire::{self, Connect, id, kind};

use super::case::{BOTH, Case, MALFORMED, ONLY_V5, PROTOCOL_ERROR, WRONG, each, each_at_once};

#[tokio::test]
pub(super) async fn dup_is_for_redelivery_alone() {
    each(BOTH, async |case| {
        let topic = case.topic("dup");
        let mut subscriber = case.subscriber("subscriber", &topic, 2).await;
        let mut publisher = case.join("publisher").await;
        for qos in 1..=2 {
            // What the publisher sends again the subscriber is sent for the first time.
            publisher.deliver_flagged(8 | qos << 1, &topic, "again", &[]).await;
            let message = subscriber.receive().await;
            assert_eq!((message.text(), message.dup, message.qos), ("again", false, qos));
        }
        publisher.publish(&topic, "once").await;
        assert!(!subscriber.receive().await.dup);
        case.refuses("DUP at QoS 0", &case.publish(8, &topic, &[]), WRONG).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn qos_3_is_malformed() {
    each(BOTH, async |case| {
        for flags in [6, 7, 14] {
            case.refuses("QoS 3", &case.publish(flags, case.topic("a"), &[]), &[MALFORMED]).await;
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_topic_name_has_no_wildcards() {
    each(BOTH, async |case| {
        for topic in ["#", "+", "a/#", "a/+/b", "a+", "#b"] {
            for flags in [0, 2, 4] {
                case.refuses(topic, &case.publish(flags, topic, &[]), &[MALFORMED, PROTOCOL_ERROR, 0x90])
                    .await;
            }
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_topic_name_is_not_empty() {
    each(BOTH, async |case| {
        case.refuses("no topic", &case.publish(0, "", &[]), &[MALFORMED, PROTOCOL_ERROR, 0x90]).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn each_level_has_its_answer() {
    each(BOTH, async |case| {
        let topic = case.topic("answers");
        let mut client = case.join("client").await;
        client.publish(&topic, "x").await;
        client.ping().await;
        client.publish_with(2, &topic, "x", &[]).await;
        let ack = client.answer(kind::PUBACK).await;
        // Nobody is subscribed, which MQTT 5 may be told.
        assert_eq!((ack.packet_id(), ack.reason() & !0x10), (9, 0));
        client.publish_with(4, &topic, "x", &[]).await;
        let ack = client.answer(kind::PUBREC).await;
        assert_eq!((ack.packet_id(), ack.reason() & !0x10), (9, 0));
        client.send(&wire::pubrel(9)).await;
        let ack = client.answer(kind::PUBCOMP).await;
        assert_eq!((ack.packet_id(), ack.reason()), (9, 0));
    })
    .await;
}

#[tokio::test]
pub(super) async fn what_is_not_allowed_is_refused_and_goes_nowhere() {
    each(BOTH, async |case| {
        for qos in 0..=2 {
            let mut forger = case.join("forger").await;
            forger.publish_with(qos << 1, "$SYS/broker/fake", "x", &[]).await;
            if case.is_v5() && qos > 0 {
                let ack = forger.answer(if qos == 1 { kind::PUBACK } else { kind::PUBREC }).await;
                assert_eq!((ack.packet_id(), ack.reason()), (9, 0x87));
                forger.ping().await;
            } else {
                // 3.1.1 has no answer that says no: the connection ends. [MQTT-3.3.5-2]
                case.ended(&mut forger, "a forbidden topic", &[0x87]).await;
            }
        }
    })
    .await;
}

/// All that a publisher may say of a message, in an order of its own.
fn all_properties() -> Vec<u8> {
    [
        wire::property_pair("z", "1"),
        wire::property_u8(id::PAYLOAD_FORMAT, 1),
        wire::property_text(id::CONTENT_TYPE, "text/plain; charset=utf-8"),
        wire::property_pair("a", "2"),
        wire::property_text(id::RESPONSE_TOPIC, "answers/für"),
        wire::property_text(id::CORRELATION_DATA, b"\0\xFF\x01"),
        wire::property_pair("z", "1"),
        wire::property_pair("", ""),
    ]
    .concat()
}

#[tokio::test]
pub(super) async fn properties_reach_the_subscriber_unaltered() {
    each(ONLY_V5, async |case| {
        let topic = case.topic("properties");
        let mut subscriber = case.subscriber("subscriber", &topic, 2).await;
        let mut publisher = case.join("publisher").await;
        for qos in 0..=2 {
            publisher.deliver(qos, &topic, "text", &all_properties()).await;
            let message = subscriber.receive().await;
            assert_eq!(message.property(id::PAYLOAD_FORMAT).as_deref(), Some(&[1][..]));
            assert_eq!(
                message.property(id::CONTENT_TYPE).as_deref(),
                Some(&b"text/plain; charset=utf-8"[..])
            );
            assert_eq!(message.property(id::RESPONSE_TOPIC).as_deref(), Some("answers/für".as_bytes()));
            assert_eq!(message.property(id::CORRELATION_DATA).as_deref(), Some(&b"\0\xFF\x01"[..]));
            let pairs = wire::property_values(&message.properties, id::USER_PROPERTY);
            assert_eq!(pairs, [&b"\0\x01z\0\x011"[..], b"\0\x01a\0\x012", b"\0\x01z\0\x011", b"\0\0\0\0"]);
        }
        for format in [0, 1] {
            let properties = wire::property_u8(id::PAYLOAD_FORMAT, format);
            publisher.deliver(0, &topic, "text", &properties).await;
            let said = subscriber.receive().await.property(id::PAYLOAD_FORMAT);
            // What is left out means 0.
            assert_eq!(said.map_or(0, |value| value[0]), format);
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn before_version_5_a_message_comes_without_properties() {
    each(BOTH, async |case| {
        let topic = case.topic("mixed");
        let mut subscriber = case.subscriber("subscriber", &topic, 1).await;
        for level in [wire::V311, wire::V5] {
            let publisher = Connect::new(level, &case.id("publisher"));
            let mut publisher = case.join_with(&publisher).await;
            publisher.deliver(1, &topic, "text", &all_properties()).await;
            let message = subscriber.receive().await;
            assert_eq!(message.text(), "text");
            assert_eq!(message.properties.is_empty(), !case.is_v5() || level == wire::V311);
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_response_topic_has_no_wildcards() {
    each(ONLY_V5, async |case| {
        for topic in ["a/#", "+", "a/+/b"] {
            let properties = wire::property_text(id::RESPONSE_TOPIC, topic);
            let publish = case.publish(0, case.topic("a"), &properties);
            case.refuses(topic, &publish, &[PROTOCOL_ERROR]).await;
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_payload_format_is_0_or_1() {
    each(ONLY_V5, async |case| {
        let publish = case.publish(0, case.topic("a"), &wire::property_u8(id::PAYLOAD_FORMAT, 2));
        case.refuses("payload format 2", &publish, WRONG).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_client_sends_no_subscription_identifiers() {
    each(ONLY_V5, async |case| {
        let publish = case.publish(0, case.topic("a"), &wire::property_varint(id::SUBSCRIPTION_ID, 1));
        case.refuses("a subscription identifier", &publish, &[PROTOCOL_ERROR]).await;
    })
    .await;
}

async fn alias_max(case: &Case) -> u16 {
    let connack = case.raw().await.connect(&case.connect("aliasmax")).await;
    let max = wire::property_number(&connack.properties, id::TOPIC_ALIAS_MAX).unwrap_or(0);
    u16::try_from(max).expect("two bytes")
}

#[tokio::test]
pub(super) async fn every_alias_up_to_the_maximum_is_taken() {
    each(ONLY_V5, async |case| {
        let max = alias_max(&case).await;
        let mut subscriber = case.subscriber("subscriber", &case.topic("alias/+"), 1).await;
        let mut publisher = case.join("publisher").await;
        for alias in [1, max] {
            let property = wire::property_u16(id::TOPIC_ALIAS, alias);
            let topic = case.topic(&format!("alias/{alias}"));
            for sent in [topic.as_str(), ""] {
                publisher.deliver(1, sent, "x", &property).await;
                let message = subscriber.receive().await;
                assert_eq!((message.topic.as_str(), message.property(id::TOPIC_ALIAS)), (&*topic, None));
            }
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn an_alias_of_0_or_above_the_maximum_is_refused() {
    each(ONLY_V5, async |case| {
        let max = alias_max(&case).await;
        for alias in [0, max + 1, u16::MAX] {
            let property = wire::property_u16(id::TOPIC_ALIAS, alias);
            case.refuses("an alias", &case.publish(0, case.topic("a"), &property), &[0x94]).await;
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn an_alias_lives_as_long_as_its_connection() {
    each(ONLY_V5, async |case| {
        let alias = wire::property_u16(id::TOPIC_ALIAS, 1);
        let mut first = case.join_with(&case.persistent("client")).await;
        first.deliver(1, &case.topic("a"), "x", &alias).await;
        drop(first);
        let mut second = case.join_with(&case.persistent("client")).await;
        second.publish_with(2, "", "x", &alias).await;
        case.ended(&mut second, "the alias of another connection", &[PROTOCOL_ERROR, 0x94]).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn aliases_to_a_client_keep_to_its_maximum() {
    each(ONLY_V5, async |case| {
        for max in [None, Some(0), Some(2)] {
            let property = max.map(|max| wire::property_u16(id::TOPIC_ALIAS_MAX, max)).unwrap_or_default();
            let connect = Connect { properties: property, ..case.connect("subscriber") };
            let mut subscriber = case.join_with(&connect).await;
            subscriber.subscribe(&[(&case.topic("alias/+"), 0)]).await;
            let mut publisher = case.join("publisher").await;
            let mut names = std::collections::HashMap::new();
            for number in 0..12 {
                let wanted = case.topic(&format!("alias/{}", number % 4));
                publisher.publish(&wanted, "x").await;
                let message = subscriber.published().await;
                let alias =
                    message.property(id::TOPIC_ALIAS).map(|value| u16::from_be_bytes([value[0], value[1]]));
                assert!(
                    alias.is_none_or(|alias| alias > 0 && alias <= max.unwrap_or(0)),
                    "{alias:?} of {max:?}"
                );
                let topic = match alias {
                    Some(alias) if message.topic.is_empty() => names.get(&alias).cloned().unwrap_or_default(),
                    Some(alias) => names.entry(alias).insert_entry(message.topic.clone()).get().clone(),
                    None => message.topic.clone(),
                };
                assert_eq!(topic, wanted);
            }
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_message_that_has_expired_is_not_delivered() {
    each_at_once(ONLY_V5, async |case| {
        let topic = case.topic("expiry");
        let mut sleeper = case.join_with(&case.persistent("sleeper")).await;
        sleeper.subscribe(&[(&topic, 2)]).await;
        drop(sleeper);
        let mut publisher = case.join("publisher").await;
        for (qos, seconds) in [(1, 1), (2, 1), (1, 600), (2, 600)] {
            let properties = wire::property_u32(id::MESSAGE_EXPIRY, seconds);
            publisher.deliver(qos, &topic, &seconds.to_string(), &properties).await;
        }
        publisher.deliver(1, &topic, "for ever", &[]).await;
        // A connection of one second's keep-alive ends after one and a half: then the first two have expired.
        let clock = Connect { keep_alive_seconds: 1, ..case.connect("clock") };
        let mut clock = case.join_with(&clock).await;
        case.ended(&mut clock, "the clock", &[0x8D]).await;
        let mut sleeper = case.join_with(&case.persistent("sleeper")).await;
        for wanted in ["600", "600", "for ever"] {
            let message = sleeper.receive().await;
            assert_eq!(message.text(), wanted);
            let left = wire::property_number(&message.properties, id::MESSAGE_EXPIRY);
            match wanted {
                "600" => assert!(matches!(left, Some(590..=599)), "it has waited, and {left:?} are left"),
                _ => assert_eq!(left, None),
            }
        }
        sleeper.ping().await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn nothing_larger_than_the_client_takes_is_sent() {
    each(ONLY_V5, async |case| {
        let topic = case.topic("size");
        let max = 120;
        let properties = wire::property_u32(id::PACKET_BYTES_MAX, max);
        let small = Connect { properties, ..case.connect("small") };
        let mut small = case.join_with(&small).await;
        small.subscribe(&[(&topic, 2)]).await;
        let mut other = case.subscriber("other", &topic, 2).await;
        let mut publisher = case.join("publisher").await;
        for qos in 0..=2 {
            publisher.deliver(qos, &topic, &"x".repeat(120), &[]).await;
            // What the packet holds besides: first byte, length, topic, packet id, properties' length.
            let head = 2 + 2 + topic.len() + if qos > 0 { 2 } else { 0 } + 1;
            publisher.deliver(qos, &topic, &"y".repeat(120 - head), &[]).await;
            assert_eq!(small.receive().await.payload.len(), 120 - head, "one that fits exactly comes");
            assert_eq!(other.receive().await.payload.len(), 120);
            other.receive().await;
        }
        small.ping().await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn subscription_identifiers_count_for_the_size() {
    each(ONLY_V5, async |case| {
        let max = 100_u32;
        let properties = wire::property_u32(id::PACKET_BYTES_MAX, max);
        let small = Connect { properties, ..case.connect("small") };
        let mut small = case.join_with(&small).await;
        // Each identifier has four bytes behind its own.
        let filters = ["#", "+", "ids", "ids/#"];
        for (number, filter) in filters.iter().enumerate() {
            let property = wire::property_varint(id::SUBSCRIPTION_ID, 200_000_000 + number);
            small.subscribe_with(&[(&case.topic(filter), 1)], &property).await;
        }
        let topic = case.topic("ids");
        let mut publisher = case.join("publisher").await;
        let head = 2 + 2 + topic.len() + 2 + 1 + filters.len() * 5;
        for more in [1, 0] {
            let payload = "x".repeat(max as usize - head + more);
            publisher.deliver(1, &topic, &payload, &[]).await;
        }
        let message = small.receive().await;
        assert_eq!(wire::property_values(&message.properties, id::SUBSCRIPTION_ID).len(), filters.len());
        assert_eq!(message.payload.len(), max as usize - head, "the one that fits");
        case.quiet(&mut small).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn what_has_become_too_large_is_not_sent_again() {
    each(ONLY_V5, async |case| {
        let topic = case.topic("shrunk");
        let mut client = case.join_with(&case.persistent("client")).await;
        client.subscribe(&[(&topic, 2)]).await;
        let mut publisher = case.join("publisher").await;
        for qos in 1..=2 {
            publisher.deliver(qos, &topic, &"x".repeat(300), &[]).await;
            publisher.deliver(qos, &topic, "small", &[]).await;
        }
        for _ in 0..4 {
            client.published().await;
        }
        drop(client);
        for again in ["first", "second"] {
            let connect = case.persistent("client");
            let max = wire::property_u32(id::PACKET_BYTES_MAX, 200);
            let connect = Connect { properties: [connect.properties.clone(), max].concat(), ..connect };
            let mut client = case.join_with(&connect).await;
            if again == "first" {
                for qos in 1..=2 {
                    let message = client.receive().await;
                    assert_eq!((message.text(), message.qos, message.dup), ("small", qos, true));
                }
                client.ping().await;
            }
            case.quiet(&mut client).await;
        }
        // Nor to a connection that would take it: it counts as delivered.
        let mut client = case.join_with(&case.persistent("client")).await;
        case.quiet(&mut client).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_packet_larger_than_the_server_takes_ends_the_connection() {
    each(BOTH, async |case| {
        // `packet_bytes_max` and one more; only the head need arrive.
        let mut bytes = vec![0x30, 0x81, 0x80, 0xC0, 0x00];
        bytes.extend([0, 1, b'a']);
        case.refuses("a megabyte and more", &bytes, &[0x95]).await;
    })
    .await;
}
