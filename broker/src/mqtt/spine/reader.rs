//! The thread of a reader of the spine: it has what comes through the router, and sees when that has ended.

use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use rumqttd::Notification;
use rumqttd::local::{LinkError, LinkRx};
use tracing::{error, warn};

use super::super::envelope::Envelope;
use super::lane::{Routed, Turn};
use super::router::{Shared, enter};

/// A reader looks whether the router still lives at least this often.
const LIVENESS: Duration = Duration::from_millis(500);
/// Entries a reader has at a time.
const BATCH_MAX: usize = 256;

/// A reader's link to one router.
pub(super) struct Source {
    /// None if that router had ended before there was one.
    pub(super) link: Option<LinkRx>,
    pub(super) generation: u64,
}

/// A reader, as its thread has it.
pub(super) struct Reader {
    name: &'static str,
    index: usize,
    source: Source,
    shared: Weak<Shared>,
    /// What came through the router and was not looked at.
    routed: Vec<Routed>,
}

impl Reader {
    /// Starts the thread; it ends when the spine is gone.
    pub(super) fn start(name: &'static str, index: usize, source: Source, shared: &Arc<Shared>) {
        let reader = Reader { name, index, source, shared: Arc::downgrade(shared), routed: Vec::new() };
        thread::Builder::new()
            .name(format!("spine-{name}"))
            .spawn(move || reader.run())
            .expect("the system has a thread for a reader made at start");
    }

    fn run(mut self) {
        let mut batch = Vec::new();
        loop {
            let alive = self.receive();
            let Some(shared) = self.shared.upgrade() else { return };
            let turn = if alive {
                shared.take_turn(self.index, self.source.generation, &mut self.routed, &mut batch)
            } else {
                self.reattach(&shared, &mut batch)
            };
            if let Some(mut turn) = turn {
                enter(&mut turn.deliver, &batch);
                batch.clear();
                shared.end_turn(self.index, turn);
            }
        }
    }

    fn reattach(&mut self, shared: &Shared, batch: &mut Vec<Envelope>) -> Option<Turn> {
        self.routed.clear();
        let turn = shared.reattach(self.index, &mut self.source, batch);
        warn!(reader = self.name, entries = batch.len(), "reattached to the spine");
        turn
    }

    /// Waits for entries and takes those there are; false if the router is gone.
    fn receive(&mut self) -> bool {
        let Some(link) = self.source.link.as_mut() else { return false };
        let mut deadline = Instant::now() + LIVENESS;
        loop {
            match link.recv_deadline(deadline) {
                Ok(Some(Notification::Forward(forward))) => {
                    let Some((_, place)) = forward.cursor else { continue };
                    let envelope = Envelope::from_bytes(forward.publish.payload)
                        .inspect_err(|error| error!(%error, "the router damaged an entry of the spine"));
                    self.routed.push((place, envelope.ok()));
                }
                // The router has parked this link because it was not emptied fast enough.
                Ok(Some(Notification::Unschedule)) => {
                    if link.ready().is_err() {
                        return false;
                    }
                }
                Ok(_) => {}
                // Nothing came for a while, or nothing more is there.
                Err(LinkError::RecvTimeout(flume::RecvTimeoutError::Timeout)) => {
                    return !self.routed.is_empty() || self.is_current();
                }
                // The router's end of the link is gone. What came before is delivered first.
                Err(_) => return !self.routed.is_empty(),
            }
            // What has come already is taken without waiting for more.
            deadline = Instant::now();
            if self.routed.len() >= BATCH_MAX {
                return true;
            }
        }
    }

    /// Whether the router this reader is linked to is still the one that is published to.
    fn is_current(&self) -> bool {
        self.shared.upgrade().is_none_or(|shared| shared.is_current(self.source.generation))
    }
}
