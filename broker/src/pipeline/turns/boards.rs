//! Leaderboards: their indexes in memory, as the rows of the store say them.

use std::sync::{Mutex, PoisonError};

use pointsman_rules::leaderboard::{
    BOARDS_TABLE, BoardChange, BoardLimits, Boards, Loaded, SCORES_TABLE, Standing, StandingsId,
    generation_of_row,
};
use tracing::{info, warn};

use crate::pipeline::Pipeline;
use crate::store::{Query, ReadError, Record, Row, Seq, Store, Write};

/// Rows read or deleted at a time.
const PAGE_ROWS: usize = 500;
/// Pages of rows of no more use that one look deletes.
const PAGES_PER_LOOK: usize = 20;

/// The indexes, and what of the store they have made worthless.
pub(in crate::pipeline) struct Leaderboards {
    pub(in crate::pipeline) boards: Boards,
    /// Hashes of scores that a reset left behind.
    worthless: Mutex<Vec<String>>,
}

impl Leaderboards {
    pub(in crate::pipeline) fn new(limits: BoardLimits) -> Leaderboards {
        let seed = u64::from_be_bytes(crate::random::array());
        Leaderboards { boards: Boards::new(limits, seed), worthless: Mutex::default() }
    }

    /// Does what a commit says; `seq` is its place in the log.
    pub(in crate::pipeline) fn apply(&self, changes: &[BoardChange], seq: Seq) {
        let worthless = changes.iter().filter_map(|change| self.boards.apply(change, seq));
        let worthless: Vec<String> = worthless.collect();
        if !worthless.is_empty() {
            self.worthless.lock().unwrap_or_else(PoisonError::into_inner).extend(worthless);
        }
    }

    /// Takes up all standings of the store.
    pub(in crate::pipeline) fn load(&self, store: &Store) -> Result<(), ReadError> {
        let mut count = 0;
        for row in store.scan(BOARDS_TABLE, "", PAGE_ROWS) {
            let row = row?;
            let Some(id) = StandingsId::parse(&row.sort) else {
                warn!(leaderboard = row.sort, "a leaderboard has no name that this version knows");
                continue;
            };
            self.load_one(store, id, &row)?;
            count += 1;
        }
        if count > 0 {
            info!(leaderboards = count, "taken up");
        }
        Ok(())
    }

    fn load_one(&self, store: &Store, id: StandingsId, row: &Row) -> Result<(), ReadError> {
        let generation = match generation_of_row(&row.value) {
            Ok(generation) => generation,
            Err(error) => {
                warn!(leaderboard = %id, %error, "a leaderboard cannot be read");
                return Ok(());
            }
        };
        let mut members = Vec::new();
        for row in store.scan(SCORES_TABLE, &id.scores_hash(generation), PAGE_ROWS) {
            let Row { sort, value, version, .. } = row?;
            match Standing::from_row(&value) {
                Ok(standing) => members.push((sort, standing, version)),
                Err(error) => warn!(leaderboard = %id, member = sort, %error, "a score cannot be read"),
            }
        }
        let expires_at_ms = row.expires_at_ms.map(|at| i64::try_from(at).unwrap_or(i64::MAX));
        self.boards.load(Loaded { id, generation, expires_at_ms, rows: members });
        Ok(())
    }

    /// Deletes some of the rows that are of no more use.
    fn delete_worthless(&self, store: &Store) {
        for _ in 0..PAGES_PER_LOOK {
            let hash = self.worthless.lock().unwrap_or_else(PoisonError::into_inner).last().cloned();
            let Some(hash) = hash else { return };
            let query = Query { limit: PAGE_ROWS, ..Query::default() };
            let Ok(rows) = store.query(SCORES_TABLE, &hash, &query) else { return };
            let is_last = rows.len() < PAGE_ROWS;
            let delete = |row: Row| Write::delete(SCORES_TABLE, &hash, row.sort);
            let writes: Vec<Write> = rows.into_iter().map(delete).collect();
            // Tried again at the next look.
            if !writes.is_empty() && store.append(Record { writes, ..Record::default() }).is_err() {
                return;
            }
            if is_last {
                self.worthless.lock().unwrap_or_else(PoisonError::into_inner).retain(|it| *it != hash);
            }
        }
    }
}

impl Pipeline {
    /// Lets go of what is over.
    pub(in crate::pipeline) fn keep_boards(&self) {
        self.leaderboards.boards.expire(i64::try_from(self.clock.now_ms()).unwrap_or(i64::MAX));
        self.leaderboards.delete_worthless(&self.store);
    }

    /// Leaderboards that are held, and their members.
    pub fn leaderboards(&self) -> (usize, usize) {
        let list = self.leaderboards.boards.list();
        (list.len(), list.iter().map(|(_, members)| members).sum())
    }
}
