//! `pointsman explain`: what became of a message.

use clap::Args;
use serde_json::Value;

use super::answer::{first_line, items, print_json, text};
use super::client::{encode, with_query};
use super::config_file::ConfigFile;
use super::table;

#[derive(Debug, Args)]
pub(super) struct ExplainCommand {
    /// The message: what scripts see as msg.id, and dead letters begin with. Without one, the messages are listed that
    /// were kept last.
    id: Option<String>,
    /// Only what this rule makes of it.
    #[arg(long, value_name = "NAME", requires = "id")]
    rule: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigFile,
}

impl ExplainCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let client = self.config.client()?;
        let answer = match &self.id {
            Some(id) => {
                let path = format!("/api/explain/{}", encode(id));
                client.get(&with_query(&path, &[("rule", self.rule.as_deref())]))?
            }
            None => client.get("/api/explain")?,
        };
        if self.json {
            print_json(&answer)?;
        } else if self.id.is_some() {
            for line in explanation(&answer) {
                println!("{line}");
            }
        } else {
            list(&answer);
        }
        Ok(())
    }
}

fn list(answer: &Value) {
    let rows: Vec<_> = items(&answer["messages"]).map(listed).collect();
    if rows.is_empty() {
        println!("no message is kept: rules.explain_sample says how many are, and may be 0");
        return;
    }
    table::print(["id", "came", "client", "qos", "bytes", "topic"], rows);
}

fn listed(it: &Value) -> [String; 6] {
    let client = it["clientId"].as_str().filter(|client| !client.is_empty()).unwrap_or("(server)");
    let (id, qos, bytes) = (text(&it["id"]), text(&it["qos"]), text(&it["bytes"]));
    [id, table::age(&it["time"]), client.to_owned(), qos, bytes, text(&it["topic"])]
}

/// All that is to be said, line by line.
fn explanation(answer: &Value) -> Vec<String> {
    let mut lines = head(answer);
    section(&mut lines, "rules that it sets off", items(&answer["matched"]).flat_map(matched).collect());
    let not_matched = items(&answer["notMatched"]).map(not_matched);
    section(&mut lines, "rules that it does not", not_matched.collect());
    let letters = items(&answer["otherDeadLetters"]).map(letter);
    section(&mut lines, "other dead letters", letters.collect());
    let clients = match answer["asOf"]["recipients"].as_str() {
        Some("then") => "clients, as it was when the message came",
        _ => "clients, by the subscriptions and policies of now",
    };
    section(&mut lines, clients, items(&answer["recipients"]).map(recipient).collect());
    section(&mut lines, "left out", items(&answer["leftOut"]).map(|it| format!("  {}", text(it))).collect());
    lines
}

fn head(answer: &Value) -> Vec<String> {
    let event = &answer["event"];
    let what = match event["topic"].as_str().or(event["table"].as_str()) {
        Some(topic) => format!("{} {topic}", text(&event["kind"])),
        None => text(&event["kind"]),
    };
    let by = event["client_id"].as_str().filter(|client| !client.is_empty());
    let by = by.map(|client| format!(" of client {client}")).unwrap_or_default();
    let found = match answer["record"].as_u64() {
        Some(record) => format!("in the log as record {record}"),
        None => "among the samples".to_owned(),
    };
    let mut lines = vec![format!("{}: {what}{by}, found {found}", text(&answer["id"]))];
    lines.push("a run is made anew, on the tables of now, and nothing of it is done".to_owned());
    if let Some(why) = answer["withheld"].as_str().filter(|why| !why.is_empty()) {
        lines.push(format!("no rule is given it: {why}"));
    }
    lines
}

