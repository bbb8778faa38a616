//! What a board is: its name, and how it treats scores.

use std::fmt;

use thiserror::Error;

use super::period::Reset;
use super::score::{Score, ScoreError};
use super::standing::Standing;
use crate::event_id::EventId;

/// The longest name of a board.
pub const BOARD_NAME_LEN_MAX: usize = 128;
/// The most closed periods that a board keeps.
pub const KEEP_MAX: u32 = 100;

/// The name of a board: 1 to 128 of `A`-`Z`, `a`-`z`, `0`-`9`, `_`, `-`, `.` and `/`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct BoardName(Box<str>);

/// Why a board cannot be like this.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum SettingsError {
    /// The name has other characters, or too many.
    #[error(
        "leaderboard name {0:?} is not 1 to {BOARD_NAME_LEN_MAX} characters of A-Z, a-z, 0-9, `_`, `-`, `.` and `/`"
    )]
    Name(String),
    /// There is no such kind.
    #[error("a leaderboard has no kind {0:?}: it has best, latest, sum, decr")]
    Kind(String),
    /// There is no such order.
    #[error(
        "a leaderboard has no order {0:?}: it has desc, where higher is better, and asc, where lower is better"
    )]
    Order(String),
}

impl BoardName {
    /// Reads a name.
    ///
    /// # Errors
    /// Says which characters are allowed.
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/');
        if text.is_empty() || text.len() > BOARD_NAME_LEN_MAX || !text.bytes().all(is_allowed) {
            return Err(SettingsError::Name(crate::topic::excerpt(text)));
        }
        Ok(Self(text.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BoardName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What becomes of a member's score when another is submitted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Kind {
    /// The better of the two stands.
    #[default]
    Best,
    /// The new one is taken away from the old one, or from 0.
    Decrease,
    /// The new one stands.
    Latest,
    /// The new one is added to the old one.
    Sum,
}

/// Which scores are better.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Order {
    /// Lower ones, as with lap times.
    Ascending,
    /// Higher ones.
    #[default]
    Descending,
}

/// A board.
#[derive(Clone, Debug, PartialEq)]
pub struct BoardSettings {
    /// Its name.
    pub name: BoardName,
    /// What becomes of a score.
    pub kind: Kind,
    /// Which scores are better.
    pub order: Order,
    /// When a new period begins, if ever.
    pub reset: Reset,
    /// How many closed periods are kept.
    pub keep: u32,
}

impl Kind {
    /// Reads `best`, `latest`, `sum` or `decr`.
    ///
    /// # Errors
    /// Says what there is.
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        match text {
            "best" => Ok(Self::Best),
            "decr" => Ok(Self::Decrease),
            "latest" => Ok(Self::Latest),
            "sum" => Ok(Self::Sum),
            _ => Err(SettingsError::Kind(crate::topic::excerpt(text))),
        }
    }

    /// What stands after `submitted`, or `None` where nothing changes. A function of its arguments: `old` is
    /// what stands, `since` the event that submits, `nth` how many scores that event submitted before.
    ///
    /// Who has a score keeps the place it gave: an equal score changes nothing.
    ///
    /// # Errors
    /// The sum of two scores is a score.
    pub fn submit(
        self,
        order: Order,
        old: Option<&Standing>,
        submitted: Score,
        since: EventId,
        nth: u16,
    ) -> Result<Option<Standing>, ScoreError> {
        let score = match (self, old) {
            (Self::Best, Some(old)) if !order.is_better(submitted, old.score) => return Ok(None),
            (Self::Best | Self::Latest, _) | (Self::Sum, None) => submitted,
            (Self::Sum, Some(old)) => old.score.plus(submitted)?,
            (Self::Decrease, old) => old.map_or(Score::ZERO, |old| old.score).minus(submitted)?,
        };
        let is_new = old.is_none_or(|old| old.score != score);
        Ok(is_new.then_some(Standing { score, since, nth }))
    }
}

impl Order {
    /// Reads `asc` or `desc`.
    ///
    /// # Errors
    /// Says what there is.
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        match text {
            "asc" => Ok(Self::Ascending),
            "desc" => Ok(Self::Descending),
            _ => Err(SettingsError::Order(crate::topic::excerpt(text))),
        }
    }

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ascending => "asc",
            Self::Descending => "desc",
        }
    }

    /// Whether `left` is better than `right`.
    pub fn is_better(self, left: Score, right: Score) -> bool {
        match self {
            Self::Ascending => left < right,
            Self::Descending => left > right,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> EventId {
        EventId::from_u128(number)
    }

    #[test]
    fn each_kind_does_its_own() {
        let old = Standing { score: 10.into(), since: id(1), nth: 0 };
        let desc = Order::Descending;
        for (kind, order, had, submitted, expected) in [
            (Kind::Best, desc, true, 11, Some(11)),
            (Kind::Best, desc, true, 10, None),
            (Kind::Best, desc, true, 9, None),
            (Kind::Best, desc, false, 9, Some(9)),
            (Kind::Best, Order::Ascending, true, 9, Some(9)),
            (Kind::Best, Order::Ascending, true, 11, None),
            (Kind::Latest, desc, true, 9, Some(9)),
            (Kind::Latest, desc, true, 10, None),
            (Kind::Sum, desc, true, 5, Some(15)),
            (Kind::Sum, desc, true, 0, None),
            (Kind::Sum, desc, false, 0, Some(0)),
            (Kind::Decrease, desc, true, 4, Some(6)),
            (Kind::Decrease, desc, false, 4, Some(-4)),
        ] {
            let new = kind.submit(order, had.then_some(&old), submitted.into(), id(2), 3).unwrap();
            let expected = expected.map(|score: i64| Standing { score: score.into(), since: id(2), nth: 3 });
            assert_eq!(new, expected, "{kind:?} {order:?} {submitted}");
        }
        let most = Standing { score: i64::MAX.into(), ..old };
        assert_eq!(Kind::Sum.submit(desc, Some(&most), 1.into(), id(2), 0), Err(ScoreError::Overflow));
    }

    #[test]
    fn names_and_words_are_checked() {
        for name in ["a", "laps/monza-2026.v1_x", &"x".repeat(128)] {
            assert_eq!(BoardName::parse(name).unwrap().as_str(), name);
        }
        for name in ["", "a b", "é", "a\0", "#", &"x".repeat(129)] {
            assert!(matches!(BoardName::parse(name), Err(SettingsError::Name(_))), "{name}");
        }
        for (text, kind) in
            [("best", Kind::Best), ("decr", Kind::Decrease), ("latest", Kind::Latest), ("sum", Kind::Sum)]
        {
            assert_eq!(Kind::parse(text), Ok(kind));
        }
        assert_eq!(
            Kind::parse("max").unwrap_err().to_string(),
            "a leaderboard has no kind \"max\": it has best, latest, sum, decr"
        );
        for order in [Order::Ascending, Order::Descending] {
            assert_eq!(Order::parse(order.as_str()), Ok(order));
        }
        assert!(Order::parse("down").is_err());
    }
}
