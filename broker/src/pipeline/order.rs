//! Which events must be handled in order, and the units of work that follow from it.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use rustc_hash::FxBuildHasher;

use super::active::ActiveRule;
use super::lanes::Key;
use super::unit::{Events, Unit};
use crate::mqtt::{Envelope, SERVER};
use crate::store::Seq;

/// The key of what a rule does in order for one client, or for one topic of what the server itself publishes.
pub(super) fn key(rule: &ActiveRule, of: &str) -> Key {
    let mut hasher = FxBuildHasher.build_hasher();
    rule.rule.name.as_str().hash(&mut hasher);
    of.hash(&mut hasher);
    hasher.finish()
}

/// What an envelope has for the triggers of the rules, in the making.
#[derive(Debug)]
pub(super) struct Units<'a> {
    envelope: &'a Envelope,
    drafts: Vec<Draft>,
}

#[derive(Debug)]
struct Draft {
    key: Key,
    rule: Arc<ActiveRule>,
    trigger: usize,
    indices: Vec<u32>,
    is_promised: bool,
}

impl<'a> Units<'a> {
    pub(super) fn new(envelope: &'a Envelope) -> Units<'a> {
        Units { envelope, drafts: Vec::new() }
    }

    /// Adds a message for a trigger; `is_promised` says that the log has it and its rule was promised it.
    pub(super) fn add(&mut self, rule: &Arc<ActiveRule>, trigger: usize, index: usize, is_promised: bool) {
        let (by_topic, topic) = (self.envelope.publisher() == SERVER, self.envelope.message(index).topic());
        let its_index = u32::try_from(index).unwrap_or(u32::MAX);
        // All that one connection publishes is handled in order, and what rules publish by topic.
        let is_its = |draft: &&mut Draft| {
            let same_order = !by_topic || self.envelope.message(draft.indices[0] as usize).topic() == topic;
            same_order && draft.trigger == trigger && Arc::ptr_eq(&draft.rule, rule)
        };
        // Few envelopes concern more than a handful of triggers.
        if let Some(draft) = self.drafts.iter_mut().find(is_its) {
            draft.indices.push(its_index);
            draft.is_promised |= is_promised;
            return;
        }
        let key = key(rule, if by_topic { topic } else { self.envelope.client_id() });
        let rule = Arc::clone(rule);
        self.drafts.push(Draft { key, rule, trigger, indices: vec![its_index], is_promised });
    }

    /// The units, with their keys; `seq` is the envelope's place in the log.
    pub(super) fn finish(self, seq: Option<Seq>) -> impl Iterator<Item = (Key, Unit)> {
        let Units { envelope, drafts } = self;
        drafts.into_iter().map(move |Draft { key, rule, trigger, indices, is_promised }| {
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
