//! QoS 1 and 2, both ways, in every order of packets that the standard allows; flow control; ordering.

use pointsman_tests::Raw;
use pointsman_tests::wire::{self, Connect, id, kind};

use super::case::{BOTH, Case, ONLY_V5, PROTOCOL_ERROR, WRONG, each, each_at_once};

const DUP: u8 = 0x08;

/// Publishes with a packet id of one's own; nothing is read.
async fn publish_as(case: &Case, raw: &mut Raw, flags: u8, packet_id: u16, topic: &str, payload: &str) {
    let properties = case.is_v5().then_some(&[][..]);
    let (topic, payload) = (topic.as_bytes(), payload.as_bytes());
    raw.send(&wire::Publish { flags, topic, packet_id, properties, payload }.packet()).await;
}

#[tokio::test]
pub(super) async fn after_puback_the_same_id_is_a_new_message() {
    each(BOTH, async |case| {
        let topic = case.topic("one");
        let mut subscriber = case.subscriber("subscriber", &topic, 1).await;
        let mut publisher = case.join("publisher").await;
        for flags in [2, 2, DUP | 2] {
            publish_as(&case, &mut publisher, flags, 5, &topic, "x").await;
            assert_eq!(publisher.answer(kind::PUBACK).await.packet_id(), 5);
            assert_eq!(subscriber.receive().await.text(), "x");
        }
        case.quiet(&mut subscriber).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn until_pubrel_the_same_id_is_the_same_message() {
    each(BOTH, async |case| {
        let topic = case.topic("two");
        let mut subscriber = case.subscriber("subscriber", &topic, 2).await;
        let mut publisher = case.join("publisher").await;
        for round in ["first", "second"] {
            for flags in [4, DUP | 4, DUP | 4] {
                publish_as(&case, &mut publisher, flags, 5, &topic, round).await;
                assert_eq!(publisher.answer(kind::PUBREC).await.packet_id(), 5);
            }
            // After PUBCOMP it is a new one.
            publisher.send(&wire::pubrel(5)).await;
            assert_eq!(publisher.answer(kind::PUBCOMP).await.packet_id(), 5);
            assert_eq!(subscriber.receive().await.text(), round);
        }
        case.quiet(&mut subscriber).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_repeated_pubrel_is_answered() {
    each(BOTH, async |case| {
        let mut publisher = case.join("publisher").await;
        publish_as(&case, &mut publisher, 4, 5, &case.topic("two"), "x").await;
        publisher.answer(kind::PUBREC).await;
        for reason in [0, 0x92] {
            publisher.send(&wire::pubrel(5)).await;
            let complete = publisher.answer(kind::PUBCOMP).await;
            assert_eq!(complete.packet_id(), 5);
            if case.is_v5() {
                assert!(complete.reason() == 0 || complete.reason() == reason, "{complete:?}");
            }
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn flows_of_several_messages_cross() {
    each(BOTH, async |case| {
        let topic = case.topic("cross");
        let mut subscriber = case.subscriber("subscriber", &topic, 2).await;
        let mut publisher = case.join("publisher").await;
        for (packet_id, flags) in [(1, 4), (2, 2), (3, 4), (4, 4)] {
            publish_as(&case, &mut publisher, flags, packet_id, &topic, &packet_id.to_string()).await;
        }
        for (packet_id, kind) in [(1, kind::PUBREC), (2, kind::PUBACK), (3, kind::PUBREC), (4, kind::PUBREC)]
        {
            // [MQTT-4.6.0-2] [MQTT-4.6.0-3]
            assert_eq!(publisher.answer(kind).await.packet_id(), packet_id);
        }
        // They may be released in any order, and a message of before may come again in between.
        for packet_id in [3, 1, 4] {
            publish_as(&case, &mut publisher, DUP | 4, 4, &topic, "4").await;
            let expected = publisher.answer(kind::PUBREC).await.packet_id();
            assert_eq!(expected, 4);
            publisher.send(&wire::pubrel(packet_id)).await;
            assert_eq!(publisher.answer(kind::PUBCOMP).await.packet_id(), packet_id);
        }
        let sent = [subscriber.published().await, subscriber.published().await];
        let rest = [subscriber.published().await, subscriber.published().await];
        let all: Vec<_> = sent.iter().chain(&rest).collect();
        assert_eq!(all.iter().map(|message| message.text()).collect::<Vec<_>>(), ["1", "2", "3", "4"]);
        for message in all.iter().rev() {
            let answer = if message.qos == 1 {
                wire::puback(message.packet_id)
            } else {
                wire::pubrec(message.packet_id)
            };
            subscriber.send(&answer).await;
            if message.qos == 2 {
                assert_eq!(subscriber.answer(kind::PUBREL).await.packet_id(), message.packet_id);
            }
        }
        for message in all.iter().filter(|message| message.qos == 2) {
            subscriber.send(&wire::pubcomp(message.packet_id)).await;
        }
        case.quiet(&mut subscriber).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_subscriber_at_qos_2_is_sent_pubrel_for_each_pubrec() {
    each(BOTH, async |case| {
        let topic = case.topic("release");
        let mut subscriber = case.subscriber("subscriber", &topic, 2).await;
        case.join("publisher").await.deliver(2, &topic, "x", &[]).await;
        let message = subscriber.published().await;
        assert_eq!((message.qos, message.dup), (2, false));
        for _ in 0..2 {
            subscriber.send(&wire::pubrec(message.packet_id)).await;
            let release = subscriber.answer(kind::PUBREL).await;
            assert_eq!((release.first, release.packet_id()), (0x62, message.packet_id));
        }
        subscriber.send(&wire::pubcomp(message.packet_id)).await;
        // The same once more is of no message any more, and nothing breaks.
        subscriber.send(&wire::pubcomp(message.packet_id)).await;
        subscriber.ping().await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn acknowledgements_of_nothing_break_nothing() {
    each(BOTH, async |case| {
        let mut client = case.join("client").await;
        client.send(&wire::puback(77)).await;
        client.ping().await;
        client.send(&wire::pubcomp(77)).await;
        client.ping().await;
        client.send(&wire::pubrel(77)).await;
        let complete = client.answer(kind::PUBCOMP).await;
        assert_eq!(complete.packet_id(), 77);
        if case.is_v5() {
            assert_eq!(complete.reason(), 0, "as after a PUBCOMP that was lost");
        }
        client.send(&wire::pubrec(77)).await;
        let release = client.answer(kind::PUBREL).await;
        assert_eq!(release.packet_id(), 77);
        if case.is_v5() {
            assert_eq!(release.reason(), 0x92);
        }
        client.ping().await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_refusal_by_the_subscriber_ends_the_delivery() {
    each(ONLY_V5, async |case| {
        let topic = case.topic("refused");
        let mut subscriber = case.join_with(&case.persistent("subscriber")).await;
        subscriber.subscribe(&[(&topic, 2)]).await;
        let mut publisher = case.join("publisher").await;
        for (qos, first) in [(1, 0x40), (2, 0x50)] {
            publisher.deliver(qos, &topic, "x", &[]).await;
            let message = subscriber.published().await;
            subscriber.send(&wire::ack_with(first, message.packet_id, 0x83)).await;
        }
        subscriber.ping().await;
        drop(subscriber);
        let mut subscriber = case.join_with(&case.persistent("subscriber")).await;
        case.quiet(&mut subscriber).await;
        subscriber.leave().await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_refused_message_leaves_its_id_free() {
    each(ONLY_V5, async |case| {
        let topic = case.topic("free");
        let mut subscriber = case.subscriber("subscriber", &topic, 2).await;
        let mut publisher = case.join("publisher").await;
        publish_as(&case, &mut publisher, 4, 5, "$SYS/broker/fake", "x").await;
        assert_eq!(publisher.answer(kind::PUBREC).await.reason(), 0x87);
        publish_as(&case, &mut publisher, 4, 5, &topic, "new").await;
        assert_eq!(publisher.answer(kind::PUBREC).await.reason() & !0x10, 0);
        publisher.send(&wire::pubrel(5)).await;
        assert_eq!(subscriber.receive().await.text(), "new");
    })
    .await;
}

#[tokio::test]
pub(super) async fn acknowledgements_use_the_reasons_they_have() {
    each(ONLY_V5, async |case| {
        for (what, packet) in [
            ("PUBACK", wire::ack_with(0x40, 1, 0x92)),
            ("PUBREC", wire::ack_with(0x50, 1, 0x04)),
            ("PUBREL", wire::ack_with(0x62, 1, 0x80)),
            ("PUBCOMP", wire::ack_with(0x70, 1, 0x01)),
        ] {
            case.refuses(what, &packet, WRONG).await;
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn properties_of_acknowledgements_are_read() {
    each(ONLY_V5, async |case| {
        let topic = case.topic("acks");
        let mut subscriber = case.subscriber("subscriber", &topic, 2).await;
        case.join("publisher").await.deliver(2, &topic, "x", &[]).await;
        let [high, low] = subscriber.published().await.packet_id.to_be_bytes();
        let properties =
            [wire::property_text(id::REASON_STRING, "why"), wire::property_pair("a", "b")].concat();
        let len = u8::try_from(properties.len()).expect("a short list");
        let with = |first: u8| wire::packet(first, &[&[high, low, 0, len][..], &properties].concat());
        subscriber.send(&with(0x50)).await;
        subscriber.answer(kind::PUBREL).await;
        subscriber.send(&with(0x70)).await;
        subscriber.ping().await;
        let twice = wire::property_text(id::REASON_STRING, "w").repeat(2);
        let len = u8::try_from(twice.len()).expect("a short list");
        let packet = wire::packet(0x40, &[&[0, 1, 0, len][..], &twice].concat());
        case.refuses("a reason string twice", &packet, &[PROTOCOL_ERROR]).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn the_receive_maximum_of_the_client_is_kept() {
    each(ONLY_V5, async |case| {
        let topic = case.topic("window");
        let properties = wire::property_u16(id::RECEIVE_MAX, 2);
        let slow = Connect { properties, ..case.connect("slow") };
        let mut slow = case.join_with(&slow).await;
        slow.subscribe(&[(&topic, 2)]).await;
        let mut publisher = case.join("publisher").await;
        for number in 0..6 {
            publisher.deliver(1 + number % 2, &topic, &number.to_string(), &[]).await;
        }
        for number in (0..6).step_by(2) {
            let window = [slow.published().await, slow.published().await];
            // Others come, and questions are answered, while the window is shut.
            slow.ping().await;
            assert_eq!(slow.subscribe(&[("other", 0)]).await, [0]);
            for (message, text) in window.iter().zip([number, number + 1]) {
                assert_eq!(message.text(), text.to_string());
            }
            slow.send(&wire::pubrec(window[1].packet_id)).await;
            slow.answer(kind::PUBREL).await;
            // Only PUBCOMP makes room, not PUBREC.
            slow.ping().await;
            slow.send(&wire::pubcomp(window[1].packet_id)).await;
            slow.send(&wire::puback(window[0].packet_id)).await;
        }
        case.quiet(&mut slow).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn who_exceeds_the_receive_maximum_of_the_server_is_told() {
    each(ONLY_V5, async |case| {
        let mut flood = case.raw().await;
        let connack = flood.connect(&case.connect("flood")).await;
        let max = wire::property_number(&connack.properties, id::RECEIVE_MAX).unwrap_or(0xFFFF);
        let topic = case.topic("flood");
        let one_more = u16::try_from(max + 1).expect("the server sets a limit below 65,535");
        let mut bytes = Vec::new();
        for packet_id in 1..=one_more {
            let topic = topic.as_bytes();
            let publish = wire::Publish { flags: 4, topic, packet_id, properties: Some(&[]), payload: b"" };
            bytes.extend(publish.packet());
        }
        flood.send(&bytes).await;
        for packet_id in 1..one_more {
            let packet = flood.next().await.expect("an answer");
            if packet.kind() == kind::DISCONNECT {
                assert_eq!(packet.reason(), 0x93);
                flood.expect_end().await;
                return;
            }
            assert_eq!((packet.kind(), packet.packet_id()), (kind::PUBREC, packet_id));
        }
        case.ended(&mut flood, "one more than the receive maximum", &[0x93]).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn what_was_sent_does_not_expire() {
    each_at_once(ONLY_V5, async |case| {
        let topic = case.topic("expiry");
        let mut subscriber = case.join_with(&case.persistent("subscriber")).await;
        subscriber.subscribe(&[(&topic, 2)]).await;
        let mut publisher = case.join("publisher").await;
        let second = wire::property_u32(id::MESSAGE_EXPIRY, 1);
        publisher.deliver(2, &topic, "x", &second).await;
        let first = subscriber.published().await;
        drop(subscriber);
        publisher.publish_with(4, &case.topic("other"), "y", &second).await;
        publisher.answer(kind::PUBREC).await;
        let clock = Connect { keep_alive_seconds: 1, ..case.connect("clock") };
        let mut clock = case.join_with(&clock).await;
        case.ended(&mut clock, "the clock", &[0x8D]).await;
        // From the publisher: the rest of the flow goes on.
        publisher.publish_with(DUP | 4, &case.topic("other"), "y", &second).await;
        assert_eq!(publisher.answer(kind::PUBREC).await.packet_id(), 9);
        publisher.send(&wire::pubrel(9)).await;
        assert_eq!(publisher.answer(kind::PUBCOMP).await.packet_id(), 9);
        // To the subscriber: what was begun comes again.
        let mut subscriber = case.join_with(&case.persistent("subscriber")).await;
        let again = subscriber.receive().await;
        assert_eq!((again.packet_id, again.text(), again.dup), (first.packet_id, "x", true));
        case.quiet(&mut subscriber).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn messages_keep_their_order() {
    each(BOTH, async |case| {
        const COUNT: u16 = 120;
        let topic = case.topic("order");
        let mut subscribers = Vec::new();
        for qos in 0..=2 {
            subscribers.push(case.subscriber(&format!("subscriber{qos}"), &topic, qos).await);
        }
        let mut publisher = case.join("publisher").await;
        for number in 0..COUNT {
            let flags = [0, 2, 4][usize::from(number % 3)];
            publish_as(&case, &mut publisher, flags, number + 1, &topic, &number.to_string()).await;
        }
        for subscriber in &mut subscribers {
            // Levels may overtake each other; within a level none does.
            let mut seen = [Vec::new(), Vec::new(), Vec::new()];
            for _ in 0..COUNT {
                let message = subscriber.receive().await;
                let number: u16 = message.text().parse().expect("a number");
                seen[usize::from(number % 3)].push(number);
            }
            for (published, numbers) in seen.iter().enumerate() {
                assert!(numbers.is_sorted(), "published at QoS {published}: {numbers:?}");
            }
            assert_eq!(seen.concat().len(), usize::from(COUNT));
        }
    })
    .await;
}
