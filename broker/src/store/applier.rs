//! The thread that takes what is on disk into the tables, in order, many records at once.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use tracing::{error, warn};

use super::core::{Core, lock};
use super::error::TablesError;
use super::rebuild::{Sources, open_tables};
use super::record::Seq;
use super::tables::{Change, Settled, Tables, guarded};

/// The most rows in one batch. Readers of many rows wait for a batch to end, so it is kept to a few milliseconds.
const BATCH_ROWS: usize = 1024;
const BATCH_BYTES: usize = 4 << 20;

struct Batch {
    changes: Vec<Change>,
    settled: Vec<Settled>,
    applied: Seq,
}

/// Runs until the store closes and all that is on disk is in the tables.
pub(super) fn run(core: &Core) {
    while let Some(batch) = next(core) {
        let touches_tables = !batch.changes.is_empty() || !batch.settled.is_empty();
        if touches_tables && let Err(error) = apply(core, &batch) {
            error!(%error, "the tables failed and are opened again");
            if !reopen(core, &batch) {
                return;
            }
        }
        if !batch.changes.is_empty() {
            let mut overlay = core.overlay_mut();
            batch.changes.iter().for_each(|change| overlay.applied(change));
        }
        core.applied.store(batch.applied, Ordering::Release);
        core.room.notify_waiters();
    }
}

fn next(core: &Core) -> Option<Batch> {
    let mut queue = lock(&core.queue);
    while queue.changes.is_empty()
        && queue.settled.is_empty()
        && queue.upto <= core.applied.load(Ordering::Relaxed)
    {
        if queue.closing {
            return None;
        }
        queue = core.queued.wait(queue).unwrap_or_else(PoisonError::into_inner);
    }
    let mut changes: Vec<Change> = Vec::new();
    let (mut rows, mut bytes) = (0, 0);
    while rows < BATCH_ROWS
        && bytes < BATCH_BYTES
        && let Some(change) = queue.changes.pop_front()
    {
        rows += change.rows.len();
        bytes += super::overlay::Overlay::cost(&change);
        changes.push(change);
    }
    let last = changes.last().map_or(queue.upto, |change| change.seq);
    let applied = if queue.changes.is_empty() { queue.upto } else { last };
    let settled = std::mem::take(&mut queue.settled);
    let settled =
        settled.into_iter().map(|((rule, trigger), before)| Settled { rule, trigger, before }).collect();
    Some(Batch { changes, settled, applied })
}

fn apply(core: &Core, batch: &Batch) -> Result<(), TablesError> {
    let tables = core.tables();
    let Some(tables) = tables.as_ref() else { return Ok(()) };
    guarded(|| tables.apply(&batch.changes, &batch.settled, batch.applied))
}

/// Sled refuses everything once it has failed, so it is closed and opened, and what it forgot is read from the log. Readers
/// wait meanwhile. Returns false if the store closes first.
fn reopen(core: &Core, batch: &Batch) -> bool {
    core.counters.tables_reopened.fetch_add(1, Ordering::Relaxed);
    let mut slot = core.tables_mut();
    loop {
        *slot = None;
        let sources = Sources {
            disk: &core.disk,
            store: &core.options.directory,
            segments: &core.segments,
            cache_bytes: core.options.cache_bytes,
        };
        match open_tables(&sources).map_err(|error| error.to_string()).and_then(|(tables, _)| {
            settle(&tables, batch).map_err(|error| error.to_string())?;
            Ok(tables)
        }) {
            Ok(tables) => {
                *slot = Some(tables);
                return true;
            }
            Err(error) => warn!(error, "the tables still fail"),
        }
        let queue = lock(&core.queue);
        let wait = core.queued.wait_timeout_while(queue, core.options.retry_interval, |queue| !queue.closing);
        if wait.unwrap_or_else(PoisonError::into_inner).0.closing {
            return false;
        }
    }
}

/// The log, which the reopened tables were brought up to date from, knows nothing of what was settled.
fn settle(tables: &Tables, batch: &Batch) -> Result<(), TablesError> {
    if batch.settled.is_empty() {
        return Ok(());
    }
    let applied = tables.applied()?;
    guarded(|| tables.apply(&[], &batch.settled, applied))
}
