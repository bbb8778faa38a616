//! A draft of a rule beside the version that is active: run on the same event and tables, nothing of it done.

mod apart;
mod gathered;
mod pairs;

use std::sync::Arc;

use pointsman_rules::{DryRun, Event, On, Rule, Snapshot, TriggerIndex};
use serde::Serialize;
use serde_json::Value;

use crate::mqtt::Envelope;
use crate::pipeline::Pipeline;
use crate::pipeline::inputs::route::{is_plain, message_event, spine_event};
use crate::pipeline::rules::active::trigger_key;
use crate::pipeline::turns::unit::Texts;
use crate::pipeline::turns::worker::Desk;

pub use apart::NotCompared;
use gathered::{Due, Gathered, Ready, TIMES_MAX};
use pairs::{Pair, pairs};

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
    /// Events that were looked at, with the batches and times that were made of them.
    pub events: u64,
    /// Batches that were complete.
    pub batches: u64,
    /// Times that came.
    pub times: u64,
    /// Those of all events that the draft or the active version listens to, and on which the two can be compared.
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
    /// Messages of batches that were not complete at the end.
    pub incomplete: u64,
    /// Times that came and for which neither was called, as there were too many.
    pub times_left_out: u64,
    /// How often a trigger is called at its times.
    pub times_max: u64,
    /// Why there may be more that was not looked at; empty if there is not.
    pub ended_early: String,
    /// Triggers of batches and times for which the other version has none: what they do is no difference.
    pub not_compared: Vec<NotCompared>,
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
    draft: Arc<Rule>,
    active: Option<Arc<Rule>>,
    pairs: Vec<Pair>,
    gathered: Gathered,
    /// By pair: what only one version is called by.
    apart: Vec<Option<NotCompared>>,
    comparison: Comparison,
    shown_bytes: usize,
    texts: Texts,
}

/// What both versions made of an event.
type Runs = (Vec<DryRun>, Vec<DryRun>);

impl Comparer {
    /// Compares what comes from a time on, in milliseconds.
    pub(in crate::pipeline) fn new(draft: Arc<Rule>, active: Option<Arc<Rule>>, from_ms: i64) -> Comparer {
        let comparison = Comparison {
            draft: draft.version.clone(),
            active: active.as_ref().map(|rule| rule.version.clone()).unwrap_or_default(),
            times_max: TIMES_MAX,
            ..Comparison::default()
        };
        let pairs = pairs(&draft, active.as_deref());
        // Both see one event, so that what they draw from it is the same.
        let trigger_of = |pair: &Pair| match (pair.active, pair.draft, &active) {
            (Some(trigger), _, Some(active)) => (active, trigger),
            (_, draft_trigger, _) => (&draft, draft_trigger.unwrap_or_default()),
        };
        let lanes = pairs.iter().map(trigger_of).map(|(rule, trigger)| {
            let trigger = &rule.triggers[trigger];
            (trigger.clone(), trigger_key(rule, trigger))
        });
        let gathered = Gathered::new(&draft.name, lanes, from_ms);
        let apart = |pair: &Pair| {
            let (rule, trigger) = trigger_of(pair);
            let whose = if pair.draft.is_some() { "draft" } else { "active" };
            let is_alone = !pair.why.is_empty();
            is_alone.then(|| NotCompared::new(whose, &rule.triggers[trigger], &pair.why))
        };
        let apart = pairs.iter().map(apart).collect();
        let (shown_bytes, texts) = (0, Texts::default());
        Comparer { draft, active, pairs, gathered, apart, comparison, shown_bytes, texts }
    }

    /// Runs both on a message of the spine, and on the batches that are complete with it, on the tables as they are now.
    pub(in crate::pipeline) fn take_in(
        &mut self,
        pipeline: &Pipeline,
        envelope: &Envelope,
        index: usize,
        at_ms: i64,
    ) {
        let event = spine_event(envelope, index, &mut self.texts);
        let is_message = event.as_ref().is_some_and(|event| event.as_message().is_some());
        self.comparison.events += 1;
        if let Some(event) = event {
            self.look_at(pipeline, &event);
        }
        // What the server publishes under `$` is also the message that it is.
        if !is_message && is_plain(envelope, index) {
            let event = message_event(envelope, index, &mut self.texts);
            self.look_at(pipeline, &event);
        }
        for ready in self.gathered.add(envelope, index, at_ms) {
            self.run_ready(pipeline, &ready);
        }
    }

