//! Numbers and addresses as keys whose order is theirs.

/// A finite number as a key: keys compare as the numbers do, and `-0` is `0`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct NumberKey(u64);

impl NumberKey {
    /// Below every number.
    pub(super) const MIN: Self = Self(0);
    /// Above every number.
    pub(super) const MAX: Self = Self(u64::MAX);

    /// `None` for what binary64 cannot hold: it equals no number and lies in no range.
    pub(super) fn new(number: f64) -> Option<Self> {
        const SIGN: u64 = 1 << 63;
        let bits = (number + 0.0).to_bits(); // -0 + 0 is 0
        let key = if bits & SIGN == 0 { bits | SIGN } else { !bits };
        number.is_finite().then_some(Self(key))
    }

    /// The next higher key. No finite number has the highest, so this cannot overflow.
    pub(super) fn above(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The next lower key. No finite number has the lowest, so this cannot overflow.
    pub(super) fn below(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_the_order_of_numbers() {
        let numbers = [
            f64::MIN,
            -1e300,
            -2.0,
            -1.0,
            -f64::MIN_POSITIVE,
            -5e-324,
            0.0,
            5e-324,
            1.0,
            1.5,
            1e300,
            f64::MAX,
        ];
        let keys: Vec<NumberKey> = numbers.iter().filter_map(|&number| NumberKey::new(number)).collect();
        assert_eq!(keys.len(), numbers.len());
        assert!(keys.is_sorted_by(|left, right| left < right));
        assert!(NumberKey::MIN < keys[0] && keys[11] < NumberKey::MAX);
        assert_eq!(NumberKey::new(-0.0), NumberKey::new(0.0));
        assert_eq!(keys[6].above(), keys[7]);
        assert_eq!(keys[8].below().above(), keys[8]);
        assert_eq!(NumberKey::new(f64::INFINITY), None);
        assert_eq!(NumberKey::new(f64::NAN), None);
    }
}
