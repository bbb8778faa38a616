//! Who subscribes to what, and the routes of topics that follow from it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

use pointsman_rules::topic::{TopicFilter, TopicTrie};
use rustc_hash::FxBuildHasher;
use smallvec::SmallVec;

use super::super::codec::{QoS, Subscription};
use super::audience::Audience;
use super::session::Session;
use super::share::Share;

/// Routes kept at most, and their bytes; beyond, all are found anew.
const ROUTES_MAX: usize = 65_536;
const ROUTES_BYTES_MAX: usize = 64 << 20;
/// What a route takes besides its topic and whom it goes to, near enough.
const ROUTE_BYTES: usize = 128;

/// One subscription.
#[derive(Debug, Clone)]
pub(crate) struct Subscriber {
    pub(crate) session: Arc<Session>,
    pub(crate) qos: QoS,
    pub(crate) no_local: bool,
    pub(crate) retain_as_published: bool,
    pub(crate) subscription_id: Option<u32>,
}

impl Subscriber {
    pub(crate) fn new(session: &Arc<Session>, wanted: &Subscription, id: Option<u32>) -> Subscriber {
        Subscriber {
            session: Arc::clone(session),
            qos: wanted.qos,
            no_local: wanted.no_local,
            retain_as_published: wanted.retain_as_published,
            subscription_id: id,
        }
    }

    /// Whether a publish must be on disk for its sake.
    fn is_durable(&self) -> bool {
        self.session.durable && self.qos > QoS::AtMostOnce
    }
}

/// What stands at a filter of the trie.
#[derive(Debug)]
enum Entry {
    One(Subscriber),
    Shared(Arc<Share>),
}

/// All subscriptions, in a trie.
#[derive(Debug)]
pub(crate) struct Subscriptions {
    inner: RwLock<Inner>,
    /// Grows with every change, so that routes found before are known to be old.
    generation: AtomicU64,
    /// Grows with every change of what must be on disk.
    durable_generation: AtomicU64,
}

#[derive(Debug)]
struct Inner {
    trie: TopicTrie<Entry>,
    /// The filters of subscriptions for whose sake publishes must be on disk.
    durable: TopicTrie<()>,
    count: usize,
    shared: usize,
}

