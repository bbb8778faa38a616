//! Sessions: what each connected client subscribes to, is sent, and has yet to acknowledge.

mod audience;
mod client;
mod connect;
mod connection;
mod dispatch;
mod exchange;
mod figures;
mod from_log;
mod inbound;
mod keep;
mod lifecycle;
mod outbound;
mod outbox;
mod probe;
mod progress;
mod publish;
mod recipients;
mod registry;
mod resume;
mod retained;
mod samples;
#[expect(clippy::module_inception, reason = "one session, among all that concerns them")]
mod session;
mod sessions;
mod share;
mod state;
mod subscribe;
mod subscriptions;
mod throttle;
mod uuid;
mod wills;
mod witness;
mod work;

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::codec::Reason;
use super::envelope::{Envelope, Interest};
use super::spine::{ReaderOptions, SharedSpine, SpineStats};
use crate::auth::{ADMIN, Auth, Denial, Identity};
use crate::clock::{Clock, IdSource};
use crate::store::{ReadError, Seq, Store, Write};
use crate::telemetry::{Open, Telemetry, Transport};

pub use audience::RECIPIENTS_MAX;
pub use connect::{Begun, Peer, begin, serve};
pub(crate) use connection::ClosedInOrder;
pub use figures::Figures;
pub use from_log::envelope_of;
pub use lifecycle::{LifecycleEvent, PREFIX as LIFECYCLE_PREFIX};
pub use outbox::OutboxLimits;
pub use progress::Progress;
pub use publish::Publication;
pub use recipients::{Receipt, Recipient};
pub use retained::{
    RetainedLimits, RetainedStats, TOPIC_BYTES_MAX as RETAINED_TOPIC_BYTES_MAX, writes_of as retained_writes,
};
pub use samples::{SampleLimits, Sampled};
pub use throttle::PublishRate;

use client::Kick;
use registry::Registry;
use retained::Retained;
use samples::Samples;
use sessions::Sessions;
use subscriptions::Subscriptions;
use wills::Wills;

/// Resolves to a record's place in the log once it is on disk and its messages are on the spine, or says why it will not
/// be.
pub type Logged = Pin<Box<dyn Future<Output = Result<Seq, LogRefused>> + Send>>;

/// The server stops.
const STOPPED: Kick = Kick {
    reason: Reason::ServerShuttingDown,
    detail: Cow::Borrowed("the server is shutting down"),
    lifecycle: lifecycle::reason::SERVER_INITIATED_DISCONNECT,
};

/// What is to be in the log, all or nothing.
#[derive(Debug)]
pub struct Entry {
    /// Messages, which then go to the spine.
    pub envelope: Option<Envelope>,
    /// What happened to a session.
    pub sessions: Bytes,
    /// Changes to tables.
    pub writes: Vec<Write>,
}

/// Where the log ends.
#[derive(Debug, Clone, Copy)]
pub struct LogEnd {
    /// Its last record.
    pub end: Seq,
    /// The last of its records that holds messages and was taken since the start.
    pub last_message: Seq,
}

/// Why a publish cannot be promised.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct LogRefused {
    /// What an MQTT 5 publisher is told.
    pub reason: Reason,
    /// The words for the log.
    pub detail: String,
}

/// What lies behind the sessions: it knows who wants a topic, and keeps what must not be lost.
pub trait Ingress: Send + Sync + 'static {
    /// Who wants messages of this topic besides the sessions.
    fn interest(&self, topic: &str) -> Interest;

    /// Changes whenever `interest` may answer differently than before.
    fn generation(&self) -> u64;

    /// Puts an entry into the log, at once where there is room, and its messages on the spine once they are on disk:
    /// all readers of the spine see them in the order of the log.
    fn log(&self, entry: Entry) -> Logged;

    /// Where the log ends, as of one moment.
    fn end(&self) -> LogEnd;
}

/// Bounds of every session; the names are those of the configuration.
#[derive(Debug, Clone)]
pub struct SessionLimits {
    /// The largest packet taken.
    pub packet_bytes_max: usize,
    /// Subscriptions of one connection.
    pub subscriptions_max: usize,
    /// Levels of a topic or filter.
    pub topic_levels_max: usize,
    /// Bytes of a client id.
    pub client_id_bytes_max: usize,
    /// Publishes sent to a client and not yet acknowledged.
    pub inflight_max: u16,
    /// Topic aliases a client may set.
    pub topic_alias_max: u16,
    /// The longest keep-alive; clients that ask for none get it too. Zero for no limit.
    pub keep_alive_max_seconds: u16,
    /// Publishes of QoS 2 that a client may have under way; what CONNACK calls the receive maximum.
    pub receive_max: u16,
    /// What a client may publish in a second.
    pub publish_rate: PublishRate,
    /// Sessions that outlive their connections.
    pub sessions_max: usize,
    /// The longest that a session outlives its connection.
    pub session_expiry_max_seconds: u32,
    /// What may wait for a slow client.
    pub outbox: OutboxLimits,
    /// Retained messages.
    pub retained: RetainedLimits,
}

