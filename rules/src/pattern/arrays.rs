//! Array consistency: whether the same elements of an event's arrays meet all conditions.
//!
//! A way to meet them chooses at most one element of each array, and each chosen element must meet a
//! condition. A condition is met by a value all of whose arrays have the element chosen that holds it. A field
//! is absent if no value at its path is left: those in other elements than the chosen ones do not count.

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
    /// The conditions at whose paths there are values in a node or within it.
    within: Vec<u64>,
    choices: Vec<SmallVec<[Choice; 2]>>,
    steps: usize,
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
        self.within.clear();
        self.within.resize(tree.len(), 0);
        self.choices.truncate(tree.len());
        self.choices.iter_mut().for_each(SmallVec::clear);
        self.choices.resize_with(tree.len(), SmallVec::new);
        Ok(())
    }

    /// Notes a value at the path of `condition` in `element`, and whether it meets the condition.
    pub(super) fn add(&mut self, element: u32, condition: usize, meets: bool) {
        let own = &mut self.own[element as usize];
        own.present |= 1 << condition;
        own.met |= u64::from(meets) << condition;
        self.within[element as usize] |= 1 << condition;
    }

    /// Whether the values noted since `clear` meet all of `wanted`. Those of `absentable` are also met if there
    /// is no value. Children come after their parents, so from last to first each node is ready when its turn
    /// comes.
    pub(super) fn is_met(&mut self, tree: &Tree, wanted: u64, absentable: u64) -> Result<bool, JsonError> {
        for at in (1..tree.len()).rev() {
            let node = tree.nodes[at];
            let parent = node.parent as usize;
            if self.within[at] == 0 {
                continue;
            }
            self.within[parent] |= self.within[at];
            if node.is_array {
                self.choose_from_array(at, parent)?;
            } else {
                self.finish_element(at, parent)?;
            }
        }
        let own = self.own[ROOT as usize];
        let meets_all = |choice: &Choice| {
            let met = choice.met | own.met;
            let present = choice.present | own.present;
            (met | absentable & !present) & wanted == wanted
        };
        let ways = &self.choices[ROOT as usize];
        Ok(if ways.is_empty() { meets_all(&Choice::default()) } else { ways.iter().any(meets_all) })
    }

    /// Hands the ways of an element to its array: those in which it meets something.
    fn finish_element(&mut self, element: usize, array: usize) -> Result<(), JsonError> {
        let own = self.own[element];
        let ways = std::mem::take(&mut self.choices[element]);
        let mut add = |way: Choice| match way.met {
            0 => Ok(()),
            _ => self.add_way(array, way),
        };
        if ways.is_empty() {
            return add(own);
        }
        for way in ways {
            add(Choice { met: way.met | own.met, present: way.present | own.present })?;
        }
        Ok(())
    }

    /// Combines the ways of the element around an array with those of the array: one of its elements, or none.
    fn choose_from_array(&mut self, array: usize, element: usize) -> Result<(), JsonError> {
        let none = Choice { met: 0, present: self.within[array] };
        let ways = std::mem::take(&mut self.choices[array]);
        let mut before = std::mem::take(&mut self.choices[element]);
        if before.is_empty() {
            before.push(Choice::default());
        }
        for left in before {
            for right in std::iter::once(none).chain(ways.iter().copied()) {
                let met = left.met | right.met;
                if left.met == right.met && met.is_power_of_two() {
                    continue; // two elements cannot be chosen for one condition
                }
                self.add_way(element, Choice { met, present: left.present | right.present })?;
            }
        }
        Ok(())
    }

    /// Adds a way unless one that is there is as good, and drops those that are no better.
    fn add_way(&mut self, node: usize, way: Choice) -> Result<(), JsonError> {
        self.work(1 + self.choices[node].len())?;
        let ways = &mut self.choices[node];
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
