//! What the store's threads share, and how a record enters.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use tokio::sync::Notify;

use super::disk::Disk;
use super::error::{AppendError, CommitError, ReadError, Waiting};
use super::expiry::Kept;
use super::group::{Appended, Group};
use super::keys;
use super::log::{self, Segments};
use super::options::StoreOptions;
use super::overlay::Overlay;
use super::record::{ReadCheck, Record, Seq, Write};
use super::stats::Counters;
use super::tables::{Change, Live, Tables};

/// A record that is ready to be appended: what can be done before it has its place is done.
#[derive(Debug)]
pub struct Prepared {
    frame: Vec<u8>,
    /// What it depends on, by row key.
    reads: Vec<(Vec<u8>, ReadCheck)>,
    /// What it depends on of rows whose time is over, by row key.
    ended: Vec<(Vec<u8>, ReadCheck)>,
    change: Option<Change>,
}

/// Milliseconds since 1970.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Locks are taken in the order of the fields, and none is held while waiting for the disk except `tables`.
pub(super) struct Core {
    pub(super) options: StoreOptions,
    pub(super) clock: Clock,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) segments: Arc<Segments>,
    /// What is on its way to the disk.
    pub(super) intake: Mutex<Intake>,
    /// Something was appended, or the store is closing.
    pub(super) appended: Condvar,
    pub(super) overlay: RwLock<Overlay>,
    /// Written to only to replace the whole; `None` meanwhile, and after closing.
    pub(super) tables: RwLock<Option<Tables>>,
    /// What is on its way to the tables.
    pub(super) queue: Mutex<Queue>,
    /// Something was queued for the tables, or the store is closing.
    pub(super) queued: Condvar,
    pub(super) holds: Mutex<HashMap<String, Seq>>,
    /// Of which tables expired rows stay until they are taken.
    pub(super) kept: Mutex<Kept>,
    /// Wakes those who wait for room.
    pub(super) room: Notify,
    /// Wakes those who wait for records to be on disk.
    pub(super) durable_more: Notify,
    pub(super) counters: Counters,
    pub(super) durable_end: AtomicU64,
    pub(super) applied: AtomicU64,
    pub(super) checkpointed: AtomicU64,
    pub(super) exported: AtomicU64,
}

pub(super) struct Intake {
    /// The last place given out.
    pub(super) end: Seq,
    pub(super) group: Arc<Group>,
    pub(super) frames: Vec<Vec<u8>>,
    pub(super) changes: Vec<Change>,
    /// Bytes of all that is not yet on disk, whether still here or being written.
    pub(super) pending_bytes: usize,
    /// The group that is being written.
    pub(super) flight: Option<Arc<Group>>,
    pub(super) failed: Option<Arc<io::Error>>,
    pub(super) closing: bool,
}

#[derive(Default)]
pub(super) struct Queue {
    pub(super) changes: VecDeque<Change>,
    /// All changes up to this record are here, or were.
    pub(super) upto: Seq,
    pub(super) settled: BTreeMap<(String, u16), Seq>,
    pub(super) closing: bool,
}

impl Intake {
    pub(super) fn new(end: Seq) -> Self {
        Intake {
            end,
            group: Arc::default(),
            frames: Vec::new(),
            changes: Vec::new(),
            pending_bytes: 0,
            flight: None,
            failed: None,
            closing: false,
        }
    }
}

/// Every lock here guards data that is right between any two statements, or a panic that [`Core::refuse`] answers, so a
/// poisoned one is taken as it is.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a record does to the tables, if anything.
pub(super) fn change_of(seq: Seq, record: Record) -> Option<Change> {
    if record.writes.is_empty() {
        return None;
    }
    let rows = record.writes.into_iter().map(|write| match write {
        Write::Delete { table, hash, sort } => (Bytes::from(keys::row(&table, &hash, &sort)), None),
        Write::Put { table, hash, sort, value, expires_at_ms } => {
            (Bytes::from(keys::row(&table, &hash, &sort)), Some(Live { value, expires_at_ms }))
        }
    });
    Some(Change { seq, rows: rows.collect() })
}

impl Core {
    pub(super) fn now_ms(&self) -> u64 {
        (self.clock)()
    }

