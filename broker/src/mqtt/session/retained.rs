//! The retained messages: the last of each topic that was published to stay, for whoever subscribes later.
//!
//! In memory each is a small envelope of its own; the same bytes are its row in the store (`rows.rs`). New ones are taken
//! in the order of the stream, by the dispatcher. Subscribers read them in steps (`cursor.rs`).

mod cursor;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::super::codec::message_expiry;
use super::super::envelope::Envelope;
use crate::telemetry::Counter;

pub(crate) use cursor::{RetainedCursor, STEP_TOPICS};
pub use rows::{TOPIC_BYTES_MAX, writes_of};

/// What a retained message takes besides its topic and its envelope: its places in the maps. An estimate, on the safe side.
const ENTRY_BYTES: usize = 160;

/// What an envelope of one message takes besides topic, payload, properties and identity.
const ENVELOPE_BYTES: usize = 24 + 56 + 7;

/// Expired messages taken away at most while the lock is held.
const SWEEP_MAX: usize = 256;

/// Bounds of the retained messages; the names are those of the configuration. They are kept where messages enter: what was
/// on its way by then was promised to be retained, and is, up to an eighth more.
#[derive(Debug, Clone)]
pub struct RetainedLimits {
    /// Retained messages in total.
    pub messages_max: usize,
    /// Bytes of them in total, with what it takes to find them.
    pub bytes_max: usize,
}

impl Default for RetainedLimits {
    fn default() -> Self {
        RetainedLimits { messages_max: 100_000, bytes_max: 64 << 20 }
    }
}

impl RetainedLimits {
    /// The bounds of what is there, including what was on its way when the limits were reached.
    fn hard(&self) -> RetainedLimits {
        let more = |max: usize| max.saturating_add(max / 8);
        RetainedLimits { messages_max: more(self.messages_max), bytes_max: more(self.bytes_max) }
    }
}

/// Why a message cannot be retained.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RetainedFull {
    /// Too many bytes.
    #[error("it takes {bytes} bytes, and {free} of retained_bytes_max ({bytes_max}) are free")]
    Bytes {
        /// Its own.
        bytes: usize,
        /// What is left.
        free: usize,
        /// The most allowed.
        bytes_max: usize,
    },
    /// Too many topics.
    #[error("retained_messages_max ({messages_max}) is reached: remove some with an empty payload")]
    Messages {
        /// The most allowed.
        messages_max: usize,
    },
    /// The topic is no key of the store.
    #[error("its topic has {bytes} bytes, and a retained message's has at most {bytes_max}")]
    TopicTooLong {
        /// Its length.
        bytes: usize,
        /// The most allowed.
        bytes_max: usize,
    },
}

/// What became of a message with the RETAIN flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Applied {
    /// It is the topic's retained message from now on.
    Kept,
    /// The topic has none from now on: the payload was empty, or the message expired on its way. [MQTT-3.3.1-6]
    Removed,
    /// There was no room, not even the eighth more; the topic has none from now on, so that nobody takes an old message for the last.
    Full,
}

/// How many there are, and what became of those that are not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RetainedStats {
    /// Retained messages.
    pub messages: u64,
    /// Bytes they take.
    pub bytes: u64,
    /// Refused before they were taken, because a limit was reached.
    pub refused: u64,
    /// Taken, but not retained, because others reached the limit meanwhile.
    pub dropped: u64,
    /// Gone because they expired.
    pub expired: u64,
}

/// All retained messages.
#[derive(Debug)]
pub(crate) struct Retained {
    limits: RetainedLimits,
    kept: RwLock<Kept>,
    refused: Counter,
    dropped: Counter,
}

#[derive(Debug, Default)]
struct Kept {
    topics: BTreeMap<Arc<str>, Entry>,
    /// When which topic expires.
    expiries: BTreeSet<(u64, Arc<str>)>,
    /// Of those that count: all but the server's own figures.
    messages: usize,
    bytes: usize,
    expired: u64,
}

#[derive(Debug)]
struct Entry {
    envelope: Envelope,
    expires_at_ms: Option<u64>,
    /// Zero for the server's own figures, which are few and count towards no limit.
    bytes: usize,
}

impl Retained {
    /// None yet.
    pub(crate) fn new(limits: RetainedLimits) -> Retained {
        let (refused, dropped) = (Counter::default(), Counter::default());
        Retained { limits, kept: RwLock::default(), refused, dropped }
    }

    /// Whether a message to `topic` could be retained now. To be asked before it is taken, so that its publisher can be
    /// told; between the answer and [`Retained::apply`], which has the last word, others may take the room.
    pub(crate) fn admit(&self, topic: &str, payload_len: usize, now_ms: u64) -> Result<(), RetainedFull> {
        let answer = self.room_for(topic, payload_len, now_ms);
        if answer.is_err() {
            self.refused.add(1);
        }
        answer
    }

