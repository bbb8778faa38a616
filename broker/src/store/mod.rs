//! The store: a write-ahead log, where every acknowledgement comes from, and tables behind it, kept in sled.
//!
//! ```text
//! append ──► intake ──► committer: write, one fdatasync, wake all ──► queue ──► applier: one batch ──► sled
//!    └─────► overlay (visible to readers at once) ◄──────── forgotten once applied ──┘        │
//!                                                                  maintenance: checkpoint, sweep, export, drop
//! ```
//!
//! In the data directory:
//!
//! | name                | what                                                                     | without it                            |
//! |---------------------|--------------------------------------------------------------------------|---------------------------------------|
//! | `log/<first>.log`   | the records, in segments                                                 | damage is an error; a torn tail is cut |
//! | `sled/`             | the tables, a function of the log                                        | built again from export and log       |
//! | `checkpoint`        | how much of the log is certainly in `sled/`                              | an emptied `sled/` may go unnoticed    |
//! | `export/<seq>.export` | the tables written out, so that older segments can go                  | the tables can only be built from a whole log |
//! | `sled.broken-<n>`   | what a broken `sled/` was, at most two                                   | nothing                               |
//! | `lock`              | held by the process that has the store open                              | made again                            |
//!
//! Formats: `log/format.rs` (segments), `record.rs` (bodies), `keys.rs` (tables), `checkpoint.rs`, `export.rs`. This is the only module
//! that names sled. Values are opaque here; the store depends on nothing else of the broker.

mod applier;
mod checkpoint;
mod committer;
mod core;
mod disk;
mod error;
mod expiry;
mod export;
mod group;
mod keys;
mod log;
mod maintain;
mod open;
mod options;
mod overlay;
mod read;
mod rebuild;
mod record;
mod scan;
mod stats;
mod tables;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

pub use self::core::{Clock, Prepared};
pub use disk::{Disk, DiskFile, RealDisk};
pub use error::{
    AppendError, CommitError, MaintainError, OpenError, OptionsError, ReadError, TablesError, Waiting,
};
pub use expiry::ExpiredRow;
pub use group::Appended;
pub use log::Replay;
pub use options::{Durability, KEY_BYTES_CEILING, RECORD_BYTES_CEILING, StoreOptions};
pub use read::{Found, QUERY_BYTES_MAX, QUERY_ROWS_MAX, Query, Row};
pub use record::{Done, ReadCheck, Record, Seq, Write};
pub(crate) use record::{Reader, put_bytes, put_varint};
pub use scan::Scan;
pub use stats::{COMMIT_MICROS_BOUNDS, Stats};

use self::core::{Core, lock};
use maintain::Maintenance;
use open::Threads;

/// The store. Share it in an [`Arc`]; all its methods take `&self`. Dropping it closes it.
pub struct Store {
    core: Arc<Core>,
    maintenance: Arc<Maintenance>,
    threads: Mutex<Option<Threads>>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Store")
            .field("directory", &self.core.options.directory)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store in a directory that is made if it is missing, repairs what a crash left, and starts its threads.
    ///
    /// The log, the checkpoint and the export go through `disk`; sled and the lock use the real file system.
    pub fn open(options: StoreOptions, clock: Clock, disk: Arc<dyn Disk>) -> Result<Store, OpenError> {
        open::open(options, clock, disk)
    }

    /// Gives a record its place in the log and makes its writes visible to readers at once. Waits for no disk: the record
    /// is durable when [`Appended::durable`] says so. If any of [`Record::reads`] no longer holds, nothing happens.
    pub fn append(&self, record: Record) -> Result<Appended, AppendError> {
        self.enter(&mut self.prepare(record)?)
    }

    /// Does the part of [`Store::append`] that needs no place in the log: for those who hold a lock meanwhile, or who try
    /// again where there is no room.
    pub fn prepare(&self, record: Record) -> Result<Prepared, AppendError> {
        self.core.prepare(record)
    }

    /// The other part. A record that was taken is no longer there; one that was refused is, and may be tried again.
    pub fn enter(&self, prepared: &mut Prepared) -> Result<Appended, AppendError> {
        self.core.enter(prepared)
    }

