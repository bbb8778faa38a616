//! Functions with regular expressions, whose time grows with the text and never faster.

use std::borrow::Cow;

use regex::{Captures, Regex, RegexBuilder};

use super::{Arguments, Definition};
use crate::sql::error::SqlRunError;
use crate::sql::evaluate::Evaluated;
use crate::sql::limits::{REGEX_BYTES_MAX, REGEX_COMPILED_BYTES_MAX};
use crate::sql::value::Value;

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition::new("regexp_matches", 2, 2, |arguments| {
        let (text, regex) = (arguments.text(0)?, regex(arguments)?);
        Ok(match (text, regex) {
            (Some(text), Some(regex)) => Value::Boolean(regex.is_match(&text)),
            _ => Value::Undefined,
        })
    }),
    Definition::new("regexp_replace", 3, 3, replace),
    Definition::new("regexp_substr", 2, 2, |arguments| {
        let (text, regex) = (arguments.text(0)?, regex(arguments)?);
        let (Some(text), Some(regex)) = (text, regex) else { return Ok(Value::Undefined) };
        match regex.find(&text) {
            Some(found) => arguments.made(found.as_str().to_owned()),
            None => Ok(Value::Undefined),
        }
    }),
];

/// Compiles a pattern.
///
/// # Errors
/// Says where it is wrong, or that it is too large.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > REGEX_BYTES_MAX {
        let bytes = pattern.len();
        return Err(format!(
            "the regular expression has {bytes} bytes: at most {REGEX_BYTES_MAX} are allowed"
        ));
    }
    RegexBuilder::new(pattern)
        .size_limit(REGEX_COMPILED_BYTES_MAX)
        .dfa_size_limit(REGEX_COMPILED_BYTES_MAX)
        .nest_limit(64)
        .build()
        .map_err(|error| error.to_string())
}

/// The pattern: compiled before if it stands in the statement. One that is wrong is Undefined.
fn regex<'a>(arguments: &Arguments<'a, '_>) -> Result<Option<Cow<'a, Regex>>, SqlRunError> {
    if let Some(regex) = &arguments.call.regex {
        return Ok(Some(Cow::Borrowed(regex)));
    }
    let Some(pattern) = arguments.text(1)? else { return Ok(None) };
    arguments.evaluation().charge(REGEX_COMPILED_BYTES_MAX)?;
    Ok(compile(&pattern).ok().map(Cow::Owned))
}

fn replace<'a>(arguments: &Arguments<'a, '_>) -> Evaluated<'a> {
    let (text, regex, new) = (arguments.text(0)?, regex(arguments)?, arguments.text(2)?);
    let (Some(text), Some(regex), Some(new)) = (text, regex, new) else { return Ok(Value::Undefined) };
    let mut replaced = String::with_capacity(text.len());
    let mut at = 0;
    for captures in regex.captures_iter(&text) {
        let Some(whole) = captures.get(0) else { continue };
        let before = replaced.len();
        replaced.push_str(&text[at..whole.start()]);
        expand(&captures, &new, &mut replaced);
        // Counted as it grows: each match can become longer than itself.
        arguments.evaluation().charge(replaced.len() - before)?;
        at = whole.end();
    }
    replaced.push_str(&text[at..]);
    arguments.made(replaced)
}

/// Appends the replacement with `$1` and so on filled in; `\$` is a `$`, as is one that no digit follows.
fn expand(captures: &Captures<'_>, new: &str, out: &mut String) {
    let mut rest = new;
    while let Some(at) = rest.find(['$', '\\']) {
        out.push_str(&rest[..at]);
        let sign = &rest[at..=at];
        let after = &rest[at + 1..];
        rest = after;
        match after.chars().next() {
            Some(digit @ '0'..='9') if sign == "$" => {
                let group = usize::try_from(u32::from(digit) - u32::from('0')).unwrap_or(0);
                out.push_str(captures.get(group).map_or("", |group| group.as_str()));
                rest = &after[1..];
            }
            Some('$' | '\\') if sign == "\\" => {
                out.push_str(&after[..1]);
                rest = &after[1..];
            }
            _ => out.push_str(sign),
        }
    }
    out.push_str(rest);
}
