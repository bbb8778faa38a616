//! Rows whose time is over: they are swept by the store itself, but for those of tables where somebody takes them.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::core::{Core, lock};
use super::error::{ReadError, TablesError};
use super::keys;
use super::record::Seq;
use super::tables::{Stored, guarded};

/// A row whose time is over and that is still there. Readers do not see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiredRow {
    /// The table.
    pub table: String,
    /// The row's hash.
    pub hash: String,
    /// The row's sort.
    pub sort: String,
    /// What it was.
    pub value: Bytes,
    /// The record that wrote it.
    pub version: Seq,
}

/// Of which tables expired rows stay until they are taken.
#[derive(Debug, Clone)]
pub(super) enum Kept {
    /// Of all: who takes them has yet to say.
    All,
    /// Of these.
    Of(Arc<HashSet<String>>),
}

impl Kept {
    /// What is kept before anybody has said something.
    pub(super) fn at_first(is_held: bool) -> Kept {
        if is_held { Kept::All } else { Kept::Of(Arc::default()) }
    }

    /// Whether the row of a key stays.
    pub(super) fn keeps(&self, row: &[u8]) -> bool {
        match self {
            Kept::All => true,
            Kept::Of(tables) => {
                !tables.is_empty() && keys::table_of(row).is_some_and(|table| tables.contains(&table))
            }
        }
    }
}

/// Which rows are over at a moment.
pub(super) struct Expired {
    pub(super) now_ms: u64,
    pub(super) kept: Kept,
}

impl Expired {
    /// Whether a row need not be written any more.
    pub(super) fn goes(&self, key: &[u8], stored: &Stored) -> bool {
        stored.live.has_expired(self.now_ms) && !self.kept.keeps(key)
    }
}

impl Core {
    /// Sets of which tables expired rows stay.
    pub(super) fn keep_expired(&self, tables: HashSet<String>) {
        *lock(&self.kept) = Kept::Of(Arc::new(tables));
    }

    /// Rows that have expired and stay, those first whose time was over first. Rows that something waits to change are
    /// left out.
    pub(super) fn expired(&self, rows_max: usize) -> Result<Vec<ExpiredRow>, ReadError> {
        let kept = lock(&self.kept).clone();
        if rows_max == 0 || matches!(&kept, Kept::Of(tables) if tables.is_empty()) {
            return Ok(Vec::new());
        }
        let tables = self.tables();
        let tables = tables.as_ref().ok_or(ReadError::Closed)?;
        let is_settled = |row: &[u8]| self.overlay().get(row).is_none();
        let found = guarded(|| tables.expired(self.now_ms(), rows_max, &kept, is_settled))?;
        let row = |(key, stored): (Vec<u8>, Stored)| {
            let (table, hash, sort) = keys::row_parts(&key).ok_or(TablesError::Garbled)?;
            Ok(ExpiredRow { table, hash, sort, value: stored.live.value, version: stored.version })
        };
        found.into_iter().map(row).collect()
    }

    /// Notes that rows were taken, which counts as sweeping them.
    pub(super) fn note_taken(&self, rows: usize) {
        self.counters.expired_swept.fetch_add(rows as u64, Ordering::Relaxed);
    }
}
