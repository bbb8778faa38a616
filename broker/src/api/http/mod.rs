//! HTTP on the plain and the secure port: pages, status, the local authority's certificate, and the way to MQTT over
//! WebSocket.

mod arrival;
mod authority;
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
mod rules;
mod status;
mod topics;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, Uri};
use axum::response::Response;
use axum::routing::{any, delete, get, post};
use axum::{Extension, Router};
use pointsman_config::ListenerKind;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use self::problem::Problem;
use crate::mqtt::Hub;
use crate::mqtt::listen::{Certificates, Gate, Visit, accept, asks_for_websocket, tls_handshake};
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
pub use status::Listener;

use arrival::{Arrival, converse};

fn router(api: Api) -> Router {
    Router::new()
        .route("/", any(root))
        .route("/api/bus/events", post(bus::put))
        .route("/api/bus/replay", post(bus::replay))
        .route("/api/bus/replays", get(bus::replays))
        .route("/api/bus/replays/{rule}", delete(bus::cancel))
        .route("/api/dead-letters", get(dead_letters::list).delete(dead_letters::purge))
        .route("/api/dead-letters/redrive", post(dead_letters::redrive_all))
        .route("/api/dead-letters/{id}", get(dead_letters::get).delete(dead_letters::forget))
        .route("/api/dead-letters/{id}/redrive", post(dead_letters::redrive))
        .route("/api/explain", get(explain::list))
        .route("/api/explain/{id}", get(explain::get))
        .route("/api/outbox", get(outbox::get))
        .route("/api/outbox/undelivered", get(outbox::list).delete(outbox::forget))
        .route("/api/outbox/undelivered/retry", post(outbox::send_again))
        .route("/api/status", get(status::get))
        .route("/api/rules", get(rules::list))
        .route("/api/rules/{name}", get(rules::get).put(rules::put))
        .route("/api/rules/{name}/diff", get(rules::diff))
        .route("/api/rules/{name}/replay", post(drafts::replay))
        .route("/api/rules/{name}/resume", post(rules::resume))
        .route("/api/rules/{name}/rollback", post(rules::rollback))
        .route("/api/rules/{name}/shadow", post(drafts::shadow))
        .route("/api/rules/{name}/versions", get(rules::versions))
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

/// `GET /`: the start page; or MQTT, for clients whose library goes there unless it is told another path.
async fn root(state: State<Api>, arrival: Extension<Arrival>, request: Request) -> Response {
    if asks_for_websocket(request.headers()) {
        mqtt_socket::get(state, arrival, request).await
    } else {
        pages::get(request).await
    }
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    Problem {
        status: StatusCode::METHOD_NOT_ALLOWED,
        title: "Method not allowed",
        detail: format!("{} does not take {method}", uri.path()),
    }
}

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
