//! From patterns to the automaton: equal conditions and equal tests become one.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::test::Test;
use super::super::{Condition, Pattern};
use super::hits::Sizes;
use super::lists::Lists;
use super::matcher::{Matcher, TextTables};
use super::paths::Paths;
use super::plan::{Plan, PlanBuilder, Shows};
use super::{PatternSet, SetAlternative, SetCondition, Target};

/// Tests and conditions with their numbers.
#[derive(Default)]
struct Builder<'pattern> {
    conditions: Vec<SetCondition>,
    condition_numbers: HashMap<(&'pattern str, &'pattern [Test]), u32>,
    tests: Vec<(u32, &'pattern Test)>,
    test_numbers: HashMap<(u32, &'pattern Test), u32>,
    targets: Vec<Vec<Target>>,
    exclusions: u32,
    rules: HashMap<u32, u32>,
    ids: Vec<u32>,
    alternatives: Vec<SetAlternative>,
}

pub(super) fn build<'pattern>(patterns: impl IntoIterator<Item = (u32, &'pattern Pattern)>) -> PatternSet {
    let mut builder = Builder::default();
    let mut paths = Paths::new();
    for (id, pattern) in patterns {
        let rule = builder.rule(id);
        for alternative in &pattern.alternatives {
            let conditions =
                alternative.iter().map(|condition| builder.condition(condition, &mut paths)).collect();
            builder.alternatives.push(SetAlternative { rule, is_only: false, conditions });
        }
    }
    builder.finish(paths)
}

impl<'pattern> Builder<'pattern> {
    fn rule(&mut self, id: u32) -> u32 {
        let next = number(self.ids.len());
        let rule = *self.rules.entry(id).or_insert(next);
        if rule == next {
            self.ids.push(id);
        }
        rule
    }

    fn condition(&mut self, condition: &'pattern Arc<Condition>, paths: &mut Paths) -> u32 {
        let next = number(self.conditions.len());
        let known = *self.condition_numbers.entry((&condition.path, &condition.tests)).or_insert(next);
        if known != next {
            return known;
        }
        let path = paths.add(&condition.path);
        let first = self.exclusions;
        for test in &condition.tests {
            match test {
                Test::Absent => {}
                Test::AnythingBut(excluded) => {
                    for test in excluded {
                        self.test(path, test, Target::Exclusion(self.exclusions));
                    }
                    self.exclusions += 1;
                }
                test => self.test(path, test, Target::Condition(next)),
            }
        }
        let allows_absence = condition.allows_absence();
        let exclusions = (first, self.exclusions);
        let condition = Arc::clone(condition);
        self.conditions.push(SetCondition { path, exclusions, allows_absence, condition });
        next
    }

    fn test(&mut self, path: u32, test: &'pattern Test, target: Target) {
        let next = number(self.tests.len());
        let known = *self.test_numbers.entry((path, test)).or_insert(next);
        if known == next {
            self.tests.push((path, test));
            self.targets.push(Vec::new());
        }
        self.targets[known as usize].push(target);
    }

    fn finish(mut self, paths: Paths) -> PatternSet {
        let mut of_rule = vec![0_usize; self.ids.len()];
        self.alternatives.iter().for_each(|alternative| of_rule[alternative.rule as usize] += 1);
        for alternative in &mut self.alternatives {
            alternative.is_only = of_rule[alternative.rule as usize] == 1;
        }
        let mut tables = TextTables::default();
        let mut by_path = vec![Vec::new(); paths.len()];
        for (number, &(path, test)) in (0..).zip(&self.tests) {
            by_path[path as usize].push((test, number));
        }
        let matchers = (0..).zip(by_path).map(|(path, tests)| {
            (!tests.is_empty()).then(|| Matcher::new(path, tests.into_iter(), &mut tables))
        });
        let matchers = matchers.collect();
        let plan = plan(&self.conditions, &self.alternatives, paths.len());
        let sizes = Sizes {
            conditions: self.conditions.len(),
            exclusions: self.exclusions as usize,
            paths: paths.len(),
            rules: self.ids.len(),
        };
        PatternSet {
            paths,
            matchers,
            tables,
            targets: Lists::new(self.targets),
            conditions: self.conditions,
            alternatives: self.alternatives,
            ids: self.ids,
            plan,
            sizes,
        }
    }
}

/// Puts the conditions of each alternative in order: first those that need not be asked, and of them first the
/// one that the fewest alternatives have. So a condition that all rules share costs one look, not one for each.
fn plan(conditions: &[SetCondition], alternatives: &[SetAlternative], paths: usize) -> Plan {
    let mut popularity = vec![0_usize; conditions.len()];
    for &condition in alternatives.iter().flat_map(|alternative| &alternative.conditions) {
        popularity[condition as usize] += 1;
    }
    let shows = |condition: u32| match &conditions[condition as usize] {
        SetCondition { allows_absence: true, .. } => Shows::Always,
        SetCondition { path, exclusions: (first, end), .. } if first < end => Shows::WithValues(*path),
        _ => Shows::Noted,
    };
    let rank = |condition: u32| {
        let tests = &conditions[condition as usize].condition.tests;
        match shows(condition) {
            Shows::Noted if tests.iter().all(is_narrow) => 0,
            Shows::Noted => 1,
            Shows::WithValues(_) => 2,
            Shows::Always => 3,
        }
    };
    let mut plan = PlanBuilder::new(paths);
    for (number, alternative) in (0..).zip(alternatives) {
        let mut ordered = alternative.conditions.clone();
        ordered.sort_by_key(|&condition| (rank(condition), popularity[condition as usize], condition));
        plan.add(number, ordered.into_iter().map(|condition| (condition, shows(condition))));
    }
    plan.finish()
}

/// Whether a test asks for one value.
fn is_narrow(test: &Test) -> bool {
    match test {
        Test::IgnoreCase(_) | Test::NumberText(_) | Test::Text(_) => true,
        Test::Address(first, last) => first == last,
        Test::Number(first, last) => first == last,
        _ => false,
    }
}

fn number(len: usize) -> u32 {
    u32::try_from(len).expect("memory ends long before 2^32 of them")
}
