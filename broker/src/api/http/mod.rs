//! HTTP on the plain and the secure port: pages, status, the local authority's certificate, and the way to MQTT over
//! WebSocket.

mod authority;
mod metrics;
mod mqtt_socket;
mod operator;
mod pages;
mod problem;
mod query;
mod retained;
mod status;
mod topics;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::routing::{get, post};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tracing::debug;

use self::problem::Problem;
use crate::mqtt::Hub;
use crate::mqtt::listen::{accept, peer, tls_handshake};
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
    /// Levels of a topic.
    pub topic_levels_max: usize,
    /// The local authority's certificate, if there is one.
    pub authority_pem: Option<Arc<str>>,
    /// What listens where, for the start page.
    pub listeners: Arc<Vec<Listener>>,
}

pub use metrics::MetricsReaders;
pub use status::Listener;

fn router(api: Api) -> Router {
    Router::new()
        .route("/api/status", get(status::get))
        .route("/ca.crt", get(authority::get))
        .route("/metrics", get(metrics::get))
        .route("/retainedMessage", get(retained::list))
        .route("/retainedMessage/{*topic}", get(retained::get))
        .route("/topics/{*topic}", post(topics::post))
        .route("/mqtt", get(mqtt_socket::get))
        .fallback(pages::get)
        .method_not_allowed_fallback(wrong_method)
        .with_state(api)
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    Problem {
        status: StatusCode::METHOD_NOT_ALLOWED,
        title: "Method not allowed",
        detail: format!("{} does not take {method}", uri.path()),
    }
}

/// Serves HTTP on plain TCP.
pub async fn serve_plain(listener: TcpListener, api: Api) {
    let hub = Arc::clone(&api.hub);
    let (service, patience) = (router(api), hub.connect_timeout());
    let stopping = hub.stopping().clone();
    accept(listener, stopping, move |stream, address| {
        let service = service.clone();
        async move { converse(stream, address, service, patience).await }
    })
    .await;
}

/// Serves HTTP on TLS.
pub async fn serve_tls(listener: TcpListener, acceptor: TlsAcceptor, api: Api) {
    let hub = Arc::clone(&api.hub);
    let (service, patience) = (router(api), hub.connect_timeout());
    let stopping = hub.stopping().clone();
    accept(listener, stopping, move |stream, address| {
        let (service, acceptor, hub) = (service.clone(), acceptor.clone(), Arc::clone(&hub));
        async move {
            let peer = peer(address, &hub);
            if let Some(stream) = tls_handshake(&acceptor, stream, peer).await {
                converse(stream, address, service, patience).await;
            }
        }
    })
    .await;
}

/// Speaks HTTP/1.1 on a connection until it ends or becomes a WebSocket. The head of a request may take as long as
/// `patience`.
async fn converse<T>(stream: T, address: SocketAddr, service: Router, patience: Duration)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service.layer(axum::Extension(address));
    let result = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .with_upgrades()
        .await;
    if let Err(error) = result {
        debug!(ip = %address.ip(), %error, "an HTTP connection ended badly");
    }
}
