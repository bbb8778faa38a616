//! A draft of a rule beside the version that is active: run on the same event and tables, nothing of it done.

use std::sync::Arc;

use pointsman_rules::{DryRun, Event, Rule, Snapshot};
use serde::Serialize;
use serde_json::Value;

use crate::pipeline::Pipeline;
use crate::pipeline::turns::worker::Desk;

/// Times that two versions are run on an event before they count as different.
const TRIES: usize = 3;
/// Differences that are shown.
const SHOWN_MAX: usize = 20;
/// Bytes of all that is shown.
const SHOWN_BYTES_MAX: usize = 2 << 20;

/// What a draft would do differently: counts, and some of the events.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// The draft's version.
    pub draft: String,
    /// The version that it was compared with; empty if no rule of that name is active.
    pub active: String,
    /// Events that were looked at.
    pub events: u64,
    /// Those of them that the draft or the active version listens to.
    pub matched: u64,
    /// Those on which both ask for the same.
    pub same: u64,
    /// Those on which they do not.
    pub different: u64,
    /// Those on which the draft fails.
    pub draft_failed: u64,
    /// Those on which the active version fails.
    pub active_failed: u64,
    /// Events that were not looked at, as there were too many at a time.
    pub skipped: u64,
    /// Why there may be more that was not looked at; empty if there is not.
    pub ended_early: String,
    /// Some of the events on which they differ.
    pub differences: Vec<Difference>,
}

/// An event on which a draft differs from the active version.
#[derive(Debug, Clone, Serialize)]
pub struct Difference {
    /// The event.
    pub event: Value,
    /// What the draft's handlers ask for.
    pub draft: Vec<Value>,
    /// What those of the active version ask for.
    pub active: Vec<Value>,
}

/// Compares a draft with the active version, event by event.
pub(in crate::pipeline) struct Comparer {
    pub(in crate::pipeline) draft: Arc<Rule>,
    pub(in crate::pipeline) active: Option<Arc<Rule>>,
    comparison: Comparison,
    shown_bytes: usize,
}

impl Comparer {
    pub(in crate::pipeline) fn new(draft: Arc<Rule>, active: Option<Arc<Rule>>) -> Comparer {
        let comparison = Comparison {
            draft: draft.version.clone(),
            active: active.as_ref().map(|rule| rule.version.clone()).unwrap_or_default(),
            ..Comparison::default()
        };
        Comparer { draft, active, comparison, shown_bytes: 0 }
    }

    /// Runs both on an event, on the tables as they are now.
    pub(in crate::pipeline) fn look_at(&mut self, pipeline: &Pipeline, event: &Event) {
        let engine = &pipeline.engine;
        self.comparison.events += 1;
        let tables = || -> Arc<dyn Snapshot> { Desk::new(pipeline).snapshot };
        let run = || {
            let draft = engine.dry_run(&self.draft, event, &tables());
            let active = self.active.as_ref().map(|rule| engine.dry_run(rule, event, &tables()));
            (draft, active.unwrap_or_default())
        };
        let (mut draft, mut active) = run();
        // On live traffic the tables may change between the two runs, which is no difference of the rules.
        for _ in 1..TRIES {
            if DryRun::ask_the_same(&draft, &active) {
                break;
            }
            (draft, active) = run();
        }
        if draft.is_empty() && active.is_empty() {
            return;
        }
        let failed = |runs: &[DryRun]| u64::from(runs.iter().any(|run| run.result.is_err()));
        self.comparison.matched += 1;
        self.comparison.draft_failed += failed(&draft);
        self.comparison.active_failed += failed(&active);
        if DryRun::ask_the_same(&draft, &active) {
            self.comparison.same += 1;
            return;
        }
        self.comparison.different += 1;
        self.show(event, &draft, &active);
    }

    /// How many events it has run.
    pub(in crate::pipeline) fn matched(&self) -> u64 {
        self.comparison.matched
    }

    /// Says why there may be more.
    pub(in crate::pipeline) fn end_early(&mut self, why: String) {
        self.comparison.ended_early = why;
    }

    pub(in crate::pipeline) fn comparison(&self) -> Comparison {
        self.comparison.clone()
    }

    fn show(&mut self, event: &Event, draft: &[DryRun], active: &[DryRun]) {
        if self.comparison.differences.len() >= SHOWN_MAX || self.shown_bytes >= SHOWN_BYTES_MAX {
            return;
        }
        let all = |runs: &[DryRun]| runs.iter().map(DryRun::to_json).collect::<Vec<_>>();
        let difference = Difference { event: event.to_json(), draft: all(draft), active: all(active) };
        let bytes = serde_json::to_vec(&difference).map_or(0, |text| text.len());
        if self.shown_bytes + bytes <= SHOWN_BYTES_MAX {
            self.shown_bytes += bytes;
            self.comparison.differences.push(difference);
        }
    }
}
