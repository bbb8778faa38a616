//! What a test has made of the world so far: tables, time, and what the last event led to.

use std::sync::Arc;

use rhai::{Dynamic, EvalAltResult, Position};
use serde_json::Value;

use super::{DiffLine, START_MS, TestLimits};
use crate::effect::Effect;
use crate::engine::Engine;
use crate::error::{RunError, RunErrorKind};
use crate::event::Event;
use crate::event_id::EventId;
use crate::event_json::EventDefaults;
use crate::memory_tables::MemoryTables;
use crate::rule::Rule;
use crate::snapshot::Snapshot;
use crate::state::{NativeResult, Stop, aside};

/// The world of one test.
pub(super) struct World {
    engine: Arc<Engine>,
    rule: Arc<Rule>,
    limits: TestLimits,
    pub(super) tables: MemoryTables,
    pub(super) now_ms: i64,
    /// How many events there were.
    pub(super) events: usize,
    /// The identity of the last event.
    pub(super) last_id: EventId,
    /// What the last event led to.
    pub(super) effects: Vec<Seen>,
    /// Why the last event failed, until the test says that it expected that; and where the event was.
    pub(super) error: Option<(Position, Box<RunError>)>,
    /// Why the test fails.
    pub(super) failure: Option<Failure>,
}

/// An effect of the last event.
pub(super) struct Seen {
    pub(super) effect: Effect,
    pub(super) json: Value,
    /// Whether the test has said that it expects it.
    pub(super) expected: bool,
}

/// Why a test fails, and where.
pub(super) struct Failure {
    pub(super) position: Position,
    pub(super) message: String,
    pub(super) diff: Vec<DiffLine>,
}

impl World {
    /// Empty tables, and nothing has happened.
    pub(super) fn new(engine: Arc<Engine>, rule: Arc<Rule>, limits: TestLimits) -> Self {
        let mut tables = MemoryTables::default();
        tables.set_time(START_MS);
        tables.declare(&rule);
        Self {
            engine,
            rule,
            limits,
            tables,
            now_ms: START_MS,
            events: 0,
            last_id: EventId::new(START_MS.unsigned_abs(), 0),
            effects: Vec::new(),
            error: None,
            failure: None,
        }
    }

    /// Fails the test, for good: scripts cannot catch it.
    pub(super) fn fail<T>(
        &mut self,
        position: Position,
        message: String,
        diff: Vec<DiffLine>,
    ) -> NativeResult<T> {
        self.failure.get_or_insert(Failure { position, message, diff });
        let stop = Stop { message: "the test failed".to_owned(), kind: RunErrorKind::Thrown };
        Err(Box::new(EvalAltResult::ErrorTerminated(Dynamic::from(stop), position)))
    }

    /// Sets the time.
    pub(super) fn set_time(&mut self, position: Position, now_ms: i64) -> NativeResult<()> {
        if now_ms < self.now_ms {
            let message = format!("time goes forward only: it is {} already", self.now_ms);
            return self.fail(position, message, Vec::new());
        }
        self.now_ms = now_ms;
        self.tables.set_time(now_ms);
        Ok(())
    }

    /// What the next event has unless the test says otherwise: a time of its own, and an id that sorts behind the last.
    pub(super) fn defaults(&self) -> EventDefaults {
        let time_ms = self.now_ms.saturating_add(1);
        let count = self.events as u128 + 1;
        EventDefaults { time_ms, id: EventId::new(u64::try_from(time_ms).unwrap_or(0), count) }
    }

    /// Has the rule handle an event, twice, and does what it asks of the tables.
    pub(super) fn happen(&mut self, position: Position, event: &Event) -> NativeResult<()> {
        self.no_error_is_left()?;
        if self.events == self.limits.events_max {
            let message = format!("the test has more than {} events", self.limits.events_max);
            return self.fail(position, message, Vec::new());
        }
        self.events += 1;
        self.set_time(position, event.time_ms().max(self.now_ms))?;
        self.last_id = event.id();
        self.effects.clear();
        let triggers: Vec<_> = self.rule.triggers_of(event).collect();
        if triggers.is_empty() {
            let message = "the rule listens to no such event".to_owned();
            return self.fail(position, message, Vec::new());
        }
        for trigger in triggers {
            let snapshot: Arc<dyn Snapshot> = Arc::new(self.tables.clone());
            let run = || self.engine.run(&self.rule, trigger, event, &snapshot);
            let (first, second) = aside(|| (run(), run()));
            match (first, second) {
                (Ok(first), Ok(second))
                    if first.effects == second.effects && first.failure == second.failure =>
                {
                    self.tables
                        .apply(&first.effects)
                        .or_else(|error| self.fail(position, error.to_string(), Vec::new()))?;
                    let seen = |effect: Effect| Seen { json: effect.to_json(), effect, expected: false };
                    self.effects.extend(first.effects.into_iter().map(seen));
                    // What an error action has in hand is no failure of the rule.
                    if let Some(failure) = first.failure.filter(|failure| !failure.is_told) {
                        self.error.get_or_insert((position, Box::new(failure.error)));
                    }
                }
                (Err(first), Err(second)) if first.message == second.message => {
                    self.error.get_or_insert((position, first));
                }
                _ => {
                    let handler = &self.rule.triggers[trigger].handler;
                    let message =
                        format!("`{handler}` does not do the same when it is run again on the same event");
                    return self.fail(position, message, Vec::new());
                }
            }
        }
        Ok(())
    }

    /// Fails the test if the last event failed and nobody expected that.
    pub(super) fn no_error_is_left(&mut self) -> NativeResult<()> {
        match self.error.take() {
            None => Ok(()),
            Some((position, error)) => self.fail(position, format!("the rule failed\n{error}"), Vec::new()),
        }
    }
}
