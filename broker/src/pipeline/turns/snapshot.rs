//! The tables as the runs of one turn see them: the store, with what the runs before have written laid over it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use pointsman_rules::leaderboard::{SharedStandings, StandingsId};
use pointsman_rules::{Index, Query, Row, Snapshot, SnapshotError};

use super::boards::Leaderboards;
use super::rows::Rows;
use crate::clock::Clock;
use crate::pipeline::rules::active::ActiveRules;
use crate::store::{self, Found, ReadCheck, ReadError, Store, Write};

/// Tables whose name begins so are the server's own.
pub(crate) const SYSTEM_PREFIX: char = '_';

/// Reads the store and remembers what was read, so that the commit can tell whether it still holds.
pub(crate) struct TurnSnapshot {
    store: Arc<Store>,
    clock: Arc<Clock>,
    leaderboards: Arc<Leaderboards>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// The rules that are active in this turn.
    active: Arc<ActiveRules>,
    /// What the runs of this turn have written so far.
    writes: Rows<Write>,
    /// Bytes of what they wrote.
    bytes: usize,
    /// What those of them that wrote something have read of the store.
    reads: Rows<ReadCheck>,
    /// What the run that is going on has read.
    run_reads: Vec<ReadCheck>,
    /// The rows of the store whose time was over when runs of this turn wrote them.
    ended: Rows<ReadCheck>,
    /// Those that the run that is going on writes.
    run_ended: Vec<ReadCheck>,
}

/// What was there of a row before it is written.
#[derive(Debug)]
pub(in crate::pipeline) struct Before {
    pub(in crate::pipeline) value: Bytes,
    /// Its time was over, and nobody was told yet.
    pub(in crate::pipeline) is_over: bool,
}

/// What a turn wrote, and what that depends on.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) writes: Vec<Write>,
    pub(crate) reads: Vec<ReadCheck>,
    pub(crate) ended: Vec<ReadCheck>,
}

impl TurnSnapshot {
    pub(in crate::pipeline) fn new(
        store: Arc<Store>,
        clock: Arc<Clock>,
        leaderboards: Arc<Leaderboards>,
    ) -> TurnSnapshot {
        TurnSnapshot { store, clock, leaderboards, inner: Mutex::default() }
    }

    /// Begins a turn.
    pub(crate) fn begin(&self, active: Arc<ActiveRules>) {
        self.lock().active = active;
    }

    /// Ends a run: what it wrote is there for the next one, and `writes` is empty.
    pub(crate) fn end_run(&self, writes: &mut Vec<Write>) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        // What was read only matters to what is written.
        if writes.is_empty() {
            inner.forget_run();
        }
        for read in inner.run_reads.drain(..) {
            inner.reads.keep_first(read);
        }
        for ended in inner.run_ended.drain(..) {
            inner.ended.keep_first(ended);
        }
        for write in writes.drain(..) {
            inner.bytes += size(&write);
            inner.writes.put(write);
        }
    }

    /// Has the turn depend on a row that no run has read.
    pub(crate) fn depend_on(&self, read: ReadCheck) {
        self.lock().reads.keep_first(read);
    }

    /// Forgets what a run has read that changes nothing of what it read.
    pub(crate) fn forget_run(&self) {
        self.lock().forget_run();
    }

    /// How many rows the turn has written, and bytes.
    pub(crate) fn written(&self) -> (usize, usize) {
        let inner = self.lock();
        (inner.writes.len(), inner.bytes)
    }

    /// Ends the turn.
    pub(crate) fn take(&self) -> Written {
        let mut inner = self.lock();
        inner.bytes = 0;
        Written { writes: inner.writes.take(), reads: inner.reads.take(), ended: inner.ended.take() }
    }

    /// What there is of a row that the run is to write; the commit depends on it.
    pub(in crate::pipeline) fn before(
        &self,
        table: &str,
        hash: &str,
        sort: &str,
    ) -> Result<Option<Before>, ReadError> {
        let mut inner = self.lock();
        if let Some(write) = inner.writes.get((table, hash, sort)) {
            let is_over = self.live(write).is_none();
            return Ok(write.value().map(|value| Before { value: value.clone(), is_over }));
        }
        let found = self.store.find(table, hash, sort)?;
        let check = |version| check(table, hash, sort, version);
        Ok(match found {
            None => {
                inner.run_reads.push(check(None));
                None
            }
            Some(Found::Live(row)) => {
                inner.run_reads.push(check(Some(row.version)));
                Some(Before { value: row.value, is_over: false })
            }
            Some(Found::Over(row)) => {
                inner.run_ended.push(check(Some(row.version)));
                Some(Before { value: row.value, is_over: true })
            }
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn live<'a>(&self, write: &'a Write) -> Option<&'a Bytes> {
        match write {
            Write::Put { value, expires_at_ms, .. } => {
                Some(value).filter(|_| expires_at_ms.is_none_or(|at| at > self.clock.now_ms()))
            }
            Write::Delete { .. } => None,
        }
    }
}

