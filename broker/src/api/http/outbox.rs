//! `/api/outbox`: requests that rules send to web servers, for the operator.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde::Serialize;

use super::Api;
use super::problem::Problem;
use super::query::Query;
use crate::aside::aside;
use crate::pipeline::{LettersPage, TargetStatus};
use crate::store::ReadError;

/// How every server fares.
#[derive(Serialize)]
pub(super) struct Servers {
    servers: Vec<TargetStatus>,
}

/// How many requests something was done to.
#[derive(Serialize)]
pub(super) struct Count {
    requests: usize,
}

/// `GET /api/outbox`
pub(super) async fn get(State(api): State<Api>) -> Json<Servers> {
    Json(Servers { servers: api.pipeline.outbox().status() })
}

/// `GET /api/outbox/undelivered?server=…&after=…`: a page of what was given up.
pub(super) async fn list(State(api): State<Api>, uri: Uri) -> Result<Json<LettersPage>, Problem> {
    let query = Query::parse(&uri, &["server", "after"]).map_err(Problem::bad)?;
    let server = server(&api, &query)?;
    let after = query.owned("after");
    let page = aside(move || api.pipeline.outbox().letters(&server, after.as_deref())).await;
    page.map(Json).map_err(|error| Problem::failed(&error))
}

/// `POST /api/outbox/undelivered/retry?server=…&id=…`: sends one once more, or the oldest page if no id is said.
pub(super) async fn send_again(State(api): State<Api>, uri: Uri) -> Result<Json<Count>, Problem> {
    let query = Query::parse(&uri, &["server", "id"]).map_err(Problem::bad)?;
    let (server, id) = (server(&api, &query)?, query.get("id"));
    count(api.pipeline.outbox().send_again(&server, id).await, id)
}

/// `DELETE /api/outbox/undelivered?server=…&id=…`: removes one, or the oldest page if no id is said.
pub(super) async fn forget(State(api): State<Api>, uri: Uri) -> Result<Json<Count>, Problem> {
    let query = Query::parse(&uri, &["server", "id"]).map_err(Problem::bad)?;
    let (server, id) = (server(&api, &query)?, query.get("id"));
    count(api.pipeline.outbox().forget(&server, id).await, id)
}

/// The server that is asked for, if there is one of that name.
fn server(api: &Api, query: &Query) -> Result<String, Problem> {
    let Some(server) = query.get("server") else {
        let how = "say which server, as /api/outbox names it: ?server=https://hooks.example.org:443";
        return Err(Problem::bad(how.to_owned()));
    };
    let known = api.pipeline.outbox().status().into_iter().any(|known| known.server == server);
    if known {
        Ok(server.to_owned())
    } else {
        Err(Problem::not_found(format!("there is no server {server:?}: see /api/outbox")))
    }
}

fn count(done: Result<usize, ReadError>, id: Option<&str>) -> Result<Json<Count>, Problem> {
    match (done, id) {
        (Ok(0), Some(id)) => Err(Problem::not_found(format!("there is no request {id:?} that was given up"))),
        (Ok(requests), _) => Ok(Json(Count { requests })),
        (Err(error), _) => Err(Problem::failed(&error)),
    }
}
