//! Random numbers of which a failed run tells the seed.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

/// A xorshift generator.
pub(super) struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    pub(super) fn new() -> Random {
        Random::of(RandomState::new().hash_one(0))
    }

    /// The generator of a seed.
    pub(super) fn of(seed: u64) -> Random {
        // Zero would stay zero.
        let seed = seed | 1;
        Random { seed, state: seed }
    }

    /// Another generator, whose numbers follow from this one's.
    pub(super) fn fork(&mut self) -> Random {
        Random::of(self.below(u64::MAX))
    }

    /// A number from 0 up to, but not including, `bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % bound.max(1)
    }
}

impl fmt::Display for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {:#x}", self.seed)
    }
}
