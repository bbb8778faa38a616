//! What the cases share: a message, tables, and one way to evaluate an expression.

use std::collections::BTreeMap;

use bytes::Bytes;
use pointsman_rules::sql::{Context, FunctionError, Functions, SqlOutcome, SqlRule, SqlRunError, Statement};
use pointsman_rules::{EmptySnapshot, EventId, Message, Query, Row, RuleName, Snapshot, SnapshotError, Used};
use serde_json::Value;

pub(crate) const TIME_MS: i64 = 1_700_000_000_123;

/// Tables with rows under `table/hash/sort`; the table `broken` cannot be read.
#[derive(Debug, Default)]
pub(crate) struct Tables(pub(crate) BTreeMap<String, Bytes>);

impl Snapshot for Tables {
    fn row(&self, table: &str, hash: &str, sort: &str) -> Result<Option<Bytes>, SnapshotError> {
        if table == "broken" {
            return Err(SnapshotError("the disk is gone".to_owned()));
        }
        Ok(self.0.get(&format!("{table}/{hash}/{sort}")).cloned())
    }

    fn query(&self, _: &str, _: &str, _: &Query) -> Result<Vec<Row>, SnapshotError> {
        Ok(Vec::new())
    }
}

/// `echo` gives `{"got": argument}`; nothing else exists.
pub(crate) struct Echo;

impl Functions for Echo {
    fn call(&self, name: &str, argument: &[u8], _: &mut Used) -> Result<Vec<u8>, FunctionError> {
        match name {
            "echo" => Ok([b"{\"got\":", argument, b"}"].concat()),
            _ => Err("there is no such function".to_owned().into()),
        }
    }
}

pub(crate) fn message(topic: &str, payload: impl Into<Bytes>) -> Message {
    Message {
        topic: topic.into(),
        client_id: "c1".into(),
        user: Some("ann".into()),
        payload: payload.into(),
        qos: 0,
        retain: false,
        time_ms: TIME_MS,
        id: EventId::new(1_700_000_000_123, 42),
    }
}

/// What a statement selects: `None` if it does not fire.
pub(crate) fn evaluate(sql: &str, message: &Message) -> Result<Option<Bytes>, SqlRunError> {
    let statement = Statement::parse(sql).unwrap_or_else(|error| panic!("{sql}\n{error}"));
    let tables = Tables(BTreeMap::from([
        ("rooms/lobby/".to_owned(), Bytes::from_static(b"{\"title\":\"Lobby\"}")),
        ("rooms/lobby/7".to_owned(), Bytes::from_static(b"{\"title\":\"Seven\"}")),
    ]));
    let output = statement.evaluate(&Context::of_message(message, "r", &tables, &Echo))?;
    Ok(output.map(|output| output.bytes))
}

/// The value of an expression as JSON; `None` is Undefined.
pub(crate) fn value_of(expression: &str, payload: &str) -> Option<Value> {
    let output = evaluate(&format!("SELECT {expression} AS x"), &message("a/b/c", payload.to_owned()));
    let output = output.unwrap_or_else(|error| panic!("{expression}: {error}")).expect("there is no WHERE");
    let json: Value =
        serde_json::from_slice(&output).unwrap_or_else(|error| panic!("{expression}: {error} in {output:?}"));
    json.get("x").cloned()
}

/// What comes of republishing a message to the topic that a template gives.
pub(crate) fn republish(template: &str, message: &Message) -> SqlOutcome {
    let text = format!("SELECT * FROM '#' THEN REPUBLISH '{template}'");
    let rule = SqlRule::compile(&RuleName::parse("r").expect("a name"), "r.sql", &text);
    let rule = rule.unwrap_or_else(|error| panic!("{error}"));
    rule.run(message, &EmptySnapshot, &Echo).expect("no table is read")
}

/// What a table says that is expected: JSON, or `-` for Undefined.
pub(crate) fn expected_value(json: &str) -> Option<Value> {
    let json = Some(json.trim()).filter(|json| *json != "-")?;
    Some(serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}")))
}

/// Checks `expression => JSON` lines; `-` is Undefined.
pub(crate) fn check_values(payload: &str, table: &str) {
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (expression, expected) = line.rsplit_once(" => ").unwrap_or_else(|| panic!("no `=>` in {line}"));
        assert_eq!(value_of(expression, payload), expected_value(expected), "{expression}");
    }
}
