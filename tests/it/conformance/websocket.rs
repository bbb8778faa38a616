//! Chapter 6: MQTT over WebSocket, with frames written by hand.

use bytes::{Buf, Bytes, BytesMut};
use pointsman_tests::wire::{self, Connect};
use pointsman_tests::{Raw, Transport};

use super::case::{BOTH, Case, each};

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;
/// The length that says that two more bytes of it follow.
const LONG: u8 = 0x7E;

/// A WebSocket whose frames the case writes itself.
struct Frames {
    raw: Raw,
    received: BytesMut,
}

impl Frames {
    /// Shakes hands, offering subprotocols. Plain where the case runs on TCP.
    async fn open(case: &Case, protocols: &str) -> (Frames, String) {
        let transport = if case.transport == Transport::Wss { Transport::Wss } else { Transport::Ws };
        let mut raw = case.endpoints().unframed(transport).await;
        let host = case.endpoints().address(transport);
        let request = format!(
            "GET /mqtt HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
             Sec-WebSocket-Protocol: {protocols}\r\n\r\n"
        );
        raw.send(request.as_bytes()).await;
        let mut received = BytesMut::new();
        let end = loop {
            let bytes = raw.bytes().await;
            assert!(!bytes.is_empty(), "the handshake is answered: {received:?}");
            received.extend_from_slice(&bytes);
            if let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
        };
        let head = String::from_utf8_lossy(&received.split_to(end + 4)).to_lowercase();
        (Frames { raw, received }, head)
    }

    /// Shakes hands and connects.
    async fn connected(case: &Case) -> Frames {
        let (mut frames, head) = Frames::open(case, "mqtt").await;
        assert!(head.starts_with("http/1.1 101"), "{head}");
        frames.send(FIN | BINARY, &case.connect("frames").packet()).await;
        assert_eq!(frames.next().await.expect("CONNACK")[0], 0x20);
        frames
    }

    async fn send(&mut self, first: u8, payload: &[u8]) {
        let len = payload.len();
        // A mask of zeros leaves the payload as it is.
        let mut frame = match u8::try_from(len) {
            Ok(len) if len < LONG => vec![first, MASKED | len],
            _ => [&[first, MASKED | LONG][..], &u16::try_from(len).expect("a small frame").to_be_bytes()]
                .concat(),
        };
        frame.extend([0; 4]);
        frame.extend(payload);
        self.raw.send(&frame).await;
    }

    /// The next frame of a kind, with its payload; `None` at the end of the connection or a Close frame.
    async fn frame(&mut self) -> Option<(u8, Bytes)> {
        loop {
            if let [first, len, ..] = self.received[..] {
                assert!(len < LONG, "the server's answers are short");
                let len = usize::from(len);
                if self.received.len() >= 2 + len {
                    self.received.advance(2);
                    let payload = self.received.split_to(len).freeze();
                    assert_eq!(first & FIN, FIN, "the server does not split its messages");
                    return (first & 0x0F != CLOSE).then_some((first & 0x0F, payload));
                }
            }
            let bytes = self.raw.bytes().await;
            if bytes.is_empty() {
                return None;
            }
            self.received.extend_from_slice(&bytes);
        }
    }

    /// The payload of the next frame, which must be binary.
    async fn next(&mut self) -> Option<Bytes> {
        let (kind, payload) = self.frame().await?;
        assert_eq!(kind, BINARY, "[MQTT-6.0.0-1]: {payload:?}");
        Some(payload)
    }

    async fn ping(&mut self) {
        self.send(FIN | BINARY, &wire::PINGREQ).await;
        assert_eq!(self.next().await.as_deref(), Some(&[0xD0, 0][..]));
    }
}

#[tokio::test]
pub(super) async fn frames_that_are_not_binary_end_the_connection() {
    each(BOTH, async |case| {
        let mut frames = Frames::connected(&case).await;
        frames.ping().await;
        frames.send(FIN | TEXT, b"\xC0\x00").await;
        while let Some((kind, payload)) = frames.frame().await {
            // MQTT 5 may be told why before the end.
            assert!(kind == BINARY && payload.first() == Some(&0xE0), "{kind}: {payload:?}");
        }
        let (mut frames, _) = Frames::open(&case, "mqtt").await;
        frames.send(FIN | TEXT, &case.connect("frames").packet()).await;
        assert_eq!(frames.frame().await, None);
    })
    .await;
}

#[tokio::test]
pub(super) async fn packets_and_frames_need_not_be_aligned() {
    each(BOTH, async |case| {
        let mut frames = Frames::connected(&case).await;
        // Several packets in a frame.
        frames.send(FIN | BINARY, &wire::PINGREQ.repeat(3)).await;
        let mut answers = BytesMut::new();
        while answers.len() < 6 {
            answers.extend_from_slice(&frames.next().await.expect("answers"));
        }
        // A packet over several frames, some of them empty.
        for part in [&wire::PINGREQ[..1], b"", &wire::PINGREQ[1..]] {
            frames.send(FIN | BINARY, part).await;
        }
        assert_eq!(frames.next().await.as_deref(), Some(&[0xD0, 0][..]));
        // A message in fragments, with a control frame between them.
        frames.send(BINARY, &wire::PINGREQ[..1]).await;
        frames.send(FIN | PING, b"within").await;
        frames.send(FIN | CONTINUATION, &[wire::PINGREQ[1], 0xC0]).await;
        assert_eq!(frames.frame().await, Some((PONG, Bytes::from_static(b"within"))));
        assert_eq!(frames.next().await.as_deref(), Some(&[0xD0, 0][..]));
        // The rest of a packet whose beginning was in the last frame.
        frames.send(FIN | BINARY, &[0]).await;
        assert_eq!(frames.next().await.as_deref(), Some(&[0xD0, 0][..]));
    })
    .await;
}

#[tokio::test]
pub(super) async fn the_subprotocol_is_mqtt() {
    each(BOTH, async |case| {
        for offered in ["mqtt", "chat, mqtt", "mqtt, mqttv3.1"] {
            let (_, head) = Frames::open(&case, offered).await;
            assert!(head.starts_with("http/1.1 101"), "{head}");
            assert!(head.contains("\r\nsec-websocket-protocol: mqtt\r\n"), "{head}");
        }
        let (_, head) = Frames::open(&case, "chat").await;
        assert!(head.starts_with("http/1.1 4"), "no mqtt was offered: {head}");
    })
    .await;
}

#[tokio::test]
pub(super) async fn every_transport_carries_both_versions() {
    each(BOTH, async |case| {
        for transport in Transport::ALL {
            let connect = Connect::new(case.level, &case.id("carried"));
            let mut raw = case.endpoints().raw_over(transport).await.join(&connect).await;
            let topic = case.topic("carried");
            raw.subscribe(&[(&topic, 1)]).await;
            raw.publish(&topic, "x").await;
            assert_eq!(raw.published().await.text(), "x");
        }
    })
    .await;
}
