//! `/api/bus…`: events for the bus, and the replay of what was on it, for the operator.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use pointsman_rules::bus::{Entry, is_bus_name};
use pointsman_rules::{parse_duration, parse_time};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::body::bytes;
use super::problem::Problem;
use super::rules::rule_name;
use crate::aside::aside;
use crate::pipeline::{BusReplay, BusReplayError, BusReplayRequest, PutEventsError};

/// What `PutEvents` of the cloud calls a call that is wrong as a whole.
const VALIDATION: &str = "ValidationException";

/// The body of a call that puts events.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PutEvents {
    #[serde(rename = "Entries")]
    entries: Vec<Value>,
}

/// The body of a call that begins a replay.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplayBody {
    rule: String,
    from: Value,
    to: Option<Value>,
    bus: Option<String>,
}

/// `POST /api/bus/events`: puts events. When it answers, they are on disk.
pub(super) async fn put(State(api): State<Api>, body: Body) -> Result<Json<Value>, Response> {
    let body = bytes(body).await?;
    let PutEvents { entries } =
        serde_json::from_slice(&body).map_err(|error| invalid(&format!("the body is no call: {error}")))?;
    let entries: Vec<Entry> =
        entries.iter().map(Entry::from_json).collect::<Result<_, _>>().map_err(|why| invalid(&why))?;
    let results = match api.pipeline.put_events(&entries).await {
        Ok(results) => results,
        Err(PutEventsError::Call(error)) => return Err(invalid(&error.to_string())),
        Err(error @ PutEventsError::NotKept(_)) => {
            let (status, detail) = (StatusCode::INSUFFICIENT_STORAGE, error.to_string());
            return Err(Problem { status, title: "Not put", detail }.into());
        }
    };
    let failed = results.iter().filter(|result| result.is_err()).count();
    let entries = results.into_iter().map(|result| match result {
        Ok(id) => json!({ "EventId": id }),
        Err(error) => json!({ "ErrorCode": error.code(), "ErrorMessage": error.to_string() }),
    });
    Ok(Json(json!({ "FailedEntryCount": failed, "Entries": entries.collect::<Vec<_>>() })))
}

/// `POST /api/bus/replay`: begins to give a rule again what the log holds of a time.
pub(super) async fn replay(
    State(api): State<Api>,
    body: Body,
) -> Result<(StatusCode, Json<BusReplay>), Problem> {
    let body = bytes(body).await?;
    let read: ReplayBody = serde_json::from_slice(&body)
        .map_err(|error| Problem::bad(format!("the body is no replay: {error}")))?;
    let now_ms = api.hub.now_ms();
    if let Some(bus) = read.bus.as_deref().filter(|bus| !is_bus_name(bus)) {
        return Err(Problem::bad(format!(
            "bus is {bus:?}: a name has 1 to 256 characters of A-Z, a-z, 0-9 and . - _"
        )));
    }
    let request = BusReplayRequest {
        rule: rule_name(&read.rule)?,
        from_ms: time("from", &read.from, now_ms)?,
        to_ms: read.to.as_ref().map_or(Ok(now_ms), |to| time("to", to, now_ms))?,
        bus: read.bus,
    };
    let begun = aside(move || api.pipeline.start_bus_replay(request)).await;
    begun.map(|replay| (StatusCode::ACCEPTED, Json(replay))).map_err(|error| refusal(&error))
}

/// `GET /api/bus/replays`: the last replay of each rule.
pub(super) async fn replays(State(api): State<Api>) -> Result<Json<Value>, Problem> {
    let replays = aside(move || api.pipeline.bus_replays()).await;
    replays.map(|replays| Json(json!({ "replays": replays }))).map_err(|error| refusal(&error))
}

/// `DELETE /api/bus/replays/<rule>`: ends the replay to a rule. What it has given is handled.
pub(super) async fn cancel(
    State(api): State<Api>,
    Path(rule): Path<String>,
) -> Result<Json<BusReplay>, Problem> {
    let name = rule_name(&rule)?;
    let ended = api.pipeline.cancel_bus_replay(&name);
    ended.map(Json).ok_or_else(|| Problem::not_found(format!("no replay to rule {rule:?} goes on")))
}

/// A time: milliseconds since 1970, a text such as `2026-03-01T10:00:00Z`, or how long ago it was, such as `1h`.
fn time(member: &str, value: &Value, now_ms: u64) -> Result<u64, Problem> {
    let text = value.as_str();
    let ago = text.and_then(parse_duration).and_then(|ago| u64::try_from(ago.as_millis()).ok());
    let at = text.and_then(parse_time).and_then(|at| u64::try_from(at).ok());
    value.as_u64().or(ago.map(|ago| now_ms.saturating_sub(ago))).or(at).ok_or_else(|| {
        Problem::bad(format!(
            "{member} is {value}: give 2026-03-01T10:00:00Z, how long ago such as 1h, or milliseconds since 1970"
        ))
    })
}

/// A call that is wrong as a whole, with the members that callers of `PutEvents` know besides.
fn invalid(detail: &str) -> Response {
    let status = StatusCode::BAD_REQUEST;
    let body = json!({
        "status": status.as_u16(), "title": VALIDATION, "detail": detail, "code": VALIDATION, "message": detail,
    });
    let kind = HeaderValue::from_static("application/problem+json");
    (status, [(header::CONTENT_TYPE, kind)], body.to_string()).into_response()
}

fn refusal(error: &BusReplayError) -> Problem {
    let status = match error {
        BusReplayError::NoRule(_) => StatusCode::NOT_FOUND,
        BusReplayError::NoTime => StatusCode::BAD_REQUEST,
        BusReplayError::Busy(_) | BusReplayError::Suspended(_) => StatusCode::CONFLICT,
        BusReplayError::TooMany => StatusCode::TOO_MANY_REQUESTS,
        BusReplayError::NotWanted(_) => StatusCode::UNPROCESSABLE_ENTITY,
        BusReplayError::Log(_) => return Problem::failed(error),
    };
    Problem { status, title: "Not replayed", detail: error.to_string() }
}