    fn room_for(&self, topic: &str, payload_len: usize, now_ms: u64) -> Result<(), RetainedFull> {
        if payload_len == 0 {
            return Ok(());
        }
        if topic.len() > TOPIC_BYTES_MAX {
            let bytes_max = TOPIC_BYTES_MAX;
            return Err(RetainedFull::TopicTooLong { bytes: topic.len(), bytes_max });
        }
        let bytes = ENTRY_BYTES + ENVELOPE_BYTES + 2 * topic.len() + payload_len;
        loop {
            let Err(full) = self.read().room_for(topic, bytes, &self.limits) else { return Ok(()) };
            // What has expired makes room, a little at a time.
            if self.write().sweep(now_ms) == 0 {
                return Err(full);
            }
        }
    }

    /// Takes message `index` of an envelope, which has the RETAIN flag. To be called in the order of the stream.
    pub(crate) fn apply(&self, envelope: &Envelope, index: usize, now_ms: u64) -> Applied {
        let message = envelope.message(index);
        let topic = message.topic();
        let expires_at_ms = expires_at_ms(envelope, index);
        let gone = message.payload().is_empty() || expires_at_ms.is_some_and(|at| at <= now_ms);
        if gone {
            self.write().remove(topic);
            return Applied::Removed;
        }
        let single = envelope.single(index);
        let bytes = ENTRY_BYTES + topic.len() + single.bytes().len();
        let mut kept = self.write();
        kept.sweep(now_ms);
        kept.remove(topic);
        if kept.room_for(topic, bytes, &self.limits.hard()).is_err() {
            drop(kept);
            self.dropped.add(1);
            return Applied::Full;
        }
        kept.insert(topic.into(), Entry { envelope: single, expires_at_ms, bytes });
        Applied::Kept
    }

    /// Keeps a figure of the server's own, such as those under `$SYS`: it counts towards no limit and is in no store.
    pub(crate) fn show(&self, envelope: Envelope) {
        let topic: Arc<str> = envelope.message(0).topic().into();
        let mut kept = self.write();
        kept.remove(&topic);
        kept.insert(topic, Entry { envelope, expires_at_ms: None, bytes: 0 });
    }

    /// The retained message of a topic.
    pub(crate) fn get(&self, topic: &str, now_ms: u64) -> Option<Envelope> {
        let kept = self.read();
        kept.topics.get(topic).filter(|entry| entry.is_live(now_ms)).map(|entry| entry.envelope.clone())
    }

    /// How many there are.
    pub(crate) fn stats(&self) -> RetainedStats {
        let kept = self.read();
        RetainedStats {
            messages: kept.messages as u64,
            bytes: kept.bytes as u64,
            refused: self.refused.get(),
            dropped: self.dropped.get(),
            expired: kept.expired,
        }
    }

    /// Takes away some that have expired; true if there may be more. They are not readable in any case.
    pub(crate) fn sweep(&self, now_ms: u64) -> bool {
        self.write().sweep(now_ms) == SWEEP_MAX
    }

    fn read(&self) -> RwLockReadGuard<'_, Kept> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Kept> {
        self.kept.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Whether `bytes` for `topic` fit, in the place of what it has.
    fn room_for(&self, topic: &str, bytes: usize, limits: &RetainedLimits) -> Result<(), RetainedFull> {
        let now = self.topics.get(topic);
        let taken = self.bytes - now.map_or(0, |entry| entry.bytes);
        if now.is_none() && self.messages >= limits.messages_max {
            return Err(RetainedFull::Messages { messages_max: limits.messages_max });
        }
        let free = limits.bytes_max.saturating_sub(taken);
        if bytes > free {
            return Err(RetainedFull::Bytes { bytes, free, bytes_max: limits.bytes_max });
        }
        Ok(())
    }

    fn insert(&mut self, topic: Arc<str>, entry: Entry) {
        self.messages += usize::from(entry.bytes > 0);
        self.bytes += entry.bytes;
        if let Some(at) = entry.expires_at_ms {
            self.expiries.insert((at, Arc::clone(&topic)));
        }
        self.topics.insert(topic, entry);
    }

    fn remove(&mut self, topic: &str) {
        let Some((topic, entry)) = self.topics.remove_entry(topic) else { return };
        self.messages -= usize::from(entry.bytes > 0);
        self.bytes -= entry.bytes;
        if let Some(at) = entry.expires_at_ms {
            self.expiries.remove(&(at, topic));
        }
    }

    /// Takes away some of what has expired, and says how many.
    fn sweep(&mut self, now_ms: u64) -> usize {
        let mut swept = 0;
        while swept < SWEEP_MAX {
            let Some((at, topic)) = self.expiries.first() else { break };
            if *at > now_ms {
                break;
            }
            let topic = Arc::clone(topic);
            self.remove(&topic);
            swept += 1;
        }
        self.expired += swept as u64;
        swept
    }
}

impl Entry {
    fn is_live(&self, now_ms: u64) -> bool {
        self.expires_at_ms.is_none_or(|at| at > now_ms)
    }
}

/// When a message expires: so many seconds after it was published, if it says so. [MQTT-3.3.2-5]
fn expires_at_ms(envelope: &Envelope, index: usize) -> Option<u64> {
    let seconds = message_expiry(envelope.message(index).properties())?;
    Some(envelope.id(index).time_ms().saturating_add(u64::from(seconds) * 1000))
}
