//! What is known of the log's segments: their records, sizes and ages, and which of them may go.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::disk::Disk;
use super::super::record::Seq;

/// A place in a segment is remembered about this often, so that a reader need not start at its beginning.
const MARK_BYTES: u64 = 64 << 10;

/// The durable part of the log, shared by the writer, the readers and the one who drops old segments.
pub(in super::super) struct Segments {
    pub(super) directory: PathBuf,
    list: Mutex<VecDeque<Segment>>,
}

/// One segment; everything said of it is on disk.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) salt: u32,
    pub(super) first: Seq,
    /// The last record in it; `first - 1` while it has none.
    pub(super) last: Seq,
    pub(super) bytes: u64,
    pub(super) created_ms: u64,
    marks: Vec<(Seq, u64)>,
}

/// What one round of dropping did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Dropped {
    pub(in super::super) segments: u64,
    /// Of these, how many held records that a reader still needed.
    pub(in super::super) held: u64,
    /// The limits would drop more, but no export covers it yet.
    pub(in super::super) export_wanted: bool,
}

impl Segment {
    pub(super) fn new(salt: u32, first: Seq, created_ms: u64, bytes: u64) -> Self {
        Segment { salt, first, last: first - 1, bytes, created_ms, marks: Vec::new() }
    }

    /// Remembers where record `seq` starts, if the last place remembered is far enough back.
    pub(super) fn mark(&mut self, seq: Seq, offset: u64) {
        if self.marks.last().is_none_or(|(_, last)| offset >= last + MARK_BYTES) {
            self.marks.push((seq, offset));
        }
    }

    /// Takes over the places that `longer`, the same segment written further, remembers.
    pub(super) fn adopt_marks(&mut self, longer: &Segment) {
        self.marks.extend_from_slice(&longer.marks[self.marks.len()..]);
    }

    /// A record at or before `seq` and where it starts.
    pub(super) fn place_before(&self, seq: Seq) -> Option<(Seq, u64)> {
        let behind = self.marks.partition_point(|(marked, _)| *marked <= seq);
        behind.checked_sub(1).map(|index| self.marks[index])
    }
}

impl Segments {
    pub(super) fn new(directory: PathBuf, list: VecDeque<Segment>) -> Self {
        Segments { directory, list: Mutex::new(list) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, VecDeque<Segment>> {
        // Nothing that is done under this lock can leave the list half changed.
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The oldest record there is, or the one to come where there is none.
    pub(in super::super) fn first(&self) -> Seq {
        self.lock().front().map_or(1, |segment| segment.first)
    }

    /// When the oldest segment was begun.
    pub(in super::super) fn oldest_ms(&self) -> Option<u64> {
        self.lock().front().map(|segment| segment.created_ms)
    }

    /// The last record on disk, or 0 where there is none.
    pub(in super::super) fn end(&self) -> Seq {
        self.lock().back().map_or(0, |segment| segment.last)
    }

    /// The bytes of all segments and their number.
    pub(in super::super) fn size(&self) -> (u64, usize) {
        let list = self.lock();
        (list.iter().map(|segment| segment.bytes).sum(), list.len())
    }

    /// The bytes of the segments that hold records behind `seq`; at least what was written since.
    pub(in super::super) fn bytes_after(&self, seq: Seq) -> u64 {
        let list = self.lock();
        list.iter()
            .filter(|segment| segment.last > seq)
            .map(|segment| {
                let before = segment.place_before(seq).map_or(0, |(_, offset)| offset);
                segment.bytes - before.min(segment.bytes)
            })
            .sum()
    }

    /// Drops whole segments from the old end that are over the limits and behind the export. The last always stays.
    pub(in super::super) fn drop_old(
        &self,
        disk: &dyn Disk,
        keep: &Keep,
    ) -> (Dropped, Result<(), (PathBuf, io::Error)>) {
        let mut dropped = Dropped::default();
        loop {
            let victim = {
                let list = self.lock();
                let bytes: u64 = list.iter().map(|segment| segment.bytes).sum();
                let Some((oldest, next)) = list.front().zip(list.get(1)) else { return (dropped, Ok(())) };
                // No record of a segment is younger than the beginning of the next.
                let too_old = keep.now_ms.saturating_sub(next.created_ms) > keep.age_max_ms;
                if bytes <= keep.bytes_max && !too_old {
                    return (dropped, Ok(()));
                }
                if oldest.last > keep.exported {
                    dropped.export_wanted = true;
                    return (dropped, Ok(()));
                }
                oldest.clone()
            };
            // Removed before it is forgotten: if the removal fails, the next round tries again.
            let path = super::path(&self.directory, victim.first);
            if let Err(error) = remove(disk, &path, &self.directory) {
                return (dropped, Err((path, error)));
            }
            self.lock().pop_front();
            dropped.segments += 1;
            if victim.last >= keep.held_from {
                dropped.held += 1;
            }
        }
    }
}

/// What [`Segments::drop_old`] must keep to.
pub(in super::super) struct Keep {
    pub(in super::super) exported: Seq,
    pub(in super::super) held_from: Seq,
    pub(in super::super) now_ms: u64,
    pub(in super::super) bytes_max: u64,
    pub(in super::super) age_max_ms: u64,
}

/// Segments go one by one, each removal on disk before the next, so that a crash never leaves a hole in the chain.
fn remove(disk: &dyn Disk, path: &Path, directory: &Path) -> io::Result<()> {
    match disk.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => disk.sync_dir(directory),
    }
}
