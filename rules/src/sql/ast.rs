//! A statement as it was read.

use super::functions::{Definition, Pattern};

/// What is selected: from the payload, or in a nested query from each element.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    pub(crate) what: Selected,
    pub(crate) condition: Option<Expr>,
}

/// The list behind SELECT.
#[derive(Clone, Debug)]
pub(crate) enum Selected {
    /// An object of these items; `has_all` says that `*` is among them.
    Items { has_all: bool, items: Vec<Item> },
    /// `VALUE expr`: the value itself. `SELECT *` alone is read as `VALUE *`.
    Value(Expr),
}

/// One item of the list.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) value: Expr,
    /// Where it goes in the output; more than one name makes objects within it.
    pub(crate) path: Vec<String>,
}

/// An expression.
#[derive(Clone, Debug)]
pub(crate) enum Expr {
    /// `*`: the whole payload.
    All,
    /// Two or more. Chains are lists, so that a long one does not lie deep.
    And(Vec<Expr>),
    Array(Vec<Expr>),
    Call(Call),
    Case(Box<Case>),
    Cast(Box<Expr>, CastTo),
    /// `first + second - third`: operators of one rank, done from the left.
    Chain(Box<Expr>, Vec<(Operator, Expr)>),
    /// `EXISTS (query)`.
    Exists(Box<Query>),
    /// A value that stands in the statement.
    Literal(super::value::Value<'static>),
    /// `value.a.b`
    Members(Box<Expr>, Vec<String>),
    /// A member of the payload, or of the element in a nested query.
    Name(String),
    Negate(Box<Expr>),
    Not(Box<Expr>),
    Object(Vec<(String, Expr)>),
    /// Two or more.
    Or(Vec<Expr>),
    Query(Box<Query>),
    /// A variable, by its place in SET.
    Variable(usize),
}

/// A nested query.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) from: Expr,
    pub(crate) selection: Selection,
}

/// `CASE value WHEN … THEN … ELSE … END`.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) value: Expr,
    pub(crate) branches: Vec<(Expr, Expr)>,
    pub(crate) otherwise: Option<Expr>,
}

/// A function with its arguments.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) function: &'static Definition,
    pub(crate) arguments: Vec<Expr>,
    /// The compiled pattern, if the function takes one and it stands in the statement.
    pub(crate) pattern: Option<Pattern>,
}

/// The operators whose both sides are values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Operator {
    Add,
    Divide,
    Equal,
    Greater,
    GreaterEqual,
    In,
    Less,
    LessEqual,
    Multiply,
    NotEqual,
    Remainder,
    Subtract,
}

impl Operator {
    /// Whether it is `=`, `<` or one of their kin.
    pub(crate) fn is_comparison(self) -> bool {
        use Operator::{Equal, Greater, GreaterEqual, Less, LessEqual, NotEqual};
        matches!(self, Equal | Greater | GreaterEqual | Less | LessEqual | NotEqual)
    }
}

/// What `cast` makes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum CastTo {
    Boolean,
    Decimal,
    Int,
    Text,
}
