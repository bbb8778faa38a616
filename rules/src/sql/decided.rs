//! Which actions of a statement ask for something, and what is decided of them before a run.

use super::limits::ACTIONS_MAX;

/// What is decided of a statement's actions before its run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Decided<'a> {
    /// Those that were done for the event before, as [`PartFailure::done`](crate::PartFailure::done) names them.
    pub done: &'a [String],
    /// Those that fail, whatever they would ask for.
    pub refused: &'a [Refused],
}

impl Decided<'_> {
    /// Why an action fails, if that is decided.
    pub(super) fn refusal_of(&self, action: usize) -> Option<&str> {
        self.refused.iter().find(|refused| refused.action == action).map(|refused| &*refused.message)
    }
}

/// An action of a statement whose effect cannot be taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refused {
    /// Which one, as [`Asked::nth`] counts them.
    pub action: usize,
    /// Why not.
    pub message: String,
}

/// The actions of a statement that ask for something, each for one effect.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Asked {
    /// A bit for each.
    actions: u16,
}

impl Asked {
    /// Which action asks for the effect at a place, counted as they are in the file; the error action is the last. A
    /// script has none.
    pub fn nth(self, effect: usize) -> Option<usize> {
        (0..u16::BITS as usize).filter(|action| self.actions & 1 << action != 0).nth(effect)
    }

    pub(super) fn add(&mut self, action: usize) {
        const { assert!(ACTIONS_MAX < u16::BITS as usize) };
        self.actions |= 1 << action;
    }
}
