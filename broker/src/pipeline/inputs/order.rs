//! Which events must be handled in order, and the units of work that follow from it.

mod field;

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use pointsman_rules::{On, OrderBy, RuleName, Trigger};
use rustc_hash::FxBuildHasher;

use super::route::seen_topic;
use crate::mqtt::{Envelope, SERVER};
use crate::pipeline::rules::active::ActiveRule;
use crate::pipeline::turns::lanes::Key;
use crate::pipeline::turns::unit::{Events, Unit};
use crate::store::Seq;

/// The key of what a rule does in order for one client, or for whatever else the text names.
pub(in crate::pipeline) fn key(rule: &ActiveRule, of: &str) -> Key {
    key_for(&rule.rule.name, of)
}

fn key_for(rule: &RuleName, of: &str) -> Key {
    key_of(rule, (0_u8, of))
}

fn key_of(rule: &RuleName, what: impl Hash) -> Key {
    let mut hasher = FxBuildHasher.build_hasher();
    rule.as_str().hash(&mut hasher);
    what.hash(&mut hasher);
    hasher.finish()
}

/// The key of a message for a trigger of a rule.
pub(in crate::pipeline) fn message_key(
    rule: &RuleName,
    trigger: &Trigger,
    envelope: &Envelope,
    index: usize,
) -> Key {
    let message = envelope.message(index);
    match (&trigger.handling.order_by, &trigger.on) {
        (OrderBy::All, _) => key_of(rule, 1_u8),
        (OrderBy::Field(path), _) => key_of(rule, (2_u8, field::hash(message.payload(), path))),
        (OrderBy::Nothing, _) => key_of(rule, (3_u8, envelope.id(index).to_u128())),
        (OrderBy::Param(name), On::Message(levels) | On::Batch(levels, _)) => {
            let level = levels.params(seen_topic(message.topic())).find(|(its, _)| *its == &**name);
            key_of(rule, (4_u8, level.map(|(_, level)| level)))
        }
        (OrderBy::Topic | OrderBy::Param(_), _) => key_of(rule, (5_u8, message.topic())),
        // Events of a bus wait for those of the same source, changes for those of the same row.
        (OrderBy::Publisher, On::Event(_)) => {
            key_of(rule, (6_u8, field::hash(message.payload(), &[Box::from("source")])))
        }
        (OrderBy::Publisher, On::Change(_)) => {
            let part = |name: &str| field::hash(message.payload(), &[Box::from(name)]);
            key_of(rule, (7_u8, part("hash"), part("sort")))
        }
        // What rules publish has no publisher of its own to wait for.
        (OrderBy::Publisher, _) if envelope.publisher() == SERVER => key_of(rule, (5_u8, message.topic())),
        (OrderBy::Publisher, _) => key_for(rule, envelope.client_id()),
    }
}

/// Whether all messages of an envelope have one key for a trigger.
fn is_one_key(trigger: &Trigger, envelope: &Envelope) -> bool {
    match trigger.handling.order_by {
        OrderBy::All => true,
        OrderBy::Publisher => envelope.publisher() != SERVER,
        OrderBy::Field(_) | OrderBy::Nothing | OrderBy::Param(_) | OrderBy::Topic => false,
    }
}

/// What an envelope has for the triggers of the rules, in the making.
#[derive(Debug)]
pub(in crate::pipeline) struct Units<'a> {
    envelope: &'a Envelope,
    drafts: Vec<Draft>,
}

#[derive(Debug)]
struct Draft {
    key: Key,
    is_one_key: bool,
    rule: Arc<ActiveRule>,
    trigger: usize,
    indices: Vec<u32>,
    is_promised: bool,
}

impl<'a> Units<'a> {
    pub(in crate::pipeline) fn new(envelope: &'a Envelope) -> Units<'a> {
        Units { envelope, drafts: Vec::new() }
    }

    /// Adds a message for a trigger; `is_promised` says that the log has it and its rule was promised it.
    pub(in crate::pipeline) fn add(
        &mut self,
        rule: &Arc<ActiveRule>,
        trigger: usize,
        index: usize,
        is_promised: bool,
    ) {
        let its_index = u32::try_from(index).unwrap_or(u32::MAX);
        let mut key = None;
        for draft in &mut self.drafts {
            if draft.trigger != trigger || !Arc::ptr_eq(&draft.rule, rule) {
                continue;
            }
            let its_key = || message_key(&rule.rule.name, &rule.rule.triggers[trigger], self.envelope, index);
            if draft.is_one_key || draft.key == *key.get_or_insert_with(its_key) {
                draft.indices.push(its_index);
                draft.is_promised |= is_promised;
                return;
            }
        }
        let its = &rule.rule.triggers[trigger];
        self.drafts.push(Draft {
            key: key.unwrap_or_else(|| message_key(&rule.rule.name, its, self.envelope, index)),
            is_one_key: is_one_key(its, self.envelope),
            rule: Arc::clone(rule),
            trigger,
            indices: vec![its_index],
            is_promised,
        });
    }

    /// The units, with their keys; `seq` is the envelope's place in the log.
    pub(in crate::pipeline) fn finish(self, seq: Option<Seq>) -> impl Iterator<Item = (Key, Unit)> {
        let Units { envelope, drafts } = self;
        drafts.into_iter().map(move |Draft { key, rule, trigger, indices, is_promised, .. }| {
            let unit = Unit {
                rule,
                trigger,
                events: Events::Messages(envelope.clone(), indices.into()),
                hops: envelope.hops(),
                counted: seq.filter(|_| is_promised),
            };
            (key, unit)
        })
    }
}

#[cfg(test)]
mod tests;
