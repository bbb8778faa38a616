//! What a session is owed from before: sent again, assigned to it while it was away, or left in the log.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use smallvec::SmallVec;
use tokio::io::{AsyncRead, AsyncWrite};

use super::super::codec::Reason;
use super::super::codec::{QoS, encode_ack};
use super::super::envelope::Envelope;
use super::connection::Connection;
use super::dispatch::is_publisher;
use super::from_log::{Chunk, read_owed, read_places};
use super::outbox::{Delivery, Source, Via};
use super::retained::{RetainedCursor, STEP_TOPICS};
use super::state::{Assigned, Op, Place, Slot, Stage};
use crate::store::{ReadError, Seq};

/// The first byte of PUBREL.
pub(super) const PUBREL: u8 = 0x62;

/// A message with the packet id under which it was sent before.
#[derive(Debug)]
pub(super) struct Again {
    pub(super) packet_id: u16,
    pub(super) slot: Slot,
    /// What it is, once it was read; its place in the envelope is the slot's, or 0.
    pub(super) envelope: Option<Envelope>,
}

/// A subscription whose retained messages are yet to be sent.
#[derive(Debug)]
pub(super) struct RetainedWanted {
    pub(super) cursor: RetainedCursor,
    pub(super) qos: QoS,
    pub(super) subscription_id: Option<u32>,
}

/// What reads from the log bring.
enum Found {
    Again(Result<Vec<Option<Envelope>>, ReadError>),
    Assigned(Result<Vec<Option<Envelope>>, ReadError>),
    Owed(Result<Chunk, ReadError>),
}

type Reading = Pin<Box<dyn Future<Output = Found> + Send>>;

/// How far a connection has come with what its session is owed.
#[derive(Default)]
pub(super) struct Resume {
    /// Sent before and not acknowledged, in that order.
    pub(super) again: VecDeque<Again>,
    /// How many of these wait for a read.
    unread: usize,
    assigned: Vec<Assigned>,
    /// Where the log is to be read from, and up to where at least.
    log: Option<(Seq, Seq)>,
    /// Everything up to this record was read, and what was found is in hand.
    read_through: Option<Seq>,
    reading: Option<Reading>,
    pub(super) retained: VecDeque<RetainedWanted>,
    /// The log has dropped what was owed.
    pub(super) lost: Option<String>,
}

impl Resume {
    /// Whether something can be encoded.
    pub(super) fn has_ready(&self) -> bool {
        self.again.front().is_some_and(|again| again.envelope.is_some())
    }

    /// Whether everything that comes must wait for what was sent before.
    pub(super) fn is_first(&self) -> bool {
        !self.again.is_empty()
    }

    /// Goes where the outbox says that more comes from.
    fn follow(&mut self, source: Source) {
        if let Source::Log { from, through } = source {
            self.log = Some((from, through));
        }
    }

    fn is_idle(&self) -> bool {
        self.reading.is_none() && self.again.is_empty()
    }