    /// Resolves when an append that was refused as [`AppendError::Full`] or [`AppendError::Failed`] is worth another try.
    pub async fn room(&self) {
        loop {
            let changed = self.core.room.notified();
            if self.core.has_room() {
                return;
            }
            changed.await;
        }
    }

    /// Whether an append would be taken now, rather than refused as [`AppendError::Full`] or [`AppendError::Failed`].
    pub fn has_room(&self) -> bool {
        self.core.has_room()
    }

    /// The limits that it keeps.
    pub fn options(&self) -> &StoreOptions {
        &self.core.options
    }

    /// Resolves once record `seq` is on disk, for readers who follow the log with [`Store::replay`]; or once the store is
    /// closed. Returns the last record on disk.
    pub async fn reached(&self, seq: Seq) -> Seq {
        loop {
            let changed = self.core.durable_more.notified();
            // In this order: once it is closing, the end stays as it is.
            let closing = lock(&self.core.queue).closing;
            let end = self.durable_end();
            if end >= seq || closing {
                return end;
            }
            changed.await;
        }
    }

    /// One row, also if it has expired and is still there. May wait for the disk.
    pub fn find(&self, table: &str, hash: &str, sort: &str) -> Result<Option<Found>, ReadError> {
        self.core.find(table, hash, sort)
    }

    /// One row, unless it has expired. May wait for the disk.
    pub fn get(&self, table: &str, hash: &str, sort: &str) -> Result<Option<Row>, ReadError> {
        self.core.get(table, hash, sort)
    }

    /// The rows of a hash in order of their sort, as of one moment, without those that have expired. May wait for the disk.
    pub fn query(&self, table: &str, hash: &str, query: &Query) -> Result<Vec<Row>, ReadError> {
        self.core.query(table, hash, query)
    }

