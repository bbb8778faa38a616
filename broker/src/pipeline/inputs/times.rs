//! Rules that are called when a time has come.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use pointsman_rules::{Event, EventId, Missed, On, Tick};
use tracing::{info, warn};

use super::order;
use crate::pipeline::rules::active::ActiveRule;
use crate::pipeline::turns::progress::TriggerKey;
use crate::pipeline::turns::unit::{Events, Unit};
use crate::pipeline::{Pipeline, spawn};
use crate::store::{ReadError, Record, Write};

/// The table of times: hash is the rule, sort the trigger, value the last time that was handled, in milliseconds.
const TIMES: &str = "_times";
/// A run that comes later than this after its time was missed.
const LATE_MS: i64 = 2_000;
/// Missed runs that are made up for.
const MISSED_MAX: usize = 1_000;
/// The longest sleep between two looks at the active rules, and the shortest.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const SLEEP_MIN: Duration = Duration::from_millis(1);

/// Starts the thread that watches the clock.
pub(in crate::pipeline) fn start(pipeline: &Arc<Pipeline>) {
    let pipeline = Arc::downgrade(pipeline);
    spawn("times", move || watch(&pipeline));
}

fn watch(pipeline: &Weak<Pipeline>) {
    // The last time of each trigger that was queued.
    let mut last: HashMap<TriggerKey, i64> = HashMap::new();
    while let Some(held) = pipeline.upgrade() {
        let now_ms = held.now_ms();
        let next_ms = held.queue_due(&mut last, now_ms);
        drop(held);
        let wait = next_ms.map_or(LOOK_EVERY, |next| {
            Duration::from_millis(u64::try_from(next.saturating_sub(now_ms)).unwrap_or(0))
        });
        thread::sleep(wait.clamp(SLEEP_MIN, LOOK_EVERY));
    }
}

/// The note that a time was handled, as part of the commit of its run.
pub(in crate::pipeline) fn handled(key: &TriggerKey, scheduled_ms: i64) -> Write {
    Write::put(TIMES, &key.rule, key.trigger.to_string(), scheduled_ms.to_string(), None)
}

impl Pipeline {
    pub(in crate::pipeline) fn now_ms(&self) -> i64 {
        i64::try_from(self.clock.now_ms()).unwrap_or(i64::MAX)
    }

    /// Queues runs whose time has come, and says when the next comes.
    fn queue_due(&self, last: &mut HashMap<TriggerKey, i64>, now_ms: i64) -> Option<i64> {
        let active = self.active.load_full();
        last.retain(|key, _| active.rules.iter().any(|rule| *rule.rule.name.as_str() == key.rule));
        let mut next_ms = None;
        for &(rule, trigger) in active.set.time_triggers() {
            let rule = &active.rules[rule];
            let On::Time(schedule) = &rule.rule.triggers[trigger].on else { continue };
            let key = rule.key(trigger);
            let from_ms = match last.get(&key) {
                Some(last) => *last,
                None => match self.last_handled(&key, now_ms) {
                    Ok(from_ms) => from_ms,
                    Err(error) => {
                        warn!(rule = %rule.rule.name, %error, "when a rule was last called cannot be read");
                        continue;
                    }
                },
            };
            let due = schedule.due(from_ms, now_ms, MISSED_MAX);
            last.insert(key, due.last().copied().unwrap_or(from_ms));
            for scheduled_ms in chosen(schedule.missed, &due, now_ms) {
                self.queue_tick(rule, trigger, scheduled_ms);
            }
            let its_next = schedule.next_after(now_ms);
            next_ms = match (next_ms, its_next) {
                (Some(one), Some(other)) => Some(i64::min(one, other)),
                (one, other) => one.or(other),
            };
        }
        next_ms
    }

    /// The last time that was handled; for a new trigger that is now, and noted.
    fn last_handled(&self, key: &TriggerKey, now_ms: i64) -> Result<i64, ReadError> {
        if let Some(row) = self.store.get(TIMES, &key.rule, &key.trigger.to_string())? {
            let noted = str::from_utf8(&row.value).ok().and_then(|text| text.parse().ok());
            return Ok(noted.unwrap_or(now_ms));
        }
        // Not waited for: if it is lost, the trigger is new once more.
        if let Err(error) =
            self.store.append(Record { writes: vec![handled(key, now_ms)], ..Record::default() })
        {
            warn!(rule = key.rule, %error, "a new schedule could not be noted");
        }
        Ok(now_ms)
    }

    fn queue_tick(&self, rule: &Arc<ActiveRule>, trigger: usize, scheduled_ms: i64) {
        let key = rule.key(trigger);
        let events = Events::Time(tick(&key, scheduled_ms), scheduled_ms);
        let lane = order::key(rule, &format!("time {}", key.trigger));
        self.submit(lane, Unit { rule: Arc::clone(rule), trigger, events, hops: 0, counted: None });
    }
}

/// The event of a time: the same for the same time of the same trigger, whenever it is handled.
pub(in crate::pipeline) fn tick(key: &TriggerKey, scheduled_ms: i64) -> Event {
    let tail = u128::from(crc32fast::hash(key.rule.as_bytes())) << 16 | u128::from(key.trigger);
    let id = EventId::new(u64::try_from(scheduled_ms).unwrap_or(0), tail);
    Event::tick(Tick { scheduled_ms, id })
}

/// Of the times that have come since the last, those for which the rule is called.
fn chosen(missed: Missed, due: &[i64], now_ms: i64) -> Vec<i64> {
    let split = due.partition_point(|time| *time < now_ms - LATE_MS);
    let (late, on_time) = due.split_at(split);
    let made_up_for = match missed {
        Missed::All => late,
        Missed::Once if on_time.is_empty() => late.last().map_or(&[][..], std::slice::from_ref),
        Missed::Once | Missed::Skip => &[],
    };
    if !late.is_empty() {
        info!(
            missed = late.len(),
            made_up_for = made_up_for.len(),
            "times came while nobody was there to see"
        );
    }
    made_up_for.iter().chain(on_time).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_missed_is_made_up_for_as_the_rule_says() {
        let now = 1_000_000;
        let due = [now - 20_000, now - 10_000, now - 5];
        assert_eq!(chosen(Missed::All, &due, now), due);
        assert_eq!(chosen(Missed::Once, &due, now), [now - 5], "the one on time does for all");
        assert_eq!(chosen(Missed::Skip, &due, now), [now - 5]);
        assert_eq!(chosen(Missed::Once, &due[..2], now), [now - 10_000]);
        assert!(chosen(Missed::Skip, &due[..2], now).is_empty());
        assert!(chosen(Missed::All, &[], now).is_empty());
    }
}
