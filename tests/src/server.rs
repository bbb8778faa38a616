//! A server in this process: the real `App` on free ports, with a data folder of its own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::path::{Path, PathBuf};

use pointsman::app::{App, StartError, Started};
use pointsman_config::{BUNDLED_RULES, Config};
use tempfile::TempDir;
use tracing_subscriber::EnvFilter;

use crate::endpoints::Endpoints;
use crate::eventually::{eventually, within};
use crate::http::Http;
use crate::ports::Ports;

/// What a server is to be like; what is not said is as in the default configuration.
#[derive(Debug)]
pub struct ServerBuilder {
    config: Config,
    rules: Vec<(String, String)>,
    guest_policy: Option<String>,
    address: IpAddr,
}

/// A server that runs, with the clients of its [`Endpoints`].
pub struct TestServer {
    app: Option<App>,
    config: Config,
    started: Started,
    endpoints: Endpoints,
    directory: TempDir,
    admin_password: String,
    _ports: Ports,
}

impl Deref for TestServer {
    type Target = Endpoints;

    fn deref(&self) -> &Endpoints {
        &self.endpoints
    }
}

impl ServerBuilder {
    /// Changes the configuration.
    #[must_use]
    pub fn config(mut self, change: impl FnOnce(&mut Config)) -> ServerBuilder {
        change(&mut self.config);
        self
    }

    /// Adds a rule, or replaces the bundled one of that name; the name has no `.rhai`.
    #[must_use]
    pub fn rule(mut self, name: &str, text: &str) -> ServerBuilder {
        // Its tests are of the one that is replaced.
        let (file, tests) = (format!("{name}.rhai"), format!("{name}.test.rhai"));
        self.rules.retain(|(known, _)| *known != file && *known != tests);
        self.rules.push((file, text.to_owned()));
        self
    }

    /// Adds a rule in SQL.
    #[must_use]
    pub fn sql(mut self, name: &str, text: &str) -> ServerBuilder {
        self.rules.push((format!("{name}.sql"), text.to_owned()));
        self
    }

    /// Leaves the bundled rules out.
    #[must_use]
    pub fn without_bundled_rules(mut self) -> ServerBuilder {
        self.rules.retain(|(file, _)| BUNDLED_RULES.iter().all(|(bundled, _)| bundled != file));
        self
    }

    /// Sets the policy of guests.
    #[must_use]
    pub fn guest_policy(mut self, json: &str) -> ServerBuilder {
        self.guest_policy = Some(json.to_owned());
        self
    }

    /// Listens on another loopback address than 127.0.0.1.
    #[must_use]
    pub fn address(mut self, address: IpAddr) -> ServerBuilder {
        self.address = address;
        self
    }

    /// Starts the server.
    pub async fn start(self) -> TestServer {
        match self.try_start().await {
            Ok(server) => server,
            Err(error) => panic!("the server does not start: {error}"),
        }
    }

    /// Starts the server, or says why that does not go.
    pub async fn try_start(mut self) -> Result<TestServer, StartError> {
        let directory = tempfile::tempdir().expect("a folder for the server");
        log_to_output();
        let ports = Ports::claim();
        let listen = &mut self.config.listen;
        [listen.mqtt, listen.mqtts, listen.http, listen.https] = ports.on(self.address).map(|it| vec![it]);
        self.config.data.directory = directory.path().join("data");
        self.config.rules.directory = directory.path().join("rules");
        write_rules(&self.config.rules.directory, &self.rules);
        if let Some(policy) = self.guest_policy {
            let file = directory.path().join("guest.json");
            std::fs::write(&file, policy).expect("the policy is written");
            self.config.auth.guest_policy = Some(file);
        }
        let app = App::start(&self.config).await?;
        let started = app.started().clone();
        let endpoints = endpoints(&started);
        let admin_password = started.admin_password.clone().unwrap_or_default();
        Ok(TestServer {
            app: Some(app),
            config: self.config,
            started,
            endpoints,
            directory,
            admin_password,
            _ports: ports,
        })
    }
}

