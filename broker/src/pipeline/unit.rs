//! A unit of work: what one envelope has for one trigger of one rule.

use std::ops::Range;
use std::sync::Arc;

use pointsman_rules::{Event, Text};

use super::active::ActiveRule;
use super::lanes::Work;
use super::progress::Input;
use super::route::{is_durable, message_event};
use crate::mqtt::Envelope;
use crate::store::{Done, Seq};

/// The events that one trigger wants of what came at once. They are made when their turn comes.
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) rule: Arc<ActiveRule>,
    pub(crate) trigger: usize,
    pub(crate) events: Events,
    /// Rules that they went through before.
    pub(crate) hops: u8,
    /// The record that counts this unit as a piece of its work.
    pub(crate) counted: Option<Seq>,
}

/// Where the events of a unit are.
#[derive(Debug)]
pub(crate) enum Events {
    /// Some messages of an envelope, by index.
    Messages(Envelope, Box<[u32]>),
    /// An event that nobody was promised.
    One(Event),
}

/// One event for one trigger of one rule.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    pub(crate) rule: &'a Arc<ActiveRule>,
    pub(crate) trigger: usize,
    pub(crate) event: Event,
    pub(crate) hops: u8,
}

/// Some of a unit's events, one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) unit: Arc<Unit>,
    pub(crate) range: Range<usize>,
}

impl Unit {
    /// How many events it holds.
    pub(crate) fn len(&self) -> usize {
        match &self.events {
            Events::Messages(_, indices) => indices.len(),
            Events::One(_) => 1,
        }
    }

    /// The event at `position`, made anew; texts it has in common with others are taken from `texts`.
    pub(crate) fn job(&self, position: usize, texts: &mut Texts) -> Job<'_> {
        let event = match &self.events {
            Events::Messages(envelope, indices) => message_event(envelope, indices[position] as usize, texts),
            Events::One(event) => event.clone(),
        };
        Job { rule: &self.rule, trigger: self.trigger, event, hops: self.hops }
    }

    /// Where in the log the event at `position` is, if it was promised.
    pub(crate) fn input(&self, position: usize) -> Option<Input> {
        let (Some(seq), Events::Messages(envelope, indices)) = (self.counted, &self.events) else {
            return None;
        };
        is_durable(envelope, indices[position] as usize).then_some((seq, indices[position]))
    }
}

impl From<Unit> for Piece {
    /// All of it.
    fn from(unit: Unit) -> Piece {
        let range = 0..unit.len();
        Piece { unit: Arc::new(unit), range }
    }
}

impl Work for Piece {
    fn events(&self) -> usize {
        self.range.len()
    }
}

impl Piece {
    /// What the log is to say of the events that were promised.
    pub(crate) fn done(&self) -> Vec<Done> {
        let mut all: Vec<Done> = Vec::new();
        for (seq, index) in self.range.clone().filter_map(|position| self.unit.input(position)) {
            match all.last_mut() {
                Some(last) if last.index + last.count == index => last.count += 1,
                _ => {
                    let key = self.unit.rule.key(self.unit.trigger);
                    all.push(Done { rule: key.rule, trigger: key.trigger, seq, index, count: 1 });
                }
            }
        }
        all
    }
}

/// Texts of the event before, which the next one mostly has too.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    topic: Text,
    client_id: Text,
    user: Text,
}

impl Texts {
    pub(crate) fn topic(&mut self, text: &str) -> Text {
        share(&mut self.topic, text)
    }

    pub(crate) fn client_id(&mut self, text: &str) -> Text {
        share(&mut self.client_id, text)
    }

    pub(crate) fn user(&mut self, text: &str) -> Text {
        share(&mut self.user, text)
    }
}

fn share(last: &mut Text, text: &str) -> Text {
    if last != text {
        *last = text.into();
    }
    last.clone()
}
