//! What is gathered for a draft and the active version: batches that grow and times that come, as the triggers of both want
//! them. It moves with the time of the events, so that the same events make the same.

use std::collections::{BTreeMap, BTreeSet};

use pointsman_rules::{Batch, Event, EventId, On, RuleName, Trigger};

use crate::mqtt::Envelope;
use crate::pipeline::inputs::batches::{Growing, Grown, WAITING_MAX};
use crate::pipeline::inputs::order::message_key;
use crate::pipeline::inputs::route::{is_plain, kept_event};
use crate::pipeline::inputs::times;
use crate::pipeline::turns::lanes::Key;
use crate::pipeline::turns::progress::TriggerKey;

/// Bytes of the messages in growing batches; beyond, all batches are complete as they are.
const WAITING_BYTES_MAX: usize = 32 << 20;
/// Times that a trigger is called.
pub(super) const TIMES_MAX: u64 = 5_000;

/// See the module.
pub(super) struct Gathered {
    rule: RuleName,
    lanes: Vec<Lane>,
    /// When what is due of which lane; the key is that of a batch, and nothing for times.
    due: BTreeSet<(i64, usize, Key)>,
    waiting_messages: usize,
    waiting_bytes: usize,
    times_left_out: u64,
}

/// What is gathered for one trigger.
struct Lane {
    trigger: Trigger,
    key: TriggerKey,
    growing: BTreeMap<Key, Dated>,
    /// How often its time has come.
    times: u64,
}

/// A batch, and when it is complete at the latest.
#[derive(Default)]
struct Dated {
    batch: Growing<Event>,
    due_ms: i64,
}

/// Something for the trigger of a lane.
pub(super) struct Ready {
    pub(super) lane: usize,
    pub(super) event: Event,
}

/// What became of the next that was due.
pub(super) enum Due {
    /// The time of a trigger came, which was called often enough.
    LeftOut,
    /// A batch is complete, or a time has come.
    Ready(Ready),
}

impl Gathered {
    /// For these triggers of a rule; times count from `from_ms` on.
    pub(super) fn new(
        rule: &RuleName,
        triggers: impl IntoIterator<Item = (Trigger, TriggerKey)>,
        from_ms: i64,
    ) -> Gathered {
        let lane = |(trigger, key)| Lane { trigger, key, growing: BTreeMap::new(), times: 0 };
        let lanes: Vec<Lane> = triggers.into_iter().map(lane).collect();
        let first = |(at, lane): (usize, &Lane)| match &lane.trigger.on {
            On::Time(schedule) => Some((schedule.next_after(from_ms - 1)?, at, Key::default())),
            _ => None,
        };
        let due = lanes.iter().enumerate().filter_map(first).collect();
        let (waiting_messages, waiting_bytes, times_left_out) = (0, 0, 0);
        Gathered { rule: rule.clone(), lanes, due, waiting_messages, waiting_bytes, times_left_out }
    }

    /// When something is due next.
    pub(super) fn next_due_ms(&self) -> Option<i64> {
        self.due.first().map(|(due_ms, ..)| *due_ms)
    }

    /// Messages of batches that are not complete.
    pub(super) fn waiting(&self) -> usize {
        self.waiting_messages
    }

    /// Times that were left out, as there were too many.
    pub(super) fn times_left_out(&self) -> u64 {
        self.times_left_out
    }

    /// Takes the first of what is due at a time.
    pub(super) fn take_due(&mut self, until_ms: i64) -> Option<Due> {
        let (due_ms, lane, key) = *self.due.first().filter(|(due_ms, ..)| *due_ms <= until_ms)?;
        let its = &mut self.lanes[lane];
        let On::Time(schedule) = &its.trigger.on else {
            return self.complete(lane, key, due_ms).map(Due::Ready);
        };
        self.due.pop_first();
        self.due.extend(schedule.next_after(due_ms).map(|next_ms| (next_ms, lane, key)));
        its.times += 1;
        if its.times > TIMES_MAX {
            self.times_left_out += 1;
            return Some(Due::LeftOut);
        }
        Some(Due::Ready(Ready { lane, event: times::tick(&its.key, due_ms) }))
    }

