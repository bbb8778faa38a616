//! The tables as sled holds them. Everything here is a function of the log, and can be built again from it.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sled::{Batch, Tree};

use super::error::TablesError;
use super::expiry::Kept;
use super::keys;
use super::record::Seq;

/// Longer values are kept in parts. A leaf of sled's holds up to 17 rows, and a leaf above 128 KiB is written to a file of
/// its own that is never deleted; so are values above that.
const CHUNK_BYTES: usize = 4 << 10;
/// How long a closed database may keep its file.
const RELEASE_WAIT_MAX: Duration = Duration::from_secs(10);
const RELEASE_POLL: Duration = Duration::from_millis(2);
const HEAD_BYTES: usize = 20;
/// Expired rows that are looked at in one step, whether they go or stay.
const LOOK_ROWS_MAX: usize = 4096;
/// Bytes of values after which no more expired rows are read at a time.
const EXPIRED_BYTES_MAX: usize = 1 << 20;

/// A row's value and when it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Live {
    pub(super) value: Bytes,
    pub(super) expires_at_ms: Option<u64>,
}

impl Live {
    pub(super) fn has_expired(&self, now_ms: u64) -> bool {
        self.expires_at_ms.is_some_and(|at| at <= now_ms)
    }
}

/// A row as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) version: Seq,
    pub(super) live: Live,
}

/// What one record does to the tables.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) seq: Seq,
    /// By row key; `None` removes the row.
    pub(super) rows: Vec<(Bytes, Option<Live>)>,
}

/// Up to which record a rule's trigger has handled everything.
#[derive(Debug, Clone)]
pub(super) struct Settled {
    pub(super) rule: String,
    pub(super) trigger: u16,
    pub(super) before: Seq,
}

/// The sled database. One writer at a time; readers of more than one row hold it off for as long as they read.
pub(super) struct Tables {
    tree: Tree,
    database: sled::Db,
    writing: RwLock<()>,
    /// Makes the next change panic, as sled does on some of its errors.
    #[cfg(test)]
    pub(super) fails_next: std::sync::atomic::AtomicBool,
}

struct Head {
    version: Seq,
    expires_at_ms: Option<u64>,
    chunks: u32,
}

/// Waits until nobody has sled's file. A database that was just closed lives on in sled's own threads for a moment, and
/// opening it again meanwhile fails like a broken one.
fn await_release(file: &Path) -> Result<(), TablesError> {
    let begun = Instant::now();
    // What cannot be opened here is sled's to judge.
    let Ok(file) = File::open(file) else { return Ok(()) };
    while let Err(TryLockError::WouldBlock) = file.try_lock() {
        if begun.elapsed() > RELEASE_WAIT_MAX {
            return Err(TablesError::Locked);
        }
        thread::sleep(RELEASE_POLL);
    }
    Ok(())
}

/// Runs something that calls sled, and turns a panic into an error.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, TablesError>) -> Result<T, TablesError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(TablesError::Panicked(said.unwrap_or("without a word").to_owned()))
    })
}

impl Tables {
    pub(super) fn open(directory: &Path, cache_bytes: u64) -> Result<Self, TablesError> {
        await_release(&directory.join("db"))?;
        guarded(|| {
            // Its own flush thread would sync nothing and only take time: checkpoints flush.
            let config = sled::Config::new().path(directory).cache_capacity(cache_bytes).flush_every_ms(None);
            let database = config.open()?;
            let tree = Tree::clone(&database);
            Ok(Tables {
                tree,
                database,
                writing: RwLock::new(()),
                #[cfg(test)]
                fails_next: false.into(),
            })
        })
    }

    /// Every record up to this one is in the tables.
    pub(super) fn applied(&self) -> Result<Seq, TablesError> {
        match self.tree.get(keys::APPLIED)? {
            Some(bytes) => read_u64(&bytes, 0),
            None => Ok(0),
        }
    }

    /// Holds off all changes while it lives, for reading several rows as of one moment.
    pub(super) fn still(&self) -> RwLockReadGuard<'_, ()> {
        self.writing.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.writing.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Stored>, TablesError> {
        loop {
            let Some(bytes) = self.tree.get(key)? else { return Ok(None) };
            if let Some(stored) = self.load(key, &bytes)? {
                return Ok(Some(stored));
            }
            // A part was missing: the row was replaced since its head was read. The new head is there already.
        }
    }

    /// The version and expiry of a row, without its value.
    pub(super) fn version(&self, key: &[u8]) -> Result<Option<(Seq, Option<u64>)>, TablesError> {
        let Some(bytes) = self.tree.get(key)? else { return Ok(None) };
        let head = Head::read(&bytes)?;
        Ok(Some((head.version, head.expires_at_ms)))
    }

