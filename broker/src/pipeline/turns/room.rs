//! Whether what a run asks for has room in a record of the log: it is refused where it is asked for, as the store would
//! refuse the whole.

use super::act::Commit;
use crate::mqtt::BuilderMark;
use crate::store::StoreOptions;

/// Bytes of a record that are for what is noted beside what a run asks for, such as which messages it has handled.
const NOTES_BYTES: usize = 256 * 1024;

/// The most that a run may add to a record, and a letter of an event on which it failed.
pub(in crate::pipeline) fn bytes_max(options: &StoreOptions) -> usize {
    options.record_bytes_max.saturating_sub(NOTES_BYTES)
}

/// What a run adds to a record.
pub(super) struct Room {
    /// How many writes are counted.
    writes: usize,
    write_bytes: usize,
    /// What the commit published before what is not counted yet.
    publishes: BuilderMark,
    publish_bytes: usize,
    /// What is published is part of the record.
    is_kept: bool,
}

impl Room {
    /// That of a run that begins.
    pub(super) fn new(commit: &Commit) -> Room {
        let (writes, publishes) = (commit.writes.len(), commit.publishes.mark());
        Room { writes, write_bytes: 0, publishes, publish_bytes: 0, is_kept: false }
    }

    /// Counts what the run has added to the commit since the last time.
    pub(super) fn take(&mut self, commit: &Commit, options: &StoreOptions) -> Result<(), String> {
        for write in &commit.writes[self.writes..] {
            let (table, hash, sort) = write.row();
            let (bytes, bytes_max) = (table.len() + hash.len() + sort.len(), options.key_bytes_max);
            if bytes > bytes_max {
                return Err(format!(
                    "the names of a row of {table} take {bytes} bytes: at most {bytes_max} are allowed"
                ));
            }
            self.write_bytes += write.size_hint();
        }
        self.writes = commit.writes.len();
        let added = commit.publishes.added_since(&self.publishes);
        self.publishes = commit.publishes.mark();
        // What is retained is a row, too.
        self.publish_bytes += added.bytes + added.retained_bytes;
        self.is_kept |= added.is_kept;
        let bytes = self.write_bytes + if self.is_kept { self.publish_bytes } else { 0 };
        let bytes_max = bytes_max(options);
        if bytes > bytes_max {
            return Err(format!(
                "all that is asked for takes {bytes} bytes: at most {bytes_max} are kept at once"
            ));
        }
        Ok(())
    }
}
