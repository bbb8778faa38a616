//! How long what was put aside waits until it is tried again: longer each time, unless that was of some use.

use std::collections::BTreeMap;
use std::time::Duration;

/// The time before the first try, after which it is also known whether one was of use.
const WAIT_MIN: Duration = Duration::from_secs(5);
/// The longest time between two tries.
const WAIT_MAX: Duration = Duration::from_secs(160);

/// When it is time for which rule.
#[derive(Debug, Default)]
pub(in crate::pipeline) struct Patience {
    by_rule: BTreeMap<String, Wait>,
    /// The store had no room when it was looked last.
    had_no_room: bool,
}

#[derive(Debug, Clone, Copy)]
struct Wait {
    /// The last try, or when it was first seen that something is put aside.
    since: Duration,
    /// How long it is waited from then on.
    length: Duration,
    /// How many messages were tried last.
    tried: usize,
}

impl Patience {
    /// Whether nothing is waited for.
    pub(super) fn is_idle(&self) -> bool {
        self.by_rule.is_empty() && !self.had_no_room
    }

    /// The rules whose time it is, of those for which so many messages are put aside. They count as tried.
    pub(super) fn due(
        &mut self,
        now: Duration,
        has_room: bool,
        put_aside: &BTreeMap<String, usize>,
    ) -> Vec<String> {
        if std::mem::replace(&mut self.had_no_room, !has_room) && has_room {
            self.by_rule.clear();
        }
        if !has_room {
            return Vec::new();
        }
        self.by_rule.retain(|rule, wait| put_aside.contains_key(rule) || now < wait.since + WAIT_MIN);
        let mut due = Vec::new();
        for (rule, &messages) in put_aside {
            let new = || Wait { since: now, length: WAIT_MIN, tried: 0 };
            let wait = self.by_rule.entry(rule.clone()).or_insert_with(new);
            if wait.is_over(now, messages) {
                *wait = Wait { since: now, length: (wait.length * 2).min(WAIT_MAX), tried: messages };
                due.push(rule.clone());
            }
        }
        due
    }
}

impl Wait {
    fn is_over(&mut self, now: Duration, messages: usize) -> bool {
        if now < self.since + WAIT_MIN {
            return false;
        }
        if messages < self.tried {
            // Some of what was tried last was handled.
            self.length = WAIT_MIN;
        }
        now >= self.since + self.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seconds of `times` at which a rule is tried that has so many messages put aside then.
    fn tries(
        patience: &mut Patience,
        times: std::ops::Range<u64>,
        messages: impl Fn(u64) -> usize,
        has_room: impl Fn(u64) -> bool,
    ) -> Vec<u64> {
        let is_tried = |second: &u64| {
            let mut put_aside = BTreeMap::from([("a".to_owned(), messages(*second))]);
            put_aside.retain(|_, messages| *messages > 0);
            !patience.due(Duration::from_secs(*second), has_room(*second), &put_aside).is_empty()
        };
        times.filter(is_tried).collect()
    }

    #[test]
    fn it_waits_twice_as_long_each_time_up_to_a_bound() {
        let tried = tries(&mut Patience::default(), 0..1_000, |_| 3, |_| true);
        assert_eq!(tried, [5, 15, 35, 75, 155, 315, 475, 635, 795, 955]);
    }

    #[test]
    fn what_was_of_use_makes_it_try_soon_again() {
        // Of five one is left from the second try on.
        let tried =
            tries(&mut Patience::default(), 0..60, |second| if second <= 15 { 5 } else { 1 }, |_| true);
        assert_eq!(tried, [5, 15, 20, 30, 50]);
        // All is handled, and something else is put aside later.
        let messages = |second| usize::from(!(36..50).contains(&second));
        let tried = tries(&mut Patience::default(), 0..70, messages, |_| true);
        assert_eq!(tried, [5, 15, 35, 55, 65]);
    }

    #[test]
    fn without_room_it_is_not_tried_and_with_room_again_soon() {
        let tried = tries(&mut Patience::default(), 0..120, |_| 3, |second| !(40..100).contains(&second));
        assert_eq!(tried, [5, 15, 35, 105, 115]);
    }
}
