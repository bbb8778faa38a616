//! Entries in order, found by place: blocks of entries, and a tree of sums over the blocks' lengths.
//!
//! With a million entries that is some thousand blocks: what says which block is meant (the first entry of each, and the
//! sums) stays in the processor's cache, and a change moves a few kilobytes at most.

use std::mem;

use super::members::SLOT_BITS;

/// Entries of one block. 4 KiB: moving half of them costs less than the cache misses of finding them.
const BLOCK_LEN: usize = 256;
/// Neighbours are joined when one has fewer entries than this.
const BLOCK_LEN_MIN: usize = BLOCK_LEN / 4;
/// A joined block has room to grow.
const BLOCK_LEN_JOINED_MAX: usize = BLOCK_LEN * 3 / 4;

/// One member, as it is sorted: by score, then by moment. What they leave open, the member's record decides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// The score, turned so that less is better.
    pub(super) score: u64,
    /// When it was reached, roughly, above where the member's record is. Apart they would take another 8 bytes.
    moment_and_slot: u64,
}

impl Entry {
    /// The latest moment.
    pub(super) const MOMENT_MAX: u64 = u64::MAX >> SLOT_BITS;

    /// A moment has 38 bits.
    pub(super) fn new(score: u64, moment: u64, slot: u32) -> Self {
        Self { score, moment_and_slot: moment << SLOT_BITS | u64::from(slot) }
    }

    pub(super) fn moment(self) -> u64 {
        self.moment_and_slot >> SLOT_BITS
    }

    pub(super) fn slot(self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "the bits of the slot are the low ones")]
        let low = self.moment_and_slot as u32;
        low & ((1 << SLOT_BITS) - 1)
    }
}

/// A place between entries: the block, and the index in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Place {
    block: usize,
    index: usize,
}

/// Entries in order.
#[derive(Debug, Default)]
pub(super) struct Ranks {
    /// None is empty.
    blocks: Vec<Vec<Entry>>,
    /// The first entry of each block.
    firsts: Vec<Entry>,
    /// A Fenwick tree: element `i` is the length of the blocks of which `i` is the last, as many as the lowest bit that
    /// is set in `i + 1` says.
    sums: Vec<u32>,
}

impl Ranks {
    /// Takes entries that are in order.
    pub(super) fn from_sorted(entries: &[Entry]) -> Self {
        let blocks = entries.chunks(BLOCK_LEN_JOINED_MAX).map(<[Entry]>::to_vec).collect();
        let mut ranks = Self { blocks, ..Self::default() };
        ranks.recount();
        ranks
    }

    /// The place behind all entries for which `is_before` says so.
    pub(super) fn place(&self, is_before: impl Fn(&Entry) -> bool) -> Place {
        let block = self.firsts.partition_point(&is_before).saturating_sub(1);
        let index = self.blocks.get(block).map_or(0, |entries| entries.partition_point(is_before));
        Place { block, index }
    }

    /// How many entries stand before a place.
    pub(super) fn rank(&self, place: Place) -> usize {
        let mut rank = place.index;
        let mut end = place.block;
        while end > 0 {
            rank += self.sums[end - 1] as usize;
            end &= end - 1;
        }
        rank
    }

    /// The entries from rank `rank` on.
    pub(super) fn iter_from(&self, rank: usize) -> impl Iterator<Item = Entry> {
        let Place { block, index } = self.place_of(rank);
        let first = self.blocks.get(block).and_then(|entries| entries.get(index..)).unwrap_or_default();
        let others = self.blocks.get(block + 1..).unwrap_or_default();
        first.iter().chain(others.iter().flatten()).copied()
    }

    pub(super) fn insert(&mut self, place: Place, entry: Entry) {
        let Place { block, index } = place;
        let is_last = block + 1 == self.blocks.len();
        let Some(entries) = self.blocks.get_mut(block) else {
            self.blocks.push(vec![entry]);
            self.recount();
            return;
        };
        if entries.len() < BLOCK_LEN {
            entries.insert(index, entry);
            if index == 0 {
                self.firsts[block] = entry;
            }
            self.add(block, 1);
            return;
        }
        // Scores that come in order leave full blocks behind, not half full ones.
        if index == BLOCK_LEN && is_last {
            self.blocks.push(vec![entry]);
        } else if index == 0 && block == 0 {
            self.blocks.insert(0, vec![entry]);
        } else {
            let mut upper = entries.split_off(BLOCK_LEN / 2);
            match index.checked_sub(BLOCK_LEN / 2) {
                Some(index) if index > 0 => upper.insert(index, entry),
                _ => entries.insert(index, entry),
            }
            self.blocks.insert(block + 1, upper);
        }
        self.recount();
    }

    /// Takes out the entry that stands behind a place.
    pub(super) fn remove(&mut self, mut place: Place) -> Option<Entry> {
        // The end of a block is the begin of the next one.
        if self.blocks.get(place.block).is_some_and(|entries| entries.len() == place.index) {
            place = Place { block: place.block + 1, index: 0 };
        }
        let Place { block, index } = place;
        let entries = self.blocks.get_mut(block)?;
        let removed = entries.remove(index);
        if let Some(first) = entries.first() {
            self.firsts[block] = *first;
        }
        if entries.len() >= BLOCK_LEN_MIN || !self.join(block) {
            self.add(block, -1);
        } else {
            self.recount();
        }
        Some(removed)
    }

