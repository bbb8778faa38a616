//! Joins the parts: opens the store, binds every port, wires everything, and ends it in order.

mod certificates;
mod secrets;
mod unpack;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pointsman_config::{Config, Durability, Readers};
use pointsman_rules::Limits;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::api::http::{self, Api, Listener, MetricsReaders};
use crate::auth::{Auth, Policy, PolicyError};
use crate::clock::{Clock, IdSource};
use crate::mqtt::listen::{self, Tls, TlsError};
use crate::mqtt::sys;
use crate::mqtt::{
    Hub, HubParts, OutboxLimits, PublishRate, RetainedLimits, RouterSpine, SessionLimits, SharedSpine,
    SpineOptions,
};
use crate::pipeline::{Intake, Pipeline, PipelineParts};
use crate::random;
use crate::store::{self, OpenError, ReadError, RealDisk, Store, StoreOptions};
use crate::telemetry::Telemetry;

pub use certificates::host_name;
pub use secrets::SecretsError;

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
    /// The operator's account cannot be read or made.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The data directory cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// There is no certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A server that runs.
pub struct App {
    hub: Arc<Hub>,
    pipeline: Arc<Pipeline>,
    store: Arc<Store>,
    tasks: TaskTracker,
    started: Started,
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

struct Bound {
    mqtt: Vec<TcpListener>,
    mqtts: Vec<TcpListener>,
    http: Vec<TcpListener>,
    https: Vec<TcpListener>,
}

impl App {
    /// Starts a server. Everything is bound and ready when this returns.
    pub async fn start(config: &Config) -> Result<App, StartError> {
        // Ports first: nothing on disk is touched when one is taken.
        let bound = bind_all(config)?;
        let prepared = {
            let config = config.clone();
            let prepared = tokio::task::spawn_blocking(move || Prepared::new(&config)).await;
            prepared.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?
        };
        let Prepared { store, pipeline, hub, telemetry, tls, mut started } = prepared;
        bound.note(&mut started);
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
            topic_levels_max: config.limits.topic_levels_max,
            authority_pem: tls.authority_pem.map(Arc::from),
            listeners: Arc::new(started.listeners()),
        };
        let tasks = TaskTracker::new();
        bound.serve(&hub, &tls.acceptor, &api, &tasks);
        if config.sys.interval_seconds > 0 {
            tasks.spawn(sys::run(Arc::clone(&hub), Duration::from_secs(config.sys.interval_seconds)));
        }
        Ok(App { hub, pipeline, store, tasks, started })
    }

    /// What there is to tell.
    pub fn started(&self) -> &Started {
        &self.started
    }

    /// Ends it: no new connection, a reason to every client, what waits handled, the store closed.
    pub async fn stop(self) {
        const PATIENCE: Duration = Duration::from_secs(10);
        self.tasks.close();
        if tokio::time::timeout(PATIENCE, self.hub.stop()).await.is_err() {
            warn!("some clients did not end in time");
        }
        let _ = tokio::time::timeout(PATIENCE, self.tasks.wait()).await;
        // The rules are to hear that the clients have gone.
        let _ = tokio::time::timeout(PATIENCE, self.hub.delivered()).await;
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
    telemetry: Arc<Telemetry>,
    tls: Tls,
    started: Started,
}

impl Prepared {
    fn new(config: &Config) -> Result<Prepared, StartError> {
        let clock = Arc::new(Clock::system());
        let store = open_store(config, &clock)?;
        let rules_directory = unpack::rules(&config.rules.directory, &config.data.directory)?;
        let tls = certificates::load(config)?;
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
            workers: std::thread::available_parallelism().map_or(2, usize::from).max(2),
            telemetry: Arc::clone(&telemetry),
            clock: Arc::clone(&clock),
            ids: Arc::clone(&ids),
        })?;
        let hub = Hub::start(HubParts {
            store: Arc::clone(&store),
            spine,
            ingress: Arc::new(Intake(Arc::clone(&pipeline))),
            auth,
            telemetry: Arc::clone(&telemetry),
            limits: session_limits(config),
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
            authority: tls.authority_pem.is_some().then_some(authority),
            pages: pointsman_web::built(),
            broken_rules: pipeline.broken_rules().into_iter().map(|broken| broken.error).collect(),
            ..Started::default()
        };
        Ok(Prepared { store, pipeline, hub, telemetry, tls, started })
    }
}

