//! The spine on an embedded `rumqttd::Router`; only this folder names rumqttd.
//!
//! The router is given what it does well and kept from what it does badly (docs/adr/0001-spine.md): one link
//! that publishes and one for each reader, made at start; one constant ASCII topic for each reader, so that no
//! client's topic reaches its matcher; entries that carry a whole envelope, whose bytes share nothing with a read buffer.
//!
//! What was published stays here until every reader has had it. That window makes a gap (the router evicts
//! silently) and the death of the router's thread the same thing: the reader takes what it misses from it.
//!
//! A reader that has had everything is delivered to by whoever publishes next (docs/adr/0005-inline.md).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rumqttd::local::{LinkBuilder, LinkRx, LinkTx};
use rumqttd::{Router, RouterConfig};
use tokio::sync::Notify;
use tracing::error;

use super::super::envelope::Envelope;
use super::lane::{Added, Lane, Routed, Turn};
use super::reader::{Reader, Source};
use super::{Deliver, ReaderOptions, Spine, SpineStats};

/// The topics of the router, one for each reader there may be; also the names of the readers' links.
const TOPICS: [&str; 4] = ["s0", "s1", "s2", "s3"];
/// Segments of the router's log.
const SEGMENTS: usize = 10;
/// Times that a publisher delivers what others left to it; then the router takes over.
const ROUNDS_MAX: usize = 4;
/// Entries a publisher delivers at a time.
const ROUND_ENTRIES_MAX: usize = 16;

/// Bounds of the spine.
#[derive(Debug, Clone, Copy)]
pub struct SpineOptions {
    /// Publishers wait while a reader is more than this many bytes behind.
    pub lag_bytes_max: usize,
}

impl Default for SpineOptions {
    fn default() -> Self {
        SpineOptions { lag_bytes_max: 8 * 1024 * 1024 }
    }
}

/// See the module.
#[derive(Clone)]
pub struct RouterSpine {
    shared: Arc<Shared>,
}

/// What publishers and readers share.
pub(super) struct Shared {
    options: SpineOptions,
    state: Mutex<State>,
    /// What the slowest reader has not had, to be read without the lock; written under it.
    lag_bytes: AtomicU64,
    lagging: AtomicBool,
    caught_up: Notify,
}

/// What the lock of the spine guards.
pub(super) struct State {
    link: LinkTx,
    /// The links of readers that have not taken theirs.
    links: [Option<LinkRx>; TOPICS.len()],
    lanes: Vec<Lane>,
    /// Counts the routers, so that a reader that finds its link dead knows whether another has started one.
    generation: u64,
    stats: SpineStats,
}

impl RouterSpine {
    /// Starts the router.
    pub fn start(options: SpineOptions) -> RouterSpine {
        let Started { publisher, readers } = start_router(options);
        let state = State {
            link: publisher,
            links: readers,
            lanes: Vec::new(),
            generation: 0,
            stats: SpineStats::default(),
        };
        RouterSpine {
            shared: Arc::new(Shared {
                options,
                state: Mutex::new(state),
                lag_bytes: AtomicU64::new(0),
                lagging: AtomicBool::new(false),
                caught_up: Notify::new(),
            }),
        }
    }
}

/// A router with all its links. They are made before anything is published, because a router that ends while a link is
/// made leaves whoever makes it waiting for ever.
struct Started {
    publisher: LinkTx,
    readers: [Option<LinkRx>; TOPICS.len()],
}

fn start_router(options: SpineOptions) -> Started {
    let config = RouterConfig {
        max_connections: 16,
        max_outgoing_packet_count: 200,
        // Twice what readers may lag by, so that eviction is an accident and not a habit.
        max_segment_size: (options.lag_bytes_max * 2 / SEGMENTS).max(1024),
        max_segment_count: SEGMENTS,
        custom_segment: None,
        // Without the filters from the start, entries before the first reader would be lost.
        initialized_filters: Some(TOPICS.map(str::to_owned).to_vec()),
        shared_subscriptions_strategy: rumqttd::Strategy::default(),
    };
    let events = Router::new(0, config).spawn();
    let link = |name| {
        let linked = LinkBuilder::new(name, events.clone()).build();
        let (tx, rx, _) = linked.expect("a router that has just started accepts a link");
        (tx, rx)
    };
    let (publisher, _) = link("publisher");
    let readers = TOPICS.map(|topic| {
        let (mut tx, rx) = link(topic);
        tx.subscribe(topic).expect("a router to which nothing was published still runs");
        Some(rx)
    });
    Started { publisher, readers }
}

impl Spine for RouterSpine {
    fn publish(&self, envelope: Envelope) {
        self.shared.publish(&envelope);
    }

    fn is_lagging(&self) -> bool {
        self.shared.lagging.load(Ordering::Relaxed)
    }

