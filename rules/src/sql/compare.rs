//! `=`, `<` and their kin.

use std::cmp::Ordering;

use super::ast::Operator;
use super::value::{Type, Value};

/// Whether a comparison holds; `None` is Undefined, and what an operator gives that compares nothing.
pub(crate) fn holds(operator: Operator, left: &Value<'_>, right: &Value<'_>) -> Option<bool> {
    let ordered = |wanted: fn(Ordering) -> bool| order(left, right).map(wanted);
    match operator {
        Operator::Equal => equal(left, right),
        Operator::NotEqual => equal(left, right).map(|is_equal| !is_equal),
        Operator::Less => ordered(Ordering::is_lt),
        Operator::LessEqual => ordered(Ordering::is_le),
        Operator::Greater => ordered(Ordering::is_gt),
        Operator::GreaterEqual => ordered(Ordering::is_ge),
        Operator::Add
        | Operator::Divide
        | Operator::In
        | Operator::Multiply
        | Operator::Remainder
        | Operator::Subtract => None,
    }
}

/// `left = right`; `None` is Undefined. Of different types it is false.
pub(crate) fn equal(left: &Value<'_>, right: &Value<'_>) -> Option<bool> {
    let (left_type, right_type) = (left.kind(), right.kind());
    if left_type == Type::Undefined || right_type == Type::Undefined {
        return None;
    }
    Some(left_type == right_type && is_same(left, right))
}

/// `left < right` and so on, as numbers; `None` is Undefined.
fn order(left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
    if let (Value::Int(left), Value::Int(right)) = (left, right) {
        return Some(left.cmp(right));
    }
    Some(left.to_decimal()?.cmp(&right.to_decimal()?))
}

/// Whether two values of one type are equal: arrays in order, objects in any order.
fn is_same(left: &Value<'_>, right: &Value<'_>) -> bool {
    match (left, right) {
        (Value::Null, Value::Null) => true,
        (Value::Boolean(left), Value::Boolean(right)) => left == right,
        (Value::Text(left), Value::Text(right)) => left == right,
        (Value::Bytes(left), Value::Bytes(right)) => left == right,
        (Value::Int(left), Value::Int(right)) => left == right,
        _ => match left.kind() {
            Type::Number => order(left, right) == Some(Ordering::Equal),
            Type::Array => is_same_array(left, right),
            Type::Object => is_same_object(left, right),
            _ => false,
        },
    }
}

fn is_same_array(left: &Value<'_>, right: &Value<'_>) -> bool {
    let (Some(left), Some(right)) = (left.clone().elements(), right.clone().elements()) else {
        return false;
    };
    let mut pairs = left.iter().zip(&right);
    left.len() == right.len()
        && pairs.all(|(left, right)| left.kind() == right.kind() && is_same(left, right))
}

fn is_same_object(left: &Value<'_>, right: &Value<'_>) -> bool {
    let (Some(mut left), Some(mut right)) = (left.clone().members(), right.clone().members()) else {
        return false;
    };
    // Of members with one name the last counts: sorting is stable, so it stands last, and first when reversed.
    for members in [&mut left, &mut right] {
        members.reverse();
        members.sort_by(|(name, _), (other, _)| name.cmp(other));
        members.dedup_by(|(name, _), (other, _)| name == other);
    }
    let mut pairs = left.iter().zip(&right);
    left.len() == right.len()
        && pairs.all(|((name, left), (other, right))| {
            name == other && left.kind() == right.kind() && is_same(left, right)
        })
}
