//! Array consistency: whether the same elements of an event's arrays meet all conditions.
//!
//! A way to meet them chooses at most one element of each array, and each chosen element must meet a
//! condition. A condition is met by a value all of whose arrays have the element chosen that holds it. A field
//! is absent if no value at its path is left: those in other elements than the chosen ones do not count.

use std::mem;

use smallvec::SmallVec;

use super::error::JsonError;
use super::{EVENT_CHOICES_MAX, EVENT_STEPS_MAX};

/// The node that stands for the event itself.
pub(super) const ROOT: u32 = 0;

/// An array, or an element of one that is an array or object itself.
#[derive(Clone, Copy, Debug)]
struct Node {
    /// The element that an array lies in, or the array that an element belongs to.
    parent: u32,
    is_array: bool,
}

/// The arrays of an event with the elements that are arrays or objects. Whoever is within another comes
/// after it.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

impl Tree {
    pub(super) fn new() -> Self {
        Self { nodes: vec![Node { parent: ROOT, is_array: false }] }
    }

    pub(super) fn clear(&mut self) {
        self.nodes.truncate(1);
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Adds an array within `element`.
    pub(super) fn add_array(&mut self, element: u32) -> u32 {
        self.add(Node { parent: element, is_array: true })
    }

    /// Adds an element of `array`.
    pub(super) fn add_element(&mut self, array: u32) -> u32 {
        self.add(Node { parent: array, is_array: false })
    }

    fn add(&mut self, node: Node) -> u32 {
        self.nodes.push(node);
        u32::try_from(self.nodes.len() - 1).expect("an event has fewer bytes than 2^32")
    }
}

/// What one way to choose elements gives: bits of conditions.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Choice {
    /// The conditions that are met.
    met: u64,
    /// The conditions at whose paths there are values.
    present: u64,
}

impl Choice {
    fn is_as_good_as(self, other: Self) -> bool {
        self.met | other.met == self.met && self.present & other.present == self.present
    }
}

/// Working memory of [`Consistency::is_met`], by node.
#[derive(Debug, Default)]
pub(super) struct Consistency {
    own: Vec<Choice>,
    bits: Vec<Bits>,
    ways: Vec<Ways>,
    steps: usize,
}

/// Bits of conditions.
#[derive(Clone, Copy, Debug, Default)]
struct Bits {
    /// At whose paths there are values in a node or within it.
    within: u64,
    /// Whose values lie in several arrays of an element, or in one and beside it.
    scattered: u64,
    /// That are met within a node or not at all, if the elements around it are chosen.
    decided: u64,
}

/// The ways to choose elements within a node.
#[derive(Debug, Default)]
struct Ways {
    list: SmallVec<[Choice; 2]>,
    /// Whether what is decided within the node cannot be met, whatever is chosen.
    is_hopeless: bool,
}

impl Consistency {
    /// Begins with an event.
    pub(super) fn begin(&mut self) {
        self.steps = 0;
    }

    /// Counts work on this event.
    pub(super) fn work(&mut self, steps: usize) -> Result<(), JsonError> {
        self.steps += steps;
        if self.steps > EVENT_STEPS_MAX {
            return Err(JsonError::TooMuchWork { max: EVENT_STEPS_MAX });
        }
        Ok(())
    }

    /// Forgets the values of the conditions before.
    pub(super) fn clear(&mut self, tree: &Tree) -> Result<(), JsonError> {
        self.work(tree.len())?;
        self.own.clear();
        self.own.resize(tree.len(), Choice::default());
        self.bits.clear();
        self.bits.resize(tree.len(), Bits::default());
        for ways in &mut self.ways {
            ways.list.clear();
            ways.is_hopeless = false;
        }
        self.ways.resize_with(tree.len(), Ways::default);
        Ok(())
    }

    /// Notes a value at the path of `condition` in `element`, and whether it meets the condition.
    pub(super) fn add(&mut self, element: u32, condition: usize, meets: bool) {
        let own = &mut self.own[element as usize];
        own.present |= 1 << condition;
        own.met |= u64::from(meets) << condition;
        self.bits[element as usize].within |= 1 << condition;
    }

