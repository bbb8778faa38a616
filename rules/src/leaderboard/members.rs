//! The members of standings: a record for each, found by name.

use hashbrown::HashTable;
use rhai::Identifier;

use super::score::Score;
use super::standing::Standing;
use crate::event_id::EventId;
use crate::topic::hash_text;

/// The most members that there can be.
pub(super) const MEMBERS_MAX: usize = 1 << SLOT_BITS;
pub(super) const SLOT_BITS: u32 = 26;
/// Records of one chunk. Chunks never move, so growing costs no copy of them all.
const CHUNK_LEN: usize = 1 << CHUNK_BITS;
const CHUNK_BITS: u32 = 9;

/// One member. The fields are laid out to leave no gaps; a name of up to 23 bytes lies within.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: Identifier,
    nearest: f64,
    since: [u64; 2],
    /// The commit that wrote it.
    pub(super) version: u64,
    rest: i16,
    nth: u16,
}

impl Member {
    fn new(name: &str, standing: &Standing, version: u64) -> Self {
        let (nearest, rest) = standing.score.parts();
        let since = halves(standing.since);
        Self { name: name.into(), nearest, since, version, rest, nth: standing.nth }
    }

    pub(super) fn standing(&self) -> Standing {
        let [high, low] = self.since;
        Standing {
            score: Score::of_parts((self.nearest, self.rest)),
            since: EventId::from_u128(u128::from(high) << 64 | u128::from(low)),
            nth: self.nth,
        }
    }

    pub(super) fn set(&mut self, standing: &Standing, version: u64) {
        (self.nearest, self.rest) = standing.score.parts();
        self.since = halves(standing.since);
        self.nth = standing.nth;
        self.version = version;
    }
}

fn halves(id: EventId) -> [u64; 2] {
    let number = id.to_u128();
    #[expect(clippy::cast_possible_truncation, reason = "the halves of it")]
    [(number >> 64) as u64, number as u64]
}

/// Where a record is, and the hash of its name, so that a table that grows need not look at the names.
#[derive(Clone, Copy, Debug)]
struct Named {
    hash: u32,
    slot: u32,
}

/// All members.
#[derive(Debug, Default)]
pub(super) struct Members {
    chunks: Vec<Vec<Member>>,
    unused: Vec<u32>,
    names: HashTable<Named>,
    hash_seed: u64,
}

impl Members {
    pub(super) fn with_hash_seed(hash_seed: u64) -> Self {
        Self { hash_seed, ..Self::default() }
    }

    pub(super) fn hash_seed(&self) -> u64 {
        self.hash_seed
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// Records that memory is held for.
    pub(super) fn slots(&self) -> usize {
        self.names.len() + self.unused.len()
    }

    pub(super) fn find(&self, name: &str) -> Option<u32> {
        let hash = self.hash(name);
        let is_it = |named: &Named| named.hash == hash && self.get(named.slot).name == name;
        self.names.find(spread(hash), is_it).map(|named| named.slot)
    }

    /// The record in a slot that [`Members::find`] or [`Members::add`] gave.
    pub(super) fn get(&self, slot: u32) -> &Member {
        let (chunk, index) = split(slot);
        &self.chunks[chunk][index]
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> &mut Member {
        let (chunk, index) = split(slot);
        &mut self.chunks[chunk][index]
    }

    /// Adds a member that is not there yet, while there are fewer than [`MEMBERS_MAX`].
    pub(super) fn add(&mut self, name: &str, standing: &Standing, version: u64) -> u32 {
        let member = Member::new(name, standing, version);
        let slot = if let Some(slot) = self.unused.pop() {
            *self.get_mut(slot) = member;
            slot
        } else {
            if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK_LEN) {
                // The first one grows as it is used: most boards are small.
                let room = if self.chunks.is_empty() { 0 } else { CHUNK_LEN };
                self.chunks.push(Vec::with_capacity(room));
            }
            let chunk = self.chunks.len() - 1;
            let index = self.chunks[chunk].len();
            self.chunks[chunk].push(member);
            u32::try_from(chunk << CHUNK_BITS | index).expect("the caller keeps to MEMBERS_MAX")
        };
        let hash = self.hash(name);
        self.names.insert_unique(spread(hash), Named { hash, slot }, |named| spread(named.hash));
        slot
    }

    pub(super) fn remove(&mut self, slot: u32) {
        let hash = self.hash(&self.get(slot).name);
        if let Ok(entry) = self.names.find_entry(spread(hash), |named| named.slot == slot) {
            entry.remove();
            self.get_mut(slot).name = Identifier::new();
            self.unused.push(slot);
        }
    }

    fn hash(&self, name: &str) -> u32 {
        hash_text(self.hash_seed, name)
    }
}

/// The table looks at the low bits and the top seven.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn split(slot: u32) -> (usize, usize) {
    let slot = slot as usize;
    (slot >> CHUNK_BITS, slot & (CHUNK_LEN - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_and_go() {
        let standing =
            |number: i64| Standing { score: number.into(), since: EventId::from_u128(u128::MAX - 5), nth: 3 };
        let mut members = Members::with_hash_seed(7);
        for number in 0..5_000 {
            let slot = members.add(&format!("member-{number}"), &standing(number), number.unsigned_abs());
            assert_eq!(slot, u32::try_from(number).unwrap());
        }
        for number in (0..5_000_i64).step_by(2) {
            let slot = members.find(&format!("member-{number}")).unwrap();
            assert_eq!(members.get(slot).standing(), standing(number));
            members.remove(slot);
        }
        assert_eq!((members.len(), members.slots()), (2_500, 5_000));
        assert_eq!(members.find("member-4"), None);
        assert_eq!(members.find("member-5"), Some(5));
        let slot = members.add("a name that has more than twenty-three bytes", &standing(-1), 1);
        assert_eq!(
            (members.slots(), members.find("a name that has more than twenty-three bytes")),
            (5_000, Some(slot))
        );
    }
}
