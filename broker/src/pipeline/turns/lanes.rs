//! Which work is done next: a lane for each key, in which everything is done in order, and beside each other the lanes.
//!
//! A lane is *ready* (it has work and waits for a worker), *held* (a worker runs its events, or what came of them waits for
//! the disk) or not there at all. It is held by one worker at a time, so what it does comes out in the order it went in.
//! A lane whose last event took long is *slow*: it is run by itself, and never by the last worker that is free, so that
//! others do not wait for it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rustc_hash::FxBuildHasher;

/// Keys of slow lanes that are remembered while they have no work.
const SLOW_KEYS: usize = 1024;

/// What must stay in order with what; by accident, keys that have nothing to do with each other may be equal.
pub(in crate::pipeline) type Key = u64;

/// Something to do that holds some number of events.
pub(in crate::pipeline) trait Work {
    /// How many events it still holds.
    fn events(&self) -> usize;
}

/// All lanes.
pub(in crate::pipeline) struct Lanes<W> {
    inner: Mutex<Inner<W>>,
    /// There is work for a worker, or no more ever.
    work: Condvar,
    /// There is room for more work.
    room: Condvar,
    events_max: usize,
    workers: usize,
}

struct Inner<W> {
    /// The lanes that are ready or held.
    lanes: HashMap<Key, VecDeque<W>, FxBuildHasher>,
    ready: VecDeque<Key>,
    ready_slow: VecDeque<Key>,
    slow: SlowKeys,
    /// Workers that run a slow lane now.
    slow_running: usize,
    /// Workers that wait for work.
    idle: usize,
    /// Events of all lanes, with those that are held.
    events: usize,
    closing: bool,
    /// Nobody waits any more for what is not done.
    abandoned: bool,
}

/// A lane that a worker has, with all the work it had then. Goes back with [`Lanes::give_back`].
#[derive(Debug)]
pub(in crate::pipeline) struct Held<W> {
    key: Key,
    /// What it has to do, in order. Whoever has it takes from the front.
    pub(in crate::pipeline) work: VecDeque<W>,
    /// Its last event took long: it is not to be run together with others.
    pub(in crate::pipeline) is_slow: bool,
    /// It counts as a slow one that runs.
    runs_slow: bool,
    events: usize,
}

/// What there is to watch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LaneStats {
    /// Lanes that have work or wait for the disk.
    pub lanes: usize,
    /// Lanes that wait for a worker.
    pub ready: usize,
    /// Events that are not handled yet.
    pub events: usize,
}

