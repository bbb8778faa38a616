//! What may happen to a server in the model: a script is a list of steps.
//!
//! ```text
//! script  = (tag:u8 who:u8 …)*        tag and who modulo how many there are; what is missing at the end is 0
//! message = topic | qos << 2 | retain << 4 | empty << 5
//! wanted  = filter:u8 options:u8      options as in SUBSCRIBE
//! ```

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
    /// Bytes of any kind on a connection, which then ends. Nothing is compared in a script that has this.
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

/// Steps read of one script at most.
const STEPS_MAX: usize = 50;
/// Bytes of one raw step at most.
const RAW_MAX: usize = 200;

/// Reads a script from any bytes.
pub(super) fn read(bytes: &[u8]) -> Vec<Step> {
    let mut bytes = Bytes(bytes);
    let mut steps = Vec::new();
    while !bytes.0.is_empty() && steps.len() < STEPS_MAX {
        steps.push(bytes.step());
    }
    steps
}

struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn step(&mut self) -> Step {
        let (tag, who) = (self.next() % 16, self.next());
        match tag {
            0 => self.connect(who),
            1 => {
                let count = self.next() % 3 + 1;
                let filters = (0..count).map(|_| self.wanted()).collect();
                Step::Subscribe { who, filters, id: Some(u32::from(self.next())).filter(|id| *id > 0) }
            }
            2 => Step::Unsubscribe { who, filter: self.next() },
            3 => {
                let count = self.next() % 6 + 1;
                Step::Publish { who, messages: (0..count).map(|_| self.message()).collect() }
            }
            4 => Step::Ack { who, which: self.next() },
            5 => Step::AckAll { who, backwards: self.next() & 1 == 1 },
            6 => Step::Repeat { who },
            7 => Step::Release { who },
            8 => {
                let flags = self.next();
                Step::Disconnect { who, with_will: flags & 1 == 1, ends_session: flags & 2 == 2 }
            }
            9 => Step::Cut { who },
            10 => Step::Advance { seconds: self.next() },
            11 => Step::Keep,
            12 => Step::Restart,
            13 => Step::Kill,
            14 => Step::Settle,
            _ => {
                let len = usize::from(self.next()).min(RAW_MAX).min(self.0.len());
                let (raw, rest) = self.0.split_at(len);
                self.0 = rest;
                Step::Raw { who, bytes: raw.to_vec() }
            }
        }
    }

    fn connect(&mut self, who: u8) -> Step {
        let (flags, expiry, receive_max) = (self.next(), self.next(), u16::from(self.next()));
        let will = (flags & 4 == 4).then(|| self.message());
        Step::Connect { who, v5: flags & 1 == 1, clean: flags & 2 == 2, expiry, receive_max, will }
    }

    fn message(&mut self) -> Message {
        let bits = self.next();
        let retain = bits & 16 == 16;
        Message { topic: bits & 3, qos: bits >> 2 & 3, retain, empty: retain && bits & 32 == 32 }
    }

    fn wanted(&mut self) -> Wanted {
        let (filter, options) = (self.next(), self.next());
        let (no_local, as_published) = (options & 4 == 4, options & 8 == 8);
        Wanted { filter, qos: options & 3, no_local, as_published, handling: options >> 4 & 3 }
    }
}
