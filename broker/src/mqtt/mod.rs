//! MQTT: listeners, packets, sessions, and the spine that carries every message.

pub mod codec;
mod envelope;
#[doc(hidden)]
pub mod fuzzing;
pub mod listen;
mod reserved;
mod session;
mod spine;
pub mod sys;

pub use codec::{AlongError, QoS, Reason, encode_along};
pub use envelope::{
    BuilderMark, Envelope, EnvelopeBuilder, Interest, Marks, Message, NotAnEnvelope, Origin, SERVER,
};
pub(crate) use reserved::{is_for_rule, is_open, levels};
pub use session::{
    Begun, Entry, Figures, Hub, HubParts, Ingress, LIFECYCLE_PREFIX, LifecycleEvent, LogEnd, LogRefused,
    Logged, OutboxLimits, Peer, Progress, Publication, PublishRate, RECIPIENTS_MAX, RETAINED_TOPIC_BYTES_MAX,
    Receipt, Recipient, RetainedLimits, RetainedStats, SampleLimits, Sampled, SessionLimits, begin,
    envelope_of, retained_writes, serve,
};
pub use spine::{Deliver, ReaderOptions, RouterSpine, SharedSpine, Spine, SpineOptions, SpineStats};
