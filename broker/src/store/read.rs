//! Reading rows: first what waits for the tables, then the tables, as if they were one.

use std::iter::Peekable;

use bytes::Bytes;

use super::core::Core;
use super::error::{ReadError, TablesError};
use super::keys;
use super::overlay::Version;
use super::record::Seq;
use super::tables::{Live, Stored};

/// The most rows that one query may ask for.
pub const QUERY_ROWS_MAX: usize = 10_000;

/// The most bytes of values that one query may return.
pub const QUERY_BYTES_MAX: usize = 64 << 20;

/// A row of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The row's place within its hash.
    pub sort: String,
    /// Its content.
    pub value: Bytes,
    /// The record that wrote it.
    pub version: Seq,
    /// When it stops being there, in milliseconds since 1970.
    pub expires_at_ms: Option<u64>,
}

/// A row that was written and not removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Readers see it.
    Live(Row),
    /// Its time is over.
    Over(Row),
}

/// Which rows of a hash, and in which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Only rows whose sort is greater than this.
    pub after: Option<String>,
    /// Only rows whose sort is less than this.
    pub before: Option<String>,
    /// At most so many rows; at most [`QUERY_ROWS_MAX`].
    pub limit: usize,
    /// From the greatest sort down, rather than from the least up.
    pub newest_first: bool,
}

impl Default for Query {
    fn default() -> Self {
        Query { after: None, before: None, limit: 100, newest_first: false }
    }
}

impl Core {
    pub(super) fn get(&self, table: &str, hash: &str, sort: &str) -> Result<Option<Row>, ReadError> {
        Ok(self.find(table, hash, sort)?.and_then(|found| match found {
            Found::Live(row) => Some(row),
            Found::Over(_) => None,
        }))
    }

    pub(super) fn find(&self, table: &str, hash: &str, sort: &str) -> Result<Option<Found>, ReadError> {
        let key = keys::row(table, hash, sort);
        let now_ms = self.now_ms();
        let waiting = self.overlay().get(&key).cloned();
        let found = if let Some(version) = waiting {
            version.live.map(|live| Stored { version: version.seq, live })
        } else {
            let tables = self.tables();
            tables.as_ref().ok_or(ReadError::Closed)?.get(&key)?
        };
        Ok(found.map(|stored| {
            let is_over = stored.live.has_expired(now_ms);
            let row = row(sort.to_owned(), stored);
            if is_over { Found::Over(row) } else { Found::Live(row) }
        }))
    }

    pub(super) fn query(&self, table: &str, hash: &str, query: &Query) -> Result<Vec<Row>, ReadError> {
        if query.limit > QUERY_ROWS_MAX {
            return Err(ReadError::LimitTooLarge { limit: query.limit, limit_max: QUERY_ROWS_MAX });
        }
        let now_ms = self.now_ms();
        let partition = keys::partition(table, hash, 0);
        let (from, to) = bounds(table, hash, &partition, query);
        if query.limit == 0 || from >= to {
            return Ok(Vec::new());
        }
        let tables = self.tables();
        let tables = tables.as_ref().ok_or(ReadError::Closed)?;
        // In this order: what leaves the overlay must be in the tables already, and what enters it is not read.
        let _still = tables.still();
        let waiting = self.waiting(&from, &to, query, now_ms);
        let stored = tables.range(&from, &to);
        let page = Page { partition, limit: query.limit, now_ms };
        if query.newest_first {
            page.fill(merge(waiting.into_iter(), stored.rev(), |left, right| left > right))
        } else {
            page.fill(merge(waiting.into_iter(), stored, |left, right| left < right))
        }
    }

