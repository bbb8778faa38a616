//! Wills: published when a connection ends badly, at once or after their delay (MQTT 5 §3.1.2.5).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;
use tracing::debug;

use super::super::codec::Will;
use super::super::envelope::{EnvelopeBuilder, Marks, Origin};
use super::super::reserved;
use super::client::Client;
use super::{Entry, Hub, retained};

/// Wills that wait for their delay, by client id. There is at most one for each session that waits for its client.
#[derive(Debug, Default)]
pub(crate) struct Wills {
    waiting: Mutex<HashMap<Arc<str>, Waiting>>,
}

#[derive(Debug)]
struct Waiting {
    will: Will,
    origin: WillOrigin,
    timer: AbortHandle,
}

/// Whose will it is.
#[derive(Debug, Clone)]
pub(crate) struct WillOrigin {
    connection: u64,
    client_id: Arc<str>,
    user: Option<Arc<str>>,
}

impl WillOrigin {
    pub(crate) fn of(client: &Client) -> WillOrigin {
        WillOrigin {
            connection: client.connection,
            client_id: Arc::clone(&client.client_id),
            user: client.identity.user.clone(),
        }
    }
}

impl Wills {
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a will published after its delay.
    pub(crate) fn set(&self, hub: &Arc<Hub>, will: Will, origin: WillOrigin, delay_seconds: u32) {
        if delay_seconds == 0 {
            publish(hub, &will, &origin);
            return;
        }
        let (weak, client_id) = (Arc::downgrade(hub), Arc::clone(&origin.client_id));
        let timer = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(u64::from(delay_seconds))).await;
            if let Some(hub) = weak.upgrade() {
                hub.wills.publish_now(&hub, &client_id);
            }
        });
        let waiting = Waiting { will, origin, timer: timer.abort_handle() };
        let client_id = Arc::clone(&waiting.origin.client_id);
        self.lock().insert(client_id, waiting);
    }

    /// The client has come back: if to the same session, its will is not published. [MQTT-3.1.3-9]
    pub(crate) fn connected(&self, hub: &Hub, client_id: &str, resumed: bool) {
        if !resumed {
            self.publish_now(hub, client_id);
        } else if let Some(waiting) = self.lock().remove(client_id) {
            waiting.timer.abort();
        }
    }

    /// Publishes the will of a client whose session has ended, if one waits. [MQTT-3.1.2-8]
    pub(crate) fn publish_now(&self, hub: &Hub, client_id: &str) {
        let Some(waiting) = self.lock().remove(client_id) else { return };
        waiting.timer.abort();
        publish(hub, &waiting.will, &waiting.origin);
    }
}

fn publish(hub: &Hub, will: &Will, origin: &WillOrigin) {
    let now_ms = hub.clock.now_ms();
    let may_retain = will.retain && !reserved::is_for_rule(&will.topic);
    let retain = may_retain && hub.retained.admit(&will.topic, will.payload.len(), now_ms).is_ok();
    let mut builder = EnvelopeBuilder::default();
    let marks = Marks { qos: will.qos, retain, interest: hub.interest(&will.topic) };
    builder.push(&will.topic, &will.payload, &will.properties, marks);
    let logged = builder.interest().durable || retain;
    let envelope = builder.seal(&Origin {
        publisher: origin.connection,
        client_id: &origin.client_id,
        user: origin.user.as_deref(),
        hops: 0,
        first_id: hub.ids.take(now_ms, 1),
    });
    if !logged {
        hub.spine.publish(envelope);
        return;
    }
    let writes = if retain { retained::writes_of(&envelope) } else { Vec::new() };
    let logged = hub.ingress.log(Entry { envelope: Some(envelope), sessions: bytes::Bytes::new(), writes });
    tokio::spawn(async move {
        if let Err(error) = logged.await {
            debug!(%error, "a will could not be kept");
        }
    });
}
