//! What the server itself publishes, on behalf of an operator.

use super::super::codec::QoS;
use super::super::envelope::{EnvelopeBuilder, Marks, Origin, SERVER};
use super::{Hub, LogRefused};

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
        let now_ms = self.clock.now_ms();
        if retain {
            self.retained.admit(topic, payload.len(), now_ms).map_err(|full| LogRefused {
                reason: super::Reason::QuotaExceeded,
                detail: format!("the message cannot be retained: {full}"),
            })?;
        }
        let mut builder = EnvelopeBuilder::default();
        let interest = self.ingress.interest(topic);
        builder.push(topic, payload, properties, Marks { qos, retain, interest });
        let durable = builder.interest().durable;
        let first_id = self.ids.take(now_ms, 1);
        let envelope = builder.seal(&Origin { publisher: SERVER, client_id: "", user, hops: 0, first_id });
        let envelope = if durable { self.ingress.log(envelope).await? } else { envelope };
        self.spine.publish(envelope);
        Ok(())
    }
}
