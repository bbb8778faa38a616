//! The limits of sessions that outlive their connections: each is reached here, and holds.

use std::time::{Duration, Instant};

use pointsman_tests::wire::{self, Connect, id, kind, property_number, property_u16, property_u32};
use pointsman_tests::{Raw, TestServer, eventually};

const QUOTA_EXCEEDED: u8 = 0x97;

fn lasting(level: u8, client_id: &str, seconds: u32) -> Connect {
    let mut connect = Connect { clean: false, ..Connect::new(level, client_id) };
    if level >= wire::V5 {
        connect.properties = property_u32(id::SESSION_EXPIRY, seconds);
    }
    connect
}

/// Publishes messages of QoS 1, numbered, and sees them acknowledged.
async fn publish_numbered(publisher: &mut Raw, topic: &str, count: usize, bytes: usize) {
    for number in 0..count {
        let payload = format!("{number}{}", "x".repeat(bytes));
        assert_eq!(publisher.deliver(1, topic, &payload, &[]).await, 0);
    }
}

#[tokio::test]
async fn sessions_max_refuses_sessions_and_not_connections() {
    let mut server = TestServer::builder().config(|config| config.limits.sessions_max = 2).start().await;
    for name in ["a", "b"] {
        server.raw().await.join(&lasting(wire::V5, name, 100)).await.leave().await;
    }
    for _ in 0..2 {
        let connack = server.raw().await.connect(&lasting(wire::V5, "c", 100)).await;
        assert_eq!(connack.code, QUOTA_EXCEEDED);
        server.raw().await.join(&Connect::new(wire::V5, "c")).await.leave().await;
        assert!(server.raw().await.connect(&lasting(wire::V5, "a", 100)).await.session_present);
        server.restart().await;
    }
    // One that ends makes room.
    server.raw().await.join(&Connect::new(wire::V5, "b")).await.leave().await;
    server.raw().await.join(&lasting(wire::V5, "c", 100)).await.leave().await;
}

#[tokio::test]
async fn session_expiry_max_seconds_is_told_and_kept() {
    let mut server =
        TestServer::builder().config(|config| config.limits.session_expiry_max_seconds = 1).start().await;
    let mut client = server.raw().await;
    let connack = client.connect(&lasting(wire::V5, "new", 100)).await;
    assert_eq!(property_number(&connack.properties, id::SESSION_EXPIRY), Some(1));
    client.leave().await;
    server.raw().await.join(&lasting(wire::V311, "old", 0)).await.leave().await;
    server.restart().await;
    eventually("both are over", async || {
        let over = server.metric("pointsman_sessions_expired_total").await;
        if over == 2 { Ok(()) } else { Err(over.to_string()) }
    })
    .await;
    for (level, name) in [(wire::V5, "new"), (wire::V311, "old")] {
        assert!(!server.raw().await.connect(&lasting(level, name, 100)).await.session_present);
    }
}

#[tokio::test]
async fn receive_max_is_told_and_more_ends_the_connection() {
    let server = TestServer::builder().config(|config| config.limits.receive_max = 2).start().await;
    let mut greedy = server.raw().await;
    let connack = greedy.connect(&lasting(wire::V5, "greedy", 100)).await;
    assert_eq!(property_number(&connack.properties, id::RECEIVE_MAX), Some(2));
    for packet_id in [1, 2, 3] {
        let message =
            wire::Publish { flags: 4, topic: b"t", packet_id, properties: Some(&[]), payload: b"x" };
        greedy.send(&message.packet()).await;
    }
    assert_eq!(greedy.expect(kind::PUBREC).await.packet_id(), 1);
    assert_eq!(greedy.expect(kind::PUBREC).await.packet_id(), 2);
    assert_eq!(greedy.expect(kind::DISCONNECT).await.reason(), 0x93);
}

