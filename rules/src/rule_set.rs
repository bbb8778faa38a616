//! All rules that are active at one time, found by what happens.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use smallvec::SmallVec;

use crate::basic_ingest::BASIC_INGEST_PREFIX;
use crate::pattern::{JsonError, Pattern, PatternSet, Scratch};
use crate::rule::{Index, Rule};
use crate::topic::TopicTrie;
use crate::trigger::{BusPattern, On, Trigger};

/// Where a rule stands in its [`RuleSet`].
pub type RuleIndex = usize;
/// Where a trigger stands in its rule.
pub type TriggerIndex = usize;

/// An immutable set of rules: build a new one to change something, and swap it in.
#[derive(Debug, Default)]
pub struct RuleSet {
    rules: Vec<Arc<Rule>>,
    messages: TopicTrie<(RuleIndex, TriggerIndex)>,
    /// By the topics of Basic Ingest, which no other filter means.
    ingested: TopicTrie<(RuleIndex, TriggerIndex)>,
    lifecycle: Vec<(RuleIndex, TriggerIndex)>,
    changes: BTreeMap<Arc<str>, Vec<(RuleIndex, TriggerIndex)>>,
    buses: BTreeMap<Arc<str>, Bus>,
    indexes: BTreeMap<Arc<str>, Vec<Index>>,
    times: Vec<(RuleIndex, TriggerIndex)>,
}

/// A pattern, and the trigger that it belongs to.
type Listener<'rules> = (&'rules Pattern, (RuleIndex, TriggerIndex));

/// What rules want of one bus.
#[derive(Debug)]
struct Bus {
    patterns: PatternSet,
    /// The triggers, by the numbers that the patterns have.
    triggers: Vec<(RuleIndex, TriggerIndex)>,
}

impl RuleSet {
    /// Brings rules together. Their order is the order in which they see an event.
    pub fn new(rules: Vec<Arc<Rule>>) -> Self {
        let (mut messages, mut ingested) = (TopicTrie::new(), TopicTrie::new());
        let (mut lifecycle, mut times) = (Vec::new(), Vec::new());
        let mut wanted = BTreeMap::<Arc<str>, Vec<Listener<'_>>>::new();
        let mut changes = BTreeMap::<Arc<str>, Vec<(RuleIndex, TriggerIndex)>>::new();
        for (rule_index, rule) in rules.iter().enumerate() {
            for (trigger_index, trigger) in rule.triggers.iter().enumerate() {
                let place = (rule_index, trigger_index);
                match &trigger.on {
                    On::Message(levels) | On::Batch(levels, _) => {
                        messages.insert(levels.filter(), place);
                        if let Some(filter) = rule.basic_ingest(trigger) {
                            ingested.insert(&filter, place);
                        }
                    }
                    On::Change(table) => changes.entry(Arc::clone(table)).or_default().push(place),
                    On::Connect | On::Disconnect | On::Subscribe | On::Unsubscribe => lifecycle.push(place),
                    On::Event(BusPattern { bus, pattern }) => {
                        wanted.entry(Arc::clone(bus)).or_default().push((pattern, place));
                    }
                    On::Time(_) => times.push(place),
                }
            }
        }
        let mut indexes = BTreeMap::<Arc<str>, Vec<Index>>::new();
        for index in rules.iter().flat_map(|rule| rule.indexes.iter()).collect::<BTreeSet<_>>() {
            indexes.entry(Arc::clone(&index.table)).or_default().push(index.clone());
        }
        let bus = |(name, wanted): (Arc<str>, Vec<Listener<'_>>)| {
            let patterns = wanted.iter().zip(0..).map(|((pattern, _), number)| (number, *pattern));
            let patterns = PatternSet::new(patterns);
            (name, Bus { patterns, triggers: wanted.into_iter().map(|(_, place)| place).collect() })
        };
        let buses = wanted.into_iter().map(bus).collect();
        Self { rules, messages, ingested, lifecycle, changes, buses, indexes, times }
    }

    /// The rules.
    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    /// A trigger of one of the rules.
    pub fn trigger(&self, (rule, trigger): (RuleIndex, TriggerIndex)) -> &Trigger {
        &self.rules[rule].triggers[trigger]
    }

    /// The triggers that listen to changes of a table: by rule, then by line.
    pub fn change_triggers(&self, table: &str) -> &[(RuleIndex, TriggerIndex)] {
        self.changes.get(table).map_or(&[], Vec::as_slice)
    }

    /// Whether some rule listens to this bus.
    pub fn has_bus(&self, bus: &str) -> bool {
        self.buses.contains_key(bus)
    }

    /// Calls `found` for each trigger that wants an event of a bus: by rule, then by line.
    ///
    /// # Errors
    /// If the event is not JSON or goes beyond a limit of patterns: then no trigger wants it.
    pub fn for_each_event_match(
        &self,
        bus: &str,
        event: &[u8],
        scratch: &mut Scratch,
        mut found: impl FnMut(RuleIndex, TriggerIndex),
    ) -> Result<(), JsonError> {
        let Some(bus) = self.buses.get(bus) else { return Ok(()) };
        let mut matches: SmallVec<[(RuleIndex, TriggerIndex); 8]> = SmallVec::new();
        bus.patterns.for_each_match(event, scratch, |number| {
            matches.extend(bus.triggers.get(number as usize).copied());
        })?;
        matches.sort_unstable();
        for (rule, trigger) in matches {
            found(rule, trigger);
        }
        Ok(())
    }

    /// The indexes of a table that some rule declares, in order.
    pub fn indexes(&self, table: &str) -> &[Index] {
        self.indexes.get(table).map_or(&[], Vec::as_slice)
    }

    /// The triggers that wait for a time: by rule, then by line.
    pub fn time_triggers(&self) -> &[(RuleIndex, TriggerIndex)] {
        &self.times
    }

    /// Whether some rule listens to this topic.
    pub fn has_message_match(&self, topic: &str) -> bool {
        self.listeners(topic).has_match(topic)
    }

    fn listeners(&self, topic: &str) -> &TopicTrie<(RuleIndex, TriggerIndex)> {
        if topic.starts_with(BASIC_INGEST_PREFIX) { &self.ingested } else { &self.messages }
    }

    /// Calls `found` for each trigger that listens to messages of this topic, one by one or in batches: by rule, then
    /// by line.
    pub fn for_each_message_match(&self, topic: &str, mut found: impl FnMut(RuleIndex, TriggerIndex)) {
        let mut matches: SmallVec<[(RuleIndex, TriggerIndex); 8]> = SmallVec::new();
        self.listeners(topic).for_each_match(topic, |&indices| matches.push(indices));
        matches.sort_unstable(); // the trie has no order, and equal events must have equal effects
        for (rule, trigger) in matches {
            found(rule, trigger);
        }
    }

    /// The triggers that listen to `on`, which is not a message: by rule, then by line.
    pub fn lifecycle_triggers(&self, on: &On) -> impl Iterator<Item = (RuleIndex, TriggerIndex)> {
        self.lifecycle
            .iter()
            .copied()
            .filter(move |&(rule, trigger)| self.rules[rule].triggers[trigger].on == *on)
    }
}
