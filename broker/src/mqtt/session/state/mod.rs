//! The state of a session: pure, changed by [`Op`]s alone as far as it must survive, and so the same after a crash.

mod ops;
mod window;

use std::collections::{BTreeSet, VecDeque};

use super::super::codec::{QoS, RetainHandling, Subscription};
use super::super::envelope::Envelope;
use crate::store::Seq;

pub(crate) use ops::{Op, Sent, read_ops, read_row, write_ops, write_row};
pub(crate) use window::{Settled, Slot, Stage, Window};

/// Where a message is in the log: its record, and which of the record's messages it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) seq: Seq,
    pub(crate) index: u32,
}

impl Place {
    /// Records are counted from 1.
    pub(crate) const NOWHERE: Place = Place { seq: 0, index: 0 };

    /// The beginning of a record.
    pub(crate) fn start_of(seq: Seq) -> Place {
        Place { seq, index: 0 }
    }

    /// Where the message at `index` of an envelope is.
    pub(crate) fn of(envelope: &Envelope, index: usize) -> Place {
        let place = |seq| Place { seq, index: envelope.log_index(index) };
        envelope.log_seq().map_or(Place::NOWHERE, place)
    }

    pub(crate) fn is_in_log(self) -> bool {
        self.seq != 0
    }
}

/// A subscription of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subscribed {
    /// The filter as it came, with `$share/…/` where it is shared.
    pub(crate) wanted: Subscription,
    pub(crate) id: Option<u32>,
    /// Messages of records before this one were published before it was made.
    pub(crate) since: Seq,
}

impl Subscribed {
    /// Its filter of topics, and whether it is shared.
    pub(crate) fn topic_filter(&self) -> (&str, bool) {
        let shared = self.wanted.filter.strip_prefix("$share/").and_then(|shared| shared.split_once('/'));
        shared.map_or((&self.wanted.filter, false), |(_, filter)| (filter, true))
    }
}

/// Messages of a shared subscription that are this session's to deliver: a run in one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Assigned {
    pub(crate) place: Place,
    pub(crate) count: u32,
    pub(crate) qos: QoS,
    pub(crate) subscription_id: Option<u32>,
}

impl Assigned {
    /// Whether the message there is one of them.
    pub(crate) fn covers(&self, place: Place) -> bool {
        let indexes = self.place.index..self.place.index + self.count;
        self.place.seq == place.seq && indexes.contains(&place.index)
    }

    /// Its messages, each by itself.
    pub(crate) fn single(&self) -> impl Iterator<Item = Assigned> + use<> {
        let run = *self;
        let place = move |at| Place { index: run.place.index + at, ..run.place };
        (0..run.count).map(move |at| Assigned { place: place(at), count: 1, ..run })
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Seconds that the session outlives its connection; `u32::MAX` for ever.
    pub(crate) expiry_seconds: u32,
    /// When its connection ended, in milliseconds since 1970; `None` while there is one.
    pub(crate) detached_at_ms: Option<u64>,
    pub(crate) subscriptions: Vec<Subscribed>,
    /// Sent and not acknowledged.
    pub(crate) window: Window,
    /// Packet ids of QoS 2 publishes that were taken and not released yet. [MQTT-4.3.3-2]
    pub(crate) received: BTreeSet<u16>,
    /// What the session was to be sent of the log before this place, it was sent.
    pub(crate) position: Place,
    /// Shared messages that were given to this session while it was away.
    pub(crate) assigned: VecDeque<Assigned>,
    /// It has ended; whoever still holds it must leave it alone.
    pub(crate) over: bool,
}

impl State {
    /// The subscription of that filter.
    pub(crate) fn subscription(&self, filter: &str) -> Option<&Subscribed> {
        self.subscriptions.iter().find(|it| *it.wanted.filter == *filter)
    }

