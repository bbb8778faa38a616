//! What the clients of a script do.

use super::client::{Inflight, Outgoing, Pending, Stage};
use super::naive::{Message, Session, Subscription};
use super::run::Run;
use super::script::{self, CLIENTS, EXPIRIES, FILTERS, Step, TOPICS, of};
use super::wire::{self, Packet, Publish};
use super::world::INFLIGHT_MAX;

/// Publishes of one client that may be under way.
const PENDING_MAX: usize = 40;

impl Run {
    pub(super) async fn connect(&mut self, who: usize, step: &Step) -> Result<(), String> {
        let Step::Connect { v5, clean, expiry, receive_max, will, .. } = step else { return Ok(()) };
        let now_ms = self.now_ms();
        self.naive.expire(now_ms);
        let old = self.clients[who].stream.take();
        if old.is_some() {
            self.lose(who, true);
        }
        let expiry = match (*v5, *clean) {
            (true, _) => of(&EXPIRIES, *expiry),
            (false, true) => 0,
            (false, false) => u32::MAX,
        };
        let unacknowledged = self.clients[who].unacknowledged();
        if *clean {
            self.naive.end(who, &unacknowledged);
        }
        let will = will.map(|will| self.message(who, will, false));
        let receive_max = (*receive_max).max(1);
        let will_text = will.map(|id| self.naive.messages[id].clone());
        let connect = wire::Connect {
            client_id: CLIENTS[who],
            v5: *v5,
            clean: *clean,
            expiry,
            receive_max,
            will: will_text.as_ref().map(|it| (it.topic, &it.payload[..], it.qos, it.retain)),
        };
        let stream = self.world.open();
        let client = &mut self.clients[who];
        client.lost();
        client.stream = Some(stream);
        client.v5 = *v5;
        client.will = will;
        client.farewell = None;
        client.window_max = if *v5 { receive_max.min(INFLIGHT_MAX) } else { INFLIGHT_MAX };
        client.write(&wire::connect(&connect)).await;
        let answer = client.read().await?;
        drop(old);
        if self.unchecked {
            return Ok(());
        }
        let Some(Packet::Connack { present, reason: 0 }) = answer else {
            return Err(format!("CONNECT is answered with {answer:?}"));
        };
        let known = self.naive.sessions[who].is_some();
        if present != known {
            return Err(format!("session present is {present}, and there was {known}"));
        }
        let before = self.naive.sessions[who].as_ref().map(|session| session.expiry);
        self.take_up(who, present, expiry).await;
        if before.is_some_and(|before| before != expiry) {
            // Whether a kill makes the server forget that is open.
            self.settle().await?;
        }
        Ok(())
    }

    /// After CONNACK: a session begins, or goes on. [MQTT-4.4.0-1]
    pub(super) async fn take_up(&mut self, who: usize, present: bool, expiry: u32) {
        let client = &mut self.clients[who];
        if !present {
            client.inflight.clear();
            client.pending.clear();
            client.killed = false;
            let session = Session { durable: expiry > 0, expiry, ..Session::default() };
            self.naive.sessions[who] = Some(session);
            return;
        }
        if let Some(session) = &mut self.naive.sessions[who] {
            session.left_at_ms = None;
            session.resumed = true;
            session.expiry = expiry;
        }
        let mut bytes = Vec::new();
        for it in &mut client.pending {
            if it.stage == Outgoing::Released {
                bytes.extend(wire::ack(6, it.publish.packet_id));
                continue;
            }
            it.publish.dup = true;
            bytes.extend(wire::publish(&it.publish, client.v5));
            if it.stage == Outgoing::Sent {
                self.naive.publish(it.message, true);
            }
        }
        client.write(&bytes).await;
    }

    pub(super) async fn subscribe(
        &mut self,
        who: usize,
        wanted: &[script::Wanted],
        id: Option<u32>,
    ) -> Result<(), String> {
        let client = &mut self.clients[who];
        if !client.is_connected() || wanted.is_empty() {
            return Ok(());
        }
        let (v5, packet_id) = (client.v5, client.packet_id());
        client.inflight.iter_mut().for_each(|it| it.loose = true);
        let id = id.filter(|id| v5 && *id > 0 && *id < 1 << 20);
        let mut filters = Vec::new();
        for it in wanted {
            let filter = of(&FILTERS, it.filter);
            // [MQTT-3.8.3-4]
            let no_local = v5 && it.no_local && !filter.starts_with("$share");
            // What a change of this means for what waits is open.
            let before = self.naive.sessions[who].as_ref();
            let before = before.and_then(|it| it.subscriptions.iter().find(|it| it.filter == filter));
            let no_local = before.map_or(no_local, |before| before.no_local && v5);
            let (as_published, handling) = (v5 && it.as_published, if v5 { it.handling % 3 } else { 0 });
            let qos = it.qos % 3;
            let options = qos | u8::from(no_local) << 2 | u8::from(as_published) << 3 | handling << 4;
            filters.push((filter, options));
            let subscription = Subscription { filter, qos, no_local, as_published, id };
            self.naive.subscribe(who, subscription, handling);
        }
        client.write(&wire::subscribe(packet_id, id, &filters, v5)).await;
        let is_it = |packet: &Packet| matches!(packet, Packet::Suback { .. });
        let answer = client.until(&mut self.naive, is_it).await?;
        let granted: Vec<u8> = filters.iter().map(|(_, options)| options & 3).collect();
        match answer {
            // What is retained meanwhile may come twice: so not meanwhile.
            Some(Packet::Suback { packet_id: id, codes }) if id == packet_id && codes == granted => {
                self.settle().await
            }
            _ if self.unchecked => Ok(()),
            other => Err(format!("SUBSCRIBE {packet_id} is answered with {other:?}")),
        }
    }

