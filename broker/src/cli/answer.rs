//! What the server answers, as people and programs read it.

use serde::Serialize;
use serde_json::Value;

/// Prints it for programs.
pub(super) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// A value as people read it.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The items of a list; none if it is no list.
pub(super) fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The first line of a text.
pub(super) fn first_line(value: &Value) -> String {
    text(value).lines().next().unwrap_or_default().to_owned()
}
