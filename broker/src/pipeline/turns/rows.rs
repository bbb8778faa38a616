//! Things about rows, at most one for each row, in the order in which they came.

use std::hash::BuildHasher;

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

use crate::store::{ReadCheck, Write};

/// What names a row: table, hash and sort.
pub(in crate::pipeline) type RowName<'a> = (&'a str, &'a str, &'a str);

/// Something about one row.
pub(in crate::pipeline) trait AboutRow {
    fn row(&self) -> RowName<'_>;
}

impl AboutRow for Write {
    fn row(&self) -> RowName<'_> {
        Write::row(self)
    }
}

impl AboutRow for ReadCheck {
    fn row(&self) -> RowName<'_> {
        (&self.table, &self.hash, &self.sort)
    }
}

/// See the module. Nothing is copied to find it by its row.
#[derive(Debug)]
pub(in crate::pipeline) struct Rows<T> {
    items: Vec<T>,
    /// Indices of items.
    index: HashTable<usize>,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Rows { items: Vec::new(), index: HashTable::new() }
    }
}

impl<T: AboutRow> Rows<T> {
    pub(in crate::pipeline) fn len(&self) -> usize {
        self.items.len()
    }

    pub(in crate::pipeline) fn get(&self, row: RowName<'_>) -> Option<&T> {
        let found = self.index.find(hash(row), |&index| self.items[index].row() == row);
        found.map(|&index| &self.items[index])
    }

    pub(in crate::pipeline) fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter()
    }

    /// Adds what there is about a row, in the place of what was there.
    pub(in crate::pipeline) fn put(&mut self, item: T) {
        let hash_of_item = hash(item.row());
        let items = &self.items;
        if let Some(&at) = self.index.find(hash_of_item, |&index| items[index].row() == item.row()) {
            self.items[at] = item;
            return;
        }
        self.index.insert_unique(hash_of_item, self.items.len(), |&index| hash(items[index].row()));
        self.items.push(item);
    }

    /// Adds what there is about a row unless something is there already.
    pub(in crate::pipeline) fn keep_first(&mut self, item: T) {
        if self.get(item.row()).is_none() {
            self.put(item);
        }
    }

    /// Takes everything out.
    pub(in crate::pipeline) fn take(&mut self) -> Vec<T> {
        self.index.clear();
        std::mem::take(&mut self.items)
    }
}

fn hash(row: RowName<'_>) -> u64 {
    FxBuildHasher.hash_one(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delete(sort: &str) -> Write {
        Write::Delete { table: "t".to_owned(), hash: "h".to_owned(), sort: sort.to_owned() }
    }

    fn put(sort: &str, value: &'static str) -> Write {
        Write::Put {
            table: "t".to_owned(),
            hash: "h".to_owned(),
            sort: sort.to_owned(),
            value: value.into(),
            expires_at_ms: None,
        }
    }

    #[test]
    fn the_last_about_a_row_is_kept_in_the_place_of_the_first() {
        let mut rows = Rows::default();
        for write in [put("a", "1"), put("b", "2"), delete("a"), put("c", "3"), put("b", "4")] {
            rows.put(write);
        }
        rows.keep_first(put("c", "5"));
        assert_eq!(rows.get(("t", "h", "b")), Some(&put("b", "4")));
        assert_eq!(rows.get(("t", "h", "d")), None);
        assert_eq!(rows.take(), [delete("a"), put("b", "4"), put("c", "3")]);
        assert!(rows.len() == 0 && rows.get(("t", "h", "a")).is_none());
    }
}
