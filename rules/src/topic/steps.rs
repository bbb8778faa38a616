//! The table of steps: from a node along a level to the next node, in one stretch of memory.

/// Places of the smallest table.
const PLACES_MIN: usize = 8;

/// One place of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    hash: u32,
    /// 0 if the place is free: the root is nobody's child.
    node: u32,
}

const FREE: Place = Place { hash: 0, node: 0 };

/// Nodes by the hash of the step that leads to them. Those whose hashes meet lie next to each other (linear probing), so
/// that finding one reads one line of the processor's cache, or two that follow each other.
#[derive(Debug, Default)]
pub(super) struct Steps {
    /// None, or a power of two.
    places: Vec<Place>,
    len: usize,
}

impl Steps {
    /// An empty table with room for that many.
    pub(super) fn with_room(count: usize) -> Steps {
        let mut steps = Steps::default();
        if count > 0 {
            steps.resize(count);
        }
        steps
    }

    /// The node with that hash that `is_it` picks; 0 if there is none.
    pub(super) fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> u32 {
        self.place_of(hash, is_it).map_or(0, |at| self.places[at].node)
    }

    /// Adds a node that is not there, and not 0.
    pub(super) fn insert(&mut self, hash: u32, node: u32) {
        // Five eighths: beyond, runs of taken places become long.
        if (self.len + 1) * 8 > self.places.len() * 5 {
            self.resize(self.len + 1);
        }
        self.put(Place { hash, node });
        self.len += 1;
    }

    /// Takes a node out.
    pub(super) fn remove(&mut self, hash: u32, node: u32) {
        let Some(mut free) = self.place_of(hash, |it| it == node) else { return };
        let mask = self.places.len() - 1;
        let mut at = free;
        // Whoever lies behind its own place because of this one moves up.
        loop {
            at = (at + 1) & mask;
            let place = self.places[at];
            if place == FREE {
                break;
            }
            let own = place.hash as usize & mask;
            if (at.wrapping_sub(own) & mask) >= (at.wrapping_sub(free) & mask) {
                self.places[free] = place;
                free = at;
            }
        }
        self.places[free] = FREE;
        self.len -= 1;
    }

    /// How many places there are.
    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.places.capacity()
    }

    fn place_of(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<usize> {
        let mask = self.places.len().checked_sub(1)?;
        let mut at = hash as usize & mask;
        loop {
            let place = self.places[at];
            if place.node == FREE.node {
                return None;
            }
            if place.hash == hash && is_it(place.node) {
                return Some(at);
            }
            at = (at + 1) & mask;
        }
    }

    /// Makes room for `count` in all.
    fn resize(&mut self, count: usize) {
        let places = (count * 8).div_ceil(5).next_power_of_two().max(PLACES_MIN);
        let before = std::mem::replace(&mut self.places, vec![FREE; places]);
        before.into_iter().filter(|place| *place != FREE).for_each(|place| self.put(place));
    }

    fn put(&mut self, place: Place) {
        let mask = self.places.len() - 1;
        let mut at = place.hash as usize & mask;
        while self.places[at] != FREE {
            at = (at + 1) & mask;
        }
        self.places[at] = place;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_table_finds_and_removes_nothing() {
        let mut steps = Steps::default();
        steps.remove(7, 1);
        assert_eq!((steps.find(7, |_| true), steps.places()), (0, 0));
    }

    proptest! {
        /// Hashes are few, so that many meet, also at the end of the table and over it.
        #[test]
        fn it_agrees_with_a_map(changes in prop::collection::vec((any::<bool>(), 0..40_u32), 1..300)) {
            let mut steps = Steps::default();
            let mut nodes: BTreeMap<u32, u32> = BTreeMap::new();
            let hash_of = |node: u32| (node % 5).wrapping_sub(3);
            for (add, number) in changes {
                let node = number + 1;
                if add && nodes.insert(node, hash_of(node)).is_none() {
                    steps.insert(hash_of(node), node);
                } else if !add && nodes.remove(&node).is_some() {
                    steps.remove(hash_of(node), node);
                }
                for node in 1..=40 {
                    let found = steps.find(hash_of(node), |it| it == node);
                    prop_assert_eq!(found, if nodes.contains_key(&node) { node } else { 0 });
                }
            }
        }
    }
}
