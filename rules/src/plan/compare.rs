//! Comparisons whose result is certain.

use std::cmp::Ordering;

use rhai::Token;

use super::item::Item;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Comparison {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    NotEqual,
}

impl Comparison {
    pub(super) fn of(operator: &Token) -> Option<Self> {
        Some(match operator {
            Token::EqualsTo => Self::Equal,
            Token::GreaterThan => Self::Greater,
            Token::GreaterThanEqualsTo => Self::GreaterOrEqual,
            Token::LessThan => Self::Less,
            Token::LessThanEqualsTo => Self::LessOrEqual,
            Token::NotEqualsTo => Self::NotEqual,
            _ => return None,
        })
    }

    /// Whether it holds; `None` if the language might see it otherwise, as with numbers that are not whole.
    pub(super) fn holds(self, left: &Item<'_>, right: &Item<'_>) -> Option<bool> {
        if let (Item::Int(left), Item::Int(right)) = (left, right) {
            return Some(self.accepts(left.cmp(right)));
        }
        if let (Some(left), Some(right)) = (left.as_text(), right.as_text()) {
            return Some(self.accepts(left.cmp(right)));
        }
        if let (Some(left), Some(right)) = (left.as_number(), right.as_number()) {
            return Some(self.holds_nearly(left, right));
        }
        if !matches!(self, Self::Equal | Self::NotEqual) {
            return None;
        }
        let equal = match (left, right) {
            (Item::Bool(left), Item::Bool(right)) => left == right,
            // What is of two kinds is not equal.
            _ => left.kind()? == right.kind()? && matches!(left, Item::Unit),
        };
        let both_parts =
            matches!((left, right), (Item::Json(_) | Item::Written(_), Item::Json(_) | Item::Written(_)));
        (!both_parts).then_some(equal == (self == Self::Equal))
    }

    /// The language compares with a tolerance as soon as one of two numbers is not whole.
    fn holds_nearly(self, left: f64, right: f64) -> bool {
        let scale = if left * right == 0.0 { 1.0 } else { left.abs().max(right.abs()) };
        let above = (left - right) / scale;
        match self {
            Self::Equal => above.abs() <= f64::EPSILON,
            Self::Greater => above > f64::EPSILON,
            Self::GreaterOrEqual => above > -f64::EPSILON,
            Self::Less => -above > f64::EPSILON,
            Self::LessOrEqual => -above > -f64::EPSILON,
            Self::NotEqual => above.abs() > f64::EPSILON,
        }
    }

    fn accepts(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::NotEqual => order.is_ne(),
        }
    }
}
