//! All rules' patterns as one automaton: an event is read once, whatever the number of rules.
//!
//! An event goes through three steps. `scan` finds the values at paths that patterns name, and skips all else.
//! A `matcher` for each path finds the tests that a value passes, and `hits` notes the conditions they belong
//! to. `plan` finds the alternatives all of whose conditions are met. Where several of them lie in arrays,
//! `arrays` checks that the same elements meet them.

mod affixes;
mod build;
mod hits;
mod intervals;
mod lists;
mod matcher;
mod paths;
mod plan;
mod scan;
#[cfg(test)]
mod tests;
mod texts;

use std::str;
use std::sync::Arc;

use super::arrays::{Consistency, ROOT};
use super::error::JsonError;
use super::matching::wanted;
use super::number::Number;
use super::test::Scalar;
use super::{Condition, EVENT_BYTES_MAX, Pattern};
use hits::{Hits, Sizes};
use lists::Lists;
use matcher::{Matcher, TextTables};
use paths::Paths;
use plan::Plan;
use scan::{Token, Values};

/// Patterns of many rules, compiled to be matched together. It does not change: for other rules make another.
#[derive(Debug)]
pub struct PatternSet {
    paths: Paths,
    /// By path; `None` where no value is wanted.
    matchers: Vec<Option<Matcher>>,
    tables: TextTables,
    /// By test: what passing it means.
    targets: Lists<Target>,
    conditions: Vec<SetCondition>,
    alternatives: Vec<SetAlternative>,
    /// By rule: the id it was given with.
    ids: Vec<u32>,
    plan: Plan,
    sizes: Sizes,
}

/// What it means that a value passes a test.
#[derive(Clone, Copy, Debug)]
enum Target {
    /// It meets a condition.
    Condition(u32),
    /// An `anything-but` excludes it.
    Exclusion(u32),
}

/// A condition, shared by all alternatives that have the same one.
#[derive(Debug)]
struct SetCondition {
    path: u32,
    /// The number of its first `anything-but`, and that behind its last.
    exclusions: (u32, u32),
    allows_absence: bool,
    condition: Arc<Condition>,
}

#[derive(Debug)]
struct SetAlternative {
    rule: u32,
    /// Whether the rule has no other.
    is_only: bool,
    conditions: Vec<u32>,
}

/// Working memory of matching, to be used again for the next event, with any set.
#[derive(Debug)]
pub struct Scratch {
    values: Values,
    hits: Hits,
    folded: String,
    pending: Vec<u32>,
    met: Vec<u32>,
    consistency: Consistency,
}

impl Scratch {
    /// Empty working memory.
    pub fn new() -> Self {
        Self {
            values: Values::new(),
            hits: Hits::default(),
            folded: String::new(),
            pending: Vec::new(),
            met: Vec::new(),
            consistency: Consistency::default(),
        }
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl PatternSet {
    /// Compiles patterns with the ids of their rules. A rule may have several: any of them makes it match.
    pub fn new<'pattern>(patterns: impl IntoIterator<Item = (u32, &'pattern Pattern)>) -> Self {
        build::build(patterns)
    }

    /// How many different rules it has.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether it has no rule.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Calls `found` with the id of each rule that `event` matches, once each, in no order. `event` is the
    /// JSON text of an object.
    ///
    /// # Errors
    /// If the event is not JSON, as far as it is read, or goes beyond a limit; `found` may have been called for
    /// some rules then.
    pub fn for_each_match(
        &self,
        event: &[u8],
        scratch: &mut Scratch,
        mut found: impl FnMut(u32),
    ) -> Result<(), JsonError> {
        if event.len() > EVENT_BYTES_MAX {
            return Err(JsonError::TooLong { bytes: event.len(), max: EVENT_BYTES_MAX });
        }
        let event = str::from_utf8(event).map_err(|error| JsonError::NotUtf8 { at: error.valid_up_to() })?;
        scratch.values.read(event, &self.paths)?;
        self.note_hits(event, scratch);
        let Scratch { values, hits, pending, met, consistency, .. } = scratch;
        met.clear();
        consistency.begin();
        let is_met = |hits: &Hits, condition| self.may_be_met(hits, condition);
        self.plan.for_each(hits, pending, is_met, |alternative| met.push(alternative));
        for &number in &*met {
            let alternative = &self.alternatives[number as usize];
            if !alternative.is_only && hits.has_matched(alternative.rule) {
                continue;
            }
            if hits.has_arrays
                && self.is_within_arrays(hits, alternative)
                && !self.is_consistent(event, values, alternative, consistency)?
            {
                continue;
            }
            if !alternative.is_only {
                hits.match_rule(alternative.rule);
            }
            found(self.ids[alternative.rule as usize]);
        }
        Ok(())
    }

    /// Finds what the values pass.
    fn note_hits(&self, event: &str, scratch: &mut Scratch) {
        let Scratch { values, hits, folded, .. } = scratch;
        hits.begin(self.sizes);
        for (value, index) in values.iter() {
            hits.add_value(value.path, value.element != ROOT);
            let Some(matcher) = &self.matchers[value.path as usize] else { continue };
            matcher.for_each(values.token(value, event), &self.tables, folded, |test| {
                for &target in self.targets.get(test) {
                    match target {
                        Target::Condition(condition) => hits.meet(condition),
                        Target::Exclusion(exclusion) => hits.exclude(exclusion, index),
                    }
                }
            });
        }
    }

    /// Whether a condition is met if the arrays of the event are left out of account.
    #[inline]
    fn may_be_met(&self, hits: &Hits, condition: u32) -> bool {
        let &SetCondition { path, exclusions: (first, end), allows_absence, .. } =
            &self.conditions[condition as usize];
        hits.is_met(condition)
            || (first..end).any(|exclusion| hits.leaves_some(exclusion, path))
            || allows_absence && (hits.values(path) == 0 || hits.is_in_array(path))
    }

    /// Whether it matters which elements of arrays meet the conditions.
    fn is_within_arrays(&self, hits: &Hits, alternative: &SetAlternative) -> bool {
        let mut within = alternative
            .conditions
            .iter()
            .map(|&condition| &self.conditions[condition as usize])
            .filter(|condition| hits.is_in_array(condition.path));
        match (within.next(), within.next()) {
            (None, _) => false,
            (Some(only), None) => only.allows_absence,
            (Some(_), Some(_)) => true,
        }
    }

    fn is_consistent(
        &self,
        event: &str,
        values: &Values,
        alternative: &SetAlternative,
        consistency: &mut Consistency,
    ) -> Result<bool, JsonError> {
        consistency.clear(&values.tree)?;
        let mut absentable = 0;
        for (bit, &condition) in alternative.conditions.iter().enumerate() {
            let SetCondition { path, condition, allows_absence, .. } = &self.conditions[condition as usize];
            absentable |= u64::from(*allows_absence) << bit;
            for (value, _) in values.iter().filter(|(value, _)| value.path == *path) {
                let meets = condition.is_met_by(scalar(values.token(value, event)));
                consistency.work(condition.tests.len())?;
                consistency.add(value.element, bit, meets);
            }
        }
        consistency.is_met(&values.tree, wanted(alternative.conditions.len()), absentable)
    }
}

fn scalar(token: Token<'_>) -> Scalar<'_> {
    match token {
        Token::Bool(truth) => Scalar::Bool(truth),
        Token::Null => Scalar::Null,
        Token::Number(text) => Scalar::Number(Number::new(text)),
        Token::Text(text) => Scalar::Text(text),
    }
}
