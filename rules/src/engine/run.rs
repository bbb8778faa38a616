//! Running a handler: from an event and a snapshot to effects.

use std::sync::Arc;

use rhai::{CallFnOptions, Dynamic, Position, Scope};

use super::Engine;
use crate::effect::Outcome;
use crate::error::{Explained, Place, RunError, explain};
use crate::event::{Event, Kind};
use crate::natives::{BatchEvent, BusEvent, ChangeEvent, LifecycleEvent, MessageEvent, TickEvent};
use crate::rule::{Body, Rule};
use crate::rule_set::TriggerIndex;
use crate::snapshot::Snapshot;
use crate::sql::Decided;
use crate::state::{Guard, Run, State, Stop, operations, watching};
use crate::trigger::{On, Trigger};

impl Engine {
    /// Calls one handler with one event. The same event and snapshot always give the same outcome.
    ///
    /// # Errors
    /// Says where and why the handler failed. Nothing is to be done then: effects come all or none.
    ///
    /// # Panics
    /// If `trigger` is none of the rule's, or the event is not of its kind.
    pub fn run(
        &self,
        rule: &Rule,
        trigger: TriggerIndex,
        event: &Event,
        snapshot: &Arc<dyn Snapshot>,
    ) -> Result<Outcome, Box<RunError>> {
        self.run_rest(rule, trigger, event, snapshot, Decided::default())
    }

    /// The same of a statement's actions of which nothing is decided. Scripts do all or nothing, so that of a script
    /// nothing is.
    ///
    /// # Errors
    /// As [`Engine::run`].
    ///
    /// # Panics
    /// As [`Engine::run`].
    pub fn run_rest(
        &self,
        rule: &Rule,
        trigger: TriggerIndex,
        event: &Event,
        snapshot: &Arc<dyn Snapshot>,
        decided: Decided<'_>,
    ) -> Result<Outcome, Box<RunError>> {
        if let Body::Sql(sql) = &rule.body {
            return self.run_sql(rule, &rule.triggers[trigger], sql, event, &**snapshot, decided);
        }
        match self.run_planned(rule, trigger, event, snapshot) {
            Some(outcome) => Ok(outcome),
            None => self.interpret(rule, trigger, event, snapshot),
        }
    }

    /// Does without the interpreter, if a handler has a plan and that is certain of this event.
    pub(crate) fn run_planned(
        &self,
        rule: &Rule,
        trigger: TriggerIndex,
        event: &Event,
        snapshot: &Arc<dyn Snapshot>,
    ) -> Option<Outcome> {
        let Body::Script { plans, .. } = &rule.body else { return None };
        let (On::Message(levels), Kind::Message(shared)) = (&rule.triggers[trigger].on, &event.0) else {
            return None;
        };
        plans[trigger].as_ref()?.run(shared, levels, self.begin(rule, event, snapshot))
    }

    fn begin(&self, rule: &Rule, event: &Event, snapshot: &Arc<dyn Snapshot>) -> Run {
        Run {
            limits: self.limits,
            snapshot: Arc::clone(snapshot),
            time_ms: event.time_ms(),
            event_id: event.id(),
            rule: rule.name.shared(),
            indexes: Arc::clone(&rule.indexes),
            drawn: 0,
            effects: Vec::new(),
            effect_bytes: 0,
            read_bytes: 0,
            stopped: None,
        }
    }

    /// Has the interpreter run the handler of a script.
    pub(crate) fn interpret(
        &self,
        rule: &Rule,
        trigger: TriggerIndex,
        event: &Event,
        snapshot: &Arc<dyn Snapshot>,
    ) -> Result<Outcome, Box<RunError>> {
        let trigger = &rule.triggers[trigger];
        let Body::Script { ast, names, .. } = &rule.body else { panic!("{} is no script", rule.name) };
        let (argument, run) = (argument(trigger, event), self.begin(rule, event, snapshot));
        let guard = Guard::enter(State::Running(Box::new(run)), names.clone(), (self.monotonic)());
        let options = CallFnOptions::new().eval_ast(false).rewind_scope(true);
        let (mut scope, handler) = (Scope::new(), trigger.handler.as_str());
        let result =
            self.strict.call_fn_with_options::<Dynamic>(options, &mut scope, ast, handler, (argument,));
        let (state, operations) = Guard::leave(guard);
        let (effects, stopped) = match state {
            State::Running(run) => (run.effects, run.stopped),
            State::Idle | State::Registering(_) => (Vec::new(), None),
        };
        match (result, stopped) {
            (Err(error), _) => Err(failure(rule, trigger, explain(error))),
            (Ok(_), Some(Stop { message, kind })) => {
                let fault = Explained { position: Position::NONE, function: None, message, kind };
                Err(failure(rule, trigger, fault))
            }
            (Ok(_), None) => Ok(Outcome { effects, operations, ..Outcome::default() }),
        }
    }
}

impl Engine {
    /// The variables that were in scope where a handler fails on an event, as scripts would print them. The handler is run
    /// again for it, twice: a run is a function of its event and snapshot, so it fails in the same place.
    pub fn variables_at_failure(
        &self,
        rule: &Rule,
        trigger: TriggerIndex,
        event: &Event,
        snapshot: &Arc<dyn Snapshot>,
    ) -> Vec<(String, String)> {
        /// Writing variables down takes long, and only the last time counts.
        const STEPS_WATCHED: u64 = 32;
        let (first, _) = watching(u64::MAX, || self.run(rule, trigger, event, snapshot));
        if first.is_ok() {
            return Vec::new();
        }
        watching(operations().saturating_sub(STEPS_WATCHED), || self.run(rule, trigger, event, snapshot)).1
    }
}

fn argument(trigger: &Trigger, event: &Event) -> Dynamic {
    match (&trigger.on, &event.0) {
        (On::Message(levels), Kind::Message(shared)) => {
            Dynamic::from(MessageEvent { shared: Arc::clone(shared), levels: levels.clone() })
        }
        (On::Batch(levels, _), Kind::Batch(batch)) => {
            Dynamic::from(BatchEvent { batch: Arc::clone(batch), levels: levels.clone() })
        }
        (On::Event(_), Kind::Bus(shared)) => Dynamic::from(BusEvent(Arc::clone(shared))),
        (On::Change(_), Kind::Change(change)) => Dynamic::from(ChangeEvent(Arc::clone(change))),
        (On::Time(_), Kind::Tick(tick)) => Dynamic::from(TickEvent(Arc::clone(tick))),
        (on, Kind::Lifecycle(kind, lifecycle)) if on == kind => {
            Dynamic::from(LifecycleEvent(Arc::clone(lifecycle)))
        }
        (on, _) => panic!("the event is not one that {on} listens to"),
    }
}

fn failure(rule: &Rule, trigger: &Trigger, fault: Explained) -> Box<RunError> {
    let (file, source) = rule.source_of(fault.function.as_deref());
    let Place { line, column, source_line } = Place::new(source, fault.position);
    Box::new(RunError {
        rule: rule.name.to_string(),
        file: file.to_owned(),
        version: rule.version.clone(),
        handler: trigger.handler.clone(),
        line,
        column,
        source_line,
        message: fault.message,
        kind: fault.kind,
    })
}