    /// Runs both on the first of what is due at a time; `false` if nothing is.
    pub(super) fn run_due(&mut self, pipeline: &Pipeline, until_ms: i64) -> bool {
        match self.gathered.take_due(until_ms) {
            None => return false,
            Some(Due::LeftOut) => {}
            Some(Due::Ready(ready)) => self.run_ready(pipeline, &ready),
        }
        true
    }

    /// When something is due next.
    pub(super) fn next_due_ms(&self) -> Option<i64> {
        self.gathered.next_due_ms()
    }

    /// Runs both on a single event, if they listen to it.
    fn look_at(&mut self, pipeline: &Pipeline, event: &Event) {
        let (draft, active) = (Arc::clone(&self.draft), self.active.clone());
        let run = || {
            let active = active.as_ref().map(|rule| pipeline.engine.dry_run(rule, event, &tables(pipeline)));
            (pipeline.engine.dry_run(&draft, event, &tables(pipeline)), active.unwrap_or_default())
        };
        self.compare(event, run);
    }

    /// Runs whoever is called with a batch or at a time.
    fn run_ready(&mut self, pipeline: &Pipeline, Ready { lane, event }: &Ready) {
        let (draft, active) = (Arc::clone(&self.draft), self.active.clone());
        let of = |rule: &Rule, trigger: TriggerIndex| {
            pipeline.engine.dry_run_of(rule, trigger, event, &tables(pipeline))
        };
        let Pair { draft: of_draft, active: of_active, .. } = self.pairs[*lane];
        let its_draft = of_draft.map(|trigger| (&*draft, trigger));
        let its_active = active.as_deref().zip(of_active);
        let is_time = its_draft
            .or(its_active)
            .is_some_and(|(rule, trigger)| matches!(rule.triggers[trigger].on, On::Time(_)));
        self.comparison.events += 1;
        *(if is_time { &mut self.comparison.times } else { &mut self.comparison.batches }) += 1;
        match (its_draft, its_active) {
            (Some((draft, own)), Some((active, its))) => {
                self.compare(event, || (vec![of(draft, own)], vec![of(active, its)]));
            }
            (alone, other) => {
                let run = alone.or(other).map(|(rule, trigger)| of(rule, trigger));
                if let (Some(run), Some(apart)) = (run, &mut self.apart[*lane])
                    && let Some(example) = apart.note(event, &run)
                    && has_room(&mut self.shown_bytes, &example)
                {
                    apart.example = example;
                }
            }
        }
    }

    /// Compares what two versions make of an event.
    fn compare(&mut self, event: &Event, run: impl Fn() -> Runs) {
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
        let failed = |runs: &[DryRun]| u64::from(runs.iter().any(|run| run.error().is_some()));
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

    /// How many events were run.
    pub(in crate::pipeline) fn ran(&self) -> u64 {
        self.comparison.matched + self.apart.iter().flatten().map(|apart| apart.runs).sum::<u64>()
    }

    /// Says why there may be more.
    pub(in crate::pipeline) fn end_early(&mut self, why: String) {
        self.comparison.ended_early = why;
    }

    pub(in crate::pipeline) fn comparison(&self) -> Comparison {
        Comparison {
            incomplete: self.gathered.waiting() as u64,
            times_left_out: self.gathered.times_left_out(),
            not_compared: self.apart.iter().flatten().cloned().collect(),
            ..self.comparison.clone()
        }
    }

    fn show(&mut self, event: &Event, draft: &[DryRun], active: &[DryRun]) {
        if self.comparison.differences.len() >= SHOWN_MAX {
            return;
        }
        let all = |runs: &[DryRun]| runs.iter().map(DryRun::to_json).collect::<Vec<_>>();
        let difference = Difference { event: event.to_json(), draft: all(draft), active: all(active) };
        if has_room(&mut self.shown_bytes, &difference) {
            self.comparison.differences.push(difference);
        }
    }
}

fn tables(pipeline: &Pipeline) -> Arc<dyn Snapshot> {
    Desk::new(pipeline).snapshot
}

/// Whether something may be shown besides what is; if so it counts.
fn has_room(shown_bytes: &mut usize, shown: &impl Serialize) -> bool {
    let bytes = serde_json::to_vec(shown).map_or(usize::MAX, |text| text.len());
    let is_room = bytes <= SHOWN_BYTES_MAX - *shown_bytes;
    *shown_bytes += if is_room { bytes } else { 0 };
    is_room
}
