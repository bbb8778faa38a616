//! Writes groups of records to the last segment, begins new ones, and repairs the end after a disk refused.

use std::io;
use std::sync::Arc;

use super::super::disk::{Disk, DiskFile};
use super::super::record::Seq;
use super::format::{HEADER_BYTES, Header, seal};
use super::path;
use super::segments::{Segment, Segments};

/// A group's buffer is given back to the allocator above this, so that one large record is not paid for ever.
const BUFFER_BYTES_KEPT: usize = 4 << 20;

/// When a segment is closed.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Limits {
    pub(in super::super) segment_bytes: u64,
    /// A segment that was begun longer ago than this is closed, so that a slow log ages in parts.
    pub(in super::super) segment_age_ms: u64,
}

/// The log's end. Only the commit thread has it.
pub(in super::super) struct Writer {
    disk: Arc<dyn Disk>,
    segments: Arc<Segments>,
    limits: Limits,
    file: Box<dyn DiskFile>,
    /// The segment with all that is written to it; the shared one knows only what is synced.
    written: Segment,
    /// The last record on disk.
    synced: Seq,
    buffer: Vec<u8>,
}

impl Writer {
    /// Goes on where the recovered log ends. `end` is the last record there is.
    pub(in super::super) fn open(
        disk: Arc<dyn Disk>,
        segments: Arc<Segments>,
        limits: Limits,
        end: Seq,
        now_ms: u64,
    ) -> io::Result<Self> {
        let last = segments.lock().back().cloned();
        let (file, written) = if let Some(last) = last {
            (disk.open(&path(&segments.directory, last.first))?, last)
        } else {
            let (file, segment) = begin(&*disk, &segments, end + 1, end, now_ms)?;
            segments.lock().push_back(segment.clone());
            (file, segment)
        };
        Ok(Writer { disk, segments, limits, file, written, synced: end, buffer: Vec::new() })
    }

    /// Writes frames, the first of which is record `first`, in one call. They are not on disk before [`Self::sync`].
    pub(in super::super) fn write(
        &mut self,
        first: Seq,
        frames: &mut [Vec<u8>],
        now_ms: u64,
    ) -> io::Result<()> {
        let aged = now_ms.saturating_sub(self.written.created_ms) > self.limits.segment_age_ms;
        let full = self.written.bytes >= self.limits.segment_bytes;
        if (aged || full) && self.written.last >= self.written.first {
            self.sync()?;
            self.begin_segment(first, now_ms)?;
        }
        let mut settled = self.synced == self.written.last;
        let mut seq = first;
        self.buffer.clear();
        for frame in frames.iter_mut() {
            seal(frame, self.written.salt, seq, settled);
            self.written.mark(seq, self.written.bytes + self.buffer.len() as u64);
            self.buffer.extend_from_slice(frame);
            settled = false;
            seq += 1;
        }
        self.file.append(&self.buffer)?;
        self.written.bytes += self.buffer.len() as u64;
        self.written.last = seq - 1;
        if self.buffer.capacity() > BUFFER_BYTES_KEPT {
            self.buffer = Vec::new();
        }
        Ok(())
    }

    /// Puts everything written on disk and returns the last record of it.
    pub(in super::super) fn sync(&mut self) -> io::Result<Seq> {
        if self.synced != self.written.last {
            self.file.sync_data()?;
            self.synced = self.written.last;
            self.publish();
        }
        Ok(self.synced)
    }

    /// After a refused write or sync: cuts off what was not synced and begins a new segment for record `next`, whatever
    /// the state of the old file's cached pages is.
    pub(in super::super) fn repair(&mut self, next: Seq, now_ms: u64) -> io::Result<()> {
        let durable = {
            let list = self.segments.lock();
            list.back().cloned()
        };
        let Some(durable) = durable else { return Err(io::Error::other("the log has no segment")) };
        let file_path = path(&self.segments.directory, durable.first);
        let file = self.disk.open(&file_path)?;
        file.truncate(durable.bytes)?;
        file.sync_data()?;
        self.synced = durable.last;
        self.written = durable;
        self.file = file;
        if self.written.first == next { Ok(()) } else { self.begin_segment(next, now_ms) }
    }

    fn begin_segment(&mut self, first: Seq, now_ms: u64) -> io::Result<()> {
        let (file, segment) = begin(&*self.disk, &self.segments, first, self.written.last, now_ms)?;
        self.segments.lock().push_back(segment.clone());
        self.file = file;
        self.synced = segment.last;
        self.written = segment;
        Ok(())
    }

    /// Tells the readers of what is now on disk.
    fn publish(&self) {
        if let Some(last) = self.segments.lock().back_mut() {
            // Marks only grow at the end, but cloning them all for each group would make a long segment slow.
            last.last = self.written.last;
            last.bytes = self.written.bytes;
            last.adopt_marks(&self.written);
        }
    }
}

/// Makes a segment whose header is on disk, and its name too, before anything follows it.
fn begin(
    disk: &dyn Disk,
    segments: &Segments,
    first: Seq,
    after: Seq,
    now_ms: u64,
) -> io::Result<(Box<dyn DiskFile>, Segment)> {
    let header = Header::new(first, after, now_ms);
    let file = disk.create(&path(&segments.directory, first))?;
    file.append(&header.encode())?;
    file.sync_data()?;
    disk.sync_dir(&segments.directory)?;
    Ok((file, Segment::new(header.salt, first, now_ms, HEADER_BYTES as u64)))
}
