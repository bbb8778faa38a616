//! From what a run asks for to what is kept and what is published.

use std::collections::HashMap;
use std::sync::Weak;
use std::sync::atomic::Ordering;

use pointsman_rules::leaderboard::{BoardChange, BoardRow};
use pointsman_rules::sql::{Decided, Refused};
use pointsman_rules::{Effect, LogLevel, PartFailure, RunError};
use rustc_hash::FxBuildHasher;
use tracing::{debug, error, info, warn};

use super::room::Room;
use super::snapshot::SYSTEM_PREFIX;
use super::unit::Job;
use super::worker::{Desk, refusal};
use crate::mqtt::{
    BuilderMark, EnvelopeBuilder, Interest, Marks, QoS, RETAINED_TOPIC_BYTES_MAX, encode_along, is_for_rule,
};
use crate::pipeline::Pipeline;
use crate::pipeline::inputs::route::HOPS_MAX;
use crate::pipeline::inputs::wanted::BUS_PREFIX;
use crate::pipeline::outbox::{Afterwards, Asker, NOTIFY_PREFIX, Notification};
use crate::pipeline::tools::dead_letters::Failed;
use crate::store::Write;

/// Topics of which a worker remembers who wants what is published to them.
const INTERESTS_MAX: usize = 4096;

/// What came of the runs of a turn: what is kept, and what is sent after that.
#[derive(Debug, Default)]
pub(crate) struct Commit {
    /// What the run that is going on writes.
    pub(crate) writes: Vec<Write>,
    /// What all of them publish.
    pub(crate) publishes: EnvelopeBuilder,
    /// What is done once it is on disk.
    pub(crate) afterwards: Afterwards,
    /// What their writes change of leaderboards.
    pub(crate) boards: Vec<BoardChange>,
}

/// An effect that is not taken.
struct Refusal {
    /// Which one.
    place: usize,
    message: String,
}

/// What a commit was before a run.
struct Before {
    writes: usize,
    publishes: BuilderMark,
    afterwards: Afterwards,
    boards: usize,
}

impl Commit {
    /// Takes out what is to come after the commit so far, to be brought together again.
    fn before_run(&mut self) -> Before {
        let afterwards = std::mem::take(&mut self.afterwards);
        let boards = self.boards.len();
        Before { writes: self.writes.len(), publishes: self.publishes.mark(), afterwards, boards }
    }

    /// Takes back what was added since.
    fn take_back(&mut self, before: Before) {
        self.writes.truncate(before.writes);
        self.boards.truncate(before.boards);
        self.publishes.take_back(&before.publishes);
        self.afterwards = before.afterwards;
    }

    /// Keeps what was added since.
    fn keep_run(&mut self, before: Before) {
        let added = std::mem::replace(&mut self.afterwards, before.afterwards);
        self.afterwards.append(added);
    }

    /// Whether somebody who must not miss it wants something of what is published.
    pub(crate) fn publishes_must_be_kept(&self) -> bool {
        self.publishes.interest().durable || self.publishes.has_retained()
    }
}

/// Who wants what is published to a topic, as long as no rule and no subscription changes.
#[derive(Debug, Default)]
pub(crate) struct Interests {
    generation: u64,
    by_topic: HashMap<Box<str>, Interest, FxBuildHasher>,
}

impl Interests {
    fn get(&mut self, generation: u64, topic: &str, find: impl FnOnce() -> Interest) -> Interest {
        if self.generation != generation || self.by_topic.len() >= INTERESTS_MAX {
            self.generation = generation;
            self.by_topic.clear();
        }
        if let Some(&interest) = self.by_topic.get(topic) {
            return interest;
        }
        let interest = find();
        self.by_topic.insert(topic.into(), interest);
        interest
    }
}

impl Pipeline {
    /// Sorts a run's effects into the commit, all or none.
    fn commit_effects(
        &self,
        job: &Job<'_>,
        effects: Vec<Effect>,
        commit: &mut Commit,
        desk: &mut Desk,
    ) -> Result<(), Refusal> {
        let before = commit.before_run();
        let sorted = self.sort_effects(job, effects, commit, desk);
        match sorted {
            Ok(()) => commit.keep_run(before),
            Err(_) => commit.take_back(before),
        }
        sorted
    }

