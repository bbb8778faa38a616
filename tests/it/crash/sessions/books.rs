//! What the clients know: what was sent, what of it was acknowledged, and who has heard what.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::tally::{Count, Faults};

/// What a publisher numbers by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stream {
    /// Messages of QoS 1.
    AtLeastOnce,
    /// Messages of QoS 2.
    ExactlyOnce,
    /// Retained messages, each in the place of the one before.
    Kept,
}

/// A message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Said {
    pub(super) stream: Stream,
    pub(super) publisher: u32,
    pub(super) number: u32,
}

impl Said {
    pub(super) fn topic(self) -> String {
        match self.stream {
            Stream::AtLeastOnce => format!("load/{}/1", self.publisher),
            Stream::ExactlyOnce => format!("load/{}/2", self.publisher),
            Stream::Kept => format!("kept/{}", self.publisher),
        }
    }

    /// Its level. Both levels are used for what is retained.
    pub(super) fn qos(self) -> u8 {
        match self.stream {
            Stream::AtLeastOnce => 1,
            Stream::ExactlyOnce => 2,
            Stream::Kept => 1 + u8::from(!self.publisher.is_multiple_of(2)),
        }
    }

    /// Reads topic and payload of a message that arrived.
    pub(super) fn of(topic: &str, payload: &[u8]) -> Option<Said> {
        let (stream, publisher) = match topic.split_once('/')? {
            ("kept", publisher) => (Stream::Kept, publisher),
            (_, rest) => match rest.split_once('/')? {
                (publisher, "1") => (Stream::AtLeastOnce, publisher),
                (publisher, _) => (Stream::ExactlyOnce, publisher),
            },
        };
        let number = std::str::from_utf8(payload).ok()?.trim_end_matches('.').parse().ok()?;
        Some(Said { stream, publisher: publisher.parse().ok()?, number })
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.topic(), self.number)
    }
}

/// The books of all clients.
#[derive(Default)]
pub(super) struct Books {
    pages: Mutex<Pages>,
    /// Messages that were acknowledged.
    pub(super) acknowledged: Count,
    /// Messages that have reached an application.
    pub(super) heard: Count,
    /// Messages and connections that the server has refused.
    pub(super) refused: Count,
    pub(super) faults: Faults,
}

#[derive(Debug, Default)]
pub(super) struct Pages {
    /// How many messages each stream has.
    sent: BTreeMap<(Stream, u32), u32>,
    pub(super) acknowledged: BTreeSet<Said>,
    /// By subscriber.
    pub(super) heard: BTreeMap<String, Heard>,
    /// What each subscriber does now.
    pub(super) doing: BTreeMap<&'static str, String>,
    /// Connections that were cut by their clients.
    pub(super) cuts: u64,
}

/// What one subscriber has heard.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// How often.
    pub(super) times: BTreeMap<Said, u32>,
    /// The last of each stream that came for the first time.
    newest: BTreeMap<(Stream, u32), u32>,
}

impl Books {
    /// The next message of a stream, from now on counted as sent.
    pub(super) fn next(&self, stream: Stream, publisher: u32) -> Said {
        let mut pages = self.pages();
        let number = pages.sent.entry((stream, publisher)).or_default();
        *number += 1;
        Said { stream, publisher, number: *number }
    }

    pub(super) fn acknowledge(&self, said: Said) {
        if !self.pages().acknowledged.insert(said) {
            self.faults.note(format!("{said} is acknowledged twice"));
        }
        self.acknowledged.raise();
    }

    /// Notes that a subscriber is shown a message which it was not shown before. `ordered` if it has to come behind all others.
    pub(super) fn meet(&self, subscriber: &str, said: Said, ordered: bool) {
        let mut pages = self.pages();
        let sent = pages.sent.get(&(said.stream, said.publisher)).copied().unwrap_or(0);
        if !(1..=sent).contains(&said.number) {
            self.faults.note(format!("{subscriber} has {said}, which nobody sent"));
        }
        let heard = pages.heard.entry(subscriber.to_owned()).or_default();
        if heard.times.contains_key(&said) {
            return;
        }
        let newest = heard.newest.entry((said.stream, said.publisher)).or_default();
        let before = std::mem::replace(newest, said.number.max(*newest));
        if ordered && before > said.number {
            self.faults.note(format!("{subscriber} has {said} behind number {before}"));
        }
    }

    /// Notes that a message has reached the application of a subscriber.
    pub(super) fn hear(&self, subscriber: &str, said: Said) {
        let mut pages = self.pages();
        *pages.heard.entry(subscriber.to_owned()).or_default().times.entry(said).or_default() += 1;
        drop(pages);
        self.heard.raise();
    }

    /// Notes what a subscriber does now, for the case that it never does anything else.
    pub(super) fn does(&self, subscriber: &'static str, what: String) {
        self.pages().doing.insert(subscriber, what);
    }

    pub(super) fn cut(&self) {
        self.pages().cuts += 1;
    }

    /// The number of the newest acknowledged retained message of each publisher, and of the newest sent.
    pub(super) fn kept(&self) -> BTreeMap<u32, (u32, u32)> {
        let pages = self.pages();
        let mut kept = BTreeMap::new();
        for said in pages.acknowledged.iter().filter(|said| said.stream == Stream::Kept) {
            let sent = pages.sent.get(&(Stream::Kept, said.publisher)).copied().unwrap_or(0);
            let newest = kept.entry(said.publisher).or_insert((0, sent));
            newest.0 = newest.0.max(said.number);
        }
        kept
    }

    pub(super) fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pages = self.pages();
        let sent: u32 = pages.sent.values().sum();
        let heard: u64 =
            pages.heard.values().flat_map(|heard| heard.times.values()).map(|n| u64::from(*n)).sum();
        let acknowledged = pages.acknowledged.len();
        let refused = *self.refused.watch().borrow();
        write!(f, "{sent} sent, {acknowledged} acknowledged, {refused} refused, ")?;
        write!(f, "{heard} heard, {} connections cut", pages.cuts)
    }
}
