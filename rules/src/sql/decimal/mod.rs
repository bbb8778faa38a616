//! Exact decimal numbers of 34 digits, as the language promises them.
//!
//! Ready-made crates either stop at 28 digits or bring arbitrary precision and allocation; what is needed here
//! is small: a whole coefficient and a power of ten, both on the stack.

mod arithmetic;
mod text;

use std::cmp::Ordering;

pub(crate) use arithmetic::Rounding;

/// Digits of a coefficient.
pub(crate) const DIGITS_MAX: u32 = 34;
/// Powers of ten reach from minus this to this, as in IEEE 754's decimal128.
const EXPONENT_MAX: i32 = 6_144;
/// The first number with too many digits.
pub(crate) const COEFFICIENT_END: u128 = 10_u128.pow(DIGITS_MAX);

/// A number: `coefficient` times ten to the power of `exponent`. Equal numbers have equal fields, as the
/// coefficient never ends with a zero (and zero has the exponent 0).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Decimal {
    coefficient: i128,
    exponent: i32,
}

impl Decimal {
    /// Makes a number of a sign, a coefficient and a power of ten. `has_more` says that something smaller than
    /// the last digit follows. Rounds to 34 digits, halves to even; `None` is too large.
    fn new(is_negative: bool, coefficient: u128, exponent: i64, has_more: bool) -> Option<Self> {
        let (mut coefficient, mut exponent, mut has_more) = (coefficient, exponent, has_more);
        let mut dropped = 0;
        while coefficient >= COEFFICIENT_END {
            has_more |= dropped != 0;
            dropped = coefficient % 10;
            coefficient /= 10;
            exponent += 1;
        }
        if dropped > 5 || dropped == 5 && (has_more || coefficient % 2 == 1) {
            coefficient += 1; // 10^34 at most, which the zeros below bring back
        }
        while coefficient != 0 && coefficient % 10 == 0 {
            coefficient /= 10;
            exponent += 1;
        }
        if coefficient == 0 || exponent < i64::from(-EXPONENT_MAX) {
            return Some(Self::default());
        }
        let exponent = i32::try_from(exponent).ok().filter(|&exponent| exponent <= EXPONENT_MAX)?;
        let magnitude = i128::try_from(coefficient).ok()?;
        Some(Self { coefficient: if is_negative { -magnitude } else { magnitude }, exponent })
    }

    /// The whole number, if it has at most 34 digits.
    pub(crate) fn from_int(int: i128) -> Self {
        Self::new(int < 0, int.unsigned_abs(), 0, false).unwrap_or_default()
    }

    /// The shortest decimal that reads back as this float; `None` if it is not finite.
    pub(crate) fn from_f64(float: f64) -> Option<Self> {
        if float.is_finite() { Self::parse(&format!("{float:e}")) } else { None }
    }

    /// The nearest float.
    pub(crate) fn to_f64(self) -> f64 {
        // Reading a text rounds once, where a product of two floats would round twice.
        format!("{}e{}", self.coefficient, self.exponent).parse().unwrap_or(f64::NAN)
    }

    /// The number, if it is whole and has at most 34 digits.
    pub(crate) fn to_int(self) -> Option<i128> {
        if self.exponent < 0 || self.exponent >= 34 {
            return (self.coefficient == 0).then_some(0);
        }
        let int = self.coefficient.checked_mul(10_i128.pow(self.exponent.unsigned_abs()))?;
        (int.unsigned_abs() < COEFFICIENT_END).then_some(int)
    }

    /// Whether it is below zero.
    pub(crate) fn is_negative(self) -> bool {
        self.coefficient < 0
    }

    /// Whether it is zero.
    pub(crate) fn is_zero(self) -> bool {
        self.coefficient == 0
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let signs = self.coefficient.signum().cmp(&other.coefficient.signum());
        if signs != Ordering::Equal || self.coefficient == 0 {
            return signs;
        }
        let magnitudes = self.top().cmp(&other.top()).then_with(|| {
            // The first digits stand at the same place, so both fit when the digits are filled up.
            self.filled().cmp(&other.filled())
        });
        if self.is_negative() { magnitudes.reverse() } else { magnitudes }
    }
}

impl Decimal {
    /// The power of ten above the first digit.
    fn top(self) -> i32 {
        self.exponent + i32::try_from(digits(self.coefficient.unsigned_abs())).unwrap_or(0)
    }

    /// The digits, filled up with zeros to 34.
    fn filled(self) -> u128 {
        let magnitude = self.coefficient.unsigned_abs();
        magnitude * 10_u128.pow(DIGITS_MAX - digits(magnitude))
    }
}

/// How many digits a number has; 1 for zero.
fn digits(number: u128) -> u32 {
    number.checked_ilog10().unwrap_or(0) + 1
}

#[cfg(test)]
mod tests;
