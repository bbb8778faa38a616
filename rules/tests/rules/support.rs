//! A world for rules: tables in memory, a clock, and short ways to compile and run.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use pointsman_rules::{
    CompileError, Effect, Engine, Event, EventId, Lifecycle, Limits, Message, Outcome, Query, Row, Rule,
    RuleName, RunError, Snapshot, SnapshotError,
};

pub(crate) const NOW_MS: i64 = 1_700_000_000_000;

type Key = (String, String, String);

/// Tables in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tables(BTreeMap<Key, (Bytes, Option<i64>)>);

impl Tables {
    /// Does what a run asked for.
    pub(crate) fn apply(&mut self, outcome: &Outcome) {
        for effect in &outcome.effects {
            match effect.clone() {
                Effect::Put { table, hash, sort, value, expires_at_ms } => {
                    self.0.insert((table, hash, sort), (value, expires_at_ms));
                }
                Effect::Delete { table, hash, sort } => {
                    self.0.remove(&(table, hash, sort));
                }
                Effect::Board(change) => {
                    let row = change.row();
                    let key = (row.table.to_owned(), row.hash, row.sort);
                    match row.value {
                        Some(value) => drop(self.0.insert(key, (value, row.expires_at_ms))),
                        None => drop(self.0.remove(&key)),
                    }
                }
                _ => {}
            }
        }
    }

    /// Takes out what is over at a time.
    pub(crate) fn expire(&mut self, now_ms: i64) {
        self.0.retain(|_, (_, expires)| expires.is_none_or(|expires| expires > now_ms));
    }

    pub(crate) fn rows(&self, table: &str) -> usize {
        self.0.keys().filter(|(other, ..)| other == table).count()
    }

    pub(crate) fn put(&mut self, table: &str, hash: &str, sort: &str, value: &str) {
        let key = (table.to_owned(), hash.to_owned(), sort.to_owned());
        self.0.insert(key, (Bytes::copy_from_slice(value.as_bytes()), None));
    }
}

impl Snapshot for Tables {
    fn row(&self, table: &str, hash: &str, sort: &str) -> Result<Option<Bytes>, SnapshotError> {
        if table == "broken" {
            return Err(SnapshotError("the disk is gone".to_owned()));
        }
        Ok(self.0.get(&(table.to_owned(), hash.to_owned(), sort.to_owned())).map(|(value, _)| value.clone()))
    }

    fn query(&self, table: &str, hash: &str, query: &Query) -> Result<Vec<Row>, SnapshotError> {
        let rows = self
            .0
            .iter()
            .filter(|((other, under, sort), _)| other == table && under == hash && query.includes(sort));
        let mut rows: Vec<Row> =
            rows.map(|((.., sort), (value, _))| Row { sort: sort.clone(), value: value.clone() }).collect();
        if query.newest_first {
            rows.reverse();
        }
        rows.truncate(query.limit);
        Ok(rows)
    }
}

pub(crate) fn monotonic() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// An engine whose deadline no slow machine reaches by chance.
pub(crate) fn patient() -> Engine {
    Engine::new(Limits { run_time_max: Duration::from_secs(20), ..Limits::default() }, monotonic)
}

pub(crate) fn compile(engine: &Engine, source: &str) -> Result<Rule, CompileError> {
    engine.compile(&RuleName::parse("test").unwrap(), "test.rhai", source)
}

pub(crate) fn message(topic: &str, payload: impl Into<Bytes>) -> Message {
    Message {
        topic: topic.into(),
        client_id: "c1".into(),
        user: None,
        payload: payload.into(),
        qos: 0,
        retain: false,
        time_ms: NOW_MS,
        id: EventId::new(NOW_MS.unsigned_abs(), 7),
    }
}

pub(crate) fn lifecycle(client_id: &str) -> Lifecycle {
    Lifecycle {
        time_ms: NOW_MS,
        id: EventId::new(NOW_MS.unsigned_abs(), 8),
        client_id: client_id.to_owned(),
        user: None,
        session_id: "s1".to_owned(),
        ip: None,
        version_number: 1,
        client_initiated: false,
        reason: None,
        filters: Vec::new(),
    }
}

/// Runs `fn handle(msg) { body }` on a message to `a/b` against tables.
pub(crate) fn run_with(engine: &Engine, body: &str, tables: &Tables) -> Result<Outcome, Box<RunError>> {
    let source = format!("on_message(\"#\", \"handle\");\nfn handle(msg) {{\n{body}\n}}");
    let rule = compile(engine, &source).unwrap();
    let snapshot: Arc<dyn Snapshot> = Arc::new(tables.clone());
    engine.run(&rule, 0, &Event::message(message("a/b", "{}")), &snapshot)
}

/// Runs `fn handle(msg) { body }` on a message to `a/b`.
pub(crate) fn run(body: &str) -> Result<Outcome, Box<RunError>> {
    run_with(&patient(), body, &Tables::default())
}

/// The log lines of a run: how tests look at values.
pub(crate) fn logged(outcome: &Outcome) -> Vec<&str> {
    let line = |effect: &'_ Effect| matches!(effect, Effect::Log { .. });
    outcome.effects.iter().filter(|effect| line(effect)).filter_map(log_text).collect()
}

fn log_text(effect: &Effect) -> Option<&str> {
    match effect {
        Effect::Log { text, .. } => Some(text),
        _ => None,
    }
}
