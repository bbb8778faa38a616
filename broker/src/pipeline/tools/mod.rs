//! What surrounds rules: events on which they failed, drafts, replays, explanations.

pub(super) mod bus_replay;
pub(super) mod compare;
pub(super) mod dead_letters;
pub(super) mod explain;
pub(super) mod replay;
pub(super) mod shadow;
