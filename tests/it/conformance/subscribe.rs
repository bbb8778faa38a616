//! SUBSCRIBE and UNSUBSCRIBE with their answers.

use pointsman_tests::wire::{self, Connect, id, kind};

use super::case::{BOTH, MALFORMED, ONLY_V5, ONLY_V311, PROTOCOL_ERROR, WRONG, each};

const NO_LOCAL: u8 = 0x04;

#[tokio::test]
pub(super) async fn a_filter_has_at_least_one_character_and_its_options() {
    each(BOTH, async |case| {
        case.refuses("SUBSCRIBE of nothing", &case.subscribe(7, &[], &[]), &[PROTOCOL_ERROR, MALFORMED])
            .await;
        case.refuses("UNSUBSCRIBE of nothing", &case.unsubscribe(7, &[]), &[PROTOCOL_ERROR, MALFORMED]).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn reserved_bits_of_the_options_are_0() {
    each(BOTH, async |case| {
        let (reserved, qos) =
            if case.is_v5() { (&[0x40, 0x80, 0xC0][..], 3) } else { (&[0x04, 0x08, 0x10, 0x80][..], 3) };
        for options in reserved.iter().map(|bits| bits | 1).chain([qos]) {
            let packet = case.subscribe(7, &[(&case.topic("a"), options)], &[]);
            case.refuses(&format!("options {options:#04x}"), &packet, WRONG).await;
        }
        if case.is_v5() {
            let packet = case.subscribe(7, &[(&case.topic("a"), 0x30)], &[]);
            case.refuses("retain handling 3", &packet, WRONG).await;
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn every_filter_has_its_code_in_order() {
    each(BOTH, async |case| {
        let filters =
            [("a", 0), ("a/#/b", 1), ("b", 2), ("c+", 0), ("c", 1), ("wild/#", 2), ("chat/in/other", 1)];
        let mut client = case.join("client").await;
        let wanted = if case.is_v5() {
            vec![0, 0x8F, 2, 0x8F, 1, 2, 0x87]
        } else {
            vec![0, 0x80, 2, 0x80, 1, 2, 0x80]
        };
        assert_eq!(client.subscribe(&filters).await, wanted);
        client.ping().await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn many_filters_are_as_many_subscriptions() {
    each(BOTH, async |case| {
        let topics = ["one", "two", "one"].map(|name| case.topic(name));
        let mut client = case.join("client").await;
        // The last of the same filter counts, as if it had come in a packet of its own.
        let filters = [(&*topics[0], 0), (&*topics[1], 1), (&*topics[2], 1)];
        assert_eq!(client.subscribe(&filters).await, [0, 1, 1]);
        let mut publisher = case.join("publisher").await;
        for topic in &topics[..2] {
            publisher.deliver(1, topic, "x", &[]).await;
            let message = client.receive().await;
            assert_eq!((message.topic.as_str(), message.qos), (&**topic, 1));
        }
        case.quiet(&mut client).await;
        let filters = [&*topics[0], &*topics[1], "never"];
        let codes: &[u8] = if case.is_v5() { &[0, 0, 0x11] } else { &[] };
        assert_eq!(client.unsubscribe(&filters).await, codes);
        for topic in &topics[..2] {
            publisher.deliver(1, topic, "x", &[]).await;
        }
        case.quiet(&mut client).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn the_lower_of_both_levels_counts() {
    each(BOTH, async |case| {
        let mut publisher = case.join("publisher").await;
        for granted in 0..=2 {
            let topic = case.topic(&format!("level/{granted}"));
            let mut subscriber = case.subscriber("subscriber", &topic, granted).await;
            for published in 0..=2 {
                publisher.deliver(published, &topic, "x", &[]).await;
                assert_eq!(subscriber.receive().await.qos, granted.min(published));
            }
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn subscribing_again_replaces_the_subscription() {
    each(BOTH, async |case| {
        let topic = case.topic("again");
        let mut client = case.join("client").await;
        let mut publisher = case.join("publisher").await;
        for qos in [2, 0, 1] {
            assert_eq!(client.subscribe(&[(&topic, qos)]).await, [qos]);
            publisher.deliver(2, &topic, "x", &[]).await;
            assert_eq!(client.receive().await.qos, qos);
            case.quiet(&mut client).await;
        }
        if case.is_v5() {
            client.subscribe_with(&[(&topic, 1)], &wire::property_varint(id::SUBSCRIPTION_ID, 5)).await;
            client.subscribe(&[(&topic, NO_LOCAL | 1)]).await;
            client.deliver(1, &topic, "own", &[]).await;
            publisher.deliver(1, &topic, "theirs", &[]).await;
            let message = client.receive().await;
            assert_eq!((message.text(), message.property(id::SUBSCRIPTION_ID)), ("theirs", None));
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn replacing_a_subscription_loses_nothing() {
    each(BOTH, async |case| {
        const COUNT: usize = 200;
        let topic = case.topic("flow");
        let mut client = case.subscriber("client", &topic, 1).await;
        let mut publisher = case.join("publisher").await;
        for number in 0..COUNT {
            publisher.publish(&topic, &number.to_string()).await;
            if number % 20 == 0 {
                client.send(&case.subscribe(7, &[(&topic, 1)], &[])).await;
            }
        }
        let mut next = 0;
        while next < COUNT {
            let packet = client.next().await.expect("the connection stays");
            if packet.kind() == kind::PUBLISH {
                assert_eq!(packet.publish(case.level).text(), next.to_string());
                next += 1;
            } else {
                assert_eq!(packet.kind(), kind::SUBACK);
            }
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn no_local_keeps_ones_own_messages_away() {
    each(ONLY_V5, async |case| {
        let topic = case.topic("local");
        let mut own = case.join("own").await;
        assert_eq!(own.subscribe(&[(&topic, NO_LOCAL | 2)]).await, [2]);
        for qos in 0..=2 {
            own.deliver(qos, &topic, "mine", &[]).await;
        }
        case.join("other").await.deliver(1, &topic, "theirs", &[]).await;
        assert_eq!(own.receive().await.text(), "theirs");
        case.quiet(&mut own).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn no_local_is_not_for_shared_subscriptions() {
    each(ONLY_V5, async |case| {
        let filter = format!("$share/group/{}", case.topic("a"));
        let packet = case.subscribe(7, &[(&filter, NO_LOCAL | 1)], &[]);
        case.refuses("no-local and shared", &packet, &[PROTOCOL_ERROR]).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn overlapping_subscriptions_bring_a_message_at_the_highest_level() {
    each(BOTH, async |case| {
        let topic = case.topic("over/lap");
        let mut client = case.join("client").await;
        let filters = [("over/#", 0), ("over/+", 2), ("+/lap", 1)].map(|(name, qos)| (case.topic(name), qos));
        for (filter, qos) in &filters {
            client.subscribe(&[(filter, *qos)]).await;
        }
        for qos in 0..=2 {
            case.join("publisher").await.deliver(qos, &topic, "x", &[]).await;
            // One copy at the highest level: our choice of what the standard allows.
            assert_eq!(client.receive().await.qos, qos);
            case.quiet(&mut client).await;
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_message_names_every_subscription_that_it_matches() {
    each(ONLY_V5, async |case| {
        let mut client = case.join("client").await;
        let large = 268_435_455;
        for (name, number) in [("a/#", 1), ("a/+", large)] {
            let property = wire::property_varint(id::SUBSCRIPTION_ID, number);
            client.subscribe_with(&[(&case.topic(name), 1)], &property).await;
        }
        client.subscribe(&[(&case.topic("+/b"), 1)]).await;
        let mut publisher = case.join("publisher").await;
        for (name, wanted) in [("a/b", &[1, large][..]), ("a/b/c", &[1]), ("c/b", &[])] {
            publisher.deliver(1, &case.topic(name), "x", &[]).await;
            let message = client.receive().await;
            let mut found: Vec<usize> = wire::property_values(&message.properties, id::SUBSCRIPTION_ID)
                .iter()
                .map(|value| value.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
                .collect();
            found.sort_unstable();
            assert_eq!(found, wanted, "{name}");
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_subscription_identifier_is_not_0() {
    each(ONLY_V5, async |case| {
        let packet = case.subscribe(7, &[("a", 0)], &wire::property_varint(id::SUBSCRIPTION_ID, 0));
        case.refuses("identifier 0", &packet, &[PROTOCOL_ERROR]).await;
        let twice = wire::property_varint(id::SUBSCRIPTION_ID, 1).repeat(2);
        case.refuses("two identifiers", &case.subscribe(7, &[("a", 0)], &twice), &[PROTOCOL_ERROR]).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_filter_is_taken_away_character_by_character() {
    each(BOTH, async |case| {
        let filters = ["x/+", "x/#", "x/y", "X/y"].map(|name| case.topic(name));
        let mut client = case.join("client").await;
        for filter in &filters {
            client.subscribe(&[(filter, 0)]).await;
        }
        // `x/#` matches the other filters, and yet only itself goes.
        let codes = client.unsubscribe(&[&filters[1], &case.topic("x/z"), &case.topic("+/y")]).await;
        assert_eq!(codes, if case.is_v5() { vec![0, 0x11, 0x11] } else { vec![] });
        case.join("publisher").await.publish(&case.topic("x/y"), "x").await;
        assert_eq!(client.published().await.text(), "x");
        client.unsubscribe(&[&filters[0]]).await;
        case.join("publisher").await.publish(&case.topic("x/y"), "y").await;
        assert_eq!(client.published().await.text(), "y");
        client.unsubscribe(&[&filters[2]]).await;
        case.join("publisher").await.publish(&case.topic("x/y"), "z").await;
        case.quiet(&mut client).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn what_was_begun_is_finished_after_unsubscribing() {
    each(BOTH, async |case| {
        let topic = case.topic("begun");
        let mut client = case.subscriber("client", &topic, 2).await;
        let mut publisher = case.join("publisher").await;
        publisher.deliver(2, &topic, "two", &[]).await;
        let begun = client.published().await;
        client.unsubscribe(&[&topic]).await;
        client.send(&wire::pubrec(begun.packet_id)).await;
        assert_eq!(client.answer(kind::PUBREL).await.packet_id(), begun.packet_id);
        client.send(&wire::pubcomp(begun.packet_id)).await;
        publisher.deliver(1, &topic, "too late", &[]).await;
        case.quiet(&mut client).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn an_unsubscribe_of_nothing_known_is_answered() {
    each(BOTH, async |case| {
        let codes = case.join("client").await.unsubscribe(&["never", "#", "+/+"]).await;
        assert_eq!(codes, if case.is_v5() { vec![0x11; 3] } else { vec![] });
    })
    .await;
}

#[tokio::test]
pub(super) async fn suback_has_only_the_codes_of_its_version() {
    each(ONLY_V311, async |case| {
        let mut client = case.join("client").await;
        for filter in ["a", "a/#/b", "chat/in/other", "$share/a"] {
            for qos in 0..=2 {
                let codes = client.subscribe(&[(filter, qos)]).await;
                assert!(codes == [qos] || codes == [0x80], "{filter}: {codes:02x?}");
            }
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn answers_fit_into_what_the_client_takes() {
    each(ONLY_V5, async |case| {
        let properties = wire::property_u32(id::PACKET_BYTES_MAX, 100);
        let connect = Connect { properties, ..case.connect("small") };
        let mut client = case.join_with(&connect).await;
        client.send(&case.subscribe(7, &[("a/#/b", 0)], &[])).await;
        assert!(client.answer(kind::SUBACK).await.body.len() <= 98);
        client.send(&case.unsubscribe(7, &["a/#/b"])).await;
        assert!(client.answer(kind::UNSUBACK).await.body.len() <= 98);
        client.send(&case.publish(2, "$SYS/broker/fake", &[])).await;
        assert!(client.answer(kind::PUBACK).await.body.len() <= 98);
        client.send(&case.publish(4, "$SYS/broker/fake", &[])).await;
        assert!(client.answer(kind::PUBREC).await.body.len() <= 98);
        client.send(&[0x00, 0x00]).await;
        assert!(client.expect(kind::DISCONNECT).await.body.len() <= 98);
    })
    .await;
}

#[tokio::test]
pub(super) async fn problem_information_is_left_out_where_it_is_not_wanted() {
    each(ONLY_V5, async |case| {
        let properties = wire::property_u8(id::REQUEST_PROBLEM_INFO, 0);
        let connect = Connect { properties, ..case.connect("terse") };
        let mut client = case.join_with(&connect).await;
        client.send(&case.subscribe(7, &[("a/#/b", 0)], &[])).await;
        let suback = client.answer(kind::SUBACK).await;
        assert_eq!(suback.body.len(), 2 + 1 + 1, "no properties: {suback:?}");
        client.send(&case.unsubscribe(7, &["never"])).await;
        let unsuback = client.answer(kind::UNSUBACK).await;
        assert_eq!(unsuback.body.len(), 2 + 1 + 1, "no properties: {unsuback:?}");
        for (flags, kind) in [(2, kind::PUBACK), (4, kind::PUBREC)] {
            client.send(&case.publish(flags, "$SYS/broker/fake", &[])).await;
            let ack = client.answer(kind).await;
            assert!(ack.body.len() <= 4, "no properties: {ack:?}");
        }
    })
    .await;
}
