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

/// Speaks MQTT over what was an HTTP connection. The connection itself is taken back out of hyper, whose wrapping would
/// cost an indirection on every read and write.
async fn carry(upgraded: Upgraded, peer: Peer, api: Api) {
    let max = api.packet_bytes_max;
    match upgraded.downcast::<TokioIo<TlsStream<TcpStream>>>() {
        Ok(parts) => {
            let _open = api.hub.opened(Transport::Wss);
            let socket = WebSocketTransport::new(parts.io.into_inner(), parts.read_buf, max).await;
            serve(socket, peer, api.hub).await;
        }
        Err(upgraded) => {
            if let Ok(parts) = upgraded.downcast::<TokioIo<TcpStream>>() {
                let _open = api.hub.opened(Transport::Ws);
                let socket = WebSocketTransport::new(parts.io.into_inner(), parts.read_buf, max).await;
                serve(socket, peer, api.hub).await;
            }
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
