//! What a connection needs while it handles packets and has no use for while it idles: lent by the thread it runs on.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::sync::LazyLock;

use super::super::codec::Reason;
use super::super::envelope::EnvelopeBuilder;
use super::state::Op;
use crate::telemetry::{Batch, Traffic};

thread_local! {
    /// What the connection before has given back.
    static SPARE: RefCell<Option<Box<Work>>> = const { RefCell::new(None) };
}

/// What a connection that has none reads.
static NOTHING: LazyLock<Work> = LazyLock::new(Work::default);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// What was published and has not gone on.
    pub(super) builder: EnvelopeBuilder,
    pub(super) answers: Answers,
    /// Counted here first, so that a packet costs the other connections nothing.
    pub(super) received: Batch,
    pub(super) sent: Batch,
}

/// What the client's packets are answered with, once what they brought is safe.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// First byte, packet id and reason of each, in the order of the packets.
    pub(super) acks: Vec<(u8, u16, Reason)>,
    /// What the packets did to the session.
    pub(super) ops: Vec<Op>,
    /// Some answer must wait until the ops are on disk.
    pub(super) must_wait: bool,
    /// Packet ids whose PUBLISH is in the builder.
    pub(super) received: Vec<u16>,
}

impl Answers {
    /// Forgets a packet id whose PUBLISH is in the builder; false if there is none.
    pub(super) fn forget_received(&mut self, id: u16) -> bool {
        let at = self.received.iter().position(|received| *received == id);
        at.map(|at| self.received.swap_remove(at)).is_some()
    }

    /// Adds a packet id to the ops, if they are kept, in the same op as the one before where that is of the kind.
    pub(super) fn note_id(&mut self, op: fn(Vec<u16>) -> Op, id: u16, kept: bool) {
        if !kept {
            return;
        }
        let new = op(vec![id]);
        match (self.ops.last_mut(), &new) {
            (Some(Op::Acked { ids }), Op::Acked { .. })
            | (Some(Op::Taken { ids }), Op::Taken { .. })
            | (Some(Op::Released { ids }), Op::Released { .. }) => ids.push(id),
            _ => self.ops.push(new),
        }
    }

    fn is_empty(&self) -> bool {
        self.acks.is_empty() && self.ops.is_empty() && self.received.is_empty() && !self.must_wait
    }
}

/// A connection's [`Work`]: taken from the thread when it is first written to, given back when there is nothing in it.
#[derive(Debug, Default)]
pub(super) struct Lent(Option<Box<Work>>);

impl Lent {
    /// Tells `sent` what was counted as sent, and gives it back unless something in it waits.
    pub(super) fn give_back(&mut self, sent: &Traffic) {
        if let Some(work) = &mut self.0 {
            sent.add(&mut work.sent);
        }
        let Some(work) = self.0.take_if(|work| work.answers.is_empty() && work.builder.is_empty()) else {
            return;
        };
        SPARE.with_borrow_mut(|spare| *spare = Some(work));
    }
}

impl Deref for Lent {
    type Target = Work;

    fn deref(&self) -> &Work {
        self.0.as_deref().unwrap_or_else(|| &NOTHING)
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Work {
        self.0.get_or_insert_with(|| SPARE.with_borrow_mut(Option::take).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_something_waiting_is_kept() {
        let (mut lent, sent) = (Lent::default(), Traffic::default());
        assert!(lent.builder.is_empty() && lent.0.is_none(), "reading takes none");
        lent.answers.acks.push((0x40, 1, Reason::Success));
        lent.give_back(&sent);
        assert_eq!(lent.answers.acks.len(), 1);
        lent.answers.acks.clear();
        lent.give_back(&sent);
        assert!(lent.0.is_none());
        assert!(lent.answers.is_empty());
    }

    #[test]
    fn ids_of_a_kind_are_in_one_op() {
        let mut answers = Answers::default();
        for id in [1, 2] {
            answers.note_id(|ids| Op::Acked { ids }, id, true);
        }
        answers.note_id(|ids| Op::Acked { ids }, 3, false);
        answers.note_id(|ids| Op::Taken { ids }, 4, true);
        assert_eq!(answers.ops.len(), 2);
        assert!(matches!(&answers.ops[0], Op::Acked { ids } if *ids == [1, 2]));
    }
}
