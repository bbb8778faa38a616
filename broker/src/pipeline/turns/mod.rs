//! The work of rules: lanes keep what must stay in order, and what a worker runs in one turn is one record.

pub(super) mod act;
pub(super) mod boards;
pub(super) mod lanes;
pub(super) mod progress;
pub(super) mod room;
pub(super) mod rows;
pub(super) mod send;
pub(super) mod snapshot;
pub(super) mod turn;
pub(super) mod unit;
pub(super) mod worker;
