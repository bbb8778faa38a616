//! Which of many texts another one begins with, or ends with.

use std::cmp::Ordering;

use smallvec::{SmallVec, smallvec};

/// Stands for "no entry".
const NONE: u32 = u32::MAX;

/// Texts in order. Of all texts that a value begins with, the longest is either the last that is not above
/// the value, or among those that this one begins with itself; each entry names the longest of those.
#[derive(Debug)]
pub(super) struct Affixes<V> {
    entries: Box<[Entry<V>]>,
    side: Side,
}

/// At which end of a value the texts stand. At its end both are read backwards.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Side {
    End,
    Start,
}

#[derive(Debug)]
struct Entry<V> {
    text: Box<[u8]>,
    /// The longest other entry that this one begins with.
    within: u32,
    values: SmallVec<[V; 1]>,
}

impl<V: Copy> Affixes<V> {
    pub(super) fn new(side: Side, mut texts: Vec<(&str, V)>) -> Self {
        texts.sort_by(|left, right| side.compare(left.0.as_bytes(), right.0.as_bytes()));
        let mut entries: Vec<Entry<V>> = Vec::new();
        for (text, value) in texts {
            match entries.last_mut() {
                Some(last) if *last.text == *text.as_bytes() => last.values.push(value),
                _ => {
                    let within = find(&entries, side, entries.len(), text.as_bytes());
                    entries.push(Entry { text: text.as_bytes().into(), within, values: smallvec![value] });
                }
            }
        }
        Self { entries: entries.into(), side }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Calls `found` with the values of each text that `value` begins or ends with.
    pub(super) fn for_each(&self, value: &str, mut found: impl FnMut(V)) {
        let value = value.as_bytes();
        let not_above = |entry: &Entry<V>| self.side.compare(&entry.text, value) != Ordering::Greater;
        let mut at = find(&self.entries, self.side, self.entries.partition_point(not_above), value);
        while let Some(entry) = self.entries.get(at as usize) {
            entry.values.iter().copied().for_each(&mut found);
            at = entry.within;
        }
    }
}

/// The longest entry that `value` begins with; none at or behind `end` is.
fn find<V>(entries: &[Entry<V>], side: Side, end: usize, value: &[u8]) -> u32 {
    let mut at = end.checked_sub(1).and_then(|last| u32::try_from(last).ok()).unwrap_or(NONE);
    while let Some(entry) = entries.get(at as usize) {
        if side.is_affix(&entry.text, value) {
            break;
        }
        at = entry.within;
    }
    at
}

impl Side {
    fn compare(self, left: &[u8], right: &[u8]) -> Ordering {
        match self {
            Self::End => left.iter().rev().cmp(right.iter().rev()),
            Self::Start => left.cmp(right),
        }
    }

    fn is_affix(self, text: &[u8], value: &[u8]) -> bool {
        match self {
            Self::End => value.ends_with(text),
            Self::Start => value.starts_with(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_finds_what_a_linear_search_finds(texts in vec("[ab]{0,5}", 0..30), value in "[abc]{0,6}") {
            for side in [Side::Start, Side::End] {
                let numbered: Vec<(&str, usize)> =
                    texts.iter().enumerate().map(|(index, text)| (text.as_str(), index)).collect();
                let mut found = Vec::new();
                Affixes::new(side, numbered).for_each(&value, |index| found.push(index));
                found.sort_unstable();
                let expected: Vec<usize> = (0..texts.len())
                    .filter(|&index| side.is_affix(texts[index].as_bytes(), value.as_bytes()))
                    .collect();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