    /// The overlay's part of a query: as many live rows as could be asked for, and the removals between them.
    fn waiting(&self, from: &[u8], to: &[u8], query: &Query, now_ms: u64) -> Vec<(Bytes, Version)> {
        let overlay = self.overlay();
        let mut live = 0;
        let mut wanted = |version: &Version| {
            let before = live;
            live += usize::from(version.live.as_ref().is_some_and(|live| !live.has_expired(now_ms)));
            before < query.limit
        };
        let copy = |(key, version): (&Bytes, &Version)| (key.clone(), version.clone());
        let range = overlay.range(from, to);
        if query.newest_first {
            range.rev().take_while(|(_, version)| wanted(version)).map(copy).collect()
        } else {
            range.take_while(|(_, version)| wanted(version)).map(copy).collect()
        }
    }
}

fn bounds(table: &str, hash: &str, partition: &[u8], query: &Query) -> (Vec<u8>, Vec<u8>) {
    let from = match &query.after {
        // No key lies between a key and the same with a zero behind it.
        Some(after) => {
            let mut key = keys::row(table, hash, after);
            key.push(0);
            key
        }
        None => partition.to_vec(),
    };
    let to = match &query.before {
        Some(before) => keys::row(table, hash, before),
        None => keys::behind(partition),
    };
    (from, to)
}

fn row(sort: String, stored: Stored) -> Row {
    let Live { value, expires_at_ms } = stored.live;
    Row { sort, value, version: stored.version, expires_at_ms }
}

/// Two sorted sources as one; where both have a key, the overlay's is the newer.
fn merge<W, S>(
    waiting: W,
    stored: S,
    is_before: fn(&Bytes, &Bytes) -> bool,
) -> impl Iterator<Item = Result<(Bytes, Stored), TablesError>>
where
    W: Iterator<Item = (Bytes, Version)>,
    S: Iterator<Item = Result<(Bytes, Stored), TablesError>>,
{
    let mut sources = Sources { waiting: waiting.peekable(), stored: stored.peekable(), is_before };
    std::iter::from_fn(move || sources.next())
}

struct Sources<W: Iterator, S: Iterator> {
    waiting: Peekable<W>,
    stored: Peekable<S>,
    is_before: fn(&Bytes, &Bytes) -> bool,
}

impl<W, S> Sources<W, S>
where
    W: Iterator<Item = (Bytes, Version)>,
    S: Iterator<Item = Result<(Bytes, Stored), TablesError>>,
{
    fn next(&mut self) -> Option<Result<(Bytes, Stored), TablesError>> {
        loop {
            let take_stored = match (self.waiting.peek(), self.stored.peek()) {
                (_, Some(Err(_))) | (None, Some(_)) => true,
                (Some((left, _)), Some(Ok((right, _)))) => (self.is_before)(right, left),
                (_, None) => false,
            };
            if take_stored {
                return self.stored.next();
            }
            let (key, version) = self.waiting.next()?;
            self.stored.next_if(|stored| matches!(stored, Ok((other, _)) if *other == key));
            if let Some(live) = version.live {
                return Some(Ok((key, Stored { version: version.seq, live })));
            }
        }
    }
}

/// Collects the rows of a query.
struct Page {
    partition: Vec<u8>,
    limit: usize,
    now_ms: u64,
}

impl Page {
    fn fill(
        self,
        rows: impl Iterator<Item = Result<(Bytes, Stored), TablesError>>,
    ) -> Result<Vec<Row>, ReadError> {
        let mut page = Vec::new();
        let mut bytes = 0;
        for item in rows {
            let (key, stored) = item?;
            if stored.live.has_expired(self.now_ms) {
                continue;
            }
            bytes += stored.live.value.len();
            if bytes > QUERY_BYTES_MAX && !page.is_empty() {
                return Err(ReadError::PageTooLarge { rows: page.len(), bytes_max: QUERY_BYTES_MAX });
            }
            let sort = keys::sort_of(&key, &self.partition).ok_or(TablesError::Garbled)?;
            page.push(row(sort, stored));
            if page.len() == self.limit {
                break;
            }
        }
        Ok(page)
    }
}
