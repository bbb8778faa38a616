//! What can be checked about arguments when a statement is read, because they stand in it.

use super::pattern::Pattern;
use super::{date, date_read, pattern};
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
            if let Some(pattern) = literal(arguments, 0) {
                date::Format::parse(pattern, date::WRITTEN_LETTERS)?;
            }
            if let Some(zone) = literal(arguments, 2) {
                date::zone(zone).ok_or_else(|| format!("there is no time zone {zone:?}"))?;
            }
        }
        "time_to_epoch" => {
            if let Some(pattern) = literal(arguments, 1) {
                date::Format::parse(pattern, date_read::READ_LETTERS)?;
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
