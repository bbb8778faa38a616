//! Sessions: what each connected client subscribes to, is sent, and has yet to acknowledge.

mod client;
mod connect;
mod connection;
mod dispatch;
mod inbound;
mod inflight;
mod lifecycle;
mod outbound;
mod outbox;
mod registry;
mod subscriptions;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::codec::Reason;
use super::envelope::{Envelope, Interest};
use super::spine::{SharedSpine, SpineStats};
use crate::auth::Auth;
use crate::clock::{Clock, IdSource};
use crate::telemetry::Telemetry;

pub use connect::{Peer, serve};
pub(crate) use connection::ClosedInOrder;
pub use lifecycle::{LifecycleEvent, PREFIX as LIFECYCLE_PREFIX};
pub use outbox::OutboxLimits;

use outbox::Kick;
use registry::Registry;
use subscriptions::Subscriptions;

/// Resolves to an envelope that is on disk and knows its place there, or says why it will not be.
pub type Logged = Pin<Box<dyn Future<Output = Result<Envelope, LogRefused>> + Send>>;

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

    /// Puts an envelope that has a durable message into the log.
    fn log(&self, envelope: Envelope) -> Logged;
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
    /// What may wait for a slow client.
    pub outbox: OutboxLimits,
}

/// What all sessions share.
pub struct Hub {
    pub(crate) spine: SharedSpine,
    pub(crate) ingress: Arc<dyn Ingress>,
    pub(crate) auth: Arc<Auth>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) limits: SessionLimits,
    pub(crate) clock: Arc<Clock>,
    pub(crate) ids: Arc<IdSource>,
    pub(crate) subscriptions: Arc<Subscriptions>,
    pub(crate) registry: Registry,
    next_connection: AtomicU64,
    /// Grows with each change of a policy.
    policy_generation: AtomicU64,
    /// Cancelled when the server stops: no further connection is accepted.
    stopping: CancellationToken,
}

/// What a hub is made of.
pub struct HubParts {
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
    /// Tells the time.
    pub clock: Arc<Clock>,
    /// Gives message ids.
    pub ids: Arc<IdSource>,
    /// Where version numbers of connections start.
    pub version_base: u64,
}

impl Hub {
    /// Makes a hub and has the spine deliver to its sessions.
    pub fn start(parts: HubParts) -> Arc<Hub> {
        let hub = Arc::new(Hub {
            spine: parts.spine,
            ingress: parts.ingress,
            auth: parts.auth,
            telemetry: parts.telemetry,
            limits: parts.limits,
            clock: parts.clock,
            ids: parts.ids,
            subscriptions: Arc::new(Subscriptions::new(u64::from_be_bytes(crate::random::array()))),
            registry: Registry::new(parts.version_base),
            next_connection: AtomicU64::new(1),
            policy_generation: AtomicU64::new(0),
            stopping: CancellationToken::new(),
        });
        // The spine does not keep the hub alive, which keeps the spine.
        let (mut dispatcher, weak) = (dispatch::Dispatcher::new(&hub), Arc::downgrade(&hub));
        let deliver = move |envelopes: &[Envelope]| {
            if let Some(hub) = weak.upgrade() {
                dispatcher.deliver(&hub, envelopes);
            }
        };
        hub.spine.attach("sessions", Box::new(deliver));
        hub
    }

    /// How many clients are connected.
    pub fn connections(&self) -> usize {
        self.registry.len()
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

    /// Changes whenever a topic may be wanted by others, or allowed to others, than before.
    pub(crate) fn generation(&self) -> u64 {
        self.ingress.generation().wrapping_add(self.policy_generation.load(Ordering::Acquire))
    }

    /// Has all who are connected go by the policies that there are now: what is published and received from here on.
    pub fn policy_changed(&self) {
        for client in self.registry.all() {
            self.auth.refresh(&client.identity, &client.client_id);
        }
        self.policy_generation.fetch_add(1, Ordering::Release);
        self.subscriptions.forget_routes();
    }

    /// Refuses new connections, ends the others with a reason, and resolves when they have ended.
    pub async fn stop(&self) {
        self.stopping.cancel();
        let clients = self.registry.all();
        for client in &clients {
            client.outbox.kick(Kick {
                reason: Reason::ServerShuttingDown,
                detail: "the server is shutting down",
                lifecycle: lifecycle::reason::SERVER_INITIATED_DISCONNECT,
            });
        }
        for client in &clients {
            client.ended().await;
        }
    }

    fn next_connection(&self) -> u64 {
        self.next_connection.fetch_add(1, Ordering::Relaxed)
    }
}