    /// Whether nothing is owed any more.
    fn is_done(&self) -> bool {
        let read = self.assigned.is_empty() && self.log.is_none() && self.read_through.is_none();
        read && self.is_idle() && self.retained.is_empty() && self.lost.is_none()
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection<T> {
    /// Takes the session up: what was sent before comes first. [MQTT-4.4.0-1]
    pub(super) fn take_up(&mut self) {
        let session = Arc::clone(&self.session);
        let mut resume = Box::<Resume>::default();
        let state = session.state();
        for (packet_id, slot) in state.window.iter() {
            if slot.stage == Stage::Pubcomp {
                encode_ack(&mut self.outbound, self.version, PUBREL, packet_id, Reason::Success);
                continue;
            }
            let envelope = state.window.kept(packet_id).cloned();
            resume.unread += usize::from(envelope.is_none());
            resume.again.push_back(Again { packet_id, slot, envelope });
        }
        resume.assigned = state.assigned.iter().copied().collect();
        // Under the lock, so that what is assigned from now on is queued.
        session.outbox.attach();
        drop(state);
        self.keep(resume);
    }

    /// Goes where the outbox says that more comes from.
    pub(super) fn follow(&mut self, source: Source) {
        if source != Source::Live {
            self.resume.get_or_insert_default().follow(source);
        }
    }

    /// Puts back what was taken, while something is owed.
    fn keep(&mut self, resume: Box<Resume>) {
        self.resume = Some(resume).filter(|resume| !resume.is_done());
    }

    /// Reads on where there is something to read; true if something was found.
    pub(super) fn poll_resume(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(mut resume) = self.resume.take() else { return false };
        let found = self.poll_reading(&mut resume, cx);
        self.keep(resume);
        found
    }

    fn poll_reading(&mut self, resume: &mut Resume, cx: &mut Context<'_>) -> bool {
        let mut found_any = false;
        loop {
            if resume.reading.is_none() && !self.start_reading(resume) {
                return self.step_retained(resume) || found_any;
            }
            let Some(reading) = &mut resume.reading else { return found_any };
            let Poll::Ready(found) = reading.as_mut().poll(cx) else { return found_any };
            resume.reading = None;
            found_any = true;
            self.accept(resume, found);
        }
    }

    /// Starts the next read; false if there is none to do now.
    fn start_reading(&mut self, resume: &mut Resume) -> bool {
        let hub = Arc::clone(&self.hub);
        if resume.unread > 0 {
            let unread = resume.again.iter().filter(|again| again.envelope.is_none());
            let places: Vec<Place> = unread.map(|again| again.slot.place).collect();
            resume.reading = Some(Box::pin(async { Found::Again(read_places(hub, places).await) }));
            return true;
        }
        if !self.deliveries.is_empty() || !resume.is_idle() {
            return false;
        }
        if !resume.assigned.is_empty() {
            let places = resume.assigned.iter().map(|run| run.place).collect();
            resume.reading = Some(Box::pin(async { Found::Assigned(read_places(hub, places).await) }));
            return true;
        }
        if let Some(through) = resume.read_through.take() {
            let source = self.session.outbox.caught_up(through);
            resume.log = None;
            resume.follow(source);
            self.session.touch();
        }
        let Some((from, through)) = resume.log.take() else { return false };
        let session = Arc::clone(&self.session);
        let from = session.state().position.max(Place::start_of(from));
        resume.reading =
            Some(Box::pin(async move { Found::Owed(read_owed(hub, session, from, through).await) }));
        true
    }

    fn accept(&mut self, resume: &mut Resume, found: Found) {
        match found {
            Found::Again(Ok(envelopes)) => {
                resume.unread = 0;
                let mut envelopes = envelopes.into_iter();
                for again in resume.again.iter_mut().filter(|again| again.envelope.is_none()) {
                    again.envelope = envelopes.next().flatten();
                }
                self.give_up_unreadable(resume);
            }
            Found::Assigned(Ok(envelopes)) => {
                let runs = std::mem::take(&mut resume.assigned);
                for (run, envelope) in runs.into_iter().zip(envelopes) {
                    let Some(envelope) = envelope else { continue };
                    let delivery = self.assigned_delivery(run, envelope);
                    self.session.outbox.took(delivery.bytes());
                    self.deliveries.push_back(delivery);
                }
            }
            Found::Owed(Ok(chunk)) => {
                for delivery in &chunk.deliveries {
                    self.session.outbox.took(delivery.bytes());
                }
                self.deliveries.extend(chunk.deliveries);
                resume.read_through = Some(chunk.through);
            }
            Found::Again(Err(error)) | Found::Assigned(Err(error)) | Found::Owed(Err(error)) => {
                resume.lost = Some(crate::report::chain(&error));
            }
        }
    }

    /// Frees the packet ids of messages that the log has dropped.
    fn give_up_unreadable(&mut self, resume: &mut Resume) {
        let gone: Vec<u16> = resume
            .again
            .iter()
            .filter(|again| again.envelope.is_none())
            .map(|again| again.packet_id)
            .collect();
        resume.again.retain(|again| again.envelope.is_some());
        self.hub.telemetry.drops.log_dropped.add(gone.len() as u64);
        let mut state = self.session.state();
        for packet_id in gone {
            state.window.free(packet_id);
        }
        self.session.touch();
    }

    /// Takes the next retained messages; true if there were any.
    fn step_retained(&mut self, resume: &mut Resume) -> bool {
        if !self.deliveries.is_empty() || !resume.is_idle() {
            return false;
        }
        let now_ms = self.hub.clock.now_ms();
        let mut found = Vec::new();
        while let Some(wanted) = resume.retained.front_mut() {
            let more = self.hub.retained.step(&mut wanted.cursor, now_ms, STEP_TOPICS, &mut found);
            for envelope in found.drain(..) {
                if !self.session.may_receive(envelope.message(0).topic()) {
                    continue;
                }
                let delivery = retained_delivery(envelope, wanted);
                self.session.outbox.took(delivery.bytes());
                self.deliveries.push_back(delivery);
            }
            if !more {
                resume.retained.pop_front();
            }
            if more || !self.deliveries.is_empty() {
                return true;
            }
        }
        false
    }

    /// Sends what was sent before, as far as the window goes.
    pub(super) fn encode_again(&mut self, enough: usize) {
        let Some(mut resume) = self.resume.take() else { return };
        self.encode_waiting(&mut resume, enough);
        self.keep(resume);
    }

    fn encode_waiting(&mut self, resume: &mut Resume, enough: usize) {
        let out = usize::from(self.session.state().window.outstanding());
        let mut waiting = resume.again.len();
        while self.outbound.len() < enough {
            if out.saturating_sub(waiting) >= usize::from(self.window_max) {
                self.window_full = true;
                return;
            }
            let Some(again) = resume.again.pop_front_if(|again| again.envelope.is_some()) else {
                return;
            };
            self.encode_one_again(&again);
            waiting -= 1;
        }
    }

    fn encode_one_again(&mut self, again: &Again) {
        // It may have been acknowledged meanwhile.
        if self.session.state().window.stage(again.packet_id) != again.slot.stage {
            return;
        }
        let Some(envelope) = &again.envelope else { return };
        let index = if again.slot.place.is_in_log() { again.slot.place.index as usize } else { 0 };
        let qos = if again.slot.stage == Stage::Puback { QoS::AtLeastOnce } else { QoS::ExactlyOnce };
        let (as_published, ids) = self.options_again(again, envelope, index);
        if !self.fits(envelope, index, qos, &ids) {
            self.pass_over(again.packet_id, qos);
            return;
        }
        let retain = as_published && envelope.message(index).marks().retain;
        self.encode_message(envelope, index, qos, retain, true, again.packet_id, &ids);
    }

    fn assigned_delivery(&self, run: Assigned, envelope: Envelope) -> Delivery {
        let topic = envelope.message(run.place.index as usize).topic();
        let member = self.hub.subscriptions.member_of(&self.session, topic);
        Delivery {
            first: run.place.index,
            count: run.count.min(u32::try_from(envelope.len()).unwrap_or(u32::MAX) - run.place.index),
            envelope,
            qos_max: run.qos,
            acknowledged: true,
            retain_as_published: member.is_some_and(|member| member.retain_as_published),
            via: Via::Share,
            share: None,
            subscription_ids: run.subscription_id.into_iter().collect(),
        }
    }

    /// What the session's subscriptions say of a message that is sent again: whether RETAIN is as it was published, and
    /// their identifiers.
    fn options_again(&self, again: &Again, envelope: &Envelope, index: usize) -> (bool, SmallVec<[u32; 2]>) {
        let topic = envelope.message(index).topic();
        if again.slot.shared {
            let member = self.hub.subscriptions.member_of(&self.session, topic);
            return member.map_or_else(Default::default, |member| {
                (member.retain_as_published, member.subscription_id.into_iter().collect())
            });
        }
        let own = is_publisher(envelope, &self.session.client_id);
        let target = self.hub.subscriptions.target_of(&self.session, topic, own);
        let (as_published, ids) = target
            .map_or_else(Default::default, |target| (target.retain_as_published, target.subscription_ids));
        // What is not in the log was retained.
        (as_published || !again.slot.place.is_in_log(), ids)
    }

    /// A message that was sent before is larger than the client takes now: as if it had acknowledged it. [MQTT-3.1.2-25]
    fn pass_over(&mut self, packet_id: u16, qos: QoS) {
        self.hub.telemetry.drops.packet_too_large.add(1);
        let window = &mut self.session.state().window;
        if qos == QoS::AtLeastOnce {
            window.puback(packet_id);
        } else {
            window.pubrec(packet_id, false);
        }
        self.work.answers.note_id(|ids| Op::Acked { ids }, packet_id, self.session.durable);
    }
}

fn retained_delivery(envelope: Envelope, wanted: &RetainedWanted) -> Delivery {
    let qos = envelope.message(0).marks().qos;
    Delivery {
        envelope,
        first: 0,
        count: 1,
        qos_max: wanted.qos,
        acknowledged: qos.min(wanted.qos) > QoS::AtMostOnce,
        // [MQTT-3.3.1-8]
        retain_as_published: true,
        via: Via::Retained,
        share: None,
        subscription_ids: wanted.subscription_id.into_iter().collect(),
    }
}
