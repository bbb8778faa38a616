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

/// How far everybody has come, at one moment.
#[derive(Debug)]
pub(crate) struct Settled {
    before: Seq,
    /// The first record that holds something parked for a trigger.
    parked: BTreeMap<TriggerKey, Seq>,
}

impl Settled {
    /// Everything before this is handled by a trigger.
    pub(crate) fn before(&self, key: &TriggerKey) -> Seq {
        self.parked.get(key).map_or(self.before, |parked| *parked.min(&self.before))
    }

    /// Everything before this is handled by those for whom nothing is parked.
    pub(crate) fn for_most(&self) -> Seq {
        self.before
    }
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

    /// Takes what was put aside for the triggers of a rule, and the first record that holds something of it. That counts as
    /// open until [`Progress::finish`]: what is taken is in nobody's hands before it is queued.
    pub(crate) fn unpark(&self, rule: &str) -> Option<(Seq, BTreeMap<TriggerKey, BTreeSet<Input>>)> {
        let mut inner = self.lock();
        let keys: Vec<TriggerKey> = inner.parked.keys().filter(|key| key.rule == rule).cloned().collect();
        let taken: BTreeMap<_, _> =
            keys.into_iter().filter_map(|key| inner.parked.remove_entry(&key)).collect();
        let first = taken.values().filter_map(BTreeSet::first).map(|(seq, _)| *seq).min()?;
        *inner.open.entry(first).or_insert(0) += 1;
        Some((first, taken))
    }

    /// How far everybody has come. `durable_end` must have been read before the call.
    pub(crate) fn settled(&self, durable_end: Seq) -> Settled {
        let inner = self.lock();
        let open = inner.open.keys().next().copied().unwrap_or(Seq::MAX);
        let first = |(key, inputs): (&TriggerKey, &BTreeSet<Input>)| Some((key.clone(), inputs.first()?.0));
        Settled { before: open.min(durable_end + 1), parked: inner.parked.iter().filter_map(first).collect() }
    }

    /// Whether a message is put aside for a trigger.
    pub(crate) fn is_parked(&self, key: &TriggerKey, input: Input) -> bool {
        self.lock().parked.get(key).is_some_and(|inputs| inputs.contains(&input))
    }

    /// How many messages are parked for each rule that has some.
    pub(crate) fn parked_by_rule(&self) -> BTreeMap<String, usize> {
        let mut by_rule = BTreeMap::new();
        for (key, inputs) in &self.lock().parked {
            *by_rule.entry(key.rule.clone()).or_default() += inputs.len();
        }
        by_rule
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
        assert_eq!(progress.settled(4).for_most(), 3);
        progress.add(3, 2);
        progress.finish(3);
        progress.finish(3);
        assert_eq!(progress.settled(4).for_most(), 3, "one piece is left");
        progress.finish(3);
        assert_eq!(progress.settled(4).for_most(), 4);
        progress.finish(4);
        assert_eq!(progress.settled(4).for_most(), 5);
    }

    #[test]
    fn what_is_parked_comes_back_once() {
        let progress = Progress::default();
        let key = TriggerKey { rule: "a".to_owned(), trigger: 1 };
        progress.park(key.clone(), (9, 1));
        progress.park(key.clone(), (7, 0));
        assert_eq!((progress.settled(20).before(&key), progress.parked()), (7, 2));
        assert!(!progress.park_within(&key, &[(10, 0)], 2) && progress.park_within(&key, &[(10, 0)], 3));
        assert!(progress.unpark("b").is_none());
        let (first, taken) = progress.unpark("a").unwrap();
        assert_eq!((first, taken[&key].len()), (7, 3));
        assert_eq!(
            (progress.parked(), progress.settled(20).before(&key)),
            (0, 7),
            "it is still to be queued"
        );
        progress.finish(7);
        assert_eq!(progress.settled(20).before(&key), 21);
    }
}
