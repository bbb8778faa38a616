//! The task that delivers what waits for one server, in order, until the server stops.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tracing::{debug, error, warn};

use super::Outbox;
use super::retry::{Outcome, backoff};
use super::row::Delivery;
use super::send::Lane;
use super::table::{self, Letter, PAGE_ROWS, WAITING};
use super::target::{Load, Target};
use crate::random;
use crate::store::{AppendError, Record, Row, Seq, Write};

/// The store is asked again after this when it could not be read, or not be written.
const READ_AGAIN: Duration = Duration::from_secs(1);
/// Rows that are not on disk yet are looked at again after this at the latest.
const DISK_PATIENCE: Duration = Duration::from_secs(1);

/// Delivers to one server.
pub(super) struct Courier {
    outbox: Arc<Outbox>,
    target: Arc<Target>,
    lanes: Vec<Lane>,
    /// Attempts since the start that count, and all, of the requests that failed.
    attempts: HashMap<String, Attempts>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Attempts {
    counted: u32,
    all: u32,
}

/// A row that is to be delivered.
struct Parcel {
    id: String,
    bytes: u64,
    delivery: Option<Delivery>,
}

/// What came of some parcels.
#[derive(Default)]
struct Settled {
    writes: Vec<Write>,
    gone: Load,
    /// The failures: a word, and how long the server asked to wait.
    failed: Vec<(String, Option<Duration>)>,
}

impl Courier {
    pub(super) fn new(outbox: Arc<Outbox>, target: Arc<Target>) -> Courier {
        let lanes = (0..outbox.settings.in_flight_max.max(1)).map(|_| Lane::default()).collect();
        Courier { outbox, target, lanes, attempts: HashMap::new() }
    }

    /// Works until the server stops.
    pub(super) async fn work(mut self) {
        let stopping = self.outbox.stopping.clone();
        while !stopping.is_cancelled() {
            let wait = match self.page().await {
                Ok(Page::Parcels(parcels)) => self.deliver(parcels).await,
                Ok(Page::Undecided(seq)) => {
                    let reached = tokio::time::timeout(DISK_PATIENCE, self.outbox.store.reached(seq));
                    tokio::select! { _ = reached => {}, () = stopping.cancelled() => {} }
                    continue;
                }
                Ok(Page::Empty) => {
                    tokio::select! { () = self.target.wake.notified() => {}, () = stopping.cancelled() => {} }
                    continue;
                }
                Err(error) => {
                    error!(server = self.target.server, error, "what waits for a web server cannot be read");
                    Some(READ_AGAIN)
                }
            };
            if let Some(wait) = wait {
                tokio::select! { () = tokio::time::sleep(wait) => {}, () = stopping.cancelled() => {} }
            }
        }
    }

    /// The first rows that wait, as far as they are on disk.
    async fn page(&self) -> Result<Page, String> {
        let (outbox, server) = (Arc::clone(&self.outbox), self.target.server.clone());
        let read = tokio::task::spawn_blocking(move || {
            // In this order: what is on disk by then has no chance to be taken back.
            let rows = table::page(&outbox.store, WAITING, &server, None, PAGE_ROWS)?;
            Ok::<_, crate::store::ReadError>((rows, outbox.store.durable_end()))
        });
        let read = read.await.map_err(|error| error.to_string())?;
        let (rows, durable_end) = read.map_err(|error| crate::report::chain(&error))?;
        let Some(first) = rows.first() else { return Ok(Page::Empty) };
        if first.version > durable_end {
            return Ok(Page::Undecided(first.version));
        }
        let safe = rows.into_iter().take_while(|row| row.version <= durable_end);
        Ok(Page::Parcels(safe.map(parcel).collect()))
    }

    /// Delivers parcels in order; gives how long to wait if the server is to be left alone for a while.
    async fn deliver(&mut self, parcels: Vec<Parcel>) -> Option<Duration> {
        let mut parcels = parcels.as_slice();
        while !parcels.is_empty() && !self.outbox.stopping.is_cancelled() {
            // A server that failed is asked with one request whether it is there again.
            let width = if self.target.is_failing() { 1 } else { self.lanes.len() };
            let (now, later) = parcels.split_at(width.min(parcels.len()));
            parcels = later;
            let outcomes = join_all(now.iter().zip(&mut self.lanes).map(|(parcel, lane)| {
                let (outbox, target) = (&self.outbox, &self.target);
                async move {
                    target.attempts.add(1);
                    match &parcel.delivery {
                        Some(delivery) => outbox.sender.attempt(lane, &parcel.id, delivery).await,
                        None => Outcome::Refused("the row is not one that this version reads".to_owned()),
                    }
                }
            }))
            .await;
            let settled = self.settle(now, outcomes);
            if !self.commit(settled.writes, settled.gone).await {
                return Some(READ_AGAIN);
            }
            if let Some((why, asked)) = worse(settled.failed) {
                return Some(self.back_off(&why, asked));
            }
        }
        None
    }

