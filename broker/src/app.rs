//! Joins the parts: opens the store, binds every port, wires everything, and ends it in order.

mod bound;
mod certificates;
mod operator_file;
mod reload;
mod secrets;
mod settings;
mod unpack;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pointsman_config::{Config, Durability, Readers};
use pointsman_rules::leaderboard::BoardLimits;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::api::http::{Api, Listener, MetricsReaders};
use crate::aside::aside;
use crate::auth::{Auth, Policy, PolicyError};
use crate::clock::{Clock, IdSource};
use crate::mqtt::listen::{Certificates, Gate, Shown, TlsError, UnixSocketError};
use crate::mqtt::sys;
use crate::mqtt::{Hub, HubParts, RouterSpine, SharedSpine, SpineOptions};
use crate::pipeline::{DeadLetterLimits, Intake, Pipeline, PipelineParts, VersionLimits};
use crate::random;
use crate::store::{self, OpenError, ReadError, RealDisk, Store, StoreOptions};
use crate::telemetry::Telemetry;

pub use bound::Inherited;
pub use certificates::host_name;
pub use operator_file::Contact;
pub use secrets::SecretsError;
pub use settings::rule_limits;

use bound::Bound;
use operator_file::OperatorFile;
use settings::{gate_settings, outbox_settings, sample_limits, session_limits};

