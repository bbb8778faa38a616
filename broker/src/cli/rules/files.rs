//! `rules check` and `rules run`: what needs no server.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, ensure};
use pointsman_rules::{DryRun, Event, EventDefaults, EventId, MemoryTables, Snapshot};
use serde_json::{Value, json};

use crate::app::rule_limits;
use crate::cli::answer::print_json;
use crate::cli::config_file::ConfigFile;
use crate::clock::Clock;
use crate::pipeline;
use crate::report::chain;

/// Compiles every rule of a folder.
pub(super) fn check(folder: Option<PathBuf>, config: &ConfigFile) -> anyhow::Result<()> {
    let config = config.load()?;
    let folder = folder.unwrap_or_else(|| config.rules.directory.clone());
    let engine = pipeline::engine(rule_limits(&config));
    let mut wrong = 0;
    for (path, result) in pipeline::check_rules(&engine, &folder)? {
        match result {
            Ok(rule) => {
                println!("{}: right, version {}", path.display(), rule.version);
                for (index, trigger) in rule.triggers.iter().enumerate() {
                    let how = if rule.has_plan(index) { ", without the interpreter" } else { "" };
                    println!("  {}: {}{how}", trigger.on, trigger.handler);
                }
            }
            Err(error) => {
                wrong += 1;
                eprintln!("{}", chain(&error));
            }
        }
    }
    ensure!(wrong == 0, "{wrong} of the rules in {} cannot be used", folder.display());
    Ok(())
}

/// Runs a rule on one event and prints the effects.
pub(super) fn run(
    file: &Path,
    event: &Path,
    table: Option<&Path>,
    config: &ConfigFile,
) -> anyhow::Result<()> {
    let engine = pipeline::engine(rule_limits(&config.load()?));
    let library = pipeline::load_library(&engine, folder_of(file))?;
    let rule = pipeline::load_rule(&engine, file, &library)?;
    let now_ms = Clock::system().now_ms();
    let time_ms = i64::try_from(now_ms).unwrap_or(i64::MAX);
    let defaults = EventDefaults { time_ms, id: EventId::new(now_ms, 0) };
    let event =
        Event::from_json(&read_json(event)?, defaults).with_context(|| event.display().to_string())?;
    let mut tables = match table {
        None => MemoryTables::default(),
        Some(path) => {
            MemoryTables::from_json(&read_json(path)?).with_context(|| path.display().to_string())?
        }
    };
    tables.set_time(event.time_ms());
    let snapshot: Arc<dyn Snapshot> = Arc::new(tables);
    let runs = engine.dry_run(&rule, &event, &snapshot);
    ensure!(!runs.is_empty(), "{} listens to no such event", file.display());
    let shown: Vec<Value> = runs.iter().map(DryRun::to_json).collect();
    let answer = json!({ "rule": rule.name.as_str(), "version": rule.version, "runs": shown });
    print_json(&answer)?;
    match runs.iter().find_map(DryRun::error) {
        None => Ok(()),
        Some(error) => Err(anyhow::anyhow!("the rule fails on this event\n{error}")),
    }
}

/// The folder that a file is in.
pub(super) fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn read_json(path: &Path) -> anyhow::Result<Value> {
    let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is not JSON", path.display()))
}
