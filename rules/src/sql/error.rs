//! What goes wrong with a statement: when it is read, and when it is evaluated.

use thiserror::Error;

use crate::error::RunErrorKind;
use crate::snapshot::SnapshotError;

/// Why a text is not a statement. `Display` gives the place and the message.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("line {line}, column {column}: {message}")]
pub struct SqlError {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What was expected, or is wrong, and what to do.
    pub message: String,
}

/// Why a statement could not be evaluated. What merely does not fit is Undefined and no error.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum SqlRunError {
    /// `aws_lambda` called a function that failed.
    #[error("function {name:?} failed: {message}")]
    Function {
        /// The function's name.
        name: String,
        /// What it says.
        message: String,
        /// Which kind of failure it is.
        kind: RunErrorKind,
    },
    /// It reached the named limit.
    #[error("the limit {0} is reached: select less, or split the message")]
    Limit(&'static str),
    /// `*` stands beside other items, and the payload has no members to copy.
    #[error("`*` beside other items needs a JSON object as payload, and this is {0}")]
    NoObject(String),
    /// A table could not be read: worth another try.
    #[error("the table {table:?} could not be read")]
    Snapshot {
        /// The table's name.
        table: String,
        /// Why.
        #[source]
        source: SnapshotError,
    },
}

impl SqlRunError {
    /// Which kind of failure it is.
    pub fn kind(&self) -> RunErrorKind {
        match self {
            Self::Function { kind, .. } => *kind,
            Self::Limit(name) => RunErrorKind::Limit(name),
            Self::NoObject(_) => RunErrorKind::Type,
            Self::Snapshot { .. } => RunErrorKind::Snapshot,
        }
    }
}
