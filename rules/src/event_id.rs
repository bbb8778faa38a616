//! The identity of an event: a number whose text form sorts by time.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const TEXT_LEN: usize = 26;
const RANDOM_BITS: u32 = 80;

/// Names one event for ever. Its text is a ULID: 48 bits of milliseconds, then 80 bits that keep events of one
/// millisecond apart, as 26 letters and digits that sort like the events.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct EventId(u128);

/// Why a text is no event id.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("event id is not 26 letters and digits of Crockford's base 32, the first at most `7`")]
pub struct EventIdError;

impl EventId {
    /// Joins a time in milliseconds and what tells events of that millisecond apart. Of both the low bits
    /// count: 48 and 80 of them.
    pub fn new(time_ms: u64, tail: u128) -> Self {
        Self(u128::from(time_ms) << RANDOM_BITS | tail & ((1 << RANDOM_BITS) - 1))
    }

    /// The id as a number.
    pub fn to_u128(self) -> u128 {
        self.0
    }

    /// The id with this number.
    pub const fn from_u128(number: u128) -> Self {
        Self(number)
    }

    /// When the event was, in milliseconds.
    pub fn time_ms(self) -> u64 {
        u64::try_from(self.0 >> RANDOM_BITS).unwrap_or(u64::MAX)
    }

    /// The text form, without an allocation.
    pub(crate) fn text(self) -> [u8; TEXT_LEN] {
        let mut text = [0; TEXT_LEN];
        let mut rest = self.0;
        for place in text.iter_mut().rev() {
            *place = DIGITS[(rest & 31) as usize];
            rest >>= 5;
        }
        text
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().iter().try_for_each(|&digit| fmt::Write::write_char(formatter, char::from(digit)))
    }
}

impl FromStr for EventId {
    type Err = EventIdError;

    fn from_str(text: &str) -> Result<Self, EventIdError> {
        if text.len() != TEXT_LEN || text.as_bytes()[0] > b'7' {
            return Err(EventIdError);
        }
        let mut number = 0;
        for byte in text.bytes() {
            let digit = DIGITS.iter().position(|&digit| digit == byte.to_ascii_uppercase());
            number = number << 5 | digit.ok_or(EventIdError)? as u128;
        }
        Ok(Self(number))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_text_is_a_ulid() {
        let id = EventId::new(1_469_918_176_385, 0);
        assert_eq!(id.to_string(), "01ARYZ6S410000000000000000");
        assert_eq!(id.time_ms(), 1_469_918_176_385);
        for wrong in ["", "01ARYZ6S41", "81ARYZ6S410000000000000000", "01ARYZ6S4100000000000000U0"] {
            assert_eq!(wrong.parse::<EventId>(), Err(EventIdError), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn texts_are_read_back_and_sort_like_ids(left: u128, right: u128) {
            let (left, right) = (EventId::from_u128(left), EventId::from_u128(right));
            prop_assert_eq!(left.to_string().parse(), Ok(left));
            prop_assert_eq!(left.to_string().cmp(&right.to_string()), left.cmp(&right));
        }
    }
}
