//! Functions with regular expressions, whose time grows with the text and never faster.

use std::borrow::Cow;

use regex::{Captures, Regex, RegexBuilder};

use super::{Arguments, Definition};
use crate::sql::error::SqlRunError;
use crate::sql::evaluate::Evaluated;
use crate::sql::limits::{REGEX_BYTES_MAX, REGEX_COMPILED_BYTES_MAX, REGEX_SMALL_BYTES_MAX};
use crate::sql::value::Value;

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition::new("regexp_matches", 2, 2, |arguments| {
        let (text, pattern) = (arguments.text(0)?, compiled(arguments)?);
        Ok(match (text, pattern) {
            (Some(text), Some(pattern)) => {
                pattern.charge(arguments, &text)?;
                Value::Boolean(pattern.regex.is_match(&text))
            }
            _ => Value::Undefined,
        })
    }),
    Definition::new("regexp_replace", 3, 3, replace),
    Definition::new("regexp_substr", 2, 2, |arguments| {
        let (text, pattern) = (arguments.text(0)?, compiled(arguments)?);
        let (Some(text), Some(pattern)) = (text, pattern) else { return Ok(Value::Undefined) };
        pattern.charge(arguments, &text)?;
        match pattern.regex.find(&text) {
            Some(found) => arguments.made(found.as_str().to_owned()),
            None => Ok(Value::Undefined),
        }
    }),
];

/// A compiled pattern, and what matching it costs at most, in bytes of work for each byte of text: a large
/// automaton may have all its states active at each byte.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    regex: Regex,
    weight: usize,
}

impl Pattern {
    /// Counts a text that is about to be searched.
    fn charge(&self, arguments: &Arguments<'_, '_>, text: &str) -> Result<(), SqlRunError> {
        arguments.evaluation().charge(text.len().saturating_mul(self.weight))
    }
}

/// Compiles a pattern.
///
/// # Errors
/// Says where it is wrong, or that it is too large.
pub(super) fn compile(pattern: &str) -> Result<Pattern, String> {
    if pattern.len() > REGEX_BYTES_MAX {
        let bytes = pattern.len();
        return Err(format!(
            "the regular expression has {bytes} bytes: at most {REGEX_BYTES_MAX} are allowed"
        ));
    }
    let build = |bytes_max| {
        let mut builder = RegexBuilder::new(pattern);
        builder.size_limit(bytes_max).dfa_size_limit(REGEX_COMPILED_BYTES_MAX).nest_limit(64).build()
    };
    if let Ok(regex) = build(REGEX_SMALL_BYTES_MAX) {
        return Ok(Pattern { regex, weight: 32 });
    }
    match build(REGEX_COMPILED_BYTES_MAX) {
        Ok(regex) => Ok(Pattern { regex, weight: 256 }),
        Err(error) => Err(error.to_string()),
    }
}

/// The pattern: compiled before if it stands in the statement. One that is wrong is Undefined.
fn compiled<'a>(arguments: &Arguments<'a, '_>) -> Result<Option<Cow<'a, Pattern>>, SqlRunError> {
    if let Some(pattern) = &arguments.call.pattern {
        return Ok(Some(Cow::Borrowed(pattern)));
    }
    let Some(pattern) = arguments.text(1)? else { return Ok(None) };
    arguments.evaluation().charge(REGEX_COMPILED_BYTES_MAX)?;
    Ok(compile(&pattern).ok().map(Cow::Owned))
}

fn replace<'a>(arguments: &Arguments<'a, '_>) -> Evaluated<'a> {
    let (text, pattern, new) = (arguments.text(0)?, compiled(arguments)?, arguments.text(2)?);
    let (Some(text), Some(pattern), Some(new)) = (text, pattern, new) else { return Ok(Value::Undefined) };
    pattern.charge(arguments, &text)?;
    let mut replaced = String::with_capacity(text.len());
    let mut at = 0;
    for captures in pattern.regex.captures_iter(&text) {
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
