//! What sets rules off: messages, events, changes of rows, batches and times, on their way into the log and to the workers.

pub(super) mod batches;
pub(super) mod bus;
pub(super) mod changes;
pub(super) mod expiry;
pub(super) mod ingest;
pub(super) mod order;
pub(super) mod put_aside;
pub(super) mod recover;
pub(super) mod route;
pub(super) mod times;
pub(super) mod wanted;
