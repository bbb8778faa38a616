//! The write-ahead log: segments of checked records, the one place where acknowledgements come from.

mod format;
mod frames;
mod recover;
mod replay;
mod segments;
mod writer;

pub(super) use format::frame;
pub(super) use recover::recover;
pub use replay::Replay;
pub(super) use segments::{Keep, Segments};
pub(super) use writer::{Limits, Writer};

use std::path::{Path, PathBuf};

use super::record::Seq;

/// Bytes that a frame's head adds to a body.
pub(super) const FRAME_OVERHEAD_BYTES: usize = format::FRAME_BYTES;

/// The directory of the segments, inside the store's own.
pub(super) fn directory(store: &Path) -> PathBuf {
    store.join("log")
}

/// A segment's path: its first record, in as many digits as the largest number has, so that names sort by place.
fn path(directory: &Path, first: Seq) -> PathBuf {
    directory.join(format!("{first:020}.log"))
}

fn parse_name(name: &str) -> Option<Seq> {
    let digits = name.strip_suffix(".log").filter(|digits| digits.len() == 20)?;
    digits.parse().ok()
}
