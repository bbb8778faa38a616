//! What a handler asks for, as rows of two tables. This file alone knows their form.
//!
//! | table      | hash                          | sort                  | value                                                             |
//! |------------|-------------------------------|-----------------------|-------------------------------------------------------------------|
//! | `_boards`  | nothing                       | `board/order/period`  | 1, u64: the generation of the standings                           |
//! | `_scores`  | `board/order/period/generation` | the member          | 1, u16 nth, i16 rest, f64 nearest score, u128 id of the event     |
//!
//! Integers are big-endian, and the leading 1 is the form. There is a row of `_boards` for all standings that anything
//! was ever submitted to. A reset makes it the next generation: rows of earlier ones mean nothing any more.

use bytes::Bytes;
use thiserror::Error;

use super::score::Score;
use super::standing::{Standing, StandingsId};
use crate::event_id::EventId;

/// The table of standings.
pub const BOARDS_TABLE: &str = "_boards";
/// The table of scores.
pub const SCORES_TABLE: &str = "_scores";

const FORM: u8 = 1;

/// What changes in standings.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum BoardChange {
    /// The standings begin, or begin anew.
    Open {
        /// Which standings.
        id: StandingsId,
        /// Greater than before.
        generation: u64,
        /// When they are to be gone, in milliseconds.
        expires_at_ms: Option<i64>,
    },
    /// A member stands somewhere else, or nowhere.
    Score {
        /// Which standings.
        id: StandingsId,
        /// Which generation of them.
        generation: u64,
        /// The member.
        member: String,
        /// What stands; `None` to take the member out.
        standing: Option<Standing>,
        /// When the row is to be gone, in milliseconds.
        expires_at_ms: Option<i64>,
    },
}

/// A change as a row of a table of the server's own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BoardRow {
    /// The table's name.
    pub table: &'static str,
    /// The first part of the key.
    pub hash: String,
    /// The second part of the key.
    pub sort: String,
    /// The value; `None` to delete the row.
    pub value: Option<Bytes>,
    /// When the row is to be gone, in milliseconds.
    pub expires_at_ms: Option<i64>,
}

/// Why a row cannot be read.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum RowError {
    /// It has another length or holds no number.
    #[error("the row of a leaderboard is damaged")]
    Damaged,
    /// Another version of the server wrote it.
    #[error("the row of a leaderboard has form {0}, and this server knows form {FORM}")]
    Form(u8),
}

impl BoardChange {
    /// Which standings change.
    pub fn id(&self) -> &StandingsId {
        match self {
            Self::Open { id, .. } | Self::Score { id, .. } => id,
        }
    }

    /// The row to write.
    pub fn row(&self) -> BoardRow {
        match self {
            Self::Open { id, generation, expires_at_ms } => {
                let mut value = vec![FORM];
                value.extend(generation.to_be_bytes());
                BoardRow {
                    table: BOARDS_TABLE,
                    hash: String::new(),
                    sort: id.to_string(),
                    value: Some(value.into()),
                    expires_at_ms: *expires_at_ms,
                }
            }
            Self::Score { id, generation, member, standing, expires_at_ms } => BoardRow {
                table: SCORES_TABLE,
                hash: id.scores_hash(*generation),
                sort: member.clone(),
                value: standing.as_ref().map(Standing::to_row),
                expires_at_ms: *expires_at_ms,
            },
        }
    }

    /// How many bytes it writes, about.
    pub(crate) fn bytes(&self) -> usize {
        const VALUE_LEN: usize = 64;
        let member = match self {
            Self::Open { .. } => 0,
            Self::Score { member, .. } => member.len(),
        };
        self.id().board.as_str().len() + self.id().period.len() + member + VALUE_LEN
    }
}

impl StandingsId {
    /// The hash of the rows of [`SCORES_TABLE`].
    pub fn scores_hash(&self, generation: u64) -> String {
        format!("{self}/{generation}")
    }
}

impl Standing {
    /// The value of a row of [`SCORES_TABLE`].
    pub fn to_row(&self) -> Bytes {
        let (nearest, rest) = self.score.parts();
        let mut value = vec![FORM];
        value.extend(self.nth.to_be_bytes());
        value.extend(rest.to_be_bytes());
        value.extend(nearest.to_bits().to_be_bytes());
        value.extend(self.since.to_u128().to_be_bytes());
        value.into()
    }

