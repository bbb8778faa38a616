//! Which rules are active: their files, their versions, and how one takes the place of another.

pub(super) mod activate;
pub(super) mod active;
pub(super) mod past;
pub(super) mod versions;
pub(super) mod watch;