    pub(super) fn intake(&self) -> MutexGuard<'_, Intake> {
        lock(&self.intake)
    }

    pub(super) fn overlay(&self) -> RwLockReadGuard<'_, Overlay> {
        self.overlay.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn overlay_mut(&self) -> RwLockWriteGuard<'_, Overlay> {
        self.overlay.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tables(&self) -> RwLockReadGuard<'_, Option<Tables>> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tables_mut(&self) -> RwLockWriteGuard<'_, Option<Tables>> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does all of an append that can be done before the record has its place.
    pub(super) fn prepare(&self, mut record: Record) -> Result<Prepared, AppendError> {
        self.check_keys(&record)?;
        let mut frame = log::frame(record.size_hint().min(self.options.record_bytes_max));
        record.encode(&mut frame);
        let bytes = frame.len() - log::FRAME_OVERHEAD_BYTES;
        too_large("the record", bytes, self.options.record_bytes_max)?;
        let keyed = |read: ReadCheck| (keys::row(&read.table, &read.hash, &read.sort), read);
        let reads = std::mem::take(&mut record.reads).into_iter().map(keyed).collect();
        let ended = std::mem::take(&mut record.ended).into_iter().map(keyed).collect();
        Ok(Prepared { frame, reads, ended, change: change_of(0, record) })
    }

    /// Gives a record its place and makes its writes visible. Waits for no disk.
    pub(super) fn enter(&self, prepared: &mut Prepared) -> Result<Appended, AppendError> {
        let mut intake = self.intake();
        if intake.closing {
            return Err(AppendError::Closed);
        }
        if let Some(error) = &intake.failed {
            return Err(AppendError::Failed(Arc::clone(error)));
        }
        self.check_room(&intake, prepared.frame.len(), prepared.change.is_some())?;
        self.check_reads(&prepared.reads, Some(self.now_ms()))?;
        self.check_reads(&prepared.ended, None)?;
        let (frame, mut change) = (std::mem::take(&mut prepared.frame), prepared.change.take());
        let seq = intake.end + 1;
        if let Some(change) = &mut change {
            change.seq = seq;
            self.overlay_mut().insert(change);
        }
        let committer_waits = intake.frames.is_empty();
        intake.end = seq;
        intake.pending_bytes += frame.len();
        intake.frames.push(frame);
        intake.changes.extend(change);
        let group = Arc::clone(&intake.group);
        drop(intake);
        if committer_waits {
            self.appended.notify_one();
        }
        Ok(Appended { seq, group })
    }

    fn check_keys(&self, record: &Record) -> Result<(), AppendError> {
        let most = self.options.key_bytes_max;
        for write in &record.writes {
            let (table, hash, sort) = write.row();
            too_large("a row's table, hash and sort", table.len() + hash.len() + sort.len(), most)?;
        }
        for done in &record.done {
            too_large("a rule's name", done.rule.len(), most)?;
        }
        Ok(())
    }

    fn check_room(&self, intake: &Intake, bytes: usize, changes: bool) -> Result<(), AppendError> {
        let full =
            |waiting, bytes, bytes_max| Err(AppendError::Full { waiting, bytes: bytes as u64, bytes_max });
        if intake.pending_bytes + bytes > self.options.pending_bytes_max && intake.pending_bytes > 0 {
            return full(Waiting::Pending, intake.pending_bytes, self.options.pending_bytes_max as u64);
        }
        if changes {
            let waiting = self.overlay().bytes();
            if waiting >= self.options.overlay_bytes_max {
                return full(Waiting::Tables, waiting, self.options.overlay_bytes_max as u64);
            }
        }
        let log_bytes = self.counters.log_bytes.load(Ordering::Relaxed);
        let log_bytes_ceiling = self.options.log_bytes_max.saturating_mul(2);
        if log_bytes > log_bytes_ceiling {
            let (waiting, bytes_max) = (Waiting::Log, log_bytes_ceiling);
            return Err(AppendError::Full { waiting, bytes: log_bytes, bytes_max });
        }
        Ok(())
    }

    /// Compares what was seen with what is, while nobody else can append. Without a time, rows count however old they are.
    fn check_reads(&self, reads: &[(Vec<u8>, ReadCheck)], now_ms: Option<u64>) -> Result<(), AppendError> {
        for (key, read) in reads {
            let found = self.version(key)?;
            let is_seen = |at: Option<u64>| now_ms.is_none_or(|now_ms| at.is_none_or(|at| at > now_ms));
            let found = found.filter(|(_, expires_at_ms)| is_seen(*expires_at_ms)).map(|(seq, _)| seq);
            if found != read.version {
                self.counters.conflicts.fetch_add(1, Ordering::Relaxed);
                let ReadCheck { table, hash, sort, .. } = read.clone();
                return Err(AppendError::Conflict { table, hash, sort });
            }
        }
        Ok(())
    }

    /// The version of a row that was not removed, and when its time is over.
    fn version(&self, key: &[u8]) -> Result<Option<(Seq, Option<u64>)>, ReadError> {
        if let Some(version) = self.overlay().get(key) {
            return Ok(version.live.as_ref().map(|live| (version.seq, live.expires_at_ms)));
        }
        let tables = self.tables();
        Ok(tables.as_ref().ok_or(ReadError::Closed)?.version(key)?)
    }

    /// After a refused write: takes back all that is not on disk and refuses more. `unsynced` was written, not synced.
    pub(super) fn refuse(&self, error: io::Error, unsynced: &[Change]) {
        let error = Arc::new(error);
        let groups = {
            let mut intake = self.intake();
            intake.frames.clear();
            let waiting = std::mem::take(&mut intake.changes);
            let mut overlay = self.overlay_mut();
            for change in unsynced.iter().chain(&waiting) {
                overlay.refused(change);
            }
            intake.pending_bytes = 0;
            intake.failed = Some(Arc::clone(&error));
            self.counters.commits_failed.fetch_add(1, Ordering::Relaxed);
            [intake.flight.take(), Some(std::mem::take(&mut intake.group))]
        };
        for group in groups.into_iter().flatten() {
            group.decide(Err(CommitError(Arc::clone(&error))));
        }
        self.room.notify_waiters();
    }

    /// The lowest record that someone said is still needed.
    pub(super) fn held_from(&self) -> Option<Seq> {
        lock(&self.holds).values().copied().min()
    }

    /// Whether an append that was refused as full would be taken now.
    pub(super) fn has_room(&self) -> bool {
        let intake = self.intake();
        let is_taken = intake.failed.is_none()
            && intake.pending_bytes <= self.options.pending_bytes_max / 2
            && self.overlay().bytes() < self.options.overlay_bytes_max / 2
            && self.counters.log_bytes.load(Ordering::Relaxed)
                <= self.options.log_bytes_max.saturating_mul(2);
        // Of a closing store the next append tells more than waiting would.
        is_taken || intake.closing
    }
}

fn too_large(what: &'static str, bytes: usize, bytes_max: usize) -> Result<(), AppendError> {
    if bytes > bytes_max { Err(AppendError::TooLarge { what, bytes, bytes_max }) } else { Ok(()) }
}
