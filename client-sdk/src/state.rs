//! What a client has asked for and not yet got, and what it is subscribed to.

use std::collections::{HashMap, VecDeque};

use rumqttc::v5::mqttbytes::v5::{PubAckReason, Publish, SubscribeReasonCode};
use tokio::sync::{broadcast, oneshot};

/// Messages that may wait in one subscription before the oldest are given up.
const SUBSCRIPTION_MESSAGES_MAX: usize = 4_096;

/// An answer of the server: granted or acknowledged, or the reason why not.
pub(crate) type Verdict = Result<(), String>;

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct State {
    topics: HashMap<String, Topic>,
    /// Filters by the identifier under which the server knows their subscriptions.
    filters: HashMap<usize, String>,
    last_id: usize,
    /// Publishes asked for, in the order in which they will be given packet ids.
    queued_publishes: VecDeque<oneshot::Sender<Verdict>>,
    publishes: HashMap<u16, oneshot::Sender<Verdict>>,
    queued_subscribes: VecDeque<String>,
    subscribes: HashMap<u16, String>,
    /// Counts the connections.
    connection: u64,
    online: bool,
    ended: bool,
}

/// A filter that is subscribed to.
#[derive(Debug)]
struct Topic {
    id: usize,
    /// Subscriptions of this filter.
    users: usize,
    messages: broadcast::Sender<Publish>,
    waiting: Vec<oneshot::Sender<Verdict>>,
    granted: bool,
}

/// What joining a filter leads to.
#[derive(Debug)]
pub(crate) struct Joined {
    pub(crate) messages: broadcast::Receiver<Publish>,
    /// Resolves when the server has decided, which may have been before.
    pub(crate) verdict: oneshot::Receiver<Verdict>,
    /// The identifier of the filter.
    pub(crate) id: usize,
    /// Whether nobody has asked for the filter yet.
    pub(crate) is_new: bool,
}

impl State {
    /// Adds a user to a filter; `None` once the client has ended.
    pub(crate) fn join(&mut self, filter: &str) -> Option<Joined> {
        if self.ended {
            return None;
        }
        let is_new = !self.topics.contains_key(filter);
        if is_new {
            self.last_id += 1;
            self.filters.insert(self.last_id, filter.to_owned());
            let (messages, _) = broadcast::channel(SUBSCRIPTION_MESSAGES_MAX);
            let topic = Topic { id: self.last_id, users: 0, messages, waiting: Vec::new(), granted: false };
            self.topics.insert(filter.to_owned(), topic);
        }
        let topic = self.topics.get_mut(filter)?;
        topic.users += 1;
        let (sender, verdict) = oneshot::channel();
        if topic.granted {
            let _ = sender.send(Ok(()));
        } else {
            topic.waiting.push(sender);
        }
        Some(Joined { messages: topic.messages.subscribe(), verdict, id: topic.id, is_new })
    }

    /// Joins a filter that was subscribed to on the connection before, without a new user; `None` if it is not wanted
    /// any more, or the connection is not the newest.
    pub(crate) fn rejoin(
        &mut self,
        connection: u64,
        filter: &str,
    ) -> Option<(usize, oneshot::Receiver<Verdict>)> {
        let topic = self.topics.get_mut(filter).filter(|_| connection == self.connection)?;
        let (sender, verdict) = oneshot::channel();
        topic.waiting.push(sender);
        Some((topic.id, verdict))
    }

    /// Takes a user from a filter; true if it was the last and the server is to be told. Without a connection there
    /// is nobody to tell: the next one will not ask for the filter.
    pub(crate) fn leave(&mut self, filter: &str, id: usize) -> bool {
        let Some(topic) = self.topics.get_mut(filter).filter(|topic| topic.id == id) else { return false };
        topic.users -= 1;
        if topic.users > 0 {
            return false;
        }
        self.forget(filter);
        self.online
    }

    fn forget(&mut self, filter: &str) {
        if let Some(topic) = self.topics.remove(filter) {
            self.filters.remove(&topic.id);
        }
    }

    /// Notes that a publish is about to be asked for; `None` once the client has ended.
    pub(crate) fn queue_publish(&mut self) -> Option<oneshot::Receiver<Verdict>> {
        if self.ended {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        self.queued_publishes.push_back(sender);
        Some(receiver)
    }

    /// Takes back what [`State::queue_publish`] noted last.
    pub(crate) fn unqueue_publish(&mut self) {
        self.queued_publishes.pop_back();
    }

    /// Notes that a filter has been asked for.
    pub(crate) fn subscribe_queued(&mut self, filter: &str) {
        self.queued_subscribes.push_back(filter.to_owned());
    }

    /// A publish has been given a packet id. One that is sent again has had it before.
    pub(crate) fn publish_sent(&mut self, packet_id: u16) {
        if packet_id == 0 || self.publishes.contains_key(&packet_id) {
            return;
        }
        if let Some(sender) = self.queued_publishes.pop_front() {
            self.publishes.insert(packet_id, sender);
        }
    }

    /// A publish is acknowledged or refused.
    pub(crate) fn published(&mut self, packet_id: u16, reason: PubAckReason) {
        let verdict = match reason {
            PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Ok(()),
            reason => Err(format!("{reason:?}")),
        };
        if let Some(sender) = self.publishes.remove(&packet_id) {
            let _ = sender.send(verdict);
        }
    }

    /// A SUBSCRIBE has been given a packet id.
    pub(crate) fn subscribe_sent(&mut self, packet_id: u16) {
        if let Some(filter) = self.queued_subscribes.pop_front() {
            self.subscribes.insert(packet_id, filter);
        }
    }

    /// A subscription is granted or refused. A refusal ends it.
    pub(crate) fn subscribed(&mut self, packet_id: u16, code: Option<&SubscribeReasonCode>) {
        let Some(filter) = self.subscribes.remove(&packet_id) else { return };
        let Some(topic) = self.topics.get_mut(&filter) else { return };
        let verdict = match code {
            Some(SubscribeReasonCode::Success(_)) => Ok(()),
            Some(code) => Err(format!("{code:?}")),
            None => Err("no reason".to_owned()),
        };
        topic.granted = verdict.is_ok();
        for sender in topic.waiting.drain(..) {
            let _ = sender.send(verdict.clone());
        }
        if verdict.is_err() {
            self.forget(&filter);
        }
    }

    /// Gives a message to the subscriptions that the server names with it.
    pub(crate) fn deliver(&self, publish: &Publish) {
        let Some(properties) = &publish.properties else { return };
        for id in &properties.subscription_identifiers {
            let topic = self.filters.get(id).and_then(|filter| self.topics.get(filter));
            if let Some(topic) = topic {
                // Nobody listens any more: the last subscription is just being dropped.
                let _ = topic.messages.send(publish.clone());
            }
        }
    }

    /// There is a connection, which knows nothing of the subscriptions: gives its number and the filters to ask for
    /// again, which are all but those that still wait to be asked for.
    pub(crate) fn connected(&mut self) -> (u64, Vec<String>) {
        self.online = true;
        self.connection += 1;
        // What was sent on the connection before is not answered on this one.
        self.subscribes.clear();
        let is_unasked = |filter: &&String| !self.queued_subscribes.contains(*filter);
        (self.connection, self.topics.keys().filter(is_unasked).cloned().collect())
    }

    /// There is no connection.
    pub(crate) fn disconnected(&mut self) {
        self.online = false;
    }

    /// Ends everything: all who wait are told.
    pub(crate) fn end(&mut self) {
        *self = State { ended: true, ..State::default() };
    }
}
