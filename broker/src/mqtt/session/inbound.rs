//! What a client sends, packet by packet.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use pointsman_rules::topic::validate_topic;
use tokio::io::{AsyncRead, AsyncWrite};

use super::super::codec::{
    Control, FrameHead, ProtocolError, PublishView, QoS, Reason, Version, check_name, decode_control,
    encode_ack_with, next_frame, parse_ack, parse_publish, without_alias,
};
use super::super::envelope::{Envelope, Marks, Origin};
use super::super::reserved;
use super::connection::{Connection, End, LastTopic};
use super::resume::PUBREL;
use super::sessions::{handled, ops_bytes};
use super::state::{Op, Settled, Stage};
use super::{Entry, LogRefused, Logged, retained};
use crate::auth::Action;

const PUBACK: u8 = 0x40;
const PUBREC: u8 = 0x50;
const PUBCOMP: u8 = 0x70;

impl From<ProtocolError> for End {
    fn from(error: ProtocolError) -> End {
        End::Refused(error)
    }
}

/// Whether something is where it was to be put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    No,
    Yes,
}

pub(super) fn refused<V>(reason: Reason, detail: impl Into<String>) -> Result<V, End> {
    Err(End::Refused(ProtocolError::new(reason, detail)))
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection<T> {
    /// Handles every whole packet that is there. What was published goes on together, but not past a packet of
    /// another kind, so that the order in which the client did things is kept.
    pub(super) async fn handle_packets(&mut self) -> Result<(), End> {
        loop {
            let buffer = std::mem::take(&mut self.inbound);
            let mut used = 0;
            let parsed = self.parse_run(&buffer, &mut used);
            self.inbound = buffer;
            self.inbound.advance(used);
            self.hub.telemetry.received.add(&mut self.work.received);
            // What came before a bad packet was good.
            self.settle().await?;
            match parsed? {
                // In a box, as all that is seldom waited for: it would be part of every idle connection's task.
                Some(control) => Box::pin(self.handle_control(control)).await?,
                None => return Ok(()),
            }
        }
    }

    /// Takes packets from the front up to and with the first that is neither PUBLISH nor an acknowledgement.
    fn parse_run(&mut self, buffer: &BytesMut, used: &mut usize) -> Result<Option<Control>, End> {
        while let Some(head) = next_frame(&buffer[*used..], self.limits.packet_bytes_max, self.version)? {
            let Some(packet) = buffer.get(*used..*used + head.len) else { return Ok(None) };
            *used += head.len;
            let body = &packet[head.head_len..];
            if head.first >> 4 != 3 {
                self.work.received.others(1);
            }
            match head.first >> 4 {
                3 => self.take_publish(head, body, buffer.len() - *used + head.len)?,
                4..=7 => self.take_ack(head.first, body)?,
                1 => return refused(Reason::ProtocolError, "a second CONNECT"), // [MQTT-3.1.0-2]
                _ => return Ok(Some(decode_control(packet, self.version)?)),
            }
        }
        Ok(None)
    }

    /// Takes PUBACK, PUBREC, PUBREL or PUBCOMP.
    fn take_ack(&mut self, first: u8, body: &[u8]) -> Result<(), End> {
        let ack = parse_ack(first, body, self.version)?;
        let session = std::sync::Arc::clone(&self.session);
        let mut state = session.state();
        let id = ack.packet_id;
        let slot = state.window.slot(id);
        let settled = match first >> 4 {
            4 => state.window.puback(id),
            5 => state.window.pubrec(id, ack.reason < 0x80),
            6 => {
                let known = state.received.remove(&id) || self.work.answers.forget_received(id);
                drop(state);
                self.take_pubrel(known, id);
                return Ok(());
            }
            _ => state.window.pubcomp(id),
        };
        drop(state);
        if settled == Settled::WrongKind {
            let detail = format!("packet id {id} is acknowledged as a message of another QoS");
            return refused(Reason::ProtocolError, detail);
        }
        if first >> 4 == 5 && ack.reason < 0x80 {
            // [MQTT-4.3.3-1]; to an unknown id too, so that the client can be done with it.
            let known = if settled == Settled::Unknown { Reason::PacketIdNotFound } else { Reason::Success };
            self.work.answers.acks.push((PUBREL, id, known));
            if settled == Settled::Yes {
                self.work.answers.note_id(|ids| Op::Taken { ids }, id, session.durable);
                self.work.answers.must_wait |= session.durable;
            }
        } else if settled == Settled::Yes {
            self.work.answers.note_id(|ids| Op::Acked { ids }, id, session.durable);
        }
        if let Some(slot) =
            slot.filter(|slot| slot.shared && slot.place.is_in_log() && settled == Settled::Yes)
            && !session.durable
            && slot.stage != Stage::Pubcomp
        {
            self.work.answers.ops.push(handled(std::iter::once(slot.place)));
        }
        Ok(())
    }

    /// PUBREL: the packet id may be used again, and that must not be forgotten, or the next message of that id would be
    /// taken for the last. [MQTT-4.3.3-2]
    fn take_pubrel(&mut self, known: bool, id: u16) {
        // An unknown id is that of a message released before, whose PUBCOMP was lost; 0x92 would have mqtt.js tell its user
        // that the publish failed, though the message is through. [MQTT5-4.3.3-12]
        self.work.answers.acks.push((PUBCOMP, id, Reason::Success));
        if let Some(at) = self.work.answers.received.iter().position(|it| *it == id) {
            // It was received just now, and nothing was noted of that yet.
            self.work.answers.received.remove(at);
        } else if known {
            self.work.answers.note_id(|ids| Op::Released { ids }, id, self.session.durable);
            self.work.answers.must_wait |= self.session.durable;
        }
    }

    /// Checks a PUBLISH and puts it into the builder. `coming` is how many bytes of the buffer are not handled yet.
    fn take_publish(&mut self, head: FrameHead, body: &[u8], coming: usize) -> Result<(), End> {
        let publish = parse_publish(head.first, body, self.version)?;
        self.resolve_topic(&publish)?;
        if publish.qos == QoS::ExactlyOnce && self.is_repeated(&publish)? {
            self.work.answers.acks.push((PUBREC, publish.packet_id, Reason::Success));
            return Ok(());
        }
        if !self.last_topic.allowed {
            return self.deny(&publish);
        }
        let asks_to_retain = publish.retain && !self.last_topic.is_for_rule;
        let retain = asks_to_retain && self.admit_retained(&publish);
        if asks_to_retain && !retain && self.version == Version::V5 && publish.qos > QoS::AtMostOnce {
            self.answer(&publish, Reason::QuotaExceeded);
            return Ok(());
        }
        let stripped;
        let properties = if publish.topic_alias.is_some() {
            stripped = without_alias(publish.properties);
            stripped.as_slice()
        } else {
            publish.properties
        };
        if self.work.builder.is_empty() {
            self.work.builder.reserve(coming);
        }
        let marks = Marks { qos: publish.qos, retain, interest: self.last_topic.interest };
        self.work.builder.push(&self.last_topic.topic, publish.payload, properties, marks);
        self.work.received.publishes(publish.qos as u8, 1, head.len);
        if publish.qos == QoS::ExactlyOnce {
            self.work.answers.received.push(publish.packet_id);
        }
        if self.last_topic.is_for_rule && !self.last_topic.interest.rules {
            self.hub.telemetry.drops.no_rule.add(1);
            self.answer(&publish, Reason::NoMatchingSubscribers);
        } else {
            self.answer(&publish, Reason::Success);
        }
        Ok(())
    }

    /// Notes what a PUBLISH is answered with.
    fn answer(&mut self, publish: &PublishView<'_>, reason: Reason) {
        match publish.qos {
            QoS::AtMostOnce => {}
            QoS::AtLeastOnce => self.work.answers.acks.push((PUBACK, publish.packet_id, reason)),
            QoS::ExactlyOnce => self.work.answers.acks.push((PUBREC, publish.packet_id, reason)),
        }
    }

    /// Whether a QoS 2 publish was taken before and not released. [MQTT-4.3.3-2]
    fn is_repeated(&self, publish: &PublishView<'_>) -> Result<bool, End> {
        let state = self.session.state();
        let coming = &self.work.answers.received;
        if state.received.contains(&publish.packet_id) || coming.contains(&publish.packet_id) {
            return Ok(true);
        }
        let receive_max = usize::from(self.limits.receive_max);
        // [MQTT5-3.3.4-7]; before MQTT 5 no client is told of a limit, but it has the ids of one.
        if self.version == Version::V5 && state.received.len() + coming.len() >= receive_max {
            let detail = format!("more than {receive_max} publishes of QoS 2 are not released");
            return refused(Reason::ReceiveMaximumExceeded, detail);
        }
        Ok(false)
    }

    /// Whether there is room to retain a message.
    fn admit_retained(&self, publish: &PublishView<'_>) -> bool {
        let admitted =
            self.hub.retained.admit(&self.last_topic.topic, publish.payload.len(), self.hub.clock.now_ms());
        if let Err(full) = &admitted {
            tracing::debug!(topic = self.last_topic.topic, %full, "a message is not retained");
        }
        admitted.is_ok()
    }

    /// Makes `last_topic` the topic of this publish, checked.
    fn resolve_topic(&mut self, publish: &PublishView<'_>) -> Result<(), End> {
        let generation = self.hub.interest_generation();
        let known = !publish.topic.is_empty()
            && publish.topic == self.last_topic.topic.as_bytes()
            && self.last_topic.generation == generation;
        if known && publish.topic_alias.is_none() {
            return Ok(());
        }
        let topic = match (check_name(publish.topic, "the topic"), publish.topic_alias) {
            (Err(error), _) => return Err(error.into()), // [MQTT-1.5.3-1]
            (Ok(""), None) => return refused(Reason::ProtocolError, "a PUBLISH has neither topic nor alias"),
            (Ok(topic), None) => topic.to_owned(),
            (Ok(topic), Some(alias)) => self.resolve_alias(topic, alias)?,
        };
        if let Err(error) = validate_topic(&topic) {
            return refused(Reason::TopicNameInvalid, error.to_string()); // [MQTT-3.3.2-2]
        }
        if reserved::levels(&topic) > self.limits.topic_levels_max {
            return refused(Reason::TopicNameInvalid, "the topic has more levels than topic_levels_max");
        }
        // Nobody publishes as the server does, whatever a policy says.
        let allowed = reserved::is_open(&topic) && self.client.identity.may(Action::Publish, &topic);
        let interest = self.hub.interest(&topic);
        let is_for_rule = reserved::is_for_rule(&topic);
        if is_for_rule && !interest.rules {
            tracing::debug!(client = %self.client.client_id, topic, "no rule listens to what is published to it");
        }
        self.last_topic = LastTopic { topic, interest, allowed, is_for_rule, generation };
        Ok(())
    }

    fn resolve_alias(&mut self, topic: &str, alias: u16) -> Result<String, End> {
        if alias > self.limits.topic_alias_max {
            return refused(Reason::TopicAliasInvalid, "the topic alias is above topic_alias_max"); // [MQTT-3.3.2-9]
        }
        let slot = usize::from(alias) - 1;
        if topic.is_empty() {
            let known = self.aliases.get(slot).and_then(Option::as_deref).map(str::to_owned);
            return known.map_or_else(|| refused(Reason::ProtocolError, "the topic alias is not set"), Ok);
        }
        if self.aliases.len() <= slot {
            self.aliases.resize(slot + 1, None);
        }
        self.aliases[slot] = Some(Box::from(topic));
        Ok(topic.to_owned())
    }

    /// A publish that the policy denies is refused by PUBACK or PUBREC where these can say so; else the connection
    /// ends: nothing is dropped in silence (SEMANTICS §1.4).
    fn deny(&mut self, publish: &PublishView<'_>) -> Result<(), End> {
        self.hub.telemetry.drops.not_authorized.add(1);
        if self.version == Version::V5 && publish.qos > QoS::AtMostOnce {
            self.answer(publish, Reason::NotAuthorized);
            return Ok(());
        }
        let detail = format!("the policy does not allow publishing to {:?}", self.last_topic.topic);
        refused(Reason::NotAuthorized, detail)
    }

    /// Sees to it that what was taken is where it was promised to be, and answers.
    async fn settle(&mut self) -> Result<(), End> {
        let answers = &mut self.work.answers;
        match (answers.received.is_empty(), self.session.durable) {
            (true, _) => {}
            (false, true) => {
                answers.ops.push(Op::Received { ids: answers.received.clone() });
                answers.must_wait = true;
            }
            (false, false) => self.session.state().received.extend(&answers.received),
        }
        if !self.work.builder.is_empty() {
            self.submit().await?;
        } else if !self.work.answers.ops.is_empty() {
            self.log_ops().await?;
        }
        let problem_info = self.problem_info;
        let work = &mut *self.work;
        if !work.answers.received.is_empty() {
            self.session.state().received.extend(work.answers.received.drain(..));
        }
        work.answers.must_wait = false;
        work.sent.others(work.answers.acks.len());
        for (first, packet_id, reason) in work.answers.acks.drain(..) {
            let words = if problem_info { words_of(reason) } else { None };
            encode_ack_with(&mut self.outbound, self.version, first, packet_id, reason, words);
        }
        Ok(())
    }

    /// Sends what was published on its way, to the disk first if somebody needs that.
    async fn submit(&mut self) -> Result<(), End> {
        let count = self.work.builder.len();
        let bytes = self.work.builder.frame_bytes();
        let logged = self.work.builder.interest().durable || self.work.builder.has_retained();
        let envelope = self.work.builder.seal(&Origin {
            publisher: self.client.connection,
            client_id: &self.client.client_id,
            user: self.client.identity.user.as_deref(),
            hops: 0,
            first_id: self.hub.ids.take(self.hub.clock.now_ms(), count),
        });
        if logged {
            if let Err(error) = self.log(Some(envelope)).await {
                return self.withhold(&error);
            }
        } else {
            if !self.work.answers.ops.is_empty() && self.log_ops().await? == Kept::No {
                return Ok(());
            }
            self.hub.spine.publish(envelope);
        }
        if self.hub.spine.is_lagging() || self.client.held_until_ms() > 0 {
            Box::pin(self.hold()).await;
        }
        if let Some(wait) = self.throttle.note(self.limits.publish_rate, count as u64, bytes as u64) {
            self.hub.telemetry.throttles_total.add(1);
            Box::pin(tokio::time::sleep(wait.min(THROTTLE_MAX))).await;
        }
        Ok(())
    }

    /// Puts messages, and what happened to the session, into the log.
    fn log(&mut self, envelope: Option<Envelope>) -> Logged {
        let retaining = envelope.as_ref().filter(|envelope| envelope.has_retained());
        let writes = retaining.map(retained::writes_of).unwrap_or_default();
        let ops = std::mem::take(&mut self.work.answers.ops);
        let sessions = if ops.is_empty() { Bytes::new() } else { ops_bytes(&self.session.client_id, &ops) };
        // Under the lock: in a row that is written now a packet id is received if, and only if, its message is in the log
        // before. Else a crash would have it taken for repeated and lost, or taken twice.
        let mut state = self.session.state();
        let logged = self.hub.ingress.log(Entry { envelope, sessions, writes });
        if self.session.durable {
            state.received.extend(&self.work.answers.received);
        }
        self.session.touch();
        logged
    }

    /// Puts what happened to the session into the log, and waits for that if some answer must.
    async fn log_ops(&mut self) -> Result<Kept, End> {
        let logged = self.log(None);
        if self.work.answers.must_wait
            && let Err(error) = logged.await
        {
            self.withhold(&error)?;
            return Ok(Kept::No);
        }
        Ok(Kept::Yes)
    }

    /// Nothing was promised: an MQTT 5 publisher is told so, another finds its connection closed and will send again.
    fn withhold(&mut self, error: &LogRefused) -> Result<(), End> {
        let received = std::mem::take(&mut self.work.answers.received);
        self.session.state().received.retain(|id| !received.contains(id));
        if self.session.durable {
            self.session.note_unlogged();
        }
        let only_publishes =
            self.work.answers.acks.iter().all(|(first, ..)| matches!(*first, PUBACK | PUBREC));
        if self.version != Version::V5 || !only_publishes {
            self.work.answers.acks.clear();
            return refused(Reason::ServerUnavailable, error.detail.clone());
        }
        for (first, id, reason) in &mut self.work.answers.acks {
            // What was taken before and is sent again stays taken.
            let is_new = *first == PUBACK || received.contains(id);
            if is_new && *reason == Reason::Success {
                *reason = error.reason;
            }
        }
        Ok(())
    }

    /// Waits while the spine or a subscriber is too far behind.
    async fn hold(&mut self) {
        if self.hub.spine.is_lagging() {
            self.hub.telemetry.throttles_total.add(1);
            self.hub.spine.caught_up().await;
        }
        let until = self.client.held_until_ms();
        if until > 0 {
            let wait = until.saturating_sub(self.hub.clock.now_ms());
            if wait > 0 {
                tokio::time::sleep(Duration::from_millis(wait)).await;
            }
        }
    }
}

/// The longest that a client over its publish rate is not read from at a time, so that its end is noticed.
const THROTTLE_MAX: Duration = Duration::from_secs(1);

/// The words with an acknowledgement that refuses.
fn words_of(reason: Reason) -> Option<&'static str> {
    match reason {
        Reason::NotAuthorized => Some("the policy does not allow publishing to this topic"),
        Reason::QuotaExceeded => Some("there is no room to keep this message"),
        _ => None,
    }
}
