//! What was sent to a client and not yet acknowledged by it.

use std::collections::{BTreeMap, VecDeque};

use super::super::super::codec::QoS;
use super::super::super::envelope::Envelope;
use super::Place;

/// What a packet id waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stage {
    /// Nothing: it was acknowledged, but an older one was not.
    Free = 0,
    /// PUBACK, of QoS 1.
    Puback = 1,
    /// PUBREC, of QoS 2.
    Pubrec = 2,
    /// PUBCOMP, of QoS 2: the client has the message.
    Pubcomp = 3,
}

impl Stage {
    pub(super) fn from_u8(byte: u8) -> Option<Stage> {
        [Stage::Free, Stage::Puback, Stage::Pubrec, Stage::Pubcomp].get(usize::from(byte)).copied()
    }
}

/// One packet id of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) stage: Stage,
    /// It came by way of a shared subscription.
    pub(crate) shared: bool,
    /// Where in the log its message is; [`Place::NOWHERE`] if it is not there.
    pub(crate) place: Place,
}

const FREE: Slot = Slot { stage: Stage::Free, shared: false, place: Place::NOWHERE };

/// The window of unacknowledged packet ids: they are given out in order and acknowledged in any.
#[derive(Debug)]
pub(crate) struct Window {
    /// The packet id of the first slot.
    first: u16,
    /// The first is never free.
    slots: VecDeque<Slot>,
    /// How many are not free.
    outstanding: u16,
    /// Messages of slots that are not in the log, for when they must be sent again.
    kept: BTreeMap<u16, Envelope>,
}

/// What an acknowledgement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// It moves the exchange on.
    Yes,
    /// It says what was known.
    Again,
    /// No such packet id is out.
    Unknown,
    /// It is of the wrong kind for the message.
    WrongKind,
}

impl Default for Window {
    fn default() -> Window {
        Window { first: 1, slots: VecDeque::new(), outstanding: 0, kept: BTreeMap::new() }
    }
}

impl Window {
    /// Gives the next packet id to a message; `None` if the ids have gone round to one that is still out.
    pub(crate) fn open(&mut self, qos: QoS, place: Place, shared: bool) -> Option<u16> {
        if self.slots.len() >= usize::from(u16::MAX) {
            return None;
        }
        let stage = if qos == QoS::ExactlyOnce { Stage::Pubrec } else { Stage::Puback };
        let offset = u16::try_from(self.slots.len()).ok()?;
        self.slots.push_back(Slot { stage, shared, place });
        self.outstanding += 1;
        Some(nth(self.first, offset))
    }

    /// Keeps the message of a packet id that is not in the log.
    pub(crate) fn keep(&mut self, packet_id: u16, message: Envelope) {
        self.kept.insert(packet_id, message);
    }

    /// The message that was kept for a packet id.
    pub(crate) fn kept(&self, packet_id: u16) -> Option<&Envelope> {
        self.kept.get(&packet_id)
    }

    /// PUBACK.
    pub(crate) fn puback(&mut self, packet_id: u16) -> Settled {
        match self.stage(packet_id) {
            Stage::Puback => self.free(packet_id),
            Stage::Free => Settled::Unknown,
            _ => Settled::WrongKind,
        }
    }

    /// PUBREC; `taken` says that the client has taken the message.
    pub(crate) fn pubrec(&mut self, packet_id: u16, taken: bool) -> Settled {
        match self.stage(packet_id) {
            Stage::Pubrec if !taken => self.free(packet_id),
            Stage::Pubrec => {
                if let Some(slot) = self.slot_mut(packet_id) {
                    slot.stage = Stage::Pubcomp;
                    slot.place = Place::NOWHERE;
                }
                self.kept.remove(&packet_id);
                Settled::Yes
            }
            Stage::Pubcomp => Settled::Again,
            Stage::Free => Settled::Unknown,
            Stage::Puback => Settled::WrongKind,
        }
    }

    /// PUBCOMP.
    pub(crate) fn pubcomp(&mut self, packet_id: u16) -> Settled {
        match self.stage(packet_id) {
            Stage::Pubcomp => self.free(packet_id),
            Stage::Free => Settled::Unknown,
            _ => Settled::WrongKind,
        }
    }

    /// Forgets a packet id, whatever it waits for.
    pub(crate) fn free(&mut self, packet_id: u16) -> Settled {
        let Some(slot) = self.slot_mut(packet_id).filter(|slot| slot.stage != Stage::Free) else {
            return Settled::Unknown;
        };
        *slot = FREE;
        self.kept.remove(&packet_id);
        self.outstanding -= 1;
        while self.slots.front().is_some_and(|slot| slot.stage == Stage::Free) {
            self.slots.pop_front();
            self.first = nth(self.first, 1);
        }
        Settled::Yes
    }

    /// How many packet ids are out.
    pub(crate) fn outstanding(&self) -> u16 {
        self.outstanding
    }

