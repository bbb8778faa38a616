//! The trie of topic filters: one lookup per level of the topic, however many filters there are.
//!
//! Nodes lie in one vector and name each other by index, and all steps from node to node are in one hash
//! table. So nothing here recurses: a filter with 32,000 levels costs memory, never the stack, and dropping a
//! trie is dropping two vectors.
//!
//! A node below which there is one filter has the rest of that as its tail. Of the many filters that differ in
//! one level, such as a device's, each is then one node, and finding it reads two places in memory.

use std::fmt;
use std::mem;
use std::ops::ControlFlow;

use smallvec::SmallVec;

use super::label::{self, Label, first_level};
use super::steps::Steps;
use super::{ALL_LEVELS, ONE_LEVEL, TopicFilter, hash};

const ROOT: u32 = 0;
/// Stands for "no node": the root is nobody's child.
const NONE: u32 = 0;
/// Below this many nodes memory is not given back: it is too little to matter.
const NODES_KEPT: usize = 1_024;

/// Values filed under topic filters, found by topic.
///
/// Finding costs one hash lookup per level of the topic and per `+` branch that fits, whatever the number of
/// filters. Several values may stand under one filter. Memory follows what is in it: nodes that nothing needs
/// are reused, and given back when three quarters are unused.
pub struct TopicTrie<T> {
    nodes: Vec<Node<T>>,
    steps: Steps,
    unused: Vec<u32>,
    len: usize,
    hash_seed: u64,
}

struct Node<T> {
    label: Label,
    parent: u32,
    named_children: u32,
    one_level: u32,
    all_levels: u32,
    values: SmallVec<[T; 1]>,
}

impl<T> Node<T> {
    /// One with no children; `label` is its level, and its tail if it has one.
    fn new(parent: u32, label: &str) -> Self {
        let (one_level, all_levels) = (NONE, NONE);
        Self {
            label: Label::new(label),
            parent,
            named_children: 0,
            one_level,
            all_levels,
            values: SmallVec::new(),
        }
    }

    fn hash(&self, seed: u64) -> u32 {
        hash::step(seed, self.parent, self.label.level())
    }

    fn is_unneeded(&self) -> bool {
        self.values.is_empty()
            && self.named_children == 0
            && self.one_level == NONE
            && self.all_levels == NONE
    }
}

impl<T> TopicTrie<T> {
    /// An empty trie for filters that come from a trusted place.
    pub fn new() -> Self {
        Self::with_hash_seed(0)
    }

    /// An empty trie for filters that strangers choose: they must not be able to guess `hash_seed`, or they
    /// could choose levels that make lookups slow.
    pub fn with_hash_seed(hash_seed: u64) -> Self {
        let nodes = vec![Node::new(ROOT, "")];
        Self { nodes, steps: Steps::default(), unused: Vec::new(), len: 0, hash_seed }
    }

    /// How many values it holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds no value.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Files `value` under `filter`, beside those that are there already.
    pub fn insert(&mut self, filter: &TopicFilter, value: T) {
        let (mut at, mut rest) = (ROOT, Some(filter.as_str()));
        while let Some(levels) = rest {
            let (level, below) = first_level(levels);
            match self.child(at, level) {
                NONE => {
                    at = self.add_child(at, levels);
                    break;
                }
                child => (at, rest) = (child, below),
            }
            if let Some(tail) = self.nodes[at as usize].label.tail() {
                if Some(tail) == rest.map(str::as_bytes) {
                    break;
                }
                (at, rest) = self.split(at, rest);
            }
        }
        self.nodes[at as usize].values.push(value);
        self.len += 1;
    }

    /// The values filed under exactly this filter, in no order.
    pub fn values(&self, filter: &TopicFilter) -> &[T] {
        self.find(filter).map_or(&[], |at| &self.nodes[at as usize].values)
    }

    /// The values filed under exactly this filter, to be changed in place.
    pub fn values_mut(&mut self, filter: &TopicFilter) -> &mut [T] {
        match self.find(filter) {
            None => &mut [],
            Some(at) => &mut self.nodes[at as usize].values,
        }
    }

