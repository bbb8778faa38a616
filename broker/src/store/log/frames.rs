//! Reads the frames of one segment in order and says where they stop being right.

use std::io;

use bytes::Bytes;

use super::super::disk::{DiskFile, read_full};
use super::super::record::Seq;
use super::format::{FRAME_BYTES, HEADER_BYTES, Head};

/// Bytes that are read at once.
pub(super) const WINDOW_BYTES: usize = 256 << 10;

/// A cursor over the frames of a segment.
pub(super) struct Frames {
    file: Box<dyn DiskFile>,
    salt: u32,
    next: Seq,
    /// Where in the file `window[at]` is.
    offset: u64,
    window: Vec<u8>,
    at: usize,
}

/// What stands at the cursor.
pub(super) enum Step {
    /// A good frame, the next in line.
    Frame { seq: Seq, offset: u64, body: Bytes },
    /// The file ends here, cleanly.
    End,
    /// These bytes are no frame, or not the next one.
    Bad,
}

impl Frames {
    /// Reads from `offset`, where record `next` is expected.
    pub(super) fn new(file: Box<dyn DiskFile>, salt: u32, next: Seq, offset: u64) -> Self {
        debug_assert!(offset >= HEADER_BYTES as u64, "frames start behind the header");
        Frames { file, salt, next, offset, window: Vec::new(), at: 0 }
    }

    /// Where the next frame is, or should be.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The record expected next.
    pub(super) fn next_seq(&self) -> Seq {
        self.next
    }

    pub(super) fn into_file(self) -> Box<dyn DiskFile> {
        self.file
    }

    /// Reads one frame, and moves past it if it is good.
    pub(super) fn step(&mut self) -> io::Result<Step> {
        let there = self.fill(FRAME_BYTES)?;
        if there == 0 {
            return Ok(Step::End);
        }
        if there < FRAME_BYTES {
            return Ok(Step::Bad);
        }
        let head = Head::read(&self.window[self.at..]);
        if !head.is_plausible() || head.seq != self.next {
            return Ok(Step::Bad);
        }
        let length = FRAME_BYTES + head.length;
        if self.fill(length)? < length {
            return Ok(Step::Bad);
        }
        let frame = &self.window[self.at..self.at + length];
        if !head.matches(self.salt, frame) {
            return Ok(Step::Bad);
        }
        let body = Bytes::copy_from_slice(&frame[FRAME_BYTES..]);
        let offset = self.offset;
        self.offset += length as u64;
        self.at += length;
        self.next += 1;
        Ok(Step::Frame { seq: head.seq, offset, body })
    }

    /// Whether, behind a bad frame, there is a good one that was written when the bad one was already on disk. If so the
    /// bad one was once good, and may have been acknowledged.
    pub(super) fn lost_durable(&mut self) -> io::Result<bool> {
        let size = self.file.size()?;
        let length = usize::try_from(size.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let mut rest = vec![0; length];
        let length = read_full(&*self.file, self.offset, &mut rest)?;
        rest.truncate(length);
        let seq_most = self.next + (length / FRAME_BYTES) as u64;
        for at in 1..length.saturating_sub(FRAME_BYTES) {
            let head = Head::read(&rest[at..at + FRAME_BYTES]);
            let in_line = head.settled && head.seq > self.next && head.seq <= seq_most;
            if in_line
                && head.is_plausible()
                && at + FRAME_BYTES + head.length <= length
                && head.matches(self.salt, &rest[at..])
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes at least `wanted` bytes available at the cursor, if the file has them, and says how many there are.
    fn fill(&mut self, wanted: usize) -> io::Result<usize> {
        let there = self.window.len() - self.at;
        if there >= wanted {
            return Ok(there);
        }
        self.window.drain(..self.at);
        self.at = 0;
        self.window.resize(wanted.max(WINDOW_BYTES), 0);
        let read = read_full(&*self.file, self.offset + there as u64, &mut self.window[there..])?;
        self.window.truncate(there + read);
        Ok(there + read)
    }
}
