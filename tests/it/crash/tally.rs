//! What all books have: counts that others wait for, and what must never happen and did.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// A count that only grows.
#[derive(Default)]
pub(super) struct Count(watch::Sender<u64>);

impl Count {
    pub(super) fn raise(&self) {
        self.0.send_modify(|count| *count += 1);
    }

    /// Waits until it is that much more than now.
    pub(super) async fn grows(&self, by: u64) {
        let mut count = self.0.subscribe();
        let goal = *count.borrow() + by;
        count.wait_for(|count| *count >= goal).await.expect("the sender is in these books");
    }

    /// Sees how it grows.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}

/// What must never happen, and did.
#[derive(Default)]
pub(super) struct Faults(Mutex<Vec<String>>);

impl Faults {
    pub(super) fn note(&self, what: String) {
        self.lock().push(what);
    }

    /// Fails if there are any.
    pub(super) fn assert_none(&self, when: &str) {
        const SHOWN_MAX: usize = 20;
        let faults = self.lock();
        let shown = &faults[..faults.len().min(SHOWN_MAX)];
        assert!(shown.is_empty(), "{} faults, {when}:\n  {}", faults.len(), shown.join("\n  "));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
