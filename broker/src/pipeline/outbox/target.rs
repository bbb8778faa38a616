//! A web server that requests wait for: what waits, and how it fares.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::Notify;

use crate::telemetry::Counter;

/// Why a request is given up that finds no place.
pub(super) const FULL: &str =
    "too much waits for this server already: rules.webhooks.outbox_rows_max or outbox_bytes_max is reached";

/// A server that requests go to.
#[derive(Debug)]
pub(super) struct Target {
    /// Scheme, host and port: the hash of its rows.
    pub(super) server: String,
    /// Woken when something was committed for it.
    pub(super) wake: Notify,
    /// Woken when something was given up.
    pub(super) more_given_up: Notify,
    pub(super) attempts: Counter,
    pub(super) delivered: Counter,
    pub(super) failures: Counter,
    pub(super) given_up: Counter,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: Load,
    /// What was given up and is kept.
    undelivered: Load,
    failures_in_a_row: u32,
    retry_at_ms: Option<u64>,
    last_error: Option<String>,
}

/// What waits.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

impl Load {
    /// Whether it is more than allowed.
    pub(super) fn exceeds(self, max: Load) -> bool {
        self.rows > max.rows || self.bytes > max.bytes
    }

    /// What is left of it.
    pub(super) fn less(self, gone: Load) -> Load {
        Load { rows: self.rows.saturating_sub(gone.rows), bytes: self.bytes.saturating_sub(gone.bytes) }
    }
}

/// How a server fares.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetStatus {
    /// Scheme, host and port.
    pub server: String,
    /// `ok`, or `failing`: then one request is tried at a time, at `retry_at_ms`.
    pub state: &'static str,
    /// Requests that wait.
    pub waiting: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// Requests that were given up and can be looked at.
    pub undelivered: u64,
    /// Attempts since the start.
    pub attempts: u64,
    /// Requests delivered since the start.
    pub delivered: u64,
    /// Attempts that failed since the start.
    pub failures: u64,
    /// Requests given up since the start.
    pub given_up: u64,
    /// Failures since the last success.
    pub failures_in_a_row: u32,
    /// When it is tried again, in milliseconds since 1970.
    pub retry_at_ms: Option<u64>,
    /// What the last failure was.
    pub last_error: Option<String>,
}