impl Subscriptions {
    /// `hash_seed` is secret: clients choose the levels of filters.
    pub(crate) fn new(hash_seed: u64) -> Subscriptions {
        let inner = Inner {
            trie: TopicTrie::with_hash_seed(hash_seed),
            durable: TopicTrie::with_hash_seed(hash_seed),
            count: 0,
            shared: 0,
        };
        Subscriptions {
            inner: RwLock::new(inner),
            generation: AtomicU64::new(0),
            durable_generation: AtomicU64::new(0),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a subscription, or replaces the one this session has on that filter. [MQTT-3.8.4-3]
    pub(crate) fn subscribe(&self, filter: &WantedFilter, subscriber: Subscriber) {
        let durable = subscriber.is_durable();
        let mut inner = self.write();
        let replaced = match &filter.share {
            None => inner.put_one(&filter.filter, subscriber),
            Some(group) => inner.put_shared(group, &filter.filter, subscriber),
        };
        match &replaced {
            None => inner.count += 1,
            Some(old) if old.is_durable() => drop(inner.durable.remove(&filter.filter, |()| true)),
            Some(_) => {}
        }
        if durable {
            inner.durable.insert(&filter.filter, ());
        }
        drop(inner);
        if durable || replaced.is_some_and(|old| old.is_durable()) {
            self.durable_generation.fetch_add(1, Ordering::Release);
        }
        self.changed();
    }

    /// Takes a subscription away; false if there was none.
    pub(crate) fn unsubscribe(&self, filter: &WantedFilter, session: u64) -> bool {
        let mut inner = self.write();
        let removed = match &filter.share {
            None => {
                let is_it = |entry: &Entry| matches!(entry, Entry::One(it) if it.session.number == session);
                match inner.trie.remove(&filter.filter, is_it) {
                    Some(Entry::One(removed)) => Some(removed),
                    _ => None,
                }
            }
            Some(group) => inner.remove_shared(group, &filter.filter, session),
        };
        let Some(removed) = removed else { return false };
        inner.count -= 1;
        if removed.is_durable() {
            inner.durable.remove(&filter.filter, |()| true);
            self.durable_generation.fetch_add(1, Ordering::Release);
        }
        drop(inner);
        self.changed();
        true
    }

    /// Has routes found anew, as who may receive what has changed.
    pub(crate) fn changed(&self) {
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Whether a publish to this topic must be on disk for the sake of a session.
    pub(crate) fn wants_durably(&self, topic: &str) -> bool {
        let inner = self.read();
        !inner.durable.is_empty() && inner.durable.has_match(topic)
    }

    /// Changes whenever `wants_durably` may answer differently than before.
    pub(crate) fn durable_generation(&self) -> u64 {
        self.durable_generation.load(Ordering::Acquire)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.read().count
    }

    /// How many of them are shared.
    pub(crate) fn shared_len(&self) -> usize {
        self.read().shared
    }

    /// The shared subscription of a group on a filter.
    pub(crate) fn share(&self, group: &str, filter: &TopicFilter) -> Option<Arc<Share>> {
        self.read().share(group, filter)
    }

    /// What a session's own subscriptions make of a topic; `None` if none of them matches. `own` says that its client
    /// published it, so that those with no-local do not count. [MQTT-3.8.3-3]
    pub(crate) fn target_of(&self, session: &Session, topic: &str, own: bool) -> Option<Target> {
        let mut target: Option<Target> = None;
        self.read().trie.for_each_match(topic, |entry| {
            if let Entry::One(it) = entry
                && it.session.number == session.number
                && !(own && it.no_local)
            {
                target.get_or_insert_with(|| Target::of(it)).merge(it);
            }
        });
        target
    }

    /// A session's part in the shared subscriptions that match a topic, if it has one.
    pub(crate) fn member_of(&self, session: &Session, topic: &str) -> Option<Subscriber> {
        let mut member = None;
        self.read().trie.for_each_match(topic, |entry| {
            if let Entry::Shared(share) = entry {
                member = member.take().or_else(|| share.member(session.number));
            }
        });
        member
    }

    /// The sessions with subscriptions that match a topic, also those that may not receive it, by their numbers; and how many
    /// there are. At most `count_max` of them, and then those are counted twice that have two such subscriptions.
    pub(crate) fn sessions(&self, topic: &str, count_max: usize) -> (Vec<Arc<Session>>, usize) {
        let (mut sessions, mut count) = (Vec::new(), 0);
        self.read().trie.for_each_match(topic, |entry| {
            let room = count_max.saturating_sub(sessions.len());
            match entry {
                Entry::One(it) => {
                    count += 1;
                    sessions.extend((room > 0).then(|| Arc::clone(&it.session)));
                }
                Entry::Shared(share) => {
                    let members = share.sessions();
                    count += members.len();
                    sessions.extend(members.into_iter().take(room));
                }
            }
        });
        let is_all = count == sessions.len();
        sessions.sort_unstable_by_key(|session: &Arc<Session>| session.number);
        sessions.dedup_by_key(|session| session.number);
        let count = if is_all { sessions.len() } else { count };
        (sessions, count)
    }

    /// Where a topic goes now.
    pub(crate) fn route(&self, topic: &str) -> Route {
        let inner = self.read();
        let mut route = Route::default();
        // Subscriptions of one client that overlap make one delivery, at the highest of their levels. [MQTT-3.3.5-1]
        let mut seen: HashMap<u64, usize, FxBuildHasher> = HashMap::default();
        inner.trie.for_each_match(topic, |entry| match entry {
            Entry::Shared(share) => route.shares.push(Arc::clone(share)),
            Entry::One(subscriber) => {
                let targets = &mut route.targets;
                let target = *seen.entry(subscriber.session.number).or_insert_with(|| {
                    targets.push(Target::of(subscriber));
                    targets.len() - 1
                });
                targets[target].merge(subscriber);
            }
        });
        route.targets.retain(|target| target.session.may_receive(topic));
        route
    }
}

impl Inner {
    fn put_one(&mut self, filter: &TopicFilter, subscriber: Subscriber) -> Option<Subscriber> {
        let number = subscriber.session.number;
        let mine = self.trie.values_mut(filter).iter_mut().find_map(|entry| match entry {
            Entry::One(mine) if mine.session.number == number => Some(mine),
            _ => None,
        });
        if let Some(mine) = mine {
            return Some(std::mem::replace(mine, subscriber));
        }
        self.trie.insert(filter, Entry::One(subscriber));
        None
    }

    fn share(&self, group: &str, filter: &TopicFilter) -> Option<Arc<Share>> {
        self.trie.values(filter).iter().find_map(|entry| match entry {
            Entry::Shared(share) if share.group == group => Some(Arc::clone(share)),
            _ => None,
        })
    }

    fn put_shared(
        &mut self,
        group: &str,
        filter: &TopicFilter,
        subscriber: Subscriber,
    ) -> Option<Subscriber> {
        let share = self.share(group, filter).unwrap_or_else(|| {
            let share = Arc::new(Share::new(group, filter));
            self.trie.insert(filter, Entry::Shared(Arc::clone(&share)));
            share
        });
        let replaced = share.join(subscriber);
        self.shared += usize::from(replaced.is_none());
        replaced
    }

    fn remove_shared(&mut self, group: &str, filter: &TopicFilter, session: u64) -> Option<Subscriber> {
        let share = self.share(group, filter)?;
        let removed = share.leave(session)?;
        self.shared -= 1;
        if share.is_empty() {
            self.trie.remove(filter, |entry| matches!(entry, Entry::Shared(it) if Arc::ptr_eq(it, &share)));
        }
        Some(removed)
    }
}

/// A filter of SUBSCRIBE taken apart: `$share/group/filter`, or just a filter. [MQTT5-4.8.2]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WantedFilter {
    pub(crate) share: Option<String>,
    pub(crate) filter: TopicFilter,
}

impl WantedFilter {
    /// `None` if it is not a filter.
    pub(crate) fn parse(text: &str) -> Option<WantedFilter> {
        let Some(shared) = text.strip_prefix("$share/") else {
            return Some(WantedFilter { share: None, filter: TopicFilter::parse(text).ok()? });
        };
        let (group, filter) = shared.split_once('/')?;
        // [MQTT-4.8.2-1] [MQTT-4.8.2-2]
        if group.is_empty() || group.contains(['+', '#']) {
            return None;
        }
        Some(WantedFilter { share: Some(group.to_owned()), filter: TopicFilter::parse(filter).ok()? })
    }
}

/// Where the messages of one topic go.
#[derive(Debug, Default)]
pub(crate) struct Route {
    pub(crate) targets: Vec<Target>,
    pub(crate) shares: Vec<Arc<Share>>,
    /// Whom the topic concerns besides, while a message that is kept to be explained remembers it.
    pub(super) audience: Mutex<Weak<Audience>>,
}

impl Route {
    /// Bytes it takes, near enough.
    fn bytes(&self) -> usize {
        let targets = self.targets.capacity() * size_of::<Target>();
        ROUTE_BYTES + targets + self.shares.capacity() * size_of::<Arc<Share>>()
    }
}

/// A client that a topic goes to.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) session: Arc<Session>,
    pub(crate) qos: QoS,
    /// Some of its subscriptions are not for what it publishes itself.
    pub(crate) no_local: bool,
    pub(crate) retain_as_published: bool,
    pub(crate) subscription_ids: SmallVec<[u32; 2]>,
}

impl Target {
    fn of(subscriber: &Subscriber) -> Target {
        Target {
            session: Arc::clone(&subscriber.session),
            qos: subscriber.qos,
            no_local: false,
            retain_as_published: false,
            subscription_ids: SmallVec::new(),
        }
    }

