//! Running a rule on an event without doing what it asks for.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::effect::{Effect, Outcome};
use crate::engine::Engine;
use crate::error::RunError;
use crate::event::{Event, Kind};
use crate::rule::Rule;
use crate::rule_set::TriggerIndex;
use crate::snapshot::Snapshot;
use crate::trigger::{On, Trigger};

/// What one handler made of an event.
#[derive(Clone, Debug)]
pub struct DryRun {
    /// What it listens to, as the script says it.
    pub on: String,
    /// The function.
    pub handler: String,
    /// What it asks for, or why it failed.
    pub result: Result<Outcome, Box<RunError>>,
}

impl Rule {
    /// The triggers that an event sets off, in the order of the source.
    pub fn triggers_of(&self, event: &Event) -> impl Iterator<Item = TriggerIndex> {
        let triggers = self.triggers.iter().enumerate();
        triggers.filter(|(_, trigger)| hears(trigger, event)).map(|(index, _)| index)
    }
}

impl Engine {
    /// Runs every handler that an event sets off, each on the same snapshot. Nothing is done.
    pub fn dry_run(&self, rule: &Rule, event: &Event, snapshot: &Arc<dyn Snapshot>) -> Vec<DryRun> {
        rule.triggers_of(event).map(|trigger| self.dry_run_of(rule, trigger, event, snapshot)).collect()
    }

    /// Runs one handler. Nothing is done.
    ///
    /// # Panics
    /// If `trigger` is none of the rule's, or the event is not of its kind.
    pub fn dry_run_of(
        &self,
        rule: &Rule,
        trigger: TriggerIndex,
        event: &Event,
        snapshot: &Arc<dyn Snapshot>,
    ) -> DryRun {
        DryRun {
            on: rule.triggers[trigger].on.to_string(),
            handler: rule.triggers[trigger].handler.clone(),
            result: self.run(rule, trigger, event, snapshot),
        }
    }
}

impl DryRun {
    /// As JSON: `on`, `handler`, and `effects` or `error`; both where a part of it failed.
    pub fn to_json(&self) -> Value {
        match &self.result {
            Ok(outcome) => {
                let mut run = json!({
                    "on": self.on, "handler": self.handler, "operations": outcome.operations,
                    "effects": outcome.effects.iter().map(Effect::to_json).collect::<Vec<_>>(),
                });
                if let Some(failure) = &outcome.failure {
                    run["error"] = error_json(&failure.error);
                }
                run
            }
            Err(error) => json!({ "on": self.on, "handler": self.handler, "error": error_json(error) }),
        }
    }

    /// Why it failed, in whole or in part.
    pub fn error(&self) -> Option<&RunError> {
        match &self.result {
            Ok(outcome) => outcome.failure.as_ref().map(|failure| &failure.error),
            Err(error) => Some(error),
        }
    }

    /// Whether another version's handlers ask for the same. Where in the source an error is does not matter.
    pub fn ask_the_same(left: &[DryRun], right: &[DryRun]) -> bool {
        fn asked(run: &DryRun) -> (&[Effect], Option<&str>) {
            let effects = run.result.as_ref().map_or(&[][..], |outcome| &outcome.effects);
            (effects, run.error().map(|error| error.message.as_str()))
        }
        left.iter().map(asked).eq(right.iter().map(asked))
    }
}

fn error_json(error: &RunError) -> Value {
    json!({ "message": error.message, "line": error.line, "column": error.column })
}

/// Whether an event sets off a trigger. A tick sets off all that wait for a time: it does not say whose it is.
fn hears(trigger: &Trigger, event: &Event) -> bool {
    match (&trigger.on, &event.0) {
        (On::Message(levels), Kind::Message(shared)) => levels.filter().matches(&shared.message.topic),
        (On::Batch(levels, _), Kind::Batch(batch)) => batch.messages.iter().all(|event| match &event.0 {
            Kind::Message(shared) => levels.filter().matches(&shared.message.topic),
            _ => false,
        }),
        (On::Event(wanted), Kind::Bus(shared)) => {
            // What an event travelled on ends in the name of its bus.
            let bus = shared.message.topic.rsplit('/').next();
            bus == Some(&*wanted.bus) && wanted.pattern.matches(&shared.message.payload)
        }
        (On::Change(table), Kind::Change(change)) => **table == *change.table,
        (On::Time(_), Kind::Tick(_)) => true,
        (on, Kind::Lifecycle(kind, _)) => on == kind,
        (_, Kind::Batch(_) | Kind::Bus(_) | Kind::Change(_) | Kind::Message(_) | Kind::Tick(_)) => false,
    }
}