    /// The rows whose keys are in `from..to`, in order. Rows that change while they are read may be left out, unless
    /// [`Self::still`] is held.
    pub(super) fn range<'a>(
        &'a self,
        from: &[u8],
        to: &[u8],
    ) -> impl DoubleEndedIterator<Item = Result<(Bytes, Stored), TablesError>> + use<'a> {
        let load = |pair: sled::Result<(sled::IVec, sled::IVec)>| {
            let (key, bytes) = pair.map_err(TablesError::from)?;
            let stored = self.load(&key, &bytes)?;
            Ok(stored.map(|stored| (Bytes::copy_from_slice(&key), stored)))
        };
        self.tree.range(from.to_vec()..to.to_vec()).map(load).filter_map(Result::transpose)
    }

    /// Plain pairs in order of key, for the families whose values are small.
    pub(super) fn pairs(
        &self,
        prefix: &[u8],
    ) -> impl Iterator<Item = Result<(Bytes, Bytes), TablesError>> + use<> {
        self.tree.scan_prefix(prefix).map(|pair| {
            let (key, value) = pair.map_err(TablesError::from)?;
            Ok((Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&value)))
        })
    }

    /// Makes changes, in order and all at once; afterwards every record up to `applied` is in the tables.
    pub(super) fn apply(
        &self,
        changes: &[Change],
        settled: &[Settled],
        applied: Seq,
    ) -> Result<(), TablesError> {
        let _alone = self.alone();
        #[cfg(test)]
        assert!(!self.fails_next.swap(false, std::sync::atomic::Ordering::Relaxed), "a test asked for it");
        let mut newest: HashMap<&Bytes, (Seq, Option<&Live>)> = HashMap::new();
        let mut batch = Batch::default();
        for change in changes {
            newest.extend(change.rows.iter().map(|(key, live)| (key, (change.seq, live.as_ref()))));
        }
        for (key, (seq, live)) in newest {
            self.forget(key, &mut batch)?;
            if let Some(live) = live {
                put(key, seq, live, &mut batch);
            }
        }
        for settled in settled {
            self.settle(settled, &mut batch)?;
        }
        batch.insert(&keys::APPLIED, &applied.to_be_bytes());
        Ok(self.tree.apply_batch(batch)?)
    }

    /// Notes that every record up to `applied` is in the tables, where the last of them changed nothing.
    pub(super) fn mark(&self, applied: Seq) -> Result<(), TablesError> {
        let _alone = self.alone();
        if self.applied()? < applied {
            self.tree.insert(keys::APPLIED, &applied.to_be_bytes())?;
        }
        Ok(())
    }

    /// Writes rows and plain pairs that an export holds.
    pub(super) fn restore(
        &self,
        rows: &[(Bytes, Stored)],
        pairs: &[(Bytes, Bytes)],
    ) -> Result<(), TablesError> {
        let mut batch = Batch::default();
        for (key, stored) in rows {
            put(key, stored.version, &stored.live, &mut batch);
        }
        for (key, value) in pairs {
            batch.insert(&key[..], &value[..]);
        }
        Ok(self.tree.apply_batch(batch)?)
    }

    /// Removes up to `rows_max` rows that have expired and says how many went. It goes to sled and not through the log:
    /// what has expired is a function of the rows and the time, so after a crash it is simply done again.
    pub(super) fn sweep(&self, now_ms: u64, rows_max: usize, kept: &Kept) -> Result<usize, TablesError> {
        let _alone = self.alone();
        let mut batch = Batch::default();
        let mut count = 0;
        for pair in self.expiries(now_ms).take(LOOK_ROWS_MAX) {
            if count == rows_max {
                break;
            }
            let (key, value) = pair?;
            let (_, row) = keys::expiry_parts(&key).ok_or(TablesError::Garbled)?;
            if kept.keeps(&row) {
                continue;
            }
            let current = self.version(&row)?.map(|(version, _)| version);
            if current == Some(read_u64(&value, 0)?) {
                self.forget(&row, &mut batch)?;
                count += 1;
            }
            batch.remove(key);
        }
        self.tree.apply_batch(batch)?;
        Ok(count)
    }

    /// The keys and versions of up to `rows_max` rows that have expired and are kept, as far as `is_settled` says that
    /// nothing waits to change them. Nothing changes while it looks.
    pub(super) fn expired(
        &self,
        now_ms: u64,
        rows_max: usize,
        kept: &Kept,
        is_settled: impl Fn(&[u8]) -> bool,
    ) -> Result<Vec<(Vec<u8>, Stored)>, TablesError> {
        let _still = self.still();
        let mut found = Vec::new();
        let mut bytes = 0;
        for pair in self.expiries(now_ms).take(LOOK_ROWS_MAX) {
            let (key, value) = pair?;
            let (_, row) = keys::expiry_parts(&key).ok_or(TablesError::Garbled)?;
            if !kept.keeps(&row) || !is_settled(&row) {
                continue;
            }
            let version = read_u64(&value, 0)?;
            let stored = self.get(&row)?.filter(|stored| stored.version == version);
            let Some(stored) = stored else { continue };
            bytes += stored.live.value.len();
            found.push((row, stored));
            if found.len() >= rows_max || bytes >= EXPIRED_BYTES_MAX {
                break;
            }
        }
        Ok(found)
    }

    /// What says of rows that their time is over, in order of that time.
    fn expiries(&self, now_ms: u64) -> sled::Iter {
        self.tree.range(vec![keys::EXPIRY]..keys::expiry(now_ms.saturating_add(1), &[keys::ROW]))
    }

    /// Up to which record a trigger has handled everything; 0 if nothing was ever settled.
    pub(super) fn settled_before(&self, rule: &str, trigger: u16) -> Result<Seq, TablesError> {
        match self.tree.get(keys::settled(rule, trigger))? {
            Some(bytes) => read_u64(&bytes, 0),
            None => Ok(0),
        }
    }

    /// Hands everything to the operating system. The caller syncs the file: sled does not.
    pub(super) fn flush(&self) -> Result<(), TablesError> {
        self.database.flush()?;
        Ok(())
    }

    /// Removes a row's parts and its expiry, whatever they are.
    fn forget(&self, key: &[u8], batch: &mut Batch) -> Result<(), TablesError> {
        let Some(bytes) = self.tree.get(key)? else { return Ok(()) };
        let head = Head::read(&bytes)?;
        for index in 0..head.chunks {
            batch.remove(keys::chunk(key, head.version, index));
        }
        if let Some(at) = head.expires_at_ms {
            batch.remove(keys::expiry(at, key));
        }
        batch.remove(key);
        Ok(())
    }

    fn settle(&self, settled: &Settled, batch: &mut Batch) -> Result<(), TablesError> {
        let key = keys::settled(&settled.rule, settled.trigger);
        if let Some(bytes) = self.tree.get(&key)?
            && read_u64(&bytes, 0)? >= settled.before
        {
            return Ok(());
        }
        for key in self.tree.scan_prefix(keys::done_prefix(&settled.rule, settled.trigger)).keys() {
            batch.remove(key?);
        }
        batch.insert(key, &settled.before.to_be_bytes());
        Ok(())
    }

    fn load(&self, key: &[u8], bytes: &[u8]) -> Result<Option<Stored>, TablesError> {
        let head = Head::read(bytes)?;
        let value = if head.chunks == 0 {
            Bytes::copy_from_slice(&bytes[HEAD_BYTES..])
        } else {
            let mut value = Vec::new();
            for index in 0..head.chunks {
                let Some(part) = self.tree.get(keys::chunk(key, head.version, index))? else {
                    return Ok(None);
                };
                value.extend_from_slice(&part);
            }
            Bytes::from(value)
        };
        Ok(Some(Stored { version: head.version, live: Live { value, expires_at_ms: head.expires_at_ms } }))
    }
}

