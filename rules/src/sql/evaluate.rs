//! From expressions to values.

use std::borrow::Cow;

use super::ast::{Case, CastTo, Expr, Operator, Query, Selected, Selection};
use super::compare::{equal, holds};
use super::context::Scope;
use super::decimal::{Decimal, Rounding};
use super::error::SqlRunError;
use super::limits::QUERY_ITEMS_MAX;
use super::select;
use super::value::{Type, Value};

/// What an evaluation gives: a value, Undefined among them, or the reason to give up.
pub(crate) type Evaluated<'a> = Result<Value<'a>, SqlRunError>;

impl Expr {
    /// The value of the expression.
    pub(crate) fn evaluate<'a>(&'a self, scope: &Scope<'a>) -> Evaluated<'a> {
        match self {
            Self::All => Ok(scope.all()),
            Self::And(_) | Self::Or(_) | Self::Not(_) => logic(self, scope),
            Self::Array(elements) => {
                scope.evaluation.charge(elements.len() * 48)?;
                elements
                    .iter()
                    .map(|element| element.evaluate(scope))
                    .collect::<Result<_, _>>()
                    .map(Value::Array)
            }
            Self::Call(call) => call.evaluate(scope),
            Self::Case(case) => choose(case, scope),
            Self::Cast(value, to) => Ok(cast(value.evaluate(scope)?, *to)),
            Self::Chain(first, rest) => {
                let mut value = first.evaluate(scope)?;
                for (operator, other) in rest {
                    value = operate(*operator, value, other.evaluate(scope)?, scope)?;
                }
                Ok(value)
            }
            Self::Exists(query) => Ok(match run(query, scope)? {
                Found::Rows(rows) => Value::Boolean(!rows.is_empty()),
                Found::One(value) => Value::Boolean(!matches!(value, Value::Undefined)),
                Found::Nothing => Value::Undefined,
            }),
            Self::Literal(value) => Ok(value.share()),
            Self::Members(base, names) => {
                let mut value = base.evaluate(scope)?;
                for name in names {
                    scope.evaluation.charge(value.bytes())?;
                    value = value.member(name);
                }
                Ok(value)
            }
            Self::Name(name) => scope.member(name),
            Self::Negate(value) => Ok(match value.evaluate(scope)?.to_number() {
                Some(Value::Int(number)) => Value::Int(-number),
                Some(Value::Decimal(number)) => Value::Decimal(number.negate()),
                _ => Value::Undefined,
            }),
            Self::Object(members) => {
                scope.evaluation.charge(members.len() * 72)?;
                let pair = |(name, value): &'a (String, Self)| {
                    Ok((Cow::Borrowed(name.as_str()), value.evaluate(scope)?))
                };
                members.iter().map(pair).collect::<Result<_, _>>().map(Value::Object)
            }
            Self::Query(query) => Ok(match run(query, scope)? {
                Found::Rows(rows) => Value::Array(rows),
                Found::One(value) => value,
                Found::Nothing => Value::Undefined,
            }),
            Self::Variable(index) => scope.evaluation.variable(*index),
        }
    }

    /// Whether the value is true: all that WHERE wants to know. Unlike [`Self::evaluate`] it can leave out what
    /// makes no difference to that.
    pub(crate) fn is_true<'a>(&'a self, scope: &Scope<'a>) -> Result<bool, SqlRunError> {
        match self {
            Self::And(sides) => {
                for side in sides {
                    if !side.is_true(scope)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            other => Ok(other.evaluate(scope)?.to_boolean() == Some(true)),
        }
    }
}

/// AND, OR and NOT: Undefined as soon as one side is.
fn logic<'a>(expr: &'a Expr, scope: &Scope<'a>) -> Evaluated<'a> {
    let (sides, is_and) = match expr {
        Expr::And(sides) => (sides, true),
        Expr::Or(sides) => (sides, false),
        Expr::Not(side) => {
            let truth = side.evaluate(scope)?.to_boolean();
            return Ok(truth.map_or(Value::Undefined, |truth| Value::Boolean(!truth)));
        }
        _ => return Ok(Value::Undefined),
    };
    let mut result = is_and;
    for side in sides {
        match side.evaluate(scope)?.to_boolean() {
            Some(truth) if is_and => result &= truth,
            Some(truth) => result |= truth,
            None => return Ok(Value::Undefined),
        }
    }
    Ok(Value::Boolean(result))
}

fn operate<'a>(operator: Operator, left: Value<'a>, right: Value<'a>, scope: &Scope<'a>) -> Evaluated<'a> {
    if matches!(operator, Operator::Equal | Operator::NotEqual) {
        charge_comparison(&left, &right, scope)?;
    }
    Ok(match operator {
        operator if operator.is_comparison() => {
            holds(operator, &left, &right).map_or(Value::Undefined, Value::Boolean)
        }
        Operator::In => {
            charge_comparison(&left, &right, scope)?;
            match (left.kind(), right.elements()) {
                (Type::Undefined, _) | (_, None) => Value::Undefined,
                (_, Some(elements)) => {
                    Value::Boolean(elements.iter().any(|element| equal(&left, element) == Some(true)))
                }
            }
        }
        Operator::Add if left.kind() == Type::Text || right.kind() == Type::Text => {
            scope.evaluation.charge(left.bytes() + right.bytes())?;
            match (left.into_text(), right.into_text()) {
                (Some(left), Some(right)) => Value::text(left.into_owned() + &*right),
                _ => Value::Undefined,
            }
        }
        _ => compute(operator, &left, &right),
    })
}