/// What all sessions share.
pub struct Hub {
    pub(crate) spine: SharedSpine,
    pub(crate) ingress: Arc<dyn Ingress>,
    pub(crate) auth: Arc<Auth>,
    pub(crate) telemetry: Arc<Telemetry>,
    /// What connections that begin now go by; each keeps what it began with.
    limits: ArcSwap<SessionLimits>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) ids: Arc<IdSource>,
    pub(crate) subscriptions: Arc<Subscriptions>,
    pub(crate) registry: Registry,
    pub(crate) store: Arc<Store>,
    pub(crate) sessions: Sessions,
    pub(crate) retained: Retained,
    pub(crate) samples: Samples,
    pub(crate) wills: Wills,
    me: Weak<Hub>,
    /// The last record whose messages were given to every session.
    dispatched_through: AtomicU64,
    pub(crate) dispatched: dispatch::Dispatched,
    /// What went through the spine before the hub listened to it.
    published_before: u64,
    /// Held by whoever writes a round: what one has taken for written the next must not pass over before it is.
    rounds: tokio::sync::Mutex<()>,
    /// From where a start would read the log.
    round_from: AtomicU64,
    next_connection: AtomicU64,
    /// Grows with each change of a policy.
    policy_generation: AtomicU64,
    /// Cancelled when the server stops: no further connection is accepted.
    stopping: CancellationToken,
}

/// What a hub is made of.
pub struct HubParts {
    /// Keeps sessions and retained messages.
    pub store: Arc<Store>,
    /// Carries every message.
    pub spine: SharedSpine,
    /// What lies behind.
    pub ingress: Arc<dyn Ingress>,
    /// Knows the clients.
    pub auth: Arc<Auth>,
    /// Counts.
    pub telemetry: Arc<Telemetry>,
    /// Bounds.
    pub limits: SessionLimits,
    /// Which messages are kept to be explained.
    pub samples: SampleLimits,
    /// Tells the time.
    pub clock: Arc<Clock>,
    /// Gives message ids.
    pub ids: Arc<IdSource>,
    /// Where version numbers of connections start.
    pub version_base: u64,
}

impl Hub {
    /// Makes a hub, takes up what the last run left, and has the spine deliver to its sessions. Needs a runtime.
    pub fn start(parts: HubParts) -> Result<Arc<Hub>, ReadError> {
        let retained = Retained::load(&parts.store, parts.limits.retained.clone(), parts.clock.now_ms())?;
        let hub = Arc::new_cyclic(|me| Hub {
            me: Weak::clone(me),
            dispatched_through: AtomicU64::new(parts.store.end()),
            rounds: tokio::sync::Mutex::default(),
            round_from: AtomicU64::new(0),
            dispatched: dispatch::Dispatched::default(),
            published_before: parts.spine.stats().published,
            store: parts.store,
            sessions: Sessions::default(),
            retained,
            samples: Samples::new(parts.samples),
            wills: Wills::default(),
            spine: parts.spine,
            ingress: parts.ingress,
            auth: parts.auth,
            telemetry: parts.telemetry,
            limits: ArcSwap::from_pointee(parts.limits),
            clock: parts.clock,
            ids: parts.ids,
            subscriptions: Arc::new(Subscriptions::new(u64::from_be_bytes(crate::random::array()))),
            registry: Registry::new(parts.version_base),
            next_connection: AtomicU64::new(1),
            policy_generation: AtomicU64::new(0),
            stopping: CancellationToken::new(),
        });
        hub.restore_sessions()?;
        // The spine does not keep the hub alive, which keeps the spine.
        let (mut dispatcher, weak) = (dispatch::Dispatcher::new(&hub), Arc::downgrade(&hub));
        let deliver = move |envelopes: &[Envelope]| {
            if let Some(hub) = weak.upgrade() {
                dispatcher.deliver(&hub, envelopes);
            }
        };
        // Delivering is putting into outboxes, which waits for nothing.
        let options = ReaderOptions { inline: true, ..ReaderOptions::default() };
        hub.spine.attach("sessions", options, Box::new(deliver));
        tokio::spawn(keep::keep(Arc::downgrade(&hub)));
        Ok(hub)
    }