impl Head {
    fn read(bytes: &[u8]) -> Result<Head, TablesError> {
        let chunks = bytes.get(16..HEAD_BYTES).and_then(|word| word.try_into().ok()).map(u32::from_be_bytes);
        let expires = read_u64(bytes, 8)?;
        Ok(Head {
            version: read_u64(bytes, 0)?,
            expires_at_ms: (expires != 0).then_some(expires),
            chunks: chunks.ok_or(TablesError::Garbled)?,
        })
    }
}

fn put(key: &[u8], version: Seq, live: &Live, batch: &mut Batch) {
    // An expiry of 0 means none in the bytes; a row that expired in 1970 may as well have expired 1 ms later.
    let expires = live.expires_at_ms.map_or(0, |at| at.max(1));
    let long = live.value.len() > CHUNK_BYTES;
    let chunks = if long { live.value.chunks(CHUNK_BYTES).len() } else { 0 };
    let chunks = u32::try_from(chunks).expect("a value is below 64 MiB");
    let mut head = Vec::with_capacity(HEAD_BYTES + if long { 0 } else { live.value.len() });
    head.extend_from_slice(&version.to_be_bytes());
    head.extend_from_slice(&expires.to_be_bytes());
    head.extend_from_slice(&chunks.to_be_bytes());
    if long {
        for (index, part) in (0..chunks).zip(live.value.chunks(CHUNK_BYTES)) {
            batch.insert(keys::chunk(key, version, index), part);
        }
    } else {
        head.extend_from_slice(&live.value);
    }
    if expires != 0 {
        batch.insert(keys::expiry(expires, key), &version.to_be_bytes());
    }
    batch.insert(key, head);
}

fn read_u64(bytes: &[u8], at: usize) -> Result<u64, TablesError> {
    let word = bytes.get(at..at + 8).and_then(|word| word.try_into().ok());
    word.map(u64::from_be_bytes).ok_or(TablesError::Garbled)
}
