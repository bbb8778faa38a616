//! A store in a directory of its own, with a disk and a clock under the test's control.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;

use super::super::{
    Appended, Clock, OpenError, Query, ReadCheck, Record, Replay, Row, Seq, Store, StoreOptions, Write,
};
use super::sim::SimDisk;

/// When the clock starts: late enough that nothing in the past is in 1970.
pub(super) const START_MS: u64 = 1_000_000;

pub(super) struct Fixture {
    pub(super) directory: TempDir,
    pub(super) disk: SimDisk,
    pub(super) now_ms: Arc<AtomicU64>,
}

impl Fixture {
    pub(super) fn new() -> Self {
        let directory = TempDir::new().unwrap();
        Fixture { directory, disk: SimDisk::default(), now_ms: Arc::new(AtomicU64::new(START_MS)) }
    }

    /// Small limits, and nothing done by the clock: what a test wants done, it asks for.
    pub(super) fn options(&self) -> StoreOptions {
        let never = Duration::from_hours(1);
        StoreOptions {
            checkpoint_interval: never,
            sweep_interval: never,
            retry_interval: Duration::from_millis(1),
            cache_bytes: 1 << 20,
            ..StoreOptions::new(self.directory.path())
        }
    }

    pub(super) fn clock(&self) -> Clock {
        let now_ms = Arc::clone(&self.now_ms);
        Arc::new(move || now_ms.load(Ordering::Relaxed))
    }

    pub(super) fn pass(&self, ms: u64) {
        self.now_ms.fetch_add(ms, Ordering::Relaxed);
    }

    pub(super) fn try_open(&self, options: StoreOptions) -> Result<Store, OpenError> {
        Store::open(options, self.clock(), Arc::new(self.disk.clone()))
    }

    pub(super) fn open(&self) -> Store {
        self.try_open(self.options()).unwrap()
    }

    /// The simulated files as `disk` has them in another directory, without sled's.
    pub(super) fn moved(&self, disk: &SimDisk) -> Fixture {
        let directory = TempDir::new().unwrap();
        let disk = disk.rebased(self.directory.path(), directory.path());
        Fixture { directory, disk, now_ms: Arc::new(AtomicU64::new(self.now_ms.load(Ordering::Relaxed))) }
    }
}

pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    let Ok(entries) = fs::read_dir(from) else { return };
    for entry in entries {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else if let Ok(bytes) = fs::read(entry.path()) {
            fs::write(to.join(entry.file_name()), bytes).unwrap();
        }
    }
}

pub(super) fn put(hash: &str, sort: &str, value: impl Into<Bytes>) -> Write {
    Write::Put {
        table: "t".to_owned(),
        hash: hash.to_owned(),
        sort: sort.to_owned(),
        value: value.into(),
        expires_at_ms: None,
    }
}

pub(super) fn put_until(hash: &str, sort: &str, value: &'static str, expires_at_ms: u64) -> Write {
    Write::Put {
        table: "t".to_owned(),
        hash: hash.to_owned(),
        sort: sort.to_owned(),
        value: Bytes::from(value),
        expires_at_ms: Some(expires_at_ms),
    }
}

pub(super) fn delete(hash: &str, sort: &str) -> Write {
    Write::Delete { table: "t".to_owned(), hash: hash.to_owned(), sort: sort.to_owned() }
}

pub(super) fn saw(hash: &str, sort: &str, version: Option<Seq>) -> ReadCheck {
    ReadCheck { table: "t".to_owned(), hash: hash.to_owned(), sort: sort.to_owned(), version }
}

pub(super) fn writes(writes: Vec<Write>) -> Record {
    Record { writes, ..Record::default() }
}

pub(super) fn messages(bytes: impl Into<Bytes>) -> Record {
    Record { messages: bytes.into(), ..Record::default() }
}

/// Appends and waits for the disk.
pub(super) fn commit(store: &Store, record: Record) -> Seq {
    let appended: Appended = store.append(record).unwrap();
    let seq = appended.seq;
    appended.wait().unwrap();
    seq
}

pub(super) fn get(store: &Store, hash: &str, sort: &str) -> Option<Row> {
    store.get("t", hash, sort).unwrap()
}

/// The sorts and values of a hash.
pub(super) fn all(store: &Store, hash: &str) -> Vec<(String, Bytes)> {
    let query = Query { limit: 1000, ..Query::default() };
    let rows = store.query("t", hash, &query).unwrap();
    rows.into_iter().map(|row| (row.sort, row.value)).collect()
}

pub(super) fn records(replay: Replay) -> Vec<(Seq, Record)> {
    replay.collect::<Result<_, _>>().unwrap()
}

/// Waits for what another thread is about to do.
pub(super) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(20), "not in time: {what}");
        std::thread::yield_now();
    }
}

/// Waits until all that is on disk is in the tables.
pub(super) fn settle_down(store: &Store) {
    eventually("the tables hold all", || store.stats().applied == store.end());
}
