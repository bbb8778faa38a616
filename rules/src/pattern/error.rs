//! Why a text is no pattern, and why an event cannot be matched.

use std::fmt;

use thiserror::Error;

/// Why a text is no event pattern. `Display` gives the field first, as `detail.score[0].numeric: …`.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub struct PatternError {
    /// The place in the pattern: names of fields with dots between them, `[n]` for an element of an array,
    /// counted from 0. Empty if the whole text is meant.
    pub path: String,
    /// What is wrong there and what to do.
    pub message: String,
}

impl PatternError {
    pub(super) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "the event pattern" } else { &self.path };
        write!(formatter, "{path}: {}", self.message)
    }
}

/// Why an event cannot be matched. What no pattern names is skipped, not checked, so that not every text that
/// is no JSON is found out.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum JsonError {
    /// The event is not UTF-8.
    #[error("the event is not UTF-8 from byte {at} on: send JSON as UTF-8")]
    NotUtf8 {
        /// Where, in bytes.
        at: usize,
    },
    /// The event is not JSON.
    #[error("the event is not JSON at byte {at}: expected {expected}")]
    Syntax {
        /// Where, in bytes.
        at: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// The same fields stand in so many arrays within arrays that too many ways to choose elements are left.
    #[error(
        "the event's arrays can be combined in more than {max} ways: send fewer arrays beside each other"
    )]
    TooComplex {
        /// How many ways are looked at.
        max: usize,
    },
    /// Arrays and objects lie too deep in each other.
    #[error("the event's arrays and objects lie more than {max} deep, at byte {at}: make it flatter")]
    TooDeep {
        /// Where, in bytes.
        at: usize,
        /// How deep they may lie.
        max: usize,
    },
    /// The event is too long.
    #[error("the event has {bytes} bytes: at most {max} are allowed")]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
        /// How long it may be.
        max: usize,
    },
    /// The event has too many values or array elements that patterns ask for.
    #[error("the event has more than {max} values or array elements that patterns name: split it")]
    TooManyValues {
        /// How many it may have of each.
        max: usize,
    },
    /// Matching the event would take too many steps.
    #[error("the event's arrays need more than {max} steps to match: make them shorter")]
    TooMuchWork {
        /// How many steps are allowed.
        max: usize,
    },
}
