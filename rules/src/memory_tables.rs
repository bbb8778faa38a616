//! Tables in memory: the state of tests and dry runs.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use serde_json::Value;
use thiserror::Error;

use crate::effect::Effect;
use crate::rule::{Index, Rule};
use crate::snapshot::{Query, Row, Snapshot, SnapshotError};

/// Rows of one world in memory.
const ROWS_MAX: usize = 100_000;

type Key = (String, String, String);

/// Tables in memory, with a time of their own: a row whose time to live is over is not there.
#[derive(Clone, Debug, Default)]
pub struct MemoryTables {
    rows: BTreeMap<Key, Stored>,
    indexes: Vec<Index>,
    now_ms: i64,
}

#[derive(Clone, Debug)]
struct Stored {
    value: Bytes,
    expires_at_ms: Option<i64>,
}

/// Why rows cannot be taken.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum MemoryTablesError {
    /// The JSON is not `{ table: { hash: { sort: value } } }`.
    #[error("{0} is no JSON object: tables are given as {{\"table\": {{\"hash\": {{\"sort\": value}}}}}}")]
    Shape(String),
    /// There are too many.
    #[error("the tables hold more than {ROWS_MAX} rows")]
    TooMany,
}

impl MemoryTables {
    /// Reads `{ "table": { "hash": { "sort": value } } }`.
    ///
    /// # Errors
    /// Says which part is no object, or that there are too many rows.
    pub fn from_json(value: &Value) -> Result<Self, MemoryTablesError> {
        let object = |value: &Value, path: String| match value {
            Value::Object(members) => Ok(members.clone()),
            _ => Err(MemoryTablesError::Shape(path)),
        };
        let mut tables = Self::default();
        for (table, hashes) in object(value, "the state".to_owned())? {
            for (hash, rows) in object(&hashes, format!("table {table:?}"))? {
                for (sort, value) in object(&rows, format!("hash {hash:?} of table {table:?}"))? {
                    tables.put(&table, &hash, &sort, Bytes::from(value.to_string()), None)?;
                }
            }
        }
        Ok(tables)
    }

    /// Keeps the indexes that a rule declares, from now on.
    pub fn declare(&mut self, rule: &Rule) {
        self.indexes.extend(rule.indexes.iter().cloned());
        self.indexes.sort();
        self.indexes.dedup();
    }

    /// Sets the time; what has expired by then is gone.
    pub fn set_time(&mut self, now_ms: i64) {
        self.now_ms = now_ms;
        self.rows.retain(|_, row| row.expires_at_ms.is_none_or(|at| at > now_ms));
    }

    /// Writes a row; the value is a JSON text.
    ///
    /// # Errors
    /// Says how many rows there may be.
    pub fn put(
        &mut self,
        table: &str,
        hash: &str,
        sort: &str,
        value: Bytes,
        expires_at_ms: Option<i64>,
    ) -> Result<(), MemoryTablesError> {
        self.rows.insert(key(table, hash, sort), Stored { value, expires_at_ms });
        if self.rows.len() > ROWS_MAX { Err(MemoryTablesError::TooMany) } else { Ok(()) }
    }

    /// Does what a run asks of tables; whatever else it asks for is not this one's.
    ///
    /// # Errors
    /// Says how many rows there may be.
    pub fn apply(&mut self, effects: &[Effect]) -> Result<(), MemoryTablesError> {
        for effect in effects {
            match effect {
                Effect::Put { table, hash, sort, value, expires_at_ms } => {
                    self.put(table, hash, sort, value.clone(), *expires_at_ms)?;
                }
                Effect::Delete { table, hash, sort } => {
                    self.rows.remove(&key(table, hash, sort));
                }
                Effect::Board(change) => {
                    let row = change.row();
                    match row.value {
                        Some(value) => self.put(row.table, &row.hash, &row.sort, value, row.expires_at_ms)?,
                        None => drop(self.rows.remove(&key(row.table, &row.hash, &row.sort))),
                    }
                }
                Effect::Disconnect { .. }
                | Effect::Log { .. }
                | Effect::Notify { .. }
                | Effect::Publish { .. }
                | Effect::PutEvent { .. }
                | Effect::Webhook(_) => {}
            }
        }
        let now_ms = self.now_ms;
        self.set_time(now_ms);
        Ok(())
    }
}

impl Snapshot for MemoryTables {
    fn row(&self, table: &str, hash: &str, sort: &str) -> Result<Option<Bytes>, SnapshotError> {
        Ok(self.rows.get(&key(table, hash, sort)).map(|row| row.value.clone()))
    }

    fn query(&self, table: &str, hash: &str, query: &Query) -> Result<Vec<Row>, SnapshotError> {
        let from = key(table, hash, query.after.as_deref().unwrap_or_default());
        let of_hash = |(other, under, _): &Key| other == table && under == hash;
        let rows = self.rows.range((Bound::Included(from), Bound::Unbounded));
        let rows = rows.take_while(|(key, _)| of_hash(key)).filter(|((.., sort), _)| query.includes(sort));
        let mut rows: Vec<Row> =
            rows.map(|((.., sort), row)| Row { sort: sort.clone(), value: row.value.clone() }).collect();
        if query.newest_first {
            rows.reverse();
        }
        rows.truncate(query.limit);
        Ok(rows)
    }

    fn indexes(&self, table: &str) -> Vec<Index> {
        self.indexes.iter().filter(|index| *index.table == *table).cloned().collect()
    }
}

fn key(table: &str, hash: &str, sort: &str) -> Key {
    (table.to_owned(), hash.to_owned(), sort.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_come_in_order_and_expire() {
        let state = json!({ "t": { "h": { "b": 2, "a": { "x": 1 }, "c": 3 }, "i": { "d": 4 } } });
        let mut tables = MemoryTables::from_json(&state).unwrap();
        let sorts = |tables: &MemoryTables, query: &Query| {
            let rows = tables.query("t", "h", query).unwrap();
            rows.into_iter().map(|row| row.sort).collect::<String>()
        };
        let all = Query { limit: 9, ..Query::default() };
        assert_eq!(sorts(&tables, &all), "abc");
        assert_eq!(sorts(&tables, &Query { newest_first: true, limit: 2, ..all.clone() }), "cb");
        assert_eq!(sorts(&tables, &Query { after: Some("a".to_owned()), ..all.clone() }), "bc");
        assert_eq!(tables.get("t", "h", "a").unwrap().unwrap(), "{\"x\":1}");
        tables.put("t", "h", "e", Bytes::from_static(b"5"), Some(10)).unwrap();
        tables.set_time(9);
        assert_eq!(sorts(&tables, &all), "abce");
        tables.set_time(10);
        assert_eq!(sorts(&tables, &all), "abc");
    }

    #[test]
    fn a_state_of_another_shape_is_refused() {
        for (state, part) in [
            (json!([]), "the state"),
            (json!({ "t": 1 }), "table \"t\""),
            (json!({ "t": { "h": 1 } }), "hash \"h\" of table \"t\""),
        ] {
            assert!(MemoryTables::from_json(&state).unwrap_err().to_string().contains(part), "{state}");
        }
    }
}
