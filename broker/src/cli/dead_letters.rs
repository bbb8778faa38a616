//! `pointsman dead-letters …`: the events on which rules failed, and how they are handled again.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Subcommand;
use serde_json::Value;

use super::client::{Client, encode};
use super::rules::{ConfigFile, text};
use super::table;

#[derive(Debug, Subcommand)]
pub(super) enum DeadLettersCommand {
    /// Lists them, the oldest first.
    List {
        /// Only those of this rule.
        #[arg(long)]
        rule: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Gives one up, or all.
    Purge {
        /// The letter.
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        id: Option<String>,
        /// All of them, or all of one rule.
        #[arg(long)]
        all: bool,
        /// With --all: only those of this rule.
        #[arg(long, requires = "all")]
        rule: Option<String>,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Has the rule handle the event again; the letter goes when that succeeds.
    Redrive {
        /// The letter.
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        id: Option<String>,
        /// All of them, or all of one rule.
        #[arg(long)]
        all: bool,
        /// With --all: only those of this rule.
        #[arg(long, requires = "all")]
        rule: Option<String>,
        /// A file whose content takes the place of the message's payload.
        #[arg(long, value_name = "FILE", conflicts_with = "all")]
        payload: Option<PathBuf>,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Prints one with its event, as JSON.
    Show {
        /// The letter.
        id: String,
        #[command(flatten)]
        config: ConfigFile,
    },
}

impl DeadLettersCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            DeadLettersCommand::List { rule, json, config } => list(rule.as_deref(), json, &config),
            DeadLettersCommand::Purge { id, rule, config, .. } => {
                let answer = Client::of(config.path())?.delete(&path(id.as_deref(), rule.as_deref()))?;
                println!("{} given up", text(&answer["removed"]));
                Ok(())
            }
            DeadLettersCommand::Redrive { id: Some(id), payload, config, .. } => {
                redrive(&id, payload.as_deref(), &config)
            }
            DeadLettersCommand::Redrive { rule, config, .. } => redrive_all(rule.as_deref(), &config),
            DeadLettersCommand::Show { id, config } => {
                let letter = Client::of(config.path())?.get(&path(Some(&id), None))?;
                println!("{}", serde_json::to_string_pretty(&letter)?);
                Ok(())
            }
        }
    }
}

fn list(rule: Option<&str>, json: bool, config: &ConfigFile) -> anyhow::Result<()> {
    let client = Client::of(config.path())?;
    let mut letters: Vec<Value> = Vec::new();
    let mut after = String::new();
    loop {
        let rule = rule.map(|rule| format!("&rule={}", encode(rule))).unwrap_or_default();
        let page = client.get(&format!("/api/dead-letters?after={}{rule}", encode(&after)))?;
        letters.extend(page["letters"].as_array().cloned().unwrap_or_default());
        let Some(next) = page["next"].as_str() else { break };
        next.clone_into(&mut after);
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&letters)?);
        return Ok(());
    }
    let rows = letters.iter().map(|letter| {
        [
            text(&letter["id"]),
            text(&letter["rule"]),
            table::age(&letter["time"]),
            text(&letter["attempts"]),
            text(&letter["topic"]),
            text(&letter["line"]),
            text(&letter["message"]).lines().next().unwrap_or_default().to_owned(),
        ]
    });
    table::print(["id", "rule", "failed", "tries", "topic", "line", "why"], rows.collect());
    Ok(())
}

fn redrive(id: &str, payload: Option<&std::path::Path>, config: &ConfigFile) -> anyhow::Result<()> {
    let client = Client::of(config.path())?;
    let path = format!("/api/dead-letters/{}/redrive", encode(id));
    match payload {
        None => client.post(&path, Vec::new())?,
        Some(file) => {
            let payload = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            client.post(&format!("{path}?edited=true"), payload)?
        }
    };
    println!("{id} is handled");
    Ok(())
}

fn redrive_all(rule: Option<&str>, config: &ConfigFile) -> anyhow::Result<()> {
    let rule = rule.map(|rule| format!("?rule={}", encode(rule))).unwrap_or_default();
    let answer = Client::of(config.path())?.post(&format!("/api/dead-letters/redrive{rule}"), Vec::new())?;
    println!("{} handled, {} failed again", text(&answer["handled"]), text(&answer["failed"]));
    ensure!(answer["failed"] == 0, "some events could not be handled: see `pointsman dead-letters list`");
    Ok(())
}

fn path(id: Option<&str>, rule: Option<&str>) -> String {
    match (id, rule) {
        (Some(id), _) => format!("/api/dead-letters/{}", encode(id)),
        (None, Some(rule)) => format!("/api/dead-letters?rule={}", encode(rule)),
        (None, None) => "/api/dead-letters".to_owned(),
    }
}
