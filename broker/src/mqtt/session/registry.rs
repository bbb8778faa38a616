//! Which clients are connected, by client id and by connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::client::{Client, ClientParts};

/// A client id's version number starts again after so long without a connection (SEMANTICS §2).
const VERSION_KEPT_MS: u64 = 3_600_000;
/// How many client ids that are gone are remembered for their version number.
const GONE_MAX: usize = 100_000;

/// The connected clients.
#[derive(Debug)]
pub(crate) struct Registry {
    inner: Mutex<Inner>,
    /// Where version numbers start: higher after each start of the server, so that none comes again too low.
    version_base: u64,
}

#[derive(Debug, Default)]
struct Inner {
    by_id: HashMap<Arc<str>, Arc<Client>>,
    by_connection: HashMap<u64, Arc<Client>>,
    gone: HashMap<Arc<str>, Gone>,
}

#[derive(Debug)]
struct Gone {
    version_number: u64,
    at_ms: u64,
}

impl Registry {
    pub(crate) fn new(version_base: u64) -> Registry {
        Registry { inner: Mutex::default(), version_base }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a client and gives it with the one it takes the place of, if that is still there.
    pub(crate) fn enter(&self, parts: ClientParts, now_ms: u64) -> (Arc<Client>, Option<Arc<Client>>) {
        let mut inner = self.lock();
        let client_id = Arc::clone(&parts.client_id);
        let previous = inner.by_id.get(&client_id).cloned();
        let version_number = match &previous {
            Some(previous) => previous.version_number + 1,
            None => match inner.gone.remove(&client_id) {
                Some(gone) if now_ms < gone.at_ms + VERSION_KEPT_MS => gone.version_number + 1,
                _ => self.version_base,
            },
        };
        let client = Arc::new(Client::new(parts, version_number));
        inner.by_connection.insert(client.connection, Arc::clone(&client));
        inner.by_id.insert(client_id, Arc::clone(&client));
        (client, previous)
    }

    /// Takes a client out when its connection has ended.
    pub(crate) fn leave(&self, client: &Client, now_ms: u64) {
        let mut inner = self.lock();
        inner.by_connection.remove(&client.connection);
        let is_this = inner.by_id.get(&client.client_id).is_some_and(|it| it.connection == client.connection);
        if !is_this {
            return;
        }
        let Some((client_id, _)) = inner.by_id.remove_entry(&client.client_id) else { return };
        if inner.gone.len() >= GONE_MAX {
            inner.forget(now_ms);
        }
        inner.gone.insert(client_id, Gone { version_number: client.version_number, at_ms: now_ms });
    }

    /// The connection of that number.
    pub(crate) fn connection(&self, connection: u64) -> Option<Arc<Client>> {
        self.lock().by_connection.get(&connection).cloned()
    }

    /// The client of that id.
    pub(crate) fn client(&self, client_id: &str) -> Option<Arc<Client>> {
        self.lock().by_id.get(client_id).cloned()
    }

    /// Everybody.
    pub(crate) fn all(&self) -> Vec<Arc<Client>> {
        self.lock().by_connection.values().cloned().collect()
    }

    /// How many are connected.
    pub(crate) fn len(&self) -> usize {
        self.lock().by_connection.len()
    }
}

impl Inner {
    /// Forgets those gone for long enough; if that does not halve them, the oldest too.
    fn forget(&mut self, now_ms: u64) {
        self.gone.retain(|_, gone| now_ms < gone.at_ms + VERSION_KEPT_MS);
        if self.gone.len() > GONE_MAX / 2 {
            let mut times: Vec<u64> = self.gone.values().map(|gone| gone.at_ms).collect();
            let middle = times.len() / 2;
            let (_, median, _) = times.select_nth_unstable(middle);
            let median = *median;
            self.gone.retain(|_, gone| gone.at_ms > median);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::auth::{Auth, Credentials, PasswordHash, Policy};

    async fn parts(connection: u64, client_id: &str) -> ClientParts {
        let auth = Auth::new(true, Policy::admin(), PasswordHash::of("x", [0; 16]));
        let credentials = Credentials { client_id, username: None, password: None };
        let identity = Arc::new(auth.authenticate(credentials).await.unwrap());
        ClientParts { connection, client_id: Arc::from(client_id), identity, ip: Ipv4Addr::LOCALHOST.into() }
    }

    #[tokio::test]
    async fn version_numbers_grow_and_start_again_after_an_hour() {
        let registry = Registry::new(0);
        let (first, none) = registry.enter(parts(1, "c").await, 0);
        assert!(none.is_none() && first.version_number == 0);
        let (second, previous) = registry.enter(parts(2, "c").await, 0);
        assert_eq!((previous.unwrap().connection, second.version_number), (1, 1));
        registry.leave(&first, 5);
        assert_eq!(registry.len(), 1, "the one that was taken over does not take its successor out");
        registry.leave(&second, 10);
        let (third, _) = registry.enter(parts(3, "c").await, 10 + VERSION_KEPT_MS - 1);
        assert_eq!(third.version_number, 2);
        registry.leave(&third, 20);
        let (fourth, _) = registry.enter(parts(4, "c").await, 20 + VERSION_KEPT_MS);
        assert_eq!(fourth.version_number, 0);
    }

    #[tokio::test]
    async fn what_is_remembered_of_the_gone_is_bounded() {
        let registry = Registry::new(0);
        let template = parts(0, "x").await;
        let mut inner = registry.lock();
        for id in 0..GONE_MAX as u64 {
            inner.gone.insert(Arc::from(id.to_string()), Gone { version_number: 0, at_ms: id });
        }
        drop(inner);
        let (client, _) = registry.enter(template, 1);
        registry.leave(&client, 1);
        assert!(registry.lock().gone.len() <= GONE_MAX / 2 + 1);
    }
}
