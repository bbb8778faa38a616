//! Functions about the message and the server, and those that read tables and call scripts.

use std::fmt::Write as _;

use super::{Arguments, Definition};
use crate::bus;
use crate::sql::context::FunctionError;
use crate::sql::decimal::Decimal;
use crate::sql::error::SqlRunError;
use crate::sql::evaluate::Evaluated;
use crate::sql::value::Value;

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition::new("accountid", 0, 0, |arguments| Ok(Value::text(arguments.context().account_id))),
    Definition::new("aws_lambda", 2, 2, aws_lambda),
    Definition::new("clientid", 0, 0, |arguments| {
        Ok(Value::text(arguments.context().client_id.unwrap_or("n/a")))
    }),
    Definition::new("get_dynamodb", 3, 6, get_dynamodb),
    Definition::new("newuuid", 0, 0, newuuid),
    Definition::new("principal", 0, 0, |arguments| {
        Ok(arguments.context().principal.map_or(Value::Undefined, Value::text))
    }),
    Definition::new("rand", 0, 0, rand),
    Definition::new("sql_version", 0, 0, |_| Ok(Value::text("2016-03-23"))),
    Definition::new("timestamp", 0, 0, |arguments| Ok(Value::Int(arguments.context().time_ms.into()))),
    Definition::new("topic", 0, 1, topic),
    Definition::new("traceid", 0, 0, |arguments| {
        arguments.made(uuid(arguments.context().event_id.to_u128().to_be_bytes()))
    }),
];

fn topic<'a>(arguments: &Arguments<'a, '_>) -> Evaluated<'a> {
    let topic = arguments.context().topic;
    if arguments.len() == 0 {
        return Ok(Value::text(topic));
    }
    let level = arguments.int(0)?.and_then(|level| usize::try_from(level).ok()?.checked_sub(1));
    Ok(level.and_then(|level| topic.split('/').nth(level)).map_or(Value::Undefined, Value::text))
}

fn newuuid<'a>(arguments: &Arguments<'a, '_>) -> Evaluated<'a> {
    let (context, number) = (arguments.context(), arguments.evaluation().draw());
    arguments.made(bus::uuid_from(context.event_id, context.rule, number))
}

/// 16 bytes as a UUID is written.
pub(crate) fn uuid(bytes: [u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// At least 0, below 1.
fn rand<'a>(arguments: &Arguments<'a, '_>) -> Evaluated<'a> {
    let (context, number) = (arguments.context(), arguments.evaluation().draw());
    arguments.evaluation().charge(16)?;
    let drawn = bus::drawn(context.event_id, context.rule, number);
    let mut number = [0; 8];
    number.copy_from_slice(&drawn[..8]);
    // As many bits as a float can hold.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    let float = (u64::from_be_bytes(number) >> 11) as f64 / (1_u64 << 53) as f64;
    Ok(Value::decimal(Decimal::from_f64(float)))
}

/// Calls a function of a script with the argument as JSON.
fn aws_lambda<'a>(arguments: &Arguments<'a, '_>) -> Evaluated<'a> {
    let (Some(name), argument) = (arguments.text(0)?, arguments.value(1)?) else {
        return Ok(Value::Undefined);
    };
    let mut json = Vec::new();
    argument.write(&mut json);
    let failed = |FunctionError { message, kind }| {
        let name = name.clone().into_owned();
        SqlRunError::Function { name, message, kind }
    };
    let answer = arguments.evaluation().call(&name, &json).map_err(failed)?;
    arguments.evaluation().charge(answer.len())?;
    Ok(checked_json(&answer).unwrap_or(Value::Undefined))
}

/// `get_dynamodb(table, key name, key[, sort key name, sort key][, role])`. The names of the keys and the role
/// are read over: tables here have one key and one sort key, and rules may read all tables.
fn get_dynamodb<'a>(arguments: &Arguments<'a, '_>) -> Evaluated<'a> {
    let sort = if arguments.len() >= 5 { arguments.text(4)? } else { Some("".into()) };
    let (Some(table), Some(hash), Some(sort)) = (arguments.text(0)?, arguments.text(2)?, sort) else {
        return Ok(Value::Undefined);
    };
    let read = arguments.context().snapshot.get(&table, &hash, &sort);
    let row = read.map_err(|source| SqlRunError::Snapshot { table: table.into_owned(), source })?;
    let Some(row) = row else { return Ok(Value::Undefined) };
    arguments.evaluation().charge(row.len())?;
    Ok(checked_json(&row).unwrap_or(Value::Undefined))
}

/// The value of a text that may be JSON.
pub(super) fn checked_json(bytes: &[u8]) -> Option<Value<'static>> {
    use crate::sql::doc::Doc;
    match Doc::read(bytes) {
        Doc::NotJson(_) => None,
        Doc::Object(json, _) | Doc::Other(json) => Some(Value::from_owned_json(json)),
    }
}
