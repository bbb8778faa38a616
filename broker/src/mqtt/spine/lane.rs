//! What one reader of the spine has yet to get, and who carries it there: no locks, no threads, no router.
//!
//! A lane is in one of three states. *Idle*: the reader has had everything and whoever publishes next delivers by
//! itself. *Inline*: a publisher does that at this moment; what others publish meanwhile is left to it. *Routed*: there
//! is more than a publisher should carry, or the reader may block, and entries go through the router to the reader's
//! thread. `deliver` is held by whoever delivers, so that a reader is never entered twice.

use std::collections::VecDeque;

use super::super::envelope::Envelope;
use super::{Deliver, ReaderOptions};

/// One reader's part of the spine.
pub(super) struct Lane {
    options: ReaderOptions,
    /// There unless somebody delivers.
    deliver: Option<Deliver>,
    /// What the reader has not had, oldest first; while it is routed, also what the reader is having now.
    window: VecDeque<Envelope>,
    /// The number of the window's first entry. Entries are numbered from 0, in the order of publication.
    next: u64,
    /// Bytes of the window, and of what a publisher has in hand.
    bytes: u64,
    /// Where the numbers of the router's entries start; none while publishers carry.
    route: Option<Route>,
    /// Entries given to this router.
    sent: u64,
}

/// How the router's own count of entries tells their numbers. A new one begins with every stretch that is routed.
#[derive(Debug, Clone, Copy)]
struct Route {
    /// What the router counts up to where the stretch begins.
    first_sent: u64,
    first_number: u64,
}

/// What is to be done with an entry that was added.
pub(super) enum Added {
    /// Nothing: the reader does not want it, or somebody who delivers now will find it.
    Nothing,
    /// Whoever added it delivers it with this, and gives it back to [`Lane::more`] or [`Lane::hand_over`].
    Deliver(Deliver),
    /// It goes to the router.
    Send,
}

/// An entry as the router gave it: its place in the router's log, and what it is unless it is damaged.
pub(super) type Routed = (u64, Option<Envelope>);

/// What a reader's thread is to deliver.
pub(super) struct Turn {
    pub(super) deliver: Deliver,
    /// The number after the last entry of the batch.
    pub(super) end: u64,
    /// Entries that the router had lost.
    pub(super) refilled: u64,
}

impl Lane {
    pub(super) fn new(options: ReaderOptions, deliver: Deliver) -> Lane {
        let route = (!options.inline).then_some(Route { first_sent: 0, first_number: 0 });
        let window = VecDeque::new();
        Lane { options, deliver: Some(deliver), window, next: 0, bytes: 0, route, sent: 0 }
    }

    /// Bytes the reader has not had.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn end(&self) -> u64 {
        self.next + self.window.len() as u64
    }

    /// Adds an entry at the end.
    pub(super) fn add(&mut self, envelope: &Envelope) -> Added {
        if !(self.options.wants)(envelope) {
            return Added::Nothing;
        }
        self.bytes += envelope.bytes().len() as u64;
        if self.route.is_some() {
            self.window.push_back(envelope.clone());
            return Added::Send;
        }
        let Some(deliver) = self.deliver.take() else {
            self.window.push_back(envelope.clone());
            return Added::Nothing;
        };
        self.next += 1;
        Added::Deliver(deliver)
    }

    /// Takes note that a publisher has delivered `had`, and puts into `batch`, which is empty, what was left to it
    /// meanwhile, up to `count`. Where there is nothing, the reader is given back and has had everything.
    pub(super) fn more(
        &mut self,
        deliver: Deliver,
        had: u64,
        count: usize,
        batch: &mut Vec<Envelope>,
    ) -> Option<Deliver> {
        self.bytes -= had;
        let count = count.min(self.window.len());
        batch.extend(self.window.drain(..count));
        self.next += count as u64;
        if batch.is_empty() {
            self.deliver = Some(deliver);
            return None;
        }
        Some(deliver)
    }

    /// Takes note that a publisher has delivered `had` and carries no more; what is left goes to the router from now on.
    pub(super) fn hand_over(&mut self, deliver: Deliver, had: u64) -> Vec<Envelope> {
        self.bytes -= had;
        self.deliver = Some(deliver);
        if self.window.is_empty() {
            return Vec::new();
        }
        self.route = Some(Route { first_sent: self.sent, first_number: self.next });
        self.window.iter().cloned().collect()
    }

    /// Notes that an entry was given to the router.
    pub(super) fn note_sent(&mut self) {
        self.sent += 1;
    }

    /// Notes that there is another router. What the one before may not have delivered is in the window, where
    /// [`Lane::take_all`] finds it.
    pub(super) fn reset(&mut self) {
        self.sent = 0;
        let first_number = self.end();
        if let Some(route) = &mut self.route {
            *route = Route { first_sent: 0, first_number };
        }
    }

    /// The reader's turn to have what came through the router; none if that is of an earlier stretch. What the router
    /// lost or damaged comes from the window.
    pub(super) fn take_turn(
        &mut self,
        routed: impl Iterator<Item = Routed>,
        batch: &mut Vec<Envelope>,
    ) -> Option<Turn> {
        let route = self.route?;
        let deliver = self.deliver.take()?;
        let (mut end, mut refilled) = (self.next, 0);
        for (place, envelope) in routed {
            let Some(since) = place.checked_sub(route.first_sent) else { continue };
            let number = route.first_number + since;
            if number < end {
                continue;
            }
            let envelope = envelope.or_else(|| self.window.get(index(number - self.next)).cloned());
            let lost = self.window.iter().skip(index(end - self.next)).take(index(number - end));
            batch.extend(lost.cloned());
            refilled += number - end;
            batch.extend(envelope);
            end = number + 1;
        }
        self.keep_or_give(deliver, end, refilled)
    }

    /// The reader's turn to have everything that waits, after the end of a router.
    pub(super) fn take_all(&mut self, batch: &mut Vec<Envelope>) -> Option<Turn> {
        self.route?;
        let deliver = self.deliver.take()?;
        batch.extend(self.window.iter().cloned());
        self.keep_or_give(deliver, self.end(), self.window.len() as u64)
    }

    fn keep_or_give(&mut self, deliver: Deliver, end: u64, refilled: u64) -> Option<Turn> {
        if end == self.next {
            self.deliver = Some(deliver);
            return None;
        }
        Some(Turn { deliver, end, refilled })
    }

    /// Notes that the reader has had everything before `end`. With nothing left, publishers carry again.
    pub(super) fn end_turn(&mut self, deliver: Deliver, end: u64) {
        self.deliver = Some(deliver);
        while self.next < end {
            let Some(envelope) = self.window.pop_front() else { break };
            self.bytes -= envelope.bytes().len() as u64;
            self.next += 1;
        }
        if self.options.inline && self.window.is_empty() {
            self.route = None;
        }
    }
}

/// An index into the window, which fits in memory.
fn index(distance: u64) -> usize {
    usize::try_from(distance).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
