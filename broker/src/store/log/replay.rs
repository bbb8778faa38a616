//! Reads records back from the log, in order, from any place that is still there.

use std::io;
use std::sync::Arc;

use super::super::disk::Disk;
use super::super::error::ReadError;
use super::super::record::{Record, Seq};
use super::format::HEADER_BYTES;
use super::frames::{Frames, Step, WINDOW_BYTES};
use super::path;
use super::segments::{Segment, Segments};

/// The records on disk from one place to another, in order. Each is read when it is asked for, so a segment that the
/// limits drop meanwhile ends it with [`ReadError::Dropped`].
pub struct Replay {
    disk: Arc<dyn Disk>,
    segments: Arc<Segments>,
    next: Seq,
    end: Seq,
    open: Option<Open>,
}

struct Open {
    first: Seq,
    last: Seq,
    frames: Frames,
}

impl Replay {
    /// From `from`, or the oldest there is for 0, to the last record on disk now.
    pub(in super::super) fn new(
        disk: Arc<dyn Disk>,
        segments: Arc<Segments>,
        from: Seq,
    ) -> Result<Replay, ReadError> {
        let (first, end) = {
            let list = segments.lock();
            (list.front().map_or(1, |segment| segment.first), list.back().map_or(0, |segment| segment.last))
        };
        if from != 0 && from < first {
            return Err(ReadError::Dropped { asked: from, first });
        }
        Ok(Replay { disk, segments, next: from.max(first), end, open: None })
    }

    /// The last record this will return.
    pub fn end(&self) -> Seq {
        self.end
    }

    /// Goes on with record `seq`, if that lies ahead, and reads little of what lies between.
    pub fn skip_to(&mut self, seq: Seq) {
        self.next = self.next.max(seq);
        let Some(open) = &self.open else { return };
        let list = self.segments.lock();
        let segment = list.iter().find(|segment| segment.first == open.first);
        let place = segment.and_then(|segment| segment.place_before(self.next));
        // What the window may hold is passed over sooner than found anew.
        let is_far = place.is_some_and(|(_, offset)| offset > open.frames.offset() + WINDOW_BYTES as u64);
        if is_far || self.next > open.last {
            drop(list);
            self.open = None;
        }
    }

    fn read(&mut self) -> Result<Option<(Seq, Record)>, ReadError> {
        loop {
            let open = match self.open.take() {
                Some(open) => open,
                None if self.next > self.end => return Ok(None),
                None => match self.open_segment()? {
                    Some(open) => open,
                    None => return Ok(None),
                },
            };
            let (first, last) = (open.first, open.last);
            let open = self.open.insert(open);
            if open.frames.next_seq() > last.min(self.end) {
                self.next = self.next.max(last + 1);
                self.open = None;
                continue;
            }
            let failed = |source| ReadError::Io { path: path(&self.segments.directory, first), source };
            match open.frames.step().map_err(failed)? {
                Step::Frame { seq, .. } if seq < self.next => {}
                Step::Frame { seq, offset, body } => {
                    self.next = seq + 1;
                    let corrupt =
                        || ReadError::Corrupt { path: path(&self.segments.directory, first), offset };
                    return Ok(Some((seq, Record::decode(body).ok_or_else(corrupt)?)));
                }
                Step::Bad | Step::End => {
                    let offset = open.frames.offset();
                    return Err(ReadError::Corrupt { path: path(&self.segments.directory, first), offset });
                }
            }
        }
    }

    /// Opens the segment that holds the next record, or the first behind it where places were skipped.
    fn open_segment(&mut self) -> Result<Option<Open>, ReadError> {
        let segment: Option<Segment> = {
            let list = self.segments.lock();
            let first = list.front().map_or(1, |segment| segment.first);
            if self.next < first {
                return Err(ReadError::Dropped { asked: self.next, first });
            }
            list.iter().find(|segment| segment.last >= self.next).cloned()
        };
        let Some(segment) = segment else { return Ok(None) };
        let path = path(&self.segments.directory, segment.first);
        let file = match self.disk.open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ReadError::Dropped { asked: self.next, first: segment.last + 1 });
            }
            Err(source) => return Err(ReadError::Io { path, source }),
        };
        let (seq, offset) = segment.place_before(self.next).unwrap_or((segment.first, HEADER_BYTES as u64));
        let frames = Frames::new(file, segment.salt, seq, offset);
        Ok(Some(Open { first: segment.first, last: segment.last, frames }))
    }
}

impl Iterator for Replay {
    type Item = Result<(Seq, Record), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.read().transpose();
        if matches!(item, Some(Err(_))) {
            // An error ends the iteration: what follows could not be told from what is missing.
            self.next = self.end + 1;
            self.open = None;
        }
        item
    }
}