    /// Adds a message to the batches that want it, and gives those that are complete with it.
    pub(super) fn add(&mut self, envelope: &Envelope, index: usize, at_ms: i64) -> Vec<Ready> {
        let mut ready = Vec::new();
        if !is_plain(envelope, index) {
            return ready;
        }
        let (message, mut event) = (envelope.message(index), None);
        for lane in 0..self.lanes.len() {
            let its = &mut self.lanes[lane];
            let On::Batch(levels, limits) = &its.trigger.on else { continue };
            if !levels.filter().matches(message.topic()) {
                continue;
            }
            let limits = *limits;
            let event = event.get_or_insert_with(|| kept_event(envelope, index)).clone();
            let key = message_key(&self.rule, &its.trigger, envelope, index);
            let dated = its.growing.entry(key).or_default();
            let (messages, bytes) = (dated.batch.len(), dated.batch.bytes());
            let Grown { before, full } = dated.batch.add(event, message.payload().len(), &limits);
            let begins = messages == 0 || before.is_some();
            if begins {
                self.due.remove(&(dated.due_ms, lane, key));
                let delay_ms = i64::try_from(limits.delay_max.as_millis()).unwrap_or(i64::MAX);
                dated.due_ms = at_ms.saturating_add(delay_ms);
            }
            self.waiting_messages = self.waiting_messages - messages + dated.batch.len();
            self.waiting_bytes = self.waiting_bytes - bytes + dated.batch.bytes();
            let is_full = full.is_some();
            if is_full {
                self.due.remove(&(dated.due_ms, lane, key));
                its.growing.remove(&key);
            } else if begins {
                self.due.insert((dated.due_ms, lane, key));
            }
            let complete = before.into_iter().chain(full);
            ready.extend(complete.map(|messages| Ready { lane, event: batch(messages, at_ms) }));
        }
        if self.waiting_messages > WAITING_MAX || self.waiting_bytes > WAITING_BYTES_MAX {
            ready.extend(self.complete_all(at_ms));
        }
        ready
    }

    /// Takes all batches as they are.
    fn complete_all(&mut self, at_ms: i64) -> Vec<Ready> {
        let growing =
            |lane: (usize, &Lane)| lane.1.growing.keys().map(|key| (lane.0, *key)).collect::<Vec<_>>();
        let all: Vec<_> = self.lanes.iter().enumerate().flat_map(growing).collect();
        all.into_iter().filter_map(|(lane, key)| self.complete(lane, key, at_ms)).collect()
    }

    /// Takes a batch as it is.
    fn complete(&mut self, lane: usize, key: Key, at_ms: i64) -> Option<Ready> {
        let mut dated = self.lanes[lane].growing.remove(&key)?;
        self.due.remove(&(dated.due_ms, lane, key));
        self.waiting_messages -= dated.batch.len();
        self.waiting_bytes -= dated.batch.bytes();
        Some(Ready { lane, event: batch(dated.batch.take(), at_ms) })
    }
}

fn batch(messages: Vec<Event>, time_ms: i64) -> Event {
    let id = messages.first().map_or(EventId::from_u128(0), Event::id);
    Event::batch(Batch { messages, time_ms, id })
}

#[cfg(test)]
mod tests {
    use pointsman_rules::{Engine, Limits};

    use super::*;
    use crate::mqtt::{EnvelopeBuilder, Interest, Marks, Origin, QoS};
    use crate::pipeline::monotonic;
    use crate::pipeline::rules::active::trigger_key;

    fn gathered(triggers: &str, from_ms: i64) -> Gathered {
        let name = RuleName::parse("case").expect("a name");
        let source = format!("{triggers} fn f(it) {{ }}");
        let engine = Engine::new(Limits::default(), monotonic);
        let rule = engine.compile(&name, "case.rhai", &source).expect("a rule");
        let lanes = rule.triggers.iter().map(|trigger| (trigger.clone(), trigger_key(&rule, trigger)));
        Gathered::new(&name, lanes.collect::<Vec<_>>(), from_ms)
    }

