//! Standings as a handler sees them: the index with the handler's own changes laid over it.

use std::cmp::Ordering;
use std::iter;

use super::settings::Order;
use super::standing::Standing;
use super::standings::{Ranked, Standings};

/// What a handler has changed: members with what stands for them, or `None` where they were taken out.
pub(crate) type Own<'run> = (&'run str, Option<&'run Standing>);

/// Standings with changes laid over them. Nothing is copied but the handler's own few changes.
#[derive(Debug)]
pub(crate) struct View<'run> {
    base: Option<&'run Standings>,
    order: Order,
    /// The ranks in the base of those who were changed, in order.
    masked: Vec<usize>,
    /// Those who stand somewhere by a change, in order.
    placed: Vec<(&'run str, Standing)>,
}

impl<'run> View<'run> {
    /// Lays `own` over `base`: of one member the last change counts.
    pub(crate) fn new(
        base: Option<&'run Standings>,
        order: Order,
        own: impl DoubleEndedIterator<Item = Own<'run>>,
    ) -> Self {
        let mut view = Self { base, order, masked: Vec::new(), placed: Vec::new() };
        let mut seen = Vec::new();
        for (member, standing) in own.rev() {
            if seen.contains(&member) {
                continue;
            }
            seen.push(member);
            view.masked.extend(base.and_then(|base| base.rank(member)));
            view.placed.extend(standing.map(|standing| (member, *standing)));
        }
        view.masked.sort_unstable();
        view.placed.sort_unstable_by(|left, right| order.compare((&left.1, left.0), (&right.1, right.0)));
        view
    }

    /// How many members there are.
    pub(crate) fn len(&self) -> usize {
        self.base.map_or(0, Standings::len) - self.masked.len() + self.placed.len()
    }

    /// What stands for a member.
    pub(crate) fn get(&self, member: &str) -> Option<Standing> {
        match self.placed.iter().find(|placed| placed.0 == member) {
            Some((_, standing)) => Some(*standing),
            None => self.kept(member).map(|(_, standing)| standing),
        }
    }

    /// How many stand before a member.
    pub(crate) fn rank(&self, member: &str) -> Option<usize> {
        Some(self.position(&self.get(member)?, member))
    }

    /// How many others stand before a member that has this standing, whatever is known of the member.
    pub(crate) fn position(&self, standing: &Standing, member: &str) -> usize {
        let mut position = 0;
        if let Some(base) = self.base {
            let before = base.position(standing, member);
            position = before - self.masked.partition_point(|rank| *rank < before);
            let is_itself = self.kept(member).is_some_and(|(rank, _)| rank < before);
            position -= usize::from(is_itself);
        }
        let own = self.placed.iter().filter(|(other, held)| {
            *other != member && self.order.compare((held, other), (standing, member)) == Ordering::Less
        });
        position + own.count()
    }

    /// The members from rank `offset` on, the best first.
    pub(crate) fn iter_from(&self, offset: usize) -> impl Iterator<Item = Ranked<'run>> {
        // The ranks of those placed are known, so what lies between them is the base without those masked.
        let ranked: Vec<usize> =
            self.placed.iter().map(|(member, standing)| self.position(standing, member)).collect();
        let mut next_placed = ranked.partition_point(|rank| *rank < offset);
        let mut base = self.kept_from(offset - next_placed);
        let placed = self.placed.clone();
        let mut rank = offset;
        iter::from_fn(move || {
            let (member, standing) = if ranked.get(next_placed) == Some(&rank) {
                next_placed += 1;
                placed[next_placed - 1]
            } else {
                let kept = base.next()?;
                (kept.member, kept.standing)
            };
            rank += 1;
            Some(Ranked { rank: rank - 1, member, standing })
        })
    }

    /// A member with up to `each_side` before it and as many behind.
    pub(crate) fn around(&self, member: &str, each_side: usize) -> impl Iterator<Item = Ranked<'run>> {
        let rank = self.rank(member);
        let first = rank.unwrap_or(0).saturating_sub(each_side);
        let len = rank.map_or(0, |rank| (rank - first).saturating_add(1).saturating_add(each_side));
        self.iter_from(first).take(len)
    }

    /// Rank and standing in the base of a member that was not changed.
    fn kept(&self, member: &str) -> Option<(usize, Standing)> {
        let base = self.base?;
        let standing = base.get(member)?;
        let rank = base.position(&standing, member);
        self.masked.binary_search(&rank).is_err().then_some((rank, standing))
    }

    /// Those of the base that were not changed, without the first `skip`.
    fn kept_from(&self, skip: usize) -> impl Iterator<Item = Ranked<'run>> {
        let mut first = skip;
        for rank in &self.masked {
            first += usize::from(*rank <= first);
        }
        let masked = self.masked.clone();
        let base = self.base.into_iter().flat_map(move |base| base.iter_from(first));
        base.filter(move |ranked| masked.binary_search(&ranked.rank).is_err())
    }
}
