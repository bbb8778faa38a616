//! What each rule makes of a message by its version of then: run on the tables as they are, and nothing of it done.

use std::sync::Arc;

use pointsman_rules::{BasicIngest, Batch, Event, EventId, On, RuleName, Snapshot, Trigger};
use serde::Serialize;
use serde_json::Value;

use super::fate::Fate;
use super::{AsOf, Deadline, ExplainError, Explanation, LetterBrief};
use crate::mqtt::Envelope;
use crate::pipeline::Pipeline;
use crate::pipeline::inputs::route::is_durable;
use crate::pipeline::rules::active::ActiveRule;
use crate::pipeline::rules::past::{RuleOverTime, RuleThen};
use crate::pipeline::tools::dead_letters::DeadLetter;
use crate::pipeline::turns::progress::TriggerKey;
use crate::pipeline::turns::worker::Desk;

/// Triggers that are run, and others that are shown.
const MATCHED_MAX: usize = 200;
const NOT_MATCHED_MAX: usize = 500;
/// Bytes of all effects that are shown.
const SHOWN_BYTES_MAX: usize = 2 << 20;

/// A trigger that a message sets off.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Matched {
    /// The rule.
    pub rule: String,
    /// Its version that is told of.
    pub version: String,
    /// Its version that is active now; null if it is gone.
    pub active_version: Option<String>,
    /// As of when the trigger is told.
    pub as_of: AsOf,
    /// What the trigger listens to, as the script says it.
    pub on: String,
    /// The function.
    pub handler: String,
    /// The line of the trigger.
    pub line: usize,
    /// Whether the rule is suspended now.
    pub is_suspended: bool,
    /// How far it has come with the message.
    pub fate: Fate,
    /// What a run asks for now: `effects`, or `error`; null if it was not run.
    pub run: Value,
    /// Why it asks for nothing, if that is known.
    pub why_nothing: Option<String>,
    /// The dead letter of the trigger and the message, if there is one.
    pub dead_letter: Option<LetterBrief>,
}

/// A trigger that a message does not set off.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotMatched {
    /// The rule.
    pub rule: String,
    /// Its version that is told of.
    pub version: String,
    /// As of when the trigger is told.
    pub as_of: AsOf,
    /// What the trigger listens to, as the script says it.
    pub on: String,
    /// The function.
    pub handler: String,
    /// Why not.
    pub why: String,
}

/// A trigger of a rule, as of when it is told, and the version that is active now.
#[derive(Debug, Clone)]
struct Told {
    rule: Arc<ActiveRule>,
    trigger: usize,
    as_of: AsOf,
    now: Option<Arc<ActiveRule>>,
}

impl Told {
    fn trigger(&self) -> &Trigger {
        &self.rule.rule.triggers[self.trigger]
    }

    /// All triggers of a rule: those that it had, and those that it has got since.
    fn all_of(RuleOverTime { then, now }: RuleOverTime) -> Vec<Told> {
        let all = |rule: &Arc<ActiveRule>, as_of| {
            let told = |trigger| Told { rule: Arc::clone(rule), trigger, as_of, now: now.clone() };
            (0..rule.rule.triggers.len()).map(told).collect::<Vec<_>>()
        };
        let newest = now.iter();
        match &then {
            RuleThen::Active(then) => {
                let known: Vec<TriggerKey> = (0..then.rule.triggers.len()).map(|it| then.key(it)).collect();
                let mut told = all(then, AsOf::Then);
                let added = newest.flat_map(|now| all(now, AsOf::Later));
                told.extend(added.filter(|it| !known.contains(&it.rule.key(it.trigger))));
                told
            }
            RuleThen::NotYet => newest.flat_map(|now| all(now, AsOf::Later)).collect(),
            RuleThen::Unknown => newest.flat_map(|now| all(now, AsOf::Now)).collect(),
        }
    }
}

