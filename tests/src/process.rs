//! A server as a process of its own, which a case can kill.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use pointsman_config::BUNDLED_RULES;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::endpoints::Endpoints;
use crate::eventually::{eventually, within};
use crate::ports::Ports;
use crate::server::write_rules;

/// The line that says that all listens.
const READY: &str = "is ready.";

/// A server in a process of its own, with the clients of its [`Endpoints`]. Dropping it kills it.
pub struct ServerProcess {
    program: PathBuf,
    directory: TempDir,
    endpoints: Endpoints,
    /// What a shell does before it becomes the server.
    prelude: String,
    running: Option<Running>,
    _ports: Ports,
}

struct Running {
    child: Child,
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
    readers: [JoinHandle<()>; 2],
}

/// Whether a server finds its disk full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFull {
    /// It does not.
    No,
    /// It does.
    Yes,
}

/// How a run of the program ended.
#[derive(Debug, Clone)]
pub struct Output {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Deref for ServerProcess {
    type Target = Endpoints;

    fn deref(&self) -> &Endpoints {
        &self.endpoints
    }
}

impl ServerProcess {
    /// Starts the program, which is `env!("CARGO_BIN_EXE_server")` in a case, with the bundled rules.
    pub async fn start(program: &str) -> ServerProcess {
        ServerProcess::start_with(program, "").await
    }

    /// Starts the program with more lines of configuration. They begin in section `[rules]`; any but `listen` and
    /// `data` can follow.
    pub async fn start_with(program: &str, more: &str) -> ServerProcess {
        ServerProcess::start_by(program, "", Stdio::null(), more).await
    }

    /// Starts the program from a shell that does `prelude` first, such as to set a limit, with a standard input that the
    /// prelude may want.
    pub async fn start_by(program: &str, prelude: &str, stdin: Stdio, more: &str) -> ServerProcess {
        let directory = tempfile::tempdir().expect("a folder for the server");
        let rules: Vec<(String, String)> =
            BUNDLED_RULES.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        write_rules(&directory.path().join("rules"), &rules);
        let ports = Ports::claim();
        let [mqtt, mqtts, http, https] = ports.on(Ipv4Addr::LOCALHOST);
        let mut config = String::from("[listen]\n");
        for (key, address) in [("mqtt", mqtt), ("mqtts", mqtts), ("http", http), ("https", https)] {
            let _ = writeln!(config, "{key} = [\"{address}\"]");
        }
        let _ = writeln!(config, "[data]\ndirectory = \"data\"\n[rules]\ndirectory = \"rules\"\n{more}");
        std::fs::write(directory.path().join("pointsman.toml"), config)
            .expect("the configuration is written");
        let authority = directory.path().join("data/tls/ca.crt");
        let endpoints = Endpoints { mqtt, mqtts, http, https, authority };
        let mut server = ServerProcess {
            program: PathBuf::from(program),
            directory,
            endpoints,
            prelude: prelude.to_owned(),
            running: None,
            _ports: ports,
        };
        server.run_with(stdin).await;
        server
    }

    /// Starts it again, after [`ServerProcess::kill`] or [`ServerProcess::terminate`], on the same ports and data.
    pub async fn run(&mut self) {
        self.run_with(Stdio::null()).await;
    }

    async fn run_with(&mut self, stdin: Stdio) {
        assert!(self.running.is_none(), "the server runs already");
        let mut command = if self.prelude.is_empty() {
            Command::new(&self.program)
        } else {
            let mut shell = Command::new("sh");
            shell.arg("-c").arg(format!("{} exec \"$0\" \"$@\"", self.prelude)).arg(&self.program);
            shell
        };
        let mut child = command
            .arg("serve")
            .arg("--config")
            .arg(self.config_file())
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be run: {error}", self.program.display()));
        let (out, stdout) = gather(child.stdout.take().expect("a pipe was asked for"));
        let (err, stderr) = gather(child.stderr.take().expect("a pipe was asked for"));
        self.running = Some(Running { child, stdout: out, stderr: err, readers: [stdout, stderr] });
        eventually("the server is ready", async || {
            let running = self.running.as_mut().expect("it was started");
            let ended = running.child.try_wait().expect("a child can be asked");
            assert!(ended.is_none(), "the server ended at once ({ended:?}): {}", text(&running.stderr));
            if text(&running.stdout).contains(READY) { Ok(()) } else { Err(text(&running.stderr)) }
        })
        .await;
    }

