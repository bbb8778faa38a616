//! A score: a whole number of 64 bits, exactly, or a decimal.

use std::cmp::Ordering;

use thiserror::Error;

/// 2^63: from here on a float is no whole number of 64 bits.
const WHOLE_END: f64 = 9_223_372_036_854_775_808.0;
/// 2^53: up to here every whole number is a float.
const EXACT_END: f64 = 9_007_199_254_740_992.0;

/// A score. Whole numbers and decimals have one common order, in which no two different numbers are equal.
///
/// It is the nearest float and what is missing to the whole number: at most 512 either way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Finite, and never the negative zero.
    nearest: f64,
    rest: i16,
}

/// A score as a number to count with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A number with decimals, or beyond 64 bits.
    Decimal(f64),
    /// A whole number.
    Whole(i64),
}

/// Why there is no such score.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ScoreError {
    /// It is infinite, or no number at all.
    #[error("a score is a finite number")]
    NotFinite,
    /// Two whole numbers together are none of 64 bits.
    #[error("the sum of the scores leaves the range of whole numbers of 64 bits: submit decimals")]
    Overflow,
}

impl Score {
    /// Nothing.
    pub const ZERO: Self = Self { nearest: 0.0, rest: 0 };

    /// The score of a float. One without decimals is the whole number.
    ///
    /// # Errors
    /// A score is finite.
    pub fn from_f64(number: f64) -> Result<Self, ScoreError> {
        // Adding zero makes the negative zero the other one.
        if number.is_finite() {
            Ok(Self { nearest: number + 0.0, rest: 0 })
        } else {
            Err(ScoreError::NotFinite)
        }
    }

    /// The number.
    pub fn number(self) -> Number {
        self.whole().map_or(Number::Decimal(self.nearest), Number::Whole)
    }

    /// The score as a float: the nearest one.
    pub fn nearest(self) -> f64 {
        self.nearest
    }

    /// Both scores together: exactly where both are whole, else as floats add.
    ///
    /// # Errors
    /// The sum of whole numbers has 64 bits, and that of others is finite.
    pub fn plus(self, other: Self) -> Result<Self, ScoreError> {
        match (self.whole(), other.whole()) {
            (Some(left), Some(right)) => left.checked_add(right).map(Self::from).ok_or(ScoreError::Overflow),
            _ => Self::from_f64(self.nearest + other.nearest),
        }
    }

    /// This score without another: exactly where both are whole, else as floats subtract.
    ///
    /// # Errors
    /// As for [`Score::plus`].
    pub fn minus(self, other: Self) -> Result<Self, ScoreError> {
        match (self.whole(), other.whole()) {
            (Some(left), Some(right)) => left.checked_sub(right).map(Self::from).ok_or(ScoreError::Overflow),
            _ => Self::from_f64(self.nearest - other.nearest),
        }
    }

    /// A number that sorts like the scores, but for [`Score::rest`].
    pub(super) fn sortable(self) -> u64 {
        const SIGN: u64 = 1 << 63;
        let bits = self.nearest.to_bits();
        if bits & SIGN == 0 { bits | SIGN } else { !bits }
    }

    /// Whether all scores with this [`Score::sortable`] are equal.
    pub(super) fn is_alone(self) -> bool {
        self.nearest.abs() < EXACT_END
    }

    pub(super) fn parts(self) -> (f64, i16) {
        (self.nearest, self.rest)
    }

    /// The score that gave these parts.
    pub(super) fn of_parts((nearest, rest): (f64, i16)) -> Self {
        Self { nearest, rest }
    }

    /// The score of these parts, unless no score has them.
    pub(super) fn from_parts(nearest: f64, rest: i16) -> Option<Self> {
        let score = Self { nearest, rest };
        let is_sound = match score.whole() {
            Some(whole) => Self::from(whole) == score && (nearest != 0.0 || nearest.is_sign_positive()),
            None => nearest.is_finite() && rest == 0,
        };
        is_sound.then_some(score)
    }

    fn whole(self) -> Option<i64> {
        if self.nearest.fract() != 0.0 || self.nearest.abs() > WHOLE_END {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "it is whole, and far within 128 bits")]
        let nearest = self.nearest as i128;
        i64::try_from(nearest + i128::from(self.rest)).ok()
    }
}

