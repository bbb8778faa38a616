//! What a rule may read: the tables as they were when the event came.

use bytes::Bytes;
use thiserror::Error;

use crate::rule::Index;

/// The tables, frozen. Values are JSON texts, as rules wrote them.
///
/// A row whose time to live is over is not there.
pub trait Snapshot: Send + Sync {
    /// The value at exactly this key.
    ///
    /// # Errors
    /// Says why the table could not be read; the run then fails and changes nothing.
    fn get(&self, table: &str, hash: &str, sort: &str) -> Result<Option<Bytes>, SnapshotError>;

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
    fn get(&self, _: &str, _: &str, _: &str) -> Result<Option<Bytes>, SnapshotError> {
        Ok(None)
    }

    fn query(&self, _: &str, _: &str, _: &Query) -> Result<Vec<Row>, SnapshotError> {
        Ok(Vec::new())
    }
}
