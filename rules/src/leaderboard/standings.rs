//! The index of one period's standings: who stands where, at once.

use std::cmp::Ordering;

use super::members::{MEMBERS_MAX, Member, Members};
use super::ranks::{Entry, Place, Ranks};
use super::removed::Removed;
use super::settings::Order;
use super::standing::Standing;

/// Memory is given back when fewer than a quarter of so many records are in use.
const SLOTS_KEPT: usize = 4_096;

/// Members in the order of their standings. Every change and every question but a listing takes time that grows with the
/// logarithm of their number.
///
/// It follows commits, and each change says which: one that is older than what is held changes nothing, so the order
/// in which commits are told does not matter.
#[derive(Debug)]
pub struct Standings {
    order: Order,
    members: Members,
    ranks: Ranks,
    removed: Removed,
}

/// A member in a listing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ranked<'standings> {
    /// How many stand before.
    pub rank: usize,
    /// The name.
    pub member: &'standings str,
    /// What stands.
    pub standing: Standing,
}

impl Standings {
    /// Nobody stands anywhere. Members' names come from strangers, so whoever serves strangers gives a `hash_seed` that they
    /// cannot guess.
    pub fn new(order: Order, hash_seed: u64) -> Self {
        let members = Members::with_hash_seed(hash_seed);
        Self { order, members, ranks: Ranks::default(), removed: Removed::default() }
    }

    /// Takes all rows at once, each with the commit that wrote it. Of one member the first row counts.
    pub fn from_rows<Name: AsRef<str>>(
        order: Order,
        hash_seed: u64,
        rows: impl IntoIterator<Item = (Name, Standing, u64)>,
    ) -> Self {
        let mut standings = Self::new(order, hash_seed);
        let mut entries = Vec::new();
        for (name, standing, version) in rows {
            if standings.members.find(name.as_ref()).is_none() && standings.len() < MEMBERS_MAX {
                let slot = standings.members.add(name.as_ref(), &standing, version);
                entries.push(entry(order, &standing, slot));
            }
        }
        let members = &standings.members;
        entries.sort_unstable_by(|left, right| {
            let ties = || compare(order, members.get(left.slot()), members.get(right.slot()));
            key(*left).cmp(&key(*right)).then_with(ties)
        });
        standings.ranks = Ranks::from_sorted(&entries);
        standings
    }