    /// Decides what becomes of each parcel.
    fn settle(&mut self, parcels: &[Parcel], outcomes: Vec<Outcome>) -> Settled {
        let mut settled = Settled::default();
        for (parcel, outcome) in parcels.iter().zip(outcomes) {
            let attempts = self.attempts.entry(parcel.id.clone()).or_default();
            attempts.all += 1;
            let given_up = match outcome {
                Outcome::Delivered => {
                    self.target.delivered.add(1);
                    self.target.succeeded();
                    None
                }
                Outcome::Refused(why) => {
                    // It was answered, or would not have been sent: nothing says that the next will fare the same.
                    self.target.succeeded();
                    Some(why)
                }
                Outcome::Failed { why, reached, retry_after } => {
                    attempts.counted += u32::from(reached);
                    let attempts = *attempts;
                    let last = self.outbox.is_last(parcel.delivery.as_ref(), attempts.counted, attempts.all);
                    settled.failed.push((why.clone(), retry_after));
                    let Some(limit) = last else { continue };
                    Some(format!("given up, as {limit}: {why}"))
                }
            };
            let server = &self.target.server;
            settled.writes.push(Write::delete(WAITING, server, &parcel.id));
            settled.gone.rows += 1;
            settled.gone.bytes += parcel.bytes;
            let attempts = self.attempts.remove(&parcel.id).unwrap_or_default().all;
            let Some(why) = given_up else { continue };
            warn!(server, id = parcel.id, attempts, "not delivered: {why}");
            let Some(delivery) = &parcel.delivery else { continue };
            self.target.gave_up(&why, parcel.bytes);
            let given_up_at_ms = self.outbox.clock.now_ms();
            let letter = Letter { given_up_at_ms, attempts, why, delivery: delivery.clone() };
            settled.writes.push(letter.write(server, &parcel.id));
        }
        settled
    }

    fn back_off(&self, why: &str, asked: Option<Duration>) -> Duration {
        let failures = self.target.failed(why);
        let wait = backoff(failures, asked, u64::from_be_bytes(random::array()));
        if failures == 1 {
            warn!(server = self.target.server, "a web server fails, and is tried again: {why}");
        } else {
            debug!(server = self.target.server, failures, ?wait, "a web server fails: {why}");
        }
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.target.retries_at(self.outbox.clock.now_ms().saturating_add(wait_ms));
        wait
    }

    /// Takes what is done out of the table; false if that cannot be. The disk is not waited for: what it refuses is there again,
    /// and is sent again with the same id.
    async fn commit(&self, writes: Vec<Write>, gone: Load) -> bool {
        let done = writes.is_empty() || self.outbox.append(writes).await;
        if done {
            self.target.release(gone);
        }
        done
    }
}

enum Page {
    Parcels(Vec<Parcel>),
    /// The first row is of a record that is not on disk yet.
    Undecided(Seq),
    Empty,
}

fn parcel(row: Row) -> Parcel {
    let bytes = row.value.len() as u64;
    Parcel { id: row.sort, bytes, delivery: Delivery::decode(row.value) }
}

/// The first word, and the longest wait.
fn worse(failed: Vec<(String, Option<Duration>)>) -> Option<(String, Option<Duration>)> {
    let asked = failed.iter().filter_map(|(_, asked)| *asked).max();
    let (why, _) = failed.into_iter().next()?;
    Some((why, asked))
}

impl Outbox {
    /// The limit that a request has reached with this attempt, if it has.
    fn is_last(&self, delivery: Option<&Delivery>, counted: u32, all: u32) -> Option<String> {
        let settings = &self.settings;
        let delivery = delivery?;
        if let Some(retries) = delivery.retries
            && all > retries
        {
            return Some(format!("the rule asked for {retries} retries"));
        }
        if counted >= settings.attempts_max {
            return Some(format!("rules.webhooks.attempts_max = {} is reached", settings.attempts_max));
        }
        let age_ms = self.clock.now_ms().saturating_sub(delivery.at_ms);
        if Duration::from_millis(age_ms) >= settings.retry_max {
            let hours = settings.retry_max.as_secs() / 3_600;
            return Some(format!("rules.webhooks.retry_hours_max = {hours} is reached"));
        }
        None
    }

    /// Appends writes, waiting while the store has no room. False if the server stops first.
    pub(super) async fn append(&self, writes: Vec<Write>) -> bool {
        loop {
            match self.store.append(Record { writes: writes.clone(), ..Record::default() }) {
                Ok(_) => return true,
                Err(AppendError::Full { .. } | AppendError::Failed { .. }) => {
                    tokio::select! {
                        () = self.store.room() => {}
                        () = self.stopping.cancelled() => return false,
                    }
                }
                Err(error) => {
                    error!(%error, "what became of requests to a web server cannot be noted");
                    return false;
                }
            }
        }
    }
}
