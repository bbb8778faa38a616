//! Writes that are in the log's queue but not yet in the tables. Readers look here first.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound;

use bytes::Bytes;

use super::record::Seq;
use super::tables::{Change, Live};

/// What a write costs here besides its key and value.
const SLOT_BYTES: usize = 128;

/// One write to a row; `live` is `None` where it removes the row.
#[derive(Debug, Clone)]
pub(super) struct Version {
    pub(super) seq: Seq,
    pub(super) live: Option<Live>,
}

/// All writes that wait for the tables, by row key, with those that a failing disk may take back.
#[derive(Default)]
pub(super) struct Overlay {
    rows: BTreeMap<Bytes, Slot>,
    bytes: usize,
}

struct Slot {
    newest: Version,
    /// Oldest first; nearly always empty.
    older: Vec<Version>,
}

impl Overlay {
    /// Bytes of all that waits.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What `change` will add.
    pub(super) fn cost(change: &Change) -> usize {
        change.rows.iter().map(|(key, live)| cost(key, live.as_ref())).sum()
    }

    pub(super) fn insert(&mut self, change: &Change) {
        for (key, live) in &change.rows {
            let version = Version { seq: change.seq, live: live.clone() };
            self.bytes += cost(key, live.as_ref());
            match self.rows.entry(key.clone()) {
                Entry::Vacant(entry) => {
                    entry.insert(Slot { newest: version, older: Vec::new() });
                }
                Entry::Occupied(mut entry) => {
                    let slot = entry.get_mut();
                    let before = std::mem::replace(&mut slot.newest, version);
                    slot.older.push(before);
                }
            }
        }
    }

    /// Forgets what the tables now hold: the writes of `change` and any before it to the same rows.
    pub(super) fn applied(&mut self, change: &Change) {
        self.retain(change, |seq| seq > change.seq);
    }

    /// Takes back the writes of `change`, which never became durable.
    pub(super) fn refused(&mut self, change: &Change) {
        self.retain(change, |seq| seq != change.seq);
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&Version> {
        self.rows.get(key).map(|slot| &slot.newest)
    }

    /// The newest writes to keys in `from..to`, in order.
    pub(super) fn range(
        &self,
        from: &[u8],
        to: &[u8],
    ) -> impl DoubleEndedIterator<Item = (&Bytes, &Version)> {
        // An empty range is legal here and a panic in the map.
        let to = if to < from { from } else { to };
        let bounds = (Bound::Included(from), Bound::Excluded(to));
        self.rows.range::<[u8], _>(bounds).map(|(key, slot)| (key, &slot.newest))
    }

    /// Called once for each change that was inserted, when it is applied or refused.
    fn retain(&mut self, change: &Change, keep: impl Fn(Seq) -> bool) {
        for (key, _) in &change.rows {
            let Some(slot) = self.rows.get_mut(key) else { continue };
            let bytes = &mut self.bytes;
            let mut keeps = |version: &Version| {
                let keeps = keep(version.seq);
                if !keeps {
                    *bytes -= cost(key, version.live.as_ref());
                }
                keeps
            };
            slot.older.retain(&mut keeps);
            if !keeps(&slot.newest) {
                match slot.older.pop() {
                    Some(version) => slot.newest = version,
                    None => drop(self.rows.remove(key)),
                }
            }
        }
    }
}

fn cost(key: &[u8], live: Option<&Live>) -> usize {
    SLOT_BYTES + key.len() + live.map_or(0, |live| live.value.len())
}
