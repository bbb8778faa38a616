//! The tables as one run of a rule sees them.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use pointsman_rules::{Query, Row, Snapshot, SnapshotError};

use crate::store::{self, ReadCheck, Store};

/// Tables whose name begins so are the server's own.
pub(crate) const SYSTEM_PREFIX: char = '_';

/// Reads the store and remembers what was read, so that the commit can tell whether it still holds.
pub(crate) struct StoreSnapshot {
    store: Arc<Store>,
    reads: Mutex<Vec<ReadCheck>>,
}

impl StoreSnapshot {
    pub(crate) fn new(store: Arc<Store>) -> StoreSnapshot {
        StoreSnapshot { store, reads: Mutex::default() }
    }

    /// What was read.
    pub(crate) fn take_reads(&self) -> Vec<ReadCheck> {
        std::mem::take(&mut *self.reads.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, table: &str, hash: &str, sort: &str, version: Option<store::Seq>) {
        let check =
            ReadCheck { table: table.to_owned(), hash: hash.to_owned(), sort: sort.to_owned(), version };
        self.reads.lock().unwrap_or_else(PoisonError::into_inner).push(check);
    }
}

fn refuse_system(table: &str) -> Result<(), SnapshotError> {
    if table.starts_with(SYSTEM_PREFIX) {
        return Err(SnapshotError(format!(
            "table {table:?} is the server's own: names of rules' tables do not begin with _"
        )));
    }
    Ok(())
}

impl Snapshot for StoreSnapshot {
    fn get(&self, table: &str, hash: &str, sort: &str) -> Result<Option<Bytes>, SnapshotError> {
        refuse_system(table)?;
        let row = self.store.get(table, hash, sort).map_err(|error| SnapshotError(error.to_string()))?;
        self.note(table, hash, sort, row.as_ref().map(|row| row.version));
        Ok(row.map(|row| row.value))
    }

    fn query(&self, table: &str, hash: &str, query: &Query) -> Result<Vec<Row>, SnapshotError> {
        refuse_system(table)?;
        let wanted = store::Query {
            after: query.after.clone(),
            before: query.before.clone(),
            limit: query.limit,
            newest_first: query.newest_first,
        };
        let rows =
            self.store.query(table, hash, &wanted).map_err(|error| SnapshotError(error.to_string()))?;
        for row in &rows {
            self.note(table, hash, &row.sort, Some(row.version));
        }
        Ok(rows.into_iter().map(|row| Row { sort: row.sort, value: row.value }).collect())
    }
}
