//! Chapter 2: the fixed header, packet ids, the frame of properties.

use std::collections::BTreeSet;

use pointsman_tests::wire::{self, Connect, id, kind};

use super::case::{BOTH, MALFORMED, ONLY_V5, PROTOCOL_ERROR, WRONG, each};

#[tokio::test]
pub(super) async fn reserved_flags_are_what_the_table_says() {
    each(BOTH, async |case| {
        for (what, mut packet, good) in [
            ("PUBACK", wire::puback(1), 0),
            ("PUBREC", wire::pubrec(1), 0),
            ("PUBREL", wire::pubrel(1), 2),
            ("PUBCOMP", wire::pubcomp(1), 0),
            ("SUBSCRIBE", case.subscribe(7, &[(&case.topic("a"), 0)], &[]), 2),
            ("UNSUBSCRIBE", case.unsubscribe(7, &[&case.topic("a")]), 2),
            ("PINGREQ", wire::PINGREQ.to_vec(), 0),
            ("DISCONNECT", wire::DISCONNECT.to_vec(), 0),
        ] {
            for flags in [0, 1, 2, 3, 8].into_iter().filter(|flags| *flags != good) {
                packet[0] = packet[0] & 0xF0 | flags;
                case.refuses(&format!("{what} with flags {flags}"), &packet, &[MALFORMED]).await;
            }
        }
        let mut connect = case.connect("flags").packet();
        connect[0] = 0x11;
        case.refuses_connect("CONNECT with flags", &connect, &[MALFORMED]).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn packets_that_a_client_may_not_send_end_the_connection() {
    each(BOTH, async |case| {
        for (what, packet) in [
            ("type 0", vec![0x00, 0]),
            ("CONNACK", vec![0x20, 2, 0, 0]),
            ("SUBACK", vec![0x90, 3, 0, 7, 0]),
            ("UNSUBACK", vec![0xB0, 2, 0, 7]),
            ("PINGRESP", vec![0xD0, 0]),
            ("AUTH that nobody asked for", wire::auth(0x18, &[])),
        ] {
            case.refuses(what, &packet, WRONG).await;
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn packets_that_are_cut_off_are_malformed() {
    each(BOTH, async |case| {
        for (what, packet) in [
            ("PUBLISH without a topic", vec![0x30, 0]),
            ("PUBLISH with half a topic", vec![0x30, 3, 0, 9, b'a']),
            ("PUBLISH without its packet id", vec![0x32, 3, 0, 1, b'a']),
            ("PUBACK without its packet id", vec![0x40, 1, 0]),
            ("PUBREC without its packet id", vec![0x50, 0]),
            ("PUBREL without its packet id", vec![0x62, 1, 0]),
            ("PUBCOMP without its packet id", vec![0x70, 1, 0]),
            ("SUBSCRIBE without its packet id", vec![0x82, 1, 0]),
            ("UNSUBSCRIBE without its packet id", vec![0xA2, 1, 0]),
        ] {
            case.refuses(what, &packet, WRONG).await;
        }
        let whole = case.subscribe(7, &[("abc", 0)], &[]);
        for len in 5..whole.len() {
            let cut = wire::packet(0x82, &whole[2..len]);
            case.refuses(&format!("SUBSCRIBE of {len} bytes"), &cut, &[MALFORMED, PROTOCOL_ERROR, 0x8F])
                .await;
        }
        let whole = case.connect("cut").packet();
        for len in 2..whole.len() {
            let cut = wire::packet(0x10, &whole[2..len]);
            case.refuses_connect(&format!("CONNECT of {len} bytes"), &cut, &[MALFORMED, 0x84]).await;
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn bytes_behind_the_end_of_a_packet_are_malformed() {
    each(BOTH, async |case| {
        case.refuses("PINGREQ", &[0xC0, 1, 0], &[MALFORMED]).await;
        if !case.is_v5() {
            case.refuses("DISCONNECT", &[0xE0, 1, 0], &[]).await;
            case.refuses("PUBACK", &[0x40, 3, 0, 1, 0], &[]).await;
        }
        let mut connect = case.connect("longer").packet();
        connect[1] += 1;
        connect.push(0);
        case.refuses_connect("CONNECT", &connect, &[MALFORMED]).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn packet_id_0_is_refused() {
    each(BOTH, async |case| {
        let topic = case.topic("a");
        for flags in [2, 4] {
            let properties = case.is_v5().then_some(&[][..]);
            let publish =
                wire::Publish { flags, topic: topic.as_bytes(), packet_id: 0, properties, payload: b"" };
            case.refuses("PUBLISH", &publish.packet(), WRONG).await;
        }
        case.refuses("SUBSCRIBE", &case.subscribe(0, &[(&topic, 0)], &[]), WRONG).await;
        case.refuses("UNSUBSCRIBE", &case.unsubscribe(0, &[&topic]), WRONG).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn an_answer_has_the_id_of_its_question() {
    each(BOTH, async |case| {
        let topic = case.topic("ids");
        let mut client = case.join("client").await;
        let properties = case.is_v5().then_some(&[][..]);
        for packet_id in [1, 0x0100, 0x1234, u16::MAX] {
            let publish = |flags| {
                let topic = topic.as_bytes();
                wire::Publish { flags, topic, packet_id, properties, payload: b"" }.packet()
            };
            for (question, answer) in [
                (publish(2), kind::PUBACK),
                (publish(4), kind::PUBREC),
                (wire::pubrel(packet_id), kind::PUBCOMP),
                (case.subscribe(packet_id, &[("other", 0)], &[]), kind::SUBACK),
                (case.unsubscribe(packet_id, &["other"]), kind::UNSUBACK),
            ] {
                client.send(&question).await;
                assert_eq!(client.answer(answer).await.packet_id(), packet_id, "to {question:?}");
            }
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn the_server_uses_packet_ids_that_are_free_and_not_0() {
    each(BOTH, async |case| {
        let topic = case.topic("free");
        let mut subscriber = case.subscriber("subscriber", &topic, 2).await;
        let mut publisher = case.join("publisher").await;
        let mut in_use = BTreeSet::new();
        for number in 0..12 {
            let qos = 1 + number % 2;
            publisher.deliver(qos, &topic, "x", &[]).await;
            let message = subscriber.published().await;
            assert_eq!(message.qos, qos);
            assert_ne!(message.packet_id, 0);
            assert!(in_use.insert(message.packet_id), "{} is in use", message.packet_id);
            if number == 5 {
                // One is acknowledged, and may be used again.
                for packet_id in in_use.iter().take(1).copied().collect::<Vec<_>>() {
                    subscriber.send(&wire::puback(packet_id)).await;
                }
                let first = in_use.iter().next().copied();
                in_use.retain(|packet_id| Some(*packet_id) != first);
            }
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn qos_0_has_no_packet_id() {
    each(BOTH, async |case| {
        let topic = case.topic("none");
        let mut subscriber = case.subscriber("subscriber", &topic, 2).await;
        // What would be a packet id is payload.
        case.join("publisher").await.publish(&topic, "\u{1}\u{2}payload").await;
        assert_eq!(subscriber.published().await.text(), "\u{1}\u{2}payload");
    })
    .await;
}

#[tokio::test]
pub(super) async fn an_empty_list_of_properties_has_its_length() {
    each(ONLY_V5, async |case| {
        let topic = case.topic("empty");
        let mut subscriber = case.subscriber("subscriber", &topic, 0).await;
        case.join("publisher").await.publish(&topic, "").await;
        let packet = subscriber.expect(kind::PUBLISH).await;
        assert_eq!(packet.body.len(), 2 + topic.len() + 1, "{packet:?}");
        assert_eq!(packet.body.last(), Some(&0));
        subscriber.send(&case.unsubscribe(8, &[&topic])).await;
        assert_eq!(subscriber.answer(kind::UNSUBACK).await.body, [0_u8, 8, 0, 0].as_slice());
        // The other way round, a missing length is malformed.
        case.refuses("SUBSCRIBE", &[0x82, 2, 0, 7], WRONG).await;
        case.refuses("UNSUBSCRIBE", &[0xA2, 2, 0, 7], WRONG).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn properties_that_do_not_belong_are_refused() {
    each(ONLY_V5, async |case| {
        let topic = case.topic("a");
        let unknown = wire::property_u8(0x7F, 1);
        let elsewhere = wire::property_u16(id::RECEIVE_MAX, 1);
        for (what, property) in [("unknown", &unknown), ("of CONNECT", &elsewhere)] {
            case.refuses(what, &case.publish(0, &topic, property), WRONG).await;
            case.refuses(what, &case.subscribe(7, &[(&topic, 0)], property), WRONG).await;
            case.refuses(what, &wire::unsubscribe(7, &[&topic], Some(property)), WRONG).await;
            case.refuses(what, &wire::disconnect(0, property), WRONG).await;
        }
        let alias = wire::property_u16(id::TOPIC_ALIAS, 1);
        for property in [unknown, alias] {
            let connect = Connect { properties: property, ..case.connect("properties") };
            case.refuses_connect("CONNECT", &connect.packet(), WRONG).await;
        }
        case.refuses("a length beyond the packet", &[0x30, 5, 0, 1, b'a', 9, 1], WRONG).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_property_that_may_be_there_once_is_refused_twice() {
    each(ONLY_V5, async |case| {
        let twice = |property: Vec<u8>| [property.clone(), property].concat();
        for property in [
            wire::property_u8(id::PAYLOAD_FORMAT, 1),
            wire::property_u32(id::MESSAGE_EXPIRY, 60),
            wire::property_u16(id::TOPIC_ALIAS, 1),
            wire::property_text(id::RESPONSE_TOPIC, "r"),
            wire::property_text(id::CORRELATION_DATA, "c"),
            wire::property_text(id::CONTENT_TYPE, "t"),
        ] {
            case.refuses("PUBLISH", &case.publish(0, case.topic("a"), &twice(property)), &[PROTOCOL_ERROR])
                .await;
        }
        for property in [
            wire::property_u32(id::SESSION_EXPIRY, 60),
            wire::property_u16(id::RECEIVE_MAX, 60),
            wire::property_u32(id::PACKET_BYTES_MAX, 60_000),
            wire::property_u16(id::TOPIC_ALIAS_MAX, 6),
            wire::property_u8(id::REQUEST_RESPONSE_INFO, 1),
            wire::property_u8(id::REQUEST_PROBLEM_INFO, 1),
        ] {
            let connect = Connect { properties: twice(property), ..case.connect("twice") };
            case.refuses_connect("CONNECT", &connect.packet(), &[PROTOCOL_ERROR]).await;
        }
    })
    .await;
}
