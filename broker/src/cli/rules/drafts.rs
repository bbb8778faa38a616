//! `rules replay` and `rules shadow`: what a draft would do on what was recorded, and on what comes.

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde_json::Value;

use crate::cli::answer::{items, print_json, text};
use crate::cli::client::{encode, with_query};
use crate::cli::config_file::ConfigFile;

/// Runs a draft on what was recorded.
pub(super) fn replay(file: &Path, since: &str, json: bool, config: &ConfigFile) -> anyhow::Result<()> {
    compare(file, &with_query("replay", &[("since", Some(since))]), json, config)
}

/// Runs a draft on what comes.
pub(super) fn shadow(file: &Path, time: &str, json: bool, config: &ConfigFile) -> anyhow::Result<()> {
    compare(file, &with_query("shadow", &[("for", Some(time))]), json, config)
}

fn compare(file: &Path, what: &str, json: bool, config: &ConfigFile) -> anyhow::Result<()> {
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let draft = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let answer = config.client()?.post(&format!("/api/rules/{}/{what}", encode(&name)), draft)?;
    if json {
        return print_json(&answer);
    }
    let count = |name: &str| text(&answer[name]);
    println!("{} events, {} of them for the rule and compared", count("events"), count("matched"));
    if answer["batches"] != 0 || answer["times"] != 0 {
        println!("among the events are {} batches and {} times", count("batches"), count("times"));
    }
    println!("{} as before, {} different", count("same"), count("different"));
    println!("the draft fails on {}, the active version on {}", count("draftFailed"), count("activeFailed"));
    if answer["skipped"] != 0 {
        println!("{} were skipped, as there were too many at a time", count("skipped"));
    }
    if let Some(why) = answer["endedEarly"].as_str().filter(|why| !why.is_empty()) {
        println!("there may be more: {why}");
    }
    if answer["incomplete"] != 0 {
        println!("{} messages are in batches that were not complete at the end", count("incomplete"));
    }
    if answer["timesLeftOut"] != 0 {
        println!(
            "{} times were left out: a trigger is called {} times at most",
            count("timesLeftOut"),
            count("timesMax")
        );
    }
    for apart in items(&answer["notCompared"]) {
        print_apart(apart)?;
    }
    for difference in items(&answer["differences"]) {
        print_difference(difference)?;
    }
    Ok(())
}

/// What only one of the versions is called with.
fn print_apart(apart: &Value) -> anyhow::Result<()> {
    let part = |name: &str| text(&apart[name]);
    println!("\nnot compared: {} {} of {}: {}", part("whose"), part("handler"), part("on"), part("why"));
    println!("  {} runs, {} failed, {} effects", part("runs"), part("failed"), part("effects"));
    if !apart["example"].is_null() {
        println!("  such as: {}", serde_json::to_string(&apart["example"]["run"])?);
    }
    Ok(())
}

fn print_difference(difference: &Value) -> anyhow::Result<()> {
    println!("\nevent {}", difference["event"]);
    for (who, runs) in [("active", &difference["active"]), ("draft ", &difference["draft"])] {
        for run in items(runs) {
            // Both are there where actions of a statement failed beside others.
            for asked in [&run["effects"], &run["error"]].into_iter().filter(|asked| !asked.is_null()) {
                println!("  {who} {}: {}", text(&run["handler"]), serde_json::to_string(asked)?);
            }
        }
        if runs.as_array().is_none_or(Vec::is_empty) {
            println!("  {who} does not listen to it");
        }
    }
    Ok(())
}
