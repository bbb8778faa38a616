//! The standings that a handler's call is about, with what the handler has done to them so far.

use std::sync::PoisonError;

use super::Board;
use crate::effect::Effect;
use crate::leaderboard::{BoardChange, BoardSettings, Period, Standing, StandingsId, View};
use crate::snapshot::SnapshotError;
use crate::state::{NativeResult, Run, Stop, refuse};

/// Standings of one period.
pub(super) struct Opened<'run> {
    pub(super) id: StandingsId,
    settings: &'run BoardSettings,
    /// The period that the event falls into, which is not that of closed standings.
    current: Period,
    generation: Generation,
    run: &'run Run,
}

/// Which generation of the standings there is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Generation {
    /// The handler itself has begun it, so nothing of it is in the snapshot.
    Begun(u64),
    /// None: nothing was ever submitted.
    None,
    /// It is in the snapshot.
    Stored(u64),
}

impl<'run> Opened<'run> {
    /// The standings that `board` means to the event that is handled.
    pub(super) fn new(board: &'run Board, run: &'run Run) -> NativeResult<Self> {
        let current = current(board, run)?;
        let period = board.closed.clone().unwrap_or_else(|| current.id.clone());
        Self::open(&board.settings, current, period, run)
    }

    /// The same, unless the period is closed.
    pub(super) fn for_writing(function: &str, board: &'run Board, run: &'run Run) -> NativeResult<Self> {
        match &board.closed {
            None => Self::new(board, run),
            Some(period) => Err(refuse(format!(
                "{function} cannot change period {period} of leaderboard {}: it is closed",
                board.settings.name
            ))),
        }
    }

    /// Those of some period.
    pub(super) fn of_period(board: &'run Board, period: Box<str>, run: &'run Run) -> NativeResult<Self> {
        Self::open(&board.settings, current(board, run)?, period, run)
    }

    fn open(
        settings: &'run BoardSettings,
        current: Period,
        period: Box<str>,
        run: &'run Run,
    ) -> NativeResult<Self> {
        let id = StandingsId { board: settings.name.clone(), order: settings.order, period };
        let begun = run.effects.iter().rev().find_map(|effect| match effect {
            Effect::Board(BoardChange::Open { id: other, generation, .. }) if *other == id => {
                Some(*generation)
            }
            _ => None,
        });
        let generation = match begun {
            Some(generation) => Generation::Begun(generation),
            None => {
                run.snapshot.board_generation(&id).map_err(stop)?.map_or(Generation::None, Generation::Stored)
            }
        };
        Ok(Self { id, settings, current, generation, run })
    }

    /// Whether anything was ever submitted.
    pub(super) fn is_begun(&self) -> bool {
        self.generation != Generation::None
    }

    /// What stands for a member.
    pub(super) fn standing(&self, member: &str) -> NativeResult<Option<Standing>> {
        let own = self.own().rev().find(|(other, _)| *other == member);
        match (own, self.generation) {
            (Some((_, standing)), _) => Ok(standing.copied()),
            (None, Generation::Stored(generation)) => {
                self.run.snapshot.board_standing(&self.id, generation, member).map_err(stop)
            }
            (None, Generation::Begun(_) | Generation::None) => Ok(None),
        }
    }

    /// Asks the ranks.
    pub(super) fn with_view<T>(&self, ask: impl FnOnce(&View) -> T) -> NativeResult<T> {
        let base = match self.generation {
            Generation::Stored(generation) => {
                self.run.snapshot.standings(&self.id, generation).map_err(stop)?
            }
            Generation::Begun(_) | Generation::None => None,
        };
        let base = base.as_ref().map(|base| base.read().unwrap_or_else(PoisonError::into_inner));
        Ok(ask(&View::new(base.as_deref(), self.settings.order, self.own())))
    }

    /// How many scores the handler has submitted to these standings.
    pub(super) fn submitted(&self) -> u16 {
        u16::try_from(self.own().count()).unwrap_or(u16::MAX)
    }

    /// The closed periods that are kept, the latest first.
    pub(super) fn closed(&self) -> impl Iterator<Item = Box<str>> {
        self.settings.reset.closed(&self.current, self.settings.keep).map(|period| period.id)
    }

    /// What lets a member stand there, or nowhere.
    pub(super) fn score(&self, member: &str, standing: Option<Standing>) -> Vec<BoardChange> {
        let expires_at_ms = self.expires_at_ms();
        let (generation, is_first) = match self.generation {
            Generation::Begun(generation) | Generation::Stored(generation) => (generation, false),
            Generation::None => (0, true),
        };
        let open = is_first.then(|| BoardChange::Open { id: self.id.clone(), generation, expires_at_ms });
        let (id, member) = (self.id.clone(), member.to_owned());
        let score = BoardChange::Score { id, generation, member, standing, expires_at_ms };
        open.into_iter().chain([score]).collect()
    }

    /// What empties the standings, if there is anything.
    pub(super) fn reset(&self) -> Option<BoardChange> {
        let generation = match self.generation {
            Generation::Begun(generation) | Generation::Stored(generation) => generation.checked_add(1)?,
            Generation::None => return None,
        };
        Some(BoardChange::Open { id: self.id.clone(), generation, expires_at_ms: self.expires_at_ms() })
    }

    fn expires_at_ms(&self) -> Option<i64> {
        // A time beyond the calendar is as good as never.
        self.settings.reset.kept_until_ms(&self.current, self.settings.keep).ok().flatten()
    }

    /// What the handler has done to the standings, in order.
    fn own(&self) -> impl DoubleEndedIterator<Item = (&'run str, Option<&'run Standing>)> {
        let wanted = match self.generation {
            Generation::Begun(generation) | Generation::Stored(generation) => Some(generation),
            Generation::None => None,
        };
        self.run.effects.iter().filter_map(move |effect| match effect {
            Effect::Board(BoardChange::Score { id, generation, member, standing, .. })
                if Some(*generation) == wanted && *id == self.id =>
            {
                Some((member.as_str(), standing.as_ref()))
            }
            _ => None,
        })
    }
}

fn current(board: &Board, run: &Run) -> NativeResult<Period> {
    board.settings.reset.period(run.time_ms).map_err(|error| refuse(error.to_string()))
}

#[expect(
    clippy::needless_pass_by_value,
    clippy::unnecessary_box_returns,
    reason = "so that map_err takes it"
)]
fn stop(error: SnapshotError) -> Box<rhai::EvalAltResult> {
    Stop::snapshot(&error).into_error()
}