    /// Reads what [`Standing::to_row`] wrote.
    ///
    /// # Errors
    /// The row is damaged, or of another version.
    pub fn from_row(value: &[u8]) -> Result<Self, RowError> {
        let mut fields = fields(value)?;
        let nth = u16::from_be_bytes(fields.take()?);
        let rest = i16::from_be_bytes(fields.take()?);
        let nearest = f64::from_bits(u64::from_be_bytes(fields.take()?));
        let since = EventId::from_u128(u128::from_be_bytes(fields.take()?));
        let score = Score::from_parts(nearest, rest).ok_or(RowError::Damaged)?;
        fields.end()?;
        Ok(Self { score, since, nth })
    }
}

/// The generation that a row of [`BOARDS_TABLE`] tells.
///
/// # Errors
/// The row is damaged, or of another version.
pub fn generation_of_row(value: &[u8]) -> Result<u64, RowError> {
    let mut fields = fields(value)?;
    let generation = u64::from_be_bytes(fields.take()?);
    fields.end()?;
    Ok(generation)
}

/// What is left to read.
struct Fields<'row>(&'row [u8]);

fn fields(value: &[u8]) -> Result<Fields<'_>, RowError> {
    match value.split_first() {
        Some((&FORM, rest)) => Ok(Fields(rest)),
        Some((&form, _)) => Err(RowError::Form(form)),
        None => Err(RowError::Damaged),
    }
}

impl Fields<'_> {
    fn take<const LEN: usize>(&mut self) -> Result<[u8; LEN], RowError> {
        let (field, rest) = self.0.split_first_chunk().ok_or(RowError::Damaged)?;
        self.0 = rest;
        Ok(*field)
    }

    fn end(self) -> Result<(), RowError> {
        if self.0.is_empty() { Ok(()) } else { Err(RowError::Damaged) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rows_have_their_form() {
        let id = StandingsId::parse("laps/asc/2026-W47").unwrap();
        let open = BoardChange::Open { id: id.clone(), generation: 3, expires_at_ms: Some(5) };
        let row = open.row();
        assert_eq!((row.table, &*row.hash, &*row.sort), ("_boards", "", "laps/asc/2026-W47"));
        assert_eq!(generation_of_row(&row.value.unwrap()), Ok(3));
        let standing = Standing { score: 7.into(), since: EventId::from_u128(9), nth: 1 };
        let score = |standing| {
            let (id, member) = (id.clone(), "ann".to_owned());
            BoardChange::Score { id, generation: 3, member, standing, expires_at_ms: None }
        };
        let row = score(Some(standing)).row();
        assert_eq!((row.table, &*row.hash, &*row.sort), ("_scores", "laps/asc/2026-W47/3", "ann"));
        assert_eq!(row.value.as_deref().map(Standing::from_row), Some(Ok(standing)));
        assert_eq!(score(None).row().value, None);
    }

    #[test]
    fn damage_is_told() {
        let standing = Standing { score: 7.into(), since: EventId::from_u128(9), nth: 1 }.to_row();
        for wrong in [&standing[..0], &standing[..28], &[&standing[..], &[0]].concat(), &standing[..1]] {
            assert_eq!(Standing::from_row(wrong), Err(RowError::Damaged), "{wrong:?}");
        }
        assert_eq!(Standing::from_row(&[2, 0]), Err(RowError::Form(2)));
        assert_eq!(generation_of_row(&[1, 0, 0]), Err(RowError::Damaged));
    }

    proptest! {
        #[test]
        fn rows_are_read_back(score: f64, whole: i64, since: u128, nth: u16) {
            let since = EventId::from_u128(since);
            for score in [Score::from_f64(score), Ok(whole.into())].into_iter().flatten() {
                let standing = Standing { score, since, nth };
                prop_assert_eq!(Standing::from_row(&standing.to_row()), Ok(standing));
            }
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, tail in prop::array::uniform28(any::<u8>())) {
            let _ = (Standing::from_row(&bytes), generation_of_row(&bytes));
            let _ = Standing::from_row(&[&[FORM][..], &tail].concat());
        }
    }
}
