//! What a value is while a plan runs: mostly a part of the payload, where it stands.

use std::borrow::Cow;

use bytes::Bytes;

use super::members::is_small;
use crate::json::{self, Scanner};
use crate::limits::Limits;

#[derive(Clone, Debug)]
pub(super) enum Item<'run> {
    Bool(bool),
    /// Bytes that are passed on without a look at them.
    Bytes(&'run Bytes),
    Float(f64),
    Int(i64),
    /// An array or an object of the payload, as it is written there.
    Json(&'run str),
    /// A string of the payload without anything escaped, so that it is written in the same way again.
    Quoted(&'run str),
    Text(Cow<'run, str>),
    Unit,
    /// An array or an object that the handler made, as JSON.
    Written(Cow<'run, str>),
}

impl<'run> Item<'run> {
    /// Reads a value of a payload that was found to be JSON.
    pub(super) fn of_json(text: &'run str) -> Option<Self> {
        match text.as_bytes().first()? {
            b'"' => {
                let inner = text.get(1..text.len() - 1)?;
                if inner.contains('\\') {
                    return Some(Self::Text(Cow::Owned(serde_json::from_str(text).ok()?)));
                }
                Some(Self::Quoted(inner))
            }
            b'{' | b'[' => Some(Self::Json(text)),
            b't' => Some(Self::Bool(true)),
            b'f' => Some(Self::Bool(false)),
            b'n' => Some(Self::Unit),
            _ => Self::number(text),
        }
    }

    fn number(text: &str) -> Option<Self> {
        /// Whole numbers with no more characters are in range.
        const CHARACTERS_MAX: usize = 18;
        // `-0` is no whole number.
        if text.len() <= CHARACTERS_MAX && text != "-0" && !text.contains('.') {
            return text.parse().ok().map(Self::Int);
        }
        let number = json::read(text.as_bytes(), &Limits::default()).ok()?;
        number.as_int().map(Self::Int).or_else(|_| number.as_float().map(Self::Float)).ok()
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Quoted(text) => Some(text),
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes of what is more than a number.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Bool(_) | Self::Bytes(_) | Self::Float(_) | Self::Int(_) | Self::Unit => 0,
            Self::Json(text) | Self::Quoted(text) => text.len(),
            Self::Text(text) | Self::Written(text) => text.len(),
        }
    }

    pub(super) fn as_number(&self) -> Option<f64> {
        match self {
            Self::Float(number) => Some(*number),
            #[expect(
                clippy::cast_precision_loss,
                reason = "as the language compares whole numbers with others"
            )]
            Self::Int(number) => Some(*number as f64),
            _ => None,
        }
    }

    /// Takes the text.
    pub(super) fn into_text(self) -> Option<Cow<'run, str>> {
        match self {
            Self::Quoted(text) => Some(Cow::Borrowed(text)),
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What the language calls its type.
    pub(super) fn kind(&self) -> Option<&'static str> {
        match self {
            Self::Bool(_) => Some("bool"),
            Self::Bytes(_) => None,
            Self::Float(_) => Some("f64"),
            Self::Int(_) => Some("i64"),
            Self::Json(text) if text.starts_with('[') => Some("array"),
            Self::Written(text) if text.starts_with('[') => Some("array"),
            Self::Json(_) | Self::Written(_) => Some("map"),
            Self::Quoted(_) | Self::Text(_) => Some("string"),
            Self::Unit => Some("()"),
        }
    }

    /// Appends what a text says of it, as in `${…}`.
    pub(super) fn print(&self, out: &mut String) -> Option<()> {
        match self {
            Self::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
            Self::Int(number) => out.push_str(itoa::Buffer::new().format(*number)),
            _ => out.push_str(self.as_text()?),
        }
        Some(())
    }

    /// Appends it as JSON.
    pub(super) fn write(&self, limits: &Limits, out: &mut Vec<u8>) -> Option<()> {
        match self {
            Self::Bool(truth) => out.extend_from_slice(if *truth { b"true" } else { b"false" }),
            Self::Bytes(_) => return None,
            Self::Float(number) => serde_json::to_writer(&mut *out, number).ok()?,
            Self::Int(number) => out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes()),
            // Blanks, order and numbers are as scripts write them, not as they came.
            Self::Json(text) => {
                let value = json::read(text.as_bytes(), limits).ok()?;
                out.extend_from_slice(&json::write(&value, limits.effect_bytes_max).ok()?);
            }
            Self::Quoted(text) => {
                out.push(b'"');
                out.extend_from_slice(text.as_bytes());
                out.push(b'"');
            }
            Self::Text(text) => serde_json::to_writer(&mut *out, text).ok()?,
            Self::Unit => out.extend_from_slice(b"null"),
            Self::Written(text) => out.extend_from_slice(text.as_bytes()),
        }
        Some(())
    }
}

/// What was written, if it is certain to be within the limits of a script's value, its depth included.
pub(super) fn within_limits(written: Vec<u8>, limits: &Limits) -> Option<String> {
    let opening = written.iter().filter(|byte| matches!(byte, b'[' | b'{')).count();
    let text = String::from_utf8(written).ok().filter(|text| is_small(text, limits))?;
    if opening >= json::DEPTH_MAX {
        Scanner::new(&text).value(0).ok()?;
    }
    Some(text)
}
