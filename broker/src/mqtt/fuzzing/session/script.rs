//! What may happen to a server in the model: a script is a list of steps.

/// The clients.
pub(super) const CLIENTS: [&str; 4] = ["c0", "c1", "c2", "c3"];
/// What they publish to.
pub(super) const TOPICS: [&str; 4] = ["a", "a/b", "a/c", "b"];
/// What they subscribe to.
pub(super) const FILTERS: [&str; 10] =
    ["a", "a/b", "a/+", "a/#", "#", "b", "+", "$share/g/a/#", "$share/h/a/#", "$share/g/b"];
/// How long sessions outlive their connections, in seconds.
pub(super) const EXPIRIES: [u32; 4] = [0, 60, 60, u32::MAX];

/// One step. Numbers that choose among few things are taken modulo how many there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Connects, or takes its own connection over.
    Connect {
        who: u8,
        v5: bool,
        clean: bool,
        expiry: u8,
        receive_max: u16,
        will: Option<Message>,
    },
    /// Subscribes to several filters in one packet.
    Subscribe {
        who: u8,
        filters: Vec<Wanted>,
        id: Option<u32>,
    },
    Unsubscribe {
        who: u8,
        filter: u8,
    },
    /// Publishes several messages in one write.
    Publish {
        who: u8,
        messages: Vec<Message>,
    },
    /// Acknowledges one of the publishes that came, or the release of one.
    Ack {
        who: u8,
        which: u8,
    },
    /// Acknowledges all that came, in the order of packet ids or against it.
    AckAll {
        who: u8,
        backwards: bool,
    },
    /// Publishes a message of QoS 2 again that was not released.
    Repeat {
        who: u8,
    },
    /// Releases what was published with QoS 2 and is received.
    Release {
        who: u8,
    },
    /// Says DISCONNECT.
    Disconnect {
        who: u8,
        with_will: bool,
        ends_session: bool,
    },
    /// Closes the transport without a word.
    Cut {
        who: u8,
    },
    /// Lets seconds pass.
    Advance {
        seconds: u8,
    },
    /// Has the server do what it does now and then.
    Keep,
    /// Ends the server in order and starts it again.
    Restart,
    /// Ends the server without a word and starts it again.
    Kill,
    /// Waits until everything has arrived.
    Settle,
    /// Bytes of any kind on a connection.
    Raw {
        who: u8,
        bytes: Vec<u8>,
    },
}

/// A message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) topic: u8,
    pub(super) qos: u8,
    pub(super) retain: bool,
    /// Its payload is empty.
    pub(super) empty: bool,
}

/// A filter with its options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) filter: u8,
    pub(super) qos: u8,
    pub(super) no_local: bool,
    pub(super) as_published: bool,
    pub(super) handling: u8,
}

/// One of few things.
pub(super) fn of<T: Copy>(things: &[T], which: u8) -> T {
    things[usize::from(which) % things.len()]
}
