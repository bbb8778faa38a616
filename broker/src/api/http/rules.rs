//! `/api/rules…`: the rules, their versions, and what becomes of them, for the operator.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use pointsman_rules::RuleName;
use pointsman_rules::testing::diff_lines;
use serde_json::{Value, json};

use super::Api;
use super::body::text;
use super::problem::Problem;
use super::query::Query;
use crate::aside::aside;
use crate::auth::ADMIN;
use crate::pipeline::{Cause, SaveError, Version};
use crate::report::chain;

/// `GET /api/rules`: the active rules and how they fare, and the files that did not load.
pub(super) async fn list(State(api): State<Api>) -> Json<Value> {
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
    Json(rules.await)
}

/// `GET /api/rules/<name>?version=`: the text of a version; of the newest, if none is named.
pub(super) async fn get(
    State(api): State<Api>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Json<Version>, Problem> {
    let query = Query::parse(&uri, &["version"]).map_err(Problem::bad)?;
    let wanted = query.owned("version");
    aside(move || version(&api, &name, wanted.as_deref())).await.map(Json)
}

/// `GET /api/rules/<name>/versions`: the versions, the newest first, without their texts.
pub(super) async fn versions(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
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
) -> Result<Json<Value>, Problem> {
    let query = Query::parse(&uri, &["from", "to"]).map_err(Problem::bad)?;
    let (from, to) = (query.owned("from"), query.owned("to"));
    let lines = aside(move || {
        let versions = all_versions(&api, &name)?;
        let to = find(&versions, &name, to.as_deref())?;
        let before = to.number.saturating_sub(1).to_string();
        let from = find(&versions, &name, Some(from.as_deref().unwrap_or(&before)))?;
        let lines = diff_lines(&from.source, &to.source);
        Ok::<_, Problem>(json!({
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
) -> Result<Json<Value>, Problem> {
    let note = note_of(&uri)?;
    let source = text(body).await?;
    aside(move || save(&api, &name, &source, note)).await.map(Json)
}

/// `POST /api/rules/<name>/rollback?version=&note=`: saves the text of a version as the rule's file.
pub(super) async fn rollback(
    State(api): State<Api>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Json<Value>, Problem> {
    let query = Query::parse(&uri, &["note", "version"]).map_err(Problem::bad)?;
    let Some(wanted) = query.owned("version") else {
        return Err(Problem::bad("the query names no version: add ?version=".to_owned()));
    };
    let note = query.owned("note");
    let saved = aside(move || {
        let version = version(&api, &name, Some(&wanted))?;
        let note = note.unwrap_or_else(|| format!("rollback to {}", version.number));
        save(&api, &name, &version.source, note)
    });
    saved.await.map(Json)
}

/// `POST /api/rules/<name>/resume`: ends a suspension.
pub(super) async fn resume(State(api): State<Api>, Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    let resumed = aside(move || {
        let rule = rule_name(&name)?;
        let was_suspended = api.pipeline.resume_rule(&rule);
        was_suspended.ok_or_else(|| Problem::not_found(format!("there is no active rule {name:?}")))
    });
    Ok(Json(json!({ "wasSuspended": resumed.await? })))
}

pub(super) fn rule_name(name: &str) -> Result<RuleName, Problem> {
    RuleName::parse(name).map_err(|error| Problem::bad(error.to_string()))
}

fn note_of(uri: &Uri) -> Result<String, Problem> {
    let query = Query::parse(uri, &["note"]).map_err(Problem::bad)?;
    Ok(query.get("note").unwrap_or_default().to_owned())
}

fn save(api: &Api, name: &str, source: &str, note: String) -> Result<Value, Problem> {
    let name = rule_name(name)?;
    let cause = Cause { author: ADMIN.to_owned(), note };
    let rule = api.pipeline.save_rule(&name, source, &cause).map_err(|error| {
        let detail = chain(&error);
        let (status, title) = match &error {
            SaveError::Activation(_) => (StatusCode::UNPROCESSABLE_ENTITY, "Not activated"),
            SaveError::NoteTooLong => (StatusCode::BAD_REQUEST, "Not understood"),
            SaveError::Unwritable { .. } => (StatusCode::INSUFFICIENT_STORAGE, "Not saved"),
        };
        Problem { status, title, detail }
    })?;
    Ok(json!({ "name": name.as_str(), "version": rule.version, "file": rule.file }))
}

fn version(api: &Api, name: &str, wanted: Option<&str>) -> Result<Version, Problem> {
    let versions = all_versions(api, name)?;
    find(&versions, name, wanted).cloned()
}

fn all_versions(api: &Api, name: &str) -> Result<Vec<Version>, Problem> {
    let versions = api.pipeline.versions(&rule_name(name)?).map_err(|error| Problem::failed(&error))?;
    if versions.is_empty() {
        return Err(Problem::not_found(format!("no version of a rule {name:?} is kept")));
    }
    Ok(versions)
}

/// The version of that number, or whose hash begins so; the newest if none is named.
fn find<'a>(versions: &'a [Version], name: &str, wanted: Option<&str>) -> Result<&'a Version, Problem> {
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
        Problem::not_found(format!("rule {name:?} has no version {wanted:?}: kept are {oldest} to {newest}"))
    })
}
