//! From a selection to the text of its output, copying what need not be looked into.

use std::borrow::Cow;

use bytes::Bytes;
use smallvec::SmallVec;

use super::ast::{Expr, Item, Selected, Selection};
use super::context::{Evaluation, Scope};
use super::doc::Doc;
use super::error::SqlRunError;
use super::limits::OUTPUT_BYTES_MAX;
use super::value::{Value, write_member};

/// What a statement selected.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Output {
    /// JSON text, or the payload as it was, or nothing if `VALUE` is Undefined.
    pub bytes: Bytes,
    /// Whether it is JSON text.
    pub is_json: bool,
}

/// The items of an output object, in the order of their first mention.
pub(crate) type Fields<'a> = SmallVec<[(Cow<'a, str>, Value<'a>); 8]>;

/// Makes the output.
pub(crate) fn output<'a>(selection: &'a Selection, scope: &Scope<'a>) -> Result<Output, SqlRunError> {
    let evaluation = scope.evaluation;
    let output = match &selection.what {
        Selected::Value(Expr::All) => whole(evaluation),
        Selected::Value(value) => match value.evaluate(scope)? {
            Value::Bytes(_) => whole(evaluation),
            Value::Undefined => Output { bytes: Bytes::new(), is_json: false },
            value => {
                let mut json = Vec::with_capacity(128);
                value.write(&mut json);
                Output { bytes: json.into(), is_json: true }
            }
        },
        Selected::Items { has_all, items } => {
            let fields = fields(items, scope)?;
            let mut json =
                Vec::with_capacity(96 + if *has_all { evaluation.context.payload.len() } else { 0 });
            json.push(b'{');
            if *has_all {
                copy_members(evaluation, &fields, &mut json)?;
            }
            for (name, value) in &fields {
                write_member(name, value, 1, &mut json);
            }
            json.push(b'}');
            Output { bytes: json.into(), is_json: true }
        }
    };
    if output.bytes.len() > OUTPUT_BYTES_MAX && output.is_json {
        return Err(SqlRunError::Limit("OUTPUT_BYTES_MAX"));
    }
    Ok(output)
}

/// The payload itself, which is not copied.
fn whole(evaluation: &Evaluation<'_>) -> Output {
    let is_json = !matches!(evaluation.doc, Doc::NotJson(_));
    Output { bytes: evaluation.context.payload.clone(), is_json }
}

/// Copies the members of the payload that no item takes the place of.
fn copy_members(
    evaluation: &Evaluation<'_>,
    fields: &Fields<'_>,
    json: &mut Vec<u8>,
) -> Result<(), SqlRunError> {
    let (text, members) = match evaluation.doc {
        Doc::Object(text, members) => (text, members.as_slice()),
        Doc::NotJson(error) => return Err(SqlRunError::NoObject(error.to_string())),
        Doc::Other(_) => return Err(SqlRunError::NoObject("an array or a scalar".to_owned())),
    };
    evaluation.charge(members.len() * fields.len())?;
    let is_replaced = |name: &crate::json::RawText<'_>| fields.iter().any(|(field, _)| name.is(field));
    if !members.iter().any(|member| is_replaced(&member.name)) {
        // Without its braces; blanks within them do no harm, unless there is nothing else.
        if !members.is_empty() {
            json.extend_from_slice(&text.as_bytes()[1..text.len() - 1]);
        }
        return Ok(());
    }
    for member in members.iter().filter(|member| !is_replaced(&member.name)) {
        if json.len() > 1 {
            json.push(b',');
        }
        json.push(b'"');
        json.extend_from_slice(member.name.body.as_bytes());
        json.extend_from_slice(b"\":");
        json.extend_from_slice(member.value.as_bytes());
    }
    Ok(())
}

/// Evaluates items: those that are Undefined are left out, and of several of one name the last counts.
pub(crate) fn fields<'a>(items: &'a [Item], scope: &Scope<'a>) -> Result<Fields<'a>, SqlRunError> {
    let mut fields = Fields::new();
    for item in items {
        let value = match &item.value {
            // What is only copied stays as it is written.
            Expr::Name(name) => match scope.member_text(name)? {
                Some(json) => Value::Json(Cow::Borrowed(json)),
                None => scope.member(name)?,
            },
            Expr::All => match scope.all() {
                // As everywhere where a payload that is no JSON becomes a value.
                bytes @ Value::Bytes(_) => bytes.into_text().map_or(Value::Undefined, Value::Text),
                json => json,
            },
            other => other.evaluate(scope)?,
        };
        scope.evaluation.charge(value.bytes())?;
        if !matches!(value, Value::Undefined) {
            let (name, below) = item.path.split_first().map_or(("", &[][..]), |(name, below)| (name, below));
            put(&mut fields, name, below, value);
        }
    }
    Ok(fields)
}

fn put<'a>(fields: &mut Fields<'a>, name: &'a str, below: &'a [String], value: Value<'a>) {
    if let Some((_, place)) = fields.iter_mut().find(|(other, _)| other == name) {
        put_below(place, below, value);
    } else {
        let mut place = Value::Undefined;
        put_below(&mut place, below, value);
        fields.push((Cow::Borrowed(name), place));
    }
}

/// Puts a value where the names lead, making objects on the way.
fn put_below<'a>(place: &mut Value<'a>, below: &'a [String], value: Value<'a>) {
    let mut place = place;
    for name in below {
        if !matches!(place, Value::Object(_)) {
            *place = Value::Object(Vec::new());
        }
        let Value::Object(members) = place else { return };
        let at = members.iter().position(|(other, _)| other == name).unwrap_or_else(|| {
            members.push((Cow::Borrowed(name), Value::Undefined));
            members.len() - 1
        });
        place = &mut members[at].1;
    }
    *place = value;
}
