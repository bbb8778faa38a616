//! JSON in and out of scripts, without a tree of its own in between.

mod read;
mod write;

pub(crate) use read::read;
pub(crate) use write::{Raw, write};

/// How deep arrays and maps may lie in each other, both ways: reading and writing recurse.
const DEPTH_MAX: usize = 64;
