//! What tests expect, and how it differs from what is.

use rhai::{Array, Dynamic, ImmutableString, Map, Position};
use serde_json::Value;

use super::diff::{DiffLine, diff_lines};
use super::world::World;
use crate::effect::Effect;
use crate::json;
use crate::snapshot::Snapshot;
use crate::state::{NativeResult, refuse};
use crate::topic::TopicFilter;

/// Bytes of JSON that a test may name in one expectation.
const JSON_BYTES_MAX: usize = 4 << 20;

/// What a test writes where it does not matter what is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Any;

/// [`Any`] in an expected JSON value.
const ANY: &str = "\0any()";

/// An expected value as JSON.
pub(super) fn expected(value: &Dynamic) -> NativeResult<Value> {
    if value.is::<Any>() {
        return Ok(ANY.into());
    }
    if let Some(map) = value.read_lock::<Map>() {
        let members = map.iter().map(|(name, member)| Ok((name.to_string(), expected(member)?)));
        return Ok(Value::Object(members.collect::<NativeResult<_>>()?));
    }
    if let Some(array) = value.read_lock::<Array>() {
        return Ok(Value::Array(array.iter().map(expected).collect::<NativeResult<_>>()?));
    }
    let text = json::write(value, JSON_BYTES_MAX).map_err(refuse)?;
    serde_json::from_slice(&text).map_err(|error| refuse(error.to_string()))
}

/// Whether an actual value is the expected one.
pub(super) fn is_met(expected: &Value, actual: &Value) -> bool {
    match (expected, actual) {
        (Value::String(text), _) if text == ANY => true,
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(name, value)| right.get(name).is_some_and(|other| is_met(value, other)))
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(value, other)| is_met(value, other))
        }
        // Scripts tell whole numbers from others; JSON does not.
        (Value::Number(left), Value::Number(right)) => left == right || left.as_f64() == right.as_f64(),
        _ => expected == actual,
    }
}

/// Whether an object has these members, and perhaps others.
fn has_members(expected: &Value, actual: &Value) -> bool {
    match (expected, actual) {
        (Value::Object(left), Value::Object(right)) => {
            left.iter().all(|(name, value)| right.get(name).is_some_and(|other| is_met(value, other)))
        }
        _ => is_met(expected, actual),
    }
}

/// The difference of two values, as people read them.
pub(super) fn difference(expected: &Value, actual: &Value) -> Vec<DiffLine> {
    // What does not matter is shown as what is there.
    let filled = fill(expected, actual);
    diff_lines(&pretty(&filled), &pretty(actual))
}

fn fill(expected: &Value, actual: &Value) -> Value {
    match (expected, actual) {
        (Value::String(text), _) if text == ANY => actual.clone(),
        (Value::Object(left), Value::Object(right)) => {
            let member = |(name, value): (&String, &Value)| {
                (name.clone(), fill(value, right.get(name).unwrap_or(&Value::Null)))
            };
            Value::Object(left.iter().map(member).collect())
        }
        (Value::Array(left), Value::Array(right)) => {
            let element = |(at, value): (usize, &Value)| fill(value, right.get(at).unwrap_or(&Value::Null));
            Value::Array(left.iter().enumerate().map(element).collect())
        }
        _ => expected.clone(),
    }
}

fn pretty(value: &Value) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.replace("\"\\u0000any()\"", "any()")
}

impl World {
    /// Expects a message on a topic: with that payload, and those marks, if any are named.
    pub(super) fn expect_published(
        &mut self,
        position: Position,
        topic: &str,
        payload: Option<&Dynamic>,
        marks: &Map,
    ) -> NativeResult<()> {
        self.no_error_is_left()?;
        let marks = expected(&Dynamic::from_map(marks.clone()))?;
        let wanted = payload.map(expected).transpose()?;
        // Text is sent as it is, so it is compared with the bytes.
        let text =
            payload.and_then(|value| value.read_lock::<ImmutableString>().map(|text| text.to_string()));
        let is_on_topic =
            |effect: &Effect| matches!(effect, Effect::Publish { topic: other, .. } if other == topic);
        let is_wanted = |effect: &Effect, shown: &Value| {
            let right = match (&text, &wanted, effect) {
                (Some(text), _, Effect::Publish { payload, .. }) => payload.as_ref() == text.as_bytes(),
                (None, Some(wanted), _) => is_met(wanted, &shown["payload"]),
                _ => true,
            };
            right && has_members(&marks, shown)
        };
        let found = self
            .effects
            .iter_mut()
            .find(|seen| !seen.expected && is_on_topic(&seen.effect) && is_wanted(&seen.effect, &seen.json));
        if let Some(seen) = found {
            seen.expected = true;
            return Ok(());
        }
        let near = self.effects.iter().find(|seen| !seen.expected && is_on_topic(&seen.effect));
        let Some(near) = near else {
            let message = format!("nothing is published to {topic:?}{}", self.instead());
            return self.fail(position, message, Vec::new());
        };
        let mut value = marks;
        if let (Some(wanted), Value::Object(members)) = (wanted, &mut value) {
            members.insert("payload".to_owned(), wanted);
        }
        let names: Vec<&String> =
            value.as_object().map(|members| members.keys().collect()).unwrap_or_default();
        let actual = names.into_iter().map(|name| (name.clone(), near.json[name].clone())).collect();
        let diff = difference(&value, &Value::Object(actual));
        self.fail(position, format!("what is published to {topic:?} is something else"), diff)
    }