    fn sort_effects(
        &self,
        job: &Job<'_>,
        effects: Vec<Effect>,
        commit: &mut Commit,
        desk: &mut Desk,
    ) -> Result<(), Refusal> {
        let rule = job.rule.rule.name.as_str();
        let mut asker = Asker::new(rule, job.rule.trigger_id(job.trigger), job.event.id(), job.done.len());
        let (since, mut room) = (commit.writes.len(), Room::new(commit));
        for (place, effect) in effects.into_iter().enumerate() {
            let sorted = self.sort_effect(job, effect, since, &mut asker, commit, desk);
            let sorted = sorted.and_then(|()| room.take(commit, self.store.options()));
            sorted.map_err(|message| Refusal { place, message })?;
        }
        Ok(())
    }

    /// Sorts an effect into the commit. One on a table of the server's own is refused. `since` is where the writes of the
    /// run begin.
    fn sort_effect(
        &self,
        job: &Job<'_>,
        effect: Effect,
        since: usize,
        asker: &mut Asker<'_>,
        commit: &mut Commit,
        desk: &mut Desk,
    ) -> Result<(), String> {
        let rule = job.rule.rule.name.as_str();
        let interests = &mut desk.interests;
        match effect {
            Effect::Put { table, .. } | Effect::Delete { table, .. } if table.starts_with(SYSTEM_PREFIX) => {
                return Err(format!("table {table:?} is the server's own: begin with a letter"));
            }
            Effect::Put { table, hash, sort, value, expires_at_ms } => {
                let expires_at_ms = expires_at_ms.map(|at| u64::try_from(at).unwrap_or(0));
                let write = Write::Put { table, hash, sort, value, expires_at_ms };
                self.note_change(job, &write, since, &desk.snapshot, commit)?;
                commit.writes.push(write);
            }
            Effect::Delete { table, hash, sort } => {
                let write = Write::Delete { table, hash, sort };
                self.note_change(job, &write, since, &desk.snapshot, commit)?;
                commit.writes.push(write);
            }
            Effect::Publish { topic, payload, qos, retain, properties } => {
                if job.hops >= HOPS_MAX {
                    warn!(rule = %job.rule.rule.name, topic, "dropped: it went through {HOPS_MAX} rules already");
                    return Ok(());
                }
                let qos = QoS::from_bits(qos).unwrap_or(QoS::AtLeastOnce);
                let interest = self.interest_of(&topic, interests);
                let retain = retain && !is_for_rule(&topic);
                if retain && topic.len() > RETAINED_TOPIC_BYTES_MAX {
                    let (bytes, most) = (topic.len(), RETAINED_TOPIC_BYTES_MAX);
                    return Err(format!("a retained topic has {bytes} bytes: at most {most} are allowed"));
                }
                let along = properties.map_or(Ok(Vec::new()), |properties| encode_along(&properties));
                let along = along.map_err(|error| format!("publish to {topic}: {error}"))?;
                commit.publishes.push(&topic, &payload, &along, Marks { qos, retain, interest });
            }
            Effect::PutEvent { bus, event } => {
                if job.hops >= HOPS_MAX {
                    warn!(rule, bus, "dropped an event: it went through {HOPS_MAX} rules already");
                    return Ok(());
                }
                let topic = format!("{BUS_PREFIX}{bus}");
                let interest = self.interest_of(&topic, interests);
                let marks = Marks { qos: QoS::AtLeastOnce, retain: false, interest };
                commit.publishes.push(&topic, &event, &[], marks);
            }
            Effect::Board(change) => {
                self.leaderboards.boards.check(&change).map_err(|error| error.to_string())?;
                commit.writes.push(write_of(change.row()));
                commit.boards.push(change);
            }
            Effect::Webhook(webhook) => {
                self.outbox.add_webhook(asker, *webhook, &mut commit.writes, &mut commit.afterwards)?;
            }
            Effect::Notify { topic, subject, message } => {
                let (id, time_ms) = (asker.next_id(), u64::try_from(job.event.time_ms()).unwrap_or(0));
                let (subject, message) = (subject.as_deref(), message.as_str());
                let notification = Notification { id: &id, topic: &topic, subject, message, time_ms };
                self.add_notification(job, asker, &notification, commit, interests)?;
            }
            Effect::Disconnect { client_id, reason } => commit.afterwards.disconnects(client_id, reason),
            Effect::Log { level, text } => log(job.rule.rule.name.as_str(), level, &text),
            // The rules crate may learn effects before the broker does.
            other => return Err(format!("this server cannot do {other:?}")),
        }
        Ok(())
    }

