//! Which versions of the rules were active when a message came: the sets since the start are remembered, and before that the
//! versions say when they became active.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pointsman_rules::RuleName;

use super::active::ActiveRule;
use super::versions::AtTime;
use crate::pipeline::Pipeline;

/// Sets that are remembered, the active one included.
const SETS_MAX: usize = 32;

type Rules = Vec<Arc<ActiveRule>>;

/// The sets of rules that were active lately, in order, with the milliseconds since 1970 when each became so.
#[derive(Debug, Default)]
pub(in crate::pipeline) struct Past {
    sets: Mutex<VecDeque<(u64, Rules)>>,
}

impl Past {
    fn lock(&self) -> MutexGuard<'_, VecDeque<(u64, Rules)>> {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A set has become active.
    pub(in crate::pipeline) fn note(&self, time_ms: u64, rules: &[Arc<ActiveRule>]) {
        let mut sets = self.lock();
        if sets.back().is_some_and(|(_, before)| is_same(before, rules)) {
            return;
        }
        if sets.len() == SETS_MAX {
            sets.pop_front();
        }
        sets.push_back((time_ms, rules.to_vec()));
    }

    /// The set that was active at that time; `None` if that is not remembered.
    fn at(&self, time_ms: u64) -> Option<Rules> {
        let sets = self.lock();
        sets.iter().rev().find(|(since, _)| *since <= time_ms).map(|(_, rules)| rules.clone())
    }
}

fn is_same(before: &[Arc<ActiveRule>], rules: &[Arc<ActiveRule>]) -> bool {
    before.len() == rules.len() && before.iter().zip(rules).all(|(before, rule)| Arc::ptr_eq(before, rule))
}

/// What is known of a rule at a time.
#[derive(Debug)]
pub(in crate::pipeline) enum RuleThen {
    /// This version was active.
    Active(Arc<ActiveRule>),
    /// None was yet.
    NotYet,
    /// It is not known which was.
    Unknown,
}

/// A rule at a time, and now.
#[derive(Debug)]
pub(in crate::pipeline) struct RuleOverTime {
    pub(in crate::pipeline) then: RuleThen,
    /// `None` if it is gone.
    pub(in crate::pipeline) now: Option<Arc<ActiveRule>>,
}

impl Pipeline {
    /// The rules that are active now or were at that time, by their names; only one of them, if one is named.
    pub(in crate::pipeline) fn rules_at(&self, time_ms: u64, only: Option<&RuleName>) -> Vec<RuleOverTime> {
        let is_meant = |active: &&Arc<ActiveRule>| only.is_none_or(|name| active.rule.name == *name);
        let active = self.active.load_full();
        let mut then = self.past.at(time_ms);
        let mut rules = Vec::new();
        for now in active.rules.iter().filter(is_meant) {
            let then = match &mut then {
                None => self.version_at(now, time_ms),
                Some(then) => match then.iter().position(|active| active.rule.name == now.rule.name) {
                    None => RuleThen::NotYet,
                    Some(at) => RuleThen::Active(then.swap_remove(at)),
                },
            };
            rules.push(RuleOverTime { then, now: Some(Arc::clone(now)) });
        }
        let gone = then.iter().flatten().filter(is_meant).cloned();
        rules.extend(gone.map(|gone| RuleOverTime { then: RuleThen::Active(gone), now: None }));
        rules.sort_by(|left, right| left.name().cmp(&right.name()));
        rules
    }

    /// What the versions say of an active rule.
    fn version_at(&self, now: &Arc<ActiveRule>, time_ms: u64) -> RuleThen {
        match self.versions.at(now.rule.name.as_str(), time_ms) {
            Ok(AtTime::Version(version)) if version.version == now.rule.version => {
                RuleThen::Active(Arc::clone(now))
            }
            Ok(AtTime::Version(version)) => {
                let compiled = self.compile_version(Path::new(&now.rule.file), version);
                compiled.map_or(RuleThen::Unknown, RuleThen::Active)
            }
            Ok(AtTime::BeforeTheFirst) => RuleThen::NotYet,
            Ok(AtTime::NotKept) | Err(_) => RuleThen::Unknown,
        }
    }
}

impl RuleOverTime {
    fn name(&self) -> Option<&RuleName> {
        match (&self.then, &self.now) {
            (_, Some(active)) | (RuleThen::Active(active), None) => Some(&active.rule.name),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use pointsman_rules::Limits;

    use super::*;

    fn rule(name: &str) -> Arc<ActiveRule> {
        let engine = crate::pipeline::engine(Limits::default());
        let source = "on_message(\"a\", \"f\");\nfn f(msg) { }\n";
        let rule = engine.compile(&RuleName::parse(name).unwrap(), name, source);
        Arc::new(ActiveRule::new(Arc::new(rule.unwrap())))
    }

    #[test]
    fn the_set_of_a_time_is_found_until_too_many_came_after_it() {
        let past = Past::default();
        let (one, two) = ([rule("one")], [rule("two")]);
        past.note(10, &one);
        past.note(15, &one);
        past.note(20, &two);
        let name = |time_ms| past.at(time_ms).map(|rules| rules[0].rule.name.to_string());
        assert_eq!([name(9), name(19), name(20)], [None, Some("one".to_owned()), Some("two".to_owned())]);
        let later = (30..).step_by(10).zip([&one, &two].into_iter().cycle());
        for (time_ms, rules) in later.take(SETS_MAX - 2) {
            past.note(time_ms, rules);
        }
        assert_eq!(name(19), Some("one".to_owned()), "the same set again is none more");
        past.note(10_000, &[]);
        assert_eq!(name(19), None);
        assert!(past.at(20_000).is_some_and(|rules| rules.is_empty()));
    }
}
