//! Why an event does not set off a trigger, and why a rule that it sets off asks for nothing.

use crate::event::{Event, Kind};
use crate::rule::{Body, Rule};
use crate::snapshot::Snapshot;
use crate::sql::NoFunctions;
use crate::trigger::{On, Trigger};

impl Trigger {
    /// Why an event does not set this trigger off; `None` if it does. A message sets a trigger of batches off if it would
    /// be one of a batch.
    pub fn why_not(&self, event: &Event) -> Option<String> {
        let message = match &event.0 {
            Kind::Bus(shared) | Kind::Message(shared) => Some(&shared.message),
            Kind::Batch(_) | Kind::Change(_) | Kind::Lifecycle(..) | Kind::Tick(_) => None,
        };
        match (&self.on, &event.0, message) {
            (On::Message(levels) | On::Batch(levels, _), Kind::Message(_), Some(message)) => {
                let differs = !levels.filter().matches(&message.topic);
                differs.then(|| format!("filter {levels} does not match {}", &*message.topic))
            }
            (On::Event(wanted), Kind::Bus(_), Some(message)) => {
                let bus = message.topic.rsplit('/').next().unwrap_or_default();
                if *bus != *wanted.bus {
                    return Some(format!(
                        "it listens to bus {}, and this is an event of bus {bus}",
                        wanted.bus
                    ));
                }
                wanted.pattern.explain(&message.payload)
            }
            (On::Change(table), Kind::Change(change), _) => {
                let differs = **table != *change.table;
                differs.then(|| format!("it watches table {table}, and this is a row of {}", change.table))
            }
            (On::Time(_), Kind::Tick(_), _) => None,
            (On::Batch(levels, _), Kind::Batch(batch), _) => {
                let topics =
                    batch.messages.iter().filter_map(Event::as_message).map(|message| &message.topic);
                let other = topics.into_iter().find(|topic| !levels.filter().matches(topic));
                other.map(|topic| format!("filter {levels} does not match {}", &**topic))
            }
            (on, Kind::Lifecycle(kind, _), _) if on == kind => None,
            (on, _, _) => Some(format!("{on} is not set off by {}", event.kind_in_words())),
        }
    }
}

impl Rule {
    /// Why a statement asks for nothing of a message that it listens to; `None` if it is let through, and for scripts.
    pub fn why_nothing(&self, event: &Event, snapshot: &dyn Snapshot) -> Option<String> {
        let (Body::Sql(sql), Kind::Message(shared)) = (&self.body, &event.0) else { return None };
        let outcome = sql.run(&shared.message, snapshot, &NoFunctions).ok()?;
        (!outcome.fired).then(|| "WHERE was not true".to_owned())
    }
}

impl Event {
    /// What it is, in the words of a sentence.
    fn kind_in_words(&self) -> String {
        match &self.0 {
            Kind::Batch(_) => "a batch of messages".to_owned(),
            Kind::Bus(_) => "an event of a bus".to_owned(),
            Kind::Change(_) => "a change of a row".to_owned(),
            Kind::Lifecycle(on, _) => format!("what sets off {on}"),
            Kind::Message(_) => "a message".to_owned(),
            Kind::Tick(_) => "a time that has come".to_owned(),
        }
    }
}
