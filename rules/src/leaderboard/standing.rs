//! A member's standing, its order among others, and the name of the standings it belongs to.

use std::cmp::Ordering;
use std::fmt;

use super::score::Score;
use super::settings::{BoardName, Order};
use crate::event_id::EventId;

/// What stands for a member. Of equal scores the earlier stands before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Standing {
    /// The score.
    pub score: Score,
    /// The event that brought the score. Ids sort by time.
    pub since: EventId,
    /// How many scores that event had submitted before this one.
    pub nth: u16,
}

impl Order {
    /// Who stands before whom: the better score, then who had it first, then the name, so that it is never a draw.
    pub fn compare(self, left: (&Standing, &str), right: (&Standing, &str)) -> Ordering {
        let (lefts, rights) = (left.0, right.0);
        let scores = match self {
            Self::Ascending => lefts.score.cmp(&rights.score),
            Self::Descending => rights.score.cmp(&lefts.score),
        };
        scores
            .then_with(|| lefts.since.cmp(&rights.since))
            .then_with(|| lefts.nth.cmp(&rights.nth))
            .then_with(|| left.1.cmp(right.1))
    }
}

/// Names the standings of one board in one period. As text it is `board/order/period`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct StandingsId {
    /// The board.
    pub board: BoardName,
    /// Which scores are better: the same name with the other order is another board.
    pub order: Order,
    /// The period's id, such as `2026-W47`, or `all`.
    pub period: Box<str>,
}

impl StandingsId {
    /// Reads the text form.
    pub fn parse(text: &str) -> Option<Self> {
        let (rest, period) = text.rsplit_once('/')?;
        let (board, order) = rest.rsplit_once('/')?;
        let (board, order) = (BoardName::parse(board).ok()?, Order::parse(order).ok()?);
        (!period.is_empty()).then(|| Self { board, order, period: period.into() })
    }
}

impl fmt::Display for StandingsId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}/{}", self.board, self.order.as_str(), self.period)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_back() {
        for text in ["laps/asc/all", "laps/monza/desc/2026-W47", "a/desc/asc/2026-11-21T15:50:00Z"] {
            assert_eq!(StandingsId::parse(text).map(|id| id.to_string()).as_deref(), Some(text));
        }
        for text in ["", "laps", "laps/asc", "laps/up/all", "/asc/all", "laps/asc/"] {
            assert_eq!(StandingsId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_first_of_equals_stands_before() {
        let standing =
            |score: i64, since, nth| Standing { score: score.into(), since: EventId::from_u128(since), nth };
        let ordered = [
            (standing(9, 5, 0), "z"),
            (standing(8, 1, 0), "y"),
            (standing(8, 2, 0), "x"),
            (standing(8, 2, 1), "b"),
            (standing(8, 2, 1), "c"),
        ];
        for pair in ordered.windows(2) {
            let [left, right] = pair else { continue };
            let order = Order::Descending.compare((&left.0, left.1), (&right.0, right.1));
            assert_eq!(order, Ordering::Less, "{left:?} {right:?}");
        }
        let (low, high) = (standing(1, 9, 0), standing(2, 1, 0));
        assert_eq!(Order::Ascending.compare((&low, "a"), (&high, "a")), Ordering::Less);
    }
}
