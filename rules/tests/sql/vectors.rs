//! The shared vectors.

use pointsman_rules::Effect;
use pointsman_rules::sql::Statement;
use serde::Deserialize;
use serde_json::Value;

use crate::support::{evaluate, message, republish};

#[derive(Deserialize)]
struct Vectors {
    iot_sql: Vec<Case>,
    iot_sql_invalid: Vec<Invalid>,
    substitution_templates: Vec<Substitution>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    sql: String,
    topic: String,
    client_id: String,
    payload: Value,
    #[serde(default)]
    payload_is_raw: bool,
    now_ms: Option<i64>,
    output: Option<Value>,
    fires: bool,
    note: String,
}

#[derive(Deserialize)]
struct Invalid {
    sql: String,
}

#[derive(Deserialize)]
struct Substitution {
    template: String,
    payload: Value,
    topic: String,
    client_id: Option<String>,
    result: Option<String>,
    note: Option<String>,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../data/sql.json")).expect("the vectors are JSON")
}

#[test]
fn expressions_give_what_the_vectors_say() {
    for case in vectors().iot_sql {
        let raw = case.payload.as_str().filter(|_| case.payload_is_raw).map(str::to_owned);
        let mut message = message(&case.topic, raw.unwrap_or_else(|| case.payload.to_string()));
        message.client_id = if case.client_id == "n/a" { "".into() } else { case.client_id.into() };
        message.time_ms = case.now_ms.unwrap_or(message.time_ms);
        let statement = Statement::parse(&case.sql).unwrap_or_else(|error| panic!("{}: {error}", case.id));
        let is_matching = statement.filter().is_some_and(|filter| filter.filter().matches(&case.topic));
        let output = evaluate(&case.sql, &message).unwrap().filter(|_| is_matching);
        let json = output.map(|output| serde_json::from_slice::<Value>(&output).unwrap());
        assert_eq!(json.is_some(), case.fires, "{} {}", case.id, case.note);
        if case.fires {
            assert_eq!(json, case.output, "{} {} {}", case.id, case.sql, case.note);
        }
    }
}

#[test]
fn invalid_statements_are_refused_with_a_place() {
    for case in vectors().iot_sql_invalid {
        let error = Statement::parse(&case.sql).expect_err(&case.sql);
        assert!(error.line == 1 && error.column >= 1 && !error.message.is_empty(), "{error}");
    }
}

#[test]
fn templates_are_filled_in_or_refused() {
    for case in vectors().substitution_templates {
        let mut message = message(&case.topic, case.payload.to_string());
        message.client_id = case.client_id.map_or(message.client_id, Into::into);
        let outcome = republish(&case.template, &message);
        let topic = match outcome.effects.as_slice() {
            [Effect::Publish { topic, .. }] => Some(topic.clone()),
            _ => None,
        };
        assert_eq!(topic, case.result, "{} {:?}", case.template, case.note);
        assert_eq!(outcome.failures.len(), usize::from(case.result.is_none()), "{}", case.template);
    }
}
