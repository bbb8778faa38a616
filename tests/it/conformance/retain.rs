//! Retained messages: kept, replaced, removed, and sent to whom.

use pointsman_tests::wire::{self, id};

use super::case::{BOTH, Case, ONLY_V5, each, each_at_once};

const RETAIN: u8 = 1;
const RETAIN_AS_PUBLISHED: u8 = 0x08;
const HANDLING_IF_NEW: u8 = 0x10;
const HANDLING_NEVER: u8 = 0x20;

/// Publishes a retained message at QoS 1.
async fn retain(case: &Case, topic: &str, payload: &str) {
    case.spread(2 | RETAIN, topic, payload, &[]).await;
}

#[tokio::test]
pub(super) async fn the_last_retained_message_is_sent_to_a_new_subscriber() {
    each(BOTH, async |case| {
        for qos in 0..=2 {
            let topic = case.topic(&format!("kept/{qos}"));
            let properties = case.properties(&[wire::property_pair("a", "b")]);
            retain(&case, &topic, "first").await;
            case.spread(qos << 1 | RETAIN, &topic, "last", &properties).await;
            for filter in [topic.clone(), case.topic(&format!("+/{qos}"))] {
                let mut late = case.subscriber("late", &filter, 2).await;
                let message = late.receive().await;
                assert_eq!(
                    (message.text(), message.qos, message.retain, message.dup),
                    ("last", qos, true, false)
                );
                assert_eq!(message.topic, topic);
                assert_eq!(message.property(id::USER_PROPERTY).is_some(), case.is_v5());
                case.quiet(&mut late).await;
            }
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn an_established_subscription_gets_it_without_the_flag() {
    each(BOTH, async |case| {
        let topic = case.topic("live");
        let mut subscriber = case.subscriber("subscriber", &topic, 1).await;
        retain(&case, &topic, "x").await;
        let message = subscriber.receive().await;
        assert_eq!((message.text(), message.retain), ("x", false));
    })
    .await;
}

#[tokio::test]
pub(super) async fn retain_as_published_keeps_the_flag() {
    each(ONLY_V5, async |case| {
        let topic = case.topic("published");
        let mut subscriber = case.join("subscriber").await;
        assert_eq!(subscriber.subscribe(&[(&topic, RETAIN_AS_PUBLISHED | 1)]).await, [1]);
        for flags in [2 | RETAIN, 2, RETAIN, 0] {
            case.join("publisher").await.deliver_flagged(flags, &topic, "x", &[]).await;
            let message = subscriber.receive().await;
            assert_eq!(message.retain, flags & RETAIN == RETAIN, "flags {flags:#04x}");
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn an_empty_payload_removes_what_is_retained() {
    each(BOTH, async |case| {
        let topic = case.topic("emptied");
        let mut subscriber = case.subscriber("subscriber", &topic, 1).await;
        for (first, empty) in [(2 | RETAIN, 2 | RETAIN), (2 | RETAIN, RETAIN), (RETAIN, RETAIN)] {
            let mut publisher = case.join("publisher").await;
            publisher.deliver_flagged(first, &topic, "x", &[]).await;
            publisher.deliver_flagged(empty, &topic, "", &[]).await;
            publisher.leave().await;
            // It is delivered as every other is.
            assert_eq!(subscriber.receive().await.text(), "x");
            let message = subscriber.receive().await;
            assert_eq!((message.text(), message.retain), ("", false));
            let mut late = case.subscriber("late", &topic, 1).await;
            case.quiet(&mut late).await;
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_message_without_the_flag_changes_nothing() {
    each(BOTH, async |case| {
        let topic = case.topic("unchanged");
        retain(&case, &topic, "kept").await;
        for payload in ["other", ""] {
            case.spread(2, &topic, payload, &[]).await;
        }
        assert_eq!(case.subscriber("late", &topic, 1).await.receive().await.text(), "kept");
        let never = case.topic("never");
        case.spread(2, &never, "x", &[]).await;
        let mut late = case.subscriber("late", &never, 1).await;
        case.quiet(&mut late).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn retained_messages_outlive_the_session_that_sent_them() {
    each(BOTH, async |case| {
        let topic = case.topic("outlives");
        retain(&case, &topic, "x").await;
        // The session of who published it has ended, and another of the same id comes and goes.
        case.join("publisher").await.leave().await;
        assert_eq!(case.subscriber("late", &topic, 1).await.receive().await.text(), "x");
    })
    .await;
}

#[tokio::test]
pub(super) async fn retain_handling_says_when_they_are_sent() {
    each(ONLY_V5, async |case| {
        let topic = case.topic("handling");
        retain(&case, &topic, "x").await;
        let mut client = case.join("client").await;
        for (options, comes) in [
            (HANDLING_NEVER | 1, false),
            (1, true),
            (HANDLING_IF_NEW | 1, false),
            (1, true),
            (HANDLING_NEVER | 1, false),
        ] {
            assert_eq!(client.subscribe(&[(&topic, options)]).await, [1]);
            if comes {
                assert!(client.receive().await.retain);
            }
            case.quiet(&mut client).await;
        }
        client.unsubscribe(&[&topic]).await;
        client.subscribe(&[(&topic, HANDLING_IF_NEW | 1)]).await;
        assert!(client.receive().await.retain, "it is new again");
        case.quiet(&mut client).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn subscribing_again_sends_them_again() {
    each(BOTH, async |case| {
        let topic = case.topic("again");
        retain(&case, &topic, "x").await;
        let mut client = case.join("client").await;
        for qos in [1, 0, 2] {
            client.subscribe(&[(&topic, qos)]).await;
            let message = client.receive().await;
            assert_eq!((message.text(), message.qos, message.retain), ("x", qos.min(1), true));
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_retained_message_expires() {
    each_at_once(ONLY_V5, async |case| {
        let topic = case.topic("expires");
        for (name, seconds) in [("soon", 1), ("late", 600)] {
            let properties = wire::property_u32(id::MESSAGE_EXPIRY, seconds);
            let topic = format!("{topic}/{name}");
            case.spread(2 | RETAIN, &topic, name, &properties).await;
        }
        let clock = wire::Connect { keep_alive_seconds: 1, ..case.connect("clock") };
        let mut clock = case.join_with(&clock).await;
        case.ended(&mut clock, "the clock", &[0x8D]).await;
        let mut late = case.subscriber("late", &format!("{topic}/+"), 1).await;
        let message = late.receive().await;
        let left = wire::property_number(&message.properties, id::MESSAGE_EXPIRY);
        assert_eq!(message.text(), "late");
        assert!(matches!(left, Some(590..=599)), "{left:?}");
        case.quiet(&mut late).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_wildcard_brings_all_that_match_once() {
    each(BOTH, async |case| {
        for name in ["a", "a/b", "a/b/c", "d"] {
            retain(&case, &case.topic(name), name).await;
        }
        let mut client = case.join("client").await;
        for (filter, wanted) in
            [("a/#", &["a", "a/b", "a/b/c"][..]), ("+", &["a", "d"]), ("+/b/#", &["a/b", "a/b/c"])]
        {
            client.subscribe(&[(&case.topic(filter), 1)]).await;
            let mut found = Vec::new();
            for _ in wanted {
                found.push(client.receive().await.text().to_owned());
            }
            found.sort_unstable();
            assert_eq!(found, wanted, "{filter}");
            case.quiet(&mut client).await;
        }
    })
    .await;
}