    /// Who wants messages of a topic so that they must be kept, or seen by rules.
    pub(crate) fn interest(&self, topic: &str) -> Interest {
        let mut interest = self.ingress.interest(topic);
        interest.durable |= self.subscriptions.wants_durably(topic);
        interest
    }

    /// Whether a session that outlives its connections wants what is published to a topic.
    pub fn wants_durably(&self, topic: &str) -> bool {
        self.subscriptions.wants_durably(topic)
    }

    /// Changes whenever `interest` may answer differently than before, or a policy may.
    pub(crate) fn interest_generation(&self) -> u64 {
        // All only grow, so their sum is the same only if each is.
        let policies = self.policy_generation.load(Ordering::Acquire);
        self.ingress.generation() + self.subscriptions.durable_generation() + policies
    }

    /// Takes the messages of a run that are to be retained.
    pub(crate) fn retain(&self, envelope: &Envelope, run: std::ops::Range<usize>) {
        for index in run.filter(|index| envelope.message(*index).marks().retain) {
            self.retained.apply(envelope, index, self.clock.now_ms());
        }
    }

    /// How many sessions outlive their connections.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Figures of the retained messages.
    pub fn retained_stats(&self) -> RetainedStats {
        self.retained.stats()
    }

    /// How many clients are connected.
    pub fn connections(&self) -> usize {
        self.registry.len()
    }

    /// Counts a connection as open while what this returns lives.
    pub fn opened(&self, transport: Transport) -> Open {
        self.telemetry.transports.open(transport)
    }

    /// What time it is.
    pub fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// The operator, who has shown that by other means than a password.
    pub fn known_operator(&self) -> Result<Identity, Denial> {
        self.auth.identify(Arc::from(ADMIN), "")
    }

    /// The operator, if this is the name and password.
    pub async fn operator(&self, name: &str, password: &[u8]) -> Result<Identity, Denial> {
        self.auth.operator(name, password).await
    }

    /// How many subscriptions there are.
    pub fn subscriptions(&self) -> usize {
        self.subscriptions.len()
    }

    /// Resolves when every reader of the spine has had all that was published.
    pub async fn delivered(&self) {
        while self.spine.stats().lag_bytes > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Figures of the spine.
    pub fn spine_stats(&self) -> SpineStats {
        self.spine.stats()
    }

    /// Whether the server is stopping.
    pub fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// What connections that begin now go by.
    pub(crate) fn limits(&self) -> Arc<SessionLimits> {
        self.limits.load_full()
    }

    /// Has connections that begin from now on go by other limits. That of packets, which the log knows, and those of
    /// retained messages stay as they were at the start.
    pub fn set_limits(&self, limits: SessionLimits) {
        let packet_bytes_max = self.limits.load().packet_bytes_max;
        self.limits.store(Arc::new(SessionLimits { packet_bytes_max, ..limits }));
    }

    /// Has all go by the policies that there are now, in what is published and received from here on: who is connected,
    /// and who has been since the start.
    pub fn policy_changed(&self) {
        for client in self.registry.all() {
            self.auth.refresh(&client.identity, &client.client_id);
        }
        for session in self.sessions.all() {
            session.refresh_identity(&self.auth);
        }
        self.policy_generation.fetch_add(1, Ordering::Release);
        self.subscriptions.changed();
    }

    /// Ends the connection of a client, if it has one, as an operator does; its session stays as it asked for. The client is
    /// told `reason`.
    pub fn disconnect(&self, client_id: &str, reason: Option<&str>) {
        let Some(client) = self.registry.client(client_id) else { return };
        client.kick(Kick {
            reason: Reason::AdministrativeAction,
            detail: reason.unwrap_or("a rule of the server has ended this connection").to_owned().into(),
            lifecycle: lifecycle::reason::SERVER_INITIATED_DISCONNECT,
        });
    }

    /// Refuses new connections, ends the others with a reason, and resolves when they have ended.
    pub async fn stop(&self) {
        self.stopping.cancel();
        let clients = self.registry.all();
        for client in &clients {
            client.kick(STOPPED);
        }
        for client in &clients {
            client.ended().await;
        }
        if let Err(error) = self.write_round().await {
            tracing::warn!(
                error = crate::report::chain(&error),
                "sessions could not be written down; the next start reads more of the log"
            );
        }
    }

    fn next_connection(&self) -> u64 {
        self.next_connection.fetch_add(1, Ordering::Relaxed)
    }
}
