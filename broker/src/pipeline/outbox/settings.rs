//! What the outbox goes by.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use pointsman_config::{NotifySubscriber, PrivatePlace, WebAddress};

use super::sign::SigningKey;
use super::target::Load;

/// Where requests may go, and how often they are tried; the names are those of the configuration.
#[derive(Debug, Clone)]
pub struct OutboxSettings {
    /// Where rules may send to, with all that lies below.
    pub allow: Vec<WebAddress>,
    /// Addresses that are not public and may be sent to all the same.
    pub private: Vec<PrivatePlace>,
    /// PEM: authorities that are trusted besides those of the system.
    pub authority: Option<PathBuf>,
    /// Finding and reaching a server.
    pub connect_timeout: Duration,
    /// One attempt, unless the rule says otherwise.
    pub timeout: Duration,
    /// Bytes of one request's body.
    pub body_bytes_max: usize,
    /// Bytes of an answer's body that are read.
    pub response_bytes_max: usize,
    /// Attempts that reach the server.
    pub attempts_max: u32,
    /// How long it is tried.
    pub retry_max: Duration,
    /// Requests under way to one server.
    pub in_flight_max: usize,
    /// Requests that may wait for one server; as many that were given up are kept.
    pub rows_max: u64,
    /// Bytes that may wait for one server; as many that were given up are kept.
    pub bytes_max: u64,
    /// What signs requests, by name.
    pub secrets: BTreeMap<String, SigningKey>,
    /// Who is told of notifications.
    pub subscribers: Vec<NotifySubscriber>,
}

impl OutboxSettings {
    /// What may wait for one server.
    pub(super) fn load_max(&self) -> Load {
        Load { rows: self.rows_max, bytes: self.bytes_max }
    }

    /// Every server that requests may go to.
    pub(super) fn servers(&self) -> BTreeSet<String> {
        let allowed = self.allow.iter().map(WebAddress::server);
        allowed.chain(self.subscribers.iter().map(|subscriber| subscriber.url.server())).collect()
    }

    /// Whether a request may go there at all.
    pub(super) fn allows(&self, url: &WebAddress) -> bool {
        self.allow.iter().any(|allowed| allowed.covers(url))
            || self.subscribers.iter().any(|subscriber| subscriber.url == *url)
    }
}
