//! The one place that asks what time it is, and the ids that grow with it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use pointsman_rules::EventId;

/// Milliseconds since 1970, never going back while the process lives.
#[derive(Debug)]
pub struct Clock {
    latest_ms: AtomicU64,
    /// How far it is ahead of the system's; zero but where a test has let time pass.
    ahead_ms: AtomicU64,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Clock {
        Clock { latest_ms: AtomicU64::new(0), ahead_ms: AtomicU64::new(0) }
    }

    /// Now.
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everybody is passed")]
    pub fn now_ms(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let now = now.saturating_add(self.ahead_ms.load(Ordering::Relaxed));
        self.latest_ms.fetch_max(now, Ordering::Relaxed).max(now)
    }

    /// Lets time pass without waiting for it.
    pub(crate) fn advance(&self, ms: u64) {
        self.ahead_ms.fetch_add(ms, Ordering::Relaxed);
    }
}

/// Gives ids that sort by time, then by the order in which they were given.
#[derive(Debug)]
pub struct IdSource {
    /// Tells the ids of this run of the program from those of another in the same millisecond.
    run: u16,
    next: AtomicU64,
}

impl IdSource {
    /// A source; `run` is drawn at random.
    pub fn new(run: u16) -> IdSource {
        IdSource { run, next: AtomicU64::new(1) }
    }

    /// The first of `count` consecutive ids.
    pub fn take(&self, now_ms: u64, count: usize) -> EventId {
        let low = self.next.fetch_add(count as u64, Ordering::Relaxed);
        EventId::new(now_ms, u128::from(self.run) << 64 | u128::from(low))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_then_by_order() {
        let ids = IdSource::new(7);
        let first = ids.take(1000, 3);
        let second = ids.take(1000, 1);
        let third = ids.take(1001, 1);
        assert!(first.to_u128() + 2 < second.to_u128() && second < third);
    }
}
