//! Rules in AWS IoT SQL: the statement, its functions, and the actions of a rule file.
//!
//! Nothing here builds a tree of the payload: it is checked once, members are found in its text, and what is only
//! passed on is copied as it stands.

mod action;
mod ast;
mod compare;
mod context;
mod decided;
mod decimal;
mod doc;
mod error;
mod evaluate;
mod functions;
mod glance;
mod lex;
mod limits;
mod outcome;
mod parse;
mod rule;
mod select;
mod statement;
mod template;
mod value;

pub use context::{Context, FunctionError, Functions, NoFunctions};
pub use decided::{Asked, Decided, Refused};
pub use error::{SqlError, SqlRunError};
pub use outcome::{SqlFailure, SqlOutcome};
pub use rule::SqlRule;
pub use select::Output;
pub use statement::Statement;