fn matched(it: &Value) -> Vec<String> {
    let (rule, version, on) = (text(&it["rule"]), text(&it["version"]), text(&it["on"]));
    let fate = match it["fate"].as_str().unwrap_or_default() {
        "failed" => "failed",
        "handled" => "handled",
        "newer" => "not handled, as the trigger is newer than the message",
        "putAside" => "put aside, as the rule is suspended",
        "waiting" => "not handled yet",
        _ => "promised to nobody, so it is not noted whether it was handled",
    };
    let suspended = if it["isSuspended"] == true { ", the rule is suspended" } else { "" };
    let mut lines = vec![
        format!("  {rule} {version}, {}: {on}{}", text(&it["handler"]), as_of(it)),
        format!("    was: {fate}{suspended}"),
    ];
    if !it["deadLetter"].is_null() {
        lines.push(format!("    was: {}", letter(&it["deadLetter"]).trim_start()));
    }
    match it["activeVersion"].as_str() {
        Some(active) if active == version => {}
        Some(active) => lines.push(format!("    now: version {active} is active")),
        None => lines.push("    now: the rule is gone".to_owned()),
    }
    let run = &it["run"];
    if let Some(error) = run["error"]["message"].as_str() {
        lines.push(format!("    run: fails in line {}: {error}", run["error"]["line"]));
    } else if let Some(why) = it["whyNothing"].as_str() {
        lines.push(format!("    run: nothing, {why}"));
    } else if run.is_null() {
        lines.push("    run: was not run".to_owned());
    } else if items(&run["effects"]).next().is_none() {
        lines.push("    run: nothing".to_owned());
    }
    lines.extend(items(&run["effects"]).map(|effect| format!("    run: {effect}")));
    lines
}

fn not_matched(it: &Value) -> String {
    let (rule, version, handler) = (text(&it["rule"]), text(&it["version"]), text(&it["handler"]));
    format!("  {rule} {version}, {handler}{}: {}", as_of(it), text(&it["why"]))
}

/// What is to be said of a trigger that is not told as it was when the message came.
fn as_of(it: &Value) -> &'static str {
    match it["asOf"].as_str().unwrap_or_default() {
        "later" => " (newer than the message)",
        "now" => " (by its version of now, as that of then is not kept)",
        _ => "",
    }
}

fn letter(it: &Value) -> String {
    let (id, attempts) = (text(&it["id"]), text(&it["attempts"]));
    let message = first_line(&it["message"]);
    format!("  dead letter {id} of rule {}, tried {attempts} times: {message}", text(&it["rule"]))
}

fn recipient(it: &Value) -> String {
    let filters: Vec<String> = items(&it["filters"]).map(text).collect();
    let client = format!("{} ({})", text(&it["clientId"]), filters.join(" "));
    let outcome = match it["outcome"].as_str().unwrap_or_default() {
        "sent" => format!("sent at QoS {}", text(&it["qos"])),
        "away" => "not sent, as it is away and the message has QoS 0 for it".to_owned(),
        "denied" => format!("denied by {}", ruling(&it["ruling"])),
        "later" => "not sent, as it subscribed later".to_owned(),
        "oneOfShare" => format!("one of a share, perhaps sent at QoS {}", text(&it["qos"])),
        "otherOfShare" => "not sent, as the share gave it to another member".to_owned(),
        "own" => "not sent, as it does not want its own".to_owned(),
        other => other.to_owned(),
    };
    format!("  {client}: {outcome}{}", progress(it))
}

/// How far a session has come with the message by now.
fn progress(it: &Value) -> &'static str {
    match it["progress"].as_str().unwrap_or_default() {
        "over" => "; its session has ended since",
        "past" => "; by now acknowledged, or passed over",
        "unacknowledged" => "; not acknowledged yet",
        "waiting" if it["isConnected"] == true => "; it still waits",
        "waiting" => "; it still waits, as the client is away",
        _ => "",
    }
}

fn ruling(it: &Value) -> String {
    let (policy, statement) = (text(&it["policy"]), &it["statement"]);
    match statement["line"].as_u64() {
        Some(line) => {
            let source = text(&statement["text"]);
            let words: Vec<&str> = source.split_whitespace().collect();
            format!("{policy}, line {line}: {}", words.join(" "))
        }
        None => format!("{policy}, where no statement allows it"),
    }
}

/// Adds lines under a title, if there are any.
fn section(lines: &mut Vec<String>, title: &str, more: Vec<String>) {
    if !more.is_empty() {
        lines.push(String::new());
        lines.push(format!("{title}:"));
        lines.extend(more);
    }
}
