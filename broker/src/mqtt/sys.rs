//! The topics under `$SYS/broker/`, as users of Mosquitto know them: figures of the server, published when they change and
//! there for whoever subscribes.

mod load;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

use super::codec::QoS;
use super::envelope::{EnvelopeBuilder, Interest, Marks, Origin, SERVER};
use super::session::{Figures, Hub};
use crate::telemetry::Transport;

use load::Loads;

/// What all topics begin with.
pub const PREFIX: &str = "$SYS/broker/";

/// Publishes the figures every so often, until the server stops.
pub async fn run(hub: Arc<Hub>, every: Duration) {
    let mut figures = Sys::default();
    let begun = Instant::now();
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = begun;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = hub.stopping().cancelled() => return,
        }
        let now = Instant::now();
        // Where there are very many sessions, looking at each takes a while.
        let looking = Arc::clone(&hub);
        let Ok(sessions) = tokio::task::spawn_blocking(move || looking.figures()).await else { return };
        let values = figures.values(&hub, sessions, now - begun, now - last);
        figures.publish(&hub, values);
        last = now;
    }
}

/// What was published last, and what follows from one time to the next.
#[derive(Debug, Default)]
struct Sys {
    published: HashMap<&'static str, String>,
    clients_max: u64,
    loads: Loads,
}

impl Sys {
    fn values(
        &mut self,
        hub: &Hub,
        figures: Figures,
        up: Duration,
        passed: Duration,
    ) -> Vec<(&'static str, String)> {
        let telemetry = &hub.telemetry;
        let (received, sent) = (&telemetry.received, &telemetry.sent);
        let dropped = telemetry.drops.total();
        let sockets = Transport::ALL.iter().map(|it| telemetry.transports.opened(*it)).sum();
        self.clients_max = self.clients_max.max(figures.clients);
        let counts = [
            ("clients/connected", figures.clients),
            ("clients/disconnected", figures.sessions_offline),
            ("clients/expired", figures.sessions_expired),
            ("clients/maximum", self.clients_max),
            ("clients/total", figures.clients + figures.sessions_offline),
            ("subscriptions/count", figures.subscriptions),
            ("shared_subscriptions/count", figures.subscriptions_shared),
            ("retained messages/count", figures.retained.messages),
            ("messages/inflight", figures.inflight),
            ("messages/stored", figures.retained.messages + figures.outbox_messages),
            ("store/messages/count", figures.retained.messages + figures.outbox_messages),
            ("store/messages/bytes", figures.retained.bytes + figures.outbox_bytes),
            ("messages/received", received.packets()),
            ("messages/sent", sent.packets()),
            ("publish/messages/received", received.messages_total()),
            ("publish/messages/sent", sent.messages_total()),
            ("publish/messages/dropped", dropped),
            ("publish/bytes/received", received.message_bytes_total()),
            ("publish/bytes/sent", sent.message_bytes_total()),
            ("bytes/received", received.bytes()),
            ("bytes/sent", sent.bytes()),
        ];
        let mut values: Vec<_> = counts.map(|(name, count)| (name, count.to_string())).into();
        values.push(("version", format!("pointsman version {}", env!("CARGO_PKG_VERSION"))));
        values.push(("uptime", format!("{} seconds", up.as_secs())));
        let totals = [
            received.packets(),
            sent.packets(),
            received.messages_total(),
            sent.messages_total(),
            dropped,
            received.bytes(),
            sent.bytes(),
            sockets,
            telemetry.connections_total.get(),
        ];
        values.extend(self.loads.pass(totals, passed));
        values
    }

    /// Publishes those that have changed, all in one envelope, and keeps them for whoever subscribes later.
    fn publish(&mut self, hub: &Hub, values: Vec<(&'static str, String)>) {
        let (mut live, mut kept) = (EnvelopeBuilder::default(), EnvelopeBuilder::default());
        for (name, value) in values {
            if self.published.get(name) == Some(&value) {
                continue;
            }
            let topic = format!("{PREFIX}{name}");
            let interest = Interest { rules: hub.ingress.interest(&topic).rules, durable: false };
            // Not to be retained on its way: it would count towards the limits of the clients.
            let marks = Marks { qos: QoS::AtMostOnce, retain: false, interest };
            live.push(&topic, value.as_bytes(), &[], marks);
            kept.push(&topic, value.as_bytes(), &[], Marks { retain: true, ..marks });
            self.published.insert(name, value);
        }
        if live.is_empty() {
            return;
        }
        let first_id = hub.ids.take(hub.clock.now_ms(), live.len());
        let origin = Origin { publisher: SERVER, client_id: "", user: None, hops: 0, first_id };
        let kept = kept.seal(&origin);
        for index in 0..kept.len() {
            hub.retained.show(kept.single(index));
        }
        hub.spine.publish(live.seal(&origin));
    }
}
