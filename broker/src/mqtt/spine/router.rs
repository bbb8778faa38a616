//! The spine on an embedded `rumqttd::Router`; the only place that names rumqttd.
//!
//! The router is given what it does well and kept from what it does badly (docs/adr/0001-spine.md): one link
//! that publishes and one for each reader, made at start; one constant ASCII topic, so that no client's topic
//! reaches its matcher; entries that carry a whole envelope, whose bytes share nothing with a read buffer.
//!
//! What was published stays here until every reader has had it. That window makes a gap (the router evicts
//! silently) and the death of the router's thread the same thing: the reader takes what it misses from it.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use rumqttd::local::{LinkBuilder, LinkError, LinkRx, LinkTx};
use rumqttd::{Notification, Router, RouterConfig};
use tokio::sync::Notify;
use tracing::{error, warn};

use super::super::envelope::Envelope;
use super::{Deliver, Spine, SpineStats};

/// The one topic of the router.
const STREAM: &str = "s";
/// A reader looks whether the router still lives at least this often.
const LIVENESS: Duration = Duration::from_millis(500);
/// Segments of the router's log.
const SEGMENTS: usize = 10;

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

struct Shared {
    options: SpineOptions,
    state: Mutex<State>,
    /// Bytes in the window, to be read without the lock.
    lag_bytes: AtomicU64,
    refilled: AtomicU64,
    restarts: AtomicU64,
    lagging: AtomicBool,
    caught_up: Notify,
}

struct State {
    link: LinkTx,
    router: RouterHandle,
    /// What some reader has not read, oldest first; the first has number `window_start`.
    window: VecDeque<Envelope>,
    window_start: u64,
    /// The next number each reader wants.
    cursors: Vec<u64>,
    /// Counts the routers, so that a reader that finds its link dead knows whether another has started one.
    generation: u64,
    /// The number of the entry that is the router's first.
    base: u64,
}

type RouterHandle = Arc<dyn Fn(&str) -> Option<(LinkTx, LinkRx)> + Send + Sync>;

impl RouterSpine {
    /// Starts the router.
    pub fn start(options: SpineOptions) -> RouterSpine {
        let router = start_router(options);
        let (link, _) = router("publisher").expect("a router that has just started accepts a link");
        let state = State {
            link,
            router,
            window: VecDeque::new(),
            window_start: 0,
            cursors: Vec::new(),
            generation: 0,
            base: 0,
        };
        RouterSpine {
            shared: Arc::new(Shared {
                options,
                state: Mutex::new(state),
                lag_bytes: AtomicU64::new(0),
                refilled: AtomicU64::new(0),
                restarts: AtomicU64::new(0),
                lagging: AtomicBool::new(false),
                caught_up: Notify::new(),
            }),
        }
    }
}

fn start_router(options: SpineOptions) -> RouterHandle {
    let config = RouterConfig {
        max_connections: 16,
        max_outgoing_packet_count: 200,
        // Twice what readers may lag by, so that eviction is an accident and not a habit.
        max_segment_size: (options.lag_bytes_max * 2 / SEGMENTS).max(1024),
        max_segment_count: SEGMENTS,
        custom_segment: None,
        // Without the filter from the start, entries before the first reader would be lost.
        initialized_filters: Some(vec![STREAM.to_owned()]),
        shared_subscriptions_strategy: rumqttd::Strategy::default(),
    };
    let events = Router::new(0, config).spawn();
    Arc::new(move |name: &str| {
        let (tx, rx, _ack) = LinkBuilder::new(name, events.clone()).build().ok()?;
        Some((tx, rx))
    })
}

