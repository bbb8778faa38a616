//! In which order conditions are looked at: a tree in which alternatives that begin alike share the beginning.

use hashbrown::HashTable;

use super::hits::Hits;
use super::lists::Lists;
use crate::topic::hash;

const ROOT: u32 = 0;
/// Up to so many steps of a node are looked at one by one, even if fewer conditions are met.
const LISTED_MAX: usize = 4;

/// The tree. Each alternative is a way from the root, whose steps are its conditions.
#[derive(Debug)]
pub(super) struct Plan {
    /// By node: steps whose condition is met by passing a test, so that it is among those noted.
    noted: Lists<Step>,
    /// By node: steps whose condition must be asked whether it is met.
    asked: Lists<Step>,
    /// By path: the steps from the root that must be asked only if there are values at the path.
    asked_with_values: Lists<Step>,
    /// By node: the alternatives that are met there.
    ends: Lists<u32>,
    /// Which node a noted step leads to. The others are not here, or they would be taken twice.
    steps: HashTable<(u32, Step)>,
}

/// A step from a node that is known.
#[derive(Clone, Copy, Debug)]
struct Step {
    condition: u32,
    to: u32,
}

/// How it shows that a condition is met.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shows {
    /// It is among those noted.
    Noted,
    /// It must be asked, if there are values at this path.
    WithValues(u32),
    /// It must always be asked.
    Always,
}

/// A plan that still grows.
pub(super) struct PlanBuilder {
    nodes: Vec<Node>,
    asked_with_values: Vec<Vec<Step>>,
    steps: HashTable<(u32, Step)>,
}

#[derive(Default)]
struct Node {
    noted: Vec<Step>,
    asked: Vec<Step>,
    ends: Vec<u32>,
}

impl PlanBuilder {
    pub(super) fn new(paths: usize) -> Self {
        let asked_with_values = vec![Vec::new(); paths];
        Self { nodes: vec![Node::default()], asked_with_values, steps: HashTable::new() }
    }

    /// Adds an alternative by its conditions, in the order in which they are to be looked at.
    pub(super) fn add(&mut self, alternative: u32, conditions: impl Iterator<Item = (u32, Shows)>) {
        let mut at = ROOT;
        for (condition, shows) in conditions {
            at = match find(&self.steps, at, condition) {
                Some(to) => to,
                None => self.add_step(at, condition, shows),
            };
        }
        self.nodes[at as usize].ends.push(alternative);
    }

    fn add_step(&mut self, from: u32, condition: u32, shows: Shows) -> u32 {
        let to = u32::try_from(self.nodes.len()).expect("memory ends long before 2^32 nodes");
        self.nodes.push(Node::default());
        let step = Step { condition, to };
        insert(&mut self.steps, from, step);
        let node = &mut self.nodes[from as usize];
        match shows {
            Shows::Noted => node.noted.push(step),
            Shows::WithValues(path) if from == ROOT => self.asked_with_values[path as usize].push(step),
            Shows::WithValues(_) | Shows::Always => node.asked.push(step),
        }
        to
    }

    pub(super) fn finish(self) -> Plan {
        let (mut noted, mut asked, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        let mut steps = HashTable::new();
        for (from, node) in (0..).zip(self.nodes) {
            node.noted.iter().for_each(|&step| insert(&mut steps, from, step));
            noted.push(node.noted);
            asked.push(node.asked);
            ends.push(node.ends);
        }
        Plan {
            noted: Lists::new(noted),
            asked: Lists::new(asked),
            asked_with_values: Lists::new(self.asked_with_values),
            ends: Lists::new(ends),
            steps,
        }
    }
}

impl Plan {
    /// Calls `found` with each alternative all of whose conditions are met. `pending` is working memory.
    pub(super) fn for_each(
        &self,
        hits: &Hits,
        pending: &mut Vec<u32>,
        is_met: impl Fn(&Hits, u32) -> bool,
        mut found: impl FnMut(u32),
    ) {
        let is_met = |step: &&Step| is_met(hits, step.condition);
        pending.clear();
        for &path in &hits.present {
            pending.extend(self.asked_with_values.get(path).iter().filter(is_met).map(|step| step.to));
        }
        pending.push(ROOT);
        while let Some(at) = pending.pop() {
            self.ends.get(at).iter().copied().for_each(&mut found);
            let noted = self.noted.get(at);
            if noted.len() <= LISTED_MAX.max(hits.met.len()) {
                pending.extend(noted.iter().filter(|step| hits.is_met(step.condition)).map(|step| step.to));
            } else {
                pending.extend(hits.met.iter().filter_map(|&condition| find(&self.steps, at, condition)));
            }
            pending.extend(self.asked.get(at).iter().filter(is_met).map(|step| step.to));
        }
    }
}

fn insert(steps: &mut HashTable<(u32, Step)>, from: u32, step: Step) {
    let hash_of_entry = |(from, step): &(u32, Step)| hash_of(*from, step.condition);
    steps.insert_unique(hash_of(from, step.condition), (from, step), hash_of_entry);
}

fn find(steps: &HashTable<(u32, Step)>, from: u32, condition: u32) -> Option<u32> {
    let is_it = |(at, step): &(u32, Step)| *at == from && step.condition == condition;
    steps.find(hash_of(from, condition), is_it).map(|(_, step)| step.to)
}

fn hash_of(from: u32, condition: u32) -> u64 {
    hash::whole(0, from, &condition.to_le_bytes())
}
