//! From what a run asks for to what is kept and what is published.

use bytes::Bytes;
use pointsman_rules::{Effect, EventId, LogLevel, RunError};
use serde_json::json;
use tracing::{debug, error, info, warn};

use super::Pipeline;
use super::outbox::{Afterwards, Asker, NOTIFY_PREFIX, Notification};
use super::route::HOPS_MAX;
use super::snapshot::SYSTEM_PREFIX;
use super::worker::Job;
use crate::mqtt::{EnvelopeBuilder, Marks, QoS, encode_along};
use crate::store::{Done, Record, Write};

/// The table of events that a rule failed on: hash is the rule, sort the event's id.
const DEAD_LETTERS: &str = "_dead_letters";
const DEAD_LETTER_KEPT_MS: u64 = 7 * 24 * 3_600_000;

/// What came of one run: a commit, and messages to send after it.
#[derive(Debug, Default)]
pub(crate) struct Commit {
    pub(crate) writes: Vec<Write>,
    pub(crate) done: Vec<Done>,
    pub(crate) publishes: EnvelopeBuilder,
    /// What is done once it is on disk.
    pub(crate) afterwards: Afterwards,
}

impl Commit {
    /// Whether something of it must be on disk.
    pub(crate) fn is_durable(&self) -> bool {
        !self.writes.is_empty() || !self.done.is_empty() || self.publishes_must_be_kept()
    }

    /// Whether somebody who must not miss it wants something of what is published.
    pub(crate) fn publishes_must_be_kept(&self) -> bool {
        self.publishes.interest().durable || self.publishes.has_retained()
    }

    pub(crate) fn into_record(self, messages: Bytes, reads: Vec<crate::store::ReadCheck>) -> Record {
        // What was read only matters to what is written.
        let reads = if self.writes.is_empty() { Vec::new() } else { reads };
        Record { messages, reads, writes: self.writes, done: self.done, sessions: Bytes::new() }
    }
}

impl Pipeline {
    /// Sorts effects. An effect on a table of the server's own fails the run.
    pub(super) fn commit_of(&self, job: &Job, effects: Vec<Effect>) -> Result<Commit, String> {
        let mut commit = Commit { done: done_of(job), ..Commit::default() };
        let rule = job.rule.rule.name.as_str();
        let mut asker = Asker::new(rule, job.rule.key(job.trigger).trigger, job.event.id());
        for effect in effects {
            match effect {
                Effect::Put { table, .. } | Effect::Delete { table, .. }
                    if table.starts_with(SYSTEM_PREFIX) =>
                {
                    return Err(format!("table {table:?} is the server's own: begin with a letter"));
                }
                Effect::Put { table, hash, sort, value, expires_at_ms } => {
                    let expires_at_ms = expires_at_ms.map(|at| u64::try_from(at).unwrap_or(0));
                    commit.writes.push(Write::Put { table, hash, sort, value, expires_at_ms });
                }
                Effect::Delete { table, hash, sort } => {
                    commit.writes.push(Write::Delete { table, hash, sort });
                }
                Effect::Publish { topic, payload, qos, retain, properties } => {
                    if job.hops >= HOPS_MAX {
                        warn!(rule = %job.rule.rule.name, topic, "dropped: it went through {HOPS_MAX} rules already");
                        continue;
                    }
                    let qos = QoS::from_bits(qos).unwrap_or(QoS::AtLeastOnce);
                    let interest = self.interest_of(&topic);
                    let along = properties.map_or(Ok(Vec::new()), |properties| encode_along(&properties));
                    let along = along.map_err(|error| format!("publish to {topic}: {error}"))?;
                    commit.publishes.push(&topic, &payload, &along, Marks { qos, retain, interest });
                }
                Effect::Webhook(webhook) => {
                    self.outbox.add_webhook(
                        &mut asker,
                        *webhook,
                        &mut commit.writes,
                        &mut commit.afterwards,
                    )?;
                }
                Effect::Notify { topic, subject, message } => {
                    let (id, time_ms) = (asker.next_id(), u64::try_from(job.event.time_ms()).unwrap_or(0));
                    let (subject, message) = (subject.as_deref(), message.as_str());
                    let notification = Notification { id: &id, topic: &topic, subject, message, time_ms };
                    self.add_notification(job, &asker, &notification, &mut commit)?;
                }
                Effect::Disconnect { client_id, reason } => commit.afterwards.disconnects(client_id, reason),
                Effect::Log { level, text } => log(job.rule.rule.name.as_str(), level, &text),
                // The rules crate may learn effects before the broker does.
                other => return Err(format!("this server cannot do {other:?}")),
            }
        }
        Ok(commit)
    }

    /// Tells the subscribers of a notification: MQTT clients by a message, web servers by requests.
    fn add_notification(
        &self,
        job: &Job,
        asker: &Asker<'_>,
        notification: &Notification<'_>,
        commit: &mut Commit,
    ) -> Result<(), String> {
        if job.hops >= HOPS_MAX {
            let (rule, topic) = (&job.rule.rule.name, notification.topic);
            warn!(%rule, topic, "dropped a notification: it went through {HOPS_MAX} rules already");
            return Ok(());
        }
        let topic = format!("{NOTIFY_PREFIX}{}", notification.topic);
        let interest = self.interest_of(&topic);
        let marks = Marks { qos: QoS::AtLeastOnce, retain: false, interest };
        commit.publishes.push(&topic, &notification.document(), &[], marks);
        self.outbox.add_notification(asker, notification, &mut commit.writes, &mut commit.afterwards)
    }

    fn interest_of(&self, topic: &str) -> crate::mqtt::Interest {
        let rules = self.active.load().set.has_message_match(topic);
        let hub = self.hub.get().and_then(std::sync::Weak::upgrade);
        let durable = rules || hub.is_some_and(|hub| hub.wants_durably(topic));
        crate::mqtt::Interest { durable, rules }
    }

    /// What a failed run leaves: nothing of its own, and the event among the dead letters.
    pub(super) fn commit_of_failure(&self, job: &Job, error: &RunError) -> Commit {
        self.telemetry.rule_failures_total.add(1);
        error!(rule = %error.rule, version = %error.version, handler = %error.handler, "a rule failed\n{error}");
        let id = job.event.id();
        let letter = json!({
            "rule": error.rule, "version": error.version, "handler": error.handler,
            "file": error.file, "line": error.line, "column": error.column, "message": error.message,
            "event": event_of(job, id),
        });
        let write = Write::Put {
            table: DEAD_LETTERS.to_owned(),
            hash: error.rule.clone(),
            sort: id.to_string(),
            value: Bytes::from(letter.to_string()),
            expires_at_ms: Some(self.clock.now_ms() + DEAD_LETTER_KEPT_MS),
        };
        Commit { writes: vec![write], done: done_of(job), ..Commit::default() }
    }
}

fn done_of(job: &Job) -> Vec<Done> {
    let Some((seq, index)) = job.input else { return Vec::new() };
    let key = job.rule.key(job.trigger);
    vec![Done { rule: key.rule, trigger: key.trigger, seq, index }]
}

fn event_of(job: &Job, id: EventId) -> serde_json::Value {
    match job.event.as_message() {
        Some(message) => json!({
            "id": id.to_string(), "topic": &*message.topic, "clientId": &*message.client_id, "qos": message.qos,
            "payload": String::from_utf8_lossy(&message.payload),
        }),
        None => json!({ "id": id.to_string() }),
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
