//! The four operations, the remainder and rounding. Results are rounded once, to 34 digits.

use super::{COEFFICIENT_END, DIGITS_MAX, Decimal, digits};

/// How a number with a fraction becomes one with less of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Rounding {
    /// To the next number above.
    Ceil,
    /// To the next number below.
    Floor,
    /// To the nearest number, halves away from zero.
    HalfAway,
    /// To the next number towards zero.
    Truncate,
}

impl Decimal {
    pub(crate) fn negate(self) -> Self {
        Self { coefficient: -self.coefficient, ..self }
    }

    /// The sum; `None` is too large.
    pub(crate) fn add(self, other: Self) -> Option<Self> {
        let (high, low) = if self.exponent >= other.exponent { (self, other) } else { (other, self) };
        if high.is_zero() || low.is_zero() {
            return Some(if high.is_zero() { low } else { high });
        }
        // Three digits more than are kept, and whether something lies below them, are enough to round well.
        let room = DIGITS_MAX + 3 - digits(high.coefficient.unsigned_abs());
        let apart = high.exponent.abs_diff(low.exponent);
        let raise = apart.min(room);
        let raised = high.coefficient * 10_i128.pow(raise);
        let (lowered, has_more) = shift_right(low.coefficient, apart - raise);
        // With the rest rounded down, it only ever adds to the sum.
        let sum = raised + lowered;
        let exponent = i64::from(high.exponent) - i64::from(raise);
        let towards_zero = sum + i128::from(has_more && sum < 0);
        Self::new(sum < 0, towards_zero.unsigned_abs(), exponent, has_more)
    }

    /// The difference; `None` is too large.
    pub(crate) fn subtract(self, other: Self) -> Option<Self> {
        self.add(other.negate())
    }

    /// The product; `None` is too large.
    pub(crate) fn multiply(self, other: Self) -> Option<Self> {
        let is_negative = (self.coefficient < 0) != (other.coefficient < 0);
        let exponent = i64::from(self.exponent) + i64::from(other.exponent);
        let (left, right) = (self.coefficient.unsigned_abs(), other.coefficient.unsigned_abs());
        if let Some(product) = left.checked_mul(right) {
            return Self::new(is_negative, product, exponent, false);
        }
        let (product, dropped, has_more) = wide_product(left, right);
        Self::new(is_negative, product, exponent + i64::from(dropped), has_more)
    }

    /// The quotient; `None` is too large, or a division by zero.
    pub(crate) fn divide(self, other: Self) -> Option<Self> {
        let is_negative = (self.coefficient < 0) != (other.coefficient < 0);
        let (left, right) = (self.coefficient.unsigned_abs(), other.coefficient.unsigned_abs());
        let mut quotient = left.checked_div(right)?;
        let mut rest = left % right;
        let mut exponent = i64::from(self.exponent) - i64::from(other.exponent);
        while rest != 0 && quotient < COEFFICIENT_END * 10 {
            rest *= 10; // below 10^35
            quotient = quotient * 10 + rest / right;
            rest %= right;
            exponent -= 1;
        }
        Self::new(is_negative, quotient, exponent, rest != 0)
    }

    /// What is left of a division whose quotient is cut to a whole number; it has the sign of `self`. `None` is
    /// a division by zero, or numbers so far apart that the quotient has more than 34 digits.
    pub(crate) fn remainder(self, other: Self) -> Option<Self> {
        if other.is_zero() {
            return None;
        }
        let common = self.exponent.min(other.exponent);
        let raise = |number: Self| {
            let up = number.exponent.abs_diff(common);
            if up > 38 {
                return None;
            }
            number.coefficient.unsigned_abs().checked_mul(10_u128.checked_pow(up)?)
        };
        match (raise(self), raise(other)) {
            (Some(left), Some(right)) => Self::new(self.coefficient < 0, left % right, common.into(), false),
            (Some(_), None) => Some(self),
            (None, _) => None,
        }
    }

