//! Opens the store: lock, log, tables, threads, in this order; and closes it the other way round.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Condvar, Mutex, RwLock};
use std::thread::{self, JoinHandle};

use tokio::sync::Notify;

use super::core::{Clock, Core, Intake, Queue};
use super::disk::Disk;
use super::error::{MaintainError, OpenError};
use super::expiry::Kept;
use super::log::{self, Limits, Writer};
use super::maintain::Maintenance;
use super::options::StoreOptions;
use super::rebuild::{Sources, open_tables};
use super::stats::Counters;
use super::{Store, applier, committer, export, maintain};

/// A slow log is cut into about this many segments over the time it is kept, so that it ages in parts.
const SEGMENTS_PER_AGE: u32 = 16;

/// The store's threads, and the lock that ends with them.
pub(super) struct Threads {
    committer: JoinHandle<()>,
    applier: JoinHandle<()>,
    maintenance: JoinHandle<()>,
    lock: File,
}

pub(super) fn open(options: StoreOptions, clock: Clock, disk: Arc<dyn Disk>) -> Result<Store, OpenError> {
    options.check()?;
    let lock = lock_directory(&options.directory)?;
    let store = options.directory.clone();
    disk.create_dir(&store).map_err(OpenError::io("created", &store))?;
    let log_directory = log::directory(&store);
    let segments = Arc::new(log::recover(&*disk, &log_directory)?);
    let sources =
        Sources { disk: &disk, store: &store, segments: &segments, cache_bytes: options.cache_bytes };
    let (tables, end) = open_tables(&sources)?;
    let exported = export::newest(&*disk, &store)?;
    let segment_age_ms = (options.log_age_max / SEGMENTS_PER_AGE).as_millis();
    let limits = Limits {
        segment_bytes: options.segment_bytes,
        segment_age_ms: u64::try_from(segment_age_ms).unwrap_or(u64::MAX),
    };
    let writer = Writer::open(Arc::clone(&disk), Arc::clone(&segments), limits, end, clock())
        .map_err(OpenError::io("written", &log_directory))?;
    let kept = Mutex::new(Kept::at_first(options.sweep_waits));
    let core = Arc::new(Core {
        options,
        clock,
        disk,
        segments,
        intake: Mutex::new(Intake::new(end)),
        appended: Condvar::new(),
        overlay: RwLock::default(),
        tables: RwLock::new(Some(tables)),
        queue: Mutex::new(Queue { upto: end, ..Queue::default() }),
        queued: Condvar::new(),
        holds: Mutex::default(),
        kept,
        room: Notify::new(),
        durable_more: Notify::new(),
        counters: Counters::default(),
        durable_end: AtomicU64::new(end),
        applied: AtomicU64::new(end),
        // Not known to be in sled's file: what was caught up just now is not.
        checkpointed: AtomicU64::new(u64::MAX),
        exported: AtomicU64::new(exported),
    });
    let maintenance = Arc::new(Maintenance::default());
    let threads = start(&core, &maintenance, writer, lock)?;
    Ok(Store { core, maintenance, threads: Mutex::new(Some(threads)) })
}

/// Makes the directory, if need be, and takes it for this process.
fn lock_directory(directory: &Path) -> Result<File, OpenError> {
    let unusable = |source| OpenError::Directory { path: directory.to_owned(), source };
    match fs::metadata(directory) {
        Ok(found) if !found.is_dir() => {
            return Err(OpenError::NotADirectory { path: directory.to_owned() });
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(directory).map_err(unusable)?;
        }
        Err(error) => return Err(unusable(error)),
    }
    let lock = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(directory.join("lock"))
        .map_err(unusable)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked { path: directory.to_owned() }),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

fn start(
    core: &Arc<Core>,
    maintenance: &Arc<Maintenance>,
    writer: Writer,
    lock: File,
) -> Result<Threads, OpenError> {
    let started = spawn_all(core, maintenance, writer, lock);
    if started.is_err() {
        // No store comes of this, so the threads that did start must end.
        core.intake().closing = true;
        core.appended.notify_all();
        super::core::lock(&core.queue).closing = true;
        core.queued.notify_all();
    }
    started
}

fn spawn_all(
    core: &Arc<Core>,
    maintenance: &Arc<Maintenance>,
    writer: Writer,
    lock: File,
) -> Result<Threads, OpenError> {
    let applier = spawn("apply", {
        let core = Arc::clone(core);
        move || applier::run(&core)
    })?;
    let committer = spawn("commit", {
        let core = Arc::clone(core);
        move || committer::run(&core, writer)
    })?;
    let maintenance = spawn("keep", {
        let (core, maintenance) = (Arc::clone(core), Arc::clone(maintenance));
        move || maintain::run(&core, &maintenance)
    })?;
    Ok(Threads { committer, applier, maintenance, lock })
}

fn spawn(name: &'static str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, OpenError> {
    thread::Builder::new()
        .name(format!("store-{name}"))
        .spawn(work)
        .map_err(|source| OpenError::Thread { name, source })
}

impl Threads {
    /// Ends the threads from the front to the back, so that each has all that it will ever get.
    pub(super) fn close(self, core: &Core, maintenance: &Maintenance) -> Result<(), MaintainError> {
        core.intake().closing = true;
        core.appended.notify_all();
        core.room.notify_waiters();
        let committed = self.committer.join().map_err(|_| MaintainError::Thread("commit"));
        let applied = self.applier.join().map_err(|_| MaintainError::Thread("apply"));
        maintenance.stop.stop();
        core.durable_more.notify_waiters();
        let kept = self.maintenance.join().map_err(|_| MaintainError::Thread("keep"));
        let checkpointed = maintenance.checkpoint(core);
        *core.tables_mut() = None;
        drop(self.lock);
        committed.and(applied).and(kept).and(checkpointed)?;
        match &core.intake().failed {
            Some(error) => Err(MaintainError::Unwritten(Arc::clone(error))),
            None => Ok(()),
        }
    }
}
