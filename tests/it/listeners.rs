//! Listeners: every version on every one, refusals to the byte, and silence that delays nobody.

use std::time::{Duration, Instant};

use pointsman_tests::wire::{self, Connect, kind};
use pointsman_tests::{TestServer, Transport, Version};

/// The reason codes that are expected here.
const UNSUPPORTED_VERSION: u8 = 0x01;
const CLIENT_ID_REJECTED: u8 = 0x02;
const PACKET_TOO_LARGE: u8 = 0x95;
/// The property of CONNACK that has the client id that the server made up.
const ASSIGNED_CLIENT_ID: u8 = 0x12;

#[tokio::test]
async fn every_listener_speaks_every_version() {
    let server = TestServer::start().await;
    for transport in Transport::ALL {
        for level in [3, wire::V311, wire::V5] {
            let raw = server.raw_over(transport).await;
            let mut raw = raw.join(&Connect::new(level, "versions")).await;
            raw.ping().await;
            raw.send(&wire::DISCONNECT).await;
            raw.expect_end().await;
        }
    }
}

#[tokio::test]
async fn what_does_not_begin_with_connect_is_closed_without_an_answer() {
    let server = TestServer::start().await;
    for transport in Transport::ALL {
        for first in [wire::PINGREQ.to_vec(), wire::publish("a", "b"), b"GET / HTTP/1.1\r\n\r\n".to_vec()] {
            let mut raw = server.raw_over(transport).await;
            raw.send(&first).await;
            raw.expect_end().await;
        }
    }
}

#[tokio::test]
async fn an_unknown_version_is_told_so_in_the_form_that_all_read() {
    let server = TestServer::start().await;
    for transport in Transport::ALL {
        let mut raw = server.raw_over(transport).await;
        raw.send(&Connect::new(6, "future").packet()).await;
        assert_eq!(raw.connack().await.code, UNSUPPORTED_VERSION, "{transport:?}");
        raw.expect_end().await;
    }
}

#[tokio::test]
async fn a_packet_over_the_limit_is_refused_before_it_has_arrived() {
    let server = TestServer::builder().config(|config| config.limits.packet_bytes_max = 2048).start().await;
    let mut unread = server.raw().await;
    // The beginning of a CONNECT of a megabyte, up to where it says its version.
    unread.send(b"\x10\x80\x80\x40\x00\x04MQTT\x05").await;
    assert_eq!(unread.connack().await.code, PACKET_TOO_LARGE);
    unread.expect_end().await;
    let mut publisher = server.raw().await.join(&Connect::new(wire::V5, "publisher")).await;
    publisher.send(&[0x30, 0x80, 0x80, 0x40]).await;
    assert_eq!(publisher.expect(kind::DISCONNECT).await.reason(), PACKET_TOO_LARGE);
    publisher.expect_end().await;
    let mut old = server.raw().await.join(&Connect::new(wire::V311, "old")).await;
    old.publish("a", &"x".repeat(2048)).await;
    old.expect_end().await;
    let mut within = server.raw().await.join(&Connect::new(wire::V311, "within")).await;
    within.publish("a", &"x".repeat(2000)).await;
    within.ping().await;
}

#[tokio::test]
async fn an_empty_client_id_is_given_one_where_the_version_allows_it() {
    let server = TestServer::start().await;
    let mut clean = server.raw().await;
    assert_eq!(clean.connect(&Connect::new(wire::V311, "")).await.code, 0);
    let mut kept = server.raw().await;
    let refused = kept.connect(&Connect { clean: false, ..Connect::new(wire::V311, "") }).await;
    assert_eq!(refused.code, CLIENT_ID_REJECTED);
    kept.expect_end().await;
    let mut old = server.raw().await;
    assert_eq!(
        old.connect(&Connect::new(3, "")).await.code,
        CLIENT_ID_REJECTED,
        "3.1 has no empty client id"
    );
    for clean in [true, false] {
        let mut assigned = server.raw().await;
        let connack = assigned.connect(&Connect { clean, ..Connect::new(wire::V5, "") }).await;
        assert_eq!(connack.code, 0);
        assert!(connack.properties.contains(&ASSIGNED_CLIENT_ID), "{connack:?}");
    }
}

#[tokio::test]
async fn a_client_id_over_the_limit_is_refused() {
    let server = TestServer::builder().config(|config| config.limits.client_id_bytes_max = 30).start().await;
    let mut short = server.raw().await;
    assert_eq!(short.connect(&Connect::new(wire::V311, &"x".repeat(30))).await.code, 0);
    let mut long = server.raw().await;
    assert_eq!(long.connect(&Connect::new(wire::V311, &"x".repeat(31))).await.code, CLIENT_ID_REJECTED);
    let mut long5 = server.raw().await;
    assert_eq!(long5.connect(&Connect::new(wire::V5, &"x".repeat(31))).await.code, 0x85);
}

