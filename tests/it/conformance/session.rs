//! Session state: what is kept, how long, and what is sent again.

use pointsman_tests::Raw;
use pointsman_tests::wire::{self, Connect, id, kind};

use super::case::{BOTH, Case, ONLY_V5, ONLY_V311, PROTOCOL_ERROR, each, each_at_once};

/// Connects and gives whether there was a session.
async fn resume(case: &Case, connect: &Connect) -> (Raw, bool) {
    let mut raw = case.raw().await;
    let connack = raw.connect(connect).await;
    assert_eq!(connack.code, 0, "{connack:?}");
    (raw, connack.session_present)
}

/// A session with subscriptions to `a` at QoS 2, without a connection.
async fn subscribed_and_gone(case: &Case, topic: &str) {
    let (mut raw, present) = resume(case, &case.persistent("sleeper")).await;
    assert!(!present);
    assert_eq!(raw.subscribe(&[(topic, 2)]).await, [2]);
    raw.leave().await;
}

#[tokio::test]
pub(super) async fn a_session_is_resumed_with_what_has_come_meanwhile() {
    each(BOTH, async |case| {
        let topic = case.topic("kept");
        subscribed_and_gone(&case, &topic).await;
        let mut publisher = case.join("publisher").await;
        for qos in 1..=2 {
            publisher.deliver(qos, &topic, &qos.to_string(), &[]).await;
        }
        let (mut sleeper, present) = resume(&case, &case.persistent("sleeper")).await;
        assert!(present);
        for qos in 1..=2 {
            let message = sleeper.receive().await;
            assert_eq!((message.text(), message.qos, message.dup), (&*qos.to_string(), qos, false));
        }
        // The subscription is there still, without being made again.
        publisher.deliver(2, &topic, "live", &[]).await;
        assert_eq!(sleeper.receive().await.text(), "live");
        case.quiet(&mut sleeper).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn without_a_session_a_new_one_begins() {
    each(BOTH, async |case| {
        let (raw, present) = resume(&case, &case.persistent("new")).await;
        assert!(!present);
        raw.leave().await;
        let (raw, present) = resume(&case, &case.persistent("new")).await;
        assert!(present);
        raw.leave().await;
        // Others have theirs.
        assert!(!resume(&case, &case.persistent("other")).await.1);
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_clean_start_discards_the_session() {
    each(BOTH, async |case| {
        let topic = case.topic("clean");
        subscribed_and_gone(&case, &topic).await;
        case.join("publisher").await.deliver(1, &topic, "old", &[]).await;
        let clean = Connect { clean: true, ..case.persistent("sleeper") };
        let (mut raw, present) = resume(&case, &clean).await;
        assert!(!present);
        case.join("publisher").await.deliver(1, &topic, "new", &[]).await;
        case.quiet(&mut raw).await;
        raw.leave().await;
        // With MQTT 5 the new session is kept, before that none is.
        assert_eq!(resume(&case, &case.persistent("sleeper")).await.1, case.is_v5());
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_session_that_ends_with_its_connection_leaves_nothing() {
    each(BOTH, async |case| {
        let topic = case.topic("brief");
        let mut brief = case.join("brief").await;
        brief.subscribe(&[(&topic, 2)]).await;
        drop(brief);
        case.join("publisher").await.deliver(1, &topic, "lost", &[]).await;
        let (mut again, present) = resume(&case, &case.persistent("brief")).await;
        assert!(!present);
        case.quiet(&mut again).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn the_state_is_kept_while_the_connection_is() {
    each_at_once(BOTH, async |case| {
        let topic = case.topic("state");
        let connect = Connect { keep_alive_seconds: 0, ..case.connect("client") };
        let mut client = case.join_with(&connect).await;
        client.subscribe(&[(&topic, 1)]).await;
        let short = Connect { keep_alive_seconds: 1, ..case.connect("clock") };
        let mut clock = case.join_with(&short).await;
        case.ended(&mut clock, "the clock", &[0x8D]).await;
        // However short a session is, it lasts as long as its connection.
        case.join("publisher").await.deliver(1, &topic, "x", &[]).await;
        assert_eq!(client.receive().await.text(), "x");
    })
    .await;
}

fn expiring(case: &Case, who: &str, seconds: u32) -> Connect {
    let properties = wire::property_u32(id::SESSION_EXPIRY, seconds);
    Connect { clean: false, properties, ..case.connect(who) }
}

#[tokio::test]
pub(super) async fn a_session_ends_when_it_has_expired() {
    each_at_once(ONLY_V5, async |case| {
        for (who, seconds) in [("second", 1), ("minutes", 600), ("ever", u32::MAX)] {
            resume(&case, &expiring(&case, who, seconds)).await.0.leave().await;
        }
        let short = Connect { keep_alive_seconds: 1, ..case.connect("clock") };
        let mut clock = case.join_with(&short).await;
        case.ended(&mut clock, "the clock", &[0x8D]).await;
        for (who, kept) in [("second", false), ("minutes", true), ("ever", true)] {
            let (raw, present) = resume(&case, &expiring(&case, who, 0)).await;
            assert_eq!(present, kept, "{who}");
            raw.leave().await;
            // It was given none this time.
            assert!(!resume(&case, &expiring(&case, who, 0)).await.1, "{who}");
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn disconnect_may_change_the_expiry() {
    each(ONLY_V5, async |case| {
        let expiry = |seconds| wire::property_u32(id::SESSION_EXPIRY, seconds);
        for (at_connect, at_end, kept) in [(600, Some(0), false), (600, None, true), (1, Some(600), true)] {
            let who = format!("client{at_connect}x{}", at_end.unwrap_or(1));
            let (mut raw, _) = resume(&case, &expiring(&case, &who, at_connect)).await;
            raw.send(&wire::disconnect(0, &at_end.map(expiry).unwrap_or_default())).await;
            raw.expect_end().await;
            assert_eq!(resume(&case, &expiring(&case, &who, 0)).await.1, kept, "{who}");
        }
        // A session that was to end cannot be kept after all.
        let (mut raw, _) = resume(&case, &expiring(&case, "late", 0)).await;
        raw.send(&wire::disconnect(0, &expiry(600))).await;
        case.ended(&mut raw, "an expiry from 0", &[PROTOCOL_ERROR]).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn what_is_unacknowledged_is_sent_again_in_order() {
    each(BOTH, async |case| {
        let topic = case.topic("again");
        let mut client = case.join_with(&case.persistent("client")).await;
        client.subscribe(&[(&topic, 2)]).await;
        let mut publisher = case.join("publisher").await;
        for number in 0..6 {
            publisher.deliver(1 + number % 2, &topic, &number.to_string(), &[]).await;
        }
        let mut first = Vec::new();
        for _ in 0..6 {
            first.push(client.published().await);
        }
        // 1 is acknowledged to the end, of 3 PUBREL is under way, the others are not acknowledged.
        client.send(&wire::pubrec(first[1].packet_id)).await;
        client.answer(kind::PUBREL).await;
        client.send(&wire::pubcomp(first[1].packet_id)).await;
        client.send(&wire::pubrec(first[3].packet_id)).await;
        client.answer(kind::PUBREL).await;
        client.ping().await;
        drop(client);
        publisher.deliver(1, &topic, "6", &[]).await;

        let mut client = case.join_with(&case.persistent("client")).await;
        let mut again = Vec::new();
        let mut released = Vec::new();
        while again.len() < 5 || released.is_empty() {
            let packet = client.next().await.expect("the connection stays");
            match packet.kind() {
                kind::PUBREL => released.push(packet.packet_id()),
                _ => again.push(packet.publish(case.level)),
            }
        }
        assert_eq!(released, [first[3].packet_id], "what was released is not published again");
        let texts: Vec<_> = again.iter().map(|message| message.text().to_owned()).collect();
        assert_eq!(texts, ["0", "2", "4", "5", "6"]);
        for (message, number) in again.iter().zip([0, 2, 4, 5]) {
            let before: &wire::Published = &first[number];
            assert_eq!((message.packet_id, message.qos), (before.packet_id, before.qos));
            assert!(message.dup, "{message:?}");
        }
        assert!(!again[4].dup, "it was never sent before");
        client.send(&wire::pubcomp(released[0])).await;
        for message in &again {
            let acknowledge = if message.qos == 1 { wire::puback } else { wire::pubrec };
            client.send(&acknowledge(message.packet_id)).await;
            if message.qos == 2 {
                client.answer(kind::PUBREL).await;
                client.send(&wire::pubcomp(message.packet_id)).await;
            }
        }
        client.ping().await;
        drop(client);
        let mut client = case.join_with(&case.persistent("client")).await;
        case.quiet(&mut client).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn nothing_is_sent_again_on_the_same_connection() {
    each_at_once(BOTH, async |case| {
        let topic = case.topic("patient");
        let mut client = case.subscriber("client", &topic, 2).await;
        for qos in 1..=2 {
            case.join("publisher").await.deliver(qos, &topic, "x", &[]).await;
            client.published().await;
        }
        let short = Connect { keep_alive_seconds: 1, ..case.connect("clock") };
        let mut clock = case.join_with(&short).await;
        case.ended(&mut clock, "the clock", &[0x8D]).await;
        case.quiet(&mut client).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_qos_2_message_of_the_client_survives_its_connection() {
    each(BOTH, async |case| {
        let topic = case.topic("once");
        let mut subscriber = case.subscriber("subscriber", &topic, 2).await;
        let mut publisher = case.join_with(&case.persistent("publisher")).await;
        publisher.publish_with(4, &topic, "x", &[]).await;
        publisher.answer(kind::PUBREC).await;
        drop(publisher);
        // The client does not know whether PUBREC came: it sends again, and the message is delivered once.
        let (mut publisher, present) = resume(&case, &case.persistent("publisher")).await;
        assert!(present);
        publisher.publish_with(0x08 | 4, &topic, "x", &[]).await;
        assert_eq!(publisher.answer(kind::PUBREC).await.packet_id(), 9);
        publisher.send(&wire::pubrel(9)).await;
        assert_eq!(publisher.answer(kind::PUBCOMP).await.packet_id(), 9);
        assert_eq!(subscriber.receive().await.text(), "x");
        case.quiet(&mut subscriber).await;
        // After that the id is free.
        publisher.deliver(2, &topic, "new", &[]).await;
        assert_eq!(subscriber.receive().await.text(), "new");
    })
    .await;
}

#[tokio::test]
pub(super) async fn pubrel_may_come_on_the_next_connection() {
    each(BOTH, async |case| {
        let mut publisher = case.join_with(&case.persistent("publisher")).await;
        publisher.publish_with(4, &case.topic("release"), "x", &[]).await;
        publisher.answer(kind::PUBREC).await;
        drop(publisher);
        let mut publisher = case.join_with(&case.persistent("publisher")).await;
        publisher.send(&wire::pubrel(9)).await;
        let complete = publisher.answer(kind::PUBCOMP).await;
        assert_eq!((complete.packet_id(), complete.reason()), (9, 0));
    })
    .await;
}

#[tokio::test]
pub(super) async fn unsubscribing_holds_for_the_session() {
    each(BOTH, async |case| {
        let topic = case.topic("gone");
        subscribed_and_gone(&case, &topic).await;
        let (mut raw, _) = resume(&case, &case.persistent("sleeper")).await;
        raw.unsubscribe(&[&topic]).await;
        drop(raw);
        case.join("publisher").await.deliver(1, &topic, "x", &[]).await;
        let (mut raw, present) = resume(&case, &case.persistent("sleeper")).await;
        assert!(present);
        case.quiet(&mut raw).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_takeover_carries_the_session_over() {
    each(BOTH, async |case| {
        let topic = case.topic("carried");
        let mut first = case.join_with(&case.persistent("client")).await;
        first.subscribe(&[(&topic, 1)]).await;
        case.join("publisher").await.deliver(1, &topic, "x", &[]).await;
        let message = first.published().await;
        let (mut second, present) = resume(&case, &case.persistent("client")).await;
        assert!(present);
        case.ended(&mut first, "the first", &[0x8E]).await;
        let again = second.receive().await;
        assert_eq!((again.packet_id, again.text(), again.dup), (message.packet_id, "x", true));
        case.quiet(&mut second).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn the_receive_maximum_is_of_the_connection() {
    each(ONLY_V5, async |case| {
        let topic = case.topic("quota");
        let narrow = |max| {
            let receive_max = wire::property_u16(id::RECEIVE_MAX, max);
            let connect = case.persistent("client");
            Connect { properties: [connect.properties.clone(), receive_max].concat(), ..connect }
        };
        let mut client = case.join_with(&narrow(1)).await;
        client.subscribe(&[(&topic, 1)]).await;
        let mut publisher = case.join("publisher").await;
        for number in 0..3 {
            publisher.deliver(1, &topic, &number.to_string(), &[]).await;
        }
        assert_eq!(client.published().await.text(), "0");
        client.ping().await;
        drop(client);
        let mut client = case.join_with(&narrow(2)).await;
        let window = [client.published().await, client.published().await];
        assert_eq!(
            window.each_ref().map(|message| (message.text().to_owned(), message.dup)),
            [("0".to_owned(), true), ("1".to_owned(), false)]
        );
        client.ping().await;
        client.send(&wire::puback(window[0].packet_id)).await;
        assert_eq!(client.receive().await.text(), "2");
    })
    .await;
}

#[tokio::test]
pub(super) async fn before_version_5_session_present_follows_clean_session() {
    each(ONLY_V311, async |case| {
        for (clean, present) in [(true, false), (false, false), (false, true), (true, false), (false, false)]
        {
            let connect = Connect { clean, ..case.connect("client") };
            let (raw, found) = resume(&case, &connect).await;
            assert_eq!(found, present);
            raw.leave().await;
        }
    })
    .await;
}
