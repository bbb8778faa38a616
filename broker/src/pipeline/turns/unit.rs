//! A unit of work: what one envelope has for one trigger of one rule.

use std::ops::Range;
use std::sync::Arc;

use pointsman_rules::{Batch, Event, EventId, Text};
use smallvec::SmallVec;

use super::lanes::Work;
use super::progress::Input;
use crate::mqtt::Envelope;
use crate::pipeline::inputs::batches::Item;
use crate::pipeline::inputs::route::{is_durable, logged_event, message_event};
use crate::pipeline::inputs::times;
use crate::pipeline::rules::active::ActiveRule;
use crate::pipeline::tools::bus_replay::Given;
use crate::store::{Done, Seq, Write};

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
    /// Messages that are one event, and when they were complete in milliseconds.
    Batch(Vec<Item>, u64),
    /// A message of an envelope that is given once more, by the replay of that name.
    Again(Envelope, u32, Given),
    /// An event that nobody was promised.
    One(Event),
    /// A time that has come; that it was handled is noted with what its run does.
    Time(Event, i64),
}

/// One event for one trigger of one rule.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    pub(crate) rule: &'a Arc<ActiveRule>,
    pub(crate) trigger: usize,
    pub(crate) event: Event,
    pub(crate) hops: u8,
    /// What is written besides, however the run ends.
    pub(crate) note: Option<Write>,
    /// The actions of a statement that were done for the event before.
    pub(crate) done: Vec<String>,
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
            Events::Again(..) | Events::Batch(..) | Events::One(_) | Events::Time(..) => 1,
        }
    }

    /// The event at `position`, made anew; texts it has in common with others are taken from `texts`.
    pub(crate) fn job(&self, position: usize, texts: &mut Texts) -> Job<'_> {
        let on = &self.rule.rule.triggers[self.trigger].on;
        let mut note = None;
        let event = match &self.events {
            Events::Messages(envelope, indices) => {
                logged_event(on, envelope, indices[position] as usize, texts)
            }
            Events::Batch(items, time_ms) => {
                let messages = items.iter();
                let messages =
                    messages.map(|item| message_event(&item.envelope, item.index as usize, texts)).collect();
                let first = items.first().map(|item| item.envelope.id(item.index as usize));
                let time_ms = i64::try_from(*time_ms).unwrap_or(i64::MAX);
                Event::batch(Batch { messages, time_ms, id: first.unwrap_or(EventId::from_u128(0)) })
            }
            Events::Again(envelope, index, given) => {
                logged_event(on, envelope, *index as usize, texts).replayed(given.name())
            }
            Events::One(event) => event.clone(),
            Events::Time(event, scheduled_ms) => {
                note = Some(times::handled(&self.rule.key(self.trigger), *scheduled_ms));
                event.clone()
            }
        };
        Job { rule: &self.rule, trigger: self.trigger, event, hops: self.hops, note, done: Vec::new() }
    }

    /// Where in the log what the event at `position` is made of lies, as far as it was promised.
    pub(crate) fn inputs(&self, position: usize) -> SmallVec<[Input; 1]> {
        match &self.events {
            Events::Messages(envelope, indices) => {
                let index = indices[position];
                let promised = self.counted.filter(|_| is_durable(envelope, index as usize));
                promised.map(|seq| (seq, index)).into_iter().collect()
            }
            Events::Batch(items, _) => {
                items.iter().filter_map(|item| Some((item.promised?, item.index))).collect()
            }
            Events::Again(..) | Events::One(_) | Events::Time(..) => SmallVec::new(),
        }
    }

    /// The records that count this unit as a piece of their work.
    pub(crate) fn records(&self) -> impl Iterator<Item = Seq> {
        let items = if let Events::Batch(items, _) = &self.events { items.as_slice() } else { &[] };
        self.counted.into_iter().chain(items.iter().filter_map(|item| item.promised))
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
        for (seq, index) in self.range.clone().flat_map(|position| self.unit.inputs(position)) {
            match all.last_mut() {
                Some(last) if last.seq == seq && last.index + last.count == index => last.count += 1,
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