impl From<i64> for Score {
    fn from(number: i64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "what is lost is the rest")]
        let nearest = number as f64;
        #[expect(clippy::cast_possible_truncation, reason = "it is whole, and far within 128 bits")]
        let rest = i128::from(number) - nearest as i128;
        // Floats of this size are 1,024 apart at most, so the rest has ten bits.
        Self { nearest, rest: i16::try_from(rest).unwrap_or(0) }
    }
}

impl Eq for Score {}

impl Ord for Score {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nearest.total_cmp(&other.nearest).then(self.rest.cmp(&other.rest))
    }
}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl std::fmt::Display for Score {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.number() {
            Number::Decimal(number) => number.fmt(formatter),
            Number::Whole(number) => number.fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(number: f64) -> Score {
        Score::from_f64(number).unwrap()
    }

    #[test]
    fn whole_numbers_are_exact_and_floats_without_decimals_are_whole() {
        for number in [0, 1, -1, i64::MAX, i64::MIN, i64::MAX - 1, (1 << 53) + 1, -(1 << 53) - 1] {
            assert_eq!(Score::from(number).number(), Number::Whole(number));
        }
        assert_eq!(decimal(5.0), Score::from(5));
        assert_eq!(decimal(-0.0), Score::ZERO);
        assert_eq!(decimal(1.5).number(), Number::Decimal(1.5));
        assert_eq!(decimal(WHOLE_END).number(), Number::Decimal(WHOLE_END));
        assert!(decimal(WHOLE_END) > Score::from(i64::MAX));
        assert!(Score::from((1 << 53) + 1) > decimal(9_007_199_254_740_991.5));
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Score::from_f64(number), Err(ScoreError::NotFinite));
        }
    }

    #[test]
    fn sums_are_exact_or_refused() {
        let whole = Score::from;
        assert_eq!(whole(i64::MAX - 1).plus(whole(1)), Ok(whole(i64::MAX)));
        assert_eq!(whole(i64::MAX).plus(whole(1)), Err(ScoreError::Overflow));
        assert_eq!(whole(i64::MIN).minus(whole(1)), Err(ScoreError::Overflow));
        assert_eq!(whole(1).plus(decimal(0.5)), Ok(decimal(1.5)));
        assert_eq!(decimal(1.5).minus(decimal(0.5)), Ok(whole(1)));
        assert_eq!(decimal(f64::MAX).plus(decimal(f64::MAX)), Err(ScoreError::NotFinite));
    }

    fn any_score() -> impl Strategy<Value = Score> {
        let near = (-3_i64..3, prop_oneof![Just(0_i64), Just(1 << 53), Just(1 << 62), Just(-(1 << 62))]);
        prop_oneof![
            any::<i64>().prop_map(Score::from),
            near.prop_map(|(near, base)| Score::from(base + near)),
            any::<f64>().prop_filter_map("finite", |number| Score::from_f64(number).ok()),
            (-1_000.0..1_000.0).prop_map(decimal),
        ]
    }

    proptest! {
        #[test]
        fn whole_numbers_sort_like_themselves(left: i64, right: i64) {
            prop_assert_eq!(Score::from(left).cmp(&Score::from(right)), left.cmp(&right));
        }

        #[test]
        fn parts_and_sort_keys_agree_with_the_order(left in any_score(), right in any_score()) {
            let (nearest, rest) = left.parts();
            prop_assert_eq!(Score::from_parts(nearest, rest), Some(left));
            let keys = (left.sortable(), left.rest).cmp(&(right.sortable(), right.rest));
            prop_assert_eq!(keys, left.cmp(&right));
            if left.is_alone() {
                prop_assert_eq!(left.sortable() == right.sortable(), left == right);
            }
        }

        #[test]
        fn no_parts_are_taken_that_no_score_has(nearest: f64, rest: i16) {
            if let Some(score) = Score::from_parts(nearest, rest) {
                let again = match score.number() {
                    Number::Whole(number) => Score::from(number),
                    Number::Decimal(number) => Score::from_f64(number).unwrap(),
                };
                prop_assert_eq!(again, score);
            }
        }
    }
}
