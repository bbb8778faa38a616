//! Who subscribes to what, and the routes of topics that follow from it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use pointsman_rules::topic::{TopicFilter, TopicTrie};
use rustc_hash::FxBuildHasher;
use smallvec::SmallVec;

use super::super::codec::QoS;
use super::client::Client;
use crate::auth::Action;

/// Routes kept at most; beyond, all are found anew.
const ROUTES_MAX: usize = 65_536;

/// One subscription.
#[derive(Debug)]
pub(crate) struct Subscriber {
    pub(crate) client: Arc<Client>,
    pub(crate) qos: QoS,
    pub(crate) no_local: bool,
    pub(crate) retain_as_published: bool,
    pub(crate) subscription_id: Option<u32>,
}

/// All subscriptions, in a trie.
#[derive(Debug)]
pub(crate) struct Subscriptions {
    trie: RwLock<TopicTrie<Subscriber>>,
    /// Grows with every change, so that routes found before are known to be old.
    generation: AtomicU64,
}

impl Subscriptions {
    /// `hash_seed` is secret: clients choose the levels of filters.
    pub(crate) fn new(hash_seed: u64) -> Subscriptions {
        Subscriptions {
            trie: RwLock::new(TopicTrie::with_hash_seed(hash_seed)),
            generation: AtomicU64::new(0),
        }
    }

    /// Adds a subscription, or replaces the one this connection has on that filter. [MQTT-3.8.4-3]
    pub(crate) fn subscribe(&self, filter: &TopicFilter, subscriber: Subscriber) {
        let mut trie = self.trie.write().unwrap_or_else(PoisonError::into_inner);
        let connection = subscriber.client.connection;
        let mine = trie.values_mut(filter).iter_mut().find(|it| it.client.connection == connection);
        match mine {
            Some(mine) => *mine = subscriber,
            None => trie.insert(filter, subscriber),
        }
        drop(trie);
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Takes a subscription away; false if there was none.
    pub(crate) fn unsubscribe(&self, filter: &TopicFilter, connection: u64) -> bool {
        let mut trie = self.trie.write().unwrap_or_else(PoisonError::into_inner);
        let removed = trie.remove(filter, |it| it.client.connection == connection);
        drop(trie);
        self.generation.fetch_add(1, Ordering::Release);
        removed.is_some()
    }

    /// Has every route found anew: who may receive what has changed.
    pub(crate) fn forget_routes(&self) {
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.trie.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn route(&self, topic: &str) -> Route {
        let trie = self.trie.read().unwrap_or_else(PoisonError::into_inner);
        let mut targets: Vec<Target> = Vec::new();
        // Subscriptions of one client that overlap make one delivery, at the highest of their levels. [MQTT-3.3.5-1]
        let mut seen: HashMap<u64, usize, FxBuildHasher> = HashMap::default();
        trie.for_each_match(topic, |subscriber| {
            let target = *seen.entry(subscriber.client.connection).or_insert_with(|| {
                targets.push(Target::of(subscriber));
                targets.len() - 1
            });
            targets[target].merge(subscriber);
        });
        targets.retain(|target| target.client.identity.may(Action::Receive, topic));
        Route { targets }
    }
}

/// Where the messages of one topic go.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) targets: Vec<Target>,
}

/// A client that a topic goes to.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) client: Arc<Client>,
    pub(crate) qos: QoS,
    pub(crate) no_local: bool,
    pub(crate) retain_as_published: bool,
    pub(crate) subscription_ids: SmallVec<[u32; 2]>,
}

impl Target {
    fn of(subscriber: &Subscriber) -> Target {
        Target {
            client: Arc::clone(&subscriber.client),
            qos: subscriber.qos,
            no_local: true,
            retain_as_published: false,
            subscription_ids: SmallVec::new(),
        }
    }

    fn merge(&mut self, subscriber: &Subscriber) {
        self.qos = self.qos.max(subscriber.qos);
        self.no_local &= subscriber.no_local;
        self.retain_as_published |= subscriber.retain_as_published;
        self.subscription_ids.extend(subscriber.subscription_id);
    }
}

/// The routes found lately; belongs to one dispatcher.
#[derive(Debug)]
pub(crate) struct Routes {
    subscriptions: Arc<Subscriptions>,
    found: HashMap<Box<[u8]>, Arc<Route>, FxBuildHasher>,
    generation: u64,
}

impl Routes {
    pub(crate) fn new(subscriptions: Arc<Subscriptions>) -> Routes {
        Routes { subscriptions, found: HashMap::default(), generation: 0 }
    }

    /// The route of a topic, as of now.
    pub(crate) fn find(&mut self, topic: &[u8]) -> Arc<Route> {
        let generation = self.subscriptions.generation.load(Ordering::Acquire);
        if generation != self.generation || self.found.len() >= ROUTES_MAX {
            self.found.clear();
            self.generation = generation;
        }
        if let Some(route) = self.found.get(topic) {
            return Arc::clone(route);
        }
        let text = std::str::from_utf8(topic).unwrap_or_default();
        let route = Arc::new(self.subscriptions.route(text));
        self.found.insert(Box::from(topic), Arc::clone(&route));
        route
    }
}
