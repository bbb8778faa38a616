//! What the running server has of its rules: lists, versions, differences, and the way back.

use serde_json::Value;

use super::ConfigFile;
use crate::cli::client::{Client, encode};
use crate::cli::table;

/// Lines shown around a change.
const CONTEXT_LINES: usize = 3;

/// The rules and how they fare.
pub(super) fn list(json: bool, config: &ConfigFile) -> anyhow::Result<()> {
    let answer = Client::of(config.path())?.get("/api/rules")?;
    if json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
        return Ok(());
    }
    let rules = answer["rules"].as_array().cloned().unwrap_or_default();
    let rows = rules.iter().map(|rule| {
        let triggers = rule["triggers"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let state = if rule["suspended"] == true { "suspended" } else { "active" };
        [
            text(&rule["name"]),
            text(&rule["number"]),
            text(&rule["version"]),
            state.to_owned(),
            text(&rule["author"]),
            table::age(&rule["time"]),
            triggers.collect::<Vec<_>>().join(" "),
        ]
    });
    table::print(["rule", "no", "version", "state", "by", "since", "listens to"], rows.collect());
    for broken in answer["broken"].as_array().into_iter().flatten() {
        println!("\nnot activated: {}", text(&broken["error"]));
    }
    Ok(())
}

/// The versions of a rule.
pub(super) fn versions(name: &str, json: bool, config: &ConfigFile) -> anyhow::Result<()> {
    let answer = Client::of(config.path())?.get(&format!("/api/rules/{}/versions", encode(name)))?;
    if json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
        return Ok(());
    }
    let versions = answer["versions"].as_array().cloned().unwrap_or_default();
    let rows = versions.iter().map(|version| {
        [
            text(&version["number"]),
            text(&version["version"]),
            table::age(&version["time"]),
            text(&version["author"]),
            text(&version["bytes"]),
            text(&version["note"]),
        ]
    });
    table::print(["no", "version", "active", "by", "bytes", "note"], rows.collect());
    Ok(())
}

/// The text of a version.
pub(super) fn show(name: &str, version: Option<&str>, config: &ConfigFile) -> anyhow::Result<()> {
    let query = version.map(|version| format!("?version={}", encode(version))).unwrap_or_default();
    let answer = Client::of(config.path())?.get(&format!("/api/rules/{}{query}", encode(name)))?;
    print!("{}", answer["source"].as_str().unwrap_or_default());
    Ok(())
}

/// How two versions differ.
pub(super) fn diff(
    name: &str,
    from: Option<String>,
    to: Option<String>,
    config: &ConfigFile,
) -> anyhow::Result<()> {
    let named = [("from", from), ("to", to)].into_iter().filter_map(|(key, value)| Some((key, value?)));
    let query: Vec<String> = named.map(|(key, value)| format!("{key}={}", encode(&value))).collect();
    let path = format!("/api/rules/{}/diff?{}", encode(name), query.join("&"));
    let answer = Client::of(config.path())?.get(&path)?;
    println!("{name}: {} to {}", text(&answer["from"]), text(&answer["to"]));
    let lines: Vec<&str> =
        answer["lines"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for line in around_changes(&lines) {
        println!("{line}");
    }
    Ok(())
}

/// Makes an earlier version active again.
pub(super) fn rollback(
    name: &str,
    version: &str,
    note: Option<&str>,
    config: &ConfigFile,
) -> anyhow::Result<()> {
    let note = note.map(|note| format!("&note={}", encode(note))).unwrap_or_default();
    let path = format!("/api/rules/{}/rollback?version={}{note}", encode(name), encode(version));
    let answer = Client::of(config.path())?.post(&path, Vec::new())?;
    println!("{name} is version {} now, in {}", text(&answer["version"]), text(&answer["file"]));
    Ok(())
}

/// Ends a suspension.
pub(super) fn resume(name: &str, config: &ConfigFile) -> anyhow::Result<()> {
    let answer =
        Client::of(config.path())?.post(&format!("/api/rules/{}/resume", encode(name)), Vec::new())?;
    if answer["wasSuspended"] == true {
        println!("{name} handles events again, those first that were put aside");
    } else {
        println!("{name} was not suspended");
    }
    Ok(())
}

/// A value as people read it.
pub(in crate::cli) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The changed lines of a difference with some around them; `…` where lines are left out.
fn around_changes<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let is_change = |line: &&str| !line.starts_with(' ');
    let mut shown = Vec::new();
    let mut is_left_out = false;
    for (at, line) in lines.iter().enumerate() {
        let around = at.saturating_sub(CONTEXT_LINES)..(at + CONTEXT_LINES + 1).min(lines.len());
        if lines[around].iter().any(is_change) {
            if is_left_out {
                shown.push("…");
            }
            shown.push(line);
            is_left_out = false;
        } else {
            is_left_out = true;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_far_from_changes_is_left_out() {
        let lines = ["  1", "  2", "  3", "  4", "- 5", "+ 6", "  7", "  8", "  9", "  10", "  11"];
        assert_eq!(around_changes(&lines), ["…", "  2", "  3", "  4", "- 5", "+ 6", "  7", "  8", "  9"]);
        assert!(around_changes(&["  1", "  2"]).is_empty());
    }
}
