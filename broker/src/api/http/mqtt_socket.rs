//! `GET /mqtt`, and `/` for those who ask for a WebSocket: the handshake of MQTT over WebSocket.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tracing::debug;

use super::Api;
use super::arrival::Arrival;
use super::problem::Problem;
use crate::mqtt::listen::{
    Handshake, HandshakeError, Refused, WebSocketOptions, WebSocketTransport, check_handshake,
};
use crate::mqtt::{Hub, Peer, begin};
use crate::telemetry::Transport;

pub(super) async fn get(
    State(api): State<Api>,
    Extension(arrival): Extension<Arrival>,
    mut request: Request,
) -> Response {
    let settings = arrival.gate().settings().clone();
    let Handshake { accept, protocol } = match check_handshake(request.headers(), &settings.origins) {
        Ok(handshake) => handshake,
        Err(error) => return refuse(&error, &arrival),
    };
    let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
        return refuse(&HandshakeError::NotWebSocket, &arrival);
    };
    let peer = match arrival.peer() {
        Ok(peer) => peer,
        Err(refused) => return too_many(refused),
    };
    let options =
        WebSocketOptions { message_bytes_max: api.packet_bytes_max, ping_every: settings.websocket_ping };
    let upgraded = Box::pin(async move {
        match tokio::time::timeout_at(peer.connect_by, upgrade).await {
            Ok(Ok(upgraded)) => return take_back(upgraded, options).await,
            Ok(Err(error)) => debug!(%error, "a WebSocket ended in its handshake"),
            Err(_) => {
                debug!(ip = %peer.ip, "a WebSocket's handshake took longer than connect_timeout_seconds");
            }
        }
        None
    });
    let hub = api.hub;
    tokio::spawn(async move {
        // It keeps the connection's place.
        let _arrival = arrival;
        match upgraded.await {
            Some(Socket::Tls(socket)) => carry(socket, peer, hub, Transport::Wss).await,
            Some(Socket::Plain(socket)) => carry(socket, peer, hub, Transport::Ws).await,
            None => {}
        }
    });
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&accept) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    if let Some(protocol) = protocol {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    response
}

/// Speaks MQTT over what was an HTTP connection.
///
/// The socket is in a box, and so is all that is over before the connection idles: a task is as large as the largest that it
/// ever holds.
async fn carry<T>(mut socket: Box<WebSocketTransport<T>>, peer: Peer, hub: Arc<Hub>, transport: Transport)
where
    T: AsyncRead + AsyncWrite + Unpin + Send,
{
    let _open = hub.opened(transport);
    if let Some(begun) = Box::pin(begin(&mut *socket, peer, hub)).await {
        begun.run().await;
    }
    Box::pin(socket.finish()).await;
}

/// A WebSocket on what carried HTTP before.
enum Socket {
    Tls(Box<WebSocketTransport<TlsStream<TcpStream>>>),
    Plain(Box<WebSocketTransport<TcpStream>>),
}

/// Takes the connection itself back out of hyper, whose wrapping would cost an indirection on every read and write.
async fn take_back(upgraded: Upgraded, options: WebSocketOptions) -> Option<Socket> {
    match upgraded.downcast::<TokioIo<TlsStream<TcpStream>>>() {
        Ok(parts) => {
            let socket = WebSocketTransport::new(parts.io.into_inner(), parts.read_buf, options).await;
            Some(Socket::Tls(Box::new(socket)))
        }
        Err(upgraded) => {
            let parts = upgraded.downcast::<TokioIo<TcpStream>>().ok()?;
            let socket = WebSocketTransport::new(parts.io.into_inner(), parts.read_buf, options).await;
            Some(Socket::Plain(Box::new(socket)))
        }
    }
}

fn refuse(error: &HandshakeError, arrival: &Arrival) -> Response {
    let (status, title) = match error {
        HandshakeError::NotWebSocket => (StatusCode::UPGRADE_REQUIRED, "Not an MQTT WebSocket handshake"),
        HandshakeError::Key | HandshakeError::Subprotocol | HandshakeError::Version => {
            (StatusCode::BAD_REQUEST, "Not an MQTT WebSocket handshake")
        }
        HandshakeError::Origin { .. } => {
            arrival.gate().refuse(arrival.client, Refused::Origin);
            (StatusCode::FORBIDDEN, "Origin not allowed")
        }
    };
    let mut response = Problem { status, title, detail: error.to_string() }.into_response();
    response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    response.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    response
}

fn too_many(refused: Refused) -> Response {
    let status = StatusCode::TOO_MANY_REQUESTS;
    Problem { status, title: "Too many connections", detail: refused.to_string() }.into_response()
}
