//! What was sent to a client and not yet acknowledged by it.

use std::collections::VecDeque;

/// The window of unacknowledged packet ids: they are given out in order and acknowledged in any.
#[derive(Debug)]
pub(crate) struct Inflight {
    /// The packet id of the first slot.
    first: u16,
    /// Whether each is still unacknowledged; the first always is.
    slots: VecDeque<bool>,
    /// How many are.
    outstanding: u16,
    max: u16,
}

impl Inflight {
    /// A window of at most `max` packets.
    pub(crate) fn new(max: u16) -> Inflight {
        Inflight { first: 1, slots: VecDeque::new(), outstanding: 0, max: max.max(1) }
    }

    /// The next packet id, unless the window is full.
    pub(crate) fn next(&mut self) -> Option<u16> {
        if self.is_full() {
            return None;
        }
        let offset = u16::try_from(self.slots.len()).ok()?;
        self.slots.push_back(true);
        self.outstanding += 1;
        Some(nth(self.first, offset))
    }

    /// Notes an acknowledgement; false if nothing of that id is out.
    pub(crate) fn acknowledge(&mut self, packet_id: u16) -> bool {
        let Some(offset) = offset(self.first, packet_id) else { return false };
        let Some(slot) = self.slots.get_mut(usize::from(offset)) else { return false };
        if !std::mem::replace(slot, false) {
            return false;
        }
        self.outstanding -= 1;
        while self.slots.front() == Some(&false) {
            self.slots.pop_front();
            self.first = nth(self.first, 1);
        }
        true
    }

    /// Whether nothing more may be sent until something is acknowledged.
    pub(crate) fn is_full(&self) -> bool {
        // Ids behind an old one that is never acknowledged cannot go round more than once.
        self.outstanding >= self.max || self.slots.len() >= usize::from(u16::MAX)
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
    use std::collections::BTreeSet;

    #[test]
    fn a_full_window_gives_no_id_until_the_oldest_is_acknowledged() {
        let mut window = Inflight::new(2);
        assert_eq!((window.next(), window.next(), window.next()), (Some(1), Some(2), None));
        assert!(window.acknowledge(2));
        assert_eq!((window.next(), window.next()), (Some(3), None), "any acknowledgement opens it");
        assert!(!window.acknowledge(2), "not twice");
        assert!(window.acknowledge(1) && window.acknowledge(3));
        assert_eq!(window.next(), Some(4));
        assert!(!window.acknowledge(1) && !window.acknowledge(0) && !window.acknowledge(9));
    }

    #[test]
    fn ids_do_not_go_round_past_one_that_is_out() {
        let mut window = Inflight::new(10);
        assert_eq!(window.next(), Some(1));
        for id in 2..=u16::MAX {
            assert_eq!(window.next(), Some(id));
            assert!(window.acknowledge(id));
        }
        assert_eq!(window.next(), None);
        assert!(window.acknowledge(1));
        assert_eq!(window.next(), Some(1));
    }

    proptest! {
        #[test]
        fn no_id_is_out_twice(acks in proptest::collection::vec(any::<u16>(), 1..400), start in 65_000_u16..) {
            let mut window = Inflight::new(50);
            window.first = start;
            let mut out = BTreeSet::new();
            for pick in acks {
                if let Some(id) = window.next() {
                    prop_assert!(id != 0 && out.insert(id));
                }
                if pick % 3 != 0 {
                    let id = *out.iter().nth(usize::from(pick) % out.len()).unwrap();
                    prop_assert!(window.acknowledge(id));
                    out.remove(&id);
                }
                prop_assert!(!window.acknowledge(start.wrapping_sub(200)));
            }
        }
    }
}