    /// Takes out one value under exactly this filter that `is_it` picks.
    pub fn remove(&mut self, filter: &TopicFilter, is_it: impl Fn(&T) -> bool) -> Option<T> {
        let at = self.find(filter)?;
        let values = &mut self.nodes[at as usize].values;
        let position = values.iter().position(is_it)?;
        let value = values.swap_remove(position);
        if values.spilled() && values.len() <= values.capacity() / 4 {
            values.shrink_to_fit();
        }
        self.len -= 1;
        self.prune(at);
        self.give_back();
        Some(value)
    }

    /// Calls `found` for each value whose filter matches `topic`, in no order.
    pub fn for_each_match<'trie>(&'trie self, topic: &str, mut found: impl FnMut(&'trie T)) {
        let _ = self.try_for_each_match(topic, |value| {
            found(value);
            ControlFlow::Continue(())
        });
    }

    /// Whether some filter matches `topic`.
    pub fn has_match(&self, topic: &str) -> bool {
        self.try_for_each_match(topic, |_| ControlFlow::Break(())).is_break()
    }

    /// As `for_each_match`, until `found` says to stop.
    pub fn try_for_each_match<'trie>(
        &'trie self,
        topic: &str,
        mut found: impl FnMut(&'trie T) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let hidden_from_wildcards = topic.starts_with('$');
        // Where the search still has to go: a node, and what of the topic is left below it.
        let mut pending: SmallVec<[(u32, Option<&str>); 16]> = SmallVec::new();
        pending.push((ROOT, Some(topic)));
        while let Some((mut at, mut rest)) = pending.pop() {
            loop {
                let node = &self.nodes[at as usize];
                if let Some(tail) = node.label.tail() {
                    if label::tail_matches(tail, rest) {
                        node.values.iter().try_for_each(&mut found)?;
                    }
                    break;
                }
                let wildcards_count = at != ROOT || !hidden_from_wildcards; // [MQTT-4.7.2-1]
                if node.all_levels != NONE && wildcards_count {
                    self.nodes[node.all_levels as usize].values.iter().try_for_each(&mut found)?;
                }
                let Some(levels) = rest else {
                    node.values.iter().try_for_each(&mut found)?;
                    break;
                };
                let (level, below) = first_level(levels);
                if node.one_level != NONE && wildcards_count {
                    pending.push((node.one_level, below));
                }
                match self.named_child(at, level) {
                    NONE => break,
                    child => (at, rest) = (child, below),
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn find(&self, filter: &TopicFilter) -> Option<u32> {
        let (mut at, mut rest) = (ROOT, Some(filter.as_str()));
        while let Some(levels) = rest {
            let (level, below) = first_level(levels);
            match self.child(at, level) {
                NONE => return None,
                child => (at, rest) = (child, below),
            }
            if let Some(tail) = self.nodes[at as usize].label.tail() {
                return (Some(tail) == rest.map(str::as_bytes)).then_some(at);
            }
        }
        Some(at)
    }

    /// Makes nodes of the tail of a node as far as another filter, whose levels below the node are `rest`, goes
    /// the same way. Gives where that is, and what of the other is left there.
    fn split<'filter>(&mut self, mut at: u32, mut rest: Option<&'filter str>) -> (u32, Option<&'filter str>) {
        let node = &mut self.nodes[at as usize];
        let (tail, values) = (node.label.take_tail(), mem::take(&mut node.values));
        let mut tail = Some(&*tail);
        while let (Some(old), Some(new)) = (tail, rest) {
            let ((old_level, old_below), (new_level, new_below)) = (first_level(old), first_level(new));
            if old_level != new_level {
                break;
            }
            at = self.add_child(at, old_level);
            (tail, rest) = (old_below, new_below);
        }
        let end = tail.map_or(at, |tail| self.add_child(at, tail));
        self.nodes[end as usize].values = values;
        (at, rest)
    }

    /// The child of a filter's level, which may be a wildcard.
    fn child(&self, parent: u32, level: &str) -> u32 {
        match level {
            ONE_LEVEL => self.nodes[parent as usize].one_level,
            ALL_LEVELS => self.nodes[parent as usize].all_levels,
            name => self.named_child(parent, name),
        }
    }

    /// The child of a topic's level.
    fn named_child(&self, parent: u32, level: &str) -> u32 {
        if self.nodes[parent as usize].named_children == 0 {
            return NONE;
        }
        let is_it = |index: u32| {
            let node = &self.nodes[index as usize];
            node.parent == parent && node.label.level() == level.as_bytes()
        };
        self.steps.find(hash::step(self.hash_seed, parent, level.as_bytes()), is_it)
    }

    /// Adds a child that is not there; `label` is its level, and its tail if it has one.
    fn add_child(&mut self, parent: u32, label: &str) -> u32 {
        let node = Node::new(parent, label);
        let child = if let Some(index) = self.unused.pop() {
            self.nodes[index as usize] = node;
            index
        } else {
            self.nodes.push(node);
            u32::try_from(self.nodes.len() - 1).expect("memory ends long before 2^32 nodes")
        };
        match first_level(label).0 {
            ONE_LEVEL => self.nodes[parent as usize].one_level = child,
            ALL_LEVELS => self.nodes[parent as usize].all_levels = child,
            _ => {
                self.nodes[parent as usize].named_children += 1;
                self.add_step(child);
            }
        }
        child
    }

    fn add_step(&mut self, child: u32) {
        self.steps.insert(self.nodes[child as usize].hash(self.hash_seed), child);
    }

    /// Takes away the node at `at` and those above it, as far as nothing needs them.
    fn prune(&mut self, mut at: u32) {
        while at != ROOT && self.nodes[at as usize].is_unneeded() {
            let node = mem::replace(&mut self.nodes[at as usize], Node::new(ROOT, ""));
            let parent = &mut self.nodes[node.parent as usize];
            if parent.one_level == at {
                parent.one_level = NONE;
            } else if parent.all_levels == at {
                parent.all_levels = NONE;
            } else {
                parent.named_children -= 1;
                self.steps.remove(node.hash(self.hash_seed), at);
            }
            self.unused.push(at);
            at = node.parent;
        }
    }

    /// Moves the nodes together once three quarters of their places are unused, which costs a constant amount
    /// per removal.
    fn give_back(&mut self) {
        if self.nodes.len() <= NODES_KEPT || self.unused.len() / 3 < self.nodes.len() / 4 {
            return;
        }
        let mut is_used = vec![true; self.nodes.len()];
        for index in mem::take(&mut self.unused) {
            is_used[index as usize] = false;
        }
        let mut used_before = 0;
        let mut new_index = Vec::with_capacity(is_used.len());
        for &used in &is_used {
            new_index.push(used_before);
            used_before += u32::from(used);
        }
        let mut used = is_used.into_iter();
        self.nodes.retain(|_| used.next() == Some(true));
        self.nodes.shrink_to_fit();
        for node in &mut self.nodes {
            for link in [&mut node.parent, &mut node.one_level, &mut node.all_levels] {
                *link = new_index[*link as usize]; // ROOT and NONE stay 0
            }
        }
        self.steps = Steps::with_room(self.nodes.len());
        for index in 1..self.nodes.len() {
            let is_wildcard = matches!(self.nodes[index].label.level(), b"+" | b"#");
            if !is_wildcard {
                self.add_step(u32::try_from(index).expect("indices were u32 before"));
            }
        }
    }

    #[cfg(test)]
    fn places(&self) -> (usize, usize) {
        (self.nodes.capacity(), self.steps.places())
    }
}

impl<T> Default for TopicTrie<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for TopicTrie<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = self.nodes.len() - self.unused.len();
        formatter
            .debug_struct("TopicTrie")
            .field("len", &self.len)
            .field("nodes", &nodes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
