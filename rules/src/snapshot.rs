//! What a rule may read: the tables as they were when the event came.

use std::sync::{Arc, RwLock};

use bytes::Bytes;
use thiserror::Error;

use crate::leaderboard::{
    BOARDS_TABLE, SCORES_TABLE, SharedStandings, Standing, Standings, StandingsId, generation_of_row,
};
use crate::rule::Index;

/// The tables, frozen. Values are JSON texts, as rules wrote them.
///
/// A row whose time to live is over is not there.
pub trait Snapshot: Send + Sync {
    /// The value at exactly this key, be the table a rule's or the server's own.
    ///
    /// # Errors
    /// Says why the table could not be read; the run then fails and changes nothing.
    fn row(&self, table: &str, hash: &str, sort: &str) -> Result<Option<Bytes>, SnapshotError>;

    /// The value at exactly this key, for a rule that names the table.
    ///
    /// # Errors
    /// As for [`Snapshot::row`]; or says that the table is not for rules.
    fn get(&self, table: &str, hash: &str, sort: &str) -> Result<Option<Bytes>, SnapshotError> {
        self.row(table, hash, sort)
    }

    /// The rows of one hash, in the order of their sort keys' bytes, or the other way round.
    ///
    /// # Errors
    /// Says why the table could not be read; the run then fails and changes nothing.
    fn query(&self, table: &str, hash: &str, query: &Query) -> Result<Vec<Row>, SnapshotError>;

    /// The indexes of a table, whichever rule declares them, in order.
    fn indexes(&self, table: &str) -> Vec<Index> {
        let _ = table;
        Vec::new()
    }

    /// The generation of a leaderboard's standings; `None` where nothing was ever submitted to them.
    ///
    /// # Errors
    /// As for [`Snapshot::row`].
    fn board_generation(&self, id: &StandingsId) -> Result<Option<u64>, SnapshotError> {
        let row = self.row(BOARDS_TABLE, "", &id.to_string())?;
        row.map(|row| generation_of_row(&row)).transpose().map_err(|error| SnapshotError(error.to_string()))
    }

    /// What stands for a member of a leaderboard.
    ///
    /// # Errors
    /// As for [`Snapshot::row`].
    fn board_standing(
        &self,
        id: &StandingsId,
        generation: u64,
        member: &str,
    ) -> Result<Option<Standing>, SnapshotError> {
        let row = self.row(SCORES_TABLE, &id.scores_hash(generation), member)?;
        row.map(|row| Standing::from_row(&row)).transpose().map_err(|error| SnapshotError(error.to_string()))
    }

    /// The ranks of a leaderboard, if it has any. They are of the moment: commits may change them between two questions of
    /// one run, which no commit is refused for.
    ///
    /// # Errors
    /// As for [`Snapshot::query`], by which they are built. Whoever has large boards keeps them instead, in
    /// [`Boards`](crate::leaderboard::Boards).
    fn standings(&self, id: &StandingsId, generation: u64) -> Result<Option<SharedStandings>, SnapshotError> {
        let query = Query { limit: usize::MAX, ..Query::default() };
        let mut rows = Vec::new();
        for row in self.query(SCORES_TABLE, &id.scores_hash(generation), &query)? {
            let standing =
                Standing::from_row(&row.value).map_err(|error| SnapshotError(error.to_string()))?;
            rows.push((row.sort, standing, 0));
        }
        Ok(Some(Arc::new(RwLock::new(Standings::from_rows(id.order, 0, rows)))))
    }
}

/// Which rows of a hash are meant.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Query {
    /// Only rows with a greater sort key.
    pub after: Option<String>,
    /// Only rows with a smaller sort key.
    pub before: Option<String>,
    /// At most this many rows.
    pub limit: usize,
    /// Whether the greatest sort key comes first.
    pub newest_first: bool,
}

impl Query {
    /// Whether a row with this sort key is within the bounds.
    pub fn includes(&self, sort: &str) -> bool {
        self.after.as_deref().is_none_or(|after| sort > after)
            && self.before.as_deref().is_none_or(|before| sort < before)
    }
}

/// One row of a query.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Row {
    /// Its sort key.
    pub sort: String,
    /// Its value, a JSON text.
    pub value: Bytes,
}

/// Why a table could not be read.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{0}")]
pub struct SnapshotError(
    /// What happened, for the admin.
    pub String,
);

/// A snapshot without rows, for rules that read nothing and for tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmptySnapshot;

impl Snapshot for EmptySnapshot {
    fn row(&self, _: &str, _: &str, _: &str) -> Result<Option<Bytes>, SnapshotError> {
        Ok(None)
    }

    fn query(&self, _: &str, _: &str, _: &Query) -> Result<Vec<Row>, SnapshotError> {
        Ok(Vec::new())
    }
}
