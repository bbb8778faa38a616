//! Behind a balancer: who a client is, as trusted proxies say it and nobody else.

use pointsman_config::{Config, ListenerKind};
use pointsman_tests::wire::{self, Connect};
use pointsman_tests::{Client, Frame, QoS, TestServer, Transport};

/// A header of the PROXY protocol for a client at 203.0.113.9.
const FROM_AFAR: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x09\x7f\0\0\x01\x12\x34\x07\x5b";
/// One for a connection that is the proxy's own.
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

fn trusting(config: &mut Config, network: &str) {
    config.listen.trusted_proxies = vec![network.parse().expect("a network")];
}

/// One that is told of whoever connects.
async fn watcher(server: &TestServer, header: &[u8]) -> Watcher {
    let mut raw = server.raw_behind(header, Transport::Tcp).await.join(&Connect::new(4, "watcher")).await;
    raw.subscribe(&[("$aws/events/presence/connected/#", 0)]).await;
    Watcher { raw }
}

struct Watcher {
    raw: pointsman_tests::Raw,
}

impl Watcher {
    /// The address of the next client that connects, itself left out.
    async fn address(&mut self) -> String {
        loop {
            let payload = self.raw.published().await.payload;
            let event: serde_json::Value = serde_json::from_slice(&payload).expect("an event is JSON");
            if event["clientId"] != "watcher" {
                return event["ipAddress"].as_str().unwrap_or_default().to_owned();
            }
        }
    }
}

#[tokio::test]
async fn a_trusted_proxy_says_who_a_client_is_on_every_listener() {
    let kinds = [ListenerKind::Mqtt, ListenerKind::Mqtts, ListenerKind::Http, ListenerKind::Https];
    let server = TestServer::builder()
        .config(|config| {
            trusting(config, "127.0.0.0/8");
            config.listen.proxy_protocol = kinds.to_vec();
        })
        .start()
        .await;
    let mut watcher = watcher(&server, LOCAL).await;
    for transport in Transport::ALL {
        let raw = server.raw_behind(FROM_AFAR, transport).await;
        raw.join(&Connect::new(wire::V5, "afar")).await.ping().await;
        assert_eq!(watcher.address().await, "203.0.113.9", "{transport:?}");
        let raw = server.raw_behind(LOCAL, transport).await;
        raw.join(&Connect::new(wire::V5, "near")).await.ping().await;
        assert_eq!(watcher.address().await, "127.0.0.1", "{transport:?}");
    }
}

#[tokio::test]
async fn a_trusted_proxy_without_a_right_header_is_hung_up_on() {
    let server = TestServer::builder()
        .config(|config| {
            trusting(config, "127.0.0.1");
            config.listen.proxy_protocol = vec![ListenerKind::Mqtt];
            config.limits.connect_timeout_seconds = 1;
        })
        .start()
        .await;
    for wrong in
        [&Connect::new(4, "bare").packet()[..], b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n", &FROM_AFAR[..20]]
    {
        let mut raw = server.silent(Transport::Tcp).await;
        raw.send(wrong).await;
        raw.expect_end().await;
    }
    server.ws("without-need-of-one").await.publish("a", "b").await;
    assert_eq!(server.status().await["refused"]["proxyHeader"], 3);
}

#[tokio::test]
async fn who_is_not_trusted_is_taken_for_nobody_else() {
    let server = TestServer::builder()
        .config(|config| {
            trusting(config, "10.0.0.0/8");
            config.listen.proxy_protocol = vec![ListenerKind::Mqtt];
        })
        .start()
        .await;
    let mut watcher = watcher(&server, b"").await;
    let mut forger = server.silent(Transport::Tcp).await;
    forger.send(FROM_AFAR).await;
    forger.expect_end().await;
    assert_eq!(
        forwarded_address(&server, &mut watcher, ("X-Forwarded-For", "203.0.113.9")).await,
        "127.0.0.1"
    );
}

/// Connects over WebSocket with a header, and gives the address that the server has for it.
async fn forwarded_address(server: &TestServer, watcher: &mut Watcher, header: (&str, &str)) -> String {
    let mut frames = server.frames(Transport::Ws).await;
    let head = frames.handshake("/mqtt", &[("Sec-WebSocket-Protocol", "mqtt"), header]).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    frames.message(Frame::BINARY, &Connect::new(wire::V311, "forwarded").packet()).await;
    frames.expect(Frame::BINARY).await;
    watcher.address().await
}

#[tokio::test]
async fn a_header_of_a_trusted_proxy_says_who_a_client_is() {
    let server = TestServer::builder().config(|config| trusting(config, "127.0.0.0/8")).start().await;
    let mut watcher = watcher(&server, b"").await;
    for (header, address) in [
        (("X-Forwarded-For", "203.0.113.9"), "203.0.113.9"),
        (("X-Forwarded-For", "198.51.100.1, 203.0.113.9, 127.0.0.2"), "203.0.113.9"),
        (("X-Forwarded-For", "nobody"), "127.0.0.1"),
        (("Forwarded", "for=203.0.113.9"), "127.0.0.1"),
    ] {
        assert_eq!(forwarded_address(&server, &mut watcher, header).await, address, "{header:?}");
    }
}

#[tokio::test]
async fn clients_behind_a_proxy_have_rates_of_their_own() {
    let server = TestServer::builder()
        .config(|config| {
            trusting(config, "127.0.0.0/8");
            config.limits.connects_per_address_per_second = 1;
        })
        .start()
        .await;
    let mut statuses = Vec::new();
    for client in 0..4 {
        for _ in 0..3 {
            let mut frames = server.frames(Transport::Ws).await;
            let address = format!("203.0.113.{client}");
            let headers = [("Sec-WebSocket-Protocol", "mqtt"), ("X-Forwarded-For", address.as_str())];
            let head = frames.handshake("/mqtt", &headers).await;
            statuses.push(head.split(' ').nth(1).unwrap_or_default().to_owned());
        }
    }
    let admitted = statuses.iter().filter(|status| *status == "101").count();
    assert!(
        (4..=6).contains(&admitted),
        "one of three of each, and perhaps one as time goes by: {statuses:?}"
    );
    assert!(statuses.iter().all(|status| status == "101" || status == "429"), "{statuses:?}");
    let mut free: Client = server.mqtt("the-proxy-itself").await;
    free.subscribe("a", QoS::AtMostOnce).await;
}
