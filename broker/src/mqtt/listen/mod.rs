//! Listeners: they accept, and hand each connection to a task of its own at once, so that one that is silent in
//! its handshake delays nobody.

mod accept;
mod forwarded;
mod gate;
mod handshake;
mod proxy;
mod rate;
mod socket;
mod tls;
mod websocket;

use std::future::Future;
use std::sync::Arc;

use pointsman_config::ListenerKind;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::debug;

use super::session::{Begun, Hub, Peer, begin};
use crate::telemetry::{Open, Transport};

pub use accept::{Visit, accept};
pub use forwarded::client_address;
pub use gate::{Gate, GateSettings, Place, Refused};
pub use handshake::{Handshake, HandshakeError, asks_for_websocket, check_handshake};
pub use proxy::{Proxied, ProxyHeaderError, read_header};
pub use socket::{UnixSocketError, adopt_tcp, adopt_unix, bind, bind_unix};
pub use tls::{CertificateFiles, Certificates, Shown, TlsError, load_or_make};
pub use websocket::{WebSocketOptions, WebSocketTransport};

/// Serves MQTT on plain TCP.
pub async fn serve_tcp(listener: TcpListener, gate: Arc<Gate>, hub: Arc<Hub>) {
    let stopping = hub.stopping().clone();
    accept(listener, gate, stopping, move |mut stream: TcpStream, visit: Visit| {
        let hub = Arc::clone(&hub);
        in_two_stages(async move {
            let peer = visit.introduce(&mut stream, ListenerKind::Mqtt).await?;
            let open = hub.opened(Transport::Tcp);
            Some((begin(stream, peer, hub).await?, open, visit.place))
        })
    })
    .await;
}

/// Serves MQTT on TLS.
pub async fn serve_tls(listener: TcpListener, acceptor: TlsAcceptor, gate: Arc<Gate>, hub: Arc<Hub>) {
    let stopping = hub.stopping().clone();
    accept(listener, gate, stopping, move |mut stream: TcpStream, visit: Visit| {
        let (hub, acceptor) = (Arc::clone(&hub), acceptor.clone());
        in_two_stages(async move {
            let peer = visit.introduce(&mut stream, ListenerKind::Mqtts).await?;
            let stream = tls_handshake(&acceptor, stream, peer).await?;
            let open = hub.opened(Transport::Tls);
            // In a box: every step of the beginning would have room for its own.
            Some((begin(Box::new(stream), peer, hub).await?, open, visit.place))
        })
    })
    .await;
}

/// Serves MQTT on a unix socket.
pub async fn serve_unix(listener: UnixListener, gate: Arc<Gate>, hub: Arc<Hub>) {
    let stopping = hub.stopping().clone();
    accept(listener, gate, stopping, move |stream: UnixStream, visit: Visit| {
        let hub = Arc::clone(&hub);
        in_two_stages(async move {
            let open = hub.opened(Transport::Unix);
            Some((begin(stream, visit.peer, hub).await?, open, visit.place))
        })
    })
    .await;
}

/// A connection's task: it begins in a box, which goes when that is done, and then runs. A task is as large as the largest
/// that it ever holds, and what is idle needs little.
fn in_two_stages<T, F>(beginning: F) -> impl Future<Output = ()> + Send
where
    T: AsyncRead + AsyncWrite + Unpin + Send,
    F: Future<Output = Option<(Begun<T>, Open, Place)>> + Send,
{
    let beginning = Box::pin(beginning);
    async move {
        if let Some((begun, _open, _place)) = beginning.await {
            begun.run().await;
        }
    }
}

/// Shakes hands; `None` if that fails or takes too long.
pub async fn tls_handshake(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
    peer: Peer,
) -> Option<TlsStream<TcpStream>> {
    match tokio::time::timeout_at(peer.connect_by, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            debug!(ip = %peer.ip, %error, "the TLS handshake failed");
            None
        }
        Err(_) => {
            debug!(ip = %peer.ip, "the TLS handshake took longer than connect_timeout_seconds");
            None
        }
    }
}
