//! Which of many ranges hold a key.

/// Ranges in the order of their first keys. The middle one of a stretch carries the last key of all in it, so
/// that a search leaves out stretches that end too early.
#[derive(Debug)]
pub(super) struct Intervals<K> {
    ranges: Box<[Range<K>]>,
}

#[derive(Debug)]
struct Range<K> {
    first: K,
    last: K,
    last_of_stretch: K,
    value: u32,
}

impl<K: Copy + Ord> Intervals<K> {
    /// Ranges as first key, last key and value, both keys included. The last may be below the first: such a
    /// range is empty.
    pub(super) fn new(mut ranges: Vec<(K, K, u32)>) -> Self {
        ranges.sort_unstable();
        let whole = |(first, last, value)| Range { first, last, last_of_stretch: last, value };
        let mut ranges: Box<[Range<K>]> = ranges.into_iter().map(whole).collect();
        note_last(&mut ranges);
        Self { ranges }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Calls `found` with the value of each range that holds `key`.
    pub(super) fn for_each(&self, key: K, found: &mut impl FnMut(u32)) {
        search(&self.ranges, key, found);
    }
}

fn note_last<K: Copy + Ord>(stretch: &mut [Range<K>]) -> Option<K> {
    let middle = stretch.len() / 2;
    let (left, rest) = stretch.split_at_mut(middle);
    let (range, right) = rest.split_first_mut()?;
    range.last_of_stretch = range.last.max(note_last(left).unwrap_or(range.last));
    range.last_of_stretch = range.last_of_stretch.max(note_last(right).unwrap_or(range.last));
    Some(range.last_of_stretch)
}

fn search<K: Copy + Ord>(stretch: &[Range<K>], key: K, found: &mut impl FnMut(u32)) {
    let (left, rest) = stretch.split_at(stretch.len() / 2);
    let Some((range, right)) = rest.split_first() else { return };
    if range.last_of_stretch < key {
        return;
    }
    search(left, key, found);
    if range.first <= key {
        if key <= range.last {
            found(range.value);
        }
        search(right, key, found);
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_finds_what_a_linear_search_finds(ranges in vec((0..40_u32, 0..40_u32), 0..30), key in 0..42_u32) {
            let numbered: Vec<(u32, u32, u32)> =
                ranges.iter().zip(0..).map(|(&(first, last), value)| (first, last, value)).collect();
            let mut expected: Vec<u32> =
                numbered.iter().filter(|(first, last, _)| (first..=last).contains(&&key)).map(|range| range.2).collect();
            let mut found = Vec::new();
            Intervals::new(numbered).for_each(key, &mut |value| found.push(value));
            found.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(found, expected);
        }
    }
}
