//! Functions about texts. Positions and lengths count characters, as Unicode has them.

use super::arguments::{on_text, on_texts};
use super::{Arguments, Definition};
use crate::sql::evaluate::Evaluated;
use crate::sql::limits::{PAD_MAX, WORK_BYTES_MAX};
use crate::sql::value::Value;

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition::new("chr", 1, 1, |arguments| {
        let code = arguments.int(0)?.and_then(|code| u8::try_from(code).ok()).filter(u8::is_ascii);
        Ok(code.map_or(Value::Undefined, |code| Value::text(char::from(code).to_string())))
    }),
    Definition::new("endswith", 2, 2, |arguments| {
        on_texts(arguments, |text, end| Value::Boolean(text.ends_with(end)))
    }),
    Definition::new("indexof", 2, 2, |arguments| {
        on_texts(arguments, |text, part| match text.find(part) {
            Some(at) => count(text[..at].chars().count()),
            None => Value::Int(-1),
        })
    }),
    Definition::new("length", 1, 1, |arguments| on_text(arguments, |text| Some(count(text.chars().count())))),
    Definition::new("lower", 1, 1, |arguments| {
        on_text(arguments, |text| Some(Value::text(text.to_lowercase())))
    }),
    Definition::new("lpad", 2, 2, |arguments| pad(arguments, |text, blanks| format!("{:blanks$}{text}", ""))),
    Definition::new("ltrim", 1, 1, |arguments| trim(arguments, str::trim_start)),
    Definition::new("numbytes", 1, 1, |arguments| on_text(arguments, |text| Some(count(text.len())))),
    Definition::new("replace", 3, 3, replace),
    Definition::new("rpad", 2, 2, |arguments| pad(arguments, |text, blanks| format!("{text}{:blanks$}", ""))),
    Definition::new("rtrim", 1, 1, |arguments| trim(arguments, str::trim_end)),
    Definition::new("startswith", 2, 2, |arguments| {
        on_texts(arguments, |text, start| Value::Boolean(text.starts_with(start)))
    }),
    Definition::new("substring", 2, 3, substring),
    Definition::new("trim", 1, 1, |arguments| trim(arguments, str::trim)),
    Definition::new("upper", 1, 1, |arguments| {
        on_text(arguments, |text| Some(Value::text(text.to_uppercase())))
    }),
];

fn count(number: usize) -> Value<'static> {
    Value::Int(i128::try_from(number).unwrap_or(i128::MAX))
}

fn trim<'a>(arguments: &Arguments<'a, '_>, trim: fn(&str) -> &str) -> Evaluated<'a> {
    on_text(arguments, |text| Some(Value::text(trim(text).to_owned())))
}

fn pad<'a>(arguments: &Arguments<'a, '_>, pad: fn(&str, usize) -> String) -> Evaluated<'a> {
    let (text, blanks) = (arguments.text(0)?, arguments.int_up_to(1, PAD_MAX)?);
    let (Some(text), Some(blanks)) = (text, blanks) else { return Ok(Value::Undefined) };
    arguments.made(pad(&text, blanks))
}

/// `substring(text, from[, to])`: from the first position to before the second, both moved into the text.
fn substring<'a>(arguments: &Arguments<'a, '_>) -> Evaluated<'a> {
    let position = |index| arguments.int_up_to(index, usize::MAX);
    let to = if arguments.len() > 2 { position(2)? } else { Some(usize::MAX) };
    let (Some(text), Some(from), Some(to)) = (arguments.text(0)?, position(1)?, to) else {
        return Ok(Value::Undefined);
    };
    let part = text.chars().skip(from).take(to.saturating_sub(from)).collect();
    arguments.made(part)
}

fn replace<'a>(arguments: &Arguments<'a, '_>) -> Evaluated<'a> {
    let (text, old, new) = (arguments.text(0)?, arguments.text(1)?, arguments.text(2)?);
    let (Some(text), Some(old), Some(new)) = (text, old, new) else { return Ok(Value::Undefined) };
    // Counted before it is made: many short parts can become many long ones.
    let found = text.matches(&*old).count();
    let bytes = found.saturating_mul(new.len()).saturating_add(text.len());
    arguments.evaluation().charge(bytes.min(2 * WORK_BYTES_MAX))?;
    Ok(Value::text(text.replace(&*old, &new)))
}
