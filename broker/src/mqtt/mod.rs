//! MQTT: listeners, packets, sessions, and the spine that carries every message.

pub mod codec;
mod envelope;
pub mod listen;
mod session;
mod spine;

pub use codec::{QoS, Reason};
pub use envelope::{Envelope, EnvelopeBuilder, Interest, Marks, Message, NotAnEnvelope, Origin, SERVER};
pub use session::{
    Hub, HubParts, Ingress, LIFECYCLE_PREFIX, LifecycleEvent, LogRefused, Logged, OutboxLimits, Peer,
    SessionLimits, serve,
};
pub use spine::{Deliver, ReaderOptions, RouterSpine, SharedSpine, Spine, SpineOptions, SpineStats};
