//! A script that drives a client in another language, and the side that does for it what it cannot do itself.
//!
//! It is told where the server is by its last argument, a JSON object. Each line that it prints is a JSON object:
//! `{"case": .., "ok": .., "why": ..}` says how a case went, and `{"ask": "cut"}` or `{"ask": "restart"}` has its
//! connections through the proxy cut, or the server killed and started again; the answer is the line `done`.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use crate::process::ServerProcess;
use crate::proxy::Proxy;

/// How long a whole script may take; each case in it gives up by itself long before.
const PATIENCE: Duration = Duration::from_mins(1);

/// A script of cases for a client that is not ours.
#[derive(Debug, Clone)]
pub struct Script {
    /// What runs it.
    pub program: PathBuf,
    /// The script, and what it is told before where the server is.
    pub arguments: Vec<String>,
    /// What to do if the program or what it needs is not there.
    pub install: &'static str,
}

impl Script {
    /// Runs its cases for a version of the protocol (4 or 5); all must end well.
    pub async fn run(&self, server: &mut ServerProcess, version: u8) {
        let proxy = Proxy::to(server.mqtt).await;
        let world = json!({
            "version": version,
            "host": server.mqtt.ip(),
            "tcp": server.mqtt.port(),
            "tls": server.mqtts.port(),
            "ws": server.http.port(),
            "wss": server.https.port(),
            "proxy": proxy.address().port(),
            "authority": server.authority,
        });
        let mut child = self.start(&world);
        let mut errors = child.stderr.take().expect("a pipe was asked for");
        let mut complaints = String::new();
        let run = async {
            tokio::join!(attend(&mut child, server, &proxy), errors.read_to_string(&mut complaints))
        };
        let Ok((report, complained)) = tokio::time::timeout(PATIENCE, run).await else {
            panic!("{} did not end within {PATIENCE:?}", self.name());
        };
        complained.expect("output of text");
        let status = child.wait().await.expect("a child can be waited for");
        let failed: Vec<&str> = report.lines().filter(|line| !line.starts_with("ok ")).collect();
        assert!(
            status.success() && failed.is_empty() && !report.is_empty(),
            "{} ended with {status}:\n{report}{complaints}{}",
            self.name(),
            self.hint(&complaints),
        );
        println!("{report}");
    }

    fn name(&self) -> String {
        format!("{} {}", self.program.display(), self.arguments.join(" "))
    }

    fn start(&self, world: &Value) -> Child {
        Command::new(&self.program)
            .args(&self.arguments)
            .arg(world.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be run ({error}): {}", self.name(), self.install))
    }

    fn hint(&self, complaints: &str) -> String {
        let missing = ["ERR_MODULE_NOT_FOUND", "ModuleNotFoundError"];
        if missing.iter().any(|word| complaints.contains(word)) {
            format!("\n{}", self.install)
        } else {
            String::new()
        }
    }
}

/// Reads what a script prints to its end, does what it asks for, and gives how its cases went, a line each.
async fn attend(child: &mut Child, server: &mut ServerProcess, proxy: &Proxy) -> String {
    let mut answers = child.stdin.take().expect("a pipe was asked for");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe was asked for")).lines();
    let mut report = String::new();
    while let Some(line) = lines.next_line().await.expect("output of text") {
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|_| json!({ "case": line }));
        match said["ask"].as_str() {
            Some("cut") => proxy.cut(),
            Some("restart") => {
                server.kill().await;
                server.run().await;
            }
            Some(other) => panic!("a script asks for {other:?}"),
            None => {
                report.push_str(&outcome(&said));
                continue;
            }
        }
        // One that has ended meanwhile is found out by the end of its output.
        let _ = answers.write_all(b"done\n").await;
    }
    report
}

fn outcome(said: &Value) -> String {
    let case = said["case"].as_str().unwrap_or("?");
    if said["ok"] == true {
        format!("ok {case} in {} ms\n", said["ms"])
    } else {
        format!("FAILED {case}: {}\n", said["why"].as_str().unwrap_or("no reason given"))
    }
}