    /// Expects that nothing is published to topics that a filter matches.
    pub(super) fn expect_not_published(&mut self, position: Position, filter: &str) -> NativeResult<()> {
        self.no_error_is_left()?;
        let filter = TopicFilter::parse(filter).map_err(|error| refuse(error.to_string()))?;
        let published = self.effects.iter().find_map(|seen| match &seen.effect {
            Effect::Publish { topic, .. } if filter.matches(topic) => Some(&seen.json),
            _ => None,
        });
        match published {
            None => Ok(()),
            Some(json) => {
                let message = format!("this is published\n{}", pretty(json));
                self.fail(position, message, Vec::new())
            }
        }
    }

    /// Expects that the last event led to nothing but log lines and what was expected already.
    pub(super) fn expect_nothing(&mut self, position: Position) -> NativeResult<()> {
        self.no_error_is_left()?;
        if self.effects.iter().all(|seen| seen.expected || matches!(seen.effect, Effect::Log { .. })) {
            return Ok(());
        }
        let message = format!("something is done{}", self.instead());
        self.fail(position, message, Vec::new())
    }

    /// Expects an effect that has these members, and perhaps others.
    pub(super) fn expect_effect(&mut self, position: Position, members: &Map) -> NativeResult<()> {
        self.no_error_is_left()?;
        let wanted = expected(&Dynamic::from_map(members.clone()))?;
        let found = self.effects.iter_mut().find(|seen| !seen.expected && has_members(&wanted, &seen.json));
        if let Some(seen) = found {
            seen.expected = true;
            return Ok(());
        }
        let message = format!("there is no such effect{}", self.instead());
        self.fail(position, message, Vec::new())
    }

    /// Expects a row: with that value, if one is named.
    pub(super) fn expect_row(
        &mut self,
        position: Position,
        [table, hash, sort]: [&str; 3],
        value: Option<&Dynamic>,
    ) -> NativeResult<()> {
        self.no_error_is_left()?;
        self.expect_write([table, hash, sort]);
        let Some(actual) = self.row([table, hash, sort])? else {
            let message = format!("table {table:?} has no row {sort:?} under {hash:?}");
            return self.fail(position, message, Vec::new());
        };
        let Some(value) = value else { return Ok(()) };
        let wanted = expected(value)?;
        if is_met(&wanted, &actual) {
            return Ok(());
        }
        let message = format!("row {sort:?} under {hash:?} of table {table:?} is something else");
        self.fail(position, message, difference(&wanted, &actual))
    }

    /// Expects that a row is not there.
    pub(super) fn expect_no_row(
        &mut self,
        position: Position,
        [table, hash, sort]: [&str; 3],
    ) -> NativeResult<()> {
        self.no_error_is_left()?;
        self.expect_write([table, hash, sort]);
        match self.row([table, hash, sort])? {
            None => Ok(()),
            Some(actual) => {
                let message = format!("table {table:?} has row {sort:?} under {hash:?}\n{}", pretty(&actual));
                self.fail(position, message, Vec::new())
            }
        }
    }

    /// Expects that the last event failed, with a message that has this part.
    pub(super) fn expect_error(&mut self, position: Position, part: &str) -> NativeResult<()> {
        match self.error.take() {
            Some((_, error)) if error.message.contains(part) => Ok(()),
            Some((_, error)) => {
                self.fail(position, format!("the rule failed with something else\n{error}"), Vec::new())
            }
            None => self.fail(position, "the rule did not fail".to_owned(), Vec::new()),
        }
    }

    /// Expects a line of the rule's log that has this part.
    pub(super) fn expect_log(&mut self, position: Position, part: &str) -> NativeResult<()> {
        self.no_error_is_left()?;
        let has_part = |seen: &super::world::Seen| matches!(&seen.effect, Effect::Log { text, .. } if text.contains(part));
        if self.effects.iter().any(has_part) {
            return Ok(());
        }
        let message = format!("no line of the log has {part:?}{}", self.instead());
        self.fail(position, message, Vec::new())
    }

    /// A row as JSON.
    pub(super) fn row(&self, [table, hash, sort]: [&str; 3]) -> NativeResult<Option<Value>> {
        let row = self.tables.get(table, hash, sort).map_err(|error| refuse(error.to_string()))?;
        let parse =
            |text: bytes::Bytes| serde_json::from_slice(&text).map_err(|error| refuse(error.to_string()));
        row.map(parse).transpose()
    }

    /// Notes that what the last event did to a row is expected.
    fn expect_write(&mut self, [table, hash, sort]: [&str; 3]) {
        for seen in &mut self.effects {
            let is_meant = matches!(
                &seen.effect,
                Effect::Put { table: other, hash: under, sort: at, .. }
                | Effect::Delete { table: other, hash: under, sort: at }
                    if other == table && under == hash && at == sort
            );
            seen.expected |= is_meant;
        }
    }

    /// What the last event did that was not expected yet, for messages.
    fn instead(&self) -> String {
        /// More are not shown.
        const SHOWN_MAX: usize = 20;
        let mut text = String::new();
        for seen in self.effects.iter().filter(|seen| !seen.expected).take(SHOWN_MAX) {
            text.push('\n');
            text.push_str(&seen.json.to_string());
        }
        if text.is_empty() {
            ": the event led to nothing else".to_owned()
        } else {
            format!("; there is{text}")
        }
    }
}
