//! Which text at which path somebody asks for.

use hashbrown::HashTable;

use crate::topic::hash;

/// Numbers filed under a path and a text.
#[derive(Debug, Default)]
pub(super) struct Texts {
    table: HashTable<Entry>,
}

#[derive(Debug)]
struct Entry {
    path: u32,
    value: u32,
    text: Box<str>,
}

impl Texts {
    /// Files `value`; nothing may be there yet.
    pub(super) fn insert(&mut self, path: u32, text: &str, value: u32) {
        let entry = Entry { path, value, text: text.into() };
        self.table.insert_unique(hash_of(path, text), entry, |entry| hash_of(entry.path, &entry.text));
    }

    #[inline]
    pub(super) fn find(&self, path: u32, text: &str) -> Option<u32> {
        let is_it = |entry: &Entry| entry.path == path && *entry.text == *text;
        self.table.find(hash_of(path, text), is_it).map(|entry| entry.value)
    }
}

fn hash_of(path: u32, text: &str) -> u64 {
    hash::whole(0, path, text.as_bytes())
}
