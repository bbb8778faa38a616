//! Random patterns and events out of few names and values, so that they often meet.

use std::cmp::Ordering;
use std::fmt::Write as _;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

const TEXTS: [&str; 16] = [
    "", "a", "b", "ab", "aba", "abba", "A", "AB", "é", "aé", "*", "a*b", "10.0.0.1", "10.0.0.9", "\"\\", "1",
];
/// Binary64 does not hold the first of them.
const NUMBERS: [&str; 12] = [
    "9007199254740993",
    "9007199254740992",
    "0",
    "-0",
    "1",
    "1.0",
    "3.0e2",
    "300",
    "-5",
    "301.8",
    "1e-7",
    "1e300",
];

fn text() -> impl Strategy<Value = &'static str> {
    select(&TEXTS[..])
}

fn number() -> impl Strategy<Value = Value> {
    select(&NUMBERS[..]).prop_map(|text| serde_json::from_str(text).unwrap())
}

/// A number that operators compare by its value.
fn held_number() -> impl Strategy<Value = Value> {
    select(&NUMBERS[1..]).prop_map(|text| serde_json::from_str(text).unwrap())
}

/// Names of members; some hold dots.
fn name() -> impl Strategy<Value = &'static str> {
    prop_oneof![12 => select(&["a", "b", "c", "é"][..]), 1 => select(&["a.b", "b.a.c", ""][..])]
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => text().prop_map(Value::from),
        3 => number(),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ]
}

fn object(members: Vec<(&'static str, Value)>) -> Value {
    members.into_iter().map(|(name, member)| (name.to_owned(), member)).collect::<Map<_, _>>().into()
}

/// Any JSON value.
pub(super) fn json() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            3 => vec((name(), inner.clone()), 0..4).prop_map(object),
            2 => vec(inner, 0..4).prop_map(Value::from),
        ]
    })
}

/// An event.
pub(super) fn event() -> impl Strategy<Value = Value> {
    vec((name(), json()), 0..4).prop_map(object)
}

/// A JSON text of `value` in one of its spellings: with spaces, and with characters escaped.
pub(super) fn spelled(value: &Value, style: u8) -> String {
    let mut out = String::new();
    spell(value, style, &mut out);
    out
}

fn spell(value: &Value, style: u8, out: &mut String) {
    let space = if style & 1 == 0 { "" } else { " \n" };
    let text = |text: &str, out: &mut String| {
        if style & 2 == 0 {
            out.push_str(&Value::from(text).to_string());
        } else {
            out.push('"');
            for unit in text.encode_utf16() {
                let _ = write!(out, "\\u{unit:04x}");
            }
            out.push('"');
        }
    };
    match value {
        Value::Object(members) => {
            out.push('{');
            for (index, (name, member)) in members.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                if style & 4 != 0 {
                    // The last of equal names counts.
                    text(name, out);
                    out.push_str(":[{\"a\":\"a\",\"b\":[1]},\"b\"],");
                }
                out.push_str(space);
                text(name, out);
                out.push_str(space);
                out.push(':');
                spell(member, style, out);
            }
            out.push_str(space);
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                out.push_str(space);
                spell(item, style, out);
            }
            out.push_str(space);
            out.push(']');
        }
        Value::String(string) => text(string, out),
        other => out.push_str(&other.to_string()),
    }
}

fn wildcard() -> impl Strategy<Value = String> {
    vec(select(&["a", "b", "ab", "é", "\\*", "*"][..]), 0..6).prop_map(|mut pieces| {
        pieces.dedup_by(|next, before| *next == "*" && *before == "*");
        pieces.concat()
    })
}

fn one_or_many(one: impl Strategy<Value = Value> + Clone) -> impl Strategy<Value = Value> {
    prop_oneof![one.clone(), vec(one, 1..3).prop_map(Value::from)]
}

fn anything_but() -> impl Strategy<Value = Value> {
    let filled = select(&TEXTS[1..]).prop_map(Value::from).boxed();
    prop_oneof![
        one_or_many(text().prop_map(Value::from).boxed()),
        one_or_many(held_number().boxed()),
        one_or_many(filled.clone()).prop_map(|inner| json!({ "prefix": inner })),
        one_or_many(filled).prop_map(|inner| json!({ "suffix": inner })),
        one_or_many(text().prop_map(Value::from).boxed())
            .prop_map(|inner| json!({ "equals-ignore-case": inner })),
        one_or_many(wildcard().prop_map(Value::from).boxed()).prop_map(|inner| json!({ "wildcard": inner })),
    ]
}

fn numeric() -> impl Strategy<Value = Value> {
    let one = (select(&["=", "<", "<=", ">", ">="][..]), held_number())
        .prop_map(|(name, number)| json!([name, number]));
    let range = (select(&[">", ">="][..]), held_number(), select(&["<", "<="][..]), held_number()).prop_map(
        |(lower, bottom, upper, top)| match bottom.as_f64().partial_cmp(&top.as_f64()) {
            Some(Ordering::Less) => json!([lower, bottom, upper, top]),
            Some(Ordering::Greater) => json!([lower, top, upper, bottom]),
            _ => json!([lower, bottom]),
        },
    );
    prop_oneof![one, range]
}

fn test() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => scalar(),
        1 => text().prop_map(|text| json!({ "prefix": text })),
        1 => text().prop_map(|text| json!({ "suffix": text })),
        1 => text().prop_map(|text| json!({ "prefix": { "equals-ignore-case": text } })),
        1 => text().prop_map(|text| json!({ "suffix": { "equals-ignore-case": text } })),
        1 => text().prop_map(|text| json!({ "equals-ignore-case": text })),
        2 => wildcard().prop_map(|text| json!({ "wildcard": text })),
        3 => anything_but().prop_map(|inner| json!({ "anything-but": inner })),
        2 => numeric().prop_map(|range| json!({ "numeric": range })),
        3 => any::<bool>().prop_map(|exists| json!({ "exists": exists })),
        1 => select(&["10.0.0.0/29", "10.0.0.0/8", "::/0"][..]).prop_map(|block| json!({ "cidr": block })),
    ]
}

/// A pattern as JSON.
pub(super) fn pattern() -> impl Strategy<Value = Value> {
    let leaf = vec(test(), 1..4).prop_map(Value::from);
    let fields = leaf.prop_recursive(3, 12, 3, |inner| {
        let members = vec((name(), inner.clone()), 1..4).prop_map(object).boxed();
        let branches = vec(vec((name(), inner), 1..3).prop_map(object), 2..4);
        prop_oneof![
            4 => members.clone(),
            1 => (members, branches).prop_map(|(mut members, branches)| {
                members["$or"] = branches.into();
                members
            }),
        ]
    });
    vec((name(), fields), 1..4).prop_map(object)
}