    /// Tells the subscribers of a notification: MQTT clients by a message, web servers by requests.
    fn add_notification(
        &self,
        job: &Job<'_>,
        asker: &Asker<'_>,
        notification: &Notification<'_>,
        commit: &mut Commit,
        interests: &mut Interests,
    ) -> Result<(), String> {
        if job.hops >= HOPS_MAX {
            let (rule, topic) = (&job.rule.rule.name, notification.topic);
            warn!(%rule, topic, "dropped a notification: it went through {HOPS_MAX} rules already");
            return Ok(());
        }
        let topic = format!("{NOTIFY_PREFIX}{}", notification.topic);
        let interest = self.interest_of(&topic, interests);
        let marks = Marks { qos: QoS::AtLeastOnce, retain: false, interest };
        commit.publishes.push(&topic, &notification.document(), &[], marks);
        self.outbox.add_notification(asker, notification, &mut commit.writes, &mut commit.afterwards)
    }

    fn interest_of(&self, topic: &str, interests: &mut Interests) -> Interest {
        let hub = self.hub.get().and_then(Weak::upgrade);
        // Read before anything is found: what changes meanwhile is found anew the next time.
        let generation = match &hub {
            Some(hub) => hub.interest_generation(),
            None => self.generation.load(Ordering::Acquire),
        };
        interests.get(generation, topic, || {
            let Interest { durable, rules } = self.active.load().interest(topic);
            let durable = durable || hub.is_some_and(|hub| hub.wants_durably(topic));
            Interest { durable, rules: rules || self.shadow_wants(topic) }
        })
    }

    /// Runs a job's event, and sorts what it asks for into the commit. What failed of it beside that, if anything did, is
    /// for the caller.
    pub(in crate::pipeline) fn perform(
        &self,
        job: &Job<'_>,
        commit: &mut Commit,
        desk: &mut Desk,
    ) -> Result<Option<Box<PartFailure>>, Box<RunError>> {
        let rule = &job.rule.rule;
        let mut refused = Vec::new();
        loop {
            let decided = Decided { done: &job.done, refused: &refused };
            let outcome = self.engine.run_rest(rule, job.trigger, &job.event, &desk.tables, decided)?;
            match self.commit_effects(job, outcome.effects, commit, desk) {
                Ok(()) => return Ok(outcome.failure),
                // An action of a statement is for itself: the others are asked again, and the error action.
                Err(Refusal { place, message }) => match outcome.asked.nth(place) {
                    Some(action) => refused.push(Refused { action, message }),
                    None => return Err(Box::new(refusal(job, message))),
                },
            }
        }
    }

    /// Tells of a failure.
    pub(super) fn note_failure(&self, error: &RunError) {
        self.telemetry.rule_failures_total.add(1);
        error!(rule = %error.rule, version = %error.version, handler = %error.handler, "a rule failed\n{error}");
    }

    /// Puts an event among the dead letters.
    pub(in crate::pipeline) fn add_dead_letter(
        &self,
        job: &Job<'_>,
        failed: Failed<'_>,
        commit: &mut Commit,
    ) {
        let (writes, dropped) = self.dead_letters.keep(job, failed);
        self.telemetry.dead_letters_dropped_total.add(dropped as u64);
        commit.writes.extend(writes);
    }
}

fn write_of(row: BoardRow) -> Write {
    let BoardRow { table, hash, sort, value, expires_at_ms } = row;
    match value {
        Some(value) => {
            let expires_at_ms = expires_at_ms.map(|at| u64::try_from(at).unwrap_or(0));
            Write::put(table, hash, sort, value, expires_at_ms)
        }
        None => Write::delete(table, hash, sort),
    }
}

fn log(rule: &str, level: LogLevel, text: &str) {
    match level {
        LogLevel::Debug => debug!(rule, "{text}"),
        LogLevel::Info => info!(rule, "{text}"),
        LogLevel::Warn => warn!(rule, "{text}"),
        LogLevel::Error => error!(rule, "{text}"),
    }
}
