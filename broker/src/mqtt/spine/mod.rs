//! The spine: one ordered stream of envelopes between the edge, the rules and the APIs.
//!
//! This trait is the seam where a cluster's stream takes the place of the router in this process.

mod router;

use std::sync::Arc;

use super::envelope::Envelope;

pub use router::{RouterSpine, SpineOptions};

/// Gets every envelope, in the order of publication and once; runs on a thread of its own reader.
pub type Deliver = Box<dyn FnMut(&[Envelope]) + Send>;

/// A bounded, ordered stream with a cursor for each reader.
pub trait Spine: Send + Sync + 'static {
    /// Adds an envelope at the end of the stream.
    fn publish(&self, envelope: Envelope);

    /// Whether the slowest reader is so far behind that publishers should wait.
    fn is_lagging(&self) -> bool;

    /// Resolves once the stream is not lagging.
    fn caught_up(&self) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>>;

    /// Adds a reader, which gets what is published from now on.
    fn attach(&self, name: &'static str, deliver: Deliver);

    /// What there is to watch.
    fn stats(&self) -> SpineStats;
}

/// A spine, shared.
pub type SharedSpine = Arc<dyn Spine>;

/// Figures of the spine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpineStats {
    /// Envelopes published.
    pub published: u64,
    /// Bytes that some reader has not read yet.
    pub lag_bytes: u64,
    /// Envelopes that a reader found missing in the router and took from the spine's own memory.
    pub refilled: u64,
    /// Times the router's thread was started again.
    pub restarts: u64,
}
