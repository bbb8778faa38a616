//! JSON in and out of rules, without a tree of its own in between: values of scripts, and parts of a text where they stand.

mod read;
mod scan;
mod text;
mod write;

pub(crate) use read::read;
pub(crate) use scan::{RawText, ScanError, Scanner};
pub(crate) use text::write_text;
pub(crate) use write::{Raw, write};

/// How deep arrays and maps may lie in each other, both ways: reading and writing recurse. What lies deeper does not count as JSON.
pub(crate) const DEPTH_MAX: usize = 64;
