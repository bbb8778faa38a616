//! The values of the language, and how one type becomes another (SEMANTICS §5.3).

use std::borrow::Cow;

use super::decimal::{COEFFICIENT_END, Decimal, Rounding};
use super::doc::{elements_of, member_of, members_of};
use crate::json::{RawText, Scanner, write_text};

/// A value. Arrays and objects of the payload stay as they are until somebody looks into them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Array(Vec<Value<'a>>),
    Boolean(bool),
    /// A payload that is no JSON.
    Bytes(&'a [u8]),
    Decimal(Decimal),
    /// At most 34 digits.
    Int(i128),
    /// JSON text without blanks around it: an array or object, or, in what is only copied, anything.
    Json(Cow<'a, str>),
    Null,
    Object(Vec<(Cow<'a, str>, Value<'a>)>),
    Text(Cow<'a, str>),
    Undefined,
}

/// The types by which `=` and the functions tell values apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Type {
    Array,
    Boolean,
    Bytes,
    Null,
    Number,
    Object,
    Text,
    Undefined,
}

impl<'a> Value<'a> {
    /// The value that a JSON text stands for. Arrays and objects are not looked into.
    pub(crate) fn from_json(json: &'a str) -> Self {
        match json.as_bytes().first() {
            Some(b'"') => match Scanner::new(json).string() {
                Ok(text) => Self::Text(text.decode()),
                Err(_) => Self::Undefined,
            },
            Some(b'{' | b'[') => Self::Json(Cow::Borrowed(json)),
            Some(b't') => Self::Boolean(true),
            Some(b'f') => Self::Boolean(false),
            Some(b'n') => Self::Null,
            _ => parse_number(json, true).unwrap_or(Self::Undefined),
        }
    }

    /// The same for a text that nobody else holds.
    pub(crate) fn from_owned_json(json: &str) -> Self {
        Value::from_json(json).into_owned()
    }

    /// The value, holding all its texts itself.
    pub(crate) fn into_owned<'b>(self) -> Value<'b> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Array(elements) => Value::Array(elements.into_iter().map(Value::into_owned).collect()),
            Self::Boolean(truth) => Value::Boolean(truth),
            // Bytes are the payload's and never made; as text they would be something else.
            Self::Bytes(bytes) => Value::Text(Cow::Owned(String::from_utf8_lossy(bytes).into_owned())),
            Self::Decimal(number) => Value::Decimal(number),
            Self::Int(number) => Value::Int(number),
            Self::Json(json) => Value::Json(own(json)),
            Self::Null => Value::Null,
            Self::Object(members) => Value::Object(
                members.into_iter().map(|(name, value)| (own(name), value.into_owned())).collect(),
            ),
            Self::Text(text) => Value::Text(own(text)),
            Self::Undefined => Value::Undefined,
        }
    }

    /// A number that may have become too long for an Int.
    pub(crate) fn int(number: Option<i128>, otherwise: impl FnOnce() -> Option<Decimal>) -> Self {
        match number.filter(|number| number.unsigned_abs() < COEFFICIENT_END) {
            Some(number) => Self::Int(number),
            None => Self::decimal(otherwise()),
        }
    }

    /// A number, or Undefined where an operation has no result.
    pub(crate) fn decimal(number: Option<Decimal>) -> Self {
        number.map_or(Self::Undefined, Self::Decimal)
    }

    /// A text.
    pub(crate) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(text.into())
    }

    /// Its type. Int and Decimal are one, as they compare by value.
    pub(crate) fn kind(&self) -> Type {
        match self {
            Self::Array(_) => Type::Array,
            Self::Boolean(_) => Type::Boolean,
            Self::Bytes(_) => Type::Bytes,
            Self::Decimal(_) | Self::Int(_) => Type::Number,
            Self::Json(json) if json.starts_with('[') => Type::Array,
            Self::Json(_) | Self::Object(_) => Type::Object,
            Self::Null => Type::Null,
            Self::Text(_) => Type::Text,
            Self::Undefined => Type::Undefined,
        }
    }

    /// As a Boolean; `None` is Undefined.
    pub(crate) fn to_boolean(&self) -> Option<bool> {
        match self {
            Self::Boolean(truth) => Some(*truth),
            Self::Text(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Self::Text(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }

    /// As a Decimal; `None` is Undefined, and so is Null, with which nothing can be computed.
    pub(crate) fn to_decimal(&self) -> Option<Decimal> {
        match self {
            Self::Decimal(number) => Some(*number),
            Self::Int(number) => Some(Decimal::from_int(*number)),
            Self::Text(text) => match parse_number(text, false)? {
                Value::Int(number) => Some(Decimal::from_int(number)),
                Value::Decimal(number) => Some(number),
                _ => None,
            },
            _ => None,
        }
    }

    /// As a number that stays an Int if it is one.
    pub(crate) fn to_number(&self) -> Option<Value<'static>> {
        match self {
            Self::Int(number) => Some(Value::Int(*number)),
            other => other.to_decimal().map(Value::Decimal),
        }
    }

    /// As a whole number, with what a fraction becomes; `None` is Undefined.
    pub(crate) fn to_int(&self, rounding: Rounding) -> Option<i128> {
        match self {
            Self::Int(number) => Some(*number),
            other => other.to_decimal()?.round(0, rounding).to_int(),
        }
    }

    /// As the whole number from 0 to `most` that is nearest, fractions cut; `None` is Undefined.
    pub(crate) fn to_int_up_to(&self, most: usize) -> Option<usize> {
        let number = match self {
            Self::Int(number) => *number,
            other => {
                let number = other.to_decimal()?;
                let beyond = if number.is_negative() { 0 } else { i128::MAX };
                number.round(0, Rounding::Truncate).to_int().unwrap_or(beyond)
            }
        };
        Some(usize::try_from(number.max(0)).unwrap_or(most).min(most))
    }

    /// As text; `None` is Undefined. Arrays and objects become JSON.
    pub(crate) fn into_text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) | Self::Json(text) => Some(text),
            Self::Bytes(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            Self::Null | Self::Undefined => None,
            Self::Boolean(truth) => Some(Cow::Borrowed(if truth { "true" } else { "false" })),
            Self::Int(number) => Some(Cow::Owned(number.to_string())),
            Self::Decimal(number) => Some(Cow::Owned(number.to_string())),
            Self::Array(_) | Self::Object(_) => {
                let mut json = Vec::new();
                self.write(&mut json);
                String::from_utf8(json).ok().map(Cow::Owned)
            }
        }
    }

    /// The same value, sharing the text of a literal.
    pub(crate) fn share<'b>(&'b self) -> Value<'b>
    where
        'a: 'b,
    {
        match self {
            Self::Text(text) => Value::Text(Cow::Borrowed(text)),
            Self::Json(json) => Value::Json(Cow::Borrowed(json)),
            other => other.clone(),
        }
    }

    /// The member of this name, if it is an object that has one.
    pub(crate) fn member(self, name: &str) -> Self {
        match self {
            Self::Object(members) => members
                .into_iter()
                .rev()
                .find_map(|(other, value)| (other == name).then_some(value))
                .unwrap_or(Self::Undefined),
            Self::Json(Cow::Borrowed(json)) => member_of(json, name).map_or(Self::Undefined, Self::from_json),
            Self::Json(Cow::Owned(json)) => {
                member_of(&json, name).map_or(Self::Undefined, Self::from_owned_json)
            }
            _ => Self::Undefined,
        }
    }

    /// The elements, if it is an array.
    pub(crate) fn elements(self) -> Option<Vec<Self>> {
        match self {
            Self::Array(elements) => Some(elements),
            Self::Json(Cow::Borrowed(json)) => {
                Some(elements_of(json)?.into_iter().map(Self::from_json).collect())
            }
            Self::Json(Cow::Owned(json)) => {
                Some(elements_of(&json)?.into_iter().map(Self::from_owned_json).collect())
            }
            _ => None,
        }
    }

    /// The members, if it is an object; of several of one name the last.
    pub(crate) fn members(self) -> Option<Vec<(Cow<'a, str>, Self)>> {
        let pairs: Vec<(Cow<'a, str>, Self)> = match self {
            Self::Object(members) => return Some(members),
            Self::Json(Cow::Borrowed(json)) if json.starts_with('{') => {
                let members = members_of(json).into_iter();
                members.map(|member| (member.name.decode(), Self::from_json(member.value))).collect()
            }
            Self::Json(Cow::Owned(json)) if json.starts_with('{') => {
                let own = |name: RawText<'_>| Cow::Owned(name.decode().into_owned());
                let members = members_of(&json).into_iter();
                members.map(|member| (own(member.name), Self::from_owned_json(member.value))).collect()
            }
            _ => return None,
        };
        Some(pairs)
    }

    /// How many bytes it takes to hold or copy, about.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Text(text) | Self::Json(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Array(elements) => elements.iter().map(|element| 48 + element.bytes()).sum(),
            Self::Object(members) => {
                members.iter().map(|(name, value)| 72 + name.len() + value.bytes()).sum()
            }
            Self::Boolean(_) | Self::Decimal(_) | Self::Int(_) | Self::Null | Self::Undefined => 16,
        }
    }

    /// Appends it as JSON. Undefined members are left out; an Undefined element keeps its place as `null`.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        use std::io::Write as _;
        match self {
            Self::Text(text) => write_text(text, out),
            Self::Json(json) => out.extend_from_slice(json.as_bytes()),
            Self::Boolean(true) => out.extend_from_slice(b"true"),
            Self::Boolean(false) => out.extend_from_slice(b"false"),
            Self::Null | Self::Undefined => out.extend_from_slice(b"null"),
            Self::Bytes(bytes) => write_text(&String::from_utf8_lossy(bytes), out),
            // Writing to a vector cannot fail.
            Self::Int(number) => drop(write!(out, "{number}")),
            Self::Decimal(number) => drop(write!(out, "{number}")),
            Self::Array(elements) => {
                out.push(b'[');
                for (index, element) in elements.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    element.write(out);
                }
                out.push(b']');
            }
            Self::Object(members) => {
                out.push(b'{');
                let begin = out.len();
                for (name, value) in members {
                    write_member(name, value, begin, out);
                }
                out.push(b'}');
            }
        }
    }
}

