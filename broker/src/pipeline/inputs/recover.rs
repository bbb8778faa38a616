//! After a start or a change: what the log holds that rules have not handled yet.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pointsman_rules::Start;
use tracing::{info, warn};

use super::order::Units;
use super::route::is_durable;
use super::wanted::Wanted;
use crate::mqtt::envelope_of;
use crate::pipeline::rules::active::{ActiveRule, ActiveRules};
use crate::pipeline::turns::progress::{Input, TriggerKey};
use crate::pipeline::{Pipeline, monotonic};
use crate::store::{Done, ReadError, Record, Seq, Write};

/// The table of triggers: hash is the rule, sort the trigger, value the first record that concerns it.
const TRIGGERS: &str = "_triggers";

/// A start that takes long says so this often.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// What a trigger has yet to do.
struct Backlog {
    /// What lies before is settled, or came before the trigger was there.
    from: Seq,
    /// What it has handled behind that: the first message of a run, and how many follow each other.
    done: BTreeMap<Input, u32>,
}

/// What a new trigger has to catch up with.
#[derive(Debug, Clone, Copy)]
pub(in crate::pipeline) struct CatchUp {
    trigger: usize,
    from: Seq,
    through: Seq,
}

impl Backlog {
    fn owes(&self, (seq, index): Input) -> bool {
        let before = self.done.range(..=(seq, index)).next_back();
        let is_done = before.is_some_and(|(&(at, first), &count)| at == seq && index - first < count);
        seq >= self.from && !is_done
    }
}

impl Pipeline {
    /// Sees to it that every trigger that is promised messages has a place in the log from which it counts. A new one
    /// starts where it says; if that is in the past, what it has to catch up with is given back.
    pub(in crate::pipeline) fn enlist(&self, active: &ActiveRule) -> Result<Vec<CatchUp>, ReadError> {
        let mut behind = Vec::new();
        for trigger in (0..active.rule.triggers.len()).filter(|trigger| active.is_promised(*trigger)) {
            let key = active.key(trigger);
            let sort = key.trigger.to_string();
            if self.store.get(TRIGGERS, &key.rule, &sort)?.is_some() {
                continue;
            }
            let end = self.store.end();
            let from = match active.rule.triggers[trigger].handling.start {
                Start::Now => end + 1,
                Start::Oldest => self.store.first(),
                Start::At(time_ms) => self.first_at(time_ms)?,
            };
            let write = Write::put(TRIGGERS, key.rule, sort, from.to_string(), None);
            let record = Record { writes: vec![write], ..Record::default() };
            let kept = self.store.append(record).map_err(|error| error.to_string());
            // Behind this everything up to `end` is on disk, and can be read.
            if let Err(error) = kept.and_then(|appended| appended.wait().map_err(|error| error.to_string())) {
                warn!(rule = %active.rule.name, error, "a new trigger could not be noted on disk");
            }
            // At a start of the server all is read from the log anyway.
            if from <= end && self.hub.get().is_some() {
                active.begin_behind(trigger, end);
                behind.push(CatchUp { trigger, from, through: end });
            }
        }
        Ok(behind)
    }

    /// The first record with a message of that time or later; the one behind the last if there is none.
    fn first_at(&self, time_ms: i64) -> Result<Seq, ReadError> {
        let time_ms = u64::try_from(time_ms).unwrap_or(0);
        for entry in self.store.replay(self.store.first())? {
            let (seq, record) = entry?;
            if envelope_of(record, seq).is_some_and(|envelope| envelope.id(0).time_ms() >= time_ms) {
                return Ok(seq);
            }
        }
        Ok(self.store.end() + 1)
    }

    /// Queues what a new trigger has to catch up with.
    pub(in crate::pipeline) fn catch_up(
        &self,
        rule: &Arc<ActiveRule>,
        behind: &CatchUp,
    ) -> Result<(), ReadError> {
        let CatchUp { trigger, from, through } = *behind;
        // While this is open, nothing behind it counts as handled.
        self.progress.add(from, 1);
        let queued = self.queue_past(rule, trigger, from, through);
        self.progress.finish(from);
        info!(rule = %rule.rule.name, events = queued.as_ref().unwrap_or(&0), "a new trigger catches up");
        queued.map(|_| ())
    }

