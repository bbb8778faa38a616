//! All rules that are active at one time, found by what happens.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::rule::{On, Rule};
use crate::topic::TopicTrie;

/// Where a rule stands in its [`RuleSet`].
pub type RuleIndex = usize;
/// Where a trigger stands in its rule.
pub type TriggerIndex = usize;

/// An immutable set of rules: build a new one to change something, and swap it in.
#[derive(Debug, Default)]
pub struct RuleSet {
    rules: Vec<Arc<Rule>>,
    messages: TopicTrie<(RuleIndex, TriggerIndex)>,
    lifecycle: Vec<(RuleIndex, TriggerIndex)>,
}

impl RuleSet {
    /// Brings rules together. Their order is the order in which they see an event.
    pub fn new(rules: Vec<Arc<Rule>>) -> Self {
        let mut messages = TopicTrie::new();
        let mut lifecycle = Vec::new();
        for (rule_index, rule) in rules.iter().enumerate() {
            for (trigger_index, trigger) in rule.triggers.iter().enumerate() {
                match &trigger.on {
                    On::Message(levels) => messages.insert(levels.filter(), (rule_index, trigger_index)),
                    On::Connect | On::Disconnect | On::Subscribe | On::Unsubscribe => {
                        lifecycle.push((rule_index, trigger_index));
                    }
                }
            }
        }
        Self { rules, messages, lifecycle }
    }

    /// The rules.
    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    /// Whether some rule listens to this topic.
    pub fn has_message_match(&self, topic: &str) -> bool {
        self.messages.has_match(topic)
    }

    /// Calls `found` for each trigger that listens to this topic: by rule, then by line.
    pub fn for_each_message_match(&self, topic: &str, mut found: impl FnMut(RuleIndex, TriggerIndex)) {
        let mut matches: SmallVec<[(RuleIndex, TriggerIndex); 8]> = SmallVec::new();
        self.messages.for_each_match(topic, |&indices| matches.push(indices));
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
