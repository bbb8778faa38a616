//! What a client is sent: deliveries become packets here.

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;
use tokio::io::{AsyncRead, AsyncWrite};

use super::super::codec::{
    OutboundPublish, ProtocolError, QoS, Reason, Version, encode_publish, message_expiry, publish_len,
};
use super::super::envelope::Envelope;
use super::connection::{CHUNK_BYTES, Connection, End};
use super::outbox::{Delivery, Via};
use super::state::{Op, Place, Sent, Stage};
use crate::store::{AppendError, Appended};

/// Topics, and the alias of each.
type AliasOf = HashMap<Box<[u8]>, u16, FxBuildHasher>;

/// The topic aliases that the server has set on a connection.
#[derive(Debug)]
pub(super) struct Aliases {
    max: u16,
    /// None before the first.
    set: Option<Box<AliasOf>>,
}

/// What stands for a topic in a PUBLISH.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Alias {
    pub(super) number: Option<u16>,
    /// Whether the topic itself must be there as well.
    pub(super) with_topic: bool,
}

impl Aliases {
    /// At most `max`; none if it is zero.
    pub(super) fn new(max: u16) -> Aliases {
        Aliases { max, set: None }
    }

    /// The alias of a topic. The first topics get one, and keep it.
    fn of(&mut self, topic: &[u8]) -> Alias {
        if self.max == 0 {
            return Alias { number: None, with_topic: true };
        }
        let set = self.set.get_or_insert_default();
        if let Some(number) = set.get(topic) {
            return Alias { number: Some(*number), with_topic: false };
        }
        let next = u16::try_from(set.len() + 1).unwrap_or(u16::MAX);
        if next > self.max {
            return Alias { number: None, with_topic: true };
        }
        set.insert(Box::from(topic), next);
        Alias { number: Some(next), with_topic: true }
    }
}

