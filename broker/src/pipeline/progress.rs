//! How far the rules have come with what the log holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::store::Seq;

/// A trigger of a rule, as the log knows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TriggerKey {
    pub(crate) rule: String,
    pub(crate) trigger: u16,
}

/// A message in the log.
pub(crate) type Input = (Seq, u32);

/// What is not handled yet.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Records with work left, and how many pieces.
    open: BTreeMap<Seq, usize>,
    /// Messages put aside for rules that are suspended.
    parked: BTreeMap<TriggerKey, BTreeSet<Input>>,
}

impl Progress {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `append`, which gives a record's place in the log, so that nobody sees the place without its work.
    pub(crate) fn enter<V, E>(&self, append: impl FnOnce() -> Result<(Seq, V), E>) -> Result<V, E> {
        let mut inner = self.lock();
        let (seq, value) = append()?;
        // One piece: to be given to the rules at all.
        *inner.open.entry(seq).or_insert(0) += 1;
        Ok(value)
    }

    /// Adds pieces of work to a record.
    pub(crate) fn add(&self, seq: Seq, pieces: usize) {
        *self.lock().open.entry(seq).or_insert(0) += pieces;
    }

    /// Notes that a piece of work is done.
    pub(crate) fn finish(&self, seq: Seq) {
        let mut inner = self.lock();
        if let Some(left) = inner.open.get_mut(&seq) {
            *left = left.saturating_sub(1);
            if *left == 0 {
                inner.open.remove(&seq);
            }
        }
    }

    /// Puts a message aside for a trigger.
    pub(crate) fn park(&self, key: TriggerKey, input: Input) {
        self.lock().parked.entry(key).or_default().insert(input);
    }

    /// As [`Progress::park`] for all or none of some messages, if not more than so many are parked then; says whether they
    /// were.
    pub(crate) fn park_within(&self, key: &TriggerKey, inputs: &[Input], parked_max: usize) -> bool {
        let mut inner = self.lock();
        let is_room = inner.parked_count() + inputs.len() <= parked_max;
        if is_room {
            inner.parked.entry(key.clone()).or_default().extend(inputs);
        }
        is_room
    }

    /// Takes what was put aside for the triggers of a rule.
    pub(crate) fn unpark(&self, rule: &str) -> BTreeMap<TriggerKey, BTreeSet<Input>> {
        let mut inner = self.lock();
        let keys: Vec<TriggerKey> = inner.parked.keys().filter(|key| key.rule == rule).cloned().collect();
        keys.into_iter().filter_map(|key| inner.parked.remove_entry(&key)).collect()
    }

    /// Everything before this is handled, but for what is parked. `durable_end` must have been read before the call.
    pub(crate) fn settled_before(&self, durable_end: Seq) -> Seq {
        let inner = self.lock();
        let open = inner.open.keys().next().copied().unwrap_or(Seq::MAX);
        open.min(durable_end + 1)
    }

    /// Whether a message is put aside for a trigger.
    pub(crate) fn is_parked(&self, key: &TriggerKey, input: Input) -> bool {
        self.lock().parked.get(key).is_some_and(|inputs| inputs.contains(&input))
    }

    /// The first record that holds something parked for a trigger.
    pub(crate) fn parked_from(&self, key: &TriggerKey) -> Option<Seq> {
        self.lock().parked.get(key).and_then(BTreeSet::first).map(|(seq, _)| *seq)
    }

    /// How many messages are parked.
    pub(crate) fn parked(&self) -> usize {
        self.lock().parked_count()
    }
}

impl Inner {
    fn parked_count(&self) -> usize {
        self.parked.values().map(BTreeSet::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_open_record_holds_the_mark() {
        let progress = Progress::default();
        for seq in [3, 4] {
            progress.enter(|| Ok::<_, ()>((seq, ()))).unwrap();
        }
        assert_eq!(progress.settled_before(4), 3);
        progress.add(3, 2);
        progress.finish(3);
        progress.finish(3);
        assert_eq!(progress.settled_before(4), 3, "one piece is left");
        progress.finish(3);
        assert_eq!(progress.settled_before(4), 4);
        progress.finish(4);
        assert_eq!(progress.settled_before(4), 5);
    }

    #[test]
    fn what_is_parked_comes_back_once() {
        let progress = Progress::default();
        let key = TriggerKey { rule: "a".to_owned(), trigger: 1 };
        progress.park(key.clone(), (9, 1));
        progress.park(key.clone(), (7, 0));
        assert_eq!((progress.parked_from(&key), progress.parked()), (Some(7), 2));
        assert!(!progress.park_within(&key, &[(10, 0)], 2) && progress.park_within(&key, &[(10, 0)], 3));
        assert!(progress.unpark("b").is_empty());
        assert_eq!(progress.unpark("a")[&key].len(), 3);
        assert_eq!(progress.parked(), 0);
    }
}
