//! MQTT in WebSocket frames: a stream of bytes to the session, binary messages to the browser.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use futures_util::{Sink, Stream};
use hyper::HeaderMap;
use hyper::header::{CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode};
use tokio_tungstenite::tungstenite::{Error, Message, handshake::derive_accept_key};

use crate::mqtt::session::ClosedInOrder;

/// What is read from the transport at a time; each connection has a buffer of this size.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// Why a request is no handshake that leads to MQTT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// It does not ask for a WebSocket.
    #[error("this address speaks MQTT over WebSocket; connect with an MQTT client, or open / in a browser")]
    NotWebSocket,
    /// It asks for another version of the protocol than 13.
    #[error("Sec-WebSocket-Version must be 13")]
    Version,
    /// It has no key.
    #[error("Sec-WebSocket-Key is missing")]
    Key,
    /// It does not offer MQTT.
    #[error("Sec-WebSocket-Protocol must offer mqtt")]
    Subprotocol,
}

/// Checks the headers of a handshake (RFC 6455 §4.2.1) and gives the subprotocol to answer with. [MQTT-6.0.0-3]
///
/// Extensions are not taken up: `permessage-deflate` is declined by not being named in the answer.
pub fn check_handshake(headers: &HeaderMap) -> Result<&'static str, HandshakeError> {
    let has = |name, wanted: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.split(',').any(|token| token.trim().eq_ignore_ascii_case(wanted)))
    };
    if !has(CONNECTION, "upgrade") || !has(UPGRADE, "websocket") {
        return Err(HandshakeError::NotWebSocket);
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(HandshakeError::Version);
    }
    if !headers.contains_key(SEC_WEBSOCKET_KEY) {
        return Err(HandshakeError::Key);
    }
    let offered = ["mqtt", "mqttv3.1"].into_iter().find(|protocol| has(SEC_WEBSOCKET_PROTOCOL, protocol));
    offered.ok_or(HandshakeError::Subprotocol)
}

/// The `Sec-WebSocket-Accept` that answers a `Sec-WebSocket-Key`.
pub fn accept_key(key: &[u8]) -> String {
    derive_accept_key(key)
}

/// A WebSocket as a stream of bytes.
pub struct WebSocketTransport<T> {
    socket: WebSocketStream<T>,
    /// What is left of the last message.
    rest: Bytes,
    closed: bool,
    /// Whether that was with a Close frame.
    in_order: bool,
}

impl<T: AsyncRead + AsyncWrite + Unpin> WebSocketTransport<T> {
    /// Takes over a connection whose handshake is done, with what was read beyond it. A frame or message of more than
    /// `message_bytes_max` ends it.
    pub async fn new(transport: T, read: Bytes, message_bytes_max: usize) -> WebSocketTransport<T> {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            // What the session writes is a batch already.
            .write_buffer_size(0)
            .max_write_buffer_size(2 * message_bytes_max.max(1024 * 1024))
            .max_frame_size(Some(message_bytes_max))
            .max_message_size(Some(message_bytes_max));
        // A copy: what was read shares the buffer of the HTTP connection, which would stay for as long as this one.
        let read = read.to_vec();
        let socket = WebSocketStream::from_partially_read(transport, read, Role::Server, Some(config)).await;
        WebSocketTransport { socket, rest: Bytes::new(), closed: false, in_order: false }
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        loop {
            return match Pin::new(&mut self.socket).poll_next(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Some(Ok(Message::Binary(bytes)))) => Poll::Ready(Ok(Some(bytes))),
                // [MQTT-6.0.0-1]
                Poll::Ready(Some(Ok(Message::Text(_)))) => Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "a text frame; MQTT is binary",
                ))),
                // Pings are answered by the library when it is polled next.
                Poll::Ready(Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)))) => continue,
                Poll::Ready(Some(Ok(Message::Close(_)))) => {
                    self.in_order = true;
                    Poll::Ready(Ok(None))
                }
                Poll::Ready(None | Some(Err(Error::ConnectionClosed | Error::AlreadyClosed))) => {
                    Poll::Ready(Ok(None))
                }
                Poll::Ready(Some(Err(error))) => Poll::Ready(Err(into_io(error))),
            };
        }
    }
}

fn into_io(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        other => io::Error::other(other.to_string()),
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocketTransport<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut any = false;
        loop {
            let count = self.rest.len().min(buffer.remaining());
            buffer.put_slice(&self.rest[..count]);
            self.rest.advance(count);
            any |= count > 0;
            if buffer.remaining() == 0 || self.closed && any {
                return Poll::Ready(Ok(()));
            }
            if self.closed {
                let ended = if self.in_order { Err(io::Error::other(ClosedInOrder)) } else { Ok(()) };
                return Poll::Ready(ended);
            }
            // Several messages at once, as far as they are there: the session handles them together.
            match self.poll_message(cx) {
                Poll::Ready(Ok(Some(bytes))) => self.rest = bytes,
                Poll::Ready(Err(error)) if !any => return Poll::Ready(Err(error)),
                // What was read before the end is handled first.
                Poll::Ready(Ok(None) | Err(_)) => self.closed = true,
                Poll::Pending if any => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocketTransport<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.socket).poll_ready(cx) {
            Poll::Ready(ready) => ready.map_err(into_io)?,
            Poll::Pending => return Poll::Pending,
        }
        let message = Message::Binary(Bytes::copy_from_slice(bytes));
        Pin::new(&mut self.socket).start_send(message).map_err(into_io)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx).map_err(into_io)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let close = Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() }));
        if !self.closed {
            self.closed = true;
            // A socket that is closing already needs no second close.
            let _ = Pin::new(&mut self.socket).start_send(close);
        }
        Pin::new(&mut self.socket).poll_close(cx).map_err(into_io)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    const GOOD: [(&str, &str); 5] = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-protocol", "mqttv3.1, mqtt"),
    ];

    #[test]
    fn a_handshake_needs_every_header_and_mqtt() {
        assert_eq!(check_handshake(&headers(&GOOD)), Ok("mqtt"));
        for (missing, error) in [
            ("connection", HandshakeError::NotWebSocket),
            ("upgrade", HandshakeError::NotWebSocket),
            ("sec-websocket-version", HandshakeError::Version),
            ("sec-websocket-key", HandshakeError::Key),
            ("sec-websocket-protocol", HandshakeError::Subprotocol),
        ] {
            let mut headers = headers(&GOOD);
            headers.remove(missing);
            assert_eq!(check_handshake(&headers), Err(error), "{missing}");
        }
    }

    #[test]
    fn the_accept_key_is_that_of_the_standards_example() {
        assert_eq!(accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
