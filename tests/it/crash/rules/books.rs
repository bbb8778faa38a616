//! What the clients know: how often each number was sent, what was acknowledged, and which entries were heard of.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::tally::{Count, Faults};

/// A message: its publisher, and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Said {
    pub(super) from: u32,
    pub(super) number: u32,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.from, self.number)
    }
}

/// The books of all clients.
#[derive(Default)]
pub(super) struct Books {
    pages: Mutex<Pages>,
    /// Messages that were acknowledged.
    pub(super) acknowledged: Count,
    heard: Count,
    pub(super) faults: Faults,
}

#[derive(Debug, Default)]
pub(super) struct Pages {
    /// How often each message was put on the wire.
    pub(super) sent: BTreeMap<Said, u32>,
    pub(super) acknowledged: BTreeSet<Said>,
    /// What rules published, by the id of the entry that they published it for.
    pub(super) heard: BTreeMap<String, Said>,
    /// The highest number of each publisher that was heard of.
    newest: BTreeMap<u32, u32>,
}

impl Books {
    /// Notes that a message is put on the wire, perhaps again.
    pub(super) fn send(&self, said: Said) {
        *self.pages().sent.entry(said).or_default() += 1;
    }

    pub(super) fn acknowledge(&self, said: Said) {
        if !self.pages().acknowledged.insert(said) {
            self.faults.note(format!("{said} is acknowledged twice"));
        }
        self.acknowledged.raise();
    }

    /// Notes what a rule published. It may come again, but never with another content.
    pub(super) fn hear(&self, id: &str, said: Said) {
        let mut pages = self.pages();
        let newest = pages.newest.entry(said.from).or_default();
        *newest = said.number.max(*newest);
        let before = pages.heard.insert(id.to_owned(), said);
        drop(pages);
        self.heard.raise();
        if let Some(before) = before.filter(|before| *before != said) {
            self.faults.note(format!("{id} was {before} and is {said} now"));
        }
    }

    /// The highest number of a publisher that was heard of; 0 at first.
    pub(super) fn newest(&self, from: u32) -> u32 {
        self.pages().newest.get(&from).copied().unwrap_or(0)
    }

    /// Waits until a message of a publisher was heard of, or a later one.
    pub(super) async fn hears(&self, from: u32, number: u32) {
        let mut heard = self.heard.watch();
        heard.wait_for(|_| self.newest(from) >= number).await.expect("the sender is in these books");
    }

    pub(super) fn heard_count(&self) -> usize {
        self.pages().heard.len()
    }

    /// Whether of each publisher the last message was heard of, before which all others are handled.
    pub(super) fn has_heard_last(&self) -> bool {
        let pages = self.pages();
        let heard: BTreeSet<Said> = pages.heard.values().copied().collect();
        let last: BTreeMap<u32, u32> = pages.sent.keys().map(|said| (said.from, said.number)).collect();
        last.into_iter().all(|(from, number)| heard.contains(&Said { from, number }))
    }

    pub(super) fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Pages { sent, acknowledged, heard, .. } = &*self.pages();
        let again: u32 = sent.values().map(|times| times - 1).sum();
        let (sent, acknowledged, heard) = (sent.len(), acknowledged.len(), heard.len());
        write!(f, "{sent} sent, {again} times again, {acknowledged} acknowledged, {heard} outputs heard")
    }
}