    /// Publishes one message, and says how large the batches are that are complete with it, and when they are.
    fn publish(gathered: &mut Gathered, topic: &str, payload: &str, at_ms: i64) -> Vec<(usize, i64)> {
        let mut builder = EnvelopeBuilder::default();
        let marks = Marks { qos: QoS::AtLeastOnce, retain: false, interest: Interest::default() };
        builder.push(topic, payload.as_bytes(), b"", marks);
        let first_id = EventId::new(u64::try_from(at_ms).unwrap_or(0), 7);
        let envelope =
            builder.seal(&Origin { publisher: 1, client_id: "ana", user: None, hops: 0, first_id });
        gathered.add(&envelope, 0, at_ms).iter().map(shown).collect()
    }

    fn shown(Ready { event, .. }: &Ready) -> (usize, i64) {
        let messages = event.to_json()["messages"].as_array().map_or(0, Vec::len);
        (messages, event.time_ms())
    }

    /// What is due at a time: the time of each, and how many messages it has.
    fn due(gathered: &mut Gathered, until_ms: i64) -> Vec<(usize, i64)> {
        std::iter::from_fn(|| gathered.take_due(until_ms))
            .filter_map(|due| if let Due::Ready(ready) = due { Some(shown(&ready)) } else { None })
            .collect()
    }

    #[test]
    fn batches_are_complete_by_their_limits_on_the_time_of_the_messages() {
        let limits = "max_messages: 3, max_bytes: 10, max_delay: \"1s\"";
        let mut it = gathered(&format!("on_batch(\"a/#\", #{{ {limits} }}, \"f\");"), 0);
        assert_eq!(publish(&mut it, "a/1", "x", 1_000), []);
        assert_eq!(publish(&mut it, "b", "x", 1_100), []);
        assert_eq!((it.waiting(), it.next_due_ms()), (1, Some(2_000)));
        assert_eq!(due(&mut it, 1_999), []);
        assert_eq!(due(&mut it, 2_000), [(1, 2_000)]);
        assert_eq!((it.waiting(), it.next_due_ms()), (0, None));
        for at_ms in [3_000, 3_100] {
            assert_eq!(publish(&mut it, "a/1", "x", at_ms), []);
        }
        assert_eq!(publish(&mut it, "a/1", "x", 3_200), [(3, 3_200)]);
        assert_eq!((it.waiting(), it.next_due_ms()), (0, None));
        assert_eq!(publish(&mut it, "a/1", "123456", 4_000), []);
        // What would make it too large begins the next, whose time begins with it.
        assert_eq!(publish(&mut it, "a/1", "123456", 4_900), [(1, 4_900)]);
        assert_eq!((it.waiting(), it.next_due_ms()), (1, Some(5_900)));
        assert_eq!(due(&mut it, 9_000), [(1, 5_900)]);
        assert_eq!((it.waiting_messages, it.waiting_bytes, it.due.len()), (0, 0, 0));
    }

    #[test]
    fn batches_of_different_keys_grow_beside_each_other() {
        let mut it = gathered(r#"on_batch("a/{x}", #{ max_messages: 2, order_by: "topic" }, "f");"#, 0);
        assert_eq!(publish(&mut it, "a/1", "x", 10), []);
        assert_eq!(publish(&mut it, "a/2", "x", 20), []);
        assert_eq!(publish(&mut it, "a/1", "x", 30), [(2, 30)]);
        assert_eq!(due(&mut it, 5_000), [(1, 1_020)]);
    }

    #[test]
    fn times_come_in_order_among_the_batches_and_are_bounded() {
        let triggers = r#"every("1s", "f"); on_batch("a", #{ max_delay: "1500ms" }, "f"); every("2s", "f");"#;
        let mut it = gathered(triggers, 1_000);
        assert_eq!(publish(&mut it, "a", "x", 1_200), []);
        assert_eq!(
            due(&mut it, 4_000),
            [(0, 1_000), (0, 2_000), (0, 2_000), (1, 2_700), (0, 3_000), (0, 4_000), (0, 4_000)]
        );
        let all = due(&mut it, 100_000_000);
        assert_eq!(u64::try_from(all.len()), Ok(2 * TIMES_MAX - 6));
        assert_eq!(it.times_left_out(), 100_000 - TIMES_MAX + 50_000 - TIMES_MAX);
    }
}