impl Bound {
    fn note(&self, started: &mut Started) {
        let of = |listeners: &[TcpListener]| listeners.iter().filter_map(|it| it.local_addr().ok()).collect();
        started.mqtt = of(&self.mqtt);
        started.mqtts = of(&self.mqtts);
        started.http = of(&self.http);
        started.https = of(&self.https);
    }

    fn serve(self, hub: &Arc<Hub>, acceptor: &TlsAcceptor, api: &Api, tasks: &TaskTracker) {
        for listener in self.mqtt {
            tasks.spawn(listen::serve_tcp(listener, Arc::clone(hub)));
        }
        for listener in self.mqtts {
            tasks.spawn(listen::serve_tls(listener, acceptor.clone(), Arc::clone(hub)));
        }
        for listener in self.http {
            tasks.spawn(http::serve_plain(listener, api.clone()));
        }
        for listener in self.https {
            tasks.spawn(http::serve_tls(listener, acceptor.clone(), api.clone()));
        }
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

fn bind_all(config: &Config) -> Result<Bound, StartError> {
    let listen = &config.listen;
    Ok(Bound {
        mqtt: bind("mqtt", &listen.mqtt)?,
        mqtts: bind("mqtts", &listen.mqtts)?,
        http: bind("http", &listen.http)?,
        https: bind("https", &listen.https)?,
    })
}

fn bind(kind: &'static str, addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, StartError> {
    let mut listeners = Vec::new();
    for &address in addresses {
        match listen::bind(address) {
            Ok(listener) => listeners.push(listener),
            // A machine without IPv6 has no ::1; 127.0.0.1 is there all the same.
            Err(error) if address.is_ipv6() && address.ip().is_loopback() && is_missing(&error) => {
                debug!(%address, %error, "not listening: this machine has no such address");
            }
            Err(source) => {
                let hint = match source.kind() {
                    std::io::ErrorKind::AddrInUse => {
                        " (stop the program that has it, or set another address in [listen])"
                    }
                    std::io::ErrorKind::PermissionDenied => " (ports below 1024 need the right to use them)",
                    _ => "",
                };
                return Err(StartError::Bind { address, kind, source, hint });
            }
        }
    }
    Ok(listeners)
}

/// Whether an error says that there is no such address or family here.
fn is_missing(error: &std::io::Error) -> bool {
    const NO_SUCH_FAMILY: i32 = 97;
    error.kind() == std::io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(NO_SUCH_FAMILY)
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
    Policy::parse(text).map_err(|source| StartError::Policy { path: path.to_owned(), source })
}

/// The limits of rule runs that a configuration sets.
pub fn rule_limits(config: &Config) -> Limits {
    let rules = &config.rules;
    Limits {
        operations_max: rules.operations_max,
        run_time_max: Duration::from_millis(rules.run_time_max_ms),
        string_bytes_max: rules.string_bytes_max,
        array_len_max: rules.array_len_max,
        map_len_max: rules.map_len_max,
        effects_max: rules.effects_max,
        ..Limits::default()
    }
}

fn session_limits(config: &Config) -> SessionLimits {
    let limits = &config.limits;
    SessionLimits {
        connections_max: limits.connections_max,
        connect_timeout: Duration::from_secs(limits.connect_timeout_seconds),
        packet_bytes_max: limits.packet_bytes_max,
        subscriptions_max: limits.subscriptions_max,
        topic_levels_max: limits.topic_levels_max,
        client_id_bytes_max: limits.client_id_bytes_max,
        inflight_max: limits.inflight_max,
        topic_alias_max: limits.topic_alias_max,
        keep_alive_max_seconds: limits.keep_alive_max_seconds,
        receive_max: limits.receive_max.max(1),
        publish_rate: PublishRate {
            messages_per_second: limits.publish_messages_per_second,
            bytes_per_second: limits.publish_bytes_per_second,
        },
        sessions_max: limits.sessions_max,
        session_expiry_max_seconds: limits.session_expiry_max_seconds,
        outbox: OutboxLimits { bytes_max: limits.outbox_bytes_max, messages_max: limits.outbox_messages_max },
        retained: RetainedLimits {
            messages_max: limits.retained_messages_max,
            bytes_max: limits.retained_bytes_max,
        },
    }
}