/// Counts a comparison. Each level of what lies in each other reads all that is below it again.
fn charge_comparison(left: &Value<'_>, right: &Value<'_>, scope: &Scope<'_>) -> Result<(), SqlRunError> {
    let is_deep = [left, right].iter().any(|side| matches!(side.kind(), Type::Array | Type::Object));
    scope.evaluation.charge((left.bytes() + right.bytes()) * if is_deep { 16 } else { 1 })
}

/// Two Ints give an Int, unless it would be too long; anything else that is a number gives a Decimal.
pub(crate) fn compute(operator: Operator, left: &Value<'_>, right: &Value<'_>) -> Value<'static> {
    let exact = |left: Decimal, right: Decimal| match operator {
        Operator::Add => left.add(right),
        Operator::Divide => left.divide(right),
        Operator::Multiply => left.multiply(right),
        Operator::Remainder => left.remainder(right),
        Operator::Subtract => left.subtract(right),
        _ => None,
    };
    if let (&Value::Int(left), &Value::Int(right)) = (left, right) {
        let int = match operator {
            Operator::Add => left.checked_add(right),
            Operator::Divide => left.checked_div(right),
            Operator::Multiply => left.checked_mul(right),
            Operator::Remainder => left.checked_rem(right),
            Operator::Subtract => left.checked_sub(right),
            _ => None,
        };
        return Value::int(int, || exact(Decimal::from_int(left), Decimal::from_int(right)));
    }
    match (left.to_decimal(), right.to_decimal()) {
        (Some(left), Some(right)) => Value::decimal(exact(left, right)),
        _ => Value::Undefined,
    }
}

fn choose<'a>(case: &'a Case, scope: &Scope<'a>) -> Evaluated<'a> {
    let value = case.value.evaluate(scope)?;
    if value.kind() == Type::Undefined {
        return Ok(Value::Undefined);
    }
    for (when, then) in &case.branches {
        let candidate = when.evaluate(scope)?;
        charge_comparison(&value, &candidate, scope)?;
        if equal(&value, &candidate) == Some(true) {
            return then.evaluate(scope);
        }
    }
    case.otherwise.as_ref().map_or(Ok(Value::Undefined), |otherwise| otherwise.evaluate(scope))
}

/// `cast`: as the conversions of the operators, and Booleans and numbers into each other.
pub(crate) fn cast(value: Value<'_>, to: CastTo) -> Value<'_> {
    let is_number = matches!(value.kind(), Type::Number);
    match (to, &value) {
        (CastTo::Int | CastTo::Decimal, Value::Null) => Value::Null,
        (CastTo::Int | CastTo::Decimal, Value::Boolean(truth)) => Value::Int((*truth).into()),
        (CastTo::Int, Value::Text(_)) => {
            value.to_int(Rounding::Truncate).map_or(Value::Undefined, Value::Int)
        }
        (CastTo::Int, _) => value.to_int(Rounding::HalfAway).map_or(Value::Undefined, Value::Int),
        (CastTo::Decimal, _) => value.to_number().unwrap_or(Value::Undefined),
        (CastTo::Boolean, _) if is_number => {
            Value::Boolean(value.to_decimal().is_some_and(|number| !number.is_zero()))
        }
        (CastTo::Boolean, _) => value.to_boolean().map_or(Value::Undefined, Value::Boolean),
        (CastTo::Text, _) => value.into_text().map_or(Value::Undefined, Value::Text),
    }
}

/// What a nested query gives.
enum Found<'a> {
    /// FROM is neither an array nor an object.
    Nothing,
    /// FROM is an object: what is selected from it, Undefined if the condition is not true.
    One(Value<'a>),
    /// FROM is an array: what is selected from each element for which the condition is true.
    Rows(Vec<Value<'a>>),
}

fn run<'a>(query: &'a Query, scope: &Scope<'a>) -> Result<Found<'a>, SqlRunError> {
    let from = query.from.evaluate(scope)?;
    scope.evaluation.charge(from.bytes())?;
    if from.kind() == Type::Object {
        return select_from(from, query, scope).map(Found::One);
    }
    let Some(elements) = from.elements() else {
        return Ok(Found::Nothing);
    };
    if elements.len() > QUERY_ITEMS_MAX {
        return Err(SqlRunError::Limit("QUERY_ITEMS_MAX"));
    }
    let mut rows = Vec::new();
    for element in elements {
        scope.evaluation.charge(element.bytes())?;
        match select_from(element, query, scope)? {
            Value::Undefined => {}
            value => rows.push(value),
        }
    }
    Ok(Found::Rows(rows))
}

/// What is selected from one element; Undefined if the condition is not true.
fn select_from<'a>(element: Value<'a>, query: &'a Query, scope: &Scope<'a>) -> Evaluated<'a> {
    let inner = Scope::element(scope.evaluation, element);
    if passes(&query.selection, &inner)? { row(&query.selection, &inner) } else { Ok(Value::Undefined) }
}

/// Whether the condition is true, or there is none.
pub(crate) fn passes<'a>(selection: &'a Selection, scope: &Scope<'a>) -> Result<bool, SqlRunError> {
    selection.condition.as_ref().map_or(Ok(true), |condition| condition.is_true(scope))
}

fn row<'a>(selection: &'a Selection, scope: &Scope<'a>) -> Evaluated<'a> {
    match &selection.what {
        Selected::Value(value) => value.evaluate(scope),
        Selected::Items { has_all, items } => {
            let fields = select::fields(items, scope)?;
            let mut members = match has_all {
                true => scope.all().members().unwrap_or_default(),
                false => Vec::new(),
            };
            scope.evaluation.charge(members.len() * fields.len())?;
            members.retain(|(name, _)| fields.iter().all(|(other, _)| name != other));
            members.extend(fields);
            Ok(Value::Object(members))
        }
    }
}
