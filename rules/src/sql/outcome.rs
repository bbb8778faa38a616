//! What a SQL rule made of a message, and what it could not.

use crate::effect::Effect;

/// What a rule made of one message.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SqlOutcome {
    /// Whether WHERE let the message through.
    pub fired: bool,
    /// What to do, in the order of the file; that of the error action is the last.
    pub effects: Vec<Effect>,
    /// What failed. If the rule has an error action, it has been asked for.
    pub failures: Vec<SqlFailure>,
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
}