    fn queue_past(
        &self,
        rule: &Arc<ActiveRule>,
        trigger: usize,
        from: Seq,
        through: Seq,
    ) -> Result<u64, ReadError> {
        let only = ActiveRules::new(vec![Arc::clone(rule)]);
        let mut queued = 0;
        for entry in self.store.replay(from)? {
            let (seq, record) = entry?;
            if seq > through {
                break;
            }
            let Some(envelope) = envelope_of(record, seq) else { continue };
            let mut units = Units::new(&envelope);
            let mut wanted = Wanted::default();
            for index in (0..envelope.len()).filter(|index| is_durable(&envelope, *index)) {
                if wanted.of(&only, &envelope, index).iter().any(|(_, found)| *found == trigger) {
                    self.offer(&mut units, rule, trigger, &envelope, index, true);
                    queued += 1;
                }
            }
            self.submit_all(units, Some(seq));
        }
        Ok(queued)
    }

    /// Queues every message of the log that a rule was promised and has not handled.
    pub(in crate::pipeline) fn recover(&self) -> Result<(), ReadError> {
        let active = self.active.load_full();
        let mut backlogs: BTreeMap<TriggerKey, Backlog> = BTreeMap::new();
        for rule in &active.rules {
            for trigger in rule.message_triggers() {
                let key = rule.key(trigger);
                let from = self.owed_from(&key)?;
                backlogs.insert(key, Backlog { from, done: BTreeMap::new() });
            }
        }
        let Some(from) = backlogs.values().map(|backlog| backlog.from).min() else { return Ok(()) };
        let from = from.max(self.store.stats().first);
        // What was handled is said behind it, so the log is read twice.
        for entry in self.store.replay(from)? {
            note_done(entry?.1, &mut backlogs);
        }
        let (mut queued, mut told) = (0_u64, monotonic());
        for entry in self.store.replay(from)? {
            let (seq, record) = entry?;
            let Some(envelope) = envelope_of(record, seq) else { continue };
            if monotonic().saturating_sub(told) > TELL_EVERY {
                told = monotonic();
                let (record, end) = (seq, self.store.end());
                info!(
                    events = queued,
                    record, end, "taking up what the last run left undone; clients are let in after that"
                );
            }
            let mut units = Units::new(&envelope);
            let mut wanted = Wanted::default();
            for index in (0..envelope.len()).filter(|index| is_durable(&envelope, *index)) {
                let input = (seq, u32::try_from(index).unwrap_or(u32::MAX));
                for &(rule, trigger) in wanted.of(&active, &envelope, index) {
                    let rule = &active.rules[rule];
                    if backlogs.get(&rule.key(trigger)).is_some_and(|backlog| backlog.owes(input)) {
                        self.offer(&mut units, rule, trigger, &envelope, index, true);
                        queued += 1;
                    }
                }
            }
            self.submit_all(units, Some(seq));
        }
        if queued > 0 {
            info!(events = queued, "taking up what the last run left undone");
        }
        Ok(())
    }

    /// The first record that may hold something a trigger has not handled.
    fn owed_from(&self, key: &TriggerKey) -> Result<Seq, ReadError> {
        Ok(self.store.settled_before(&key.rule, key.trigger)?.max(self.first_owed(key)?))
    }

    /// The first record that concerns a trigger.
    pub(in crate::pipeline) fn first_owed(&self, key: &TriggerKey) -> Result<Seq, ReadError> {
        let row = self.store.get(TRIGGERS, &key.rule, &key.trigger.to_string())?;
        Ok(row.and_then(|row| std::str::from_utf8(&row.value).ok()?.parse().ok()).unwrap_or(1))
    }
}

fn note_done(record: Record, backlogs: &mut BTreeMap<TriggerKey, Backlog>) {
    for Done { rule, trigger, seq, index, count } in record.done {
        if let Some(backlog) = backlogs.get_mut(&TriggerKey { rule, trigger })
            && seq >= backlog.from
        {
            backlog.done.insert((seq, index), count);
        }
    }
}