    fn merge(&mut self, subscriber: &Subscriber) {
        self.qos = self.qos.max(subscriber.qos);
        self.no_local |= subscriber.no_local;
        self.retain_as_published |= subscriber.retain_as_published;
        self.subscription_ids.extend(subscriber.subscription_id);
    }
}

/// The routes found lately; belongs to one dispatcher.
#[derive(Debug)]
pub(crate) struct Routes {
    subscriptions: Arc<Subscriptions>,
    found: HashMap<Box<[u8]>, Arc<Route>, FxBuildHasher>,
    bytes: usize,
    generation: u64,
}

impl Routes {
    pub(crate) fn new(subscriptions: Arc<Subscriptions>) -> Routes {
        Routes { subscriptions, found: HashMap::default(), bytes: 0, generation: 0 }
    }

    /// The route of a topic, as of now.
    pub(crate) fn find(&mut self, topic: &[u8]) -> Arc<Route> {
        let generation = self.subscriptions.generation.load(Ordering::Acquire);
        let full = self.found.len() >= ROUTES_MAX || self.bytes >= ROUTES_BYTES_MAX;
        if generation != self.generation || full {
            self.found.clear();
            self.bytes = 0;
            self.generation = generation;
        }
        if let Some(route) = self.found.get(topic) {
            return Arc::clone(route);
        }
        let text = std::str::from_utf8(topic).unwrap_or_default();
        let route = Arc::new(self.subscriptions.route(text));
        self.bytes += topic.len() + route.bytes();
        self.found.insert(Box::from(topic), Arc::clone(&route));
        route
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::codec::RetainHandling;
    use super::super::outbox::{Outbox, OutboxLimits};
    use super::super::state::State;
    use super::super::uuid::Uuid;
    use super::*;

    fn subscribe(subscriptions: &Subscriptions, number: u64, filters: &[&str]) {
        let limits = OutboxLimits { bytes_max: 1, messages_max: 1 };
        let outbox = Outbox::new(false, limits, Arc::default());
        let session = Session::new(number, Arc::from("c"), Uuid::random(), false, outbox, State::default());
        let session = Arc::new(session);
        for filter in filters {
            let wanted = Subscription {
                filter: (*filter).to_owned(),
                qos: QoS::AtMostOnce,
                no_local: false,
                retain_as_published: false,
                retain_handling: RetainHandling::default(),
            };
            let filter = WantedFilter::parse(filter).unwrap();
            subscriptions.subscribe(&filter, Subscriber::new(&session, &wanted, None));
        }
    }

    #[test]
    fn sessions_are_told_once_and_no_more_than_were_asked_for() {
        let subscriptions = Subscriptions::new(0);
        for number in [3, 1, 2] {
            subscribe(&subscriptions, number, &["a/b", "a/+", "$share/g/a/#"]);
        }
        let told = |count_max| {
            let (sessions, count) = subscriptions.sessions("a/b", count_max);
            (sessions.iter().map(|session| session.number).collect::<Vec<_>>(), count)
        };
        assert_eq!(told(9), (vec![1, 2, 3], 3));
        let (sessions, count) = told(2);
        assert!(sessions.len() <= 2 && count == 9, "{sessions:?} of {count} subscriptions");
        assert_eq!(subscriptions.sessions("b", 9).1, 0);
    }

    #[test]
    fn routes_are_bounded_in_number_and_in_bytes() {
        let subscriptions = Arc::new(Subscriptions::new(0));
        let mut routes = Routes::new(Arc::clone(&subscriptions));
        for number in 0..ROUTES_MAX + 10 {
            routes.find(number.to_string().as_bytes());
            assert!(routes.found.len() <= ROUTES_MAX);
        }
        assert_eq!(routes.found.len(), 10);
        for number in 0..2_000 {
            let long = format!("{number}{}", "x".repeat(60_000));
            routes.find(long.as_bytes());
            let held: usize = routes.found.keys().map(|topic| topic.len()).sum();
            assert!(held <= ROUTES_BYTES_MAX + long.len(), "{held} bytes of topics");
        }
        assert!(routes.found.len() < 2_000);
        subscriptions.changed();
        routes.find(b"a");
        assert_eq!((routes.found.len(), routes.bytes), (1, 1 + ROUTE_BYTES));
    }
}
