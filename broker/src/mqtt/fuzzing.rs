//! What the fuzz targets of `fuzz/` call: each takes any bytes, and panics where something that must hold does not.
//!
//! It is public for them alone. The seeds under `fuzz/corpus/` go through the same functions in the tests below.

pub(crate) mod session;

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::codec::{
    FrameHead, OutboundPublish, Version, check_name, decode_connect, decode_control, encode_publish,
    frame_head, message_expiry, next_frame, parse_ack, parse_publish, without_alias,
};
use super::listen::{WebSocketOptions, WebSocketTransport};

pub use session::session;

/// A packet of more bytes is refused.
const PACKET_BYTES_MAX: usize = 64 * 1024;

/// Reads packets back to back, as a connection does. The first byte chooses the version.
pub fn codec(bytes: &[u8]) {
    let Some((&selector, mut rest)) = bytes.split_first() else { return };
    let version = [Version::V31, Version::V311, Version::V5][usize::from(selector) % 3];
    while let Ok(Some(head)) = next_frame(rest, PACKET_BYTES_MAX, version) {
        let Some((packet, after)) = rest.split_at_checked(head.len) else { return };
        read_packet(head, packet, version);
        rest = after;
    }
}

fn read_packet(head: FrameHead, packet: &[u8], version: Version) {
    let body = &packet[head.head_len..];
    match head.first >> 4 {
        1 => read_connect(packet, head.head_len),
        3 => read_publish(head.first, body, version),
        4..=7 => {
            if let Ok(ack) = parse_ack(head.first, body, version) {
                assert_ne!(ack.packet_id, 0, "an acknowledgement of nothing was taken");
            }
        }
        _ => drop(decode_control(packet, version)),
    }
}

fn read_connect(packet: &[u8], head_len: usize) {
    let Ok(connect) = decode_connect(packet, head_len) else { return };
    assert!(connect.receive_max > 0 && connect.packet_bytes_max > 0, "a limit of 0 was taken");
    let will = connect.will.as_ref();
    for name in [Some(&connect.client_id), connect.username.as_ref(), will.map(|will| &will.topic)] {
        let good = name.is_none_or(|name| check_name(name.as_bytes(), "it").is_ok());
        assert!(good, "a name that is none was taken: {name:?}");
    }
    if let Some(will) = will {
        // What is kept of a will's properties goes into a PUBLISH as it is.
        republish(b"w", &will.payload, &will.properties, Version::V5);
    }
}

fn read_publish(first: u8, body: &[u8], version: Version) {
    let Ok(publish) = parse_publish(first, body, version) else { return };
    let properties = without_alias(publish.properties);
    assert_eq!(without_alias(&properties), properties, "an alias is left");
    republish(publish.topic, publish.payload, &properties, version);
}

/// What was taken from one client is written for another, and has to be a good packet again.
fn republish(topic: &[u8], payload: &[u8], properties: &[u8], version: Version) {
    let Ok(len) = u16::try_from(topic.len()) else { panic!("a topic is longer than its length can say") };
    let body = [&len.to_be_bytes(), topic, payload].concat();
    let written = publish_of(&body, 2 + topic.len(), properties, version);
    let head = frame_head(&written, usize::MAX).ok().flatten();
    let Some(head) = head.filter(|head| head.len == written.len()) else { panic!("the length is not right") };
    match parse_publish(head.first, &written[head.head_len..], version) {
        Ok(again) => {
            assert_eq!((again.topic, again.payload), (topic, payload));
            let expiry = message_expiry(properties).map(|_| EXPIRY);
            assert_eq!(message_expiry(again.properties), expiry.filter(|_| version == Version::V5));
        }
        Err(error) => panic!("what was taken is not taken again: {error}"),
    }
}

const EXPIRY: u32 = 0x0102_0304;

fn publish_of(body: &[u8], topic_len: usize, properties: &[u8], version: Version) -> BytesMut {
    let mut out = BytesMut::new();
    let publish = OutboundPublish {
        body,
        topic_len,
        properties,
        subscription_ids: &[],
        qos: super::QoS::AtLeastOnce,
        retain: false,
        dup: false,
        packet_id: 1,
        topic_alias: None,
        send_topic: true,
        expiry_seconds: Some(EXPIRY),
    };
    encode_publish(&mut out, version, &publish);
    out
}

/// Reads WebSocket frames as a server does. The first byte says how many bytes arrive at a time.
pub fn websocket(bytes: &[u8]) {
    let Some((&step, frames)) = bytes.split_first() else { return };
    let whole = read_frames(frames, usize::MAX);
    assert!(whole.len() <= frames.len(), "more came out than went in");
    // How the bytes are cut up makes no difference to what they say.
    assert_eq!(read_frames(frames, usize::from(step).max(1)), whole, "cut into pieces it reads otherwise");
}

/// Everything that the frames carry until they end or are refused.
fn read_frames(frames: &[u8], step: usize) -> Vec<u8> {
    let mut cx = Context::from_waker(Waker::noop());
    let script = Script { bytes: Bytes::copy_from_slice(frames), step, pause: false };
    let options = WebSocketOptions { message_bytes_max: PACKET_BYTES_MAX, ping_every: Duration::ZERO };
    let opened = pin!(WebSocketTransport::new(script, Bytes::new(), options)).poll(&mut cx);
    let Poll::Ready(mut transport) = opened else { panic!("a socket waits before it is used") };
    let mut out = Vec::new();
    let mut chunk = [0; 100];
    // Each poll takes a byte at least, or is one that waits before the next.
    for _ in 0..2 * frames.len() + 16 {
        let mut buffer = ReadBuf::new(&mut chunk);
        match Pin::new(&mut transport).poll_read(&mut cx, &mut buffer) {
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => return finish(transport, &mut cx, out),
            Poll::Ready(Ok(())) => out.extend_from_slice(buffer.filled()),
            Poll::Ready(Err(_)) => return finish(transport, &mut cx, out),
            Poll::Pending => {}
        }
    }
    panic!("it does not come to an end")
}

/// What is written after the end fails or goes out, and nothing else.
fn finish(mut transport: WebSocketTransport<Script>, cx: &mut Context<'_>, out: Vec<u8>) -> Vec<u8> {
    let _ = Pin::new(&mut transport).poll_write(cx, b"\xd0\x00");
    let _ = Pin::new(&mut transport).poll_flush(cx);
    let _ = Pin::new(&mut transport).poll_shutdown(cx);
    out
}

/// A peer that has said all it will say; it arrives in pieces, with a pause before each.
struct Script {
    bytes: Bytes,
    step: usize,
    pause: bool,
}

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.pause = !self.pause;
        if self.pause {
            return Poll::Pending;
        }
        let len = self.step.min(buffer.remaining()).min(self.bytes.len());
        buffer.put_slice(&self.bytes.split_to(len));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use pointsman_rules::fuzzing::seeds;

    #[test]
    fn every_seed_of_the_codec_holds() {
        for (name, bytes) in seeds("codec") {
            println!("{name}");
            super::codec(&bytes);
        }
    }

    #[test]
    fn every_seed_of_the_session_holds() {
        for (name, bytes) in seeds("session") {
            println!("{name}");
            super::session(&bytes);
        }
    }

    #[test]
    fn every_seed_of_the_websocket_holds() {
        for (name, bytes) in seeds("websocket") {
            println!("{name}");
            super::websocket(&bytes);
        }
    }
}
