//! A glance says nothing that reading the whole payload does not say.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::event::Message;
use crate::event_id::EventId;
use crate::snapshot::EmptySnapshot;
use crate::sql::context::{Context, Evaluation, NoFunctions};
use crate::sql::doc::Doc;
use crate::sql::{Output, SqlRunError, Statement};

const SELECTED: &str = "SELECT * FROM 'a' WHERE ";

/// What a statement makes of a payload with glances, and without.
fn both(statement: &Statement, payload: &[u8]) -> [Result<Option<Output>, SqlRunError>; 2] {
    let message = Message {
        topic: "a".into(),
        client_id: "c1".into(),
        user: None,
        payload: payload.to_vec().into(),
        qos: 0,
        retain: false,
        time_ms: 0,
        id: EventId::new(0, 1),
    };
    let context = Context::of_message(&message, "r", &EmptySnapshot, &NoFunctions);
    [
        statement.evaluate(&context),
        statement.evaluate_with(&Evaluation::new(&context, &Doc::read(payload), &statement.variables)),
    ]
}

/// Whether a glance alone refuses a payload.
fn is_refused(condition: &str, payload: &[u8]) -> bool {
    let statement = Statement::parse(&format!("{SELECTED}{condition}")).unwrap();
    statement.refuses_at_a_glance(payload)
}