    /// Whether the values noted since `clear` meet all of `wanted`. Those of `absentable` are also met if there
    /// is no value.
    pub(super) fn is_met(&mut self, tree: &Tree, wanted: u64, absentable: u64) -> Result<bool, JsonError> {
        self.decide(tree, wanted);
        // Children come after their parents, so from last to first each node is ready when its turn comes.
        for at in (1..tree.len()).rev() {
            let node = tree.nodes[at];
            let parent = node.parent as usize;
            if self.bits[at].within == 0 {
                continue;
            }
            if node.is_array {
                self.choose_from_array(at, parent, absentable)?;
            } else {
                self.finish_element(at, parent)?;
            }
        }
        let (own, ways) = (self.own[ROOT as usize], &self.ways[ROOT as usize]);
        let meets_all = |way: &Choice| {
            let (met, present) = (way.met | own.met, way.present | own.present);
            (met | absentable & !present) & wanted == wanted
        };
        Ok(!ways.is_hopeless
            && if ways.list.is_empty() {
                meets_all(&Choice::default())
            } else {
                ways.list.iter().any(meets_all)
            })
    }

    /// Finds where each condition is decided. This keeps the ways few: of those of an array only the ones that
    /// meet what no other place can meet are left.
    fn decide(&mut self, tree: &Tree, wanted: u64) {
        for at in (1..tree.len()).rev() {
            let within = self.bits[at].within;
            let parent = &mut self.bits[tree.nodes[at].parent as usize];
            parent.scattered |= parent.within & within;
            parent.within |= within;
        }
        self.bits[ROOT as usize].decided = wanted;
        for at in 1..tree.len() {
            let node = tree.nodes[at];
            let parent = self.bits[node.parent as usize];
            let bits = &mut self.bits[at];
            bits.decided =
                if node.is_array { bits.within & parent.decided & !parent.scattered } else { parent.decided };
        }
    }

    /// Hands the ways of an element to its array: those in which it meets something.
    fn finish_element(&mut self, element: usize, array: usize) -> Result<(), JsonError> {
        let own = self.own[element];
        let Ways { mut list, is_hopeless } = mem::take(&mut self.ways[element]);
        if is_hopeless {
            return Ok(());
        }
        if list.is_empty() {
            list.push(Choice::default());
        }
        for way in list {
            let way = Choice { met: way.met | own.met, present: way.present | own.present };
            if way.met != 0 {
                self.add_way(array, way)?;
            }
        }
        Ok(())
    }

    /// Combines the ways of the element around an array with those of the array: one of its elements, or none.
    fn choose_from_array(&mut self, array: usize, element: usize, absentable: u64) -> Result<(), JsonError> {
        let Bits { within, decided, .. } = self.bits[array];
        let ways = mem::take(&mut self.ways[array].list);
        let mut before = mem::take(&mut self.ways[element].list);
        if before.is_empty() {
            before.push(Choice::default());
        }
        let none = (decided == 0).then_some(Choice { met: 0, present: within });
        let meets_decided = |way: &Choice| (way.met | absentable & !way.present) & decided == decided;
        // What is decided need not be told apart any more.
        let settled = |way: Choice| Choice { met: way.met | decided, present: way.present & !decided };
        for right in ways.into_iter().filter(meets_decided).map(settled).chain(none) {
            for left in &before {
                let met = left.met | right.met;
                if left.met == right.met && met.is_power_of_two() {
                    continue; // two elements cannot be chosen for one condition
                }
                self.add_way(element, Choice { met, present: left.present | right.present })?;
            }
        }
        self.ways[element].is_hopeless |= self.ways[element].list.is_empty();
        Ok(())
    }

    /// Adds a way unless one that is there is as good, and drops those that are no better.
    fn add_way(&mut self, node: usize, way: Choice) -> Result<(), JsonError> {
        self.work(1 + self.ways[node].list.len())?;
        let ways = &mut self.ways[node].list;
        if ways.iter().any(|other| other.is_as_good_as(way)) {
            return Ok(());
        }
        ways.retain(|other| !way.is_as_good_as(*other));
        if ways.len() == EVENT_CHOICES_MAX {
            return Err(JsonError::TooComplex { max: EVENT_CHOICES_MAX });
        }
        ways.push(way);
        Ok(())
    }
}
