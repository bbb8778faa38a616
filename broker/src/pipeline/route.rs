//! From the spine to the workers: which rules want what.

use std::sync::Arc;

use pointsman_rules::{Event, Lifecycle, Message, On, RuleIndex, TriggerIndex};
use smallvec::SmallVec;
use tracing::warn;

use super::active::ActiveRules;
use super::order::Units;
use super::unit::{Events, Texts, Unit};
use super::{Pipeline, order};
use crate::mqtt::{Envelope, LIFECYCLE_PREFIX, LifecycleEvent, SERVER};
use crate::store::Seq;

/// Rules that a message may go through one after the other; what they publish beyond is dropped, as it loops.
pub(crate) const HOPS_MAX: u8 = 8;

impl Pipeline {
    /// Gives the messages of envelopes to the rules that want them.
    pub(super) fn route(&self, envelopes: &[Envelope]) {
        self.offer_to_shadow(envelopes);
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
        let mut units = Units::new(envelope);
        let mut matches = Matches::default();
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
            let is_promised = envelope.log_seq().is_some() && is_durable(envelope, index);
            for &(rule, trigger) in matches.of(active, topic) {
                let is_durable = active.set.trigger((rule, trigger)).handling.durable;
                units.add(&active.rules[rule], trigger, index, is_promised && is_durable);
            }
        }
        self.submit_all(units, envelope.log_seq());
    }

    /// Queues the units of an envelope.
    pub(super) fn submit_all(&self, units: Units<'_>, seq: Option<Seq>) {
        for (key, unit) in units.finish(seq) {
            if let Some(seq) = unit.counted {
                self.progress.add(seq, 1);
            }
            self.submit(key, unit);
        }
    }

    fn route_lifecycle(&self, active: &ActiveRules, envelope: &Envelope, index: usize) {
        let Some((on, event)) = lifecycle_event(envelope, index) else { return };
        for (rule, trigger) in active.set.lifecycle_triggers(&on) {
            let rule = Arc::clone(&active.rules[rule]);
            let key = order::key(&rule, event.client_id());
            self.submit(
                key,
                Unit { rule, trigger, events: Events::One(event.clone()), hops: 0, counted: None },
            );
        }
    }
}

/// A lifecycle event as rules see it, and the trigger that it sets off.
pub(super) fn lifecycle_event(envelope: &Envelope, index: usize) -> Option<(On, Event)> {
    let payload = envelope.message(index).payload();
    let Ok(told) = serde_json::from_slice::<LifecycleEvent>(payload) else {
        warn!("a lifecycle event is not what this version writes");
        return None;
    };
    let on = lifecycle_trigger(&told.event_type)?;
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
    Some((on, event))
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

/// The triggers that want a topic; those of the topic before are remembered, as it is mostly the same.
#[derive(Default)]
struct Matches<'a> {
    topic: Option<&'a str>,
    found: SmallVec<[(RuleIndex, TriggerIndex); 8]>,
}

impl<'a> Matches<'a> {
    fn of(&mut self, active: &ActiveRules, topic: &'a str) -> &[(RuleIndex, TriggerIndex)] {
        if self.topic != Some(topic) {
            self.topic = Some(topic);
            self.found.clear();
            active.set.for_each_message_match(topic, |rule, trigger| {
                if matches!(active.set.trigger((rule, trigger)).on, On::Message(_)) {
                    self.found.push((rule, trigger));
                }
            });
        }
        &self.found
    }
}

/// A message as rules see it.
pub(super) fn message_event(envelope: &Envelope, index: usize, texts: &mut Texts) -> Event {
    let message = envelope.message(index);
    let marks = message.marks();
    let id = envelope.id(index);
    Event::message(Message {
        topic: texts.topic(message.topic()),
        client_id: texts.client_id(envelope.client_id()),
        user: envelope.user().map(|user| texts.user(user)),
        payload: message.payload_shared(),
        qos: marks.qos as u8,
        retain: marks.retain,
        time_ms: i64::try_from(id.time_ms()).unwrap_or(i64::MAX),
        id,
    })
}
