//! Operators, by rank: OR, AND, NOT, comparisons, sums, products, signs, members.

use super::{Parsed, Parser};
use crate::sql::ast::{Expr, Operator};
use crate::sql::lex::Token;

const COMPARISONS: [(&str, Operator); 8] = [
    ("=", Operator::Equal),
    ("==", Operator::Equal),
    ("<>", Operator::NotEqual),
    ("!=", Operator::NotEqual),
    ("<", Operator::Less),
    ("<=", Operator::LessEqual),
    (">", Operator::Greater),
    (">=", Operator::GreaterEqual),
];
const SUMS: [(&str, Operator); 2] = [("+", Operator::Add), ("-", Operator::Subtract)];
const PRODUCTS: [(&str, Operator); 3] =
    [("*", Operator::Multiply), ("/", Operator::Divide), ("%", Operator::Remainder)];

impl Parser<'_> {
    /// Any expression.
    pub(crate) fn expression(&mut self) -> Parsed<Expr> {
        self.deeper(|parser| {
            let mut sides = vec![parser.conjunction()?];
            while parser.take_word("OR")? {
                sides.push(parser.conjunction()?);
            }
            Ok(one_or(sides, Expr::Or))
        })
    }

    fn conjunction(&mut self) -> Parsed<Expr> {
        let mut sides = vec![self.negation()?];
        while self.take_word("AND")? {
            sides.push(self.negation()?);
        }
        Ok(one_or(sides, Expr::And))
    }

    fn negation(&mut self) -> Parsed<Expr> {
        if self.take_word("NOT")? {
            return self.deeper(|parser| Ok(Expr::Not(Box::new(parser.negation()?))));
        }
        let first = self.sum()?;
        let mut rest = Vec::new();
        loop {
            let operator = if self.is_word("IN") { Some(Operator::In) } else { self.operator(&COMPARISONS) };
            let Some(operator) = operator else { return Ok(chain(first, rest)) };
            self.advance()?;
            rest.push((operator, self.sum()?));
        }
    }

    fn sum(&mut self) -> Parsed<Expr> {
        let first = self.product()?;
        let mut rest = Vec::new();
        while let Some(operator) = self.operator(&SUMS) {
            self.advance()?;
            rest.push((operator, self.product()?));
        }
        Ok(chain(first, rest))
    }

    fn product(&mut self) -> Parsed<Expr> {
        let first = self.signed()?;
        let mut rest = Vec::new();
        while let Some(operator) = self.operator(&PRODUCTS) {
            self.advance()?;
            rest.push((operator, self.signed()?));
        }
        Ok(chain(first, rest))
    }

    fn signed(&mut self) -> Parsed<Expr> {
        if self.take_sign("-")? {
            return self.deeper(|parser| Ok(Expr::Negate(Box::new(parser.signed()?))));
        }
        let base = self.primary()?;
        let mut names = Vec::new();
        while self.take_sign(".")? {
            names.push(self.name("the name of a member")?);
        }
        Ok(if names.is_empty() { base } else { Expr::Members(Box::new(base), names) })
    }

    /// The operator that is next, if it is one of these.
    fn operator(&self, operators: &[(&str, Operator)]) -> Option<Operator> {
        let Token::Sign(sign) = self.token else { return None };
        operators.iter().find(|(text, _)| *text == sign).map(|(_, operator)| *operator)
    }
}

fn one_or(mut sides: Vec<Expr>, join: fn(Vec<Expr>) -> Expr) -> Expr {
    match sides.pop() {
        Some(only) if sides.is_empty() => only,
        last => {
            sides.extend(last);
            join(sides)
        }
    }
}

fn chain(first: Expr, rest: Vec<(Operator, Expr)>) -> Expr {
    if rest.is_empty() { first } else { Expr::Chain(Box::new(first), rest) }
}
