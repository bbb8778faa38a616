//! Limits of sessions: each is reached here, and holds.

use pointsman_tests::wire::{self, Connect, kind};
use pointsman_tests::{QoS, TestServer};

#[tokio::test]
async fn subscriptions_max_holds_and_unsubscribing_makes_room() {
    let server = TestServer::builder().config(|config| config.limits.subscriptions_max = 2).start().await;
    let mut client = server.mqtt("client").await;
    assert!(client.try_subscribe("a", QoS::AtMostOnce).await);
    assert!(client.try_subscribe("b", QoS::AtMostOnce).await);
    assert!(!client.try_subscribe("c", QoS::AtMostOnce).await);
    assert!(client.try_subscribe("a", QoS::AtLeastOnce).await, "replacing one needs no room");
    client.unsubscribe("b").await;
    assert!(client.try_subscribe("c", QoS::AtMostOnce).await);
    let mut raw = server.raw().await.join(&Connect::new(wire::V5, "raw")).await;
    assert_eq!(raw.subscribe(&[("a", 0), ("b", 0), ("c", 0)]).await, [0, 0, 0x97]);
}

#[tokio::test]
async fn topic_levels_max_holds_for_topics_and_filters() {
    let server = TestServer::builder().config(|config| config.limits.topic_levels_max = 4).start().await;
    let mut client = server.mqtt("client").await;
    client.subscribe("a/b/c/#", QoS::AtMostOnce).await;
    assert!(!client.try_subscribe("a/b/c/d/#", QoS::AtMostOnce).await);
    client.publish("a/b/c/d", "fits").await;
    assert_eq!(client.recv_on("a/b/c/d").await.text(), "fits");
    let mut raw = server.raw().await.join(&Connect::new(wire::V5, "raw")).await;
    raw.publish("a/b/c/d/e", "x").await;
    assert_eq!(raw.expect(kind::DISCONNECT).await.reason(), 0x90);
    client.publish("a/b/c/d", "still").await;
    assert_eq!(client.recv_on("a/b/c/d").await.text(), "still");
}

#[tokio::test]
async fn a_filter_of_the_deepest_kind_harms_nobody() {
    let server = TestServer::builder().config(|config| config.limits.topic_levels_max = 70_000).start().await;
    let mut client = server.mqtt5("client").await;
    let deep = "/".repeat(65_000);
    client.subscribe(&deep, QoS::AtMostOnce).await;
    client.publish(&deep, "down here").await;
    assert_eq!(client.recv().await.text(), "down here");
}

#[tokio::test]
async fn inflight_max_holds_for_a_client_that_sets_no_limit() {
    let server = TestServer::builder().config(|config| config.limits.inflight_max = 2).start().await;
    let mut slow = server.raw().await.join(&Connect::new(wire::V311, "slow")).await;
    slow.subscribe(&[("a", 1)]).await;
    let mut publisher = server.mqtt("publisher").await;
    for number in 0..4 {
        publisher.publish("a", number.to_string()).await;
    }
    let first = slow.published().await;
    let second = slow.published().await;
    slow.ping().await;
    slow.send(&wire::puback(second.packet_id)).await;
    slow.send(&wire::puback(first.packet_id)).await;
    assert_eq!(slow.published().await.payload, "2");
    assert_eq!(slow.published().await.payload, "3");
}

#[tokio::test]
async fn a_client_that_does_not_read_loses_qos_0_and_is_not_forgotten() {
    let limit = 64 * 1024;
    let server = TestServer::builder().config(|config| config.limits.outbox_bytes_max = limit).start().await;
    let mut stuck = server.raw().await.join(&Connect::new(wire::V311, "stuck")).await;
    stuck.subscribe(&[("flood", 0)]).await;
    let mut publisher = server.mqtt("publisher").await;
    pointsman_tests::eventually("messages to the client that does not read are dropped", async || {
        for _ in 0..50 {
            publisher.publish("flood", "x".repeat(20_000)).await;
        }
        let dropped = server.status().await["dropped"].as_u64().unwrap_or(0);
        if dropped > 0 { Ok(()) } else { Err("none is dropped") }
    })
    .await;
    let mut bystander = server.mqtt("bystander").await;
    bystander.subscribe("calm", QoS::AtLeastOnce).await;
    publisher.publish("calm", "here").await;
    assert_eq!(bystander.recv_on("calm").await.text(), "here");
    publisher.publish("flood", "the last").await;
    while stuck.published().await.payload != "the last" {}
}
