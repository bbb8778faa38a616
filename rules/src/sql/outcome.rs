//! What a SQL rule made of a message, and what it could not.

use super::decided::Asked;
use crate::effect::Effect;
use crate::error::RunErrorKind;

/// What a rule made of one message.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SqlOutcome {
    /// Whether WHERE let the message through.
    pub fired: bool,
    /// What to do, in the order of the file; that of the error action is the last.
    pub effects: Vec<Effect>,
    /// The actions that ask for them.
    pub asked: Asked,
    /// What failed; a failure of the error action is the last.
    pub failures: Vec<SqlFailure>,
    /// Where something failed: the actions that did not, as they are written.
    pub done: Vec<String>,
    /// Whether the error action is among the effects, which has what failed in hand.
    pub is_told: bool,
}

/// An action that could not be asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SqlFailure {
    /// The kind of action, for instance `RepublishAction`; `Select` for the statement itself.
    pub action: &'static str,
    /// What it would have been done to, as the file says it.
    pub resource: String,
    /// Why not.
    pub message: String,
    /// Which kind of failure it is.
    pub kind: RunErrorKind,
    /// The line of the file where the action begins, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
}