impl Spine for RouterSpine {
    fn publish(&self, envelope: Envelope) {
        let shared = &self.shared;
        let bytes = envelope.bytes().len() as u64;
        let mut state = shared.lock();
        if state.cursors.is_empty() {
            // Nobody reads: it counts as read.
            state.window_start += 1;
        } else {
            let lag = shared.lag_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
            if lag > shared.options.lag_bytes_max as u64 {
                shared.lagging.store(true, Ordering::Relaxed);
            }
            state.window.push_back(envelope.clone());
        }
        if state.link.publish(STREAM, envelope.bytes().clone()).is_err() {
            shared.restart(&mut state);
        }
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

    fn attach(&self, name: &'static str, deliver: Deliver) {
        let mut state = self.shared.lock();
        let next = state.window_start + state.window.len() as u64;
        let reader = state.cursors.len();
        state.cursors.push(next);
        let source = Source::open(name, &state);
        let reader =
            Reader { name, index: reader, next, source, deliver, shared: Arc::downgrade(&self.shared) };
        thread::Builder::new()
            .name(format!("spine-{name}"))
            .spawn(move || reader.run())
            .expect("the system has a thread for a reader made at start");
    }

    fn stats(&self) -> SpineStats {
        let state = self.shared.lock();
        SpineStats {
            published: state.window_start + state.window.len() as u64,
            lag_bytes: self.shared.lag_bytes.load(Ordering::Relaxed),
            refilled: self.shared.refilled.load(Ordering::Relaxed),
            restarts: self.shared.restarts.load(Ordering::Relaxed),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts another router and a publishing link to it; readers notice by themselves.
    fn restart(&self, state: &mut State) {
        error!("the spine's router has ended; starting another");
        self.restarts.fetch_add(1, Ordering::Relaxed);
        state.router = start_router(self.options);
        if let Some((link, _)) = (state.router)("publisher") {
            state.link = link;
        }
        state.generation += 1;
        state.base = state.window_start + state.window.len() as u64;
    }

    /// Notes that a reader has had everything before `next`, and forgets what all have had.
    fn advance(&self, reader: usize, next: u64) {
        let mut state = self.lock();
        state.cursors[reader] = next;
        let oldest = state.cursors.iter().copied().min().unwrap_or(next);
        let mut freed = 0;
        while state.window_start < oldest {
            let Some(envelope) = state.window.pop_front() else { break };
            freed += envelope.bytes().len() as u64;
            state.window_start += 1;
        }
        let lag = self.lag_bytes.fetch_sub(freed, Ordering::Relaxed) - freed;
        drop(state);
        if self.lagging.load(Ordering::Relaxed) && lag < self.options.lag_bytes_max as u64 / 2 {
            self.lagging.store(false, Ordering::Relaxed);
            self.caught_up.notify_waiters();
        }
    }
}

/// A reader's link to one router.
struct Source {
    link: Option<LinkRx>,
    generation: u64,
    /// The number of the router's first entry.
    base: u64,
}

impl Source {
    fn open(name: &str, state: &State) -> Source {
        let link = (state.router)(name).and_then(|(mut tx, rx)| {
            tx.subscribe(STREAM).ok()?;
            Some(rx)
        });
        Source { link, generation: state.generation, base: state.base }
    }
}

struct Reader {
    name: &'static str,
    index: usize,
    next: u64,
    source: Source,
    deliver: Deliver,
    shared: Weak<Shared>,
}

impl Reader {
    fn run(mut self) {
        let mut batch = Vec::new();
        loop {
            let alive = self.receive(&mut batch);
            let Some(shared) = self.shared.upgrade() else { return };
            if !alive {
                self.reattach(&shared, &mut batch);
            }
            if !batch.is_empty() {
                // A reader that panics on one batch must not stop the stream for all.
                let delivered = catch_unwind(AssertUnwindSafe(|| (self.deliver)(&batch)));
                if delivered.is_err() {
                    error!(
                        reader = self.name,
                        "a reader of the spine panicked; it goes on with the next entries"
                    );
                }
                batch.clear();
                shared.advance(self.index, self.next);
            }
        }
    }

    /// Waits for entries and puts those there are into the batch; false if the router is gone.
    fn receive(&mut self, batch: &mut Vec<Envelope>) -> bool {
        let Some(link) = self.source.link.as_mut() else { return false };
        let mut deadline = Instant::now() + LIVENESS;
        loop {
            match link.recv_deadline(deadline) {
                Ok(Some(Notification::Forward(forward))) => {
                    let number = forward.cursor.map_or(self.next, |(_, offset)| self.source.base + offset);
                    accept(&self.shared, self.name, &mut self.next, number, forward.publish.payload, batch);
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
                    return self.is_current() || !batch.is_empty();
                }
                // The router's end of the link is gone. What came before is delivered first.
                Err(_) => return !batch.is_empty(),
            }
            // What has come already is taken without waiting for more.
            deadline = Instant::now();
            if batch.len() >= 256 {
                return true;
            }
        }
    }

    /// Whether the router this reader is linked to is still the one that is published to.
    fn is_current(&self) -> bool {
        let Some(shared) = self.shared.upgrade() else { return true };
        let generation = shared.lock().generation;
        generation == self.source.generation
    }

    fn reattach(&mut self, shared: &Shared, batch: &mut Vec<Envelope>) {
        let mut state = shared.lock();
        if state.generation == self.source.generation {
            shared.restart(&mut state);
        }
        self.source = Source::open(self.name, &state);
        // The new router starts where the window ends; what was lost with the old one is in the window.
        let start = state.window_start;
        let missed =
            state.window.iter().skip(usize::try_from(self.next.saturating_sub(start)).unwrap_or(usize::MAX));
        batch.extend(missed.cloned());
        let end = start + state.window.len() as u64;
        // What was published while this reader attached comes through the router as well.
        shared.refilled.fetch_add(end.saturating_sub(self.next), Ordering::Relaxed);
        self.next = self.next.max(end);
        warn!(reader = self.name, "reattached to the spine");
    }
}

/// Takes an entry in its turn: skips what was had, fetches what is missing.
fn accept(
    shared: &Weak<Shared>,
    name: &str,
    next: &mut u64,
    number: u64,
    payload: bytes::Bytes,
    batch: &mut Vec<Envelope>,
) {
    if number < *next {
        return;
    }
    if number > *next {
        let Some(shared) = shared.upgrade() else { return };
        let state = shared.lock();
        let from = usize::try_from(next.saturating_sub(state.window_start)).unwrap_or(usize::MAX);
        let count = usize::try_from(number - *next).unwrap_or(usize::MAX);
        batch.extend(state.window.iter().skip(from).take(count).cloned());
        shared.refilled.fetch_add(number - *next, Ordering::Relaxed);
        warn!(
            reader = name,
            entries = number - *next,
            "the router had dropped entries; taken from the window"
        );
    }
    *next = number + 1;
    match Envelope::from_bytes(payload) {
        Ok(envelope) => batch.push(envelope),
        Err(error) => error!(%error, "an entry of the spine is damaged"),
    }
}

#[cfg(test)]
mod tests;
