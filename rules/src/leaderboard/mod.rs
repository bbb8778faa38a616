//! Leaderboards: what a submitted score becomes, who stands where, and what of it is kept.
//!
//! A board is used by its name, its order and the period that an event falls into: those three name its
//! *standings* ([`StandingsId`]). The truth about standings are rows, one for each member; the ranks are an index
//! in memory ([`Standings`]) that anybody can build again from the rows. So a handler reads a row, computes the next
//! one ([`Kind::submit`]) and asks for it to be written ([`BoardChange`]). Whoever commits the rows then tells
//! the index ([`Boards::apply`]), with the number of the commit: what comes late changes nothing.

mod boards;
mod change;
mod members;
mod period;
mod ranks;
mod removed;
mod score;
mod settings;
mod standing;
mod standings;
#[cfg(test)]
mod tests;
mod view;

pub use boards::{BoardLimits, Boards, BoardsFull, Loaded, SharedStandings};
pub use change::{BOARDS_TABLE, BoardChange, BoardRow, RowError, SCORES_TABLE, generation_of_row};
pub use period::{Period, PeriodError, Reset};
pub use score::{Number, Score, ScoreError};
pub use settings::{BOARD_NAME_LEN_MAX, BoardName, BoardSettings, KEEP_MAX, Kind, Order, SettingsError};
pub use standing::{Standing, StandingsId};
pub use standings::{Ranked, Standings};
pub(crate) use view::View;
