//! MQTT: listeners, packets, sessions, and the spine that carries every message.

pub mod codec;
mod envelope;
pub mod listen;
mod session;
mod spine;
pub mod sys;

pub use codec::{QoS, Reason};
pub use envelope::{Envelope, EnvelopeBuilder, Interest, Marks, Message, NotAnEnvelope, Origin, SERVER};
pub use session::{
    Figures, Hub, HubParts, Ingress, LIFECYCLE_PREFIX, LifecycleEvent, LogRefused, Logged, OutboxLimits,
    Peer, Publication, RetainedLimits, RetainedStats, SessionLimits, serve,
};
pub use spine::{Deliver, RouterSpine, SharedSpine, Spine, SpineOptions, SpineStats};
