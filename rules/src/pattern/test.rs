//! What one value may be asked.

use super::address::{self, AddressKey};
use super::fold::fold;
use super::number::{Number, NumberKey};
use super::wildcard::Wildcard;

/// One of the choices in a pattern's array.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Test {
    /// There is no value. No value passes it.
    Absent,
    /// An address from the first to the last, both included.
    Address(AddressKey, AddressKey),
    /// Passes none of these.
    AnythingBut(Box<[Test]>),
    Bool(bool),
    /// Equal to this in folded form.
    IgnoreCase(Box<str>),
    Null,
    /// A number from the first to the last, both included.
    Number(NumberKey, NumberKey),
    /// A number that binary64 does not hold: one with this text.
    NumberText(Box<str>),
    Prefix(Box<str>),
    /// Begins with this in folded form.
    PrefixIgnoreCase(Box<str>),
    /// Any value.
    Present,
    Suffix(Box<str>),
    /// Ends with this in folded form.
    SuffixIgnoreCase(Box<str>),
    Text(Box<str>),
    Wildcard(Wildcard),
}

/// A value that is neither array nor object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scalar<'event> {
    Bool(bool),
    Null,
    Number(Number<'event>),
    Text(&'event str),
}

impl Test {
    /// Whether `value` passes: the meaning of each operator.
    pub(super) fn passes(&self, value: Scalar<'_>) -> bool {
        match (self, value) {
            (Self::AnythingBut(tests), _) => !tests.iter().any(|test| test.passes(value)),
            (Self::Bool(wanted), Scalar::Bool(truth)) => *wanted == truth,
            (Self::Number(first, last), Scalar::Number(number)) => {
                number.key.is_some_and(|key| *first <= key && key <= *last)
            }
            (Self::NumberText(wanted), Scalar::Number(number)) => **wanted == *number.text,
            (Self::Null, Scalar::Null) | (Self::Present, _) => true,
            (_, Scalar::Text(text)) => self.passes_text(text),
            _ => false,
        }
    }

    fn passes_text(&self, text: &str) -> bool {
        match self {
            Self::Address(first, last) => address::key(text).is_some_and(|key| *first <= key && key <= *last),
            Self::IgnoreCase(wanted) => fold(text) == **wanted,
            Self::Prefix(start) => text.starts_with(&**start),
            Self::PrefixIgnoreCase(start) => fold(text).starts_with(&**start),
            Self::Suffix(end) => text.ends_with(&**end),
            Self::SuffixIgnoreCase(end) => fold(text).ends_with(&**end),
            Self::Text(wanted) => **wanted == *text,
            Self::Wildcard(wildcard) => wildcard.matches(text),
            // No text passes these, or any text has passed before.
            Self::Absent
            | Self::AnythingBut(_)
            | Self::Bool(_)
            | Self::Null
            | Self::Number(..)
            | Self::NumberText(_)
            | Self::Present => false,
        }
    }
}
