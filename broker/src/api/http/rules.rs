//! `/api/rules…`: the rules, their versions, and what becomes of them, for the operator.

use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use pointsman_rules::RuleName;
use pointsman_rules::testing::diff_lines;
use serde_json::{Value, json};

use super::Api;
use super::problem::Problem;
use super::query::Query;
use crate::auth::ADMIN;
use crate::pipeline::{Cause, SaveError, Version};
use crate::report::chain;

/// Bytes of a script that is sent; the limit of scripts themselves is lower and says more.
const BODY_BYTES_MAX: usize = 2 << 20;
/// How long the body of a request may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// What a handler answers that went wrong.
type Refusal = Response;

/// `GET /api/rules`: the active rules and how they fare, and the files that did not load.
pub(super) async fn list(State(api): State<Api>) -> Result<Json<Value>, Refusal> {
    let rules = aside(move || {
        let rules = api.pipeline.rules().into_iter().map(|status| {
            let name = RuleName::parse(&status.name).ok();
            let newest = name.and_then(|name| api.pipeline.versions(&name).ok()).unwrap_or_default();
            let mut rule = serde_json::to_value(&status).unwrap_or_default();
            if let Some(version) = newest.into_iter().find(|version| version.version == status.version) {
                rule["number"] = version.number.into();
                rule["time"] = version.time.into();
                rule["author"] = version.author.into();
            }
            rule
        });
        json!({ "rules": rules.collect::<Vec<_>>(), "broken": api.pipeline.broken_rules() })
    });
    Ok(Json(rules.await))
}

