//! Effects that leave the server, on their way into a commit.

use pointsman_rules::{EventId, Webhook};

use super::{Afterwards, Notification, Outbox};
use crate::store::Write;

/// The run that asks.
#[derive(Debug)]
pub(in crate::pipeline) struct Asker<'a> {
    rule: &'a str,
    /// What tells the rule's triggers apart.
    trigger: u16,
    event: EventId,
    /// How often it has asked.
    asked: u32,
}

impl<'a> Asker<'a> {
    /// `before` is at least how often runs of the trigger on the event have asked before this one.
    pub(in crate::pipeline) fn new(rule: &'a str, trigger: u16, event: EventId, before: usize) -> Asker<'a> {
        Asker { rule, trigger, event, asked: u32::try_from(before).unwrap_or(u32::MAX) }
    }

    pub(super) fn rule(&self) -> &'a str {
        self.rule
    }

    /// The name of what is asked for next. It is the same however often the run is repeated, and names sort in the order of
    /// the events, then of the effects.
    pub(in crate::pipeline) fn next_id(&mut self) -> String {
        let id = format!("{}-{}-{:04x}-{:06}", self.event, self.rule, self.trigger, self.asked);
        self.asked += 1;
        id
    }
}

impl Outbox {
    /// Adds what a call of `webhook` becomes.
    pub(in crate::pipeline) fn add_webhook(
        &self,
        asker: &mut Asker<'_>,
        webhook: Webhook,
        writes: &mut Vec<Write>,
        afterwards: &mut Afterwards,
    ) -> Result<(), String> {
        let outgoing = self.webhook(asker, webhook)?;
        writes.push(outgoing.write);
        afterwards.sends(outgoing.ticket);
        Ok(())
    }

    /// Adds what the web servers that subscribe to a notification are sent.
    pub(in crate::pipeline) fn add_notification(
        &self,
        asker: &Asker<'_>,
        notification: &Notification<'_>,
        writes: &mut Vec<Write>,
        afterwards: &mut Afterwards,
    ) -> Result<(), String> {
        for outgoing in self.notify(asker.rule(), notification)? {
            writes.push(outgoing.write);
            afterwards.sends(outgoing.ticket);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_event_then_by_effect() {
        let event = |ms| EventId::new(ms, 7);
        let mut first = Asker::new("shop", 0xab, event(1_000), 0);
        let names = [first.next_id(), first.next_id(), Asker::new("shop", 1, event(1_001), 0).next_id()];
        assert!(names.is_sorted() && names[0] != names[1], "{names:?}");
        assert!(names[0].ends_with("-shop-00ab-000000"), "{}", names[0]);
        assert_eq!(Asker::new("shop", 0xab, event(1_000), 0).next_id(), names[0], "again the same");
        assert_eq!(Asker::new("shop", 0xab, event(1_000), 1).next_id(), names[1], "where the other ended");
    }
}