#[tokio::test]
async fn publish_rates_slow_a_publisher_and_nobody_else() {
    for bytes in [false, true] {
        let server = TestServer::builder().config(|config| {
            let limits = &mut config.limits;
            if bytes {
                limits.publish_bytes_per_second = 10_000;
            } else {
                limits.publish_messages_per_second = 100;
            }
        });
        let server = server.start().await;
        let mut fast = server.raw().await.join(&Connect::new(wire::V5, "fast")).await;
        let begun = Instant::now();
        // A second's worth is saved up; the second half is waited for.
        let flood = wire::Publish {
            flags: 2,
            topic: b"t",
            packet_id: 9,
            properties: Some(&[]),
            payload: &[b'x'; 95],
        };
        fast.send(&flood.packet().repeat(200)).await;
        let mut calm = server.raw().await.join(&Connect::new(wire::V5, "calm")).await;
        publish_numbered(&mut calm, "t", 20, 10).await;
        for _ in 0..200 {
            fast.expect(kind::PUBACK).await;
        }
        fast.ping().await;
        assert!(server.metric("pointsman_publishers_throttled_total").await > 0);
        assert!(begun.elapsed() > Duration::from_millis(900), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_slow_session_is_fed_from_the_log_and_loses_nothing() {
    const MESSAGES: usize = 300;
    let small = TestServer::builder().config(|config| {
        config.limits.outbox_messages_max = 20;
        config.limits.outbox_bytes_max = 20_000;
        config.limits.inflight_max = 5;
    });
    let server = small.start().await;
    let mut slow = server.raw().await.join(&lasting(wire::V5, "slow", 100)).await;
    slow.subscribe(&[("t", 1)]).await;
    let mut quick = server.raw().await.join(&lasting(wire::V5, "quick", 100)).await;
    quick.subscribe(&[("t", 1)]).await;
    let mut publisher = server.raw().await.join(&Connect::new(wire::V5, "publisher")).await;
    for number in 0..MESSAGES {
        assert_eq!(publisher.deliver(1, "t", &format!("{number:01000}"), &[]).await, 0);
        assert_eq!(quick.receive().await.text().trim_start_matches('0'), digits(number));
    }
    for number in 0..MESSAGES {
        assert_eq!(slow.receive().await.text().trim_start_matches('0'), digits(number));
    }
    slow.ping().await;
}

fn digits(number: usize) -> String {
    if number == 0 { String::new() } else { number.to_string() }
}

#[tokio::test]
async fn a_session_that_the_log_cut_off_is_told_by_session_present() {
    let small = TestServer::builder().config(|config| {
        config.store.log_mib_max = 2;
        config.store.segment_mib = 1;
    });
    let server = small.start().await;
    let mut away = server.raw().await.join(&lasting(wire::V311, "away", 100)).await;
    away.subscribe(&[("t", 1)]).await;
    away.leave().await;
    let mut publisher = server.raw().await.join(&Connect::new(wire::V311, "publisher")).await;
    // More than the log takes even while its housekeeper is behind: what came first has been dropped.
    publish_numbered(&mut publisher, "t", 60, 100_000).await;
    let mut back = server.raw().await;
    assert!(!back.connect(&lasting(wire::V311, "away", 100)).await.session_present);
    assert_eq!(server.metric("pointsman_sessions_cut_total").await, 1);
    // What it was is over: its client subscribes anew.
    back.subscribe(&[("t", 1)]).await;
    assert_eq!(publisher.deliver(1, "t", "new", &[]).await, 0);
    assert_eq!(back.receive().await.text(), "new");
}

#[tokio::test]
async fn inflight_max_holds_for_a_session_over_connections_and_restarts() {
    let builder = TestServer::builder().config(|config| config.limits.inflight_max = 2);
    let mut server = builder.start().await;
    let mut connect = lasting(wire::V5, "slow", 100);
    connect.properties.extend(property_u16(id::RECEIVE_MAX, 100));
    let mut slow = server.raw().await.join(&connect).await;
    slow.subscribe(&[("t", 2)]).await;
    let mut publisher = server.raw().await.join(&Connect::new(wire::V311, "publisher")).await;
    for (number, qos) in [1, 2, 1, 2].into_iter().enumerate() {
        assert_eq!(publisher.deliver(qos, "t", &number.to_string(), &[]).await, 0);
    }
    let first = [slow.published().await, slow.published().await];
    assert_eq!(first.clone().map(|it| it.payload), ["0", "1"]);
    slow.ping().await;
    for restarted in [false, true] {
        drop(slow);
        if restarted {
            server.restart().await;
        }
        slow = server.raw().await;
        assert!(slow.connect(&connect).await.session_present);
        for before in &first {
            let again = slow.published().await;
            let known = (again.dup, again.packet_id, again.payload);
            assert_eq!(known, (true, before.packet_id, before.payload.clone()));
        }
        // Two are out, whatever the client would take.
        slow.ping().await;
    }
    slow.send(&wire::puback(first[0].packet_id)).await;
    let third = slow.published().await;
    assert_eq!(third.payload, "2");
    // One of QoS 2 is out until the end of its exchange.
    slow.send(&wire::pubrec(first[1].packet_id)).await;
    slow.expect(kind::PUBREL).await;
    slow.ping().await;
    slow.send(&wire::pubcomp(first[1].packet_id)).await;
    assert_eq!(slow.receive().await.payload, "3");
}
