//! What each rule makes of a message: run on the tables as they are, and nothing of it done.

use std::sync::Arc;

use pointsman_rules::{BasicIngest, Batch, Event, EventId, On, RuleName, Snapshot};
use serde::Serialize;
use serde_json::Value;

use super::fate::Fate;
use super::{Deadline, ExplainError, Explanation, LetterBrief};
use crate::mqtt::Envelope;
use crate::pipeline::Pipeline;
use crate::pipeline::inputs::route::is_durable;
use crate::pipeline::rules::active::ActiveRule;
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
    /// Its version.
    pub version: String,
    /// What the trigger listens to, as the script says it.
    pub on: String,
    /// The function.
    pub handler: String,
    /// The line of the trigger.
    pub line: usize,
    /// Whether the rule is suspended.
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
pub struct NotMatched {
    /// The rule.
    pub rule: String,
    /// What the trigger listens to, as the script says it.
    pub on: String,
    /// The function.
    pub handler: String,
    /// Why not.
    pub why: String,
}

/// A trigger of an active rule.
type Place<'a> = (&'a Arc<ActiveRule>, usize);

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
        let active = self.active.load_full();
        let ingested = BasicIngest::of(envelope.message(0).topic());
        if let Some(name) = only.filter(|name| active.rules.iter().all(|active| active.rule.name != **name)) {
            return Err(ExplainError::NoRule(name.to_string()));
        }
        let meant = active.rules.iter().filter(|active| only.is_none_or(|name| active.rule.name == *name));
        let mut matched: Vec<Place<'_>> = Vec::new();
        for active in meant {
            for (index, trigger) in active.rule.triggers.iter().enumerate() {
                let why = match ingested.map_or_else(
                    || trigger.why_not(event),
                    |message| active.rule.why_not_ingested(trigger, message),
                ) {
                    None if explanation.withheld.is_empty() => {
                        matched.push((active, index));
                        continue;
                    }
                    None => explanation.withheld.clone(),
                    Some(why) => why,
                };
                explanation.not_matched_count += 1;
                if explanation.not_matched.len() < NOT_MATCHED_MAX {
                    let (rule, on) = (active.rule.name.to_string(), trigger.on.to_string());
                    let handler = trigger.handler.clone();
                    explanation.not_matched.push(NotMatched { rule, on, handler, why });
                }
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
        matched: &[Place<'_>],
        deadline: Deadline,
    ) -> Result<(), ExplainError> {
        let shown = &matched[..matched.len().min(MATCHED_MAX)];
        let promised: Vec<TriggerKey> = shown
            .iter()
            .filter(|(rule, trigger)| is_durable(envelope, 0) && rule.is_promised(*trigger))
            .map(|(rule, trigger)| rule.key(*trigger))
            .collect();
        let fates = self.fates(envelope, &promised, deadline)?;
        let mut letters = self.dead_letters.of_event(event.id())?;
        let mut bytes = 0;
        for &(rule, trigger) in shown {
            let key = rule.key(trigger);
            let mut it = describe(rule, trigger, fates.of(&key));
            it.dead_letter = take_letter(&mut letters, event.id(), &key);
            if it.dead_letter.is_some() {
                it.fate = Fate::Failed;
            }
            if bytes < SHOWN_BYTES_MAX && !deadline.is_over() {
                (it.run, it.why_nothing) = self.try_run(rule, trigger, event);
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
    fn try_run(&self, active: &ActiveRule, trigger: usize, event: &Event) -> (Value, Option<String>) {
        let rule = &active.rule;
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

fn describe(active: &ActiveRule, trigger: usize, fate: Fate) -> Matched {
    let told = &active.rule.triggers[trigger];
    Matched {
        rule: active.rule.name.to_string(),
        version: active.rule.version.clone(),
        on: told.on.to_string(),
        handler: told.handler.clone(),
        line: told.line,
        is_suspended: active.is_suspended(),
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
