//! `GET /mqtt`: the handshake of MQTT over WebSocket.

use std::net::SocketAddr;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tracing::debug;

use super::Api;
use super::problem::Problem;
use crate::mqtt::listen::{HandshakeError, WebSocketTransport, accept_key, check_handshake, peer};
use crate::mqtt::{Peer, serve};
use crate::telemetry::Transport;

pub(super) async fn get(
    State(api): State<Api>,
    Extension(address): Extension<SocketAddr>,
    mut request: Request,
) -> Response {
    let protocol = match check_handshake(request.headers()) {
        Ok(protocol) => protocol,
        Err(error) => return refuse(error),
    };
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes).unwrap_or_default();
    let accept = accept_key(key);
    let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
        return refuse(HandshakeError::NotWebSocket);
    };
    let peer = peer(address, &api.hub);
    tokio::spawn(async move {
        match upgrade.await {
            Ok(upgraded) => carry(upgraded, peer, api).await,
            Err(error) => debug!(%error, "a WebSocket ended in its handshake"),
        }
    });
    let headers = [
        (header::CONNECTION, "Upgrade"),
        (header::UPGRADE, "websocket"),
        (header::SEC_WEBSOCKET_ACCEPT, accept.as_str()),
        (header::SEC_WEBSOCKET_PROTOCOL, protocol),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// Speaks MQTT over what was an HTTP connection.
async fn carry(upgraded: Upgraded, peer: Peer, api: Api) {
    // In a box, and so are the sockets: the task is as large as an idle connection needs it, not as large as an upgrade.
    match Box::pin(take_back(upgraded, api.packet_bytes_max)).await {
        Some(Socket::Tls(socket)) => {
            let _open = api.hub.opened(Transport::Wss);
            serve(socket, peer, api.hub).await;
        }
        Some(Socket::Plain(socket)) => {
            let _open = api.hub.opened(Transport::Ws);
            serve(socket, peer, api.hub).await;
        }
        None => {}
    }
}

/// A WebSocket on what carried HTTP before.
enum Socket {
    Tls(Box<WebSocketTransport<TlsStream<TcpStream>>>),
    Plain(Box<WebSocketTransport<TcpStream>>),
}

/// Takes the connection itself back out of hyper, whose wrapping would cost an indirection on every read and write.
async fn take_back(upgraded: Upgraded, message_bytes_max: usize) -> Option<Socket> {
    match upgraded.downcast::<TokioIo<TlsStream<TcpStream>>>() {
        Ok(parts) => {
            let io = parts.io.into_inner();
            let socket = WebSocketTransport::new(io, parts.read_buf, message_bytes_max).await;
            Some(Socket::Tls(Box::new(socket)))
        }
        Err(upgraded) => {
            let parts = upgraded.downcast::<TokioIo<TcpStream>>().ok()?;
            let io = parts.io.into_inner();
            let socket = WebSocketTransport::new(io, parts.read_buf, message_bytes_max).await;
            Some(Socket::Plain(Box::new(socket)))
        }
    }
}

fn refuse(error: HandshakeError) -> Response {
    let status = match error {
        HandshakeError::NotWebSocket => StatusCode::UPGRADE_REQUIRED,
        _ => StatusCode::BAD_REQUEST,
    };
    let problem = Problem { status, title: "Not an MQTT WebSocket handshake", detail: error.to_string() };
    let mut response = problem.into_response();
    response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    response.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    response
}
