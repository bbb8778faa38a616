//! What goes wrong with a rule, and where.

use std::fmt;

use rhai::{Dynamic, EvalAltResult, Map, Position};
use thiserror::Error;

use crate::state::Stop;

/// Why a source is not a rule. `Display` gives the place, the message, the line and a caret under the column.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub struct CompileError {
    /// The file, as the caller named it.
    pub file: String,
    /// The line, from 1; 0 if the whole file is meant.
    pub line: usize,
    /// The column, from 1; 0 if the whole line is meant.
    pub column: usize,
    /// The line itself.
    pub source_line: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl CompileError {
    pub(crate) fn new(file: &str, source: &str, position: Position, message: impl Into<String>) -> Self {
        let Place { line, column, source_line } = Place::new(source, position);
        Self { file: file.to_owned(), line, column, source_line, message: message.into() }
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, source_line, message } = self;
        write_place(formatter, file, *line, *column, source_line, message)
    }
}

/// Why a run failed. It has changed nothing. `Display` gives the place, the message, the line and a caret.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub struct RunError {
    /// The rule's name.
    pub rule: String,
    /// The rule's file.
    pub file: String,
    /// The rule's version.
    pub version: String,
    /// The function that was called with the event.
    pub handler: String,
    /// The line, from 1, of the innermost place; 0 if none is known.
    pub line: usize,
    /// The column, from 1; 0 if none is known.
    pub column: usize,
    /// The line itself.
    pub source_line: String,
    /// What went wrong.
    pub message: String,
    /// Which kind of failure it is.
    pub kind: RunErrorKind,
}

impl RunErrorKind {
    /// Whether the run went on for so long that it held others up.
    pub fn is_overrun(self) -> bool {
        matches!(self, Self::Deadline | Self::Limit("operations_max" | "WORK_BYTES_MAX"))
    }
}

/// Which kind of failure ended a run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RunErrorKind {
    /// It took longer than `run_time_max`.
    Deadline,
    /// It reached the named limit.
    Limit(&'static str),
    /// A table could not be read: worth another try.
    Snapshot,
    /// The script threw, or an effect refused what it was given.
    Thrown,
    /// A value was not of the type that an operation or function needs, or something does not exist.
    Type,
}

impl fmt::Display for RunError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, source_line, message, .. } = self;
        write_place(formatter, file, *line, *column, source_line, message)
    }
}

pub(crate) fn write_place(
    formatter: &mut fmt::Formatter<'_>,
    file: &str,
    line: usize,
    column: usize,
    source_line: &str,
    message: &str,
) -> fmt::Result {
    match (line, column) {
        (0, _) => return write!(formatter, "{file}: {message}"),
        (_, 0) => write!(formatter, "{file}:{line}: {message}")?,
        _ => write!(formatter, "{file}:{line}:{column}: {message}")?,
    }
    write!(formatter, "\n  {source_line}")?;
    if column > 0 {
        // Tabs stay tabs, so that the caret stands under its column however wide they are shown.
        let blank = |character| if character == '\t' { '\t' } else { ' ' };
        let indent: String = source_line.chars().take(column - 1).map(blank).collect();
        write!(formatter, "\n  {indent}^")?;
    }
    Ok(())
}

/// A place in a source.
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) source_line: String,
}

impl Place {
    pub(crate) fn new(source: &str, position: Position) -> Self {
        Self::at(source, position.line().unwrap_or(0), position.position().unwrap_or(0))
    }

    /// The place at a line and a column, from 1.
    pub(crate) fn at(source: &str, line: usize, column: usize) -> Self {
        /// A generated file may have one endless line.
        const LINE_CHARS_MAX: usize = 240;
        let text = line.checked_sub(1).and_then(|index| source.lines().nth(index)).unwrap_or_default();
        let source_line = text.trim_end().chars().take(LINE_CHARS_MAX).collect();
        Self { line, column, source_line }
    }
}

/// What an error of the interpreter means.
pub(crate) struct Explained {
    /// The innermost place that is known.
    pub(crate) position: Position,
    /// The function that the place is in, if it is known.
    pub(crate) function: Option<String>,
    pub(crate) message: String,
    pub(crate) kind: RunErrorKind,
}

/// Says what an error of the interpreter means.
pub(crate) fn explain(error: Box<EvalAltResult>) -> Explained {
    let mut position = error.position();
    let mut function = None;
    let mut innermost = error;
    loop {
        innermost = match *innermost {
            EvalAltResult::ErrorInFunctionCall(name, _, inner, _) => {
                function = Some(name);
                inner
            }
            EvalAltResult::ErrorInModule(_, inner, _) => inner,
            other => {
                *innermost = other;
                break;
            }
        };
        if !innermost.position().is_none() {
            position = innermost.position();
        }
    }
    let _ = innermost.take_position();
    let limit = |name| (format!("the limit {name} is reached"), RunErrorKind::Limit(name));
    let (message, kind) = match &*innermost {
        EvalAltResult::ErrorTerminated(token, _) => match token.read_lock::<Stop>() {
            Some(stop) => (stop.message.clone(), stop.kind),
            None => (innermost.to_string(), RunErrorKind::Thrown),
        },
        EvalAltResult::ErrorRuntime(value, _) => (thrown_text(value), RunErrorKind::Thrown),
        EvalAltResult::ErrorTooManyOperations(_) => limit("operations_max"),
        EvalAltResult::ErrorStackOverflow(_) => limit("call_depth_max"),
        EvalAltResult::ErrorTooManyVariables(_) => limit("variables_max"),
        EvalAltResult::ErrorDataTooLarge(what, _) if what.contains("string") => limit("string_bytes_max"),
        EvalAltResult::ErrorDataTooLarge(what, _) if what.contains("map") => limit("map_len_max"),
        EvalAltResult::ErrorDataTooLarge(..) => limit("array_len_max"),
        EvalAltResult::ErrorArithmetic(..) => (innermost.to_string(), RunErrorKind::Thrown),
        _ => (innermost.to_string(), RunErrorKind::Type),
    };
    Explained { position, function, message, kind }
}

/// What a thrown value says: scripts throw texts, or maps with a `message`.
fn thrown_text(value: &Dynamic) -> String {
    if value.is_unit() {
        return "the script threw".to_owned();
    }
    let message = value.read_lock::<Map>().and_then(|map| map.get("message").map(ToString::to_string));
    message.unwrap_or_else(|| value.to_string())
}
