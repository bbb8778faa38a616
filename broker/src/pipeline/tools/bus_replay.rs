//! Replay of a bus: what the log still holds of a time is given to one rule again, and what it does is done.

mod run;
mod view;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pointsman_rules::{On, RuleName};
use tracing::{info, warn};

pub use view::{BusReplay, BusReplayError, BusReplayRequest, BusReplayState};

use crate::pipeline::rules::active::{ActiveRule, ActiveRules};
use crate::pipeline::{Pipeline, spawn};
use crate::store::{Appended, Query, Record, Write};

/// The table of replays: hash is [`ROWS`], sort the rule, value a [`BusReplay`], as it was when it was last noted.
const TABLE: &str = "_bus_replays";
const ROWS: &str = "replays";
/// Replays of rules that are remembered; the names that sort last are not shown beyond.
const REMEMBERED_MAX: usize = 1_000;
const REMEMBERED_MS: u64 = 7 * 24 * 3_600_000;
/// Replays that run at a time.
const RUNNING_MAX: usize = 10;
/// Events of a replay that are given and not handled yet.
const UNDER_WAY_MAX: u64 = 256;
/// How often those who wait look whether the server ends.
const REST: Duration = Duration::from_millis(100);

/// The replays that go on, by rule.
#[derive(Debug, Default)]
pub(in crate::pipeline) struct BusReplays {
    running: Mutex<BTreeMap<String, Arc<Running>>>,
}

/// A replay that goes on.
#[derive(Debug)]
struct Running {
    name: String,
    request: BusReplayRequest,
    status: Mutex<BusReplay>,
    /// An event was handled, or it is to end.
    changed: Condvar,
    is_cancelled: AtomicBool,
}

/// An event that a replay has given; when it is dropped, it is handled.
#[derive(Debug)]
pub(crate) struct Given(Arc<Running>);

impl Given {
    /// The name of its replay.
    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        self.0.lock().handled += 1;
        self.0.changed.notify_all();
    }
}

impl BusReplays {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Running>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn lock(&self) -> MutexGuard<'_, BusReplay> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends it, unless it has ended.
    fn end(&self, state: BusReplayState, error: Option<String>, now_ms: u64) {
        let mut status = self.lock();
        if status.state == BusReplayState::Running {
            (status.state, status.error, status.ended) = (state, error, Some(now_ms));
        }
        drop(status);
        self.is_cancelled.store(true, Ordering::Release);
        self.changed.notify_all();
    }

    /// Waits until no more than so many events are under way; false if it is to end.
    fn wait_for_room(&self, under_way_max: u64) -> bool {
        let mut status = self.lock();
        while status.given - status.handled > under_way_max && !self.is_ending() {
            let (again, _) = self.changed.wait_timeout(status, REST).unwrap_or_else(PoisonError::into_inner);
            status = again;
        }
        !self.is_ending()
    }

    fn is_ending(&self) -> bool {
        self.is_cancelled.load(Ordering::Acquire)
    }
}

impl Pipeline {
    /// Begins to give a rule again what the log holds of a time. What the rule asks for is done once more; the events have
    /// the ids they had, and carry the replay's name.
    pub fn start_bus_replay(
        self: &Arc<Self>,
        request: BusReplayRequest,
    ) -> Result<BusReplay, BusReplayError> {
        let now_ms = self.clock.now_ms();
        let request = BusReplayRequest { to_ms: request.to_ms.min(now_ms), ..request };
        if request.from_ms > request.to_ms {
            return Err(BusReplayError::NoTime);
        }
        let rule = self.replayable_rule(&request)?;
        let records = self.store.replay(self.seq_at(request.from_ms.saturating_sub(run::SLACK_MS))?)?;
        let running = Arc::new(Running::new(request, now_ms));
        {
            let mut all = self.bus_replays.lock();
            if all.contains_key(rule.rule.name.as_str()) {
                return Err(BusReplayError::Busy(rule.rule.name.to_string()));
            }
            if all.len() >= RUNNING_MAX {
                return Err(BusReplayError::TooMany);
            }
            all.insert(rule.rule.name.to_string(), Arc::clone(&running));
        }
        // Known on disk before it begins, so that it is known after a kill that it did.
        if let Some(Err(error)) = self.note_bus_replay(&running).map(Appended::wait) {
            warn!(replay = running.name, %error, "that a replay begins could not be noted on disk");
        }
        let status = running.lock().clone();
        info!(rule = %rule.rule.name, replay = running.name, "a replay begins");
        let pipeline = Arc::downgrade(self);
        spawn("replay", move || run::run(&pipeline, &running, records));
        Ok(status)
    }

