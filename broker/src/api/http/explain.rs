//! `GET /api/explain…`: what became of a message, for the operator.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use serde_json::{Value, json};

use super::Api;
use super::problem::Problem;
use super::query::Query;
use super::rules::rule_name;
use crate::aside::aside;
use crate::pipeline::{ExplainError, Explanation};
use crate::report::chain;

/// Messages that are listed at most, and if nothing is said.
const LISTED_MAX: usize = 1_000;
const LISTED: usize = 50;

/// `GET /api/explain?limit=`: the messages that were kept last to be explained, the newest first.
pub(super) async fn list(State(api): State<Api>, uri: Uri) -> Result<Json<Value>, Problem> {
    let query = Query::parse(&uri, &["limit"]).map_err(Problem::bad)?;
    let limit = query.limit("limit", LISTED, LISTED_MAX).map_err(Problem::bad)?;
    Ok(Json(json!({ "messages": aside(move || api.pipeline.samples(limit)).await })))
}

/// `GET /api/explain/<id>?rule=`: what became of a message; of one rule only, if one is named.
pub(super) async fn get(
    State(api): State<Api>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Json<Explanation>, Problem> {
    let query = Query::parse(&uri, &["rule"]).map_err(Problem::bad)?;
    let rule = query.get("rule").map(rule_name).transpose()?;
    let explained = aside(move || api.pipeline.explain(&id, rule.as_ref())).await;
    explained.map(Json).map_err(|error| refusal(&error))
}

fn refusal(error: &ExplainError) -> Problem {
    let (status, title) = match error {
        ExplainError::Id { .. } => (StatusCode::BAD_REQUEST, "Not understood"),
        ExplainError::NoRule(_) | ExplainError::NotFound(_) => (StatusCode::NOT_FOUND, "Not found"),
        ExplainError::TooLong(_) => (StatusCode::SERVICE_UNAVAILABLE, "Not found in time"),
        ExplainError::Letters(_) | ExplainError::Log(_) => (StatusCode::INTERNAL_SERVER_ERROR, "Not done"),
    };
    // The message of a wrong id says its cause already.
    let detail = if matches!(error, ExplainError::Id { .. }) { error.to_string() } else { chain(error) };
    Problem { status, title, detail }
}