    /// Joins a small block with a neighbour, or gives it up if it is empty. Whether anything came of it.
    fn join(&mut self, block: usize) -> bool {
        if self.blocks[block].is_empty() {
            self.blocks.remove(block);
            return true;
        }
        let len_of = |block: usize| self.blocks.get(block).map_or(BLOCK_LEN, Vec::len);
        let left = if len_of(block + 1) + len_of(block) <= BLOCK_LEN_JOINED_MAX {
            block
        } else if block > 0 && len_of(block - 1) + len_of(block) <= BLOCK_LEN_JOINED_MAX {
            block - 1
        } else {
            return false;
        };
        let mut right = self.blocks.remove(left + 1);
        self.blocks[left].append(&mut right);
        true
    }

    /// The place of the entry with this rank, or one behind all.
    fn place_of(&self, rank: usize) -> Place {
        let (mut block, mut rest) = (0, rank);
        let mut step = (self.sums.len() + 1).next_power_of_two() / 2;
        while step > 0 {
            if let Some(&sum) = self.sums.get(block + step - 1)
                && sum as usize <= rest
            {
                block += step;
                rest -= sum as usize;
            }
            step /= 2;
        }
        Place { block, index: rest }
    }

    fn add(&mut self, block: usize, more: i32) {
        let mut node = block + 1;
        while let Some(sum) = self.sums.get_mut(node - 1) {
            *sum = sum.wrapping_add_signed(more);
            node += node & node.wrapping_neg();
        }
    }

    /// After blocks came or went. They do so once in a hundred changes.
    fn recount(&mut self) {
        self.firsts.clear();
        self.firsts.extend(self.blocks.iter().filter_map(|entries| entries.first()));
        let mut sums = mem::take(&mut self.sums);
        sums.clear();
        sums.extend(self.blocks.iter().map(|entries| u32::try_from(entries.len()).unwrap_or(u32::MAX)));
        for index in 0..sums.len() {
            let node = index + 1;
            let parent = node + (node & node.wrapping_neg());
            if parent <= sums.len() {
                sums[parent - 1] += sums[index];
            }
        }
        self.sums = sums;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(score: u64) -> Entry {
        Entry::new(score, 0, 0)
    }

    fn scores(ranks: &Ranks, from: usize) -> Vec<u64> {
        ranks.iter_from(from).map(|entry| entry.score).collect()
    }

    /// What must hold between the parts, whatever happened.
    fn check(ranks: &Ranks, expected: &[u64]) {
        assert_eq!(scores(ranks, 0), expected);
        assert!(ranks.blocks.iter().all(|entries| (1..=BLOCK_LEN).contains(&entries.len())));
        let firsts: Vec<u64> = ranks.firsts.iter().map(|entry| entry.score).collect();
        let blocks: Vec<u64> = ranks.blocks.iter().map(|entries| entries[0].score).collect();
        assert_eq!(firsts, blocks);
        for rank in (0..=expected.len() + 1).step_by(97).chain([expected.len()]) {
            assert_eq!(scores(ranks, rank).first(), expected.get(rank), "rank {rank}");
        }
    }

    #[test]
    fn moment_and_slot_are_kept_apart() {
        for (moment, slot) in [(0, (1 << SLOT_BITS) - 1), (Entry::MOMENT_MAX, 0), (5, 7)] {
            let entry = Entry::new(1, moment, slot);
            assert_eq!((entry.moment(), entry.slot()), (moment, slot));
        }
    }

    #[test]
    fn scores_in_order_fill_blocks() {
        for is_upwards in [true, false] {
            let mut ranks = Ranks::default();
            for number in 0..10_000 {
                let score = if is_upwards { number } else { 10_000 - number };
                let place = ranks.place(|entry| entry.score < score);
                assert_eq!(ranks.rank(place) as u64, if is_upwards { number } else { 0 });
                ranks.insert(place, entry(score));
            }
            assert_eq!(ranks.blocks.len(), 10_000_usize.div_ceil(BLOCK_LEN));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Many changes, to split and join blocks; `spread` decides how many meet in one place.
        #[test]
        fn it_is_a_sorted_list(seed: u32, spread in 10_u64..100_000, shrink_from in 0_usize..3_000) {
            let mut numbers = seed;
            let mut random = move || {
                numbers = numbers.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                u64::from(numbers >> 8)
            };
            let (mut ranks, mut model) = (Ranks::from_sorted(&[]), Vec::new());
            for step in 0..5_000 {
                let grows = if step < shrink_from { 90 } else { 30 };
                let score = random() % spread;
                let place = ranks.place(|entry| entry.score < score);
                let at = model.partition_point(|other| *other < score);
                prop_assert_eq!(ranks.rank(place), at);
                if random() % 100 < grows {
                    ranks.insert(place, entry(score));
                    model.insert(at, score);
                } else {
                    let removed = ranks.remove(place).map(|entry| entry.score);
                    prop_assert_eq!(removed, model.get(at).copied());
                    if at < model.len() {
                        model.remove(at);
                    }
                }
                if step % 500 == 0 {
                    check(&ranks, &model);
                }
            }
            check(&ranks, &model);
            let entries: Vec<Entry> = model.iter().copied().map(entry).collect();
            check(&Ranks::from_sorted(&entries), &model);
        }
    }
}