    /// The last replay of each rule, whether it goes on or has ended.
    pub fn bus_replays(&self) -> Result<Vec<BusReplay>, BusReplayError> {
        let query = Query { limit: REMEMBERED_MAX, ..Query::default() };
        // In this order: what is not running any more has its end in the table already.
        let running = self.bus_replays.lock();
        let rows = self.store.query(TABLE, ROWS, &query)?;
        let status = |row: crate::store::Row| {
            if let Some(running) = running.get(&row.sort) {
                return Some(running.lock().clone());
            }
            let mut noted: BusReplay = serde_json::from_slice(&row.value).ok()?;
            if noted.state == BusReplayState::Running {
                noted.state = BusReplayState::Interrupted;
            }
            Some(noted)
        };
        Ok(rows.into_iter().filter_map(status).collect())
    }

    /// Ends the replay to a rule; `None` if none goes on. What it has given already is handled.
    pub fn cancel_bus_replay(&self, rule: &RuleName) -> Option<BusReplay> {
        let running = self.bus_replays.lock().get(rule.as_str()).cloned()?;
        running.end(BusReplayState::Cancelled, None, self.clock.now_ms());
        let status = running.lock().clone();
        Some(status)
    }

    /// Ends all of them, as the server ends.
    pub(in crate::pipeline) fn stop_bus_replays(&self) {
        let running: Vec<_> = self.bus_replays.lock().values().cloned().collect();
        for running in running {
            running.end(BusReplayState::Interrupted, None, self.clock.now_ms());
            let _noted = self.note_bus_replay(&running);
        }
    }

    /// The rule of a request, if it listens to something of it.
    fn replayable_rule(&self, request: &BusReplayRequest) -> Result<Arc<ActiveRule>, BusReplayError> {
        let rule = self.active_rule(&request.rule);
        let rule = rule.ok_or_else(|| BusReplayError::NoRule(request.rule.to_string()))?;
        if rule.is_suspended() {
            return Err(BusReplayError::Suspended(request.rule.to_string()));
        }
        let only = ActiveRules::new(vec![Arc::clone(&rule)]);
        let is_wanted = match &request.bus {
            Some(bus) => only.set.has_bus(bus),
            None => rule.rule.triggers.iter().any(|trigger| is_given(&trigger.on)),
        };
        if is_wanted { Ok(rule) } else { Err(BusReplayError::NotWanted(request.rule.to_string())) }
    }

    fn active_rule(&self, name: &RuleName) -> Option<Arc<ActiveRule>> {
        self.active.load().rules.iter().find(|active| active.rule.name == *name).cloned()
    }

    /// Writes down how far a replay is, for after the end of the server.
    fn note_bus_replay(&self, running: &Running) -> Option<Appended> {
        let status = running.lock().clone();
        let value = serde_json::to_vec(&status).unwrap_or_default();
        let expires_at_ms = Some(self.clock.now_ms() + REMEMBERED_MS);
        let write = Write::put(TABLE, ROWS, &status.rule, value, expires_at_ms);
        let appended = self.store.append(Record { writes: vec![write], ..Record::default() });
        appended
            .inspect_err(
                |error| warn!(replay = status.name, %error, "how far a replay is could not be noted"),
            )
            .ok()
    }
}

impl Running {
    fn new(request: BusReplayRequest, now_ms: u64) -> Running {
        let name = format!("{}-{now_ms}", request.rule);
        let status = BusReplay {
            name: name.clone(),
            rule: request.rule.to_string(),
            bus: request.bus.clone(),
            from: request.from_ms,
            to: request.to_ms,
            state: BusReplayState::Running,
            error: None,
            at: request.from_ms,
            given: 0,
            handled: 0,
            started: now_ms,
            ended: None,
        };
        Running {
            name,
            request,
            status: Mutex::new(status),
            changed: Condvar::new(),
            is_cancelled: AtomicBool::new(false),
        }
    }
}

/// Whether a replay gives a trigger events.
fn is_given(on: &On) -> bool {
    matches!(on, On::Event(_) | On::Message(_))
}
