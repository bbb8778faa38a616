//! `pointsman dead-letters …`: the events on which rules failed, and how they are handled again.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::{Args, Subcommand};
use serde_json::Value;

use super::answer::{first_line, items, print_json, text};
use super::client::{encode, with_query};
use super::config_file::ConfigFile;
use super::table;
use super::which::Which;

/// Where the server has them.
const LETTERS: &str = "/api/dead-letters";

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
        #[command(flatten)]
        letters: Letters,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Has the rule handle the event again; the letter goes when that succeeds.
    Redrive {
        #[command(flatten)]
        letters: Letters,
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

/// One letter, or many.
#[derive(Debug, Args)]
pub(super) struct Letters {
    #[command(flatten)]
    which: Which,
    /// With --all: only those of this rule.
    #[arg(long, requires = "all")]
    rule: Option<String>,
}

impl DeadLettersCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            DeadLettersCommand::List { rule, json, config } => list(rule.as_deref(), json, &config),
            DeadLettersCommand::Purge { letters: Letters { which: Which { id, .. }, rule }, config } => {
                let answer = config.client()?.delete(&path(id.as_deref(), rule.as_deref()))?;
                println!("{} given up", text(&answer["removed"]));
                Ok(())
            }
            DeadLettersCommand::Redrive {
                letters: Letters { which: Which { id, .. }, rule },
                payload,
                config,
            } => match id {
                Some(id) => redrive(&id, payload.as_deref(), &config),
                None => redrive_all(rule.as_deref(), &config),
            },
            DeadLettersCommand::Show { id, config } => {
                let letter = config.client()?.get(&path(Some(&id), None))?;
                print_json(&letter)?;
                Ok(())
            }
        }
    }
}

fn list(rule: Option<&str>, json: bool, config: &ConfigFile) -> anyhow::Result<()> {
    let client = config.client()?;
    let mut letters: Vec<Value> = Vec::new();
    let mut after = String::new();
    loop {
        let page = client.get(&with_query(LETTERS, &[("after", Some(&after)), ("rule", rule)]))?;
        letters.extend(items(&page["letters"]).cloned());
        let Some(next) = page["next"].as_str() else { break };
        next.clone_into(&mut after);
    }
    if json {
        return print_json(&letters);
    }
    let rows = letters.iter().map(|letter| {
        [
            text(&letter["id"]),
            text(&letter["rule"]),
            table::age(&letter["time"]),
            text(&letter["attempts"]),
            text(&letter["topic"]),
            text(&letter["line"]),
            first_line(&letter["message"]),
        ]
    });
    table::print(["id", "rule", "failed", "tries", "topic", "line", "why"], rows.collect());
    Ok(())
}

fn redrive(id: &str, payload: Option<&std::path::Path>, config: &ConfigFile) -> anyhow::Result<()> {
    let client = config.client()?;
    let path = format!("{}/redrive", path(Some(id), None));
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
    let path = with_query(&format!("{LETTERS}/redrive"), &[("rule", rule)]);
    let answer = config.client()?.post(&path, Vec::new())?;
    println!("{} handled, {} failed again", text(&answer["handled"]), text(&answer["failed"]));
    ensure!(answer["failed"] == 0, "some events could not be handled: see `pointsman dead-letters list`");
    Ok(())
}

fn path(id: Option<&str>, rule: Option<&str>) -> String {
    match id {
        Some(id) => format!("{LETTERS}/{}", encode(id)),
        None => with_query(LETTERS, &[("rule", rule)]),
    }
}
