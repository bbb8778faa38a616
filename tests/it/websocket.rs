//! WebSocket as browsers and their libraries speak it, to the frame.

use std::time::{Duration, Instant};

use pointsman_tests::wire::{self, Connect};
use pointsman_tests::{Frame, Frames, TestServer, Transport};

const SOCKETS: [Transport; 2] = [Transport::Ws, Transport::Wss];
/// CONNACK of 3.1.1 that lets in.
const WELCOME: [u8; 4] = [0x20, 2, 0, 0];
const PINGRESP: [u8; 2] = [0xD0, 0];

/// A WebSocket over which a client of 3.1.1 has connected.
async fn joined(server: &TestServer, transport: Transport, client_id: &str) -> Frames {
    let mut frames = server.frames(transport).await.upgrade().await;
    frames.message(Frame::BINARY, &Connect::new(wire::V311, client_id).packet()).await;
    assert_eq!(frames.expect(Frame::BINARY).await[..], WELCOME);
    frames
}

#[tokio::test]
async fn several_packets_in_a_frame_and_a_packet_over_several_frames() {
    let server = TestServer::start().await;
    let connect = Connect::new(wire::V311, "framer").packet();
    for transport in SOCKETS {
        let mut frames = server.frames(transport).await.upgrade().await;
        let together = [&connect[..], &wire::PINGREQ, &wire::PINGREQ].concat();
        frames.message(Frame::BINARY, &together).await;
        let mut answers = Vec::new();
        while answers.len() < 8 {
            answers.extend_from_slice(&frames.expect(Frame::BINARY).await);
        }
        assert_eq!(answers, [&WELCOME[..], &PINGRESP, &PINGRESP].concat());
        // In messages of a byte each, then as the frames of one message with a ping between them.
        let mut frames = server.frames(transport).await.upgrade().await;
        for byte in &connect {
            frames.message(Frame::BINARY, &[*byte]).await;
        }
        assert_eq!(frames.expect(Frame::BINARY).await[..], WELCOME);
        frames.part(Frame::BINARY, &wire::PINGREQ[..1]).await;
        frames.message(Frame::PING, b"between").await;
        frames.part(Frame::CONTINUATION, b"").await;
        frames.message(Frame::CONTINUATION, &wire::PINGREQ[1..]).await;
        assert_eq!(frames.expect(Frame::PONG).await[..], *b"between");
        assert_eq!(frames.expect(Frame::BINARY).await[..], PINGRESP);
    }
}

#[tokio::test]
async fn pings_are_answered_and_a_pong_that_nobody_asked_for_is_none_to_mind() {
    let server = TestServer::start().await;
    let mut frames = joined(&server, Transport::Wss, "pinger").await;
    frames.message(Frame::PONG, b"unasked").await;
    frames.message(Frame::PING, b"are you there").await;
    assert_eq!(frames.expect(Frame::PONG).await[..], *b"are you there");
    frames.message(Frame::BINARY, &wire::PINGREQ).await;
    assert_eq!(frames.expect(Frame::BINARY).await[..], PINGRESP);
}

#[tokio::test]
async fn what_breaks_the_rules_is_closed_with_the_code_that_says_so() {
    const PROTOCOL: u16 = 1002;
    const UNSUPPORTED: u16 = 1003;
    const TOO_LARGE: u16 = 1009;
    let server = TestServer::builder().config(|config| config.limits.packet_bytes_max = 2048).start().await;
    for transport in SOCKETS {
        let mut text = joined(&server, transport, "texter").await;
        text.message(Frame::TEXT, b"hello").await;
        text.expect_close(UNSUPPORTED).await;
        let mut before = server.frames(transport).await.upgrade().await;
        before.message(Frame::TEXT, b"hello").await;
        before.expect_close(UNSUPPORTED).await;
        let mut large = joined(&server, transport, "shouter").await;
        large.message(Frame::BINARY, &vec![0; 100_000]).await;
        large.expect_close(TOO_LARGE).await;
        let mut parts = joined(&server, transport, "mumbler").await;
        parts.part(Frame::BINARY, &[0; 2_000]).await;
        parts.part(Frame::CONTINUATION, &[0; 2_000]).await;
        parts.expect_close(TOO_LARGE).await;
        let mut unmasked = joined(&server, transport, "bare").await;
        unmasked.send(&[0x82, 2, 0xC0, 0]).await;
        unmasked.expect_close(PROTOCOL).await;
        let mut reserved = joined(&server, transport, "squeezed").await;
        reserved.send(&[0xC2, 0x82, 0, 0, 0, 0, 0xC0, 0]).await;
        reserved.expect_close(PROTOCOL).await;
    }
    let mut client = server.ws("unharmed").await;
    client.publish("a", "b").await;
}

#[tokio::test]
async fn a_breach_publishes_the_will() {
    let server = TestServer::start().await;
    let mut mourner = server.mqtt("mourner").await;
    mourner.subscribe("wills/#", pointsman_tests::QoS::AtMostOnce).await;
    let will = Some(wire::Will::new("wills/texter", "gone"));
    let mut frames = server.frames(Transport::Ws).await.upgrade().await;
    frames.message(Frame::BINARY, &Connect { will, ..Connect::new(wire::V311, "texter") }.packet()).await;
    assert_eq!(frames.expect(Frame::BINARY).await[..], WELCOME);
    frames.message(Frame::TEXT, b"x").await;
    assert_eq!(mourner.recv_on("wills/texter").await.text(), "gone");
}

