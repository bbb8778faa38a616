//! Which triggers want a message: by its topic, or, where it carries an event of the server's own, by what it holds.

use pointsman_rules::pattern::Scratch;
use pointsman_rules::{RuleIndex, TriggerIndex};
use smallvec::SmallVec;
use tracing::warn;

use crate::mqtt::{Envelope, Interest, SERVER};
use crate::pipeline::rules::active::ActiveRules;

/// Under this, with the name of the bus behind it, events of buses travel. Only the server publishes there.
pub(crate) const BUS_PREFIX: &str = "$bus/";
/// Under this, with the name of the table behind it, changes of rows travel to rules that want them.
pub(crate) const CHANGES_PREFIX: &str = "$changes/";

/// Finds triggers; those of the topic before are remembered, as it is mostly the same.
#[derive(Default)]
pub(in crate::pipeline) struct Wanted<'a> {
    topic: Option<&'a str>,
    found: SmallVec<[(RuleIndex, TriggerIndex); 8]>,
    scratch: Scratch,
}

impl<'a> Wanted<'a> {
    /// The triggers that want a message: by rule, then by line.
    pub(in crate::pipeline) fn of(
        &mut self,
        active: &ActiveRules,
        envelope: &'a Envelope,
        index: usize,
    ) -> &[(RuleIndex, TriggerIndex)] {
        let message = envelope.message(index);
        let topic = message.topic();
        let own = if envelope.publisher() == SERVER { topic.strip_prefix('$') } else { None };
        if own.is_none() {
            if self.topic != Some(topic) {
                self.topic = Some(topic);
                self.found.clear();
                active.set.for_each_message_match(topic, |rule, trigger| self.found.push((rule, trigger)));
            }
            return &self.found;
        }
        self.topic = None;
        self.found.clear();
        if let Some(table) = topic.strip_prefix(CHANGES_PREFIX) {
            self.found.extend_from_slice(active.set.change_triggers(table));
        } else if let Some(bus) = topic.strip_prefix(BUS_PREFIX) {
            let found = &mut self.found;
            let add = |rule, trigger| found.push((rule, trigger));
            let matched = active.set.for_each_event_match(bus, message.payload(), &mut self.scratch, add);
            if let Err(error) = matched {
                warn!(bus, id = %envelope.id(index), %error, "an event reaches no rule");
                self.found.clear();
            }
        } else {
            active.set.for_each_message_match(topic, |rule, trigger| self.found.push((rule, trigger)));
        }
        &self.found
    }
}

impl ActiveRules {
    /// What rules want of the messages of a topic.
    pub(crate) fn interest(&self, topic: &str) -> Interest {
        if let Some(table) = topic.strip_prefix(CHANGES_PREFIX) {
            let triggers = self.set.change_triggers(table);
            let durable = triggers.iter().any(|&place| self.set.trigger(place).handling.durable);
            return Interest { durable, rules: !triggers.is_empty() };
        }
        if let Some(bus) = topic.strip_prefix(BUS_PREFIX) {
            // Buses are kept, so that a rule may begin in the past.
            return Interest { durable: true, rules: self.set.has_bus(bus) };
        }
        let mut interest = Interest::default();
        self.set.for_each_message_match(topic, |rule, trigger| {
            interest.rules = true;
            interest.durable |= self.set.trigger((rule, trigger)).handling.durable;
        });
        interest
    }
}
