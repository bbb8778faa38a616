//! HTTP on the plain and the secure port: pages, status, the local authority's certificate, and the way to MQTT over
//! WebSocket.

mod arrival;
mod authority;
mod body;
mod bus;
mod dead_letters;
mod drafts;
mod explain;
mod metrics;
mod mqtt_socket;
mod operator;
mod outbox;
mod pages;
mod problem;
mod query;
mod retained;
mod routes;
mod rules;
mod status;
mod topics;

use std::sync::Arc;

use pointsman_config::ListenerKind;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::mqtt::Hub;
use crate::mqtt::listen::{Certificates, Gate, Visit, accept, tls_handshake};
use crate::pipeline::Pipeline;
use crate::store::Store;
use crate::telemetry::Telemetry;

/// What the handlers need.
#[derive(Clone)]
pub struct Api {
    /// The sessions.
    pub hub: Arc<Hub>,
    /// The rules.
    pub pipeline: Arc<Pipeline>,
    /// The store.
    pub store: Arc<Store>,
    /// The counters.
    pub telemetry: Arc<Telemetry>,
    /// Who may read the metrics.
    pub metrics_readers: MetricsReaders,
    /// The largest MQTT packet taken, which bounds WebSocket messages too.
    pub packet_bytes_max: usize,
    /// What the server shows of itself, with the local authority's certificate if there is one.
    pub certificates: Arc<Certificates>,
    /// What listens where, for the start page.
    pub listeners: Arc<Vec<Listener>>,
    /// What commands of this machine show to act for the operator.
    pub operator_token: Arc<str>,
}

pub use metrics::MetricsReaders;
pub use routes::operator_routes;
pub use status::Listener;

use arrival::converse;
use routes::router;

/// Serves HTTP on plain TCP.
pub async fn serve_plain(listener: TcpListener, gate: Arc<Gate>, api: Api) {
    let stopping = api.hub.stopping().clone();
    let service = router(api);
    accept(listener, gate, stopping, move |mut stream: TcpStream, visit: Visit| {
        let service = service.clone();
        async move {
            let Some(peer) = visit.introduce(&mut stream, ListenerKind::Http).await else { return };
            converse(stream, Visit { peer, ..visit }, service).await;
        }
    })
    .await;
}

/// Serves HTTP on TLS.
pub async fn serve_tls(listener: TcpListener, acceptor: TlsAcceptor, gate: Arc<Gate>, api: Api) {
    let stopping = api.hub.stopping().clone();
    let service = router(api);
    accept(listener, gate, stopping, move |mut stream: TcpStream, visit: Visit| {
        let (service, acceptor) = (service.clone(), acceptor.clone());
        async move {
            let Some(peer) = visit.introduce(&mut stream, ListenerKind::Https).await else { return };
            if let Some(stream) = tls_handshake(&acceptor, stream, peer).await {
                converse(stream, Visit { peer, ..visit }, service).await;
            }
        }
    })
    .await;
}
