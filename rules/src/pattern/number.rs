//! Numbers as keys whose order is theirs.

use std::io::Write as _;

/// So many digits are the same again after binary64 held them.
const DIGITS_KEPT: usize = 15;
/// Powers of ten between minus this and this are within binary64.
const POWER_KEPT: i64 = 290;

/// A JSON number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number<'text> {
    pub(super) text: &'text str,
    /// Its value, if binary64 holds what is written: as many digits as it takes to tell the value from its
    /// neighbours, and no others. Other numbers equal only what is written alike, and lie in no range.
    pub(super) key: Option<NumberKey>,
}

impl<'text> Number<'text> {
    /// Reads a number, which is one as JSON has them.
    pub(super) fn new(text: &'text str) -> Self {
        let value = text.parse().unwrap_or(f64::NAN);
        let key = NumberKey::new(value).filter(|_| is_held(text, value));
        Self { text, key }
    }
}

fn is_held(text: &str, value: f64) -> bool {
    // Most numbers are short; this tells without taking them apart.
    if text.len() <= DIGITS_KEPT && !text.bytes().any(|byte| matches!(byte, b'e' | b'E')) {
        return true;
    }
    // Whoever writes numbers mostly writes as many digits as it takes.
    let mut shortest = [0; 32];
    let mut rest = &mut shortest[..];
    if serde_json::to_writer(&mut rest, &value).is_ok() {
        let left = rest.len();
        if &shortest[..shortest.len() - left] == text.as_bytes() {
            return true;
        }
    }
    let Some(written) = Decimal::read(text) else { return true };
    if written.digits.len() <= DIGITS_KEPT && written.power.abs() < POWER_KEPT {
        return true;
    }
    let mut shortest = [0; 32];
    let mut rest = &mut shortest[..];
    let left = write!(rest, "{value:e}").map(|()| rest.len());
    let len = shortest.len() - left.unwrap_or(shortest.len());
    let held = std::str::from_utf8(&shortest[..len]).ok().and_then(Decimal::read);
    held.is_some_and(|held| held.equals(&written))
}

/// A number other than 0 without its sign.
struct Decimal<'text> {
    /// From the first that is not 0, perhaps with a point among them and noughts behind them.
    digits: &'text [u8],
    /// The power of ten of the first digit.
    power: i64,
}

impl<'text> Decimal<'text> {
    /// `None` for 0.
    fn read(text: &'text str) -> Option<Self> {
        let text = text.strip_prefix('-').unwrap_or(text);
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let first = mantissa.bytes().position(|byte| matches!(byte, b'1'..=b'9'))?;
        let point = mantissa.find('.').unwrap_or(mantissa.len());
        // Texts are far shorter than this, and an exponent that does not fit is beyond binary64 anyway.
        let signed = |at: usize| i64::try_from(at).unwrap_or(i64::MAX);
        let power = if first < point { signed(point - first) - 1 } else { -signed(first - point) };
        let power = power.saturating_add(exponent.parse().unwrap_or(i64::MAX));
        Some(Self { digits: &mantissa.as_bytes()[first..], power })
    }

    fn equals(&self, other: &Self) -> bool {
        let digits = |number: &Self| {
            let digits = number.digits.iter().copied().filter(u8::is_ascii_digit);
            digits.collect::<Vec<u8>>()
        };
        let significant =
            |digits: &[u8]| digits.iter().rposition(|&digit| digit != b'0').map_or(0, |at| at + 1);
        let (left, right) = (digits(self), digits(other));
        self.power == other.power && left[..significant(&left)] == right[..significant(&right)]
    }
}

/// A finite number as a key: keys compare as the numbers do, and `-0` is `0`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct NumberKey(u64);

impl NumberKey {
    /// Below every number.
    pub(super) const MIN: Self = Self(0);
    /// Above every number.
    pub(super) const MAX: Self = Self(u64::MAX);

    /// `None` for what is not finite.
    fn new(number: f64) -> Option<Self> {
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
    use proptest::prelude::*;

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

    #[test]
    fn what_is_written_is_held_or_not() {
        for held in [
            "0",
            "-0.0",
            "0e999999",
            "1",
            "1.50",
            "1e23",
            "100000000000000000000000",
            "37.80780792169409",
            "9007199254740992",
            "0.000000000000000000001",
            "1.7976931348623157E+308",
            "1e-320",
            "-4e-6",
        ] {
            assert!(Number::new(held).key.is_some(), "{held}");
        }
        for text in [
            "9007199254740993",
            "37.807807921694092",
            "1.00000000000000001",
            "18446744073709551617",
            "1e400",
            "-1e400",
            "1e-400",
            "1e-325",
            "1e99999999999999999999",
            "1e-99999999999999999999",
        ] {
            assert_eq!(Number::new(text).key, None, "{text}");
        }
        assert_eq!(Number::new("3.0e2").key, Number::new("300").key);
    }

    proptest! {
        #[test]
        fn every_value_is_held_as_it_is_commonly_written(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            for text in [format!("{value}"), format!("{value:e}"), format!("{value:?}")] {
                prop_assert_eq!(Number::new(&text).key, NumberKey::new(value), "{}", text);
            }
        }

        #[test]
        fn another_digit_is_not_held(bits: u64, digit in 1..10_u8) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite() && value != 0.0);
            let shortest = format!("{value:e}");
            let (mantissa, exponent) = shortest.split_once('e').unwrap();
            let point = if mantissa.contains('.') { "" } else { "." };
            let text = format!("{mantissa}{point}{}{digit}e{exponent}", "0".repeat(17));
            prop_assert_eq!(Number::new(&text).key, None, "{}", text);
        }
    }
}
