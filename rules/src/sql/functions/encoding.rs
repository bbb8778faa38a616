//! Base 64 and hashes.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md2::Md2;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use super::context::checked_json;
use super::{Arguments, Definition};
use crate::sql::evaluate::Evaluated;
use crate::sql::value::Value;

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition::new("decode", 2, 2, decode),
    Definition::new("encode", 2, 2, encode),
    Definition::new("md2", 1, 1, hash::<Md2>),
    Definition::new("md5", 1, 1, hash::<Md5>),
    Definition::new("sha1", 1, 1, hash::<Sha1>),
    Definition::new("sha224", 1, 1, hash::<Sha224>),
    Definition::new("sha256", 1, 1, hash::<Sha256>),
    Definition::new("sha384", 1, 1, hash::<Sha384>),
    Definition::new("sha512", 1, 1, hash::<Sha512>),
];

fn encode<'a>(arguments: &Arguments<'a, '_>) -> Evaluated<'a> {
    let (value, scheme) = (arguments.value(0)?, arguments.text(1)?);
    if scheme.as_deref() != Some("base64") {
        return Ok(Value::Undefined);
    }
    let encoded = match value {
        Value::Bytes(bytes) => base64(bytes),
        value => match value.into_text() {
            Some(text) => base64(text.as_bytes()),
            None => return Ok(Value::Undefined),
        },
    };
    arguments.made(encoded)
}

/// Bytes as base 64.
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// What was encoded: a JSON value if it is one, else a text; Null if it is neither.
fn decode<'a>(arguments: &Arguments<'a, '_>) -> Evaluated<'a> {
    let (Some(text), Some("base64")) = (arguments.text(0)?, arguments.text(1)?.as_deref()) else {
        return Ok(Value::Undefined);
    };
    let Ok(bytes) = STANDARD.decode(&*text) else { return Ok(Value::Null) };
    arguments.evaluation().charge(bytes.len())?;
    Ok(match checked_json(&bytes) {
        Some(value) => value,
        None => String::from_utf8(bytes).map_or(Value::Null, Value::text),
    })
}

/// The hash of the bytes, or of the value as text, in hex digits.
fn hash<'a, D: Digest>(arguments: &Arguments<'a, '_>) -> Evaluated<'a> {
    let digest = match arguments.value(0)? {
        Value::Bytes(bytes) => D::digest(bytes),
        value => match value.into_text() {
            Some(text) => D::digest(text.as_bytes()),
            None => return Ok(Value::Undefined),
        },
    };
    let mut hex = String::with_capacity(2 * digest.len());
    for byte in &digest {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    arguments.made(hex)
}