/// Appends one member of the object whose members begin at `begin`, if it is there at all.
pub(crate) fn write_member(name: &str, value: &Value<'_>, begin: usize, out: &mut Vec<u8>) {
    if matches!(value, Value::Undefined) {
        return;
    }
    if out.len() > begin {
        out.push(b',');
    }
    write_text(name, out);
    out.push(b':');
    value.write(out);
}

/// Reads a number: an Int if it is written as one and fits. JSON allows `E+`, texts do not.
fn parse_number(text: &str, allows_plus: bool) -> Option<Value<'static>> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    // Up to 18 digits there is nothing to check but the digits.
    if !digits.is_empty() && digits.len() <= 18 {
        let number = digits.bytes().try_fold(0_i64, |number, byte| {
            byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0'))
        });
        if let Some(number) = number {
            return Some(Value::Int(i128::from(if digits.len() < text.len() { -number } else { number })));
        }
    }
    if !allows_plus && text.contains('+') {
        return None;
    }
    let is_whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let int = is_whole.then(|| text.parse().ok()).flatten();
    match int.filter(|int: &i128| int.unsigned_abs() < COEFFICIENT_END) {
        Some(int) => Some(Value::Int(int)),
        None => Decimal::parse(text).map(Value::Decimal),
    }
}
