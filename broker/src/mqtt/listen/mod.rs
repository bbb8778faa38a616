//! Listeners: they accept, and hand each connection to a task of its own at once, so that one that is silent in
//! its handshake delays nobody.

mod tls;
mod websocket;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::session::{Hub, Peer, serve};
use crate::telemetry::Transport;

pub use tls::{CertificateFiles, Tls, TlsError, load_or_make};
pub use websocket::{HandshakeError, WebSocketTransport, accept_key, check_handshake};

/// Connections that the kernel may hold for us while we are busy.
const BACKLOG: i32 = 4096;

/// Binds a listener; the address is taken exclusively.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Accepts until told to stop; `handle` runs on a task of its own for each connection.
pub async fn accept<H, F>(listener: TcpListener, stopping: CancellationToken, handle: H)
where
    H: Fn(TcpStream, SocketAddr) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping.cancelled() => return,
        };
        match accepted {
            Ok((stream, address)) => {
                // A packet is written when it is complete: waiting for more only delays it.
                if let Err(error) = stream.set_nodelay(true) {
                    debug!(%error, "a connection ended before it began");
                    continue;
                }
                tokio::spawn(handle(stream, address));
            }
            Err(error) => {
                warn!(%error, "cannot accept; trying again");
                // Most often the process has no file descriptor left, which passes.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Serves MQTT on plain TCP.
pub async fn serve_tcp(listener: TcpListener, hub: Arc<Hub>) {
    let stopping = hub.stopping().clone();
    accept(listener, stopping, move |stream, address| {
        let hub = Arc::clone(&hub);
        async move {
            let peer = peer(address, &hub);
            let _open = hub.opened(Transport::Tcp);
            serve(stream, peer, hub).await;
        }
    })
    .await;
}

/// Serves MQTT on TLS.
pub async fn serve_tls(listener: TcpListener, acceptor: TlsAcceptor, hub: Arc<Hub>) {
    let stopping = hub.stopping().clone();
    accept(listener, stopping, move |stream, address| {
        let (hub, acceptor) = (Arc::clone(&hub), acceptor.clone());
        async move {
            let peer = peer(address, &hub);
            if let Some(stream) = tls_handshake(&acceptor, stream, peer).await {
                let _open = hub.opened(Transport::Tls);
                // In a box: every stage of a connection would have room for its own.
                serve(Box::new(stream), peer, hub).await;
            }
        }
    })
    .await;
}

/// The peer at an address, whose time for CONNECT starts now.
pub fn peer(address: SocketAddr, hub: &Hub) -> Peer {
    Peer { ip: address.ip(), connect_by: Instant::now() + hub.connect_timeout() }
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