    /// All rows of a hash in order of their sort, so many read at a time. May wait for the disk.
    pub fn scan<'a>(&'a self, table: &'a str, hash: &'a str, rows_at_a_time: usize) -> Scan<'a> {
        Scan::new(self, table, hash, rows_at_a_time)
    }

    /// The records on disk from `from` on, or from the oldest there is for 0, to the last there is now.
    pub fn replay(&self, from: Seq) -> Result<Replay, ReadError> {
        Replay::new(Arc::clone(&self.core.disk), Arc::clone(&self.core.segments), from)
    }

    /// Says that the reader `name` still needs the records from `seq` on. The log's limits win over it, but then the loss is
    /// counted and logged.
    pub fn hold_from(&self, name: &str, seq: Seq) {
        lock(&self.core.holds).insert(name.to_owned(), seq);
    }

    /// Says that the reader `name` needs no records any more.
    pub fn release(&self, name: &str) {
        lock(&self.core.holds).remove(name);
    }

    /// Says that a rule's trigger has handled every message of the records before `before`, so that nobody need look there
    /// for what it has yet to do. Takes effect soon, and is safe to lose: [`Record::done`] says the same in detail.
    pub fn settle(&self, rule: &str, trigger: u16, before: Seq) {
        let mut queue = lock(&self.core.queue);
        let place = queue.settled.entry((rule.to_owned(), trigger)).or_default();
        *place = before.max(*place);
        drop(queue);
        self.core.queued.notify_one();
    }

    /// Every message of the records before this one is handled by a rule's trigger, as far as was said with
    /// [`Store::settle`]; 0 if nothing was. What it has handled beyond that is in the log, as [`Record::done`].
    pub fn settled_before(&self, rule: &str, trigger: u16) -> Result<Seq, ReadError> {
        let tables = self.core.tables();
        Ok(tables.as_ref().ok_or(ReadError::Closed)?.settled_before(rule, trigger)?)
    }

    /// The last record taken, which may not be on disk yet.
    pub fn end(&self) -> Seq {
        self.core.intake().end
    }

    /// The oldest record that is still there, or the one to come.
    pub fn first(&self) -> Seq {
        self.core.segments.first()
    }

    /// The last record on disk.
    pub fn durable_end(&self) -> Seq {
        self.core.durable_end.load(Ordering::Acquire)
    }

    /// Makes the tables durable now, so that a start replays less of the log.
    pub fn checkpoint(&self) -> Result<(), MaintainError> {
        self.maintenance.checkpoint(&self.core)
    }

    /// Removes expired rows now and returns how many went. They are not readable in any case.
    pub fn sweep(&self) -> Result<usize, MaintainError> {
        self.maintenance.sweep(&self.core)
    }

    /// Sets the tables whose expired rows stay until somebody takes them, by a record that removes them and has
    /// [`Record::ended`] say what they were. Those of other tables are swept.
    pub fn keep_expired(&self, tables: HashSet<String>) {
        self.core.keep_expired(tables);
    }

    /// Up to `rows_max` rows of those tables whose time is over; those first that have waited longest. Rows that an append
    /// is about to change are left out. May wait for the disk.
    pub fn expired(&self, rows_max: usize) -> Result<Vec<ExpiredRow>, ReadError> {
        self.core.expired(rows_max)
    }

    /// Counts rows that were taken as swept.
    pub fn note_taken(&self, rows: usize) {
        self.core.note_taken(rows);
    }

    /// Writes the tables out now, so that the log before them may be dropped.
    pub fn export(&self) -> Result<(), MaintainError> {
        self.maintenance.export(&self.core)
    }

    /// Drops the segments that the limits no longer allow, after an export if one is due.
    pub fn retain(&self) -> Result<(), MaintainError> {
        self.maintenance.retain(&self.core)
    }

    /// A look at the counters.
    pub fn stats(&self) -> Stats {
        let core = &self.core;
        let (log_bytes, segments) = core.segments.size();
        let (end, pending_bytes) = {
            let intake = core.intake();
            (intake.end, intake.pending_bytes as u64)
        };
        let counters = &core.counters;
        Stats {
            end,
            durable_end: self.durable_end(),
            first: core.segments.first(),
            applied: core.applied.load(Ordering::Acquire),
            exported: core.exported.load(Ordering::Acquire),
            held_from: core.held_from(),
            pending_bytes,
            overlay_bytes: core.overlay().bytes() as u64,
            log_bytes,
            oldest_segment_ms: core.segments.oldest_ms(),
            segments: segments as u64,
            commits: counters.commits.load(Ordering::Relaxed),
            commit_records: counters.commit_records.load(Ordering::Relaxed),
            commit_bytes: counters.commit_bytes.load(Ordering::Relaxed),
            commit_micros_sum: counters.commit_micros_sum.load(Ordering::Relaxed),
            commit_classes: counters.commit_classes.each_ref().map(|class| class.load(Ordering::Relaxed)),
            commit_micros_max: counters.commit_micros_max.load(Ordering::Relaxed),
            commit_micros_last: counters.commit_micros_last.load(Ordering::Relaxed),
            commits_failed: counters.commits_failed.load(Ordering::Relaxed),
            conflicts: counters.conflicts.load(Ordering::Relaxed),
            expired_swept: counters.expired_swept.load(Ordering::Relaxed),
            checkpoints: counters.checkpoints.load(Ordering::Relaxed),
            exports: counters.exports.load(Ordering::Relaxed),
            maintenance_failed: counters.maintenance_failed.load(Ordering::Relaxed),
            tables_reopened: counters.tables_reopened.load(Ordering::Relaxed),
            segments_dropped: counters.segments_dropped.load(Ordering::Relaxed),
            segments_dropped_held: counters.segments_dropped_held.load(Ordering::Relaxed),
        }
    }

    /// Takes no more records, writes what waits, brings the tables up to date and makes them durable. Blocks until that is
    /// done. A second call does nothing.
    pub fn close(&self) -> Result<(), MaintainError> {
        let threads = lock(&self.threads).take();
        match threads {
            Some(threads) => threads.close(&self.core, &self.maintenance),
            None => Ok(()),
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "closing the store failed");
        }
    }
}
