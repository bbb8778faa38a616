//! Ends of connections: keep-alive, takeover, and the will that each end does or does not publish.

use std::time::{Duration, Instant};

use pointsman_tests::wire::{self, Connect, Will, kind};
use pointsman_tests::{Client, QoS, TestServer, Transport};

const SESSION_TAKEN_OVER: u8 = 0x8E;
const KEEP_ALIVE_TIMEOUT: u8 = 0x8D;

/// A CONNECT with the will "gone" on `wills/<client id>`.
fn with_will(level: u8, client_id: &str) -> Connect {
    Connect::new(level, client_id).will(Will::new(&format!("wills/{client_id}"), "gone"))
}

/// One that hears wills.
async fn mourner(server: &TestServer) -> Client {
    let mut mourner = server.mqtt("mourner").await;
    mourner.subscribe("wills/#", QoS::AtLeastOnce).await;
    mourner
}

#[tokio::test]
async fn a_client_is_given_one_and_a_half_times_its_keep_alive() {
    let server = TestServer::start().await;
    let mut mourner = mourner(&server).await;
    for level in [wire::V311, wire::V5] {
        let connect = Connect { keep_alive_seconds: 1, ..with_will(level, "sleeper") };
        let mut sleeper = server.raw().await.join(&connect).await;
        sleeper.ping().await;
        let start = Instant::now();
        if level == wire::V5 {
            assert_eq!(sleeper.expect(kind::DISCONNECT).await.reason(), KEEP_ALIVE_TIMEOUT);
        }
        sleeper.expect_end().await;
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(1_450), "it was ended after {took:?}");
        assert_eq!(mourner.recv_on("wills/sleeper").await.text(), "gone");
    }
}

#[tokio::test]
async fn a_keep_alive_of_zero_never_ends_a_connection_and_pings_extend_others() {
    let server = TestServer::start().await;
    let mut timeless =
        server.raw().await.join(&Connect { keep_alive_seconds: 0, ..with_will(4, "timeless") }).await;
    let mut short =
        server.raw().await.join(&Connect { keep_alive_seconds: 1, ..with_will(4, "short") }).await;
    let mut pinging = server.client("pinging").keep_alive(Duration::from_secs(1)).connect().await;
    // When the short one is gone, more than one and a half seconds have passed for all.
    short.expect_end().await;
    timeless.ping().await;
    pinging.publish("a", "b").await;
}

#[tokio::test]
async fn the_newest_connection_of_a_client_id_wins() {
    let server = TestServer::start().await;
    let mut mourner = mourner(&server).await;
    let mut first = server.raw().await.join(&with_will(wire::V5, "twin")).await;
    first.subscribe(&[("for/the/twin", 1)]).await;
    let mut second = server.raw_over(Transport::Wss).await.join(&with_will(wire::V311, "twin")).await;
    assert_eq!(first.expect(kind::DISCONNECT).await.reason(), SESSION_TAKEN_OVER);
    first.expect_end().await;
    assert_eq!(mourner.recv_on("wills/twin").await.text(), "gone");
    mourner.publish("for/the/twin", "x").await;
    // Its subscriptions went with it, and its successor lives.
    second.ping().await;
    second.publish("wills/still", "here").await;
    assert_eq!(mourner.recv().await.topic, "wills/still");
}

#[tokio::test]
async fn a_takeover_storm_leaves_one_connection() {
    let server = TestServer::start().await;
    let mut clients = Vec::new();
    for _ in 0..30 {
        clients.push(server.raw().await.join(&Connect::new(wire::V5, "contested")).await);
    }
    let mut last = clients.pop().expect("there were thirty");
    for client in &mut clients {
        assert_eq!(client.expect(kind::DISCONNECT).await.reason(), SESSION_TAKEN_OVER);
    }
    last.ping().await;
    assert_eq!(server.status().await["clients"], 1);
}

#[tokio::test]
async fn a_goodbye_publishes_no_will() {
    let server = TestServer::start().await;
    let mut mourner = mourner(&server).await;
    for level in [3, wire::V311, wire::V5] {
        let mut client = server.raw().await.join(&with_will(level, "polite")).await;
        client.send(&wire::DISCONNECT).await;
        client.expect_end().await;
    }
    mourner.expect_silence().await;
}

#[tokio::test]
async fn a_goodbye_is_heard_before_the_next_connection_takes_over() {
    let server = TestServer::start().await;
    let mut mourner = mourner(&server).await;
    for _ in 0..50 {
        let mut client = server.raw().await.join(&with_will(wire::V5, "hasty")).await;
        client.send(&wire::DISCONNECT).await;
    }
    server.raw().await.join(&Connect::new(wire::V5, "hasty")).await.send(&wire::DISCONNECT).await;
    mourner.expect_silence().await;
}

#[tokio::test]
async fn a_goodbye_with_reason_4_publishes_the_will() {
    let server = TestServer::start().await;
    let mut mourner = mourner(&server).await;
    let mut client = server.raw().await.join(&with_will(wire::V5, "dramatic")).await;
    client.send(&wire::packet(0xE0, &[0x04])).await;
    client.expect_end().await;
    assert_eq!(mourner.recv_on("wills/dramatic").await.text(), "gone");
}

#[tokio::test]
async fn every_abnormal_end_publishes_the_will_once() {
    let server = TestServer::start().await;
    let mut mourner = mourner(&server).await;
    for transport in Transport::ALL {
        drop(server.raw_over(transport).await.join(&with_will(wire::V311, "cut")).await);
        assert_eq!(mourner.recv_on("wills/cut").await.text(), "gone", "{transport:?}");
    }
    for (name, bytes) in [
        ("second-connect", Connect::new(4, "again").packet()),
        ("reserved-packet", vec![0xF0, 0x00]),
        ("wildcard", wire::publish("a/+", "x")),
        ("qos-3", vec![0x36, 0x05, 0x00, 0x01, b'a', 0x00, 0x01]),
        ("forbidden", wire::publish("$SYS/fake", "x")),
    ] {
        let mut client = server.raw().await.join(&with_will(wire::V311, name)).await;
        client.send(&bytes).await;
        client.expect_end().await;
        assert_eq!(mourner.recv_on(&format!("wills/{name}")).await.text(), "gone");
    }
    mourner.expect_silence().await;
}

#[tokio::test]
async fn a_close_frame_is_a_goodbye() {
    let server = TestServer::start().await;
    let mut mourner = mourner(&server).await;
    for transport in [Transport::Ws, Transport::Wss] {
        let mut client = server.raw_over(transport).await.join(&with_will(wire::V5, "closer")).await;
        client.shutdown().await;
        client.expect_end().await;
    }
    mourner.expect_silence().await;
}

#[tokio::test]
async fn a_will_that_the_policy_forbids_refuses_the_connection() {
    let server = TestServer::start().await;
    for (level, code) in [(wire::V311, 5), (wire::V5, 0x87)] {
        let will = Will::new("chat/pub/lobby", "forged");
        let mut client = server.raw().await;
        assert_eq!(client.connect(&Connect::new(level, "forger").will(will)).await.code, code);
        client.expect_end().await;
    }
}
