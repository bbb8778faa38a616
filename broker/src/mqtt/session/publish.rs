//! What the server itself publishes, on behalf of an operator.

use bytes::Bytes;

use super::super::codec::QoS;
use super::super::envelope::{Envelope, EnvelopeBuilder, Marks, Origin, SERVER};
use super::super::reserved;
use super::retained::{RetainedCursor, STEP_TOPICS};
use super::{Entry, Hub, LogRefused, Reason, retained};
use pointsman_rules::topic::TopicFilter;

/// How the server publishes a message.
#[derive(Debug, Clone, Copy)]
pub struct Publication<'a> {
    /// The topic, checked.
    pub topic: &'a str,
    /// The payload.
    pub payload: &'a [u8],
    /// Quality of service.
    pub qos: QoS,
    /// Whether it is to be retained.
    pub retain: bool,
    /// Properties of MQTT 5 as they are in a packet, without their length.
    pub properties: &'a [u8],
    /// On whose behalf.
    pub user: Option<&'a str>,
}

impl Hub {
    /// Publishes a message as the server does. When this resolves it is on disk, if somebody durable wants it.
    pub async fn publish_as_server(&self, publication: Publication<'_>) -> Result<(), LogRefused> {
        let Publication { topic, payload, qos, retain, properties, user } = publication;
        // As every publisher, it waits while a reader of the spine is too far behind.
        if self.spine.is_lagging() {
            self.spine.caught_up().await;
        }
        let now_ms = self.clock.now_ms();
        let retain = retain && !reserved::is_for_rule(topic);
        if retain {
            self.retained.admit(topic, payload.len(), now_ms).map_err(|full| LogRefused {
                reason: Reason::QuotaExceeded,
                detail: format!("the message cannot be retained: {full}"),
            })?;
        }
        let mut builder = EnvelopeBuilder::default();
        let interest = self.interest(topic);
        builder.push(topic, payload, properties, Marks { qos, retain, interest });
        let logged = builder.interest().durable || retain;
        let first_id = self.ids.take(now_ms, 1);
        let envelope = builder.seal(&Origin { publisher: SERVER, client_id: "", user, hops: 0, first_id });
        if !logged {
            self.spine.publish(envelope);
            return Ok(());
        }
        let writes = if retain { retained::writes_of(&envelope) } else { Vec::new() };
        self.ingress.log(Entry { envelope: Some(envelope), sessions: Bytes::new(), writes }).await.map(drop)
    }

    /// The retained message of a topic, alone in its envelope.
    pub fn retained_message(&self, topic: &str) -> Option<Envelope> {
        self.retained.get(topic, self.clock.now_ms())
    }

    /// Retained messages in the order of their topics: at most so many behind a topic, and whether there may be more.
    /// Those under `$` are not among them.
    pub fn retained_page(&self, after: Option<&str>, count_max: usize) -> (Vec<Envelope>, bool) {
        let all = TopicFilter::parse("#").expect("# is a filter");
        let mut cursor = match after {
            Some(topic) => RetainedCursor::behind(all, topic),
            None => RetainedCursor::new(all),
        };
        let (mut page, now_ms) = (Vec::new(), self.clock.now_ms());
        loop {
            let left = count_max - page.len();
            let more = self.retained.step(&mut cursor, now_ms, left.min(STEP_TOPICS), &mut page);
            if !more || page.len() == count_max {
                return (page, more);
            }
        }
    }
}
