//! Wills: which end publishes one, when, and how.

use std::time::{Duration, Instant};

use pointsman_tests::Raw;
use pointsman_tests::wire::{self, Connect, Will, id};

use super::case::{BOTH, Case, ONLY_V5, PROTOCOL_ERROR, each, each_at_once};

fn with_will(case: &Case, who: &str) -> Connect {
    case.connect(who).will(Will::new(&case.topic("will"), who))
}

async fn mourner(case: &Case, qos: u8) -> Raw {
    case.subscriber("mourner", &case.topic("will"), qos).await
}

#[tokio::test]
pub(super) async fn an_abnormal_end_publishes_the_will_once() {
    each(BOTH, async |case| {
        let mut mourner = mourner(&case, 0).await;
        drop(case.join_with(&with_will(&case, "cut")).await);
        assert_eq!(mourner.published().await.text(), "cut");

        let mut wrong = case.join_with(&with_will(&case, "wrong")).await;
        wrong.send(&[0x00, 0x00]).await;
        case.ended(&mut wrong, "a reserved type", &[0x81, PROTOCOL_ERROR]).await;
        assert_eq!(mourner.published().await.text(), "wrong");

        let mut taken = case.join_with(&with_will(&case, "taken")).await;
        let successor = case.join("taken").await;
        case.ended(&mut taken, "a takeover", &[0x8E]).await;
        assert_eq!(mourner.published().await.text(), "taken");
        drop(successor);
        case.quiet(&mut mourner).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_goodbye_deletes_the_will() {
    each(BOTH, async |case| {
        let mut mourner = mourner(&case, 0).await;
        case.join_with(&with_will(&case, "polite")).await.leave().await;
        if case.is_v5() {
            let mut polite = case.join_with(&with_will(&case, "polite")).await;
            polite.send(&wire::disconnect(0, &[])).await;
            polite.expect_end().await;
        }
        // The next connection has none either.
        drop(case.join("polite").await);
        case.quiet(&mut mourner).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_goodbye_with_reason_4_publishes_the_will() {
    each(ONLY_V5, async |case| {
        let mut mourner = mourner(&case, 0).await;
        for reason in [0x04, 0x80, 0x93] {
            let mut client = case.join_with(&with_will(&case, "dramatic")).await;
            client.send(&wire::disconnect(reason, &[])).await;
            client.expect_end().await;
            assert_eq!(mourner.published().await.text(), "dramatic", "reason {reason:#04x}");
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn without_a_will_none_is_published() {
    each(BOTH, async |case| {
        let mut everything = case.subscriber("everything", &case.topic("#"), 0).await;
        drop(case.join("silent").await);
        case.join("silent").await.leave().await;
        case.quiet(&mut everything).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_will_has_the_qos_and_properties_it_was_given() {
    each(BOTH, async |case| {
        let properties = case.properties(&[
            wire::property_u8(id::PAYLOAD_FORMAT, 1),
            wire::property_text(id::CONTENT_TYPE, "text/plain"),
            wire::property_text(id::RESPONSE_TOPIC, "answers"),
            wire::property_text(id::CORRELATION_DATA, b"\0\xFF"),
            wire::property_pair("b", "1"),
            wire::property_pair("a", "2"),
            wire::property_pair("b", "3"),
        ]);
        let mut mourner = mourner(&case, 2).await;
        for qos in 0..=2 {
            let properties = properties.clone();
            let will = Will { qos, properties, ..Will::new(&case.topic("will"), "gone") };
            drop(case.join_with(&case.connect("client").will(will)).await);
            let message = mourner.receive().await;
            assert_eq!(
                (message.qos, message.text(), message.retain, message.dup),
                (qos, "gone", false, false)
            );
            let pairs = wire::property_values(&message.properties, id::USER_PROPERTY);
            if case.is_v5() {
                assert_eq!(message.property(id::CONTENT_TYPE).as_deref(), Some(&b"text/plain"[..]));
                assert_eq!(message.property(id::RESPONSE_TOPIC).as_deref(), Some(&b"answers"[..]));
                assert_eq!(message.property(id::CORRELATION_DATA).as_deref(), Some(&b"\0\xFF"[..]));
                assert_eq!(message.property(id::PAYLOAD_FORMAT).as_deref(), Some(&[1][..]));
                assert_eq!(pairs, [&b"\0\x01b\0\x011"[..], b"\0\x01a\0\x012", b"\0\x01b\0\x013"]);
            }
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_will_is_retained_if_it_says_so() {
    each(BOTH, async |case| {
        for retain in [true, false] {
            let topic = case.topic(&format!("will/{retain}"));
            let mut mourner = case.subscriber("mourner", &topic, 0).await;
            let will = Will { retain, ..Will::new(&topic, "gone") };
            drop(case.join_with(&case.connect("client").will(will)).await);
            let message = mourner.published().await;
            assert!(!message.retain, "it matches an established subscription");
            let mut late = case.subscriber("late", &topic, 0).await;
            if retain {
                let message = late.published().await;
                assert_eq!((message.text(), message.retain), ("gone", true));
            }
            case.quiet(&mut late).await;
        }
    })
    .await;
}

/// A CONNECT of a session with a will that waits.
fn with_delay(case: &Case, who: &str, delay_seconds: u32, expiry_seconds: u32) -> Connect {
    let properties = wire::property_u32(id::WILL_DELAY, delay_seconds);
    let will = Will { properties, ..Will::new(&case.topic("will"), who) };
    let properties = wire::property_u32(id::SESSION_EXPIRY, expiry_seconds);
    Connect { properties, ..case.connect(who).will(will) }
}

#[tokio::test]
pub(super) async fn a_will_waits_for_its_delay_or_the_end_of_its_session() {
    each_at_once(ONLY_V5, async |case| {
        let mut mourner = mourner(&case, 0).await;
        let start = Instant::now();
        // The delay of one, and the session's end of the other.
        drop(case.join_with(&with_delay(&case, "delayed", 1, 600)).await);
        drop(case.join_with(&with_delay(&case, "expiring", 600, 1)).await);
        let mut heard = [mourner.published().await, mourner.published().await];
        assert!(start.elapsed() >= Duration::from_millis(950), "after {:?}", start.elapsed());
        heard.sort_by_key(|message| message.text().to_owned());
        assert_eq!(heard.each_ref().map(|message| message.text().to_owned()), ["delayed", "expiring"]);
        // A session that ends with its connection does not wait, whatever the delay.
        drop(case.join_with(&with_delay(&case, "fleeting", 600, 0)).await);
        assert_eq!(mourner.published().await.text(), "fleeting");
        // Nor does one that a clean start ends, however soon that comes behind the end of the connection.
        for _ in 0..100 {
            drop(case.join_with(&with_delay(&case, "restarted", 600, 600)).await);
            case.join("restarted").await.leave().await;
            assert_eq!(mourner.published().await.text(), "restarted");
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn who_comes_back_in_time_has_not_died() {
    each_at_once(ONLY_V5, async |case| {
        let mut mourner = mourner(&case, 0).await;
        drop(case.join_with(&with_delay(&case, "sleeper", 1, 600)).await);
        let mut back = case.join_with(&case.persistent("sleeper")).await;
        // When the will of another has come with the same delay, that of the sleeper would have.
        drop(case.join_with(&with_delay(&case, "other", 1, 600)).await);
        assert_eq!(mourner.published().await.text(), "other");
        case.quiet(&mut mourner).await;
        back.ping().await;
    })
    .await;
}