/// `GET /api/rules/<name>?version=`: the text of a version; of the newest, if none is named.
pub(super) async fn get(
    State(api): State<Api>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Json<Version>, Refusal> {
    let query = Query::parse(&uri, &["version"]).map_err(bad)?;
    let wanted = query.get("version").map(str::to_owned);
    aside(move || version(&api, &name, wanted.as_deref())).await.map(Json)
}

/// `GET /api/rules/<name>/versions`: the versions, the newest first, without their texts.
pub(super) async fn versions(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let versions = aside(move || all_versions(&api, &name)).await?;
    let rows = versions.iter().map(|version| {
        json!({
            "number": version.number, "version": version.version, "time": version.time, "author": version.author,
            "note": version.note, "bytes": version.source.len(),
        })
    });
    Ok(Json(json!({ "versions": rows.collect::<Vec<_>>() })))
}

/// `GET /api/rules/<name>/diff?from=&to=`: what makes the one version of the other, line by line. Without `to` the newest
/// is meant, without `from` the one before it.
pub(super) async fn diff(
    State(api): State<Api>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Json<Value>, Refusal> {
    let query = Query::parse(&uri, &["from", "to"]).map_err(bad)?;
    let (from, to) = (query.get("from").map(str::to_owned), query.get("to").map(str::to_owned));
    let lines = aside(move || {
        let versions = all_versions(&api, &name)?;
        let to = find(&versions, &name, to.as_deref())?;
        let before = to.number.saturating_sub(1).to_string();
        let from = find(&versions, &name, Some(from.as_deref().unwrap_or(&before)))?;
        let lines = diff_lines(&from.source, &to.source);
        Ok::<_, Refusal>(json!({
            "from": from.number, "to": to.number,
            "lines": lines.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }))
    });
    lines.await.map(Json)
}

/// `PUT /api/rules/<name>?note=`: saves the body as the rule's file, if it compiles and its tests pass.
pub(super) async fn put(
    State(api): State<Api>,
    Path(name): Path<String>,
    uri: Uri,
    body: Body,
) -> Result<Json<Value>, Refusal> {
    let note = note_of(&uri)?;
    let source = text(body).await?;
    aside(move || save(&api, &name, &source, note)).await.map(Json)
}

/// `POST /api/rules/<name>/rollback?version=&note=`: saves the text of a version as the rule's file.
pub(super) async fn rollback(
    State(api): State<Api>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Json<Value>, Refusal> {
    let query = Query::parse(&uri, &["note", "version"]).map_err(bad)?;
    let Some(wanted) = query.get("version").map(str::to_owned) else {
        return Err(bad("the query names no version: add ?version=".to_owned()));
    };
    let note = query.get("note").map(str::to_owned);
    let saved = aside(move || {
        let version = version(&api, &name, Some(&wanted))?;
        let note = note.unwrap_or_else(|| format!("rollback to {}", version.number));
        save(&api, &name, &version.source, note)
    });
    saved.await.map(Json)
}

/// `POST /api/rules/<name>/resume`: ends a suspension.
pub(super) async fn resume(State(api): State<Api>, Path(name): Path<String>) -> Result<Json<Value>, Refusal> {
    let resumed = aside(move || {
        let rule = rule_name(&name)?;
        let was_suspended = api.pipeline.resume_rule(&rule);
        was_suspended.ok_or_else(|| not_found(format!("there is no active rule {name:?}")))
    });
    Ok(Json(json!({ "wasSuspended": resumed.await? })))
}

/// Runs what may take the disk or a while on a thread that may wait.
pub(super) async fn aside<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let done = tokio::task::spawn_blocking(body).await;
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

/// The body of a request as text.
pub(super) async fn text(body: Body) -> Result<String, Refusal> {
    let bytes = bytes(body).await?;
    String::from_utf8(bytes.to_vec()).map_err(|_| bad("the body is not UTF-8".to_owned()))
}

/// The body of a request.
pub(super) async fn bytes(body: Body) -> Result<Bytes, Refusal> {
    let read = tokio::time::timeout(BODY_TIMEOUT, axum::body::to_bytes(body, BODY_BYTES_MAX)).await;
    let read =
        read.map_err(|_| bad(format!("the body took longer than {} seconds", BODY_TIMEOUT.as_secs())))?;
    read.map_err(|_| {
        let detail = format!("the body did not arrive whole within {BODY_BYTES_MAX} bytes");
        Problem { status: StatusCode::PAYLOAD_TOO_LARGE, title: "Payload too large", detail }.into_response()
    })
}

pub(super) fn rule_name(name: &str) -> Result<RuleName, Refusal> {
    RuleName::parse(name).map_err(|error| bad(error.to_string()))
}

pub(super) fn bad(detail: String) -> Refusal {
    Problem { status: StatusCode::BAD_REQUEST, title: "Not understood", detail }.into_response()
}

pub(super) fn not_found(detail: String) -> Refusal {
    Problem { status: StatusCode::NOT_FOUND, title: "Not found", detail }.into_response()
}

/// What the server itself could not do.
pub(super) fn failed(error: &dyn std::error::Error) -> Refusal {
    let detail = chain(error);
    Problem { status: StatusCode::INTERNAL_SERVER_ERROR, title: "Not done", detail }.into_response()
}

fn note_of(uri: &Uri) -> Result<String, Refusal> {
    let query = Query::parse(uri, &["note"]).map_err(bad)?;
    Ok(query.get("note").unwrap_or_default().to_owned())
}

fn save(api: &Api, name: &str, source: &str, note: String) -> Result<Value, Refusal> {
    let name = rule_name(name)?;
    let cause = Cause { author: ADMIN.to_owned(), note };
    let rule = api.pipeline.save_rule(&name, source, &cause).map_err(|error| {
        let detail = chain(&error);
        let (status, title) = match &error {
            SaveError::Activation(_) => (StatusCode::UNPROCESSABLE_ENTITY, "Not activated"),
            SaveError::NoteTooLong => (StatusCode::BAD_REQUEST, "Not understood"),
            SaveError::Unwritable { .. } => (StatusCode::INSUFFICIENT_STORAGE, "Not saved"),
        };
        Problem { status, title, detail }.into_response()
    })?;
    Ok(json!({ "name": name.as_str(), "version": rule.version, "file": rule.file }))
}

fn version(api: &Api, name: &str, wanted: Option<&str>) -> Result<Version, Refusal> {
    let versions = all_versions(api, name)?;
    find(&versions, name, wanted).cloned()
}

fn all_versions(api: &Api, name: &str) -> Result<Vec<Version>, Refusal> {
    let versions = api.pipeline.versions(&rule_name(name)?).map_err(|error| failed(&error))?;
    if versions.is_empty() {
        return Err(not_found(format!("no version of a rule {name:?} is kept")));
    }
    Ok(versions)
}

/// The version of that number, or whose hash begins so; the newest if none is named.
fn find<'a>(versions: &'a [Version], name: &str, wanted: Option<&str>) -> Result<&'a Version, Refusal> {
    /// Digits of a hash that are enough.
    const PREFIX_MIN: usize = 4;
    let found = match wanted {
        None => versions.first(),
        Some(wanted) => {
            let numbered = wanted.parse().ok();
            let by_number = versions.iter().find(|version| Some(version.number) == numbered);
            let is_meant =
                |version: &&Version| wanted.len() >= PREFIX_MIN && version.version.starts_with(wanted);
            by_number.or_else(|| versions.iter().find(is_meant))
        }
    };
    let oldest = versions.last().map_or(0, |version| version.number);
    let newest = versions.first().map_or(0, |version| version.number);
    found.ok_or_else(|| {
        let wanted = wanted.unwrap_or_default();
        not_found(format!("rule {name:?} has no version {wanted:?}: kept are {oldest} to {newest}"))
    })
}
