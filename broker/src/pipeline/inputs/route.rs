//! From the spine to the workers: which rules want what.

use std::sync::Arc;

use bytes::Bytes;
use pointsman_rules::{BasicIngest, Change, Event, Lifecycle, Message, On};
use tracing::warn;

use super::batches::Item;
use super::changes;
use super::order;
use super::order::Units;
use super::wanted::{BUS_PREFIX, CHANGES_PREFIX, Wanted};
use crate::mqtt::{Envelope, LIFECYCLE_PREFIX, LifecycleEvent, SERVER, is_open};
use crate::pipeline::Pipeline;
use crate::pipeline::rules::active::{ActiveRule, ActiveRules};
use crate::pipeline::turns::unit::{Events, Texts, Unit};
use crate::store::Seq;

/// Rules that a message may go through one after the other; what they publish beyond is dropped, as it loops.
pub(crate) const HOPS_MAX: u8 = 8;

impl Pipeline {
    /// Gives the messages of envelopes to the rules that want them.
    pub(in crate::pipeline) fn route(&self, envelopes: &[Envelope]) {
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
        let mut wanted = Wanted::default();
        for index in 0..envelope.len() {
            let message = envelope.message(index);
            if !message.marks().interest.rules {
                continue;
            }
            let topic = message.topic();
            if envelope.publisher() == SERVER && topic.starts_with(LIFECYCLE_PREFIX) {
                self.route_lifecycle(active, envelope, index);
            }
            let is_promised = envelope.log_seq().is_some() && is_durable(envelope, index);
            for &(rule, trigger) in wanted.of(active, envelope, index) {
                let rule = &active.rules[rule];
                // What lies before a trigger's beginning is read from the log.
                if envelope.log_seq().is_none_or(|seq| seq > rule.begins_behind(trigger)) {
                    let is_promised = is_promised && rule.is_promised(trigger);
                    self.offer(&mut units, rule, trigger, envelope, index, is_promised);
                }
            }
        }
        self.submit_all(units, envelope.log_seq());
    }

    /// Gives a message to a trigger: as part of a unit, or of a batch.
    pub(in crate::pipeline) fn offer(
        &self,
        units: &mut Units<'_>,
        rule: &Arc<ActiveRule>,
        trigger: usize,
        envelope: &Envelope,
        index: usize,
        is_promised: bool,
    ) {
        let On::Batch(_, limits) = &rule.rule.triggers[trigger].on else {
            units.add(rule, trigger, index, is_promised);
            return;
        };
        let key = order::message_key(&rule.rule.name, &rule.rule.triggers[trigger], envelope, index);
        let item = Item {
            envelope: envelope.clone(),
            index: u32::try_from(index).unwrap_or(u32::MAX),
            promised: envelope.log_seq().filter(|_| is_promised && rule.is_promised(trigger)),
        };
        self.add_to_batch(rule, trigger, key, *limits, item);
    }

    /// Queues the units of an envelope.
    pub(in crate::pipeline) fn submit_all(&self, units: Units<'_>, seq: Option<Seq>) {
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
pub(in crate::pipeline) fn lifecycle_event(envelope: &Envelope, index: usize) -> Option<(On, Event)> {
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
pub(in crate::pipeline) fn lifecycle_trigger(event_type: &str) -> Option<On> {
    match event_type {
        "connected" => Some(On::Connect),
        "disconnected" => Some(On::Disconnect),
        "subscribed" => Some(On::Subscribe),
        "unsubscribed" => Some(On::Unsubscribe),
        _ => None,
    }
}

/// Whether an envelope has something for the rules.
pub(in crate::pipeline) fn concerns_rules(envelope: &Envelope) -> bool {
    envelope.interest().rules
}

/// Whether a message was promised to durable rules.
pub(in crate::pipeline) fn is_durable(envelope: &Envelope, index: usize) -> bool {
    let marks = envelope.message(index).marks();
    marks.interest.durable && marks.qos > crate::mqtt::QoS::AtMostOnce
}

/// What a message of the spine is for rules, whoever listens to it.
pub(in crate::pipeline) fn spine_event(
    envelope: &Envelope,
    index: usize,
    texts: &mut Texts,
) -> Option<Event> {
    let topic = envelope.message(index).topic();
    if envelope.publisher() != SERVER || is_open(topic) {
        return Some(message_event(envelope, index, texts));
    }
    if topic.starts_with(LIFECYCLE_PREFIX) {
        return lifecycle_event(envelope, index).map(|(_, event)| event);
    }
    if topic.starts_with(CHANGES_PREFIX) {
        let (message, id) = (envelope.message(index), envelope.id(index));
        let time_ms = i64::try_from(id.time_ms()).unwrap_or(i64::MAX);
        return changes::read(topic, message.payload(), time_ms, id).ok().map(Event::change);
    }
    topic.starts_with(BUS_PREFIX).then(|| Event::bus(message(envelope, index, texts)))
}

/// What a message of the spine is for a trigger that listens to `on`.
pub(in crate::pipeline) fn logged_event(
    on: &On,
    envelope: &Envelope,
    index: usize,
    texts: &mut Texts,
) -> Event {
    match on {
        On::Event(_) => Event::bus(message(envelope, index, texts)),
        On::Change(_) => {
            let (message, id) = (envelope.message(index), envelope.id(index));
            let time_ms = i64::try_from(id.time_ms()).unwrap_or(i64::MAX);
            match changes::read(message.topic(), message.payload(), time_ms, id) {
                Ok(change) => Event::change(change),
                Err(error) => {
                    warn!(topic = message.topic(), %id, %error, "a change is not what this version writes");
                    let table = message.topic().to_owned();
                    let (hash, sort, old, new) = Default::default();
                    Event::change(Change { table, hash, sort, old, new, expired: false, time_ms, id })
                }
            }
        }
        _ => message_event(envelope, index, texts),
    }
}

/// A topic as rules see it: what is for one rule alone, without saying so.
pub(super) fn seen_topic(topic: &str) -> &str {
    BasicIngest::of(topic).map_or(topic, |message| message.topic)
}

/// Whether a message of the spine is one to triggers of messages and batches: what carries events of buses and changes of rows
/// is not.
pub(in crate::pipeline) fn is_plain(envelope: &Envelope, index: usize) -> bool {
    let topic = envelope.message(index).topic();
    envelope.publisher() != SERVER || !(topic.starts_with(CHANGES_PREFIX) || topic.starts_with(BUS_PREFIX))
}

/// A message as rules see it, with a payload of its own: it is kept for longer than its envelope.
pub(in crate::pipeline) fn kept_event(envelope: &Envelope, index: usize) -> Event {
    let shared = message(envelope, index, &mut Texts::default());
    Event::message(Message { payload: Bytes::copy_from_slice(&shared.payload), ..shared })
}

/// A message as rules see it.
pub(in crate::pipeline) fn message_event(envelope: &Envelope, index: usize, texts: &mut Texts) -> Event {
    Event::message(message(envelope, index, texts))
}

fn message(envelope: &Envelope, index: usize, texts: &mut Texts) -> Message {
    let message = envelope.message(index);
    let marks = message.marks();
    let id = envelope.id(index);
    Message {
        topic: texts.topic(seen_topic(message.topic())),
        client_id: texts.client_id(envelope.client_id()),
        user: envelope.user().map(|user| texts.user(user)),
        payload: message.payload_shared(),
        qos: marks.qos as u8,
        retain: marks.retain,
        time_ms: i64::try_from(id.time_ms()).unwrap_or(i64::MAX),
        id,
    }
}