impl Target {
    pub(super) fn new(server: String, waiting: Load, undelivered: Load) -> Target {
        Target {
            server,
            wake: Notify::new(),
            more_given_up: Notify::new(),
            attempts: Counter::default(),
            delivered: Counter::default(),
            failures: Counter::default(),
            given_up: Counter::default(),
            state: Mutex::new(State { waiting, undelivered, ..State::default() }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place in the queue, unless it is full.
    pub(super) fn reserve(self: &Arc<Target>, bytes: u64, max: Load) -> Option<Ticket> {
        let mut state = self.lock();
        let more = Load { rows: state.waiting.rows + 1, bytes: state.waiting.bytes + bytes };
        if more.exceeds(max) {
            return None;
        }
        state.waiting = more;
        drop(state);
        Some(Ticket { target: Arc::clone(self), bytes, given_up: false, kept: false })
    }

    /// Gives places back.
    pub(super) fn release(&self, gone: Load) {
        let mut state = self.lock();
        state.waiting = state.waiting.less(gone);
    }

    /// Notes a success: the server is there.
    pub(super) fn succeeded(&self) {
        let mut state = self.lock();
        (state.failures_in_a_row, state.retry_at_ms) = (0, None);
    }

    /// Notes a failure and gives how many there were in a row.
    pub(super) fn failed(&self, why: &str) -> u32 {
        self.failures.add(1);
        let mut state = self.lock();
        state.failures_in_a_row = state.failures_in_a_row.saturating_add(1);
        state.last_error = Some(why.to_owned());
        state.failures_in_a_row
    }

    /// Notes when it is tried again.
    pub(super) fn retries_at(&self, ms: u64) {
        self.lock().retry_at_ms = Some(ms);
    }

    /// Whether it failed the last time.
    pub(super) fn is_failing(&self) -> bool {
        self.lock().failures_in_a_row > 0
    }

    /// Notes a request that was given up.
    pub(super) fn gave_up(&self, why: &str, bytes: u64) {
        self.given_up.add(1);
        let mut state = self.lock();
        state.undelivered.rows += 1;
        state.undelivered.bytes += bytes;
        state.last_error = Some(why.to_owned());
        drop(state);
        self.more_given_up.notify_one();
    }

    /// What was given up and is kept, about: some expires by itself.
    pub(super) fn undelivered(&self) -> Load {
        self.lock().undelivered
    }

    /// Something of it is no longer there.
    pub(super) fn is_gone(&self, gone: Load) {
        let mut state = self.lock();
        state.undelivered = state.undelivered.less(gone);
    }

    /// Corrects that figure.
    pub(super) fn set_undelivered(&self, load: Load) {
        self.lock().undelivered = load;
    }

    pub(super) fn status(&self) -> TargetStatus {
        let state = self.lock();
        TargetStatus {
            server: self.server.clone(),
            state: if state.failures_in_a_row > 0 { "failing" } else { "ok" },
            waiting: state.waiting.rows,
            waiting_bytes: state.waiting.bytes,
            undelivered: state.undelivered.rows,
            attempts: self.attempts.get(),
            delivered: self.delivered.get(),
            failures: self.failures.get(),
            given_up: self.given_up.get(),
            failures_in_a_row: state.failures_in_a_row,
            retry_at_ms: state.retry_at_ms,
            last_error: state.last_error.clone(),
        }
    }
}

/// A place in a server's queue. It is given back unless what it is for was committed.
#[derive(Debug)]
pub(crate) struct Ticket {
    target: Arc<Target>,
    bytes: u64,
    /// Whether the queue was full, so that it was given up at once.
    given_up: bool,
    kept: bool,
}

impl Ticket {
    /// For a request that found the queue full.
    pub(super) fn given_up(target: &Arc<Target>, bytes: u64) -> Ticket {
        Ticket { target: Arc::clone(target), bytes, given_up: true, kept: false }
    }

    /// What it is for is on disk: the server's turn.
    pub(super) fn keep(mut self) {
        self.kept = true;
        if self.given_up {
            self.target.gave_up(FULL, self.bytes);
        } else {
            self.target.wake.notify_one();
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.kept && !self.given_up {
            self.target.release(Load { rows: 1, bytes: self.bytes });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_has_places_for_so_much() {
        let target =
            Arc::new(Target::new("http://a:80".to_owned(), Load { rows: 1, bytes: 10 }, Load::default()));
        let max = Load { rows: 3, bytes: 100 };
        let first = target.reserve(50, max).expect("there is room");
        assert!(target.reserve(41, max).is_none(), "too many bytes");
        let second = target.reserve(40, max).expect("there is room");
        assert!(target.reserve(0, max).is_none(), "too many rows");
        drop(second);
        first.keep();
        assert_eq!(target.status().waiting, 2);
        target.release(Load { rows: 9, bytes: 60 });
        assert_eq!((target.status().waiting, target.status().waiting_bytes), (0, 0));
    }

    #[test]
    fn a_server_that_fails_is_said_to() {
        let target = Target::new("http://a:80".to_owned(), Load::default(), Load::default());
        assert_eq!((target.failed("one"), target.failed("two")), (1, 2));
        target.retries_at(7);
        let status = target.status();
        assert_eq!((status.state, status.retry_at_ms, status.failures), ("failing", Some(7), 2));
        assert_eq!(status.last_error.as_deref(), Some("two"));
        target.succeeded();
        assert_eq!((target.status().state, target.status().retry_at_ms), ("ok", None));
    }
}
