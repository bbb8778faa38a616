//! The trie of topic filters: one lookup per level of the topic, however many filters there are.
//!
//! Nodes lie in one vector and name each other by index, and all steps from node to node are in one hash
//! table. So nothing here recurses: a filter with 32,000 levels costs memory, never the stack, and dropping a
//! trie is dropping two vectors.

use std::fmt;
use std::mem;
use std::ops::ControlFlow;

use hashbrown::HashTable;
use smallvec::SmallVec;

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
    steps: HashTable<u32>,
    unused: Vec<u32>,
    len: usize,
    hash_seed: u64,
}

struct Node<T> {
    level: Box<str>,
    parent: u32,
    named_children: u32,
    one_level: u32,
    all_levels: u32,
    values: SmallVec<[T; 1]>,
}

impl<T> Node<T> {
    fn new(parent: u32, level: &str) -> Self {
        let (one_level, all_levels) = (NONE, NONE);
        Self {
            level: level.into(),
            parent,
            named_children: 0,
            one_level,
            all_levels,
            values: SmallVec::new(),
        }
    }

    fn hash(&self, seed: u64) -> u64 {
        hash::step(seed, self.parent, self.level.as_bytes())
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
        Self { nodes, steps: HashTable::new(), unused: Vec::new(), len: 0, hash_seed }
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
        let mut at = ROOT;
        for level in filter.as_str().split('/') {
            at = match self.child(at, level) {
                NONE => self.add_child(at, level),
                child => child,
            };
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
                let wildcards_count = at != ROOT || !hidden_from_wildcards; // [MQTT-4.7.2-1]
                if node.all_levels != NONE && wildcards_count {
                    self.nodes[node.all_levels as usize].values.iter().try_for_each(&mut found)?;
                }
                let Some(levels) = rest else {
                    node.values.iter().try_for_each(&mut found)?;
                    break;
                };
                let (level, below) = match levels.split_once('/') {
                    None => (levels, None),
                    Some((level, below)) => (level, Some(below)),
                };
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
        let mut at = ROOT;
        for level in filter.as_str().split('/') {
            at = match self.child(at, level) {
                NONE => return None,
                child => child,
            };
        }
        Some(at)
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
        let is_it = |&index: &u32| {
            let node = &self.nodes[index as usize];
            node.parent == parent && *node.level == *level
        };
        self.steps.find(hash::step(self.hash_seed, parent, level.as_bytes()), is_it).copied().unwrap_or(NONE)
    }

    fn add_child(&mut self, parent: u32, level: &str) -> u32 {
        let node = Node::new(parent, level);
        let child = if let Some(index) = self.unused.pop() {
            self.nodes[index as usize] = node;
            index
        } else {
            self.nodes.push(node);
            u32::try_from(self.nodes.len() - 1).expect("memory ends long before 2^32 nodes")
        };
        match level {
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
        let (nodes, seed) = (&self.nodes, self.hash_seed);
        let hash_of = |&index: &u32| nodes[index as usize].hash(seed);
        self.steps.insert_unique(hash_of(&child), child, hash_of);
    }

    /// Takes away the node at `at` and those above it, as far as nothing needs them.
    fn prune(&mut self, mut at: u32) {
        while at != ROOT && self.nodes[at as usize].is_unneeded() {
            let node = mem::replace(&mut self.nodes[at as usize], Node::new(ROOT, ""));
            let parent = &mut self.nodes[node.parent as usize];
            match &*node.level {
                ONE_LEVEL => parent.one_level = NONE,
                ALL_LEVELS => parent.all_levels = NONE,
                _ => {
                    parent.named_children -= 1;
                    if let Ok(step) = self.steps.find_entry(node.hash(self.hash_seed), |&index| index == at) {
                        step.remove();
                    }
                }
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
        self.steps = HashTable::with_capacity(self.nodes.len());
        for index in 1..self.nodes.len() {
            if !matches!(&*self.nodes[index].level, ONE_LEVEL | ALL_LEVELS) {
                self.add_step(u32::try_from(index).expect("indices were u32 before"));
            }
        }
    }

    #[cfg(test)]
    fn places(&self) -> (usize, usize) {
        (self.nodes.capacity(), self.steps.capacity())
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
mod tests {
    use super::*;

    fn filter(text: &str) -> TopicFilter {
        TopicFilter::parse(text).unwrap()
    }

    fn matches(trie: &TopicTrie<u32>, topic: &str) -> Vec<u32> {
        let mut found = Vec::new();
        trie.for_each_match(topic, |&value| found.push(value));
        found.sort_unstable();
        found
    }

    #[test]
    fn several_values_stand_under_one_filter() {
        let mut trie = TopicTrie::new();
        for value in [1, 2, 3] {
            trie.insert(&filter("a/b"), value);
        }
        trie.insert(&filter("a/+"), 4);
        assert_eq!(matches(&trie, "a/b"), [1, 2, 3, 4]);
        assert_eq!(trie.remove(&filter("a/b"), |&value| value == 2), Some(2));
        assert_eq!(trie.remove(&filter("a/b"), |&value| value == 2), None);
        assert_eq!(trie.remove(&filter("a"), |_| true), None, "a node on the way is no filter");
        trie.values_mut(&filter("a/b"))[0] = 9;
        assert_eq!(matches(&trie, "a/b"), [3, 4, 9]);
        assert_eq!((trie.len(), trie.values(&filter("a/b")).len()), (3, 2));
        assert!(trie.has_match("a/z") && !trie.has_match("b/z"));
    }

    #[test]
    fn a_filter_of_32_000_levels_needs_no_stack() {
        let deep = filter(&vec!["+"; 32_000].join("/"));
        let topic = vec!["x"; 32_000].join("/");
        let mut trie = TopicTrie::new();
        trie.insert(&deep, 1);
        trie.insert(&filter(&topic), 2);
        assert_eq!(matches(&trie, &topic), [1, 2]);
        assert_eq!(trie.remove(&deep, |_| true), Some(1));
        assert_eq!(matches(&trie, &topic), [2]);
        drop(trie);
    }

    #[test]
    fn memory_is_flat_while_filters_come_and_go() {
        let mut trie = TopicTrie::new();
        trie.insert(&filter("stays/+/#"), 0);
        for client in 0..200_000 {
            let own = filter(&format!("chat/in/client-{client}"));
            trie.insert(&own, client);
            assert_eq!(trie.remove(&own, |_| true), Some(client));
        }
        let (nodes, steps) = trie.places();
        assert!(nodes <= 16 && steps <= 16, "{nodes} nodes, {steps} steps");
        assert_eq!(matches(&trie, "stays/1/2"), [0]);
    }

    #[test]
    fn memory_is_given_back_after_a_crowd() {
        let mut trie = TopicTrie::new();
        let own = |client: u32| filter(&format!("chat/+/{client}/in"));
        for client in 0..50_000 {
            trie.insert(&own(client), client);
        }
        for client in 0..50_000 {
            if client % 10_000 != 7 {
                assert_eq!(trie.remove(&own(client), |_| true), Some(client));
            }
        }
        let (nodes, steps) = trie.places();
        assert!(nodes <= 2 * NODES_KEPT && steps <= 4 * NODES_KEPT, "{nodes} nodes, {steps} steps");
        assert_eq!(matches(&trie, "chat/x/20007/in"), [20_007]);
        assert_eq!(trie.len(), 5);
    }
}
