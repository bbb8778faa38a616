//! Reads the log at start: every record is checked, a torn tail is cut, and damage to anything older is an error.

use std::collections::VecDeque;
use std::path::Path;

use tracing::warn;

use super::super::disk::{Disk, DiskFile, read_full};
use super::super::error::OpenError;
use super::super::record::Seq;
use super::format::{FORMAT, HEADER_BYTES, Header, HeaderError};
use super::frames::{Frames, Step};
use super::segments::{Segment, Segments};
use super::{parse_name, path};

/// Reads and repairs the log in `directory`, which is made if it is missing. What it returns is on disk.
pub(in super::super) fn recover(disk: &dyn Disk, directory: &Path) -> Result<Segments, OpenError> {
    disk.create_dir(directory).map_err(OpenError::io("created", directory))?;
    let names = disk.list(directory).map_err(OpenError::io("listed", directory))?;
    let mut firsts: Vec<Seq> = names.iter().filter_map(|name| parse_name(name)).collect();
    firsts.sort_unstable();
    let mut list: VecDeque<Segment> = VecDeque::new();
    for (index, &first) in firsts.iter().enumerate() {
        let is_last = index + 1 == firsts.len();
        let before = list.back().map(|segment| segment.last);
        let found = if is_last {
            read_last(disk, directory, first, before)?
        } else {
            Some(read_sealed(disk, directory, first, before)?)
        };
        list.extend(found);
    }
    // A kill leaves the last records in the page cache only. They count from now on, so they must be on disk.
    disk.sync_dir(directory).map_err(OpenError::io("synced", directory))?;
    Ok(Segments::new(directory.to_owned(), list))
}

fn read_sealed(
    disk: &dyn Disk,
    directory: &Path,
    first: Seq,
    before: Option<Seq>,
) -> Result<Segment, OpenError> {
    let path = path(directory, first);
    let file = disk.open(&path).map_err(OpenError::io("opened", &path))?;
    let header = read_header(&*file, &path, first, before)?;
    let (segment, frames, whole) = scan(file, header, &path)?;
    if whole {
        Ok(segment)
    } else {
        Err(corrupt(&path, frames.offset(), format!("record {} is not readable", frames.next_seq())))
    }
}

/// Reads the segment that was being written; `None` if it had only just been begun.
fn read_last(
    disk: &dyn Disk,
    directory: &Path,
    first: Seq,
    before: Option<Seq>,
) -> Result<Option<Segment>, OpenError> {
    let path = path(directory, first);
    let file = disk.open(&path).map_err(OpenError::io("opened", &path))?;
    let size = file.size().map_err(OpenError::io("read", &path))?;
    let header = match read_header(&*file, &path, first, before) {
        Ok(header) => header,
        // A header is on disk before any record follows it, so a file this short holds nothing anybody was promised.
        Err(OpenError::Corrupt { .. }) if size <= HEADER_BYTES as u64 => {
            warn!(path = %path.display(), "removed a log segment that had only been begun");
            drop(file);
            disk.remove(&path).map_err(OpenError::io("removed", &path))?;
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let (segment, mut frames, whole) = scan(file, header, &path)?;
    if !whole {
        if frames.lost_durable().map_err(OpenError::io("read", &path))? {
            let what = format!("record {} was on disk once and is not readable", frames.next_seq());
            return Err(corrupt(&path, frames.offset(), what));
        }
        warn!(path = %path.display(), from = segment.bytes, until = size, "cut the torn tail of the log");
    }
    let file = frames.into_file();
    if !whole {
        file.truncate(segment.bytes).map_err(OpenError::io("cut", &path))?;
    }
    file.sync_data().map_err(OpenError::io("synced", &path))?;
    Ok(Some(segment))
}

fn read_header(
    file: &dyn DiskFile,
    path: &Path,
    first: Seq,
    before: Option<Seq>,
) -> Result<Header, OpenError> {
    let mut bytes = [0; HEADER_BYTES];
    let length = read_full(file, 0, &mut bytes).map_err(OpenError::io("read", path))?;
    let header = match Header::decode(&bytes[..length]) {
        Ok(header) => header,
        Err(HeaderError::Newer(found)) => {
            return Err(OpenError::Newer { path: path.to_owned(), found, known: FORMAT });
        }
        Err(HeaderError::Garbled) => return Err(corrupt(path, 0, "its header is not readable".to_owned())),
    };
    if header.first != first {
        return Err(corrupt(path, 0, format!("its header says it starts at record {}", header.first)));
    }
    match before {
        Some(last) if last != header.after => {
            let what = format!("it follows record {}, but the log before it ends at {last}", header.after);
            Err(corrupt(path, 0, what))
        }
        _ => Ok(header),
    }
}

/// Checks every frame. Returns the good part, the cursor behind it, and whether that is the whole file.
fn scan(file: Box<dyn DiskFile>, header: Header, path: &Path) -> Result<(Segment, Frames, bool), OpenError> {
    let mut segment = Segment::new(header.salt, header.first, header.created_ms, HEADER_BYTES as u64);
    let mut frames = Frames::new(file, header.salt, header.first, HEADER_BYTES as u64);
    loop {
        match frames.step().map_err(OpenError::io("read", path))? {
            Step::Frame { seq, offset, .. } => {
                segment.mark(seq, offset);
                segment.last = seq;
                segment.bytes = frames.offset();
            }
            Step::End => return Ok((segment, frames, true)),
            Step::Bad => return Ok((segment, frames, false)),
        }
    }
}

fn corrupt(path: &Path, offset: u64, what: String) -> OpenError {
    OpenError::Corrupt { path: path.to_owned(), offset, what }
}
