//! One connected client, as the others see it.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;

use super::super::codec::Reason;
use super::session::Session;
use crate::auth::Identity;

/// Why somebody else ends a connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kick {
    /// What an MQTT 5 client is told.
    pub(crate) reason: Reason,
    /// The words with it.
    pub(crate) detail: Cow<'static, str>,
    /// The `disconnectReason` of the lifecycle event.
    pub(crate) lifecycle: &'static str,
}

/// A connected client: who it is, and how to end it.
#[derive(Debug)]
#[expect(clippy::struct_field_names, reason = "MQTT calls it the client id")]
pub(crate) struct Client {
    /// This connection; another connection of the same client has another.
    pub(crate) connection: u64,
    pub(crate) client_id: Arc<str>,
    pub(crate) identity: Arc<Identity>,
    /// Grows with each connection of this client id.
    pub(crate) version_number: u64,
    pub(crate) ip: IpAddr,
    /// Its session, once it has been taken up.
    pub(crate) session: OnceLock<Arc<Session>>,
    kick: OnceLock<Arc<Kick>>,
    waker: AtomicWaker,
    /// Until when (ms) its publishes are held up, because one of its subscribers is crowded.
    held_until_ms: AtomicU64,
    ended: AtomicBool,
    end: Notify,
}

/// What is known of a client before it is entered into the registry.
#[derive(Debug)]
pub(crate) struct ClientParts {
    pub(crate) connection: u64,
    pub(crate) client_id: Arc<str>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) ip: IpAddr,
}

impl Client {
    pub(crate) fn new(parts: ClientParts, version_number: u64) -> Client {
        Client {
            connection: parts.connection,
            client_id: parts.client_id,
            identity: parts.identity,
            version_number,
            ip: parts.ip,
            session: OnceLock::new(),
            kick: OnceLock::new(),
            waker: AtomicWaker::new(),
            held_until_ms: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            end: Notify::new(),
        }
    }

    /// Ends the connection, with a reason.
    pub(crate) fn kick(&self, kick: Kick) {
        self.kick.get_or_init(|| Arc::new(kick));
        self.waker.wake();
    }

    /// Why the connection is to be ended, once it is.
    pub(crate) fn poll_kicked(&self, cx: &mut Context<'_>) -> Poll<Arc<Kick>> {
        if self.kick.get().is_none() {
            self.waker.register(cx.waker());
        }
        self.kicked().map_or(Poll::Pending, Poll::Ready)
    }

    /// Why the connection is to be ended, if it is.
    pub(crate) fn kicked(&self) -> Option<Arc<Kick>> {
        self.kick.get().cloned()
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
