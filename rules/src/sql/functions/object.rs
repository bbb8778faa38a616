//! Functions about values as such: what they are, and what lies in them.

use std::borrow::Cow;

use super::{ANY, Arguments, Definition};
use crate::error::RunErrorKind;
use crate::sql::decimal::Rounding;
use crate::sql::error::SqlRunError;
use crate::sql::evaluate::Evaluated;
use crate::sql::value::{Type, Value};

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition::new("concat", 0, ANY, concat),
    Definition::new("get", 2, 2, get),
    Definition::new("get_or_default", 1, 2, get_or_default),
    Definition::new("isnull", 1, 1, |arguments| {
        Ok(Value::Boolean(matches!(arguments.value(0)?, Value::Null)))
    }),
    Definition::new("isundefined", 1, 1, |arguments| {
        Ok(Value::Boolean(matches!(arguments.value(0)?, Value::Undefined)))
    }),
    Definition::new("nanvl", 2, 2, nanvl),
    Definition::new("transform", 3, 3, transform),
];

/// Arrays and what else is given become one array; without an array all become one text.
fn concat<'a>(arguments: &Arguments<'a, '_>) -> Evaluated<'a> {
    let count = arguments.len();
    if count < 2 {
        return arguments.value(0);
    }
    let values = (0..count).map(|index| arguments.value(index)).collect::<Result<Vec<_>, _>>()?;
    if values.iter().any(|value| value.kind() == Type::Array) {
        let mut joined = Vec::new();
        for value in values {
            match value.kind() {
                Type::Array => joined.extend(value.elements().unwrap_or_default()),
                Type::Undefined => {}
                _ => joined.push(value),
            }
        }
        arguments.evaluation().charge(joined.len() * 48)?;
        return Ok(Value::Array(joined));
    }
    let mut joined = String::new();
    for value in values {
        let Some(text) = value.into_text() else { return Ok(Value::Undefined) };
        joined.push_str(&text);
    }
    arguments.made(joined)
}

/// An element by its index from 0, a character of a text, or a member by its name.
fn get<'a>(arguments: &Arguments<'a, '_>) -> Evaluated<'a> {
    let (value, key) = (arguments.value(0)?, arguments.value(1)?);
    let index = || usize::try_from(key.to_int(Rounding::Floor)?).ok();
    Ok(match value.kind() {
        Type::Object => match key {
            Value::Text(name) => value.member(&name),
            _ => Value::Undefined,
        },
        Type::Array => match (index(), value.elements()) {
            (Some(index), Some(elements)) => elements.into_iter().nth(index).unwrap_or(Value::Undefined),
            _ => Value::Undefined,
        },
        Type::Text => match (index(), value.into_text()) {
            (Some(index), Some(text)) => text
                .chars()
                .nth(index)
                .map_or(Value::Undefined, |character| Value::text(character.to_string())),
            _ => Value::Undefined,
        },
        _ => Value::Undefined,
    })
}

/// The first argument, or the second if that is Null or Undefined, or a function failed in it. Limits stay limits.
fn get_or_default<'a>(arguments: &Arguments<'a, '_>) -> Evaluated<'a> {
    match arguments.value(0) {
        Ok(Value::Null | Value::Undefined)
        | Err(SqlRunError::Function { kind: RunErrorKind::Thrown | RunErrorKind::Type, .. }) => {
            arguments.value(1)
        }
        value => value,
    }
}

/// The first argument if it is any value but Null, else the second. (There is no Decimal that is not a number.)
fn nanvl<'a>(arguments: &Arguments<'a, '_>) -> Evaluated<'a> {
    match arguments.value(0)? {
        Value::Null | Value::Undefined => arguments.value(1),
        value => Ok(value),
    }
}

/// `transform('enrichArray', attributes, objects)`: each object with the attributes, which replace members of
/// the same name.
fn transform<'a>(arguments: &Arguments<'a, '_>) -> Evaluated<'a> {
    let (mode, attributes, objects) = (arguments.text(0)?, arguments.value(1)?, arguments.value(2)?);
    let attribute_bytes = attributes.bytes();
    let (Some("enrichArray"), Some(attributes), Some(objects)) =
        (mode.as_deref(), attributes.members(), objects.elements())
    else {
        return Ok(Value::Undefined);
    };
    let mut enriched = Vec::with_capacity(objects.len());
    for object in objects {
        arguments.evaluation().charge(object.bytes() + attribute_bytes)?;
        let Some(mut members) = object.members() else { return Ok(Value::Undefined) };
        arguments.evaluation().charge(members.len() * attributes.len())?;
        let is_kept = |name: &Cow<'_, str>| attributes.iter().all(|(other, _)| other != name);
        members.retain(|(name, _)| is_kept(name));
        members.extend(attributes.iter().cloned());
        enriched.push(Value::Object(members));
    }
    Ok(Value::Array(enriched))
}
