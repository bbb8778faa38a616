//! One connected client, as the others see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Notify;

use super::outbox::Outbox;
use crate::auth::Identity;

/// A connected client: who it is, and where to leave what it is to get.
#[derive(Debug)]
#[expect(clippy::struct_field_names, reason = "MQTT calls it the client id")]
pub(crate) struct Client {
    /// This connection; another connection of the same client has another.
    pub(crate) connection: u64,
    pub(crate) client_id: Arc<str>,
    pub(crate) identity: Identity,
    /// The UUID of the session in lifecycle events.
    pub(crate) session_id: String,
    /// Grows with each connection of this client id.
    pub(crate) version_number: u64,
    pub(crate) ip: String,
    pub(crate) outbox: Outbox,
    /// Until when (ms) its publishes are held up, because one of its subscribers is crowded.
    held_until_ms: AtomicU64,
    ended: AtomicBool,
    end: Notify,
}

impl Client {
    pub(crate) fn new(parts: ClientParts, version_number: u64) -> Client {
        Client {
            connection: parts.connection,
            client_id: parts.client_id,
            identity: parts.identity,
            session_id: parts.session_id,
            version_number,
            ip: parts.ip,
            outbox: parts.outbox,
            held_until_ms: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            end: Notify::new(),
        }
    }

    /// Holds its publishes up until then.
    pub(crate) fn hold_until(&self, ms: u64) {
        self.held_until_ms.fetch_max(ms, Ordering::Relaxed);
    }

    /// Until when its publishes are held up.
    pub(crate) fn held_until_ms(&self) -> u64 {
        self.held_until_ms.load(Ordering::Relaxed)
    }

    /// Tells whoever waits for the end of this connection that it has come.
    pub(crate) fn set_ended(&self) {
        self.outbox.close();
        self.ended.store(true, Ordering::Release);
        self.end.notify_waiters();
    }

    /// Resolves when the connection has ended and all that follows from it is done.
    pub(crate) async fn ended(&self) {
        loop {
            let end = self.end.notified();
            if self.ended.load(Ordering::Acquire) {
                return;
            }
            end.await;
        }
    }
}

/// What is known of a client before it is entered into the registry.
#[derive(Debug)]
pub(crate) struct ClientParts {
    pub(crate) connection: u64,
    pub(crate) client_id: Arc<str>,
    pub(crate) identity: Identity,
    pub(crate) session_id: String,
    pub(crate) ip: String,
    pub(crate) outbox: Outbox,
}
