//! What the store is told at start: where it lives and every limit it keeps.

use std::path::PathBuf;
use std::time::Duration;

use super::error::OptionsError;

/// The largest record any version of the log format can hold; [`StoreOptions::record_bytes_max`] is at most this.
///
/// Recovery judges lengths by this constant and not by the option, so that lowering the option never makes an old
/// record look torn.
pub const RECORD_BYTES_CEILING: usize = 64 << 20;

/// The longest table, hash and sort together that a row may have, whatever the options say.
pub const KEY_BYTES_CEILING: usize = 32 << 10;

/// When an appended record counts as durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// One sync for each record. Slow; for those who want to see each record alone on disk.
    EveryWrite,
    /// One sync for all who wait; the next group starts when it ends. Nothing acknowledged is ever lost.
    #[default]
    Group,
    /// Acknowledged once the operating system has it, synced this often. A power cut, not a kill, may lose what was
    /// acknowledged since the last sync.
    Interval(Duration),
}

/// Where the store lives and the limits it keeps.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The directory that holds the log, the tables, the checkpoint and the export. One process at a time.
    pub directory: PathBuf,
    /// When an appended record counts as durable.
    pub durability: Durability,
    /// A segment is closed once it is this long. A group is never split, so it may be longer by one group.
    pub segment_bytes: u64,
    /// The log is cut from its old end, in whole segments, above this. Appends are refused above twice this, which
    /// happens only while exports fail.
    pub log_bytes_max: u64,
    /// Segments whose youngest record is older than this are dropped.
    pub log_age_max: Duration,
    /// The longest record, encoded.
    pub record_bytes_max: usize,
    /// The longest table, hash and sort of one row together.
    pub key_bytes_max: usize,
    /// Appended bytes that may wait for the disk; appends are refused above it.
    pub pending_bytes_max: usize,
    /// Bytes of writes that may wait for the tables; appends are refused above it.
    pub overlay_bytes_max: usize,
    /// Memory that sled may use for its cache.
    pub cache_bytes: u64,
    /// How often the tables are made durable, which bounds how much of the log is replayed at start.
    pub checkpoint_interval: Duration,
    /// How often expired rows are looked for.
    pub sweep_interval: Duration,
    /// The most expired rows one sweep removes.
    pub sweep_rows_max: usize,
    /// Nothing is swept before [`Store::keep_expired`](super::Store::keep_expired) says what is kept.
    pub sweep_waits: bool,
    /// The tables are exported once the log has grown by this much since the last export.
    pub export_log_bytes: u64,
    /// How often a disk that refused a write is tried again.
    pub retry_interval: Duration,
}

impl StoreOptions {
    /// The defaults, for a store in `directory`.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        StoreOptions {
            directory: directory.into(),
            durability: Durability::Group,
            segment_bytes: 64 << 20,
            log_bytes_max: 1 << 30,
            log_age_max: Duration::from_hours(7 * 24),
            record_bytes_max: 16 << 20,
            key_bytes_max: 4 << 10,
            pending_bytes_max: 64 << 20,
            overlay_bytes_max: 64 << 20,
            cache_bytes: 32 << 20,
            checkpoint_interval: Duration::from_secs(10),
            sweep_interval: Duration::from_secs(1),
            sweep_rows_max: 10_000,
            sweep_waits: false,
            export_log_bytes: 256 << 20,
            retry_interval: Duration::from_millis(500),
        }
    }

    /// Refuses what cannot work, before anything on disk is touched.
    pub(super) fn check(&self) -> Result<(), OptionsError> {
        let ceiling = |option, value: usize, most: usize| {
            if value > most { Err(OptionsError::AboveCeiling { option, value, most }) } else { Ok(()) }
        };
        ceiling("record_bytes_max", self.record_bytes_max, RECORD_BYTES_CEILING)?;
        ceiling("key_bytes_max", self.key_bytes_max, KEY_BYTES_CEILING)?;
        let positive =
            |option, value: u64| if value == 0 { Err(OptionsError::Zero { option }) } else { Ok(()) };
        positive("segment_bytes", self.segment_bytes)?;
        positive("log_bytes_max", self.log_bytes_max)?;
        positive("record_bytes_max", self.record_bytes_max as u64)?;
        positive("key_bytes_max", self.key_bytes_max as u64)?;
        positive("overlay_bytes_max", self.overlay_bytes_max as u64)?;
        positive("export_log_bytes", self.export_log_bytes)?;
        positive("sweep_rows_max", self.sweep_rows_max as u64)?;
        for (option, interval) in [
            ("checkpoint_interval", self.checkpoint_interval),
            ("sweep_interval", self.sweep_interval),
            ("retry_interval", self.retry_interval),
            ("log_age_max", self.log_age_max),
        ] {
            if interval.is_zero() {
                return Err(OptionsError::Zero { option });
            }
        }
        if self.pending_bytes_max < self.record_bytes_max {
            return Err(OptionsError::PendingBelowRecord {
                pending: self.pending_bytes_max,
                record: self.record_bytes_max,
            });
        }
        Ok(())
    }
}
