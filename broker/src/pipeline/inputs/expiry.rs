//! Rows whose time is over in tables that rules watch: removed by a record that also tells of it, so that each is told once.

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use pointsman_rules::On;
use tracing::warn;

use super::changes;
use super::wanted::CHANGES_PREFIX;
use crate::mqtt::{Marks, QoS};
use crate::pipeline::turns::act::Commit;
use crate::pipeline::{Pipeline, spawn};
use crate::report::chain;
use crate::store::{AppendError, ExpiredRow, ReadCheck, Record, Write};

/// How often it is looked for such rows.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Rows that one record removes.
const ROWS_MAX: usize = 256;
/// Records of one look; what is left is found by the next.
const RECORDS_MAX: usize = 32;

/// Why rows cannot be taken now.
#[derive(Debug, thiserror::Error)]
enum TakeError {
    #[error("they cannot be read")]
    Read(#[from] crate::store::ReadError),
    #[error("their removal was not taken")]
    Append(#[from] AppendError),
    #[error("their removal was not written to disk")]
    Commit(#[from] crate::store::CommitError),
}

/// Starts the thread that looks for them.
pub(in crate::pipeline) fn start(pipeline: &Arc<Pipeline>) {
    pipeline.keep_watched_rows();
    let pipeline = Arc::downgrade(pipeline);
    spawn("expiry", move || look_until_gone(&pipeline));
}

fn look_until_gone(pipeline: &Weak<Pipeline>) {
    loop {
        thread::sleep(LOOK_EVERY);
        let Some(pipeline) = pipeline.upgrade() else { return };
        // A store that is closing ends the server's run; what is left is found by the next.
        match pipeline.take_expired() {
            Ok(()) | Err(TakeError::Append(AppendError::Closed)) => {}
            Err(error) => {
                warn!(
                    error = chain(&error),
                    "rows whose time is over wait, and so do the rules that watch them"
                );
            }
        }
    }
}

impl Pipeline {
    /// Has the store leave the expired rows of tables that rules watch.
    pub(in crate::pipeline) fn keep_watched_rows(&self) {
        let active = self.active.load();
        let triggers = active.rules.iter().flat_map(|rule| &rule.rule.triggers);
        let tables: HashSet<String> = triggers
            .filter_map(|trigger| match &trigger.on {
                On::Change(table) => Some(table.to_string()),
                _ => None,
            })
            .collect();
        self.store.keep_expired(tables);
    }

    fn take_expired(&self) -> Result<(), TakeError> {
        for _ in 0..RECORDS_MAX {
            // Of large ones it gives fewer, and there may still be more.
            let rows = self.store.expired(ROWS_MAX)?;
            if rows.is_empty() {
                break;
            }
            match self.take_rows(&rows) {
                // One was written anew meanwhile, or they are too large together: they are taken one by one.
                Err(TakeError::Append(AppendError::Conflict { .. } | AppendError::TooLarge { .. })) => {
                    for row in &rows {
                        match self.take_rows(std::slice::from_ref(row)) {
                            Err(TakeError::Append(AppendError::Conflict { .. })) => {}
                            Err(TakeError::Append(AppendError::TooLarge { .. })) => {
                                self.take_silently(row)?;
                            }
                            taken => taken?,
                        }
                    }
                }
                taken => taken?,
            }
        }
        Ok(())
    }

    /// Removes rows and tells of it, in one record; all or none.
    fn take_rows(&self, rows: &[ExpiredRow]) -> Result<(), TakeError> {
        let active = self.active.load();
        let (mut commit, mut record) = (Commit::default(), Record::default());
        for row in rows {
            let ExpiredRow { table, hash, sort, value, .. } = row;
            if let Some(told) = changes::tell(hash, sort, Some(value), None, true) {
                let topic = format!("{CHANGES_PREFIX}{table}");
                let marks = Marks { qos: QoS::AtLeastOnce, retain: false, interest: active.interest(&topic) };
                commit.publishes.push(&topic, &told, &[], marks);
            }
            removes(row, &mut record);
        }
        let envelope = self.sealed(&mut commit, 0);
        record.messages = envelope.bytes().clone();
        let appended = self.append_patiently(record, Some(&envelope))?;
        let on_disk = appended.wait();
        // Whatever became of it, it is taken off the queue for the spine.
        self.publish_logged();
        on_disk?;
        self.store.note_taken(rows.len());
        Ok(())
    }

    /// Removes a row that is too large to be told.
    fn take_silently(&self, row: &ExpiredRow) -> Result<(), TakeError> {
        let ExpiredRow { table, hash, sort, .. } = row;
        warn!(table, hash, sort, "a row whose time is over is too large for a record: no rule is told");
        let mut record = Record::default();
        removes(row, &mut record);
        self.append_patiently(record, None)?.wait()?;
        Ok(())
    }
}

/// Has a record remove a row, if it is still what it was.
fn removes(row: &ExpiredRow, record: &mut Record) {
    let ExpiredRow { table, hash, sort, version, .. } = row.clone();
    record.writes.push(Write::delete(&table, &hash, &sort));
    record.ended.push(ReadCheck { table, hash, sort, version: Some(version) });
}
