//! The thread that puts groups on disk: write, sync, wake all who wait, and at once the next group. There is no timer; a
//! group is whatever came while the one before was being written.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tracing::{error, info};

use super::core::{Core, lock};
use super::group::Group;
use super::log::Writer;
use super::options::Durability;
use super::record::Seq;
use super::stats::COMMIT_MICROS_BOUNDS;
use super::tables::Change;

struct Taken {
    first: Seq,
    frames: Vec<Vec<u8>>,
    changes: Vec<Change>,
    group: Arc<Group>,
    bytes: usize,
}

enum Work {
    Group(Taken),
    SyncDue,
    Close,
}

/// What was written but not synced; always empty unless syncs come at an interval.
#[derive(Default)]
struct Unsynced {
    changes: Vec<Change>,
    since: Option<Instant>,
}

/// Runs until the store closes. A panic is answered like a disk that refuses for good: everyone who waits is told.
pub(super) fn run(core: &Core, writer: Writer) {
    if catch_unwind(AssertUnwindSafe(|| commit_all(core, writer))).is_err() {
        core.intake().closing = true;
        core.refuse(io::Error::other("the commit thread panicked"), &[]);
    }
    let mut queue = lock(&core.queue);
    queue.closing = true;
    core.queued.notify_all();
}

fn commit_all(core: &Core, mut writer: Writer) {
    let mut unsynced = Unsynced::default();
    loop {
        let work = next(core, &unsynced);
        let is_close = matches!(work, Work::Close);
        if is_close && core.intake().failed.is_some() {
            // What was refused must not reach the disk after all by a last sync.
            return;
        }
        let outcome = match work {
            Work::Group(taken) => commit(core, &mut writer, taken, &mut unsynced),
            Work::SyncDue | Work::Close => sync(core, &mut writer, &mut unsynced),
        };
        if let Err(refused) = outcome {
            error!(error = %refused, "the disk refused the log; no records are taken until it takes them");
            core.refuse(refused, &unsynced.changes);
            unsynced = Unsynced::default();
            if !is_close {
                repair(core, &mut writer);
            }
        }
        if is_close {
            return;
        }
    }
}

/// Waits for something to do.
fn next(core: &Core, unsynced: &Unsynced) -> Work {
    let interval = match core.options.durability {
        Durability::Interval(interval) => interval,
        Durability::EveryWrite | Durability::Group => Duration::ZERO,
    };
    let mut intake = core.intake();
    loop {
        let left = unsynced.since.map(|since| interval.saturating_sub(since.elapsed()));
        if left.is_some_and(|left| left.is_zero()) {
            return Work::SyncDue;
        }
        if !intake.frames.is_empty() {
            let frames = std::mem::take(&mut intake.frames);
            let group = std::mem::take(&mut intake.group);
            intake.flight = Some(Arc::clone(&group));
            return Work::Group(Taken {
                first: intake.end + 1 - frames.len() as Seq,
                bytes: frames.iter().map(Vec::len).sum(),
                frames,
                changes: std::mem::take(&mut intake.changes),
                group,
            });
        }
        if intake.closing {
            return Work::Close;
        }
        intake = match left {
            Some(left) => core
                .appended
                .wait_timeout(intake, left)
                .map_or_else(|poisoned| poisoned.into_inner().0, |(intake, _)| intake),
            None => core.appended.wait(intake).unwrap_or_else(PoisonError::into_inner),
        };
    }
}

fn commit(core: &Core, writer: &mut Writer, taken: Taken, unsynced: &mut Unsynced) -> io::Result<()> {
    let Taken { first, mut frames, changes, group, bytes } = taken;
    let begun = Instant::now();
    unsynced.changes.extend(changes);
    match core.options.durability {
        Durability::Group => writer.write(first, &mut frames, core.now_ms())?,
        Durability::EveryWrite => {
            for (seq, frame) in (first..).zip(&mut frames) {
                writer.write(seq, std::slice::from_mut(frame), core.now_ms())?;
                writer.sync()?;
            }
        }
        Durability::Interval(_) => {
            writer.write(first, &mut frames, core.now_ms())?;
            unsynced.since.get_or_insert(begun);
        }
    }
    if unsynced.since.is_none() {
        sync(core, writer, unsynced)?;
    }
    count(core, begun.elapsed(), frames.len(), bytes);
    {
        let mut intake = core.intake();
        intake.pending_bytes -= bytes;
        intake.flight = None;
    }
    group.decide(Ok(()));
    core.room.notify_waiters();
    Ok(())
}

/// Syncs what was written and hands it on to the tables, which hold only what is on disk.
fn sync(core: &Core, writer: &mut Writer, unsynced: &mut Unsynced) -> io::Result<()> {
    let end = writer.sync()?;
    unsynced.since = None;
    hand_on(core, std::mem::take(&mut unsynced.changes), end);
    Ok(())
}

fn hand_on(core: &Core, changes: Vec<Change>, end: Seq) {
    core.durable_end.store(end, Ordering::Release);
    core.durable_more.notify_waiters();
    let (log_bytes, _) = core.segments.size();
    core.counters.log_bytes.store(log_bytes, Ordering::Relaxed);
    let mut queue = lock(&core.queue);
    queue.changes.extend(changes);
    queue.upto = end;
    drop(queue);
    core.queued.notify_one();
}

/// Tries until the disk takes writes again, or the store closes. The places of the records that were refused are skipped:
/// a row's version is a place, and must not come to mean another write.
fn repair(core: &Core, writer: &mut Writer) {
    loop {
        let end = {
            let intake = core.intake();
            let waited = core
                .appended
                .wait_timeout_while(intake, core.options.retry_interval, |intake| !intake.closing);
            let (intake, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if intake.closing {
                return;
            }
            intake.end
        };
        match writer.repair(end + 1, core.now_ms()) {
            Ok(()) => {
                hand_on(core, Vec::new(), end);
                core.intake().failed = None;
                core.room.notify_waiters();
                info!(from = end + 1, "the disk takes the log again");
                return;
            }
            Err(error) => tracing::debug!(%error, "the disk still refuses the log"),
        }
    }
}

fn count(core: &Core, took: Duration, records: usize, bytes: usize) {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let counters = &core.counters;
    counters.commits.fetch_add(1, Ordering::Relaxed);
    counters.commit_records.fetch_add(records as u64, Ordering::Relaxed);
    counters.commit_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    counters.commit_micros_sum.fetch_add(micros, Ordering::Relaxed);
    let class = COMMIT_MICROS_BOUNDS.partition_point(|bound| *bound < micros);
    counters.commit_classes[class].fetch_add(1, Ordering::Relaxed);
    counters.commit_micros_max.fetch_max(micros, Ordering::Relaxed);
    counters.commit_micros_last.store(micros, Ordering::Relaxed);
}