#[test]
fn a_glance_refuses_what_cannot_be_true() {
    for (condition, payload) in [
        ("n > 100", r#"{"room":"lobby","n":12,"at":1700000000000}"#),
        ("n > 100", r#"{ "n" : 1.2E1 }"#),
        ("n > 100", r#"{"n":"12"}"#),
        ("n > 100", r#"{"n":[1000]}"#),
        ("n > 100", r#"{"m":1000}"#),
        ("n > 100", r#"{"m":"n"}"#),
        ("n > 100", r#"{"m":{"n":12}}"#),
        ("n > 100", r#"{"n":"#),
        ("n > 100", ""),
        ("room = 'lobby' AND n > 100", r#"{"room":"lobby","n":12}"#),
        ("room = 'lobby' AND n > 100", r#"{"room":"hall","n":1000}"#),
        ("n > 100 AND isUndefined(x)", r#"{"n":12}"#),
        ("note = 'a, b'", r#"{"note":"a, b}"}"#),
        ("note <> 'a, b'", r#"{"note":"a, b"}"#),
        ("list = 'x'", r#"{"list":[{"a":1},{"b":2}]}"#),
    ] {
        assert!(is_refused(condition, payload.as_bytes()), "{condition} of {payload}");
    }
    assert!(is_refused("n > 100", b"{\"n\":\"\xFF\"}"), "not UTF-8, so no JSON");
}

#[test]
fn a_glance_leaves_to_others_what_may_be_true() {
    for (condition, payload) in [
        ("n > 100", r#"{"n":1000}"#),
        ("n > 100", r#"{"n":1000,"n":12}"#),
        ("n > 100", r#"{"n":12,"n":1000}"#),
        ("n > 100", r#"{"n":12,"\u006e":1000}"#),
        ("n > 100", r#"{"m":{"n":1000}}"#),
        ("note = 'a, b'", r#"{"note":"a, b"}"#),
        ("n > 100 OR n < 1", r#"{"n":12}"#),
        ("isUndefined(n)", r#"{"n":1}"#),
        ("TRUE", "{}"),
        ("get(n, 'a') = 1", r#"{"n":1}"#),
        ("isUndefined(x) AND n > 100", r#"{"n":12}"#),
    ] {
        assert!(!is_refused(condition, payload.as_bytes()), "{condition} of {payload}");
    }
}

#[test]
fn a_glance_hides_no_limit() {
    // The last is not looked at: those before it use all work up.
    let same = format!("{} AND a = 'x'", vec!["a <> 'x'"; 400].join(" AND "));
    let statement = Statement::parse(&format!("{SELECTED}{same}")).unwrap();
    let payload = format!("{{\"a\":\"{}\"}}", "y".repeat(100_000));
    let [glanced, read] = both(&statement, payload.as_bytes());
    assert_eq!(read, Err(SqlRunError::Limit("WORK_BYTES_MAX")));
    assert_eq!(glanced, read);
    let [glanced, read] = both(&statement, br#"{"a":"y"}"#);
    assert_eq!((glanced, read), (Ok(None), Ok(None)));
}

/// The name of a member, as it may be written.
fn name() -> impl Strategy<Value = String> {
    let others = ["b", "ab", "", ":", ",", "\\u0061", "\\u0062", "a\\n", "é", "\\\"a\\\""];
    // Often the same, so that it comes twice.
    prop_oneof![1 => Just("a"), 1 => prop::sample::select(others.to_vec())].prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = String> {
    let scalars = [
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1",
        "2",
        "-2.50",
        "1e2",
        "1E+2",
        "10E-1",
        "0.1e1",
        "1000000",
        "\"a\"",
        "\"x\"",
        "\"1\"",
        "\"\"",
        "\"\\u0078\"",
        "\"\\\"a\\\":5\"",
        "123456789012345678901234567890",
        "01",
        "1.",
        "+1",
        "nul",
        "\"é\"",
        "{}",
        "[]",
    ];
    let leaf = prop_oneof![
        prop::sample::select(scalars.to_vec()).prop_map(str::to_owned),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| format!("{number:e}")),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|elements| format!("[{}]", elements.join(", "))),
            object(inner),
        ]
    })
}

fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let member = (name(), prop::sample::select(vec![":", " : ", ":\n", ""]), value);
    let member = member.prop_map(|(name, colon, value)| format!("\"{name}\"{colon}{value}"));
    vec(member, 0..5).prop_map(|members| format!("{{{}}}", members.join(",")))
}

/// A payload: an object, or what was one before a byte of it was changed or its end was lost.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let broken = (object(value()), any::<prop::sample::Index>(), any::<Option<u8>>());
    prop_oneof![
        4 => object(value()).prop_map(String::into_bytes),
        1 => value().prop_map(String::into_bytes),
        2 => broken.prop_map(|(text, at, byte)| {
            let mut bytes = text.into_bytes();
            let at = at.index(bytes.len());
            match byte {
                Some(byte) => bytes[at] = byte,
                None => bytes.truncate(at),
            }
            bytes
        }),
        1 => any::<Vec<u8>>(),
    ]
}

/// A condition over the members a and b.
fn condition() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "a",
        "a",
        "a",
        "b",
        "\"é\"",
        "a.b",
        "a.a.b",
        "1",
        "-2.5",
        "100",
        "'x'",
        "'a'",
        "'1'",
        "''",
        "true",
        "null",
        "nope",
        "isUndefined(a)",
        "isNull(b)",
        "[1, 'x']",
        "topic()",
        "cast(a AS Int)",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(4, 16, 3, |inner| {
        let operators =
            vec!["+", "-", "*", "/", "%", "=", "=", "<>", "<", "<=", ">", ">=", "AND", "OR", "IN"];
        let literals = vec!["1", "100", "2.5", "'x'", "'a'", "'1'", "''", "true", "null"];
        let comparisons = vec!["=", "<>", "<", "<=", ">", ">="];
        let plain = (prop::sample::select(comparisons), prop::sample::select(literals));
        prop_oneof![
            3 => plain.clone().prop_map(|(operator, literal)| format!("a {operator} {literal}")),
            2 => (plain, inner.clone())
                .prop_map(|((operator, literal), next)| format!("a {operator} {literal} AND {next}")),
            3 => (inner.clone(), prop::sample::select(operators), inner.clone())
                .prop_map(|(left, operator, right)| format!("({left} {operator} {right})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("{left} AND {right}")),
            1 => inner.clone().prop_map(|value| format!("(NOT {value})")),
            1 => inner.prop_map(|value| format!("(-{value})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn a_glance_changes_no_outcome(condition in condition(), payloads in vec(payload(), 1..8)) {
        // Some of what comes together here is no expression.
        if let Ok(statement) = Statement::parse(&format!("{SELECTED}{condition}")) {
            for payload in payloads {
                let [glanced, read] = both(&statement, &payload);
                prop_assert_eq!(glanced, read, "{} of {:?}", condition, String::from_utf8_lossy(&payload));
            }
        }
    }
}
