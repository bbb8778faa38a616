//! After a start or a change: what the log holds that rules have not handled yet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use tracing::{info, warn};

use super::Pipeline;
use super::active::ActiveRule;
use super::progress::{Input, TriggerKey};
use super::route::{is_durable, message_event};
use super::worker::Job;
use crate::mqtt::{Envelope, envelope_of};
use crate::store::{ReadError, Record, Seq, Write};

/// The table of triggers: hash is the rule, sort the trigger, value the first record that concerns it.
const TRIGGERS: &str = "_triggers";

/// What a trigger has yet to do.
struct Backlog {
    from: Seq,
    done: BTreeSet<Input>,
}

impl Pipeline {
    /// Sees to it that every message trigger has a place in the log from which it counts. A new one starts at the end.
    pub(super) fn enlist(&self, active: &ActiveRule) -> Result<(), ReadError> {
        for trigger in active.message_triggers() {
            let key = active.key(trigger);
            let sort = key.trigger.to_string();
            if self.store.get(TRIGGERS, &key.rule, &sort)?.is_some() {
                continue;
            }
            let first = self.store.end() + 1;
            let write = Write::Put {
                table: TRIGGERS.to_owned(),
                hash: key.rule,
                sort,
                value: Bytes::from(first.to_string()),
                expires_at_ms: None,
            };
            let record = Record { writes: vec![write], ..Record::default() };
            let kept = self.store.append(record).map_err(|error| error.to_string());
            if let Err(error) = kept.and_then(|appended| appended.wait().map_err(|error| error.to_string())) {
                warn!(rule = %active.rule.name, error, "a new trigger could not be noted on disk");
            }
        }
        Ok(())
    }

    /// Queues every message of the log that a rule was promised and has not handled.
    pub(super) fn recover(&self) -> Result<(), ReadError> {
        let active = self.active.load_full();
        let mut backlogs: BTreeMap<TriggerKey, Backlog> = BTreeMap::new();
        for rule in &active.rules {
            for trigger in rule.message_triggers() {
                let key = rule.key(trigger);
                let backlog = self.backlog(&key)?;
                backlogs.insert(key, backlog);
            }
        }
        let Some(from) = backlogs.values().map(|backlog| backlog.from).min() else { return Ok(()) };
        let mut queued = 0_u64;
        for entry in self.store.replay(from.max(self.store.stats().first))? {
            let (seq, record) = entry?;
            let Some(envelope) = envelope_of(record, seq) else { continue };
            for index in 0..envelope.len() {
                if !is_durable(&envelope, index) {
                    continue;
                }
                let input = (seq, u32::try_from(index).unwrap_or(u32::MAX));
                active.set.for_each_message_match(envelope.message(index).topic(), |rule, trigger| {
                    let rule = &active.rules[rule];
                    let owed = backlogs.get(&rule.key(trigger));
                    if owed.is_some_and(|backlog| seq >= backlog.from && !backlog.done.contains(&input)) {
                        self.queue_again(rule, trigger, &envelope, input);
                        queued += 1;
                    }
                });
            }
        }
        if queued > 0 {
            info!(events = queued, "taking up what the last run left undone");
        }
        Ok(())
    }

    fn backlog(&self, key: &TriggerKey) -> Result<Backlog, ReadError> {
        let row = self.store.get(TRIGGERS, &key.rule, &key.trigger.to_string())?;
        let first = row.and_then(|row| std::str::from_utf8(&row.value).ok()?.parse().ok()).unwrap_or(1);
        let progress = self.store.progress(&key.rule, key.trigger)?;
        Ok(Backlog { from: progress.settled_before.max(first), done: progress.done.into_iter().collect() })
    }

    /// Takes a rule up again: what was put aside for it is queued before anything new is.
    pub(super) fn resume(&self, rule: &Arc<ActiveRule>) {
        let parked = self.progress.unpark(rule.rule.name.as_str());
        let wanted: BTreeMap<Input, Vec<TriggerKey>> =
            parked.into_iter().fold(BTreeMap::new(), |mut wanted, (key, inputs)| {
                for input in inputs {
                    wanted.entry(input).or_insert_with(Vec::new).push(key.clone());
                }
                wanted
            });
        let Some((&(from, _), _)) = wanted.first_key_value() else { return };
        info!(rule = %rule.rule.name, events = wanted.len(), "taking up what was put aside");
        let records = match self.store.replay(from) {
            Ok(records) => records,
            Err(error) => {
                warn!(rule = %rule.rule.name, %error, "what was put aside cannot be read");
                return;
            }
        };
        for (seq, record) in records.map_while(Result::ok) {
            let Some(envelope) = envelope_of(record, seq) else { continue };
            for (&input, keys) in wanted.range((seq, 0)..=(seq, u32::MAX)) {
                for trigger in rule.message_triggers().filter(|trigger| keys.contains(&rule.key(*trigger))) {
                    self.queue_again(rule, trigger, &envelope, input);
                }
            }
        }
    }

    fn queue_again(&self, rule: &Arc<ActiveRule>, trigger: usize, envelope: &Envelope, input: Input) {
        self.progress.add(input.0, 1);
        let event = message_event(envelope, input.1 as usize);
        self.submit(Job {
            rule: Arc::clone(rule),
            trigger,
            event,
            input: Some(input),
            hops: envelope.hops(),
        });
    }
}
