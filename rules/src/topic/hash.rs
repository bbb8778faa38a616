//! The hash of one step in a trie: fast on the short texts that levels are, and seeded.

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Hashes the way from node `parent` along `level`.
///
/// Clients choose levels, so whoever serves strangers gives a `seed` they cannot guess; otherwise they
/// could choose levels that all meet in one place of the table.
pub(super) fn step(seed: u64, parent: u32, level: &[u8]) -> u32 {
    // The upper half is as good as the lower one.
    (whole(seed, parent, level) >> 32) as u32
}

/// The same with all its bits, for whoever has larger tables.
pub(crate) fn whole(seed: u64, parent: u32, level: &[u8]) -> u64 {
    let mut hash = fold(seed ^ u64::from(parent), MULTIPLIER);
    let (chunks, rest) = level.as_chunks::<8>();
    for chunk in chunks {
        hash = fold(hash ^ u64::from_le_bytes(*chunk), MULTIPLIER ^ seed);
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    // The length keeps a text apart from the same text with null characters behind it.
    hash = fold(hash ^ u64::from_le_bytes(last), MULTIPLIER ^ seed);
    fold(hash ^ level.len() as u64, MULTIPLIER)
}

/// Multiplies to 128 bits and brings both halves together, so that every bit of the input reaches every bit.
fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    #[expect(clippy::cast_possible_truncation, reason = "the upper half is added by the shift")]
    let low = product as u64;
    low ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn near_inputs_are_far_apart() {
        let mut low_bits = HashSet::new();
        for parent in 0..64 {
            for client in 0..64 {
                low_bits.insert(step(7, parent, format!("client-{client}").as_bytes()) & 0xf_ffff);
            }
        }
        // 4,096 values in 2^20 places: chance alone lets about 8 meet.
        assert!(low_bits.len() > 4_060, "{} places", low_bits.len());
        assert_ne!(step(7, 0, b"a"), step(7, 0, b"a\0"));
        assert_ne!(step(7, 0, b"a"), step(8, 0, b"a"));
    }
}
