//! In which order conditions are looked at: a tree in which alternatives that begin alike share the beginning.

use hashbrown::HashTable;

use super::hits::Hits;
use crate::topic::hash;

const ROOT: u32 = 0;
/// Up to so many steps of a node are looked at one by one, even if fewer conditions are met.
const LISTED_MAX: usize = 4;

/// The tree. Each alternative is a way from the root, whose steps are its conditions; the rarest comes first.
#[derive(Debug)]
pub(super) struct Plan {
    nodes: Vec<Node>,
    /// All steps by the node they begin at and the condition that must be met.
    steps: HashTable<Step>,
    /// The steps from the root that need a look at values that meet nothing, by the path of those values.
    by_path: Vec<Vec<Step>>,
}

#[derive(Debug, Default)]
struct Node {
    /// Steps whose condition is met by passing a test, so that it is among those noted.
    noted: Vec<Step>,
    /// Steps whose condition must be asked whether it is met.
    asked: Vec<Step>,
    /// The alternatives that are met here.
    alternatives: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    from: u32,
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

impl Plan {
    pub(super) fn new(paths: usize) -> Self {
        Self { nodes: vec![Node::default()], steps: HashTable::new(), by_path: vec![Vec::new(); paths] }
    }

    /// Adds an alternative by its conditions, in the order in which they are to be looked at.
    pub(super) fn add(&mut self, alternative: u32, conditions: impl Iterator<Item = (u32, Shows)>) {
        let mut at = ROOT;
        for (condition, shows) in conditions {
            at = match self.step(at, condition) {
                Some(to) => to,
                None => self.add_step(at, condition, shows),
            };
        }
        self.nodes[at as usize].alternatives.push(alternative);
    }

    fn step(&self, from: u32, condition: u32) -> Option<u32> {
        let is_it = |step: &Step| step.from == from && step.condition == condition;
        self.steps.find(hash_of(from, condition), is_it).map(|step| step.to)
    }

    fn add_step(&mut self, from: u32, condition: u32, shows: Shows) -> u32 {
        let to = u32::try_from(self.nodes.len()).expect("memory ends long before 2^32 nodes");
        self.nodes.push(Node::default());
        let step = Step { from, condition, to };
        self.steps.insert_unique(hash_of(from, condition), step, |step| hash_of(step.from, step.condition));
        let node = &mut self.nodes[from as usize];
        match shows {
            Shows::Noted => node.noted.push(step),
            Shows::WithValues(path) if from == ROOT => self.by_path[path as usize].push(step),
            Shows::WithValues(_) | Shows::Always => node.asked.push(step),
        }
        to
    }

    /// Calls `found` with each alternative all of whose conditions are met. `pending` is working memory.
    pub(super) fn for_each(
        &self,
        hits: &Hits,
        pending: &mut Vec<u32>,
        is_met: impl Fn(&Hits, u32) -> bool,
        mut found: impl FnMut(u32),
    ) {
        pending.clear();
        for &path in &hits.present {
            let met = self.by_path[path as usize].iter().filter(|step| is_met(hits, step.condition));
            pending.extend(met.map(|step| step.to));
        }
        pending.push(ROOT);
        while let Some(at) = pending.pop() {
            let node = &self.nodes[at as usize];
            node.alternatives.iter().copied().for_each(&mut found);
            if node.noted.len() <= LISTED_MAX.max(hits.met.len()) {
                pending
                    .extend(node.noted.iter().filter(|step| hits.is_met(step.condition)).map(|step| step.to));
            } else {
                pending.extend(hits.met.iter().filter_map(|&condition| self.step(at, condition)));
            }
            let asked = node.asked.iter().filter(|step| is_met(hits, step.condition));
            pending.extend(asked.map(|step| step.to));
        }
    }
}

fn hash_of(from: u32, condition: u32) -> u64 {
    hash::whole(0, from, &condition.to_le_bytes())
}