    /// Which scores are better.
    pub fn order(&self) -> Order {
        self.order
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Records that memory is held for.
    #[cfg(test)]
    pub(super) fn slots(&self) -> usize {
        self.members.slots()
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lets `standing` stand for a member, as commit `version` says. Whether anything changed: it does not where a later
    /// commit is known, and where a new member would be one more than 67 million.
    pub fn set(&mut self, member: &str, standing: &Standing, version: u64) -> bool {
        let slot = if let Some(slot) = self.members.find(member) {
            let held = self.members.get(slot);
            if held.version > version {
                return false;
            }
            let old = held.standing();
            if old == *standing {
                self.members.get_mut(slot).version = version;
                return false;
            }
            let place = self.place(&old, member);
            self.ranks.remove(place);
            self.members.get_mut(slot).set(standing, version);
            slot
        } else {
            let is_late = self.removed.version(member).is_some_and(|removed| removed > version);
            if is_late || self.len() >= MEMBERS_MAX {
                return false;
            }
            self.members.add(member, standing, version)
        };
        // The member's own entry is out, so only others are compared with.
        let place = self.place(standing, member);
        self.ranks.insert(place, entry(self.order, standing, slot));
        true
    }

    /// Takes a member out, as commit `version` says. Whether it was there, and not by a later commit.
    pub fn remove(&mut self, member: &str, version: u64) -> bool {
        let Some(slot) = self.members.find(member) else {
            self.removed.note(member, version);
            return false;
        };
        let held = self.members.get(slot);
        if held.version > version {
            return false;
        }
        let place = self.place(&held.standing(), member);
        self.ranks.remove(place);
        self.members.remove(slot);
        self.removed.note(member, version);
        if self.members.slots() > SLOTS_KEPT && self.len() < self.members.slots() / 4 {
            self.compact();
        }
        true
    }

    /// What stands for a member.
    pub fn get(&self, member: &str) -> Option<Standing> {
        self.members.find(member).map(|slot| self.members.get(slot).standing())
    }

    /// The commit that wrote what stands for a member.
    pub fn version(&self, member: &str) -> Option<u64> {
        self.members.find(member).map(|slot| self.members.get(slot).version)
    }

    /// How many stand before a member.
    pub fn rank(&self, member: &str) -> Option<usize> {
        Some(self.position(&self.get(member)?, member))
    }

    /// How many stand before a member that this standing stood for.
    pub fn position(&self, standing: &Standing, member: &str) -> usize {
        self.ranks.rank(self.place(standing, member))
    }

    /// The members from rank `offset` on, the best first.
    pub fn iter_from(&self, offset: usize) -> impl Iterator<Item = Ranked<'_>> {
        self.ranks.iter_from(offset).enumerate().map(move |(index, entry)| {
            let member = self.members.get(entry.slot());
            Ranked { rank: offset + index, member: &member.name, standing: member.standing() }
        })
    }

    /// The first `len` members behind rank `after`: the next page of a listing.
    pub fn page(&self, after: usize, len: usize) -> impl Iterator<Item = Ranked<'_>> {
        self.iter_from(after.saturating_add(1)).take(len)
    }

    /// A member with up to `each_side` before it and as many behind.
    pub fn around(&self, member: &str, each_side: usize) -> impl Iterator<Item = Ranked<'_>> {
        let rank = self.rank(member);
        let first = rank.unwrap_or(0).saturating_sub(each_side);
        let len = rank.map_or(0, |rank| (rank - first).saturating_add(1).saturating_add(each_side));
        self.iter_from(first).take(len)
    }

    /// Where a standing is or would be.
    fn place(&self, standing: &Standing, member: &str) -> Place {
        let sought = entry(self.order, standing, 0);
        self.ranks.place(|other| {
            let ties = || {
                let held = self.members.get(other.slot());
                self.order.compare((&held.standing(), &held.name), (standing, member))
            };
            key(*other).cmp(&key(sought)).then_with(ties) == Ordering::Less
        })
    }

    fn compact(&mut self) {
        let mut members = Members::with_hash_seed(self.members.hash_seed());
        let mut entries = Vec::with_capacity(self.len());
        for held in self.ranks.iter_from(0) {
            let member = self.members.get(held.slot());
            let slot = members.add(&member.name, &member.standing(), member.version);
            entries.push(Entry::new(held.score, held.moment(), slot));
        }
        self.members = members;
        self.ranks = Ranks::from_sorted(&entries);
    }
}

fn compare(order: Order, left: &Member, right: &Member) -> Ordering {
    order.compare((&left.standing(), &left.name), (&right.standing(), &right.name))
}

/// What entries are sorted by.
fn key(entry: Entry) -> (u64, u64) {
    (entry.score, entry.moment())
}

/// The entry of a member. Its fields sort as [`Order::compare`] does, as far as they go.
fn entry(order: Order, standing: &Standing, slot: u32) -> Entry {
    /// A moment is 16 ms, and the last of them some hundred years from now.
    const MOMENT_BITS: u32 = 4;
    let sortable = standing.score.sortable();
    let score = match order {
        Order::Ascending => sortable,
        Order::Descending => !sortable,
    };
    // Where different scores share the first field, the moment must not decide between them.
    let moment = if standing.score.is_alone() { standing.since.time_ms() >> MOMENT_BITS } else { 0 };
    Entry::new(score, moment.min(Entry::MOMENT_MAX), slot)
}
