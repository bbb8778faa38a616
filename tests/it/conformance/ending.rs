//! PINGREQ, keep-alive, DISCONNECT, and what ends a connection for its mistakes.

use std::time::{Duration, Instant};

use futures_util::FutureExt;
use pointsman_tests::eventually;
use pointsman_tests::wire::{self, Connect, id, kind};

use super::case::{BOTH, MALFORMED, ONLY_V5, PROTOCOL_ERROR, each, each_at_once};

#[tokio::test]
pub(super) async fn a_ping_is_answered() {
    each(BOTH, async |case| {
        let mut client = case.join("client").await;
        for _ in 0..3 {
            client.send(&wire::PINGREQ).await;
            assert!(client.expect(kind::PINGRESP).await.body.is_empty());
        }
        client.send(&wire::PINGREQ.repeat(5)).await;
        for _ in 0..5 {
            client.expect(kind::PINGRESP).await;
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn who_is_silent_for_one_and_a_half_keep_alives_is_gone() {
    each_at_once(BOTH, async |case| {
        let connect = |who, keep_alive_seconds| Connect { keep_alive_seconds, ..case.connect(who) };
        let mut timeless = case.join_with(&connect("timeless", 0)).await;
        let mut silent = case.join_with(&connect("silent", 1)).await;
        let start = Instant::now();
        let topic = case.topic("a");
        let mut busy = case.join_with(&connect("busy", 1)).await;
        let mut ended = Box::pin(case.ended(&mut silent, "silence", &[0x8D]));
        eventually("the silent one is gone", async || {
            // Any packet counts, not just PINGREQ.
            busy.deliver(1, &topic, "x", &[]).await;
            (&mut ended).now_or_never().ok_or("it is not")
        })
        .await;
        let took = start.elapsed();
        assert!((Duration::from_millis(1_450)..Duration::from_secs(4)).contains(&took), "{took:?}");
        busy.ping().await;
        timeless.ping().await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn disconnect_ends_the_connection() {
    each(BOTH, async |case| {
        let topic = case.topic("after");
        let mut subscriber = case.subscriber("subscriber", &topic, 0).await;
        let mut client = case.join("client").await;
        // Nothing behind it counts.
        client.send(&[wire::DISCONNECT.to_vec(), case.publish(0, &topic, &[])].concat()).await;
        client.expect_end().await;
        case.quiet(&mut subscriber).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn disconnect_is_read_strictly() {
    each(ONLY_V5, async |case| {
        case.refuses("flags", &[0xE1, 0], &[MALFORMED]).await;
        // The last two are not for a client to say. It is gone all the same, and there is nobody to answer.
        for bytes in [&[0xE0, 1, 0][..], &[0xE0, 2, 0, 0], &[0xE0, 0], &[0xE0, 1, 0x42], &[0xE0, 1, 0x8E]] {
            let mut client = case.join("client").await;
            client.send(bytes).await;
            client.expect_end().await;
        }
        let said = [wire::property_text(id::REASON_STRING, "bye"), wire::property_pair("a", "b")].concat();
        let mut client = case.join("client").await;
        client.send(&wire::disconnect(0, &said)).await;
        client.expect_end().await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_server_says_why_it_ends_a_connection() {
    each(ONLY_V5, async |case| {
        let mut client = case.join("client").await;
        client.send(&[0x00, 0]).await;
        let packet = client.expect(kind::DISCONNECT).await;
        assert_eq!(packet.first, 0xE0, "{packet:?}");
        let mut rest = packet.body.slice(1..);
        let properties = if rest.is_empty() { rest } else { wire::take_properties(&mut rest) };
        assert_eq!(wire::property(&properties, id::SESSION_EXPIRY), None);
        client.expect_end().await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn what_came_before_a_mistake_was_right() {
    each(BOTH, async |case| {
        let topic = case.topic("before");
        let mut subscriber = case.subscriber("subscriber", &topic, 1).await;
        let mut client = case.join("client").await;
        client
            .send(&[case.publish(2, &topic, &[]), vec![0x00, 0], case.publish(2, &topic, &[])].concat())
            .await;
        client.answer(kind::PUBACK).await;
        case.ended(&mut client, "a reserved type", &[MALFORMED, PROTOCOL_ERROR]).await;
        subscriber.receive().await;
        case.quiet(&mut subscriber).await;
    })
    .await;
}
