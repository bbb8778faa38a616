//! From the spine to the outboxes: the reader of the spine that delivers.

use std::sync::Arc;

use super::super::codec::QoS;
use super::super::envelope::{Envelope, SERVER};
use super::Hub;
use super::outbox::{Delivery, Pushed};
use super::subscriptions::{Route, Routes};

/// How long a publisher is held up at a time when a subscriber of its is crowded.
const HOLD_MS: u64 = 5;

/// Delivers envelopes to whoever subscribes to their topics.
pub(crate) struct Dispatcher {
    routes: Routes,
}

impl Dispatcher {
    pub(crate) fn new(hub: &Hub) -> Dispatcher {
        Dispatcher { routes: Routes::new(Arc::clone(&hub.subscriptions)) }
    }

    pub(crate) fn deliver(&mut self, hub: &Hub, envelopes: &[Envelope]) {
        for envelope in envelopes {
            self.deliver_one(hub, envelope);
        }
    }

    fn deliver_one(&mut self, hub: &Hub, envelope: &Envelope) {
        let count = envelope.len();
        for index in (0..count).filter(|index| envelope.message(*index).marks().retain) {
            hub.retained.apply(envelope, index, hub.clock.now_ms());
        }
        let mut crowded = false;
        let mut first = 0;
        while first < count {
            let message = envelope.message(first);
            let topic = message.topic_bytes();
            let mut qos = message.marks().qos;
            let mut end = first + 1;
            while end < count {
                let next = envelope.message(end);
                if next.topic_bytes() != topic {
                    break;
                }
                qos = qos.max(next.marks().qos);
                end += 1;
            }
            let route = self.routes.find(topic);
            crowded |= fan_out(envelope, first..end, qos, &route);
            first = end;
        }
        if crowded
            && envelope.publisher() != SERVER
            && let Some(publisher) = hub.registry.connection(envelope.publisher())
        {
            hub.telemetry.throttles_total.add(1);
            publisher.hold_until(hub.clock.now_ms() + HOLD_MS);
        }
    }
}

fn fan_out(envelope: &Envelope, run: std::ops::Range<usize>, qos: QoS, route: &Route) -> bool {
    let mut crowded = false;
    for target in &route.targets {
        if target.no_local && target.client.connection == envelope.publisher() {
            continue;
        }
        let delivery = Delivery {
            envelope: envelope.clone(),
            first: u32::try_from(run.start).unwrap_or(u32::MAX),
            count: u32::try_from(run.len()).unwrap_or(u32::MAX),
            qos_max: target.qos,
            acknowledged: qos.min(target.qos) > QoS::AtMostOnce,
            retain_as_published: target.retain_as_published,
            subscription_ids: target.subscription_ids.clone(),
        };
        crowded |= target.client.outbox.push(delivery) == Pushed::Crowded;
    }
    crowded
}
