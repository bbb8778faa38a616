//! Functions about numbers. What is not exact by nature is computed with floats.

use super::{Arguments, Definition};
use crate::sql::ast::Operator;
use crate::sql::decimal::{DIGITS_MAX, Decimal, Rounding};
use crate::sql::evaluate::{Evaluated, compute};
use crate::sql::value::Value;

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition::new("abs", 1, 1, |arguments| {
        Ok(match arguments.value(0)?.to_number() {
            Some(Value::Int(number)) => Value::Int(number.abs()),
            Some(Value::Decimal(number)) if number.is_negative() => Value::Decimal(number.negate()),
            number => number.unwrap_or(Value::Undefined),
        })
    }),
    Definition::new("acos", 1, 1, |arguments| float(arguments, f64::acos)),
    Definition::new("asin", 1, 1, |arguments| float(arguments, f64::asin)),
    Definition::new("atan", 1, 1, |arguments| float(arguments, f64::atan)),
    Definition::new("atan2", 2, 2, |arguments| {
        let (y, x) = (arguments.decimal(0)?, arguments.decimal(1)?);
        let angle = y.zip(x).map(|(y, x)| y.to_f64().atan2(x.to_f64()));
        Ok(Value::decimal(angle.and_then(Decimal::from_f64)))
    }),
    Definition::new("bitand", 2, 2, |arguments| bits(arguments, |left, right| left & right)),
    Definition::new("bitnot", 1, 1, |arguments| {
        Ok(arguments.int(0)?.map_or(Value::Undefined, |number| Value::Int(!number)))
    }),
    Definition::new("bitor", 2, 2, |arguments| bits(arguments, |left, right| left | right)),
    Definition::new("bitxor", 2, 2, |arguments| bits(arguments, |left, right| left ^ right)),
    Definition::new("ceil", 1, 1, |arguments| round(arguments, Rounding::Ceil)),
    Definition::new("cos", 1, 1, |arguments| float(arguments, f64::cos)),
    Definition::new("cosh", 1, 1, |arguments| float(arguments, f64::cosh)),
    Definition::new("exp", 1, 1, |arguments| float(arguments, f64::exp)),
    Definition::new("floor", 1, 1, |arguments| round(arguments, Rounding::Floor)),
    Definition::new("ln", 1, 1, |arguments| float(arguments, f64::ln)),
    Definition::new("log", 1, 1, |arguments| float(arguments, f64::log10)),
    Definition::new("mod", 2, 2, remainder),
    Definition::new("power", 2, 2, power),
    Definition::new("remainder", 2, 2, remainder),
    Definition::new("round", 1, 1, |arguments| round(arguments, Rounding::HalfAway)),
    Definition::new("sign", 1, 1, |arguments| {
        let sign = arguments.decimal(0)?.map(|number| number.cmp(&Decimal::default()) as i8);
        Ok(sign.map_or(Value::Undefined, |sign| Value::Int(sign.into())))
    }),
    Definition::new("sin", 1, 1, |arguments| float(arguments, f64::sin)),
    Definition::new("sinh", 1, 1, |arguments| float(arguments, f64::sinh)),
    Definition::new("sqrt", 1, 1, |arguments| float(arguments, f64::sqrt)),
    Definition::new("tan", 1, 1, |arguments| float(arguments, f64::tan)),
    Definition::new("tanh", 1, 1, |arguments| float(arguments, f64::tanh)),
    Definition::new("trunc", 2, 2, trunc),
];

/// A function that floats have; Undefined where it has no value.
fn float<'a>(arguments: &Arguments<'a, '_>, function: fn(f64) -> f64) -> Evaluated<'a> {
    let number = arguments.decimal(0)?.map(|number| function(number.to_f64()));
    Ok(Value::decimal(number.and_then(Decimal::from_f64)))
}

fn bits<'a>(arguments: &Arguments<'a, '_>, join: fn(i128, i128) -> i128) -> Evaluated<'a> {
    let (left, right) = (arguments.int(0)?, arguments.int(1)?);
    Ok(left.zip(right).map_or(Value::Undefined, |(left, right)| Value::int(Some(join(left, right)), || None)))
}

fn round<'a>(arguments: &Arguments<'a, '_>, rounding: Rounding) -> Evaluated<'a> {
    Ok(match arguments.value(0)?.to_number() {
        Some(Value::Decimal(number)) => {
            let rounded = number.round(0, rounding);
            rounded.to_int().map_or(Value::Decimal(rounded), Value::Int)
        }
        number => number.unwrap_or(Value::Undefined),
    })
}

/// As the operator `%`.
fn remainder<'a>(arguments: &Arguments<'a, '_>) -> Evaluated<'a> {
    Ok(compute(Operator::Remainder, &arguments.value(0)?, &arguments.value(1)?))
}

/// Exact for whole exponents, else as exact as floats are.
fn power<'a>(arguments: &Arguments<'a, '_>) -> Evaluated<'a> {
    let (Some(base), Some(exponent)) = (arguments.decimal(0)?, arguments.decimal(1)?) else {
        return Ok(Value::Undefined);
    };
    let whole = exponent.to_int().and_then(|whole| i32::try_from(whole).ok());
    Ok(Value::decimal(match whole {
        Some(whole) => base.power(whole),
        None => Decimal::from_f64(base.to_f64().powf(exponent.to_f64())),
    }))
}

/// `trunc(number, places)`: at most so many digits of fraction, 0 to 34.
fn trunc<'a>(arguments: &Arguments<'a, '_>) -> Evaluated<'a> {
    let places = arguments.int_up_to(1, DIGITS_MAX as usize)?.and_then(|places| u32::try_from(places).ok());
    let (Some(number), Some(places)) = (arguments.value(0)?.to_number(), places) else {
        return Ok(Value::Undefined);
    };
    Ok(match number {
        Value::Decimal(number) => Value::Decimal(number.round(places, Rounding::Truncate)),
        number => number,
    })
}