impl TestServer {
    /// Starts a server as it is by default.
    pub async fn start() -> TestServer {
        TestServer::builder().start().await
    }

    /// Starts with what is different.
    pub fn builder() -> ServerBuilder {
        let rules = BUNDLED_RULES.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        ServerBuilder {
            config: Config::default(),
            rules: rules.collect(),
            guest_policy: None,
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        }
    }

    /// What the last start had to tell.
    pub fn started(&self) -> &Started {
        &self.started
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The password of the user `admin`, which the first start made.
    pub fn admin_password(&self) -> &str {
        &self.admin_password
    }

    /// HTTP requests of the operator.
    pub fn operator(&self) -> Http {
        self.http().login("admin", &self.admin_password)
    }

    /// A folder that is the case's own; data and rules are in it.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The file of a rule.
    pub fn rule_file(&self, name: &str) -> PathBuf {
        self.config.rules.directory.join(format!("{name}.rhai"))
    }

    /// Saves a rule as an editor does and waits until the server has taken it up or refused it.
    pub async fn write_rule(&self, name: &str, text: &str) {
        let before = self.status().await;
        self.save_rule(name, text);
        eventually(&format!("rule {name} is taken up or refused"), async || {
            let now = self.status().await;
            let changed = now["rules"] != before["rules"] || now["brokenRules"] != before["brokenRules"];
            if changed { Ok(()) } else { Err(format!("{} / {}", now["rules"], now["brokenRules"])) }
        })
        .await;
    }

    /// Saves a rule and waits for nothing.
    pub fn save_rule(&self, name: &str, text: &str) {
        write_whole(&self.rule_file(name), text);
    }

    /// Stops the server, as an operator does.
    pub async fn stop(&mut self) {
        if let Some(app) = self.app.take() {
            within("the server stops", app.stop()).await;
        }
    }

    /// Changes the configuration of the server that runs, as a file that was edited and SIGHUP do. Gives what takes a
    /// restart to apply.
    pub async fn reload(
        &mut self,
        change: impl FnOnce(&mut Config),
    ) -> Result<Vec<&'static str>, StartError> {
        let mut config = self.config.clone();
        change(&mut config);
        let waiting = self.app.as_ref().expect("the server runs").reload(&config).await?;
        self.config = config;
        Ok(waiting)
    }

    /// Stops the server and starts it again on the same ports and data.
    pub async fn restart(&mut self) {
        self.stop().await;
        let app = App::start(&self.config).await.unwrap_or_else(|error| panic!("the restart: {error}"));
        self.started = app.started().clone();
        self.app = Some(app);
    }
}

/// Has what servers log shown with the output of the case that fails.
fn log_to_output() {
    let filter = EnvFilter::new("info,rumqttd=off,sled=warn");
    // The first server of a process sets it for all.
    let _ =
        tracing_subscriber::fmt().with_env_filter(filter).with_target(false).with_test_writer().try_init();
}

fn endpoints(started: &Started) -> Endpoints {
    let first = |list: &[SocketAddr]| *list.first().expect("each listener has an address");
    Endpoints {
        mqtt: first(&started.mqtt),
        mqtts: first(&started.mqtts),
        http: first(&started.http),
        https: first(&started.https),
        authority: started.authority.clone().unwrap_or_default(),
    }
}

pub(crate) fn write_rules(folder: &Path, rules: &[(String, String)]) {
    std::fs::create_dir_all(folder).expect("the folder of rules is made");
    for (file, text) in rules {
        if let Some(within) = folder.join(file).parent() {
            std::fs::create_dir_all(within).expect("a folder of rules is made");
        }
        write_whole(&folder.join(file), text);
    }
}

/// Puts a file in place in one step, as editors do.
fn write_whole(path: &Path, text: &str) {
    let draft = path.with_extension("draft");
    std::fs::write(&draft, text).expect("a rule is written");
    std::fs::rename(&draft, path).expect("a rule is put in place");
}
