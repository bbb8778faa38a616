//! MQTT in WebSocket frames, from the client's side, as a stream of bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_util::{Sink, Stream as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::transport::Stream;

/// A WebSocket whose binary messages are read and written as bytes; shutting it down sends a Close frame.
pub(crate) struct WebSocket<T> {
    socket: WebSocketStream<T>,
    rest: Bytes,
}

impl<T: Stream> WebSocket<T> {
    /// Shakes hands for subprotocol `mqtt` on a connection.
    pub(crate) async fn handshake(stream: T, url: &str) -> WebSocket<T> {
        let mut request = url.into_client_request().expect("the URL of a WebSocket");
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("mqtt"));
        let (socket, response) = client_async(request, stream)
            .await
            .unwrap_or_else(|error| panic!("the handshake on {url}: {error}"));
        let chosen = response.headers().get("sec-websocket-protocol");
        assert_eq!(chosen, Some(&HeaderValue::from_static("mqtt")), "the subprotocol chosen by {url}");
        WebSocket { socket, rest: Bytes::new() }
    }
}

impl<T: Stream> AsyncRead for WebSocket<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.rest.is_empty() {
            match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                Some(Ok(Message::Binary(bytes))) => self.rest = bytes,
                Some(Ok(Message::Text(text))) => {
                    return Poll::Ready(Err(io::Error::other(format!("text: {text}"))));
                }
                Some(Ok(Message::Close(_)) | Err(Error::ConnectionClosed)) | None => {
                    return Poll::Ready(Ok(()));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
            }
        }
        let count = self.rest.len().min(buffer.remaining());
        buffer.put_slice(&self.rest[..count]);
        self.rest.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<T: Stream> AsyncWrite for WebSocket<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(io::Error::other)?;
        let message = Message::Binary(Bytes::copy_from_slice(bytes));
        Pin::new(&mut self.socket).start_send(message).map_err(io::Error::other)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx).map_err(io::Error::other)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_close(cx).map_err(io::Error::other)
    }
}