    /// Ends it at once, as a power cut of the process would (SIGKILL), and gives what it had written.
    pub async fn kill(&mut self) -> Output {
        let running = self.running.as_mut().expect("the server runs");
        running.child.start_kill().expect("a child can be killed");
        self.finish().await
    }

    /// Asks it to end (SIGTERM), waits until it has, and gives what it had written.
    pub async fn terminate(&mut self) -> Output {
        self.signal("TERM").await;
        self.finish().await
    }

    /// Sends it a signal, such as `HUP`.
    pub async fn signal(&self, name: &str) {
        let running = self.running.as_ref().expect("the server runs");
        let id = running.child.id().expect("it has not been waited for").to_string();
        let asked = Command::new("kill").args([format!("-{name}"), id]).status().await;
        assert!(asked.expect("there is a kill").success(), "the server can be sent a signal");
    }

    /// Has every write to a file fail from now on, as on a full disk, or lets them be done again.
    pub async fn fill_disk(&self, full: DiskFull) {
        let id = self.id().expect("the server runs").to_string();
        let limit = match full {
            DiskFull::No => "unlimited:",
            DiskFull::Yes => "0:",
        };
        let mut command = Command::new("prlimit");
        let done = command.args(["--pid", &id, &format!("--fsize={limit}")]).status().await;
        assert!(done.expect("there is a prlimit").success(), "the server's limits can be set");
    }

    /// Asks it to end and starts it again.
    pub async fn restart(&mut self) {
        self.terminate().await;
        self.run().await;
    }

    /// The process id.
    pub fn id(&self) -> Option<u32> {
        self.running.as_ref().and_then(|running| running.child.id())
    }

    /// What it has written to standard output since it was started last.
    pub fn stdout(&self) -> String {
        self.running.as_ref().map(|running| text(&running.stdout)).unwrap_or_default()
    }

    /// What it has written to standard error since it was started last.
    pub fn stderr(&self) -> String {
        self.running.as_ref().map(|running| text(&running.stderr)).unwrap_or_default()
    }

    /// Its folder: `data`, `rules` and `pointsman.toml` are in it.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Its configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.directory.path().join("pointsman.toml")
    }

    /// Replaces text in its configuration file.
    pub fn edit_config(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.config_file()).expect("the configuration is read");
        assert!(text.contains(from), "{from:?} is not in {text}");
        std::fs::write(self.config_file(), text.replacen(from, to, 1)).expect("the configuration is written");
    }

    /// The file of a rule.
    pub fn rule_file(&self, name: &str) -> PathBuf {
        self.directory.path().join("rules").join(format!("{name}.rhai"))
    }

    /// Saves a rule, and waits until it is active.
    pub async fn add_rule(&self, name: &str, text: &str) {
        std::fs::write(self.rule_file(name), text).expect("a rule is written");
        eventually(&format!("rule {name} is active"), async || {
            let status = self.status().await;
            let rules = status["rules"].as_array().cloned().unwrap_or_default();
            if rules.iter().any(|rule| rule["name"] == name) { Ok(()) } else { Err(status) }
        })
        .await;
    }

    /// Waits until it has ended, and gives what it had written.
    pub async fn finish(&mut self) -> Output {
        let mut running = self.running.take().expect("the server runs");
        let status =
            within("the server ends", running.child.wait()).await.expect("a child can be waited for");
        for reader in running.readers {
            let _ = reader.await;
        }
        Output { status, stdout: text(&running.stdout), stderr: text(&running.stderr) }
    }
}

/// Runs the program with arguments until it ends by itself.
pub async fn run_server(program: &str, arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
    let output = within(&format!("pointsman {arguments:?} ends"), command.output()).await;
    let output = output.unwrap_or_else(|error| panic!("{program} cannot be run: {error}"));
    Output {
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn gather(pipe: impl AsyncRead + Send + Unpin + 'static) -> (Arc<Mutex<String>>, JoinHandle<()>) {
    let gathered = Arc::new(Mutex::new(String::new()));
    let into = Arc::clone(&gathered);
    let reader = tokio::spawn(async move {
        let mut lines = BufReader::new(pipe).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let mut into = into.lock().unwrap_or_else(PoisonError::into_inner);
            into.push_str(&line);
            into.push('\n');
        }
    });
    (gathered, reader)
}

fn text(gathered: &Mutex<String>) -> String {
    gathered.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
