//! A group of records that become durable together, and those who wait for it, woken all at once.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::error::CommitError;
use super::record::Seq;

type Outcome = Result<(), CommitError>;

/// Where the outcome of a group arrives.
#[derive(Default)]
pub(super) struct Group {
    state: Mutex<State>,
    decided: Condvar,
}

#[derive(Default)]
struct State {
    outcome: Option<Outcome>,
    wakers: Vec<Waker>,
    blocked: usize,
}

impl Group {
    /// Says how it ended, and wakes everyone.
    pub(super) fn decide(&self, outcome: Outcome) {
        let (wakers, blocked) = {
            let mut state = self.lock();
            state.outcome.get_or_insert(outcome);
            (std::mem::take(&mut state.wakers), state.blocked)
        };
        if blocked > 0 {
            self.decided.notify_all();
        }
        wakers.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // An outcome and a list of wakers are right at every moment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A record that was taken. It is not durable before [`Appended::durable`] says so.
#[derive(Clone)]
#[must_use = "a record is not durable before `durable` or `wait` says so"]
pub struct Appended {
    /// The record's place in the log.
    pub seq: Seq,
    pub(super) group: Arc<Group>,
}

impl std::fmt::Debug for Appended {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Appended").field("seq", &self.seq).finish_non_exhaustive()
    }
}

impl Appended {
    /// Resolves once the record is on disk, or cannot be.
    pub async fn durable(self) -> Result<(), CommitError> {
        Durable { group: self.group, slot: None }.await
    }

    /// How it ended, if that is known yet.
    pub fn outcome(&self) -> Option<Result<(), CommitError>> {
        self.group.lock().outcome.clone()
    }

    /// As [`Appended::durable`], for threads. Blocks; not for use inside an async runtime.
    pub fn wait(self) -> Result<(), CommitError> {
        let mut state = self.group.lock();
        loop {
            if let Some(outcome) = &state.outcome {
                return outcome.clone();
            }
            state.blocked += 1;
            state = self.group.decided.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.blocked -= 1;
        }
    }
}

struct Durable {
    group: Arc<Group>,
    /// Where this one's waker is, once it has been polled.
    slot: Option<usize>,
}

impl Future for Durable {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let this = self.get_mut();
        let mut state = this.group.lock();
        if let Some(outcome) = &state.outcome {
            return Poll::Ready(outcome.clone());
        }
        // Until the outcome is there, wakers are only ever added, so the slot stays this one's.
        if let Some(slot) = this.slot {
            state.wakers[slot].clone_from(context.waker());
        } else {
            this.slot = Some(state.wakers.len());
            state.wakers.push(context.waker().clone());
        }
        Poll::Pending
    }
}