    /// Whether no further packet id can be given out though few are out.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.slots.len() >= usize::from(u16::MAX)
    }

    /// Every packet id that is out, in the order in which they were given out.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u16, Slot)> {
        let out = self.slots.iter().enumerate().filter(|(_, slot)| slot.stage != Stage::Free);
        out.map(|(offset, slot)| (nth(self.first, u16::try_from(offset).unwrap_or(u16::MAX)), *slot))
    }

    /// What a packet id waits for.
    pub(crate) fn stage(&self, packet_id: u16) -> Stage {
        self.slot(packet_id).map_or(Stage::Free, |slot| slot.stage)
    }

    /// The slot of a packet id that is out.
    pub(crate) fn slot(&self, packet_id: u16) -> Option<Slot> {
        let slot = self.slots.get(usize::from(offset(self.first, packet_id)?))?;
        Some(*slot).filter(|slot| slot.stage != Stage::Free)
    }

    fn slot_mut(&mut self, packet_id: u16) -> Option<&mut Slot> {
        let offset = offset(self.first, packet_id)?;
        self.slots.get_mut(usize::from(offset))
    }

    /// The packet id that comes next.
    pub(super) fn next_id(&self) -> u16 {
        nth(self.first, u16::try_from(self.slots.len()).unwrap_or(0))
    }

    /// Puts a slot back as it was: the ids between the last one and this are free.
    pub(super) fn restore(&mut self, packet_id: u16, slot: Slot) {
        if self.slots.is_empty() {
            self.first = packet_id;
        }
        let Some(offset) = offset(self.first, packet_id).map(usize::from) else { return };
        while self.slots.len() <= offset {
            self.slots.push_back(FREE);
        }
        if self.slots[offset].stage == Stage::Free {
            self.outstanding += 1;
        }
        self.slots[offset] = slot;
    }

    /// Has the window go on with that packet id.
    pub(super) fn go_on_with(&mut self, packet_id: u16) {
        if packet_id == 0 {
            return;
        }
        if self.slots.is_empty() {
            self.first = packet_id;
        }
        while self.next_id() != packet_id && !self.is_exhausted() {
            self.slots.push_back(FREE);
        }
    }
}

/// Packet ids go from 1 to 65,535 and round again. [MQTT-2.3.1-1]
fn nth(first: u16, offset: u16) -> u16 {
    let index = (u32::from(first) - 1 + u32::from(offset)) % 65_535;
    u16::try_from(index + 1).unwrap_or(1)
}

fn offset(first: u16, packet_id: u16) -> Option<u16> {
    if packet_id == 0 {
        return None;
    }
    u16::try_from((u32::from(packet_id) + 65_535 - u32::from(first)) % 65_535).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn open(window: &mut Window, qos: QoS) -> Option<u16> {
        window.open(qos, Place::NOWHERE, false)
    }

    #[test]
    fn acknowledgements_come_in_any_order_and_count_once() {
        let mut window = Window::default();
        let ids: Vec<_> = (0..3).filter_map(|_| open(&mut window, QoS::AtLeastOnce)).collect();
        assert_eq!(ids, [1, 2, 3]);
        assert_eq!((window.puback(2), window.puback(2)), (Settled::Yes, Settled::Unknown));
        assert_eq!((window.pubrec(1, true), window.pubcomp(1)), (Settled::WrongKind, Settled::WrongKind));
        assert_eq!(
            (window.puback(1), window.puback(0), window.puback(9)),
            (Settled::Yes, Settled::Unknown, Settled::Unknown)
        );
        assert_eq!((window.outstanding(), open(&mut window, QoS::AtLeastOnce)), (1, Some(4)));
    }

    #[test]
    fn qos_2_takes_two_steps_and_a_refusal_ends_it() {
        let mut window = Window::default();
        assert_eq!(
            (open(&mut window, QoS::ExactlyOnce), open(&mut window, QoS::ExactlyOnce)),
            (Some(1), Some(2))
        );
        assert_eq!((window.pubcomp(1), window.puback(1)), (Settled::WrongKind, Settled::WrongKind));
        assert_eq!((window.pubrec(1, true), window.pubrec(1, true)), (Settled::Yes, Settled::Again));
        assert_eq!((window.pubcomp(1), window.pubrec(2, false)), (Settled::Yes, Settled::Yes));
        assert_eq!(window.outstanding(), 0);
    }

    #[test]
    fn ids_do_not_go_round_past_one_that_is_out() {
        let mut window = Window::default();
        assert_eq!(open(&mut window, QoS::AtLeastOnce), Some(1));
        for id in 2..=u16::MAX {
            assert_eq!(open(&mut window, QoS::AtLeastOnce), Some(id));
            assert_eq!(window.puback(id), Settled::Yes);
        }
        assert!(window.is_exhausted() && open(&mut window, QoS::AtLeastOnce).is_none());
        assert_eq!(window.puback(1), Settled::Yes);
        assert_eq!(open(&mut window, QoS::AtLeastOnce), Some(1));
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_map(steps in proptest::collection::vec((0_u8..5, any::<u16>()), 1..300), start in 65_400_u16..) {
            let mut window = Window::default();
            window.go_on_with(start);
            let mut out: BTreeMap<u16, Stage> = BTreeMap::new();
            for (step, pick) in steps {
                let id = out.keys().nth(usize::from(pick) % out.len().max(1)).copied().unwrap_or(pick);
                let stage = out.get(&id).copied().unwrap_or(Stage::Free);
                match step {
                    0 | 1 => {
                        let (qos, stage) = if step == 0 { (QoS::AtLeastOnce, Stage::Puback) } else { (QoS::ExactlyOnce, Stage::Pubrec) };
                        let id = open(&mut window, qos).unwrap();
                        prop_assert!(id != 0 && out.insert(id, stage).is_none());
                    }
                    2 if window.puback(id) == Settled::Yes => {
                        prop_assert_eq!(stage, Stage::Puback);
                        out.remove(&id);
                    }
                    3 if window.pubrec(id, true) == Settled::Yes => {
                        prop_assert_eq!(stage, Stage::Pubrec);
                        out.insert(id, Stage::Pubcomp);
                    }
                    4 if window.pubcomp(id) == Settled::Yes => {
                        prop_assert_eq!(stage, Stage::Pubcomp);
                        out.remove(&id);
                    }
                    _ => {}
                }
                prop_assert_eq!(usize::from(window.outstanding()), out.len());
                let listed: BTreeMap<u16, Stage> = window.iter().map(|(id, slot)| (id, slot.stage)).collect();
                prop_assert_eq!(&listed, &out);
            }
        }
    }
}
