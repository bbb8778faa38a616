//! `pointsman outbox …`: requests that rules send to web servers, and those that were given up.

use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::Value;

use super::answer::{first_line, items, print_json, text};
use super::client::{Client, with_query};
use super::config_file::ConfigFile;
use super::table;
use super::which::Which;

/// Where the server has them.
const OUTBOX: &str = "/api/outbox";
const UNDELIVERED: &str = "/api/outbox/undelivered";
const RETRY: &str = "/api/outbox/undelivered/retry";

#[derive(Debug, Subcommand)]
pub(super) enum OutboxCommand {
    /// Lists the web servers that rules send to, and how they fare.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Removes one request that was given up, or all.
    Purge {
        #[command(flatten)]
        requests: Requests,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Sends one request that was given up once more, or all, with the same idempotency key.
    Retry {
        #[command(flatten)]
        requests: Requests,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Lists the requests that were given up, the oldest first.
    Undelivered {
        /// Only those of this web server, as `outbox list` names it.
        #[arg(long)]
        server: Option<String>,
        /// Print JSON, with the bodies.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigFile,
    },
}

/// One request, or many.
#[derive(Debug, Args)]
pub(super) struct Requests {
    #[command(flatten)]
    which: Which,
    /// Only those of this web server, as `outbox list` names it.
    #[arg(long)]
    server: Option<String>,
}

impl OutboxCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            OutboxCommand::List { json, config } => list(json, &config),
            OutboxCommand::Purge { requests, config } => {
                let count = requests.each(&config.client()?, Client::delete, UNDELIVERED)?;
                println!("{count} removed");
                Ok(())
            }
            OutboxCommand::Retry { requests, config } => {
                let post = |client: &Client, path: &str| client.post(path, Vec::new());
                println!("{} sent once more", requests.each(&config.client()?, post, RETRY)?);
                Ok(())
            }
            OutboxCommand::Undelivered { server, json, config } => {
                undelivered(server.as_deref(), json, &config.client()?)
            }
        }
    }
}

impl Requests {
    /// Does something to the requests that are meant; gives how many there were.
    fn each(
        &self,
        client: &Client,
        act: impl Fn(&Client, &str) -> anyhow::Result<Value>,
        path: &str,
    ) -> anyhow::Result<u64> {
        let act = |server: &str, id: Option<&str>| {
            let path = with_query(path, &[("server", Some(server)), ("id", id)]);
            Ok::<u64, anyhow::Error>(act(client, &path)?["requests"].as_u64().unwrap_or(0))
        };
        let servers = servers(client, self.server.as_deref())?;
        if let Some(id) = &self.which.id {
            for server in &servers {
                let server = text(&server["server"]);
                if requests(client, &server)?.iter().any(|request| request["id"] == **id) {
                    return act(&server, Some(id));
                }
            }
            bail!("there is no request {id:?} that was given up: see `pointsman outbox undelivered`");
        }
        let mut count = 0;
        for server in &servers {
            // As many as there are now: what is given up again meanwhile would have no end.
            let mut left = server["undelivered"].as_u64().unwrap_or(0);
            while left > 0 {
                let done = act(&text(&server["server"]), None)?;
                if done == 0 {
                    break;
                }
                (left, count) = (left.saturating_sub(done), count + done);
            }
        }
        Ok(count)
    }
}

/// The web servers, or the one of that name.
fn servers(client: &Client, name: Option<&str>) -> anyhow::Result<Vec<Value>> {
    let answer = client.get(OUTBOX)?;
    let is_meant = |server: &&Value| name.is_none_or(|name| server["server"] == *name);
    let servers: Vec<Value> = items(&answer["servers"]).filter(is_meant).cloned().collect();
    match name {
        Some(name) if servers.is_empty() => {
            bail!("there is no web server {name:?}: see `pointsman outbox list`")
        }
        _ => Ok(servers),
    }
}

/// What was given up for a web server.
fn requests(client: &Client, server: &str) -> anyhow::Result<Vec<Value>> {
    let (mut requests, mut after) = (Vec::new(), None::<String>);
    loop {
        let query = [("server", Some(server)), ("after", after.as_deref())];
        let page = client.get(&with_query(UNDELIVERED, &query))?;
        requests.extend(items(&page["requests"]).cloned());
        let Some(next) = page["next"].as_str() else { return Ok(requests) };
        after = Some(next.to_owned());
    }
}

fn list(json: bool, config: &ConfigFile) -> anyhow::Result<()> {
    let servers = servers(&config.client()?, None)?;
    if json {
        return print_json(&servers);
    }
    let rows = servers.iter().map(|server| {
        let figure = |name: &str| text(&server[name]);
        [
            figure("server"),
            figure("state"),
            figure("waiting"),
            figure("undelivered"),
            figure("delivered"),
            first_line(&server["lastError"]),
        ]
    });
    table::print(["server", "state", "waiting", "given up", "delivered", "last error"], rows.collect());
    Ok(())
}

fn undelivered(server: Option<&str>, json: bool, client: &Client) -> anyhow::Result<()> {
    let mut all = Vec::new();
    for server in servers(client, server)? {
        all.extend(requests(client, &text(&server["server"]))?);
    }
    if json {
        return print_json(&all);
    }
    let rows = all.iter().map(|request| {
        [
            text(&request["id"]),
            text(&request["rule"]),
            table::age(&request["givenUpAtMs"]),
            text(&request["attempts"]),
            format!("{} {}", text(&request["method"]), text(&request["url"])),
            first_line(&request["why"]),
        ]
    });
    table::print(["id", "rule", "given up", "tries", "request", "why"], rows.collect());
    Ok(())
}
