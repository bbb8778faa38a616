//! Every path with who answers it, and for whom: what is for the operator alone stands in one list, behind one check.

use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::http::{Method, StatusCode, Uri};
use axum::response::Response;
use axum::routing::{self, MethodRouter};
use axum::{Extension, Router, middleware};

use super::arrival::Arrival;
use super::problem::Problem;
use super::{
    Api, authority, bus, dead_letters, drafts, explain, metrics, mqtt_socket, operator, outbox, pages,
    retained, rules, status, topics,
};
use crate::mqtt::listen::asks_for_websocket;

/// A method of a path, and who answers it.
struct Route {
    method: Method,
    path: &'static str,
    handler: MethodRouter<Api>,
}

fn delete<H: Handler<T, Api>, T: 'static>(path: &'static str, handler: H) -> Route {
    Route { method: Method::DELETE, path, handler: routing::delete(handler) }
}

fn get<H: Handler<T, Api>, T: 'static>(path: &'static str, handler: H) -> Route {
    Route { method: Method::GET, path, handler: routing::get(handler) }
}

fn post<H: Handler<T, Api>, T: 'static>(path: &'static str, handler: H) -> Route {
    Route { method: Method::POST, path, handler: routing::post(handler) }
}

fn put<H: Handler<T, Api>, T: 'static>(path: &'static str, handler: H) -> Route {
    Route { method: Method::PUT, path, handler: routing::put(handler) }
}

/// What is for the operator alone. The figures of `/metrics` are not here: they are for this machine, too.
fn for_operator() -> Vec<Route> {
    vec![
        post("/api/bus/events", bus::put),
        post("/api/bus/replay", bus::replay),
        get("/api/bus/replays", bus::replays),
        delete("/api/bus/replays/{rule}", bus::cancel),
        get("/api/dead-letters", dead_letters::list),
        delete("/api/dead-letters", dead_letters::purge),
        post("/api/dead-letters/redrive", dead_letters::redrive_all),
        get("/api/dead-letters/{id}", dead_letters::get),
        delete("/api/dead-letters/{id}", dead_letters::forget),
        post("/api/dead-letters/{id}/redrive", dead_letters::redrive),
        get("/api/explain", explain::list),
        get("/api/explain/{id}", explain::get),
        get("/api/outbox", outbox::get),
        get("/api/outbox/undelivered", outbox::list),
        delete("/api/outbox/undelivered", outbox::forget),
        post("/api/outbox/undelivered/retry", outbox::send_again),
        get("/api/rules", rules::list),
        get("/api/rules/{name}", rules::get),
        put("/api/rules/{name}", rules::put),
        get("/api/rules/{name}/diff", rules::diff),
        post("/api/rules/{name}/replay", drafts::replay),
        post("/api/rules/{name}/resume", rules::resume),
        post("/api/rules/{name}/rollback", rules::rollback),
        post("/api/rules/{name}/shadow", drafts::shadow),
        get("/api/rules/{name}/versions", rules::versions),
        get("/retainedMessage", retained::list),
        get("/retainedMessage/{*topic}", retained::get),
        post("/topics/{*topic}", topics::post),
    ]
}

/// What is for the operator alone: methods and paths, in which `{…}` stands for any text.
pub fn operator_routes() -> impl Iterator<Item = (Method, &'static str)> {
    for_operator().into_iter().map(|route| (route.method, route.path))
}

pub(super) fn router(api: Api) -> Router {
    let operators = for_operator()
        .into_iter()
        .fold(Router::new(), |router, route| router.route(route.path, route.handler));
    let operators = operators.route_layer(middleware::from_fn_with_state(api.clone(), operator::admit));
    Router::new()
        .route("/", routing::any(root))
        .route("/api/status", routing::get(status::get))
        .route("/ca.crt", routing::get(authority::get))
        .route("/metrics", routing::get(metrics::get))
        .route("/mqtt", routing::get(mqtt_socket::get))
        .merge(operators)
        .fallback(pages::get)
        // Behind the merge: that a path does not take a method is no secret.
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
