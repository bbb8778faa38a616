//! Triggers that only one of two versions is called by: their runs are counted and shown for themselves, and are no difference.

use pointsman_rules::{DryRun, Event, Trigger};
use serde::Serialize;
use serde_json::{Value, json};

/// The runs of a trigger for which the other version has none.
#[derive(Debug, Clone, Serialize)]
pub struct NotCompared {
    /// Which version it is: `draft` or `active`.
    pub whose: &'static str,
    /// What the trigger listens to, as the script says it.
    pub on: String,
    /// The function.
    pub handler: String,
    /// Why the other version is not called with the same.
    pub why: String,
    /// Runs.
    pub runs: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// What all of them ask for.
    pub effects: u64,
    /// The first event and run that asked for something or failed.
    pub example: Value,
}

impl NotCompared {
    pub(super) fn new(whose: &'static str, trigger: &Trigger, why: &str) -> NotCompared {
        NotCompared {
            whose,
            on: trigger.on.to_string(),
            handler: trigger.handler.clone(),
            why: why.to_owned(),
            runs: 0,
            failed: 0,
            effects: 0,
            example: Value::Null,
        }
    }

    /// Takes note of a run, and gives an example if there is none.
    pub(super) fn note(&mut self, event: &Event, run: &DryRun) -> Option<Value> {
        let asked = run.result.as_ref().map_or(0, |outcome| outcome.effects.len());
        self.runs += 1;
        self.failed += u64::from(run.error().is_some());
        self.effects += asked as u64;
        let is_something = asked > 0 || run.error().is_some();
        (is_something && self.example.is_null())
            .then(|| json!({ "event": event.to_json(), "run": run.to_json() }))
    }
}
