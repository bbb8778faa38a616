//! Running a statement: from what it made of a message to the outcome of a run.

use super::Engine;
use super::lambda::LibraryFunctions;
use crate::effect::{Outcome, PartFailure};
use crate::error::{Place, RunError, RunErrorKind};
use crate::event::{Event, Kind};
use crate::rule::Rule;
use crate::snapshot::Snapshot;
use crate::sql::{Decided, SqlFailure, SqlOutcome, SqlRule};
use crate::trigger::Trigger;

impl Engine {
    /// Evaluates a statement. An action that fails stops no other, so the run has failed only if nothing is left to do.
    pub(super) fn run_sql(
        &self,
        rule: &Rule,
        trigger: &Trigger,
        sql: &SqlRule,
        event: &Event,
        snapshot: &dyn Snapshot,
        decided: Decided<'_>,
    ) -> Result<Outcome, Box<RunError>> {
        let Kind::Message(shared) = &event.0 else {
            panic!("the event is not one that {} listens to", trigger.on)
        };
        let functions = LibraryFunctions { engine: self, libraries: &rule.libraries };
        let outcome = sql.run_rest(&shared.message, snapshot, &functions, decided).map_err(|error| {
            let (message, kind) = (error.to_string(), RunErrorKind::Snapshot);
            failure(rule, trigger, message, kind, Place::at(&rule.source, 0, 0))
        })?;
        let SqlOutcome { effects, asked, failures, done, is_told, .. } = outcome;
        let failure = match failures.as_slice() {
            [] => None,
            [first, others @ ..] => Some(failure_of(rule, trigger, first, others)),
        };
        match failure {
            Some(error) if effects.is_empty() => Err(error),
            failure => {
                let failure = failure.map(|error| Box::new(PartFailure { error: *error, done, is_told }));
                Ok(Outcome { effects, operations: 1, asked, failure })
            }
        }
    }
}

/// One failure of a run, at the place of the first action that failed.
fn failure_of(rule: &Rule, trigger: &Trigger, first: &SqlFailure, others: &[SqlFailure]) -> Box<RunError> {
    let what = |it: &SqlFailure| format!("{} {}: {}", it.action, it.resource, it.message);
    let others_told = others.iter().map(|other| format!("in line {}, {}", other.line, what(other)));
    let message = std::iter::once(what(first)).chain(others_told).collect::<Vec<_>>().join("; ");
    // What holds others up is told of before anything else.
    let overrun = others.iter().map(|other| other.kind).find(|kind| kind.is_overrun());
    let kind = overrun.filter(|_| !first.kind.is_overrun()).unwrap_or(first.kind);
    failure(rule, trigger, message, kind, Place::at(&rule.source, first.line, first.column))
}

fn failure(
    rule: &Rule,
    trigger: &Trigger,
    message: String,
    kind: RunErrorKind,
    place: Place,
) -> Box<RunError> {
    let Place { line, column, source_line } = place;
    Box::new(RunError {
        rule: rule.name.to_string(),
        file: rule.file.clone(),
        version: rule.version.clone(),
        handler: trigger.handler.clone(),
        line,
        column,
        source_line,
        message,
        kind,
    })
}
