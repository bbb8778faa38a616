//! All rows of a hash, some at a time.

use std::vec;

use super::Store;
use super::error::ReadError;
use super::read::{Query, Row};

/// The rows of a hash in order of their sort. What is written meanwhile is among them or not; may wait for the disk.
pub struct Scan<'a> {
    store: &'a Store,
    table: &'a str,
    hash: &'a str,
    rows_at_a_time: usize,
    query: Query,
    page: vec::IntoIter<Row>,
    is_over: bool,
}

impl<'a> Scan<'a> {
    pub(super) fn new(store: &'a Store, table: &'a str, hash: &'a str, rows_at_a_time: usize) -> Scan<'a> {
        let query = Query { limit: rows_at_a_time, ..Query::default() };
        let page = Vec::new().into_iter();
        Scan { store, table, hash, rows_at_a_time, query, page, is_over: false }
    }

    fn turn(&mut self) -> Result<(), ReadError> {
        let rows = loop {
            match self.store.query(self.table, self.hash, &self.query) {
                // Those that fit are asked for alone.
                Err(ReadError::PageTooLarge { rows, .. }) => self.query.limit = rows,
                read => break read?,
            }
        };
        self.is_over = rows.len() < self.query.limit;
        self.query.limit = self.rows_at_a_time;
        self.query.after = rows.last().map(|row| row.sort.clone());
        self.page = rows.into_iter();
        Ok(())
    }
}

impl Iterator for Scan<'_> {
    type Item = Result<Row, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(row) = self.page.next() {
            return Some(Ok(row));
        }
        if self.is_over {
            return None;
        }
        if let Err(error) = self.turn() {
            self.is_over = true;
            return Some(Err(error));
        }
        self.page.next().map(Ok)
    }
}