/// Why the server does not start. Each says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address} for {kind}{hint}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Of which listener.
        kind: &'static str,
        /// What the system said.
        source: std::io::Error,
        /// What to do.
        hint: &'static str,
    },
    /// A socket that was handed over cannot be used.
    #[error("cannot listen on the socket that was handed over for {kind}")]
    Inherited {
        /// For which listener.
        kind: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file for the operator's commands cannot be written.
    #[error("cannot write {path}")]
    OperatorFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The policy of guests cannot be read.
    #[error("cannot read the guest policy {path}")]
    PolicyFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The policy of guests is not one.
    #[error("{path} is not a policy")]
    Policy {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: PolicyError,
    },
    /// The bundled rules cannot be unpacked.
    #[error("cannot unpack the bundled rules into {folder}")]
    Unpack {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The configured folder of rules is not there.
    #[error("rules.directory {path} is not there: make it, or leave the setting out")]
    RulesDirectory {
        /// The folder.
        path: PathBuf,
    },
    /// What the last run left cannot be read.
    #[error("cannot take up what the last run left")]
    Recover(#[from] ReadError),
    /// The filter of a subscriber is no event pattern.
    #[error("the filter of [[rules.notify]] for topic {topic:?} is no event pattern: {problem}")]
    NotifyFilter {
        /// The topic that it subscribes to.
        topic: String,
        /// What is wrong.
        problem: String,
    },
    /// A secret that signs requests cannot be found.
    #[error("rules.webhooks.secrets.{name} cannot be read: {problem}")]
    WebhookSecret {
        /// Its name.
        name: String,
        /// Why.
        problem: String,
    },
    /// The operator's account cannot be read or made.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The data directory cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// There is no certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A unix socket cannot be listened on.
    #[error("cannot listen on {path} for mqtt_unix")]
    Unix {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: UnixSocketError,
    },
}

/// A server that runs.
pub struct App {
    /// What it goes by now, reloads included.
    config: Mutex<Config>,
    auth: Arc<Auth>,
    certificates: Arc<Certificates>,
    gate: Arc<Gate>,
    hub: Arc<Hub>,
    pipeline: Arc<Pipeline>,
    store: Arc<Store>,
    tasks: TaskTracker,
    started: Started,
    operator: OperatorFile,
}

/// What there is to tell about a server that has started.
#[derive(Debug, Clone, Default)]
pub struct Started {
    /// The bound addresses of each listener, in the order of the configuration.
    pub mqtt: Vec<SocketAddr>,
    /// MQTT over TLS.
    pub mqtts: Vec<SocketAddr>,
    /// HTTP.
    pub http: Vec<SocketAddr>,
    /// HTTPS.
    pub https: Vec<SocketAddr>,
    /// The unix sockets of MQTT.
    pub mqtt_unix: Vec<PathBuf>,
    /// The operator's password, at the first start only.
    pub admin_password: Option<String>,
    /// The folder of the active rules.
    pub rules_directory: PathBuf,
    /// The local authority's certificate, if there is one.
    pub authority: Option<PathBuf>,
    /// Whether the pages were built.
    pub pages: bool,
    /// What failed to load.
    pub broken_rules: Vec<String>,
}

impl App {
    /// Starts a server. Everything is bound and ready when this returns.
    pub async fn start(config: &Config) -> Result<App, StartError> {
        App::start_with(config, Inherited::default()).await
    }

    /// Starts a server with sockets that whoever started the program has bound already.
    pub async fn start_with(config: &Config, inherited: Inherited) -> Result<App, StartError> {
        // Ports first: nothing on disk is touched when one is taken.
        let bound = Bound::bind(&config.listen, inherited)?;
        let prepared = {
            let config = config.clone();
            aside(move || Prepared::new(&config)).await?
        };
        let Prepared { store, pipeline, hub, auth, telemetry, shown, mut started } = prepared;
        bound.note(&mut started);
        let operator = OperatorFile::write(&config.data.directory, &started)?;
        let gate = Gate::new(gate_settings(config), Arc::clone(&telemetry));
        let certificates = Certificates::new(shown);
        let api = Api {
            hub: Arc::clone(&hub),
            pipeline: Arc::clone(&pipeline),
            store: Arc::clone(&store),
            telemetry,
            metrics_readers: match config.metrics.allow {
                Readers::Admin => MetricsReaders::Admin,
                Readers::Loopback => MetricsReaders::Loopback,
            },
            packet_bytes_max: config.limits.packet_bytes_max,
            certificates: Arc::clone(&certificates),
            listeners: Arc::new(started.listeners()),
            operator_token: operator.token(),
        };
        let tasks = TaskTracker::new();
        bound.serve(&certificates.acceptor()?, &gate, &api, &tasks);
        if config.sys.interval_seconds > 0 {
            tasks.spawn(sys::run(Arc::clone(&hub), Duration::from_secs(config.sys.interval_seconds)));
        }
        let config = Mutex::new(config.clone());
        Ok(App { config, auth, certificates, gate, hub, pipeline, store, tasks, started, operator })
    }

    /// What there is to tell.
    pub fn started(&self) -> &Started {
        &self.started
    }

    /// Ends it: no new connection, a reason to every client, what is under way finished as far as `drain_seconds` go, the
    /// log written and the store closed.
    pub async fn stop(self) {
        let drain = self.config.lock().unwrap_or_else(PoisonError::into_inner).limits.drain_seconds;
        let deadline = Instant::now() + Duration::from_secs(drain);
        self.tasks.close();
        if tokio::time::timeout_at(deadline, self.hub.stop()).await.is_err() {
            warn!("some clients did not end within limits.drain_seconds");
        }
        let _ = tokio::time::timeout_at(deadline, self.tasks.wait()).await;
        for path in &self.started.mqtt_unix {
            // Who comes now is to see that nobody is there, and not to wait.
            let _ = std::fs::remove_file(path);
        }
        self.operator.remove();
        // The rules are to hear that the clients have gone.
        let _ = tokio::time::timeout_at(deadline, self.hub.delivered()).await;
        let (pipeline, store) = (self.pipeline, self.store);
        let closed = tokio::task::spawn_blocking(move || {
            pipeline.stop();
            store.close()
        });
        if let Ok(Err(error)) = closed.await {
            warn!(%error, "closing the store failed; the next start will repair it");
        }
    }
}

/// Everything that takes the disk or a while, and no port.
struct Prepared {
    store: Arc<Store>,
    pipeline: Arc<Pipeline>,
    hub: Arc<Hub>,
    auth: Arc<Auth>,
    telemetry: Arc<Telemetry>,
    shown: Shown,
    started: Started,
}

impl Prepared {
    fn new(config: &Config) -> Result<Prepared, StartError> {
        let clock = Arc::new(Clock::system());
        let store = open_store(config, &clock)?;
        let rules_directory = unpack::rules(&config.rules.directory, &config.data.directory)?;
        let shown = certificates::load(config)?;
        let secrets = secrets::load_or_make(&store)?;
        let auth = Arc::new(Auth::new(config.auth.guests, guest_policy(config)?, secrets.admin));
        let telemetry = Arc::new(Telemetry::default());
        let ids = Arc::new(IdSource::new(u16::from_be_bytes(random::array())));
        let spine: SharedSpine =
            Arc::new(RouterSpine::start(SpineOptions { lag_bytes_max: config.limits.spine_bytes_max }));
        let pipeline = Pipeline::start(PipelineParts {
            store: Arc::clone(&store),
            spine: Arc::clone(&spine),
            rules_directory: rules_directory.clone(),
            limits: rule_limits(config),
            queue_events_max: config.rules.queue_events_max,
            overruns_max: config.rules.overruns_max,
            parked_messages_max: config.rules.parked_messages_max,
            boards: BoardLimits {
                boards_max: config.rules.boards_max,
                members_total_max: config.rules.board_members_total_max,
            },
            versions: VersionLimits {
                count_max: config.rules.versions_max,
                bytes_max: config.rules.versions_bytes_max,
            },
            dead_letters: DeadLetterLimits {
                count_max: config.rules.dead_letters_max,
                bytes_max: config.rules.dead_letters_bytes_max,
            },
            outbox: outbox_settings(config)?,
            workers: std::thread::available_parallelism().map_or(2, usize::from).max(2),
            telemetry: Arc::clone(&telemetry),
            clock: Arc::clone(&clock),
            ids: Arc::clone(&ids),
        })?;
        let hub = Hub::start(HubParts {
            store: Arc::clone(&store),
            spine,
            ingress: Arc::new(Intake(Arc::clone(&pipeline))),
            auth: Arc::clone(&auth),
            telemetry: Arc::clone(&telemetry),
            limits: session_limits(config),
            samples: sample_limits(config),
            clock,
            ids,
            version_base: secrets.starts << 32,
        })?;
        // Only now: sessions see what rules publish on the way.
        pipeline.take_up(&hub)?;
        let authority = certificates::authority_path(&config.data.directory);
        let started = Started {
            admin_password: secrets.admin_password,
            rules_directory,
            authority: shown.authority_pem.is_some().then_some(authority),
            pages: pointsman_web::built(),
            broken_rules: pipeline.broken_rules().into_iter().map(|broken| broken.error).collect(),
            ..Started::default()
        };
        Ok(Prepared { store, pipeline, hub, auth, telemetry, shown, started })
    }
}

impl Started {
    /// Every listener with its URL.
    pub fn listeners(&self) -> Vec<Listener> {
        let kinds =
            [("mqtt", &self.mqtt), ("mqtts", &self.mqtts), ("http", &self.http), ("https", &self.https)];
        let mut listeners = Vec::new();
        for (kind, addresses) in kinds {
            listeners.extend(addresses.iter().map(|address| Listener { kind, url: url(kind, *address) }));
        }
        let unix = self.mqtt_unix.iter().map(|path| format!("mqtt+unix://{}", path.display()));
        listeners.extend(unix.map(|url| Listener { kind: "mqtt+unix", url }));
        listeners
    }
}

fn url(kind: &str, address: SocketAddr) -> String {
    // The name is what the certificate and people know.
    if address.ip().is_loopback() && address.is_ipv4() {
        format!("{kind}://localhost:{}", address.port())
    } else {
        format!("{kind}://{address}")
    }
}

fn open_store(config: &Config, clock: &Arc<Clock>) -> Result<Arc<Store>, StartError> {
    let section = &config.store;
    let mut options = StoreOptions::new(&config.data.directory);
    options.durability = match section.durability {
        Durability::EveryWrite => store::Durability::EveryWrite,
        Durability::Group => store::Durability::Group,
        Durability::Interval => store::Durability::Interval(Duration::from_secs(1)),
    };
    options.segment_bytes = section.segment_mib << 20;
    options.log_bytes_max = section.log_mib_max << 20;
    options.log_age_max = Duration::from_secs(section.log_hours_max.max(1) * 3600);
    options.cache_bytes = section.cache_mib << 20;
    // Rules are told of rows whose time was over while the server was down.
    options.sweep_waits = true;
    // A record holds what one read gave, and a packet may be as large as this.
    options.record_bytes_max = options.record_bytes_max.max(config.limits.packet_bytes_max * 2);
    options.pending_bytes_max = options.pending_bytes_max.max(options.record_bytes_max);
    let clock = Arc::clone(clock);
    Ok(Arc::new(Store::open(options, Arc::new(move || clock.now_ms()), Arc::new(RealDisk))?))
}

fn guest_policy(config: &Config) -> Result<Policy, StartError> {
    let Some(path) = &config.auth.guest_policy else {
        let bundled = Path::new("the bundled guest policy");
        return parse_policy(pointsman_config::GUEST_POLICY, bundled);
    };
    let text = std::fs::read_to_string(path)
        .map_err(|source| StartError::PolicyFile { path: path.clone(), source })?;
    parse_policy(&text, path)
}

fn parse_policy(text: &str, path: &Path) -> Result<Policy, StartError> {
    let policy = Policy::parse(text);
    let policy = policy.map_err(|source| StartError::Policy { path: path.to_owned(), source })?;
    Ok(policy.named(&path.display().to_string()))
}
