//! `/api/dead-letters…`: the events on which rules failed, for the operator.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use serde_json::{Value, json};

use super::Api;
use super::body::bytes;
use super::problem::Problem;
use super::query::Query;
use crate::aside::aside;
use crate::pipeline::{DeadLetter, RedriveError, Redriven};
use crate::report::chain;

/// Letters on a page at most, and if nothing is said.
const PAGE_MAX: usize = 200;

/// `GET /api/dead-letters?rule=&after=&limit=`: the letters, the oldest first, without their events.
pub(super) async fn list(State(api): State<Api>, uri: Uri) -> Result<Json<Value>, Problem> {
    let query = Query::parse(&uri, &["after", "limit", "rule"]).map_err(Problem::bad)?;
    let (rule, after) = (query.owned("rule"), query.owned("after"));
    let limit = query.limit("limit", PAGE_MAX, PAGE_MAX).map_err(Problem::bad)?;
    aside(move || {
        let pipeline = &api.pipeline;
        let letters = pipeline.dead_letters(rule.as_deref(), after.as_deref(), limit);
        let letters = letters.map_err(|error| Problem::failed(&error))?;
        let next = letters.last().filter(|_| letters.len() == limit).map(|letter| letter.id.clone());
        let shown: Vec<Value> = letters.iter().map(summary).collect();
        Ok(Json(json!({ "count": pipeline.dead_letter_count(), "letters": shown, "next": next })))
    })
    .await
}

/// `GET /api/dead-letters/<id>`: a letter with its event.
pub(super) async fn get(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<DeadLetter>, Problem> {
    aside(move || {
        let letter = api.pipeline.dead_letter(&id).map_err(|error| Problem::failed(&error))?;
        letter.map(Json).ok_or_else(|| Problem::not_found(format!("there is no dead letter {id:?}")))
    })
    .await
}

/// `POST /api/dead-letters/<id>/redrive`: has the rule handle the event again; with `?edited=true`, with the body in place
/// of its payload.
pub(super) async fn redrive(
    State(api): State<Api>,
    Path(id): Path<String>,
    uri: Uri,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let query = Query::parse(&uri, &["edited"]).map_err(Problem::bad)?;
    let edited = query.flag("edited").map_err(Problem::bad)?;
    let payload = bytes(body).await?;
    aside(move || match api.pipeline.redrive(&id, edited.then_some(&payload)) {
        Ok(Redriven::Done) => Ok(Json(json!({ "id": id, "handled": true }))),
        Ok(Redriven::Failed) => {
            let letter = api.pipeline.dead_letter(&id).ok().flatten();
            let why = letter.map(|letter| format!("{}:{}: {}", letter.file, letter.line, letter.message));
            let detail = format!("the rule failed again: {}", why.unwrap_or_default());
            let (status, title) = (StatusCode::UNPROCESSABLE_ENTITY, "Not handled");
            Err(Problem { status, title, detail })
        }
        Err(error) => Err(refusal(&error)),
    })
    .await
}

/// `POST /api/dead-letters/redrive?rule=`: has the rules handle all events again, or those of one rule.
pub(super) async fn redrive_all(State(api): State<Api>, uri: Uri) -> Result<Json<Value>, Problem> {
    let rule = rule_of(&uri)?;
    aside(move || {
        let (mut handled, mut failed) = (0, 0);
        for id in api.pipeline.dead_letter_ids(rule.as_deref()) {
            match api.pipeline.redrive(&id, None) {
                Ok(Redriven::Done) => handled += 1,
                // Somebody else has had it handled meanwhile.
                Err(RedriveError::Gone(_)) => {}
                Ok(Redriven::Failed)
                | Err(
                    RedriveError::Event(_)
                    | RedriveError::NoRule(_)
                    | RedriveError::NoTrigger(_)
                    | RedriveError::NotAMessage
                    | RedriveError::Suspended(_),
                ) => failed += 1,
                Err(error) => return Err(refusal(&error)),
            }
        }
        Ok(Json(json!({ "handled": handled, "failed": failed })))
    })
    .await
}

/// `DELETE /api/dead-letters/<id>`: gives a letter up.
pub(super) async fn forget(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    aside(move || match api.pipeline.remove_dead_letters(std::slice::from_ref(&id)) {
        Ok(0) => Err(Problem::not_found(format!("there is no dead letter {id:?}"))),
        Ok(removed) => Ok(Json(json!({ "removed": removed }))),
        Err(error) => Err(Problem::failed(&error)),
    })
    .await
}

/// `DELETE /api/dead-letters?rule=`: gives all letters up, or those of one rule.
pub(super) async fn purge(State(api): State<Api>, uri: Uri) -> Result<Json<Value>, Problem> {
    let rule = rule_of(&uri)?;
    aside(move || {
        let ids = api.pipeline.dead_letter_ids(rule.as_deref());
        let removed = api.pipeline.remove_dead_letters(&ids).map_err(|error| Problem::failed(&error))?;
        Ok(Json(json!({ "removed": removed })))
    })
    .await
}

fn rule_of(uri: &Uri) -> Result<Option<String>, Problem> {
    let query = Query::parse(uri, &["rule"]).map_err(Problem::bad)?;
    Ok(query.owned("rule"))
}

/// A letter without its event.
fn summary(letter: &DeadLetter) -> Value {
    let mut value = serde_json::to_value(letter).unwrap_or_default();
    if let Value::Object(members) = &mut value {
        let event = members.remove("event").unwrap_or_default();
        for member in ["kind", "topic", "client_id"] {
            if let Some(told) = event.get(member) {
                members.insert(member.to_owned(), told.clone());
            }
        }
    }
    value
}

fn refusal(error: &RedriveError) -> Problem {
    let status = match error {
        RedriveError::Gone(_) => StatusCode::NOT_FOUND,
        RedriveError::NotAMessage => StatusCode::BAD_REQUEST,
        RedriveError::NoRule(_) | RedriveError::NoTrigger(_) | RedriveError::Suspended(_) => {
            StatusCode::CONFLICT
        }
        RedriveError::Event(_) => StatusCode::UNPROCESSABLE_ENTITY,
        RedriveError::Append(_) | RedriveError::Commit(_) | RedriveError::Letter(_) => {
            StatusCode::INSUFFICIENT_STORAGE
        }
    };
    Problem { status, title: "Not handled", detail: chain(error) }
}
