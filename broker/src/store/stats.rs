//! What the store counts.

use std::sync::atomic::AtomicU64;

use super::record::Seq;

/// Upper bounds of the classes in which the times of groups are counted, in microseconds; one more class has no bound.
pub const COMMIT_MICROS_BOUNDS: [u64; 12] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 2_000_000];

/// A look at the store, for metrics. Figures are of about the same moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// The last record taken.
    pub end: Seq,
    /// The last record on disk.
    pub durable_end: Seq,
    /// The oldest record in the log.
    pub first: Seq,
    /// The last record in the tables.
    pub applied: Seq,
    /// The record the last export reaches.
    pub exported: Seq,
    /// The lowest record a reader still needs, if any said so.
    pub held_from: Option<Seq>,
    /// Bytes that wait for the disk.
    pub pending_bytes: u64,
    /// Bytes that wait for the tables.
    pub overlay_bytes: u64,
    /// Bytes of the log.
    pub log_bytes: u64,
    /// When the oldest segment of the log was begun, in milliseconds since 1970; none while there is none.
    pub oldest_segment_ms: Option<u64>,
    /// Segments of the log.
    pub segments: u64,
    /// Groups put on disk.
    pub commits: u64,
    /// Records in them.
    pub commit_records: u64,
    /// Bytes in them.
    pub commit_bytes: u64,
    /// Time all of them took to write and sync, in microseconds.
    pub commit_micros_sum: u64,
    /// How many took no longer than each of [`COMMIT_MICROS_BOUNDS`] and longer than the one before; then the rest.
    pub commit_classes: [u64; COMMIT_MICROS_BOUNDS.len() + 1],
    /// The longest of them.
    pub commit_micros_max: u64,
    /// The last of them.
    pub commit_micros_last: u64,
    /// Times the disk refused a group.
    pub commits_failed: u64,
    /// Records refused since a row had changed.
    pub conflicts: u64,
    /// Expired rows removed.
    pub expired_swept: u64,
    /// Checkpoints written.
    pub checkpoints: u64,
    /// Exports written.
    pub exports: u64,
    /// Checkpoints, exports, sweeps and removals that failed.
    pub maintenance_failed: u64,
    /// Times the tables were closed and opened again after an error.
    pub tables_reopened: u64,
    /// Segments dropped.
    pub segments_dropped: u64,
    /// Of these, segments that a reader still needed.
    pub segments_dropped_held: u64,
}

#[derive(Default)]
pub(super) struct Counters {
    pub(super) log_bytes: AtomicU64,
    pub(super) commits: AtomicU64,
    pub(super) commit_records: AtomicU64,
    pub(super) commit_bytes: AtomicU64,
    pub(super) commit_micros_sum: AtomicU64,
    pub(super) commit_classes: [AtomicU64; COMMIT_MICROS_BOUNDS.len() + 1],
    pub(super) commit_micros_max: AtomicU64,
    pub(super) commit_micros_last: AtomicU64,
    pub(super) commits_failed: AtomicU64,
    pub(super) conflicts: AtomicU64,
    pub(super) expired_swept: AtomicU64,
    pub(super) checkpoints: AtomicU64,
    pub(super) exports: AtomicU64,
    pub(super) maintenance_failed: AtomicU64,
    pub(super) tables_reopened: AtomicU64,
    pub(super) segments_dropped: AtomicU64,
    pub(super) segments_dropped_held: AtomicU64,
}
