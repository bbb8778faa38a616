//! The members of a payload that a plan looks at, found in one pass.

use smallvec::{SmallVec, smallvec};

use crate::json::{RawText, Scanner};
use crate::limits::Limits;

/// One of the members, or the payload itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct MemberIndex(usize);

/// Which members of a payload are looked at: a tree of names.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// The first is the payload itself; each stands behind the one that it is a member of.
    nodes: Vec<Node>,
}

#[derive(Clone, Debug)]
struct Node {
    name: Box<str>,
    parent: MemberIndex,
    has_members: bool,
}

impl Shape {
    /// The payload itself.
    pub(super) const PAYLOAD: MemberIndex = MemberIndex(0);

    pub(super) fn new() -> Self {
        Self { nodes: vec![Node { name: "".into(), parent: Self::PAYLOAD, has_members: false }] }
    }

    /// The member with this name of what `parent` is. `None` if a plan looks at too many of them: each member of a payload
    /// is compared with all.
    pub(super) fn member(&mut self, parent: MemberIndex, name: &str) -> Option<MemberIndex> {
        const NODES_MAX: usize = 64;
        let is_it = |node: &Node| node.parent == parent && *node.name == *name;
        // The first is its own parent, and nobody's member.
        if let Some(at) = self.nodes.iter().skip(1).position(is_it) {
            return Some(MemberIndex(at + 1));
        }
        if self.nodes.len() >= NODES_MAX {
            return None;
        }
        self.nodes[parent.0].has_members = true;
        self.nodes.push(Node { name: name.into(), parent, has_members: false });
        Some(MemberIndex(self.nodes.len() - 1))
    }

    /// Finds the members. `None` if the payload is not JSON, or not certain to be JSON that a script may read.
    pub(super) fn find<'run>(&'run self, payload: &'run [u8], limits: &Limits) -> Option<Members<'run>> {
        let text = str::from_utf8(payload).ok().filter(|text| is_small(text, limits))?;
        let mut texts: Texts<'run> = smallvec![None; self.nodes.len()];
        let mut scanner = Scanner::new(text);
        if scanner.peek_token() == b'{' {
            let start = scanner.at();
            scanner.object(0, |name, value| self.note(Self::PAYLOAD, name, value, &mut texts)).ok()?;
            texts[0] = text.get(start..scanner.at());
        } else {
            texts[0] = Some(scanner.value(0).ok()?);
        }
        scanner.end().ok()?;
        if scanner.is_doubtful() {
            return None;
        }
        for (at, node) in self.nodes.iter().enumerate().skip(1).filter(|(_, node)| node.has_members) {
            debug_assert!(node.parent.0 < at, "members stand behind what they are members of");
            if let Some(text) = texts[at].filter(|text| text.starts_with('{')) {
                let note = |name, value| self.note(MemberIndex(at), name, value, &mut texts);
                Scanner::new(text).object(0, note).ok()?;
            }
        }
        Some(Members { shape: self, texts })
    }

    /// Notes a value if it is looked at; of several with one name the last stays.
    fn note<'run>(
        &self,
        parent: MemberIndex,
        name: RawText<'run>,
        value: &'run str,
        texts: &mut Texts<'run>,
    ) {
        let nodes = self.nodes.iter().zip(texts.iter_mut()).skip(1);
        for (node, text) in nodes.filter(|(node, _)| node.parent == parent) {
            if name.is(&node.name) {
                *text = Some(value);
            }
        }
    }
}

type Texts<'run> = SmallVec<[Option<&'run str>; 12]>;

/// A member that was looked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Member<'run> {
    Missing,
    /// There it is, as JSON.
    Text(&'run str),
}

/// Where the members are.
#[derive(Debug)]
pub(super) struct Members<'run> {
    shape: &'run Shape,
    texts: Texts<'run>,
}

impl<'run> Members<'run> {
    /// Looks at a member. `None` if what it would be a member of is no object.
    pub(super) fn get(&self, MemberIndex(at): MemberIndex) -> Option<Member<'run>> {
        if at > 0 {
            let parent = self.shape.nodes[at].parent.0;
            self.texts[parent].filter(|text| text.starts_with('{'))?;
        }
        Some(self.texts[at].map_or(Member::Missing, Member::Text))
    }
}

/// Whether a JSON text has no more text, elements and members than a script's value may have, by a bound that is quickly
/// found.
pub(super) fn is_small(text: &str, limits: &Limits) -> bool {
    let parts_max = limits.array_len_max.min(limits.map_len_max);
    let parts = || text.bytes().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count();
    text.len() <= limits.string_bytes_max.min(limits.payload_bytes_max)
        && (text.len() <= parts_max || parts() <= parts_max)
}