    fn caught_up(&self) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            loop {
                let notified = self.shared.caught_up.notified();
                if !self.is_lagging() {
                    return;
                }
                notified.await;
            }
        })
    }

    fn attach(&self, name: &'static str, options: ReaderOptions, deliver: Deliver) {
        let mut state = self.shared.lock();
        let index = state.lanes.len();
        assert!(index < TOPICS.len(), "readers are made at start, and there is a topic for each");
        state.lanes.push(Lane::new(options, deliver));
        let source = state.take_source(index);
        drop(state);
        Reader::start(name, index, source, &self.shared);
    }

    fn stats(&self) -> SpineStats {
        let lag_bytes = self.shared.lag_bytes.load(Ordering::Relaxed);
        SpineStats { lag_bytes, ..self.shared.lock().stats }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, envelope: &Envelope) {
        let mut mine: [Option<Deliver>; TOPICS.len()] = Default::default();
        let mut state = self.lock();
        state.stats.published += 1;
        for (index, mine) in mine.iter_mut().enumerate().take(state.lanes.len()) {
            match state.lanes[index].add(envelope) {
                Added::Nothing => {}
                Added::Deliver(deliver) => *mine = Some(deliver),
                Added::Send => self.send(&mut state, index, slice::from_ref(envelope)),
            }
        }
        self.note_lag(&state);
        drop(state);
        for (index, deliver) in mine.into_iter().enumerate() {
            if let Some(deliver) = deliver {
                self.carry(index, deliver, envelope);
            }
        }
    }

    /// Delivers an entry on this thread, and what others leave to it meanwhile. When that does not end, the router
    /// takes over: a publisher is not to be held up by the others.
    fn carry(&self, index: usize, mut deliver: Deliver, envelope: &Envelope) {
        enter(&mut deliver, slice::from_ref(envelope));
        let mut had = envelope.bytes().len() as u64;
        let mut batch = Vec::new();
        for _ in 0..ROUNDS_MAX {
            let mut state = self.lock();
            let more = state.lanes[index].more(deliver, had, ROUND_ENTRIES_MAX, &mut batch);
            self.note_lag(&state);
            drop(state);
            let Some(again) = more else { return };
            deliver = again;
            enter(&mut deliver, &batch);
            had = batch.drain(..).map(|envelope| envelope.bytes().len() as u64).sum();
        }
        let mut state = self.lock();
        let left = state.lanes[index].hand_over(deliver, had);
        self.send(&mut state, index, &left);
        self.note_lag(&state);
    }

    /// Gives entries of a lane's window to the router.
    fn send(&self, state: &mut State, index: usize, envelopes: &[Envelope]) {
        for envelope in envelopes {
            if state.link.publish(TOPICS[index], envelope.bytes().clone()).is_err() {
                // The reader finds them in the window.
                self.restart(state);
                return;
            }
            state.lanes[index].note_sent();
            state.stats.routed += 1;
        }
    }

    /// Starts another router and a publishing link to it; readers notice by themselves.
    fn restart(&self, state: &mut State) {
        error!("the spine's router has ended; starting another");
        state.stats.restarts += 1;
        let Started { publisher, readers } = start_router(self.options);
        (state.link, state.links) = (publisher, readers);
        state.generation += 1;
        state.lanes.iter_mut().for_each(Lane::reset);
    }

    /// Tells how far behind the slowest reader is, to publishers that wait.
    fn note_lag(&self, state: &State) {
        let lag = state.lanes.iter().map(Lane::bytes).max().unwrap_or(0);
        self.lag_bytes.store(lag, Ordering::Relaxed);
        let max = self.options.lag_bytes_max as u64;
        if lag > max {
            self.lagging.store(true, Ordering::Relaxed);
        } else if lag < max.div_ceil(2) && self.lagging.load(Ordering::Relaxed) {
            self.lagging.store(false, Ordering::Relaxed);
            self.caught_up.notify_waiters();
        }
    }

    /// Whether the router of that generation is still the one that is published to.
    pub(super) fn is_current(&self, generation: u64) -> bool {
        self.lock().generation == generation
    }

    /// A reader's turn to have what came through the router of its source.
    pub(super) fn take_turn(
        &self,
        index: usize,
        generation: u64,
        routed: &mut Vec<Routed>,
        batch: &mut Vec<Envelope>,
    ) -> Option<Turn> {
        let mut state = self.lock();
        // Of another router than the one that counts now: the reader attaches to that one next, and has it all then.
        if state.generation != generation {
            routed.clear();
            return None;
        }
        let turn = state.lanes[index].take_turn(routed.drain(..), batch);
        state.stats.refilled += turn.as_ref().map_or(0, |turn| turn.refilled);
        turn
    }

    /// Links a reader to the router there is, or to another if it is the one that has ended; and its turn to have what
    /// was lost with that.
    pub(super) fn reattach(
        &self,
        index: usize,
        source: &mut Source,
        batch: &mut Vec<Envelope>,
    ) -> Option<Turn> {
        let mut state = self.lock();
        if state.generation == source.generation {
            self.restart(&mut state);
        }
        *source = state.take_source(index);
        let turn = state.lanes[index].take_all(batch);
        state.stats.refilled += turn.as_ref().map_or(0, |turn| turn.refilled);
        turn
    }

    /// Notes that a reader has had what its turn gave it.
    pub(super) fn end_turn(&self, index: usize, turn: Turn) {
        let mut state = self.lock();
        state.lanes[index].end_turn(turn.deliver, turn.end);
        self.note_lag(&state);
    }
}

impl State {
    /// The link of a reader to the router there is.
    fn take_source(&mut self, index: usize) -> Source {
        Source { link: self.links[index].take(), generation: self.generation }
    }
}

/// Has a reader have a batch. One that panics on it must not stop the stream for all.
pub(super) fn enter(deliver: &mut Deliver, batch: &[Envelope]) {
    if catch_unwind(AssertUnwindSafe(|| deliver(batch))).is_err() {
        error!("a reader of the spine panicked; it goes on with the next entries");
    }
}

#[cfg(test)]
mod tests;
