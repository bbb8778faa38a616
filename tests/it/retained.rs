//! Retained messages at their limits, over a restart, and many at once.

use pointsman_tests::wire::{self, Connect, Publish, kind};
use pointsman_tests::{QoS, TestServer, eventually};

/// A PUBLISH with the RETAIN flag.
fn retained(topic: &str, qos: u8, properties: Option<&[u8]>, payload: &str) -> Vec<u8> {
    let publish = Publish {
        flags: 1 | qos << 1,
        topic: topic.as_bytes(),
        packet_id: 7,
        properties,
        payload: payload.as_bytes(),
    };
    publish.packet()
}

#[tokio::test]
async fn retained_messages_max_holds_and_a_removal_makes_room() {
    let server = TestServer::builder().config(|config| config.limits.retained_messages_max = 1).start().await;
    let mut v5 = server.raw().await.join(&Connect::new(wire::V5, "v5")).await;
    for (topic, payload, reason, then) in
        [("a", "x", 0, 1), ("b", "x", 0x97, 1), ("a", "y", 0, 1), ("a", "", 0, 0), ("b", "x", 0, 1)]
    {
        v5.send(&retained(topic, 1, Some(&[]), payload)).await;
        assert_eq!(v5.expect(kind::PUBACK).await.reason(), reason, "{topic} {payload:?}");
        eventually("it is retained, or removed", async || {
            let count = server.metric("pointsman_retained_messages").await;
            if count == then { Ok(()) } else { Err(count) }
        })
        .await;
    }
    assert_eq!(server.metric("pointsman_retained_refused_total").await, 1);
}

#[tokio::test]
async fn a_topic_too_long_to_be_retained_is_told_so_and_its_removal_is_none() {
    let server = TestServer::start().await;
    let mut v5 = server.raw().await.join(&Connect::new(wire::V5, "v5")).await;
    let longest = "t".repeat(4_000);
    let longer = "t".repeat(4_500);
    for (topic, payload, reason) in
        [(&longest, "x", 0), (&longer, "x", 0x97), (&longer, "", 0), (&longest, "", 0)]
    {
        v5.send(&retained(topic, 1, Some(&[]), payload)).await;
        assert_eq!(v5.expect(kind::PUBACK).await.reason(), reason, "{} bytes, {payload:?}", topic.len());
    }
    assert_eq!(server.metric("pointsman_retained_messages").await, 0);
}

#[tokio::test]
async fn before_mqtt_5_a_message_without_room_is_delivered_and_not_retained() {
    let server = TestServer::builder().config(|config| config.limits.retained_bytes_max = 1).start().await;
    let mut live = server.mqtt("live").await;
    live.subscribe("a", QoS::AtLeastOnce).await;
    let mut v311 = server.raw().await.join(&Connect::new(wire::V311, "v311")).await;
    v311.send(&retained("a", 1, None, "x")).await;
    v311.expect(kind::PUBACK).await;
    assert_eq!(live.recv_on("a").await.text(), "x");
    let mut late = server.mqtt("late").await;
    late.subscribe("a", QoS::AtLeastOnce).await;
    late.expect_silence().await;
    assert_eq!(server.metric("pointsman_retained_refused_total").await, 1);
}

#[tokio::test]
async fn retained_messages_survive_a_restart_however_they_came() {
    let mut server = TestServer::start().await;
    let mut v5 = server.raw().await.join(&Connect::new(wire::V5, "v5")).await;
    v5.send(&retained("by/client", 1, Some(&[]), "1")).await;
    v5.expect(kind::PUBACK).await;
    v5.send(&retained("gone", 1, Some(&[]), "1")).await;
    v5.expect(kind::PUBACK).await;
    v5.send(&retained("gone", 1, Some(&[]), "")).await;
    v5.expect(kind::PUBACK).await;
    let answer = server.operator().post("/topics/by/api?retain=true", "2").await;
    assert_eq!(answer.status.as_u16(), 200);
    server.restart().await;
    let mut late = server.mqtt("late").await;
    late.subscribe("#", QoS::AtLeastOnce).await;
    let mut found = [late.recv().await, late.recv().await].map(|it| (it.topic.clone(), it.text().to_owned()));
    found.sort();
    let expected =
        [("by/api", "2"), ("by/client", "1")].map(|(topic, text)| (topic.to_owned(), text.to_owned()));
    assert_eq!(found, expected);
    late.expect_silence().await;
}

#[tokio::test]
async fn many_are_sent_to_one_and_others_are_served_meanwhile() {
    const COUNT: usize = 5_000;
    let server = TestServer::start().await;
    let mut publisher = server.raw().await.join(&Connect::new(wire::V311, "publisher")).await;
    let packets: Vec<u8> =
        (0..COUNT).flat_map(|number| retained(&format!("many/{number}/x"), 0, None, "v")).collect();
    publisher.send(&packets).await;
    publisher.ping().await;
    let mut wild = server.raw().await.join(&Connect::new(wire::V311, "wild")).await;
    eventually("all are retained", async || {
        let count = server.metric("pointsman_retained_messages").await;
        if count == COUNT as u64 { Ok(()) } else { Err(count) }
    })
    .await;
    wild.subscribe(&[("+/+/x", 0)]).await;
    let mut other = server.mqtt("other").await;
    other.subscribe("calm", QoS::AtMostOnce).await;
    other.publish("calm", "here").await;
    assert_eq!(other.recv_on("calm").await.text(), "here");
    let mut topics = std::collections::BTreeSet::new();
    for _ in 0..COUNT {
        assert!(topics.insert(wild.published().await.topic), "each comes once");
    }
}

/// What is acknowledged and what is refused is the same to a session that is away, and to the server after a restart.
#[tokio::test]
async fn retained_limits_hold_for_sessions_and_over_restarts() {
    for by_bytes in [false, true] {
        let builder = TestServer::builder().config(|config| {
            let limits = &mut config.limits;
            if by_bytes {
                limits.retained_bytes_max = 2_000;
            } else {
                limits.retained_messages_max = 1;
            }
        });
        let mut server = builder.start().await;
        let connect = Connect { clean: false, ..Connect::new(wire::V311, "away") };
        let mut away = server.raw().await.join(&connect).await;
        away.subscribe(&[("kept/#", 1)]).await;
        away.leave().await;
        let large = "x".repeat(1_200);
        let steps = [("kept/a", &*large, 0), ("kept/b", &*large, 0x97), ("kept/a", "small", 0)];
        let mut taken = Vec::new();
        for (topic, payload, reason) in steps {
            let mut v5 = server.raw().await.join(&Connect::new(wire::V5, "v5")).await;
            v5.send(&retained(topic, 1, Some(&[]), payload)).await;
            assert_eq!(v5.expect(kind::PUBACK).await.reason(), reason, "{topic}");
            v5.leave().await;
            if reason == 0 {
                taken.push((topic.to_owned(), payload.to_owned()));
            }
            server.restart().await;
            assert_eq!(server.metric("pointsman_retained_messages").await, 1, "{topic}");
            assert!(server.metric("pointsman_retained_bytes").await <= 2_000, "{topic}");
        }
        let mut away = server.raw().await;
        assert!(away.connect(&connect).await.session_present);
        for expected in taken {
            let came = away.receive().await;
            assert_eq!((came.topic.clone(), came.text().to_owned()), expected);
        }
        away.ping().await;
    }
}