    /// The number with at most `places` digits of fraction.
    pub(crate) fn round(self, places: u32, rounding: Rounding) -> Self {
        let keep = -i64::from(places);
        let Ok(drop) = u32::try_from(keep - i64::from(self.exponent)) else {
            return self;
        };
        if drop == 0 {
            return self;
        }
        let negative = self.coefficient < 0;
        let magnitude = self.coefficient.unsigned_abs();
        // More than all digits: only the sign and that there was something count.
        let unit = 10_u128.checked_pow(drop).filter(|&unit| unit <= COEFFICIENT_END * 10);
        let (kept, up) = match unit {
            Some(unit) => (magnitude / unit, magnitude % unit >= unit / 2),
            None => (0, false),
        };
        let has_rest = unit.is_none_or(|unit| !magnitude.is_multiple_of(unit));
        let away = match rounding {
            Rounding::Ceil => has_rest && !negative,
            Rounding::Floor => has_rest && negative,
            Rounding::HalfAway => up,
            Rounding::Truncate => false,
        };
        Self::new(negative, kept + u128::from(away), keep, false).unwrap_or_default()
    }

    /// The power with a whole exponent; `None` is too large, or zero to a negative power.
    pub(crate) fn power(self, exponent: i32) -> Option<Self> {
        let mut result = Self::from_int(1);
        let (mut base, mut left) = (self, exponent.unsigned_abs());
        while left != 0 {
            if left % 2 == 1 {
                result = result.multiply(base)?;
            }
            left /= 2;
            if left != 0 {
                base = base.multiply(base)?;
            }
        }
        if exponent < 0 { Self::from_int(1).divide(result) } else { Some(result) }
    }
}

/// Divides by a power of ten, rounding down, and says whether something was left.
fn shift_right(number: i128, places: u32) -> (i128, bool) {
    match 10_i128.checked_pow(places) {
        Some(unit) => (number.div_euclid(unit), number.rem_euclid(unit) != 0),
        None => (if number < 0 { -1 } else { 0 }, number != 0),
    }
}

/// A product of more than 128 bits, cut to fewer: the product, how many digits were cut off, and whether one of
/// them was not zero.
fn wide_product(left: u128, right: u128) -> (u128, u32, bool) {
    /// The greatest power of ten in 64 bits.
    const STEP: u32 = 19;
    let mut limbs = multiply_limbs(left, right);
    let mut dropped = 0;
    let mut has_more = false;
    // As long as there are more than 38 digits, so that 34 and some are left in the end.
    while limbs[2] != 0 || limbs[3] != 0 {
        let places = if limbs[3] != 0 { STEP } else { 1 };
        has_more |= divide_limbs(&mut limbs, 10_u64.pow(places)) != 0;
        dropped += places;
    }
    (u128::from(limbs[1]) << 64 | u128::from(limbs[0]), dropped, has_more)
}

/// The product as four 64-bit digits, the lowest first.
fn multiply_limbs(left: u128, right: u128) -> [u64; 4] {
    let split = |number: u128| [low(number), low(number >> 64)];
    let (left, right) = (split(left), split(right));
    let mut limbs = [0_u64; 4];
    for (at, &digit) in left.iter().enumerate() {
        let mut carry = 0_u128;
        for (other_at, &other) in right.iter().enumerate() {
            let sum = u128::from(digit) * u128::from(other) + u128::from(limbs[at + other_at]) + carry;
            limbs[at + other_at] = low(sum);
            carry = sum >> 64;
        }
        limbs[at + 2] = low(carry);
    }
    limbs
}

/// Divides in place and gives the rest.
fn divide_limbs(limbs: &mut [u64; 4], divisor: u64) -> u64 {
    let mut rest = 0_u128;
    for limb in limbs.iter_mut().rev() {
        let part = rest << 64 | u128::from(*limb);
        *limb = low(part / u128::from(divisor));
        rest = part % u128::from(divisor);
    }
    low(rest)
}

/// The low 64 bits.
fn low(number: u128) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "the low half is what is wanted")]
    let half = number as u64;
    half
}