impl Inner {
    fn forget_run(&mut self) {
        self.run_reads.clear();
        self.run_ended.clear();
    }
}

fn size(write: &Write) -> usize {
    let (table, hash, sort) = write.row();
    table.len() + hash.len() + sort.len() + write.value().map_or(0, Bytes::len)
}

fn check(table: &str, hash: &str, sort: &str, version: Option<store::Seq>) -> ReadCheck {
    ReadCheck { table: table.to_owned(), hash: hash.to_owned(), sort: sort.to_owned(), version }
}

fn refuse_system(table: &str) -> Result<(), SnapshotError> {
    if table.starts_with(SYSTEM_PREFIX) {
        return Err(SnapshotError(format!(
            "table {table:?} is the server's own: names of rules' tables do not begin with _"
        )));
    }
    Ok(())
}

impl Snapshot for TurnSnapshot {
    fn row(&self, table: &str, hash: &str, sort: &str) -> Result<Option<Bytes>, SnapshotError> {
        if let Some(write) = self.lock().writes.get((table, hash, sort)) {
            return Ok(self.live(write).cloned());
        }
        let row = self.store.get(table, hash, sort).map_err(|error| SnapshotError(error.to_string()))?;
        let version = row.as_ref().map(|row| row.version);
        self.lock().run_reads.push(check(table, hash, sort, version));
        Ok(row.map(|row| row.value))
    }

    fn get(&self, table: &str, hash: &str, sort: &str) -> Result<Option<Bytes>, SnapshotError> {
        refuse_system(table)?;
        self.row(table, hash, sort)
    }

    fn standings(&self, id: &StandingsId, generation: u64) -> Result<Option<SharedStandings>, SnapshotError> {
        Ok(self.leaderboards.boards.get(id, generation))
    }

    fn indexes(&self, table: &str) -> Vec<Index> {
        self.lock().active.set.indexes(table).to_vec()
    }

    fn query(&self, table: &str, hash: &str, query: &Query) -> Result<Vec<Row>, SnapshotError> {
        refuse_system(table)?;
        let mut inner = self.lock();
        let own: BTreeMap<&str, Option<&Bytes>> = inner
            .writes
            .iter()
            .filter_map(|write| {
                let (its, under, sort) = write.row();
                let is_meant = its == table && under == hash && query.includes(sort);
                is_meant.then(|| (sort, self.live(write)))
            })
            .collect();
        let wanted = store::Query {
            after: query.after.clone(),
            before: query.before.clone(),
            // Each own write can hide at most one row, so with that many more the first `limit` are right.
            limit: query.limit + own.len(),
            newest_first: query.newest_first,
        };
        let read = self.store.query(table, hash, &wanted);
        let read = read.map_err(|error| SnapshotError(error.to_string()))?;
        let mut checks = Vec::new();
        let mut rows = Vec::with_capacity(read.len());
        for store::Row { sort, value, version, .. } in read {
            if !own.contains_key(sort.as_str()) {
                checks.push(check(table, hash, &sort, Some(version)));
                rows.push(Row { sort, value });
            }
        }
        let written = own.iter().filter_map(|(sort, value)| Some(((*sort).to_owned(), (*value)?.clone())));
        rows.extend(written.map(|(sort, value)| Row { sort, value }));
        if !own.is_empty() {
            rows.sort_by(|left, right| left.sort.cmp(&right.sort));
            if query.newest_first {
                rows.reverse();
            }
            rows.truncate(query.limit);
        }
        inner.run_reads.append(&mut checks);
        Ok(rows)
    }
}
