//! What the clients know: what was sent, what of it was acknowledged, and what was heard.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// A message: its publisher, and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Said {
    pub(super) publisher: u32,
    pub(super) number: u32,
}

impl Said {
    /// What [`Said`] is written as in a message.
    pub(super) fn parse(text: &str) -> Option<Said> {
        let (publisher, number) = text.split_once('-')?;
        Some(Said { publisher: publisher.parse().ok()?, number: number.parse().ok()? })
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.publisher, self.number)
    }
}

/// The books of all clients.
pub(super) struct Ledger {
    books: Mutex<Books>,
    progress: watch::Sender<Progress>,
}

/// How far the clients have come.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Progress {
    pub(super) acknowledged: u64,
    /// What is repeated counts again.
    pub(super) heard: u64,
}

#[derive(Debug, Default, Clone)]
pub(super) struct Books {
    /// How many messages each publisher has handed over.
    pub(super) sent: Vec<u32>,
    pub(super) acknowledged: BTreeSet<Said>,
    /// What was heard, by the id that the server gave it.
    pub(super) heard: BTreeMap<String, Said>,
}

impl Ledger {
    pub(super) fn new(publishers: u32) -> Ledger {
        let books = Books { sent: (0..publishers).map(|_| 0).collect(), ..Books::default() };
        Ledger { books: Mutex::new(books), progress: watch::Sender::default() }
    }

    /// The publisher's next message, from now on counted as sent.
    pub(super) fn next(&self, publisher: u32) -> Said {
        let mut books = self.lock();
        let number = &mut books.sent[publisher as usize];
        *number += 1;
        Said { publisher, number: *number }
    }

    pub(super) fn acknowledge(&self, said: Said) {
        assert!(self.lock().acknowledged.insert(said), "{said} is acknowledged twice");
        self.progress.send_modify(|progress| progress.acknowledged += 1);
    }

    /// Notes a message that was heard. It may come again, but never with another content.
    pub(super) fn hear(&self, id: &str, said: Said) {
        let before = self.lock().heard.insert(id.to_owned(), said);
        assert!(before.is_none_or(|before| before == said), "{id} was {before:?} and is {said} now");
        self.progress.send_modify(|progress| progress.heard += 1);
    }

    /// Waits until there is that much more progress than now, in both.
    pub(super) async fn advances(&self, by: Progress) {
        let mut progress = self.progress.subscribe();
        let start = *progress.borrow();
        let goal =
            Progress { acknowledged: start.acknowledged + by.acknowledged, heard: start.heard + by.heard };
        let reached = |now: &Progress| now.acknowledged >= goal.acknowledged && now.heard >= goal.heard;
        progress.wait_for(reached).await.expect("the sender is in this ledger");
    }

    pub(super) fn books(&self) -> Books {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Books { sent, acknowledged, heard } = self.books();
        let sent: u32 = sent.iter().sum();
        write!(f, "{sent} sent, {} acknowledged, {} heard", acknowledged.len(), heard.len())
    }
}
