//! Which text at which path somebody asks for.

use hashbrown::HashTable;

use crate::topic::hash;

/// Numbers filed under a path and a text.
#[derive(Debug, Default)]
pub(super) struct Texts {
    entries: Vec<Entry>,
    table: HashTable<u32>,
}

#[derive(Debug)]
struct Entry {
    path: u32,
    text: Box<str>,
    value: u32,
}

impl Texts {
    /// Files `value`; nothing may be there yet.
    pub(super) fn insert(&mut self, path: u32, text: &str, value: u32) {
        let index = u32::try_from(self.entries.len()).expect("memory ends long before 2^32 entries");
        self.entries.push(Entry { path, text: text.into(), value });
        let entries = &self.entries;
        let hash_of = |&index: &u32| {
            let entry = &entries[index as usize];
            hash::whole(0, entry.path, entry.text.as_bytes())
        };
        self.table.insert_unique(hash_of(&index), index, hash_of);
    }

    #[inline]
    pub(super) fn find(&self, path: u32, text: &str) -> Option<u32> {
        let is_it = |&index: &u32| {
            let entry = &self.entries[index as usize];
            entry.path == path && *entry.text == *text
        };
        let index = *self.table.find(hash::whole(0, path, text.as_bytes()), is_it)?;
        Some(self.entries[index as usize].value)
    }
}
