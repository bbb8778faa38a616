//! A replay as it runs: through the log step by step, never far ahead of what the rule has handled.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tracing::{info, warn};

use super::{BusReplayState, Given, Running, UNDER_WAY_MAX, is_given};
use crate::mqtt::{Envelope, SERVER, envelope_of};
use crate::pipeline::inputs::order;
use crate::pipeline::inputs::route::is_durable;
use crate::pipeline::inputs::wanted::Wanted;
use crate::pipeline::rules::active::{ActiveRule, ActiveRules};
use crate::pipeline::turns::unit::{Events, Unit};
use crate::pipeline::{Pipeline, monotonic};
use crate::report::chain;
use crate::store::Replay;

/// Times rise along the log, but for messages that came at once: so far behind a time, nothing before it comes.
pub(super) const SLACK_MS: u64 = 10_000;
/// How often it is noted how far a replay is.
const NOTE_EVERY: Duration = Duration::from_secs(1);

/// The version of the rule that gets the events, as a set of rules.
struct Receiver {
    rule: Arc<ActiveRule>,
    only: ActiveRules,
}

/// Runs a replay to its end.
pub(super) fn run(pipeline: &Weak<Pipeline>, running: &Arc<Running>, records: Replay) {
    let ended = give_all(pipeline, running, records);
    let Some(pipeline) = pipeline.upgrade() else { return };
    let (state, error) = match ended {
        Ok(()) => (BusReplayState::Done, None),
        Err(error) => (BusReplayState::Failed, Some(error)),
    };
    running.end(state, error, pipeline.clock.now_ms());
    let _noted = pipeline.note_bus_replay(running);
    let mut all = pipeline.bus_replays.lock();
    all.remove(running.request.rule.as_str());
    drop(all);
    let status = running.lock().clone();
    let (rule, replay, given) = (status.rule, status.name, status.given);
    match status.error {
        None => info!(rule, replay, given, state = ?status.state, "a replay has ended"),
        Some(error) => warn!(rule, replay, given, error, "a replay cannot go on"),
    }
}

fn give_all(pipeline: &Weak<Pipeline>, running: &Arc<Running>, records: Replay) -> Result<(), String> {
    let mut receiver = None;
    let mut noted = monotonic();
    for entry in records {
        let (seq, record) = entry.map_err(|error| format!("the log cannot be read: {}", chain(&error)))?;
        let Some(envelope) = envelope_of(record, seq) else { continue };
        if envelope.id(0).time_ms() > running.request.to_ms + SLACK_MS || running.is_ending() {
            break;
        }
        for index in 0..envelope.len() {
            if !running.wait_for_room(UNDER_WAY_MAX) {
                return Ok(());
            }
            let Some(pipeline) = pipeline.upgrade() else { return Ok(()) };
            pipeline.give(running, &envelope, index, &mut receiver)?;
            if monotonic().saturating_sub(noted) >= NOTE_EVERY {
                noted = monotonic();
                let _noted = pipeline.note_bus_replay(running);
            }
        }
    }
    running.wait_for_room(0);
    Ok(())
}

impl Pipeline {
    /// Gives a message to the rule, as far as it is part of the replay and wanted.
    fn give(
        &self,
        running: &Arc<Running>,
        envelope: &Envelope,
        index: usize,
        receiver: &mut Option<Receiver>,
    ) -> Result<(), String> {
        let request = &running.request;
        let time_ms = envelope.id(index).time_ms();
        let is_own = envelope.publisher() == SERVER;
        if !(request.from_ms..=request.to_ms).contains(&time_ms)
            || !is_durable(envelope, index)
            || !request.includes(envelope.message(index).topic(), is_own)
        {
            return Ok(());
        }
        let Receiver { rule, only } = self.receiver(running, receiver)?;
        let mut wanted = Wanted::default();
        for &(_, trigger) in wanted.of(only, envelope, index) {
            let its = &rule.rule.triggers[trigger];
            if !is_given(&its.on) {
                continue;
            }
            running.lock().given += 1;
            let given = Given(Arc::clone(running));
            let index_in = u32::try_from(index).unwrap_or(u32::MAX);
            let events = Events::Again(envelope.clone(), index_in, given);
            let key = order::message_key(&rule.rule.name, its, envelope, index);
            let (rule, hops) = (Arc::clone(rule), envelope.hops());
            self.submit(key, Unit { rule, trigger, events, hops, counted: None });
        }
        let mut status = running.lock();
        status.at = status.at.max(time_ms);
        Ok(())
    }

    /// The rule as it is now.
    fn receiver<'a>(
        &self,
        running: &Running,
        receiver: &'a mut Option<Receiver>,
    ) -> Result<&'a Receiver, String> {
        let rule = self.active_rule(&running.request.rule).ok_or("the rule is gone")?;
        if rule.is_suspended() {
            return Err("the rule is suspended: what was given to it since then is skipped".to_owned());
        }
        if receiver.as_ref().is_none_or(|receiver| !Arc::ptr_eq(&receiver.rule, &rule)) {
            *receiver = None;
        }
        Ok(receiver.get_or_insert_with(|| {
            let only = ActiveRules::new(vec![Arc::clone(&rule)]);
            Receiver { rule, only }
        }))
    }
}
