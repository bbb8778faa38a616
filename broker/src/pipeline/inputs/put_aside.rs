//! What was put aside: taken up when its rule is resumed, or, where the disk or other runs were in its way, after a while.

mod patience;

use std::collections::BTreeMap;
use std::sync::Arc;

use tracing::{info, warn};

use super::order::Units;
use crate::mqtt::envelope_of;
use crate::pipeline::rules::active::ActiveRule;
use crate::pipeline::turns::progress::{Input, TriggerKey};
use crate::pipeline::{Pipeline, monotonic};
use crate::store::{ReadError, Seq};

pub(in crate::pipeline) use patience::Patience;

impl Pipeline {
    /// Takes up what was put aside for rules that are not suspended, of each when it is time.
    pub(in crate::pipeline) fn retry_put_aside(&self, patience: &mut Patience) {
        let mut put_aside = self.progress.parked_by_rule();
        if put_aside.is_empty() && patience.is_idle() {
            return;
        }
        let active = self.active.load_full();
        let find = |name: &str| active.rules.iter().find(|rule| rule.rule.name.as_str() == name);
        // What is put aside for a suspended rule waits for that to end.
        put_aside.retain(|rule, _| find(rule).is_some_and(|rule| !rule.is_suspended()));
        for rule in patience.due(monotonic(), self.store.has_room(), &put_aside) {
            if let Some(rule) = find(&rule) {
                self.resume(rule);
            }
        }
    }

    /// Takes a rule up again: what was put aside for it is queued before anything new is.
    pub(in crate::pipeline) fn resume(&self, rule: &Arc<ActiveRule>) {
        let Some((first, parked)) = self.progress.unpark(rule.rule.name.as_str()) else { return };
        let mut wanted: BTreeMap<Input, Vec<TriggerKey>> = BTreeMap::new();
        for (key, inputs) in parked {
            for input in inputs {
                wanted.entry(input).or_default().push(key.clone());
            }
        }
        info!(rule = %rule.rule.name, events = wanted.len(), "taking up what was put aside");
        match self.queue_wanted(rule, first, &mut wanted) {
            Ok(()) if wanted.is_empty() => {}
            Ok(()) => {
                let events = wanted.len();
                warn!(rule = %rule.rule.name, events, "what was put aside is no longer in the log");
            }
            Err(error) => {
                warn!(rule = %rule.rule.name, %error, "what was put aside cannot be read, and is tried again");
                for (input, keys) in wanted {
                    for key in keys {
                        self.progress.park(key, input);
                    }
                }
            }
        }
        self.progress.finish(first);
    }

    /// Queues messages that a rule's triggers want, and takes them out of `wanted`.
    fn queue_wanted(
        &self,
        rule: &Arc<ActiveRule>,
        first: Seq,
        wanted: &mut BTreeMap<Input, Vec<TriggerKey>>,
    ) -> Result<(), ReadError> {
        let mut records = self.store.replay(first.max(self.store.first()))?;
        while let Some(&(next, _)) = wanted.keys().next() {
            records.skip_to(next);
            let Some(entry) = records.next() else { break };
            let (seq, record) = entry?;
            let Some(envelope) = envelope_of(record, seq) else { continue };
            let mut units = Units::new(&envelope);
            let behind = wanted.split_off(&(seq + 1, 0));
            for ((at, index), keys) in std::mem::replace(wanted, behind) {
                // What lies before this record was dropped from the log.
                if at != seq {
                    warn!(rule = %rule.rule.name, record = at, "what was put aside is no longer in the log");
                    continue;
                }
                for trigger in rule.message_triggers().filter(|trigger| keys.contains(&rule.key(*trigger))) {
                    self.offer(&mut units, rule, trigger, &envelope, index as usize, true);
                }
            }
            self.submit_all(units, Some(seq));
        }
        Ok(())
    }
}
