//! The spine: one ordered stream of envelopes between the edge, the rules and the APIs.
//!
//! This trait is the seam where a cluster's stream takes the place of the router in this process.

mod lane;
mod reader;
mod router;

use std::sync::Arc;

use super::envelope::Envelope;

pub use router::{RouterSpine, SpineOptions};

/// Gets every envelope its reader wants, in the order of publication and once; never entered by two threads at a time.
pub type Deliver = Box<dyn FnMut(&[Envelope]) + Send>;

/// What a reader is like.
#[derive(Debug, Clone, Copy)]
pub struct ReaderOptions {
    /// Publishers may deliver to it on their own thread, which saves the way through the router. For a reader that
    /// never waits for anything.
    pub inline: bool,
    /// What the reader is to get; must say the same of an envelope whenever it is asked.
    pub wants: fn(&Envelope) -> bool,
}

impl Default for ReaderOptions {
    fn default() -> Self {
        ReaderOptions { inline: false, wants: |_| true }
    }
}

/// A bounded, ordered stream with a cursor for each reader.
pub trait Spine: Send + Sync + 'static {
    /// Adds an envelope at the end of the stream. May deliver it before it returns, so the caller holds no lock that a
    /// reader takes: not the state of a session, the registry, the retained messages or the subscriptions.
    fn publish(&self, envelope: Envelope);

    /// Whether the slowest reader is so far behind that publishers should wait.
    fn is_lagging(&self) -> bool;

    /// Resolves once the stream is not lagging.
    fn caught_up(&self) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>>;

    /// Adds a reader, which gets what is published from now on.
    fn attach(&self, name: &'static str, options: ReaderOptions, deliver: Deliver);

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
    /// Bytes that the slowest reader has not read yet.
    pub lag_bytes: u64,
    /// Envelopes that went through the router, counted for each reader.
    pub routed: u64,
    /// Envelopes that a reader found missing in the router and took from the spine's own memory.
    pub refilled: u64,
    /// Times the router's thread was started again.
    pub restarts: u64,
}
