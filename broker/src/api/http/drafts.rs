//! `POST /api/rules/<name>/replay` and `…/shadow`: what a draft of a rule would do, for the operator.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use pointsman_rules::parse_duration;

use super::Api;
use super::body::text;
use super::problem::Problem;
use super::query::Query;
use super::rules::rule_name;
use crate::aside::aside;
use crate::pipeline::{Comparison, DraftError};
use crate::report::chain;

/// How long a draft is tried on live traffic if nothing is said, and at most.
const SHADOW_FOR: Duration = Duration::from_mins(1);
const SHADOW_FOR_MAX: Duration = Duration::from_mins(10);
/// How far a replay goes back if nothing is said.
const SINCE: Duration = Duration::from_hours(1);

/// `POST /api/rules/<name>/replay?since=1h`: runs the body, and the active version, on the messages that the log holds.
pub(super) async fn replay(
    State(api): State<Api>,
    Path(name): Path<String>,
    uri: Uri,
    body: Body,
) -> Result<Json<Comparison>, Problem> {
    let name = rule_name(&name)?;
    let since = duration(&uri, "since", SINCE)?;
    let source = text(body).await?;
    let since_ms = api.hub.now_ms().saturating_sub(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
    let compared = aside(move || api.pipeline.replay(&name, &source, since_ms)).await;
    compared.map(Json).map_err(|error| refusal(&error))
}

/// `POST /api/rules/<name>/shadow?for=60s`: runs the body beside the active version on live traffic, and answers when
/// that time is over. A request that is given up ends it.
pub(super) async fn shadow(
    State(api): State<Api>,
    Path(name): Path<String>,
    uri: Uri,
    body: Body,
) -> Result<Json<Comparison>, Problem> {
    let name = rule_name(&name)?;
    let time = duration(&uri, "for", SHADOW_FOR)?;
    if time > SHADOW_FOR_MAX {
        return Err(Problem::bad(format!("for is at most {} seconds", SHADOW_FOR_MAX.as_secs())));
    }
    let source = text(body).await?;
    let pipeline = Arc::clone(&api.pipeline);
    let run = aside(move || pipeline.shadow(&name, &source)).await.map_err(|error| refusal(&error))?;
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        () = api.hub.stopping().cancelled() => {}
    }
    Ok(Json(run.comparison()))
}

fn duration(uri: &Uri, name: &'static str, default: Duration) -> Result<Duration, Problem> {
    let query = Query::parse(uri, &[name]).map_err(Problem::bad)?;
    let Some(given) = query.get(name) else { return Ok(default) };
    parse_duration(given).ok_or_else(|| Problem::bad(format!("{name} is {given:?}: give 30s, 5m or 1h")))
}

fn refusal(error: &DraftError) -> Problem {
    let (status, title) = match error {
        DraftError::Busy(_) => (StatusCode::CONFLICT, "Busy"),
        DraftError::Load(_) => (StatusCode::UNPROCESSABLE_ENTITY, "Not a rule"),
        DraftError::Log(_) => (StatusCode::INTERNAL_SERVER_ERROR, "Not done"),
    };
    Problem { status, title, detail: chain(error) }
}
