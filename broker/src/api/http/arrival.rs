//! An HTTP connection: one request after another, each with what is known of who sends it.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tracing::debug;

use crate::mqtt::Peer;
use crate::mqtt::listen::{Gate, Refused, Visit, client_address};

/// The most bytes that the head of a request may have.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// A request that has arrived: an extension of each.
#[derive(Clone)]
pub(super) struct Arrival {
    /// The connection; as long as somebody has it, the connection has its place.
    visit: Arc<Visit>,
    /// Who sends the request.
    pub(super) client: IpAddr,
    /// Whether it is the connection's first.
    first: bool,
}

impl Arrival {
    /// Whose connection this becomes when it stops to be one of HTTP. The time for CONNECT began when the connection did;
    /// a page that was loaded over it before does not count.
    pub(super) fn peer(&self) -> Result<Peer, Refused> {
        if self.client != self.visit.peer.ip {
            self.visit.gate.admit_client(self.client)?;
        }
        let connect_by = if self.first {
            self.visit.peer.connect_by
        } else {
            Instant::now() + self.visit.gate.settings().connect_timeout
        };
        Ok(Peer { ip: self.client, connect_by })
    }

    /// Who let the connection in.
    pub(super) fn gate(&self) -> &Gate {
        &self.visit.gate
    }
}

/// Speaks HTTP/1.1 on a connection until it ends or becomes a WebSocket. The first request must be there by the time that
/// a CONNECT must be; each head may take as long as `connect_timeout_seconds`.
pub(super) async fn converse<T>(stream: T, visit: Visit, service: Router)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let visit = Arc::new(visit);
    let (peer, patience) = (visit.peer, visit.gate.settings().connect_timeout);
    let begun = AtomicBool::new(false);
    let router = TowerToHyperService::new(service);
    let service = service_fn(|mut request: Request<Incoming>| {
        let first = !begun.swap(true, Ordering::Relaxed);
        let client = client_address(peer.ip, request.headers(), &visit.gate.settings());
        request.extensions_mut().insert(Arrival { visit: Arc::clone(&visit), client, first });
        request.extensions_mut().insert(SocketAddr::new(client, 0));
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let result = tokio::select! {
        result = &mut connection => result,
        () = tokio::time::sleep_until(peer.connect_by) => {
            if !begun.load(Ordering::Relaxed) {
                debug!(ip = %peer.ip, "no request within connect_timeout_seconds");
                return;
            }
            connection.await
        }
    };
    if let Err(error) = result {
        debug!(ip = %peer.ip, %error, "an HTTP connection ended badly");
    }
}
