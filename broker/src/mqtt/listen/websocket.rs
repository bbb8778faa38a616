//! MQTT in WebSocket frames: a stream of bytes to the session, binary messages to the browser.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_util::{Sink, SinkExt, Stream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, Sleep};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::mqtt::session::ClosedInOrder;

/// What is read from the transport at a time; each connection has a buffer of this size.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// How long a client that broke the rules of WebSocket has to read why.
const LINGER: Duration = Duration::from_secs(2);

/// What a WebSocket goes by.
#[derive(Debug, Clone, Copy)]
pub struct WebSocketOptions {
    /// A frame or message of more bytes ends it.
    pub message_bytes_max: usize,
    /// After so long without traffic the client is sent a ping, so that nothing between takes the connection for dead;
    /// zero for never.
    pub ping_every: Duration,
}

/// A WebSocket as a stream of bytes.
pub struct WebSocketTransport<T> {
    socket: WebSocketStream<T>,
    /// What is left of the last message.
    rest: Bytes,
    closed: bool,
    /// Whether that was with a Close frame.
    in_order: bool,
    /// What the client did wrong, if that is why it ended.
    fault: Option<Fault>,
    close_sent: bool,
    idle: Option<Idle>,
}

/// A breach of the rules of WebSocket: the code of the Close frame and its words.
#[derive(Debug, Clone, Copy)]
struct Fault {
    code: CloseCode,
    words: &'static str,
}

/// Notices that nothing has gone either way for long.
struct Idle {
    every: Duration,
    latest: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Idle {
    fn new(every: Duration) -> Idle {
        let latest = Instant::now();
        Idle { every, latest, timer: Box::pin(tokio::time::sleep_until(latest + every)) }
    }

    /// Whether a ping is due. The timer is not moved with all that goes by, only when it has run out.
    fn poll_due(&mut self, cx: &mut Context<'_>) -> bool {
        let mut due = false;
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if now >= self.latest + self.every {
                self.latest = now;
                due = true;
            }
            self.timer.as_mut().reset(self.latest + self.every);
        }
        due
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> WebSocketTransport<T> {
    /// Takes over a connection whose handshake is done, with what was read beyond it.
    pub async fn new(transport: T, read: Bytes, options: WebSocketOptions) -> WebSocketTransport<T> {
        let max = options.message_bytes_max;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            // What the session writes is a batch already.
            .write_buffer_size(0)
            .max_write_buffer_size(2 * max.max(1024 * 1024))
            .max_frame_size(Some(max))
            .max_message_size(Some(max));
        // A copy: what was read shares the buffer of the HTTP connection, which would stay for as long as this one.
        let read = read.to_vec();
        let socket = WebSocketStream::from_partially_read(transport, read, Role::Server, Some(config)).await;
        let idle = (!options.ping_every.is_zero()).then(|| Idle::new(options.ping_every));
        WebSocketTransport {
            socket,
            rest: Bytes::new(),
            closed: false,
            in_order: false,
            fault: None,
            close_sent: false,
            idle,
        }
    }

    /// Ends it when the session is done with it. A client that broke the rules is told how, and what it still sends is
    /// read for a moment: the system would throw the Close frame away together with what nobody read.
    pub async fn finish(mut self) {
        if self.fault.is_none() {
            return;
        }
        let telling = async {
            if !self.close_sent {
                self.close_sent = true;
                self.socket.send(Message::Close(Some(self.close_frame()))).await.map_err(into_io)?;
            }
            let transport = self.socket.get_mut();
            transport.shutdown().await?;
            let mut scratch = vec![0; READ_BUFFER_BYTES];
            while transport.read(&mut scratch).await? > 0 {}
            io::Result::Ok(())
        };
        let _ = tokio::time::timeout(LINGER, telling).await;
    }

    fn close_frame(&self) -> CloseFrame {
        let fault = self.fault.unwrap_or(Fault { code: CloseCode::Normal, words: "" });
        CloseFrame { code: fault.code, reason: fault.words.into() }
    }

    /// The bytes of the next binary message; `None` at the end.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        loop {
            return match Pin::new(&mut self.socket).poll_next(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Some(Ok(Message::Binary(bytes)))) => Poll::Ready(Ok(Some(bytes))),
                // [MQTT-6.0.0-1]
                Poll::Ready(Some(Ok(Message::Text(_)))) => Poll::Ready(Err(self.fault(Fault {
                    code: CloseCode::Unsupported,
                    words: "MQTT is binary, and this was a text frame",
                }))),
                // Pings are answered by the library when it is polled next.
                Poll::Ready(Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)))) => continue,
                Poll::Ready(Some(Ok(Message::Close(_)))) => {
                    self.in_order = true;
                    Poll::Ready(Ok(None))
                }
                Poll::Ready(None | Some(Err(Error::ConnectionClosed | Error::AlreadyClosed))) => {
                    Poll::Ready(Ok(None))
                }
                Poll::Ready(Some(Err(error))) => Poll::Ready(Err(match fault_of(&error) {
                    Some(fault) => self.fault(fault),
                    None => into_io(error),
                })),
            };
        }
    }

    fn fault(&mut self, fault: Fault) -> io::Error {
        self.fault = Some(fault);
        io::Error::new(io::ErrorKind::InvalidData, fault.words)
    }

    fn note_traffic(&mut self) {
        if let Some(idle) = &mut self.idle {
            idle.latest = Instant::now();
        }
    }

    /// Sends a ping if one is due. A client that does not take what it is sent needs none.
    fn poll_ping(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let due = self.idle.as_mut().is_some_and(|idle| idle.poll_due(cx));
        if due && !self.closed && Pin::new(&mut self.socket).poll_ready(cx).is_ready() {
            Pin::new(&mut self.socket).start_send(Message::Ping(Bytes::new())).map_err(into_io)?;
            if let Poll::Ready(flushed) = Pin::new(&mut self.socket).poll_flush(cx) {
                flushed.map_err(into_io)?;
            }
        }
        Ok(())
    }
}

/// What the client did wrong, if an error says that it did.
fn fault_of(error: &Error) -> Option<Fault> {
    match error {
        Error::Capacity(_) => {
            Some(Fault { code: CloseCode::Size, words: "larger than limits.packet_bytes_max" })
        }
        // That the other side is gone without a word is no breach that it could be told of.
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        Error::Protocol(_) => Some(Fault { code: CloseCode::Protocol, words: "not a frame of RFC 6455" }),
        Error::Utf8(_) => Some(Fault { code: CloseCode::Invalid, words: "text that is not UTF-8" }),
        _ => None,
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
        self.poll_ping(cx)?;
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
                let ended = match self.fault {
                    Some(fault) => Err(io::Error::new(io::ErrorKind::InvalidData, fault.words)),
                    None if self.in_order => Err(io::Error::other(ClosedInOrder)),
                    None => Ok(()),
                };
                return Poll::Ready(ended);
            }
            // Several messages at once, as far as they are there: the session handles them together.
            match self.poll_message(cx) {
                Poll::Ready(Ok(Some(bytes))) => {
                    self.rest = bytes;
                    self.note_traffic();
                }
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
        self.note_traffic();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx).map_err(into_io)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.closed && !self.close_sent {
            self.close_sent = true;
            let close = Message::Close(Some(self.close_frame()));
            // A socket that is closing already needs no second close.
            let _ = Pin::new(&mut self.socket).start_send(close);
        }
        self.closed = true;
        Pin::new(&mut self.socket).poll_close(cx).map_err(into_io)
    }
}