    pub(super) async fn unsubscribe(&mut self, who: usize, filter: &'static str) -> Result<(), String> {
        let client = &mut self.clients[who];
        if !client.is_connected() {
            return Ok(());
        }
        let packet_id = client.packet_id();
        client.inflight.iter_mut().for_each(|it| it.loose = true);
        client.write(&wire::unsubscribe(packet_id, filter, client.v5)).await;
        self.naive.unsubscribe(who, filter);
        let is_it = |packet: &Packet| *packet == Packet::Unsuback { packet_id };
        client.until(&mut self.naive, is_it).await.map(drop)
    }

    /// Makes a message known.
    pub(super) fn message(&mut self, who: usize, wanted: script::Message, ordered: bool) -> usize {
        let id = self.naive.messages.len();
        let payload = if wanted.empty { Vec::new() } else { format!("m{id}").into_bytes() };
        self.naive.messages.push(Message {
            publisher: who,
            topic: of(&TOPICS, wanted.topic),
            qos: wanted.qos % 3,
            retain: wanted.retain,
            payload,
            certain: false,
            ordered,
        });
        id
    }

    pub(super) async fn publish(&mut self, who: usize, messages: &[script::Message]) {
        let mut bytes = Vec::new();
        for wanted in messages {
            if !self.clients[who].is_connected() || self.clients[who].pending.len() >= PENDING_MAX {
                break;
            }
            let id = self.message(who, *wanted, true);
            let message = &self.naive.messages[id];
            let client = &mut self.clients[who];
            let publish = Publish {
                qos: message.qos,
                retain: message.retain,
                topic: message.topic.to_owned(),
                packet_id: if message.qos > 0 { client.packet_id() } else { 0 },
                payload: message.payload.clone(),
                ..Publish::default()
            };
            bytes.extend(wire::publish(&publish, client.v5));
            if publish.qos > 0 {
                client.pending.push(Pending { message: id, publish, stage: Outgoing::Sent });
            }
            self.naive.publish(id, false);
        }
        self.clients[who].write(&bytes).await;
    }

    pub(super) async fn ack(&mut self, who: usize, which: Option<usize>, backwards: bool) {
        let client = &mut self.clients[who];
        let due = |it: &&mut Inflight| it.fresh && matches!(it.stage, Stage::Got | Stage::Released);
        let mut due: Vec<_> = client.inflight.iter_mut().filter(due).collect();
        if due.is_empty() {
            return;
        }
        if let Some(which) = which {
            let at = which % due.len();
            due = vec![due.swap_remove(at)];
        }
        if backwards {
            due.reverse();
        }
        let mut bytes = Vec::new();
        for it in due {
            let (kind, stage) = match (it.stage, it.publish.qos) {
                (Stage::Got, 1) => (4, Stage::Done),
                (Stage::Got, _) => (5, Stage::Received),
                _ => (7, Stage::Done),
            };
            it.stage = stage;
            bytes.extend(wire::ack(kind, it.publish.packet_id));
        }
        client.write(&bytes).await;
    }

    pub(super) async fn repeat(&mut self, who: usize) {
        let client = &mut self.clients[who];
        if !client.is_connected() {
            return;
        }
        let twice =
            client.pending.iter_mut().find(|it| it.publish.qos == 2 && it.stage != Outgoing::Released);
        let Some(twice) = twice else { return };
        twice.publish.dup = true;
        let bytes = wire::publish(&twice.publish, client.v5);
        client.write(&bytes).await;
    }

    pub(super) async fn release(&mut self, who: usize) {
        let client = &mut self.clients[who];
        if !client.is_connected() {
            return;
        }
        let mut bytes = Vec::new();
        for it in client.pending.iter_mut().filter(|it| it.stage == Outgoing::Received) {
            it.stage = Outgoing::Released;
            bytes.extend(wire::ack(6, it.publish.packet_id));
        }
        client.write(&bytes).await;
    }

    pub(super) async fn disconnect(
        &mut self,
        who: usize,
        with_will: bool,
        ends_session: bool,
    ) -> Result<(), String> {
        let client = &mut self.clients[who];
        if !client.is_connected() {
            return Ok(());
        }
        let will = client.v5 && with_will;
        let expiry = (client.v5 && ends_session).then_some(0);
        client.write(&wire::disconnect(client.v5, with_will, expiry)).await;
        while let Some(packet) = client.read().await? {
            if !matches!(packet, Packet::Pong) {
                client.take(packet, &mut self.naive).await?;
            }
        }
        if expiry.is_some()
            && let Some(session) = &mut self.naive.sessions[who]
        {
            session.expiry = 0;
        }
        self.lose(who, will);
        self.settle().await
    }

    /// A connection has ended.
    pub(super) fn lose(&mut self, who: usize, with_will: bool) {
        let now_ms = self.now_ms();
        let client = &mut self.clients[who];
        if self.naive.sessions[who].as_ref().is_none_or(|session| session.left_at_ms.is_some()) {
            client.lost();
            return;
        }
        let unacknowledged = client.unacknowledged();
        client.lost();
        let will = client.will.take().filter(|_| with_will);
        self.naive.leave(who, now_ms, &unacknowledged);
        if let Some(will) = will {
            self.naive.wills.push(will);
            self.naive.publish(will, false);
        }
    }
}
