//! Handlers that need no interpreter: what they do is told from their text once, and then done step by step.
//!
//! A plan never says anything else than the interpreter would, it only says it sooner. Where it is not certain, because a
//! member is missing, a value is of another kind than it thought or a limit is near, it gives up, and the interpreter runs
//! the handler from its beginning. Nobody can tell, as a run is a function of its event and its snapshot. So a plan knows
//! no failures, either: what fails is for the interpreter to say.

mod compare;
mod item;
mod members;
mod read;
mod run;
#[cfg(test)]
mod tests;

use std::time::Duration;

use rhai::ImmutableString;

use compare::Comparison;
use members::{MemberIndex, Shape};

pub(crate) use read::read;

/// All that a handler of messages does.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    body: Block,
    /// The members of the payload that it looks at.
    shape: Shape,
    /// What a run counts as: its statements and the parts of their expressions, as the interpreter counts its steps.
    operations: u64,
}

/// Steps whose variables go when they are done.
#[derive(Clone, Debug, Default)]
struct Block {
    steps: Vec<Step>,
    /// How many variables there are before it.
    variables_before: usize,
}

/// One thing that a handler does.
#[derive(Clone, Debug)]
enum Step {
    Block(Block),
    If(Box<If>),
    /// Gives a value to the next variable.
    Let(Value),
    /// Sees that there is such a member, or could be.
    Look(MemberIndex),
    Publish(Box<Publish>),
    Put(Box<Put>),
    Return,
}

#[derive(Clone, Debug)]
struct If {
    condition: Value,
    then: Block,
    otherwise: Block,
}

#[derive(Clone, Debug)]
struct Publish {
    topic: Value,
    payload: Value,
    qos: Value,
    retain: Value,
}

#[derive(Clone, Debug)]
struct Put {
    table: ImmutableString,
    hash: Value,
    sort: Value,
    value: Value,
    ttl: Option<Duration>,
}

/// What a value is made of.
#[derive(Clone, Debug)]
enum Value {
    All(Vec<Value>),
    Any(Vec<Value>),
    Array(Vec<Value>),
    Bool(bool),
    Compare(Comparison, Box<[Value; 2]>),
    Field(Field),
    /// The first that is not `()`.
    FirstOf(Vec<Value>),
    Float(f64),
    Has(MemberIndex),
    Int(i64),
    Member(MemberIndex),
    Not(Box<Value>),
    /// Names in their order, each written as JSON with the colon behind it.
    Object(Vec<(Box<str>, Value)>),
    Param(ImmutableString),
    /// A text of several parts.
    Template(Vec<Value>),
    Sum(Box<[Value; 2]>),
    Text(ImmutableString),
    TypeOf(Box<Value>),
    Unit,
    Variable(usize),
    /// A constant that is an array or a map, as JSON.
    Written(Box<str>),
}

/// What a message has beside its payload's members.
#[derive(Clone, Copy, Debug)]
enum Field {
    ClientId,
    Id,
    IsJson,
    Payload,
    Qos,
    Raw,
    Retain,
    Size,
    Time,
    Topic,
    User,
}
