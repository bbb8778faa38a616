//! Handling a dead letter again: its removal is one record with what comes of it, so that it has effect once.

use std::sync::Arc;

use bytes::Bytes;
use pointsman_rules::{Event, EventDefaults, EventId};
use serde_json::Value;

use super::{DeadLetter, DeadLetterError, LETTERS, TABLE, delete};
use crate::pipeline::rules::active::ActiveRule;
use crate::pipeline::turns::act::Commit;
use crate::pipeline::turns::send;
use crate::pipeline::turns::unit::{Events, Job, Unit};
use crate::pipeline::turns::worker::Desk;
use crate::pipeline::{Pipeline, on_own_stack};
use crate::store::{AppendError, Appended, CommitError, ReadCheck};

/// Times that it is tried again because what the rule reads has changed.
const CONFLICTS_MAX: usize = 16;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redriven {
    /// The rule has handled the event, and the letter is gone.
    Done,
    /// The rule failed again, and the letter stays.
    Failed,
}

/// Why a letter cannot be handled again.
#[derive(Debug, thiserror::Error)]
pub enum RedriveError {
    /// What came of it was not taken.
    #[error("what came of it cannot be kept")]
    Append(#[from] AppendError),
    /// What came of it was not written to disk.
    #[error("what came of it cannot be kept")]
    Commit(#[from] CommitError),
    /// The event is none that this version knows.
    #[error("its event cannot be read: {0}")]
    Event(String),
    /// It is not there.
    #[error("there is no dead letter {0:?}: it was handled again or removed already")]
    Gone(String),
    /// The letter cannot be read.
    #[error(transparent)]
    Letter(#[from] DeadLetterError),
    /// The rule is no longer there.
    #[error("there is no active rule {0:?}")]
    NoRule(String),
    /// The rule listens to something else now.
    #[error("rule {0:?} no longer listens to such an event")]
    NoTrigger(String),
    /// What a payload would replace is no message.
    #[error("the event is no message: only the payload of a message can be replaced")]
    NotAMessage,
    /// The rule is suspended.
    #[error("rule {0:?} is suspended: resume it first")]
    Suspended(String),
}

impl Pipeline {
    /// Has the rule handle the event of a letter again, with another payload if one is given.
    pub fn redrive(&self, id: &str, payload: Option<&Bytes>) -> Result<Redriven, RedriveError> {
        // Scripts need the stack.
        on_own_stack(|| self.redrive_here(id, payload))
    }

    fn redrive_here(&self, id: &str, payload: Option<&Bytes>) -> Result<Redriven, RedriveError> {
        let mut desk = Desk::new(self);
        let mut tries = 0;
        loop {
            let found = self.dead_letters.get(id)?;
            let (letter, version) = found.ok_or_else(|| RedriveError::Gone(id.to_owned()))?;
            match self.try_redrive(letter, version, payload, &mut desk) {
                Err(RedriveError::Append(AppendError::Conflict { .. })) if tries < CONFLICTS_MAX => {
                    tries += 1;
                }
                decided => return decided,
            }
        }
    }

    fn try_redrive(
        &self,
        mut letter: DeadLetter,
        version: u64,
        payload: Option<&Bytes>,
        desk: &mut Desk,
    ) -> Result<Redriven, RedriveError> {
        let event = event_of(&letter, payload)?;
        let (rule, trigger) = self.trigger_of(&letter, &event)?;
        let unit = Unit { rule, trigger, events: Events::One(event), hops: letter.hops, counted: None };
        let job = Job { done: letter.done.clone(), ..unit.job(0, &mut desk.texts) };
        let mut commit = Commit::default();
        let failure = match self.perform(&job, &mut commit, desk) {
            Ok(None) => None,
            // What failed is the business of the error action.
            Ok(Some(failure)) if failure.is_told => None,
            Ok(Some(failure)) => {
                letter.done.extend(failure.done);
                Some(failure.error)
            }
            Err(error) => {
                desk.snapshot.forget_run();
                Some(*error)
            }
        };
        let redriven = if let Some(error) = failure {
            self.telemetry.rule_failures_total.add(1);
            letter.note_failure(&error, self.clock.now_ms());
            letter.attempts = letter.attempts.saturating_add(1);
            commit.writes.extend(self.dead_letters.put(&letter).0);
            Redriven::Failed
        } else {
            self.telemetry.rule_runs_total.add(1);
            commit.writes.push(delete(&letter.id));
            Redriven::Done
        };
        desk.snapshot.end_run(&mut commit.writes);
        // Whoever comes second finds the letter changed or gone.
        desk.snapshot.depend_on(ReadCheck {
            table: TABLE.to_owned(),
            hash: LETTERS.to_owned(),
            sort: letter.id.clone(),
            version: Some(version),
        });
        let mut part = self.append(&mut commit, &[], unit.hops, desk)?;
        part.appended.take().map_or(Ok(()), Appended::wait)?;
        if redriven == Redriven::Done {
            self.dead_letters.forget(&letter.id);
        }
        send::release(self, part);
        Ok(redriven)
    }

    /// The trigger that failed, or the one that the rule has in its place now.
    fn trigger_of(
        &self,
        letter: &DeadLetter,
        event: &Event,
    ) -> Result<(Arc<ActiveRule>, usize), RedriveError> {
        let active = self.active.load();
        let rule = active.rules.iter().find(|rule| rule.rule.name.as_str() == letter.rule);
        let rule = rule.ok_or_else(|| RedriveError::NoRule(letter.rule.clone()))?;
        if rule.is_suspended() {
            return Err(RedriveError::Suspended(letter.rule.clone()));
        }
        let fitting: Vec<usize> = rule.rule.triggers_of(event).collect();
        let of = |trigger: &&usize| &rule.rule.triggers[**trigger];
        let same = fitting.iter().find(|trigger| of(trigger).on.to_string() == letter.on);
        let named = same.or_else(|| fitting.iter().find(|trigger| of(trigger).handler == letter.handler));
        let trigger =
            named.or(fitting.first()).ok_or_else(|| RedriveError::NoTrigger(letter.rule.clone()))?;
        Ok((Arc::clone(rule), *trigger))
    }
}

fn event_of(letter: &DeadLetter, payload: Option<&Bytes>) -> Result<Event, RedriveError> {
    let mut value = letter.event.clone();
    if let Some(payload) = payload {
        let Value::Object(members) = &mut value else { return Err(RedriveError::NotAMessage) };
        if members.get("kind").and_then(Value::as_str) != Some("message") {
            return Err(RedriveError::NotAMessage);
        }
        members.remove("payload");
        let text = data_encoding::BASE64.encode(payload);
        members.insert("payload_base64".to_owned(), text.into());
    }
    // The event says all of itself.
    let nothing = EventDefaults { time_ms: 0, id: EventId::from_u128(0) };
    Event::from_json(&value, nothing).map_err(|error| RedriveError::Event(error.to_string()))
}