impl Pipeline {
    /// Adds to an explanation what the rules make of the message.
    pub(super) fn explain_rules(
        &self,
        explanation: &mut Explanation,
        envelope: &Envelope,
        event: &Event,
        only: Option<&RuleName>,
        deadline: Deadline,
    ) -> Result<(), ExplainError> {
        let ingested = BasicIngest::of(envelope.message(0).topic());
        let rules = self.rules_at(event.id().time_ms(), only);
        if let Some(name) = only.filter(|_| rules.is_empty()) {
            return Err(ExplainError::NoRule(name.to_string()));
        }
        let mut matched = Vec::new();
        for told in rules.into_iter().flat_map(Told::all_of) {
            let (rule, trigger) = (&told.rule.rule, told.trigger());
            let why = match ingested
                .map_or_else(|| trigger.why_not(event), |message| rule.why_not_ingested(trigger, message))
            {
                None if explanation.withheld.is_empty() => {
                    matched.push(told);
                    continue;
                }
                None => explanation.withheld.clone(),
                Some(why) => why,
            };
            explanation.not_matched_count += 1;
            if explanation.not_matched.len() < NOT_MATCHED_MAX {
                explanation.not_matched.push(NotMatched {
                    rule: rule.name.to_string(),
                    version: rule.version.clone(),
                    as_of: told.as_of,
                    on: trigger.on.to_string(),
                    handler: trigger.handler.clone(),
                    why,
                });
            }
        }
        if explanation.not_matched_count > NOT_MATCHED_MAX {
            explanation
                .left_out
                .push(format!("triggers that are not set off, beyond the first {NOT_MATCHED_MAX}"));
        }
        self.run_matched(explanation, envelope, event, &matched, deadline)
    }

    fn run_matched(
        &self,
        explanation: &mut Explanation,
        envelope: &Envelope,
        event: &Event,
        matched: &[Told],
        deadline: Deadline,
    ) -> Result<(), ExplainError> {
        let shown = &matched[..matched.len().min(MATCHED_MAX)];
        let promised: Vec<TriggerKey> = shown
            .iter()
            .filter(|told| is_durable(envelope, 0) && told.rule.is_promised(told.trigger))
            .map(|told| told.rule.key(told.trigger))
            .collect();
        let fates = self.fates(envelope, &promised, deadline)?;
        let mut letters = self.dead_letters.of_event(event.id())?;
        let mut bytes = 0;
        for told in shown {
            let key = told.rule.key(told.trigger);
            let mut it = describe(told, fates.of(&key));
            it.dead_letter = take_letter(&mut letters, event.id(), &key);
            if it.dead_letter.is_some() {
                it.fate = Fate::Failed;
            }
            if bytes < SHOWN_BYTES_MAX && !deadline.is_over() {
                (it.run, it.why_nothing) = self.try_run(told, event);
                bytes += it.run.to_string().len();
            } else if explanation.left_out.is_empty() {
                let what = "runs, as those before took too long or ask for too much: name one rule";
                explanation.left_out.push(what.to_owned());
            }
            explanation.matched.push(it);
        }
        explanation.other_dead_letters = letters.iter().map(LetterBrief::of).collect();
        if matched.len() > MATCHED_MAX {
            explanation.left_out.push(format!("triggers that are set off, beyond the first {MATCHED_MAX}"));
        }
        if fates.is_cut_short {
            explanation
                .left_out
                .push("what the log says of messages handled, beyond what could be read".to_owned());
        }
        Ok(())
    }

    /// What a run asks for, and why it asks for nothing if that is known.
    fn try_run(&self, told: &Told, event: &Event) -> (Value, Option<String>) {
        let (rule, trigger) = (&told.rule.rule, told.trigger);
        let tables: Arc<dyn Snapshot> = Desk::new(self).snapshot;
        let run = match (&rule.triggers[trigger].on, event.as_message()) {
            (On::Batch(..), Some(message)) => {
                let (time_ms, id) = (message.time_ms, message.id);
                let batch = Event::batch(Batch { messages: vec![event.clone()], time_ms, id });
                self.engine.dry_run_of(rule, trigger, &batch, &tables)
            }
            _ => self.engine.dry_run_of(rule, trigger, event, &tables),
        };
        (run.to_json(), rule.why_nothing(event, &*tables))
    }
}

fn describe(told: &Told, fate: Fate) -> Matched {
    let (rule, trigger) = (&told.rule.rule, told.trigger());
    Matched {
        rule: rule.name.to_string(),
        version: rule.version.clone(),
        active_version: told.now.as_ref().map(|now| now.rule.version.clone()),
        as_of: told.as_of,
        on: trigger.on.to_string(),
        handler: trigger.handler.clone(),
        line: trigger.line,
        is_suspended: told.now.as_ref().is_some_and(|now| now.is_suspended()),
        fate,
        run: Value::Null,
        why_nothing: None,
        dead_letter: None,
    }
}

/// The letter of a trigger, which is no longer among the others then.
fn take_letter(letters: &mut Vec<DeadLetter>, event: EventId, key: &TriggerKey) -> Option<LetterBrief> {
    let id = crate::pipeline::tools::dead_letters::letter_id(event, key);
    let at = letters.iter().position(|letter| letter.id == id)?;
    Some(LetterBrief::of(&letters.remove(at)))
}
