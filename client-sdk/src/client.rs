//! The client: what users call.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rumqttc::v5::AsyncClient;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, SubscribeProperties};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::AbortHandle;

use crate::driver;
use crate::error::{ConnectError, PublishError, SubscribeError};
use crate::options::Options;
use crate::state::{Joined, State, Verdict};
use crate::subscription::Subscription;

/// Requests that may wait for their answers; beyond, those who ask wait themselves.
const REQUESTS_MAX: usize = 128;
/// Room on the way to the connection: for all of these, and for what the client says of its own accord.
const CHANNEL_REQUESTS_MAX: usize = 4 * REQUESTS_MAX;

/// A connection to a server that makes itself anew. Clones share it; it ends with the last of them.
#[derive(Debug, Clone)]
pub struct Client {
    shared: Arc<Shared>,
    _task: Arc<Task>,
}

/// The task that drives a connection, ended when nobody needs it.
#[derive(Debug)]
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What clients, subscriptions and the driver share.
#[derive(Debug)]
pub(crate) struct Shared {
    requests: AsyncClient,
    room: Semaphore,
    /// Held while something is noted and then asked for, so that both have the same order.
    state: Mutex<State>,
}

impl Client {
    /// Connects, and resolves when the server has let the client in.
    pub async fn connect(options: Options) -> Result<Client, ConnectError> {
        let (requests, events) = AsyncClient::new(options.to_mqtt()?, CHANNEL_REQUESTS_MAX);
        let shared =
            Arc::new(Shared { requests, room: Semaphore::new(REQUESTS_MAX), state: Mutex::default() });
        let (connected, outcome) = oneshot::channel();
        let task = tokio::spawn(driver::drive(events, Arc::clone(&shared), connected));
        let client = Client { shared, _task: Arc::new(Task(task.abort_handle())) };
        match outcome.await {
            Ok(Ok(())) => Ok(client),
            Ok(Err(source)) => Err(ConnectError::Unreachable { url: options.url().to_owned(), source }),
            Err(_) => Err(ConnectError::Dropped),
        }
    }

    /// Publishes a value as JSON, and resolves when the server has acknowledged it (QoS 1).
    ///
    /// A future that is dropped before leaves it open whether the message goes out.
    pub async fn publish<T: Serialize + ?Sized>(&self, topic: &str, value: &T) -> Result<(), PublishError> {
        let ended = || PublishError::Ended { topic: topic.to_owned() };
        let payload = serde_json::to_vec(value)
            .map_err(|source| PublishError::Unwritable { topic: topic.to_owned(), source })?;
        // A future that is dropped while it waits for room has noted nothing; once there is room nothing waits.
        let _room = self.shared.room.acquire().await.map_err(|_| ended())?;
        let asked = self.shared.ask_publish(topic, payload);
        match asked.ok_or_else(ended)?.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(reason)) => Err(PublishError::Refused { topic: topic.to_owned(), reason }),
            Err(_) => Err(ended()),
        }
    }

    /// Subscribes to a filter, and resolves when the server has granted that. Payloads are read as JSON of type `T`.
    pub async fn subscribe<T: DeserializeOwned>(
        &self,
        filter: &str,
    ) -> Result<Subscription<T>, SubscribeError> {
        let ended = || SubscribeError::Ended { filter: filter.to_owned() };
        let _room = self.shared.room.acquire().await.map_err(|_| ended())?;
        let joined = self.shared.ask_subscribe(filter).ok_or_else(ended)?;
        // From here on the subscription undoes what was noted if this does not come to its end.
        let subscription = Subscription::new(filter, joined.id, joined.messages, Arc::clone(&self.shared));
        match joined.verdict.await {
            Ok(Ok(())) => Ok(subscription),
            Ok(Err(reason)) => Err(SubscribeError::Refused { filter: filter.to_owned(), reason }),
            Err(_) => Err(ended()),
        }
    }
}

impl Shared {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a publish and asks for it; `None` once the client has ended.
    fn ask_publish(&self, topic: &str, payload: Vec<u8>) -> Option<oneshot::Receiver<Verdict>> {
        let mut state = self.state();
        let verdict = state.queue_publish()?;
        if self.requests.try_publish(topic, QoS::AtLeastOnce, false, payload).is_err() {
            state.unqueue_publish();
            return None;
        }
        Some(verdict)
    }

    /// Notes a subscription and asks for it if need be; `None` once the client has ended.
    fn ask_subscribe(&self, filter: &str) -> Option<Joined> {
        let mut state = self.state();
        let joined = state.join(filter)?;
        if joined.is_new && self.ask_filter(&mut state, filter, joined.id).is_none() {
            state.leave(filter, joined.id);
            return None;
        }
        Some(joined)
    }

    fn ask_filter(&self, state: &mut State, filter: &str, id: usize) -> Option<()> {
        let properties = SubscribeProperties { id: Some(id), user_properties: Vec::new() };
        let wanted = Filter::new(filter, QoS::AtLeastOnce);
        self.requests.try_subscribe_many_with_properties([wanted], properties).ok()?;
        state.subscribe_queued(filter);
        Some(())
    }

    /// Asks for subscriptions again, on a new connection: one after the other, as long as it is the newest.
    pub(crate) async fn resubscribe(&self, connection: u64, filters: Vec<String>) {
        for filter in filters {
            let Ok(_room) = self.room.acquire().await else { return };
            let asked = {
                let mut state = self.state();
                let again = state.rejoin(connection, &filter);
                again.and_then(|(id, verdict)| self.ask_filter(&mut state, &filter, id).map(|()| verdict))
            };
            if let Some(verdict) = asked {
                // A refusal ends the subscription, which tells its users.
                let _ = verdict.await;
            }
        }
    }

    /// A subscription is gone.
    pub(crate) fn leave(&self, filter: &str, id: usize) {
        if self.state().leave(filter, id) {
            // If there is no room to ask, the server sends what nobody takes until the next connection.
            let _ = self.requests.try_unsubscribe(filter);
        }
    }
}
