//! Decimal numbers as text: read strictly, written in the shortest plain form.

use std::fmt;

use super::{COEFFICIENT_END, Decimal};

impl Decimal {
    /// Reads `-?digits[.digits][E[+-]digits]`, as JSON and the language write numbers.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (is_negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, power) = match rest.find(['e', 'E']) {
            None => (rest, 0),
            Some(at) => (&rest[..at], power(&rest[at + 1..])?),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            None => (mantissa, ""),
            Some((_, "")) => return None,
            Some(parts) => parts,
        };
        if whole.is_empty() {
            return None;
        }
        let mut reader = Reader::default();
        reader.digits(whole)?;
        let below = reader.dropped;
        reader.digits(fraction)?;
        let taken = fraction.len() as u64 - (reader.dropped - below);
        let shift = i128::from(below) - i128::from(taken) + i128::from(power);
        // Beyond any exponent all are equal.
        let exponent = i64::try_from(shift.clamp(-1_000_000_000, 1_000_000_000)).ok()?;
        Self::new(is_negative, reader.coefficient, exponent, reader.has_more)
    }
}

/// Digits that were read so far, as many as are kept and a few more.
#[derive(Default)]
struct Reader {
    coefficient: u128,
    /// How many digits did not fit.
    dropped: u64,
    /// Whether one of them was not zero.
    has_more: bool,
}

impl Reader {
    fn digits(&mut self, digits: &str) -> Option<()> {
        for byte in digits.bytes() {
            if !byte.is_ascii_digit() {
                return None;
            }
            if self.coefficient < COEFFICIENT_END * 100 {
                self.coefficient = self.coefficient * 10 + u128::from(byte - b'0');
            } else {
                self.dropped += 1;
                self.has_more |= byte != b'0';
            }
        }
        Some(())
    }
}

/// Reads what follows the `E`. A power that is too long for a number is as good as the greatest.
fn power(text: &str) -> Option<i64> {
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let power = digits.parse().unwrap_or(i64::from(u32::MAX)).min(i64::from(u32::MAX));
    Some(if is_negative { -power } else { power })
}

impl fmt::Display for Decimal {
    /// Without an exponent where that takes at most 40 digits; JSON can read both.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const PLAIN_LEN_MAX: usize = 40;
        if let Some(int) = self.to_int() {
            return write!(formatter, "{int}");
        }
        let sign = if self.coefficient < 0 { "-" } else { "" };
        let digits = self.coefficient.unsigned_abs().to_string();
        let places = usize::try_from(-i64::from(self.exponent)).unwrap_or(0);
        if self.exponent < 0 && places < digits.len() {
            let (whole, fraction) = digits.split_at(digits.len() - places);
            return write!(formatter, "{sign}{whole}.{fraction}");
        }
        if self.exponent < 0 && places <= PLAIN_LEN_MAX {
            return write!(formatter, "{sign}0.{digits:0>places$}");
        }
        let (first, more) = digits.split_at(1);
        let power = i64::from(self.exponent) + i64::try_from(more.len()).unwrap_or(0);
        let point = if more.is_empty() { "" } else { "." };
        write!(formatter, "{sign}{first}{point}{more}E{power}")
    }
}
