//! What the running server has of its rules: lists, versions, differences, and the way back.

use serde_json::Value;

use crate::cli::answer::{items, print_json, text};
use crate::cli::client::{encode, with_query};
use crate::cli::config_file::ConfigFile;
use crate::cli::table;

/// Lines shown around a change.
const CONTEXT_LINES: usize = 3;

/// The rules and how they fare.
pub(super) fn list(json: bool, config: &ConfigFile) -> anyhow::Result<()> {
    let answer = config.client()?.get("/api/rules")?;
    if json {
        return print_json(&answer);
    }
    let rows = items(&answer["rules"]).map(|rule| {
        let triggers = items(&rule["triggers"]).filter_map(Value::as_str);
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
    for broken in items(&answer["broken"]) {
        println!("\nnot activated: {}", text(&broken["error"]));
    }
    Ok(())
}

/// The versions of a rule.
pub(super) fn versions(name: &str, json: bool, config: &ConfigFile) -> anyhow::Result<()> {
    let answer = config.client()?.get(&format!("{}/versions", rule(name)))?;
    if json {
        return print_json(&answer);
    }
    let rows = items(&answer["versions"]).map(|version| {
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
    let answer = config.client()?.get(&with_query(&rule(name), &[("version", version)]))?;
    print!("{}", answer["source"].as_str().unwrap_or_default());
    Ok(())
}

/// How two versions differ.
pub(super) fn diff(
    name: &str,
    from: Option<&str>,
    to: Option<&str>,
    config: &ConfigFile,
) -> anyhow::Result<()> {
    let path = with_query(&format!("{}/diff", rule(name)), &[("from", from), ("to", to)]);
    let answer = config.client()?.get(&path)?;
    println!("{name}: {} to {}", text(&answer["from"]), text(&answer["to"]));
    let lines: Vec<&str> = items(&answer["lines"]).filter_map(Value::as_str).collect();
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
    let path = format!("{}/rollback", rule(name));
    let path = with_query(&path, &[("version", Some(version)), ("note", note)]);
    let answer = config.client()?.post(&path, Vec::new())?;
    println!("{name} is version {} now, in {}", text(&answer["version"]), text(&answer["file"]));
    Ok(())
}

/// Ends a suspension.
pub(super) fn resume(name: &str, config: &ConfigFile) -> anyhow::Result<()> {
    let answer = config.client()?.post(&format!("{}/resume", rule(name)), Vec::new())?;
    if answer["wasSuspended"] == true {
        println!("{name} handles events again, those first that were put aside");
    } else {
        println!("{name} was not suspended");
    }
    Ok(())
}

/// Where the server has a rule.
fn rule(name: &str) -> String {
    format!("/api/rules/{}", encode(name))
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
