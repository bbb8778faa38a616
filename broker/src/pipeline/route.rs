//! From the spine to the workers: which rules want what.

use std::sync::Arc;

use pointsman_rules::{Event, Lifecycle, Message, On};
use tracing::warn;

use super::Pipeline;
use super::active::ActiveRules;
use super::worker::Job;
use crate::mqtt::{Envelope, LIFECYCLE_PREFIX, LifecycleEvent, SERVER};

/// Rules that a message may go through one after the other; what they publish beyond is dropped, as it loops.
pub(crate) const HOPS_MAX: u8 = 8;

impl Pipeline {
    /// Gives the messages of envelopes to the rules that want them.
    pub(super) fn route(&self, envelopes: &[Envelope]) {
        let active = self.active.load_full();
        for envelope in envelopes {
            if envelope.interest().rules {
                self.route_one(&active, envelope);
            }
            if let Some(seq) = envelope.log_seq() {
                self.progress.finish(seq);
            }
        }
    }

    fn route_one(&self, active: &ActiveRules, envelope: &Envelope) {
        for index in 0..envelope.len() {
            let message = envelope.message(index);
            if !message.marks().interest.rules {
                continue;
            }
            let topic = message.topic();
            if envelope.publisher() == SERVER && topic.starts_with(LIFECYCLE_PREFIX) {
                self.route_lifecycle(active, envelope, index);
                continue;
            }
            let input = envelope.log_seq().filter(|_| is_durable(envelope, index));
            let event = message_event(envelope, index);
            active.set.for_each_message_match(topic, |rule, trigger| {
                let input = input.map(|seq| (seq, u32::try_from(index).unwrap_or(u32::MAX)));
                if let Some((seq, _)) = input {
                    self.progress.add(seq, 1);
                }
                let rule = Arc::clone(&active.rules[rule]);
                self.submit(Job { rule, trigger, event: event.clone(), input, hops: envelope.hops() });
            });
        }
    }

    fn route_lifecycle(&self, active: &ActiveRules, envelope: &Envelope, index: usize) {
        let payload = envelope.message(index).payload();
        let Ok(told) = serde_json::from_slice::<LifecycleEvent>(payload) else {
            warn!("a lifecycle event is not what this version writes");
            return;
        };
        let Some(on) = lifecycle_trigger(&told.event_type) else { return };
        let lifecycle = Lifecycle {
            time_ms: i64::try_from(told.timestamp).unwrap_or(i64::MAX),
            id: envelope.id(index),
            client_id: told.client_id,
            user: envelope.user().map(str::to_owned),
            session_id: told.session_identifier,
            ip: told.ip_address,
            version_number: told.version_number.unwrap_or_default(),
            client_initiated: told.client_initiated_disconnect.unwrap_or_default(),
            reason: told.disconnect_reason,
            filters: told.topics.unwrap_or_default(),
        };
        let event = match on {
            On::Connect => Event::connect(lifecycle),
            On::Disconnect => Event::disconnect(lifecycle),
            On::Subscribe => Event::subscribe(lifecycle),
            _ => Event::unsubscribe(lifecycle),
        };
        for (rule, trigger) in active.set.lifecycle_triggers(&on) {
            let rule = Arc::clone(&active.rules[rule]);
            self.submit(Job { rule, trigger, event: event.clone(), input: None, hops: 0 });
        }
    }
}

/// The trigger that a lifecycle event sets off.
pub(super) fn lifecycle_trigger(event_type: &str) -> Option<On> {
    match event_type {
        "connected" => Some(On::Connect),
        "disconnected" => Some(On::Disconnect),
        "subscribed" => Some(On::Subscribe),
        "unsubscribed" => Some(On::Unsubscribe),
        _ => None,
    }
}

/// Whether an envelope has something for the rules.
pub(super) fn concerns_rules(envelope: &Envelope) -> bool {
    envelope.interest().rules
}

/// Whether a message was promised to durable rules.
pub(super) fn is_durable(envelope: &Envelope, index: usize) -> bool {
    let marks = envelope.message(index).marks();
    marks.interest.durable && marks.qos > crate::mqtt::QoS::AtMostOnce
}

/// A message as rules see it.
pub(super) fn message_event(envelope: &Envelope, index: usize) -> Event {
    let message = envelope.message(index);
    let marks = message.marks();
    let id = envelope.id(index);
    Event::message(Message {
        topic: message.topic().into(),
        client_id: envelope.client_id().into(),
        user: envelope.user().map(Into::into),
        payload: message.payload_shared(),
        qos: marks.qos as u8,
        retain: marks.retain,
        time_ms: i64::try_from(id.time_ms()).unwrap_or(i64::MAX),
        id,
    })
}
