//! Who was removed not long ago, and by which commit: an older commit that comes late must not bring them back.

use std::collections::{BTreeMap, VecDeque};

/// So many are remembered. A commit is told of microseconds after its neighbours, so a few would do.
const REMOVED_MAX: usize = 4_096;

/// Names with the commits that removed them.
#[derive(Debug, Default)]
pub(super) struct Removed {
    versions: BTreeMap<Box<str>, u64>,
    /// The oldest first.
    order: VecDeque<(Box<str>, u64)>,
}

impl Removed {
    pub(super) fn note(&mut self, member: &str, version: u64) {
        if self.version(member).is_some_and(|noted| noted >= version) {
            return;
        }
        self.versions.insert(member.into(), version);
        self.order.push_back((member.into(), version));
        if self.order.len() > REMOVED_MAX
            && let Some((member, version)) = self.order.pop_front()
            && self.versions.get(&member) == Some(&version)
        {
            self.versions.remove(&member);
        }
    }

    /// The commit that removed the member.
    pub(super) fn version(&self, member: &str) -> Option<u64> {
        self.versions.get(member).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_remembered() {
        let mut removed = Removed::default();
        removed.note("first", 1);
        removed.note("again", 2);
        for number in 0..REMOVED_MAX as u64 - 2 {
            removed.note(&format!("m{number}"), 3 + number);
        }
        removed.note("again", 1);
        assert_eq!((removed.version("first"), removed.version("again")), (Some(1), Some(2)));
        removed.note("again", 10_000);
        removed.note("last", 10_001);
        assert_eq!((removed.version("first"), removed.version("again")), (None, Some(10_000)));
        assert!(removed.order.len() == REMOVED_MAX && removed.versions.len() <= REMOVED_MAX);
    }
}