#[tokio::test]
async fn paths_and_subprotocols_are_taken_as_libraries_send_them() {
    let server = TestServer::start().await;
    for transport in SOCKETS {
        for path in ["/mqtt", "/"] {
            for (offered, chosen) in [
                (Some("mqtt"), Some("mqtt")),
                (Some("mqttv3.1"), Some("mqttv3.1")),
                (Some("mqttv3.1, mqtt"), Some("mqttv3.1")),
                (None, None),
            ] {
                let mut frames = server.frames(transport).await;
                let offer = offered.map(|offer| ("Sec-WebSocket-Protocol", offer));
                let head =
                    frames.handshake(path, &offer.into_iter().collect::<Vec<_>>()).await.to_lowercase();
                assert!(head.starts_with("http/1.1 101 "), "{path} {offered:?}: {head}");
                let said = head.lines().find_map(|line| line.strip_prefix("sec-websocket-protocol: "));
                assert_eq!(said, chosen, "{path} {offered:?}: {head}");
                frames.message(Frame::BINARY, &Connect::new(wire::V311, "path").packet()).await;
                assert_eq!(frames.expect(Frame::BINARY).await[..], WELCOME);
            }
        }
    }
    assert_eq!(server.http().get("/").await.status, server.https().get("/").await.status);
}

#[tokio::test]
async fn compression_that_is_offered_is_declined_by_silence() {
    let server = TestServer::start().await;
    let mut frames = server.frames(Transport::Ws).await;
    let offer = [
        ("Sec-WebSocket-Protocol", "mqtt"),
        ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"),
    ];
    let head = frames.handshake("/mqtt", &offer).await.to_lowercase();
    assert!(head.starts_with("http/1.1 101 ") && !head.contains("sec-websocket-extensions"), "{head}");
    frames.message(Frame::BINARY, &Connect::new(wire::V311, "plain").packet()).await;
    assert_eq!(frames.expect(Frame::BINARY).await[..], WELCOME);
}

#[tokio::test]
async fn pages_of_other_origins_need_to_be_listed() {
    let listed = "https://app.example".to_owned();
    let origins = vec![pointsman_config::Origin::try_from(listed).expect("an origin")];
    let server = TestServer::builder().config(|config| config.listen.origins = origins).start().await;
    let host = server.http.to_string();
    let own = format!("http://{host}");
    for (origin, status) in
        [(own.as_str(), 101), ("https://app.example", 101), ("https://evil.example", 403), ("null", 403)]
    {
        let mut frames = server.frames(Transport::Ws).await;
        let headers = [("Sec-WebSocket-Protocol", "mqtt"), ("Origin", origin)];
        let head = frames.handshake("/mqtt", &headers).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{origin}: {head}");
    }
    let headers = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("origin", "https://evil.example"),
    ];
    let refused = server.http().get_with("/mqtt", &headers).await;
    assert_eq!(refused.status, 403);
    assert_eq!(refused.headers["content-type"], "application/problem+json");
    let detail = refused.json()["detail"].to_string();
    assert!(detail.contains("https://evil.example") && detail.contains("listen.origins"), "{detail}");
    assert_eq!(server.status().await["refused"]["origin"], 3);
}

#[tokio::test]
async fn an_idle_websocket_is_sent_pings_and_a_busy_one_is_not() {
    let server =
        TestServer::builder().config(|config| config.listen.websocket_ping_seconds = 1).start().await;
    let mut idle = joined(&server, Transport::Wss, "idle").await;
    let mut busy = joined(&server, Transport::Wss, "busy").await;
    for _ in 0..2 {
        let start = Instant::now();
        // The busy one talks for as long as the idle one waits.
        let talk = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(100));
            loop {
                ticks.tick().await;
                busy.message(Frame::BINARY, &wire::PINGREQ).await;
                assert_eq!(busy.expect(Frame::BINARY).await[..], PINGRESP);
            }
        };
        tokio::select! {
            _ = idle.expect(Frame::PING) => {}
            () = talk => {}
        }
        assert!(start.elapsed() >= Duration::from_millis(900), "not before its time: {:?}", start.elapsed());
        idle.message(Frame::PONG, b"").await;
    }
}

#[tokio::test]
async fn the_time_to_connect_is_one_for_all_steps() {
    let server =
        TestServer::builder().config(|config| config.limits.connect_timeout_seconds = 2).start().await;
    for transport in SOCKETS {
        let start = Instant::now();
        let mut frames = server.frames(transport).await;
        // Half of the time goes by before the request.
        let mut slow = server.silent(Transport::Tcp).await;
        let half = tokio::time::timeout(Duration::from_secs(1), slow.next()).await;
        assert!(half.is_err(), "a silent connection has more time than this");
        let mut upgraded = {
            let head = frames.handshake("/mqtt", &[("Sec-WebSocket-Protocol", "mqtt")]).await;
            assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
            frames
        };
        while upgraded.next().await.is_some() {}
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(1_900), "{transport:?}: {took:?}");
        assert!(took < Duration::from_millis(2_900), "{transport:?}: the upgrade gave no new time: {took:?}");
    }
}