impl<W: Work> Lanes<W> {
    /// Lanes for so many workers, and about so many events.
    pub(in crate::pipeline) fn new(workers: usize, events_max: usize) -> Lanes<W> {
        let inner = Inner {
            lanes: HashMap::default(),
            ready: VecDeque::new(),
            ready_slow: VecDeque::new(),
            slow: SlowKeys(Box::new([None; SLOW_KEYS])),
            slow_running: 0,
            idle: 0,
            events: 0,
            closing: false,
            abandoned: false,
        };
        Lanes { inner: Mutex::new(inner), work: Condvar::new(), room: Condvar::new(), events_max, workers }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<W>> {
        // Every field is right between any two statements.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds work at the end of a lane. Waits while there is too much; after [`Lanes::close`] the work is dropped.
    pub(in crate::pipeline) fn submit(&self, key: Key, work: W) {
        let mut inner = self.lock();
        while inner.events >= self.events_max && !inner.closing {
            inner = self.room.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        if inner.closing {
            return;
        }
        inner.events += work.events();
        if let Some(lane) = inner.lanes.get_mut(&key) {
            lane.push_back(work);
            return;
        }
        inner.lanes.insert(key, VecDeque::from([work]));
        inner.make_ready(key);
        self.wake_one(&inner);
    }

    /// The lane whose turn it is; waits for one. `None` once there will be no more.
    pub(in crate::pipeline) fn take(&self) -> Option<Held<W>> {
        let mut inner = self.lock();
        loop {
            if inner.abandoned {
                return None;
            }
            if let Some(held) = inner.next(self.workers) {
                return Some(held);
            }
            if inner.closing && inner.lanes.is_empty() {
                return None;
            }
            inner.idle += 1;
            inner = self.work.wait(inner).unwrap_or_else(PoisonError::into_inner);
            inner.idle -= 1;
        }
    }

    /// Another lane for a worker that has room for more, if one is ready that is not slow.
    pub(in crate::pipeline) fn take_more(&self) -> Option<Held<W>> {
        self.lock().next_fast()
    }

    /// Notes that whoever ran the lane is free again, though it is still held.
    pub(in crate::pipeline) fn ran(&self, held: &mut Held<W>) {
        if std::mem::take(&mut held.runs_slow) {
            let mut inner = self.lock();
            inner.slow_running -= 1;
            self.wake_one(&inner);
        }
    }

    /// Gives lanes back with what they have left to do, which comes before what was added meanwhile.
    pub(in crate::pipeline) fn give_back(&self, all: impl IntoIterator<Item = Held<W>>) {
        let mut inner = self.lock();
        for Held { key, work: mut left, is_slow, runs_slow, events } in all {
            inner.slow_running -= usize::from(runs_slow);
            inner.slow.note(key, is_slow);
            inner.events -= events - left.iter().map(Work::events).sum::<usize>();
            let Some(lane) = inner.lanes.get_mut(&key) else { continue };
            left.append(lane);
            if left.is_empty() {
                inner.lanes.remove(&key);
            } else {
                *lane = left;
                inner.make_ready(key);
            }
            self.wake_one(&inner);
        }
        if inner.events < self.events_max {
            self.room.notify_all();
        }
        if inner.closing && inner.lanes.is_empty() {
            self.work.notify_all();
        }
    }

    /// Takes no more work; workers end when they have done what there is.
    pub(in crate::pipeline) fn close(&self) {
        self.lock().closing = true;
        self.work.notify_all();
        self.room.notify_all();
    }

    /// Lets everybody go at once.
    pub(in crate::pipeline) fn abandon(&self) {
        self.lock().abandoned = true;
        self.close();
    }

    /// What there is to watch.
    pub(in crate::pipeline) fn stats(&self) -> LaneStats {
        let inner = self.lock();
        let ready = inner.ready.len() + inner.ready_slow.len();
        LaneStats { lanes: inner.lanes.len(), ready, events: inner.events }
    }

    fn wake_one(&self, inner: &Inner<W>) {
        if inner.idle > 0 {
            self.work.notify_one();
        }
    }
}

impl<W: Work> Inner<W> {
    fn make_ready(&mut self, key: Key) {
        if self.slow.contains(key) { self.ready_slow.push_back(key) } else { self.ready.push_back(key) }
    }

    fn next(&mut self, workers: usize) -> Option<Held<W>> {
        // Slow ones first: there are never so many at once that none is left for the others.
        if self.slow_running + 1 < workers.max(2)
            && let Some(key) = self.ready_slow.pop_front()
        {
            self.slow_running += 1;
            return self.hold(key, true);
        }
        self.next_fast()
    }

    fn next_fast(&mut self) -> Option<Held<W>> {
        let key = self.ready.pop_front()?;
        self.hold(key, false)
    }

    fn hold(&mut self, key: Key, is_slow: bool) -> Option<Held<W>> {
        let work = std::mem::take(self.lanes.get_mut(&key)?);
        let events = work.iter().map(Work::events).sum();
        Some(Held { key, work, is_slow, runs_slow: is_slow, events })
    }
}

/// Some of the keys that are slow: one place for all keys that share their highest bits.
struct SlowKeys(Box<[Option<Key>; SLOW_KEYS]>);

impl SlowKeys {
    /// The key's highest bits, as those of a hash are the best.
    fn place(key: Key) -> usize {
        usize::try_from(key >> (Key::BITS - SLOW_KEYS.ilog2())).unwrap_or_default()
    }

    fn contains(&self, key: Key) -> bool {
        self.0[Self::place(key)] == Some(key)
    }

    fn note(&mut self, key: Key, is_slow: bool) {
        let place = &mut self.0[Self::place(key)];
        if is_slow {
            *place = Some(key);
        } else if *place == Some(key) {
            *place = None;
        }
    }
}

#[cfg(test)]
mod tests;
