//! The paths that patterns name, as a tree of members' names.

use hashbrown::HashTable;

use crate::topic::hash;

/// The node of the event itself.
pub(super) const ROOT: u32 = 0;
/// Up to so many children are looked at one by one.
const LISTED_MAX: usize = 8;

/// The tree. Each node has a number, by which other parts know its path.
#[derive(Debug)]
pub(super) struct Paths {
    nodes: Vec<Node>,
    /// The children of nodes that have more than [`LISTED_MAX`].
    steps: HashTable<u32>,
}

#[derive(Debug, Default)]
struct Node {
    name: Box<[u8]>,
    parent: u32,
    children: Vec<Child>,
    /// Whether a child has children, so that a name with dots may lead on from here.
    has_grandchildren: bool,
    /// Whether patterns ask for the values here.
    is_wanted: bool,
}

/// A child with as much of its name as is cheap to compare.
#[derive(Clone, Copy, Debug)]
struct Child {
    head: u64,
    len: usize,
    node: u32,
}

impl Paths {
    pub(super) fn new() -> Self {
        Self { nodes: vec![Node::default()], steps: HashTable::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The node of a path with dots, whose values are wanted from now on.
    pub(super) fn add(&mut self, path: &str) -> u32 {
        let mut at = ROOT;
        for name in path.split('.') {
            at = match self.child(at, name.as_bytes()) {
                Some(child) => child,
                None => self.add_child(at, name.as_bytes()),
            };
        }
        self.nodes[at as usize].is_wanted = true;
        at
    }

    pub(super) fn is_wanted(&self, node: u32) -> bool {
        self.nodes[node as usize].is_wanted
    }

    pub(super) fn has_children(&self, node: u32) -> bool {
        !self.nodes[node as usize].children.is_empty()
    }

    /// Where a member of this name leads from `at`. Dots in the name are steps.
    #[inline]
    pub(super) fn member(&self, at: u32, name: &[u8]) -> Option<u32> {
        let found = self.child(at, name);
        if found.is_some() || !self.nodes[at as usize].has_grandchildren || !name.contains(&b'.') {
            return found;
        }
        name.split(|&byte| byte == b'.').try_fold(at, |at, name| self.child(at, name))
    }

    #[inline]
    fn child(&self, at: u32, name: &[u8]) -> Option<u32> {
        let children = &self.nodes[at as usize].children;
        if children.len() > LISTED_MAX {
            return self.child_by_hash(at, name);
        }
        let head = head(name);
        let is_it = |child: &&Child| {
            child.head == head
                && child.len == name.len()
                && (name.len() <= 8 || *self.nodes[child.node as usize].name == *name)
        };
        children.iter().find(is_it).map(|child| child.node)
    }

    fn child_by_hash(&self, at: u32, name: &[u8]) -> Option<u32> {
        let is_it = |&index: &u32| {
            let node = &self.nodes[index as usize];
            node.parent == at && *node.name == *name
        };
        self.steps.find(hash::whole(0, at, name), is_it).copied()
    }

    fn add_child(&mut self, at: u32, name: &[u8]) -> u32 {
        let child = u32::try_from(self.nodes.len()).expect("memory ends long before 2^32 nodes");
        self.nodes.push(Node { name: name.into(), parent: at, ..Node::default() });
        let siblings = &mut self.nodes[at as usize].children;
        siblings.push(Child { head: head(name), len: name.len(), node: child });
        let listed = match siblings.len() {
            0..=LISTED_MAX => siblings.len(),
            len if len == LISTED_MAX + 1 => 0,
            len => len - 1,
        };
        let children = siblings.len();
        for index in listed..children {
            let nodes = &self.nodes;
            let node = nodes[at as usize].children[index].node;
            let hash_of = |&index: &u32| {
                let node = &nodes[index as usize];
                hash::whole(0, node.parent, &node.name)
            };
            self.steps.insert_unique(hash_of(&node), node, hash_of);
        }
        let parent = self.nodes[at as usize].parent;
        self.nodes[parent as usize].has_grandchildren |= at != ROOT;
        child
    }
}

/// The first eight bytes, or all with zeros behind.
#[inline]
fn head(name: &[u8]) -> u64 {
    match name.first_chunk::<8>() {
        Some(head) => u64::from_le_bytes(*head),
        None => name.iter().rev().fold(0, |head, &byte| head << 8 | u64::from(byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_nodes() {
        let mut paths = Paths::new();
        let deep = paths.add("detail.state.status");
        let flat = paths.add("detail.room");
        let state = paths.member(paths.member(ROOT, b"detail").unwrap(), b"state").unwrap();
        assert_eq!(paths.member(state, b"status"), Some(deep));
        assert_eq!(paths.member(ROOT, b"detail.state.status"), Some(deep));
        assert_eq!(paths.member(ROOT, b"detail.room"), Some(flat));
        assert_eq!(paths.member(ROOT, b"detail.rooms"), None);
        assert_eq!(paths.member(ROOT, b"detail\0"), None);
        assert!(paths.is_wanted(flat) && !paths.is_wanted(state) && paths.has_children(state));
        let empty = paths.add("");
        let below = paths.add(".x");
        assert_eq!((paths.member(ROOT, b""), paths.member(empty, b"x")), (Some(empty), Some(below)));
    }

    #[test]
    fn many_names_are_found_by_hash() {
        let mut paths = Paths::new();
        let nodes: Vec<u32> = (0..1_000).map(|index| paths.add(&format!("a.field-number-{index}"))).collect();
        let at = paths.member(ROOT, b"a").unwrap();
        for (index, &node) in nodes.iter().enumerate() {
            assert_eq!(paths.member(at, format!("field-number-{index}").as_bytes()), Some(node));
            assert_eq!(paths.add(&format!("a.field-number-{index}")), node);
        }
        assert_eq!(paths.member(at, b"field-number-1000"), None);
        assert_eq!(paths.len(), 1_002);
    }
}
