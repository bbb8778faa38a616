//! The thread that keeps house: checkpoints, sweeps of expired rows, exports, and the dropping of old segments.

use std::sync::atomic::Ordering;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::{debug, warn};

use super::core::{Core, lock};
use super::error::{MaintainError, TablesError};
use super::expiry::Expired;
use super::log::Keep;
use super::tables::guarded;
use super::{checkpoint, export};

/// Readers of many rows wait for a step of a sweep, so it is kept short.
const SWEEP_STEP_ROWS: usize = 256;
/// How often sizes and ages are looked at.
const RETENTION_INTERVAL: Duration = Duration::from_secs(1);

/// Wakes the thread so that it ends.
#[derive(Default)]
pub(super) struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    pub(super) fn stop(&self) {
        *lock(&self.stopped) = true;
        self.changed.notify_all();
    }

    /// Waits until then; true if the thread is to end.
    fn wait_until(&self, then: Instant) -> bool {
        let stopped = lock(&self.stopped);
        let left = then.saturating_duration_since(Instant::now());
        let waited = self.changed.wait_timeout_while(stopped, left, |stopped| !*stopped);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// The work of maintenance, one piece at a time, whether by the thread or by someone who asks.
#[derive(Default)]
pub(super) struct Maintenance {
    turn: Mutex<()>,
    pub(super) stop: Stop,
}

/// Runs until told to stop. What fails is counted and tried again when it is next due.
pub(super) fn run(core: &Core, maintenance: &Maintenance) {
    let options = &core.options;
    let begun = Instant::now();
    let mut checkpoint_due = begun + options.checkpoint_interval;
    let mut sweep_due = begun + options.sweep_interval;
    let mut retention_due = begun + RETENTION_INTERVAL;
    while !maintenance.stop.wait_until(checkpoint_due.min(sweep_due).min(retention_due)) {
        if sweep_due <= Instant::now() {
            note(core, "sweep", maintenance.sweep(core).map(|_| ()));
            sweep_due = Instant::now() + options.sweep_interval;
        }
        if checkpoint_due <= Instant::now() {
            note(core, "checkpoint", maintenance.checkpoint(core));
            checkpoint_due = Instant::now() + options.checkpoint_interval;
        }
        if retention_due <= Instant::now() {
            note(core, "retention", maintenance.retain(core));
            retention_due = Instant::now() + RETENTION_INTERVAL;
        }
    }
}

fn note(core: &Core, task: &str, outcome: Result<(), MaintainError>) {
    if let Err(error) = outcome {
        core.counters.maintenance_failed.fetch_add(1, Ordering::Relaxed);
        let source = std::error::Error::source(&error).map(ToString::to_string);
        warn!(task, %error, source, "keeping the store failed and is tried again");
    }
}

impl Maintenance {
    /// Makes the tables durable, if they hold more than at the last checkpoint.
    pub(super) fn checkpoint(&self, core: &Core) -> Result<(), MaintainError> {
        let _turn = lock(&self.turn);
        let applied = core.applied.load(Ordering::Acquire);
        if core.checkpointed.load(Ordering::Acquire) == applied {
            return Ok(());
        }
        let tables = core.tables();
        let tables = tables.as_ref().ok_or(MaintainError::Closed)?;
        catch(|| checkpoint::write(&*core.disk, &core.options.directory, tables, applied))?;
        core.checkpointed.store(applied, Ordering::Release);
        core.counters.checkpoints.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Removes expired rows, in short steps, up to the limit of one sweep. Returns how many went.
    pub(super) fn sweep(&self, core: &Core) -> Result<usize, MaintainError> {
        let _turn = lock(&self.turn);
        let kept = lock(&core.kept).clone();
        let mut swept = 0;
        while swept < core.options.sweep_rows_max {
            let step = SWEEP_STEP_ROWS.min(core.options.sweep_rows_max - swept);
            let tables = core.tables();
            let tables = tables.as_ref().ok_or(MaintainError::Closed)?;
            let count = guarded(|| tables.sweep(core.now_ms(), step, &kept))?;
            swept += count;
            core.counters.expired_swept.fetch_add(count as u64, Ordering::Relaxed);
            if count < step {
                break;
            }
        }
        Ok(swept)
    }

    /// Writes the tables out, so that the log before them may be dropped.
    pub(super) fn export(&self, core: &Core) -> Result<(), MaintainError> {
        let _turn = lock(&self.turn);
        let seq = core.applied.load(Ordering::Acquire);
        if core.exported.load(Ordering::Acquire) == seq {
            return Ok(());
        }
        let tables = core.tables();
        let tables = tables.as_ref().ok_or(MaintainError::Closed)?;
        let expired = Expired { now_ms: core.now_ms(), kept: lock(&core.kept).clone() };
        catch(|| export::write(&*core.disk, &core.options.directory, tables, seq, &expired))?;
        core.exported.store(seq, Ordering::Release);
        core.counters.exports.fetch_add(1, Ordering::Relaxed);
        debug!(seq, "the tables are exported");
        Ok(())
    }

    /// Exports if enough was logged since the last time, and drops what the limits no longer allow.
    pub(super) fn retain(&self, core: &Core) -> Result<(), MaintainError> {
        let exported = core.exported.load(Ordering::Acquire);
        if core.segments.bytes_after(exported) >= core.options.export_log_bytes {
            self.export(core)?;
        }
        if self.drop_old(core)? {
            self.export(core)?;
            self.drop_old(core)?;
        }
        Ok(())
    }

    /// Returns whether an export would let more go.
    fn drop_old(&self, core: &Core) -> Result<bool, MaintainError> {
        let _turn = lock(&self.turn);
        let held_from = core.held_from().unwrap_or(u64::MAX);
        let keep = Keep {
            exported: core.exported.load(Ordering::Acquire),
            held_from,
            now_ms: core.now_ms(),
            bytes_max: core.options.log_bytes_max,
            age_max_ms: u64::try_from(core.options.log_age_max.as_millis()).unwrap_or(u64::MAX),
        };
        let (dropped, outcome) = core.segments.drop_old(&*core.disk, &keep);
        let counters = &core.counters;
        counters.segments_dropped.fetch_add(dropped.segments, Ordering::Relaxed);
        counters.segments_dropped_held.fetch_add(dropped.held, Ordering::Relaxed);
        counters.log_bytes.store(core.segments.size().0, Ordering::Relaxed);
        if dropped.segments > 0 {
            core.room.notify_waiters();
        }
        if dropped.held > 0 {
            let first = core.segments.first();
            warn!(segments = dropped.held, held_from, first, "the log's limits dropped records still needed");
        }
        outcome.map_err(|(path, source)| MaintainError::Io { doing: "removed", path, source })?;
        Ok(dropped.export_wanted)
    }
}

/// As [`guarded`], for work that also writes files.
fn catch(work: impl FnOnce() -> Result<(), MaintainError>) -> Result<(), MaintainError> {
    guarded(|| match work() {
        Err(MaintainError::Tables(error)) => Err(error),
        other => Ok(other),
    })
    .map_err(|error: TablesError| MaintainError::Tables(error))?
}