/// What was given packet ids and must be in the log.
#[derive(Debug, Default)]
struct Sending {
    sent: Vec<Sent>,
    /// Some of it is QoS 2: it may not leave before that is on disk.
    must_wait: bool,
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection<T> {
    /// Encodes what there is to send. What of it is QoS 2 and of a durable session is on disk when this resolves.
    pub(super) async fn send(&mut self) -> Result<(), End> {
        if let Some(error) = self.resume.as_ref().and_then(|resume| resume.lost.as_ref()) {
            let detail = format!("what this session was owed cannot be read: {error}");
            return Err(End::Refused(ProtocolError::new(Reason::QuotaExceeded, detail)));
        }
        self.window_full = false;
        self.encode_again(CHUNK_BYTES);
        if self.resume.as_ref().is_some_and(|resume| resume.is_first()) {
            return Ok(());
        }
        let before = self.outbound.len();
        match self.encode_deliveries(CHUNK_BYTES) {
            Some((op, appended)) => Box::pin(self.await_sent(before, op, appended)).await,
            None => Ok(()),
        }
    }

    /// Resolves once what was encoded behind `before` is noted on disk.
    async fn await_sent(
        &mut self,
        before: usize,
        op: Op,
        mut appended: Result<Appended, AppendError>,
    ) -> Result<(), End> {
        loop {
            match appended {
                Ok(appended) => {
                    let durable = appended.durable().await;
                    return durable.map_err(|error| self.unsent(before, &error));
                }
                Err(AppendError::Full { .. }) => self.hub.store.room().await,
                Err(error) => return Err(self.unsent(before, &error)),
            }
            appended = self.hub.append_ops(&self.session.client_id, std::slice::from_ref(&op));
        }
    }

    /// What was to be sent has its packet ids in memory alone: it stays here, and goes out again from the session's row.
    fn unsent(&mut self, encoded_before: usize, error: &dyn std::error::Error) -> End {
        self.outbound.truncate(encoded_before);
        self.session.note_unlogged();
        let detail = format!("what was to be sent cannot be noted on disk: {}", crate::report::chain(error));
        End::Refused(ProtocolError::new(Reason::ServerUnavailable, detail))
    }

    /// Encodes deliveries until about `enough` bytes wait to be written, or the window is full. Gives the op that must be on
    /// disk first, if there is one.
    fn encode_deliveries(&mut self, enough: usize) -> Option<(Op, Result<Appended, AppendError>)> {
        if self.deliveries.is_empty() {
            return None;
        }
        let mut sending = Sending::default();
        while self.outbound.len() < enough && !self.window_full {
            let Some(mut delivery) = self.deliveries.pop_front() else { break };
            let before = delivery.bytes();
            if self.is_verbatim(&delivery) {
                let frames = delivery.envelope.frames(delivery.first as usize, delivery.count as usize);
                self.outbound.extend_from_slice(frames);
                self.work.sent.publishes(0, u64::from(delivery.count), frames.len());
                self.session.outbox.written(before);
                continue;
            }
            self.encode_each(&mut delivery, enough, &mut sending);
            let left = if delivery.count == 0 { 0 } else { delivery.bytes() };
            self.session.outbox.written(before - left);
            if delivery.count > 0 {
                self.deliveries.push_front(delivery);
            }
        }
        let logged = self.log_sent(sending);
        if self.session.durable && self.deliveries.is_empty() {
            self.session.outbox.sent_all();
        }
        logged
    }

    /// Whether a delivery goes out as it lies in its envelope.
    fn is_verbatim(&self, delivery: &Delivery) -> bool {
        self.version != Version::V5
            && !delivery.acknowledged
            && !delivery.retain_as_published
            && !delivery.envelope.has_expiring()
    }

    /// Encodes message by message, until the window or the buffer is full or the delivery ends.
    fn encode_each(&mut self, delivery: &mut Delivery, enough: usize, sending: &mut Sending) {
        // What is retained is not read from the log again.
        let has_place = delivery.via != Via::Retained;
        let keeps_place = self.session.durable || delivery.via == Via::Share;
        while delivery.count > 0 && self.outbound.len() < enough {
            let index = delivery.first as usize;
            let message = delivery.envelope.message(index);
            let marks = message.marks();
            let qos = marks.qos.min(delivery.qos_max);
            let place = if has_place { Place::of(&delivery.envelope, index) } else { Place::NOWHERE };
            let retain = delivery.retain_as_published && marks.retain;
            if self.is_to_be_sent(delivery, index, place) {
                let packet_id = if qos > QoS::AtMostOnce {
                    let place = if keeps_place { place } else { Place::NOWHERE };
                    match self.open_window(delivery, qos, place, sending) {
                        Some(packet_id) => packet_id,
                        None => break,
                    }
                } else {
                    0
                };
                let Delivery { envelope, subscription_ids, .. } = &*delivery;
                self.encode_message(envelope, index, qos, retain, false, packet_id, subscription_ids);
                if packet_id == 0 {
                    self.note_handled(delivery, place, sending);
                }
            } else {
                self.note_handled(delivery, place, sending);
            }
            delivery.first += 1;
            delivery.count -= 1;
        }
    }

    /// Whether a message is still wanted, and small enough.
    fn is_to_be_sent(&self, delivery: &Delivery, index: usize, place: Place) -> bool {
        let message = delivery.envelope.message(index);
        let drops = &self.hub.telemetry.drops;
        // [MQTT-3.1.2-25]
        let qos = message.marks().qos.min(delivery.qos_max);
        if !self.fits(&delivery.envelope, index, qos, &delivery.subscription_ids) {
            drops.packet_too_large.add(1);
            return false;
        }
        // [MQTT-3.3.2-5]
        if message.expires() && self.remaining_seconds(&delivery.envelope, index).is_none() {
            drops.expired.add(1);
            return false;
        }
        // Read from the log though it was sent already.
        let owed = self.session.durable && delivery.via == Via::Subscription && delivery.acknowledged;
        !(owed && place.is_in_log() && place < self.session.state().position)
    }

    /// Whether the PUBLISH of a message is no larger than the client takes. [MQTT-3.1.2-24]
    pub(super) fn fits(&self, envelope: &Envelope, index: usize, qos: QoS, subscription_ids: &[u32]) -> bool {
        if self.packet_bytes_max == u32::MAX {
            return true;
        }
        let message = envelope.message(index);
        let publish = OutboundPublish {
            body: message.body(),
            topic_len: 2 + message.topic_bytes().len(),
            properties: message.properties(),
            subscription_ids,
            // The first to have an alias has the topic as well.
            topic_alias: (self.own_aliases.max > 0).then_some(1),
            send_topic: true,
            expiry_seconds: None,
            qos,
            retain: false,
            dup: false,
            packet_id: 0,
        };
        publish_len(self.version, &publish) <= self.packet_bytes_max as usize
    }

    /// How long a message may still wait, in seconds; `None` if its time is over.
    fn remaining_seconds(&self, envelope: &Envelope, index: usize) -> Option<u32> {
        let seconds = message_expiry(envelope.message(index).properties())?;
        let waited_ms = self.hub.clock.now_ms().saturating_sub(envelope.id(index).time_ms());
        let waited = u32::try_from(waited_ms / 1000).unwrap_or(u32::MAX);
        seconds.checked_sub(waited).filter(|left| *left > 0)
    }

    /// A message that gets no packet id is not this session's to deliver any more, if a share had assigned it.
    fn note_handled(&self, delivery: &Delivery, place: Place, sending: &mut Sending) {
        let assigned = self.session.durable && delivery.via == Via::Share && delivery.acknowledged;
        if assigned && place.is_in_log() {
            self.session.state().forget_assigned(place);
            sending.sent.push(Sent::handled(place));
        }
    }

    /// Gives a packet id, unless the window is full.
    fn open_window(
        &mut self,
        delivery: &Delivery,
        qos: QoS,
        place: Place,
        sending: &mut Sending,
    ) -> Option<u16> {
        let shared = delivery.via == Via::Share;
        let mut state = self.session.state();
        if state.window.outstanding() >= self.window_max || state.window.is_exhausted() {
            self.window_full = true;
            return None;
        }
        let packet_id = state.window.open(qos, place, shared)?;
        // What is not in the log is kept where it may have to be sent again, by this session or another of the share.
        let keeps = if self.session.durable { !place.is_in_log() } else { shared };
        let kept = keeps.then(|| delivery.envelope.single(delivery.first as usize));
        if let Some(message) = &kept {
            state.window.keep(packet_id, message.clone());
        }
        if self.session.durable {
            if shared {
                state.forget_assigned(place);
            } else if place.is_in_log() {
                state.position = state.position.max(Place { index: place.index + 1, ..place });
            }
            let twice = qos == QoS::ExactlyOnce;
            sending.must_wait |= twice;
            let stage_now = if twice { Stage::Pubrec } else { Stage::Puback };
            sending.sent.push(Sent { packet_id, stage: stage_now, shared, place, kept });
        }
        Some(packet_id)
    }

    /// Puts into the log what was given packet ids. Gives the op if what was sent must wait for it.
    fn log_sent(&mut self, sending: Sending) -> Option<(Op, Result<Appended, AppendError>)> {
        if sending.sent.is_empty() {
            return None;
        }
        self.session.touch();
        let op = Op::Sent(sending.sent);
        let appended = self.hub.append_ops(&self.session.client_id, std::slice::from_ref(&op));
        // Without its place a message of QoS 1 is sent again after a crash, which it may be.
        sending.must_wait.then_some((op, appended))
    }

    /// Writes the PUBLISH of a message.
    #[expect(clippy::too_many_arguments, reason = "a PUBLISH has as many parts")]
    pub(super) fn encode_message(
        &mut self,
        envelope: &Envelope,
        index: usize,
        qos: QoS,
        retain: bool,
        dup: bool,
        packet_id: u16,
        subscription_ids: &[u32],
    ) {
        let message = envelope.message(index);
        let expiry_seconds = if message.expires() { self.remaining_seconds(envelope, index) } else { None };
        let alias = self.own_aliases.of(message.topic_bytes());
        let publish = OutboundPublish {
            body: message.body(),
            topic_len: 2 + message.topic_bytes().len(),
            properties: message.properties(),
            subscription_ids,
            topic_alias: alias.number,
            send_topic: alias.with_topic,
            expiry_seconds,
            qos,
            retain,
            dup,
            packet_id,
        };
        let before = self.outbound.len();
        encode_publish(&mut self.outbound, self.version, &publish);
        self.work.sent.publishes(qos as u8, 1, self.outbound.len() - before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_topics_get_an_alias_and_keep_it() {
        let mut aliases = Aliases::new(1);
        assert_eq!(aliases.of(b"a"), Alias { number: Some(1), with_topic: true });
        assert_eq!(aliases.of(b"a"), Alias { number: Some(1), with_topic: false });
        assert_eq!(aliases.of(b"b"), Alias { number: None, with_topic: true });
        assert_eq!(Aliases::new(0).of(b"a").number, None);
    }
}
