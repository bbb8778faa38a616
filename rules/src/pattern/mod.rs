//! Event patterns: which JSON events a rule wants, and the automaton that finds all rules that want one.
//!
//! `parse` and `operators` read a pattern into tests of values, `matching` says what one pattern means, and `set` compiles
//! many patterns into one automaton. The language is described in `docs/PATTERNS.md`.

mod address;
#[cfg(test)]
mod agreement;
mod arrays;
mod error;
mod fold;
mod json;
mod matching;
#[cfg(test)]
mod naive;
mod node;
mod number;
mod operators;
mod parse;
mod set;
mod test;
#[cfg(test)]
mod testing;
mod wildcard;

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

pub use error::{JsonError, PatternError};
pub use set::{PatternSet, Scratch};

use node::Node;
use test::Test;

/// The longest pattern in bytes of JSON.
pub const PATTERN_BYTES_MAX: usize = 16 << 10;
/// How deep objects may lie in each other in a pattern.
pub const PATTERN_DEPTH_MAX: usize = 32;
/// How many combinations of the branches of all its `$or` a pattern may have.
pub const ALTERNATIVES_MAX: usize = 256;
/// How many fields a pattern may name in one combination of branches.
pub const CONDITIONS_MAX: usize = 64;
/// How many `*` one wildcard may have.
pub const WILDCARD_STARS_MAX: usize = 16;
/// The longest event in bytes.
pub const EVENT_BYTES_MAX: usize = 1 << 20;
/// How deep arrays and objects may lie in each other in an event.
pub const EVENT_DEPTH_MAX: usize = 128;
/// How many values that patterns name an event may have, and how many elements of arrays that hold some.
pub const EVENT_VALUES_MAX: usize = 50_000;
/// How many ways to choose elements of arrays are looked at within one element.
pub const EVENT_CHOICES_MAX: usize = 64;
/// How many steps it may take to find which conditions the same elements of arrays meet.
pub const EVENT_STEPS_MAX: usize = 10_000_000;

/// A pattern: the conditions that an event must meet.
#[derive(Clone)]
pub struct Pattern {
    source: Arc<str>,
    /// One for each combination of the branches of its `$or`; the event must meet one of them.
    alternatives: Vec<Alternative>,
}

/// Conditions that an event must meet all, one for each path, in the order of their paths.
type Alternative = Vec<Arc<Condition>>;

/// What the values at one path must be.
#[derive(Debug)]
struct Condition {
    /// Names of fields with dots between them.
    path: Box<str>,
    /// A value must pass one of them; or there must be no value, if [`Test::Absent`] is among them.
    tests: Box<[Test]>,
    /// The pattern's text of it.
    source: Box<str>,
}

impl Condition {
    fn allows_absence(&self) -> bool {
        self.tests.contains(&Test::Absent)
    }
}

impl Pattern {
    /// Reads a pattern from JSON.
    ///
    /// # Errors
    /// Names the field and what is wrong with it.
    pub fn compile(text: &str) -> Result<Self, PatternError> {
        check_length(text.len())?;
        let node =
            Node::parse(text).map_err(|error| PatternError::new("", format!("it is not JSON: {error}")))?;
        Ok(Self { source: text.into(), alternatives: parse::alternatives(&node)? })
    }

    /// Reads a pattern from a JSON value. Its members count in the order in which `value` gives them.
    ///
    /// # Errors
    /// Names the field and what is wrong with it.
    pub fn from_value(value: &Value) -> Result<Self, PatternError> {
        Self::compile(&value.to_string())
    }

    /// The JSON text it was made from.
    pub fn source(&self) -> &str {
        &self.source
    }
}

fn check_length(bytes: usize) -> Result<(), PatternError> {
    if bytes > PATTERN_BYTES_MAX {
        let message = format!("it has {bytes} bytes: at most {PATTERN_BYTES_MAX} are allowed");
        return Err(PatternError::new("", message));
    }
    Ok(())
}

impl fmt::Debug for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Pattern").field(&self.source).finish()
    }
}

impl PartialEq for Pattern {
    /// Whether both have the same text.
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Pattern {}
