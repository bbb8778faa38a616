//! Into the log: what the sessions ask of what lies behind them.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::route::{concerns_rules, lifecycle_trigger};
use crate::mqtt::{Entry, Envelope, Ingress, Interest, LIFECYCLE_PREFIX, LogEnd, LogRefused, Logged, Reason};
use crate::pipeline::Pipeline;
use crate::report::chain;
use crate::store::{AppendError, Appended, Record, Seq};

/// The sessions' side of a pipeline.
pub struct Intake(pub Arc<Pipeline>);

impl Ingress for Intake {
    fn interest(&self, topic: &str) -> Interest {
        let active = self.0.active.load();
        if let Some(event) = topic.strip_prefix(LIFECYCLE_PREFIX) {
            let on = lifecycle_trigger(event.split('/').nth(1).unwrap_or_default());
            let rules = active.set.has_message_match(topic)
                || on.is_some_and(|on| {
                    active.set.lifecycle_triggers(&on).next().is_some() || self.0.shadow_wants_lifecycle(&on)
                });
            return Interest { durable: false, rules };
        }
        let Interest { durable, rules } = active.interest(topic);
        Interest { durable, rules: rules || self.0.shadow_wants(topic) }
    }

    fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }

    fn log(&self, entry: Entry) -> Logged {
        let pipeline = Arc::clone(&self.0);
        // The first try is made before this returns, so that who asks first is first in the log.
        let first = pipeline.enter(&entry);
        Box::pin(async move { pipeline.log(entry, first).await })
    }

    fn end(&self) -> LogEnd {
        let order = self.0.order.lock();
        LogEnd { end: self.0.store.end(), last_message: order.last }
    }
}

/// What is in the log and not yet on the spine. The order of the log is the order in which every reader of the spine sees
/// messages: a session's or a rule's place in the log then says all about what it has seen.
#[derive(Debug, Default)]
pub(in crate::pipeline) struct Order {
    waiting: Mutex<Waiting>,
    /// Held by whoever publishes.
    turn: Mutex<()>,
}

#[derive(Debug, Default)]
struct Waiting {
    entries: VecDeque<(Appended, Envelope)>,
    /// The last record with messages that was taken.
    last: Seq,
}

impl Order {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `append`, and queues the envelope for the spine in the place it was given.
    pub(in crate::pipeline) fn enter<E>(
        &self,
        envelope: &Envelope,
        append: impl FnOnce() -> Result<Appended, E>,
    ) -> Result<Appended, E> {
        let mut waiting = self.lock();
        let appended = append()?;
        let mut envelope = envelope.clone();
        envelope.set_log_seq(appended.seq);
        waiting.last = appended.seq;
        waiting.entries.push_back((appended.clone(), envelope));
        Ok(appended)
    }

    /// Publishes, in order, what is on disk by now. When this returns, everything is on the spine that was on disk when it
    /// was called.
    pub(in crate::pipeline) fn publish(
        &self,
        mut publish: impl FnMut(Envelope),
        mut refused: impl FnMut(Seq),
    ) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let (appended, envelope) = {
                let mut waiting = self.lock();
                let decided = waiting.entries.front().is_some_and(|(front, _)| front.outcome().is_some());
                let Some(front) = decided.then(|| waiting.entries.pop_front()).flatten() else { return };
                front
            };
            match appended.outcome() {
                Some(Ok(())) => publish(envelope),
                _ => refused(appended.seq),
            }
        }
    }
}

impl Pipeline {
    /// Gives an entry its place in the log.
    pub(in crate::pipeline) fn enter(&self, entry: &Entry) -> Result<Appended, AppendError> {
        let record = |messages| Record {
            messages,
            writes: entry.writes.clone(),
            sessions: entry.sessions.clone(),
            ..Record::default()
        };
        match &entry.envelope {
            Some(envelope) => {
                self.enter_envelope(envelope, || self.store.append(record(envelope.bytes().clone())))
            }
            None => self.store.append(record(bytes::Bytes::new())),
        }
    }

    /// Appends a record that holds an envelope.
    pub(in crate::pipeline) fn enter_envelope<E>(
        &self,
        envelope: &Envelope,
        append: impl FnOnce() -> Result<Appended, E>,
    ) -> Result<Appended, E> {
        self.order
            .enter(envelope, || self.progress.enter(|| append().map(|appended| (appended.seq, appended))))
    }

    /// Puts on the spine what is on disk.
    pub(in crate::pipeline) fn publish_logged(&self) {
        let publish = |envelope: Envelope| {
            // What concerns no rule does not come to the rules' reader, who would note that it was given to them.
            let seq = envelope.log_seq().filter(|_| !concerns_rules(&envelope));
            self.spine.publish(envelope);
            if let Some(seq) = seq {
                self.progress.finish(seq);
            }
        };
        self.order.publish(publish, |seq| self.progress.finish(seq));
    }

    /// Waits until an entry is on disk and on the spine.
    pub(in crate::pipeline) async fn log(
        &self,
        entry: Entry,
        first: Result<Appended, AppendError>,
    ) -> Result<Seq, LogRefused> {
        let mut attempt = first;
        let appended = loop {
            match attempt {
                Ok(appended) => break appended,
                // Publishers wait for room: that is what slows them.
                Err(AppendError::Full { .. }) => self.store.room().await,
                Err(error) => return Err(refusal(&error)),
            }
            attempt = self.enter(&entry);
        };
        let seq = appended.seq;
        let outcome = appended.durable().await;
        if entry.envelope.is_some() {
            self.publish_logged();
        }
        outcome.map(|()| seq).map_err(|error| refusal(&error))
    }
}

fn refusal(error: &dyn std::error::Error) -> LogRefused {
    let detail = format!("the message cannot be kept: {}", chain(error));
    LogRefused { reason: Reason::QuotaExceeded, detail }
}