#[tokio::test]
async fn connections_over_the_limit_are_closed() {
    let server = TestServer::builder().config(|config| config.limits.connections_max = 3).start().await;
    let first = server.mqtt("first").await;
    let second = server.mqtt("second").await;
    // One that has said nothing yet has its place, too; on whichever listener.
    let silent = server.silent(Transport::Wss).await;
    for transport in Transport::ALL {
        server.silent(transport).await.expect_end().await;
    }
    drop(silent);
    let third = pointsman_tests::eventually("the place that became free can be taken", async || {
        server.client("third").try_connect().await
    })
    .await;
    first.disconnect().await;
    second.disconnect().await;
    pointsman_tests::eventually("what has ended is counted no more", async || {
        let Some(status) = server.http().try_get("/api/status").await else {
            return Err("no place".to_owned());
        };
        let status = status.json();
        assert!(status["refused"]["connectionsMax"].as_u64() >= Some(4), "{status}");
        // The third client and this request.
        if status["connections"] == 2 { Ok(()) } else { Err(status["connections"].to_string()) }
    })
    .await;
    third.disconnect().await;
}

#[tokio::test]
async fn an_address_that_connects_too_fast_is_hung_up_on() {
    let server = TestServer::builder()
        .config(|config| config.limits.connects_per_address_per_second = 5)
        .start()
        .await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(server.silent(Transport::Tcp).await);
    }
    let mut ended = 0;
    for raw in &mut silent {
        let end = tokio::time::timeout(Duration::from_millis(50), raw.next()).await;
        ended += usize::from(end.is_ok());
    }
    assert!(
        (10..=15).contains(&ended),
        "of twenty at once five are let in, and a few as time goes by: {ended}"
    );
    let status = pointsman_tests::eventually("the allowance comes back", async || {
        server.http().try_get("/api/status").await.ok_or("not yet")
    })
    .await;
    assert!(
        status.json()["refused"]["connectRate"].as_u64() >= u64::try_from(ended).ok(),
        "{}",
        status.text()
    );
}

#[tokio::test]
async fn silent_connections_delay_nobody() {
    const SILENT: usize = 50;
    const SOON: Duration = Duration::from_secs(1);
    let server = TestServer::start().await;
    let mut silent = Vec::new();
    for transport in Transport::ALL {
        for _ in 0..SILENT {
            silent.push(server.silent(transport).await);
        }
    }
    for transport in Transport::ALL {
        for version in Version::ALL {
            let start = Instant::now();
            let client = server.client("talker").over(transport).version(version).connect().await;
            let took = start.elapsed();
            assert!(took < SOON, "connecting over {transport:?} took {took:?} beside silent connections");
            client.disconnect().await;
        }
    }
}

#[tokio::test]
async fn connections_that_stay_silent_are_closed_when_their_time_is_up() {
    let server =
        TestServer::builder().config(|config| config.limits.connect_timeout_seconds = 1).start().await;
    for transport in Transport::ALL {
        // In the handshake below MQTT, and after it.
        let mut below = server.silent(transport).await;
        let mut above = server.raw_over(transport).await;
        let mut half = server.raw_over(transport).await;
        half.send(&Connect::new(wire::V311, "half").packet()[..5]).await;
        above.expect_end().await;
        half.expect_end().await;
        below.expect_end().await;
    }
    let mut client = server.mqtt("in time").await;
    client.publish("a", "b").await;
}

#[tokio::test]
async fn the_authority_can_be_downloaded_and_vouches_for_the_server() {
    let server = TestServer::start().await;
    for http in [server.http(), server.https()] {
        let answer = http.get("/ca.crt").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.headers["content-type"], "application/x-x509-ca-cert");
        for name in ["localhost", "127.0.0.1", "::1"] {
            let shaken = server.handshake_as(name, &answer.body).await;
            shaken.unwrap_or_else(|error| panic!("the certificate should be that of {name}: {error}"));
        }
        let stranger = server.handshake_as("example.com", &answer.body).await;
        assert!(stranger.is_err(), "the certificate is not that of example.com");
    }
    let other = TestServer::start().await;
    let wrong = server.handshake_as("localhost", &other.http().get("/ca.crt").await.body).await;
    assert!(wrong.is_err(), "each server has an authority of its own");
}

#[tokio::test]
async fn the_authority_stays_over_a_restart() {
    let mut server = TestServer::start().await;
    let before = server.http().get("/ca.crt").await;
    server.restart().await;
    assert_eq!(server.http().get("/ca.crt").await.body, before.body);
    server.wss("still-trusting").await.publish("a", "b").await;
}

#[tokio::test]
async fn what_is_no_websocket_of_mqtt_is_told_what_to_do() {
    let server = TestServer::start().await;
    let plain = server.http().get("/mqtt").await;
    assert_eq!(plain.status, 426);
    assert!(plain.text().contains("MQTT client"), "{}", plain.text());
    let upgrade = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let mut upgrade = upgrade.to_vec();
    upgrade.push(("sec-websocket-protocol", "chat"));
    let other = server.http().get_with("/mqtt", &upgrade).await;
    assert_eq!(other.status, 400);
    assert!(other.text().contains("Sec-WebSocket-Protocol must offer mqtt"), "{}", other.text());
}
