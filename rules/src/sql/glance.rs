//! Refusing a message at a glance: by one member that a condition compares, without reading the rest.
//!
//! Where the name of a member stands in a payload once, and nothing is escaped there, the member is what stands behind
//! it, or Undefined: the name may lie deeper, be a value, or the payload may be no JSON at all. No comparison with
//! Undefined is true, so if that with the value is not either, the message is refused, whatever else it holds.

use memchr::memmem::Finder;
use memchr::{memchr, memchr2};

use super::ast::{Expr, Operator};
use super::compare::holds;
use super::limits::WORK_BYTES_MAX;
use super::value::Value;
use crate::json::Scanner;

/// A comparison of a member with a literal, which must be true for the condition to be.
#[derive(Clone, Debug)]
pub(crate) struct Glance {
    /// Finds the member's name between its quotes.
    quoted: Finder<'static>,
    operator: Operator,
    literal: Value<'static>,
    /// Up to this size no comparison so far can reach the limit for an evaluation's work, which is a failure.
    payload_bytes_max: usize,
}

impl Glance {
    /// The comparisons with which a condition begins: nothing before them can fail.
    pub(crate) fn all_of(condition: Option<&Expr>) -> Vec<Self> {
        let sides = match condition {
            None => &[],
            Some(Expr::And(sides)) => sides.as_slice(),
            Some(side) => std::slice::from_ref(side),
        };
        let (mut count, mut literal_bytes) = (0, 0);
        let glance = |side| {
            let (name, operator, literal) = comparison(side)?;
            count += 1;
            literal_bytes += literal.bytes();
            // What looking for a member and comparing it charges, at most, with room to spare.
            let bytes_max = WORK_BYTES_MAX / (32 * count);
            Some(Self {
                quoted: Finder::new(&format!("\"{name}\"")).into_owned(),
                operator,
                literal: literal.clone(),
                payload_bytes_max: bytes_max.saturating_sub(literal_bytes + 64),
            })
        };
        sides.iter().map_while(glance).collect()
    }

    /// Whether the comparison cannot be true. Where it says no, it may still not be.
    pub(crate) fn refuses(&self, payload: &[u8]) -> bool {
        if payload.len() > self.payload_bytes_max || memchr(b'\\', payload).is_some() {
            return false;
        }
        let Some(at) = self.quoted.find(payload) else { return true };
        if self.quoted.find(&payload[at + 1..]).is_some() {
            return false;
        }
        let behind = &payload[at + self.quoted.needle().len()..];
        // Numbers and most texts end before the next comma or brace, so that the rest need not be read as UTF-8.
        let end = memchr2(b',', b'}', behind).unwrap_or(behind.len());
        match member_value(&behind[..end]).or_else(|| member_value(behind)) {
            Some(value) => holds(self.operator, &Value::from_json(value), &self.literal) != Some(true),
            // So there is no such member, or the payload is no JSON.
            None => true,
        }
    }
}

/// The text of the value that follows the name of a member, if one does.
fn member_value(behind: &[u8]) -> Option<&str> {
    Scanner::new(str::from_utf8(behind).ok()?).member_value(1).ok()
}

/// The parts of an expression that compares a member with a literal.
fn comparison(expr: &Expr) -> Option<(&str, Operator, &Value<'static>)> {
    let Expr::Chain(first, rest) = expr else { return None };
    let (Expr::Name(name), [(operator, Expr::Literal(literal))]) = (&**first, rest.as_slice()) else {
        return None;
    };
    let is_written_as_it_is = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    (operator.is_comparison() && name.bytes().all(is_written_as_it_is)).then_some((name, *operator, literal))
}

#[cfg(test)]
mod tests;