    /// Brings a change about that was, or will be, written to the log as record `seq`.
    pub(crate) fn apply(&mut self, op: &Op, seq: Seq) {
        match op {
            Op::Begin { .. } => *self = State::default(),
            Op::Attach { expiry_seconds } => {
                self.expiry_seconds = *expiry_seconds;
                self.detached_at_ms = None;
            }
            Op::Detach { at_ms, expiry_seconds } => {
                self.expiry_seconds = *expiry_seconds;
                self.detached_at_ms = Some(*at_ms);
            }
            Op::End => {}
            Op::Subscribe { wanted, id } => {
                let subscribed = Subscribed { wanted: wanted.clone(), id: *id, since: seq };
                match self.subscriptions.iter_mut().find(|it| it.wanted.filter == wanted.filter) {
                    // At QoS 0 it was owed nothing.
                    Some(mine) if mine.wanted.qos == QoS::AtMostOnce => *mine = subscribed,
                    // Replaced, it is owed what it was owed before. [MQTT-3.8.4-3]
                    Some(mine) => *mine = Subscribed { since: mine.since, ..subscribed },
                    None => self.subscriptions.push(subscribed),
                }
            }
            Op::Unsubscribe { filter } => self.subscriptions.retain(|it| *it.wanted.filter != **filter),
            Op::Sent(sent) => sent.iter().for_each(|sent| self.apply_sent(sent)),
            Op::Acked { ids } => ids.iter().for_each(|id| drop_settled(self.window.free(*id))),
            Op::Taken { ids } => ids.iter().for_each(|id| drop_settled(self.window.pubrec(*id, true))),
            Op::Received { ids } => self.received.extend(ids),
            Op::Released { ids } => self.received.retain(|id| !ids.contains(id)),
            Op::Assigned(assigned) => self.assigned.push_back(*assigned),
        }
    }

    fn apply_sent(&mut self, sent: &Sent) {
        if sent.stage == Stage::Free {
            self.forget_assigned(sent.place);
            return;
        }
        self.window
            .restore(sent.packet_id, Slot { stage: sent.stage, shared: sent.shared, place: sent.place });
        if let Some(message) = &sent.kept {
            self.window.keep(sent.packet_id, message.clone());
        }
        if sent.shared {
            self.forget_assigned(sent.place);
        } else if sent.place.is_in_log() {
            self.position = self.position.max(Place { index: sent.place.index + 1, ..sent.place });
        }
    }

    /// Notes that a shared message is on its way.
    pub(crate) fn forget_assigned(&mut self, place: Place) {
        let Some(at) = self.assigned.iter().position(|run| run.covers(place)) else { return };
        let run = &mut self.assigned[at];
        // They are sent in order: what lies before it in the run has gone.
        run.count -= place.index + 1 - run.place.index;
        run.place.index = place.index + 1;
        if run.count == 0 {
            self.assigned.remove(at);
        }
    }

    /// The lowest record that is needed to send again what was not acknowledged, or assigned.
    pub(crate) fn needs_from(&self) -> Option<Seq> {
        let window =
            self.window.iter().filter(|(_, slot)| slot.place.is_in_log()).map(|(_, slot)| slot.place.seq);
        window.chain(self.assigned.iter().map(|run| run.place.seq)).min()
    }
}

fn drop_settled(_: Settled) {}

/// The options byte of a subscription, as SUBSCRIBE of MQTT 5 has it.
pub(crate) fn options_byte(wanted: &Subscription) -> u8 {
    wanted.qos as u8
        | u8::from(wanted.no_local) << 2
        | u8::from(wanted.retain_as_published) << 3
        | (wanted.retain_handling as u8) << 4
}

/// A subscription of an options byte.
pub(crate) fn subscription_of(filter: &str, options: u8) -> Option<Subscription> {
    Some(Subscription {
        filter: filter.into(),
        qos: QoS::from_bits(options & 3)?,
        no_local: options & 4 != 0,
        retain_as_published: options & 8 != 0,
        retain_handling: match options >> 4 & 3 {
            0 => RetainHandling::Always,
            1 => RetainHandling::IfNew,
            _ => RetainHandling::Never,
        },
    })
}
