//! What can be checked about arguments when a statement is read, because they stand in it.

use super::pattern::Pattern;
use super::{date, pattern};
use crate::sql::ast::Expr;
use crate::sql::value::Value;

/// Checks the arguments of a function, and compiles its pattern if there is one.
pub(super) fn check(name: &str, arguments: &[Expr]) -> Result<Option<Pattern>, String> {
    match name {
        "regexp_matches" | "regexp_replace" | "regexp_substr" => {
            return literal(arguments, 1).map(pattern::compile).transpose();
        }
        "encode" | "decode" => check_word(name, literal(arguments, 1), "base64")?,
        "transform" => check_word(name, literal(arguments, 0), "enrichArray")?,
        "parse_time" => {
            literal(arguments, 0).map(date::Format::parse).transpose()?;
            if let Some(zone) = literal(arguments, 2) {
                date::zone(zone).ok_or_else(|| format!("there is no time zone {zone:?}"))?;
            }
        }
        "time_to_epoch" => {
            if let Some(format) = literal(arguments, 1) {
                date::Format::parse(format)?.check_readable()?;
            }
        }
        _ => {}
    }
    Ok(None)
}

fn check_word(name: &str, word: Option<&str>, known: &str) -> Result<(), String> {
    match word {
        Some(word) if word != known => Err(format!("the function {name} knows '{known}' only, not {word:?}")),
        _ => Ok(()),
    }
}

fn literal(arguments: &[Expr], index: usize) -> Option<&str> {
    match arguments.get(index) {
        Some(Expr::Literal(Value::Text(text))) => Some(text),
        _ => None,
    }
}
