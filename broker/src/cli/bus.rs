//! `pointsman bus …`: puts events on the bus, and gives a rule again what was on it.

use anyhow::{bail, ensure};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::answer::{items, print_json, text};
use super::client::encode;
use super::config_file::ConfigFile;
use super::table;

#[derive(Debug, Subcommand)]
pub(super) enum BusCommand {
    /// Ends the replay to a rule. What it has given already is handled.
    Cancel {
        /// The rule.
        #[arg(long)]
        rule: String,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Puts an event on a bus.
    Put(Put),
    /// Gives a rule again what the log holds of a time: events of buses and messages. What the rule does with them is done
    /// once more.
    Replay(Replay),
    /// Lists the last replay of each rule, and how far it is.
    Replays {
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigFile,
    },
}

#[derive(Debug, Args)]
pub(super) struct Put {
    /// Who says it.
    #[arg(long)]
    source: String,
    /// What kind of event it is.
    #[arg(long = "type", value_name = "TYPE")]
    detail_type: String,
    /// What it says: a JSON object.
    #[arg(long, value_name = "JSON")]
    detail: String,
    /// The bus; `default` if none is named.
    #[arg(long)]
    bus: Option<String>,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Debug, Args)]
pub(super) struct Replay {
    /// The rule.
    #[arg(long)]
    rule: String,
    /// The time of the first event: 2026-03-01T10:00:00Z, or how long ago: 30s, 5m, 1h, 7d.
    #[arg(long, value_name = "TIME")]
    from: String,
    /// The time of the last event; now if none is named.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Only events of this bus.
    #[arg(long)]
    bus: Option<String>,
    /// Do it, without which nothing is done.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    config: ConfigFile,
}

impl BusCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            BusCommand::Cancel { rule, config } => {
                let ended = config.client()?.delete(&format!("/api/bus/replays/{}", encode(&rule)))?;
                println!("{} has ended: {} events were given", text(&ended["name"]), text(&ended["given"]));
                Ok(())
            }
            BusCommand::Put(put) => put.run(),
            BusCommand::Replay(replay) => replay.run(),
            BusCommand::Replays { json, config } => list(json, &config),
        }
    }
}

impl Put {
    fn run(self) -> anyhow::Result<()> {
        let mut entry =
            json!({ "Source": self.source, "DetailType": self.detail_type, "Detail": self.detail });
        if let Some(bus) = self.bus {
            entry["EventBusName"] = bus.into();
        }
        let body = json!({ "Entries": [entry] }).to_string();
        let answer = self.config.client()?.post("/api/bus/events", body.into_bytes())?;
        let result = &answer["Entries"][0];
        match result["EventId"].as_str() {
            Some(id) => println!("{id}"),
            None => bail!("{}: {}", text(&result["ErrorCode"]), text(&result["ErrorMessage"])),
        }
        Ok(())
    }
}

impl Replay {
    fn run(self) -> anyhow::Result<()> {
        let to = self.to.as_deref().unwrap_or("now");
        ensure!(
            self.yes,
            "rule {:?} would get again what came from {} to {to}, and what it does would be done once more: add --yes",
            self.rule,
            self.from,
        );
        let mut body = json!({ "rule": self.rule, "from": self.from });
        for (member, value) in [("to", self.to), ("bus", self.bus)] {
            if let Some(value) = value {
                body[member] = value.into();
            }
        }
        let body = body.to_string().into_bytes();
        let begun = self.config.client()?.post("/api/bus/replay", body)?;
        println!("{} has begun: `pointsman bus replays` says how far it is", text(&begun["name"]));
        Ok(())
    }
}

fn list(json: bool, config: &ConfigFile) -> anyhow::Result<()> {
    let answer = config.client()?.get("/api/bus/replays")?;
    if json {
        return print_json(&answer["replays"]);
    }
    let rows = items(&answer["replays"]).map(|replay: &Value| {
        [
            text(&replay["name"]),
            text(&replay["bus"]),
            text(&replay["state"]),
            text(&replay["given"]),
            text(&replay["handled"]),
            table::age(&replay["at"]),
            text(&replay["error"]),
        ]
    });
    table::print(["name", "bus", "state", "given", "handled", "at", "why"], rows.collect());
    Ok(())
}
