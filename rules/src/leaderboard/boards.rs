//! The indexes of all standings, as commits make them.

use std::cmp::Ordering::{Equal, Greater, Less};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use thiserror::Error;

use super::change::BoardChange;
use super::standing::{Standing, StandingsId};
use super::standings::Standings;

/// Standings that handlers read while commits change them.
pub type SharedStandings = Arc<RwLock<Standings>>;

/// How much may be held in memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BoardLimits {
    /// Standings, those of closed periods included.
    pub boards_max: usize,
    /// Members of all standings together.
    pub members_total_max: usize,
}

/// Why a change must not be committed.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum BoardsFull {
    /// There are too many standings.
    #[error(
        "leaderboard {id} would be one more than boards_max = {max}: use fewer boards or keep fewer periods"
    )]
    Boards {
        /// Which would be one too many.
        id: StandingsId,
        /// The limit.
        max: usize,
    },
    /// There are too many members.
    #[error(
        "leaderboard {id} would have one more than members_total_max = {max} of all boards: keep fewer periods"
    )]
    Members {
        /// Which would have one too many.
        id: StandingsId,
        /// The limit.
        max: usize,
    },
}

/// Rows that [`Boards::load`] is given, and what it makes of them.
#[derive(Clone, Debug)]
pub struct Loaded<Rows> {
    /// Which standings.
    pub id: StandingsId,
    /// Their generation, from the row of [`super::BOARDS_TABLE`].
    pub generation: u64,
    /// When they are to be gone, in milliseconds: when that row is.
    pub expires_at_ms: Option<i64>,
    /// Members, what stands for them, and the commit that wrote it.
    pub rows: Rows,
}

/// All standings in memory. Share it: its methods take `&self`, and different standings do not wait for each other.
#[derive(Debug)]
pub struct Boards {
    open: RwLock<BTreeMap<StandingsId, Open>>,
    /// Members of all standings. It may be off by what changes while it is counted; [`Boards::expire`] counts anew.
    members: AtomicUsize,
    limits: BoardLimits,
    hash_seed: u64,
}

/// Standings of one generation.
#[derive(Clone, Debug)]
struct Open {
    generation: u64,
    expires_at_ms: Option<i64>,
    standings: SharedStandings,
}

impl Default for BoardLimits {
    fn default() -> Self {
        Self { boards_max: 10_000, members_total_max: 4_000_000 }
    }
}

impl Boards {
    /// No standings. Nobody must be able to guess `hash_seed`.
    pub fn new(limits: BoardLimits, hash_seed: u64) -> Self {
        Self { open: RwLock::default(), members: AtomicUsize::new(0), limits, hash_seed }
    }

    /// Takes the rows of one standings that a store holds, in place of what is held.
    pub fn load<Name: AsRef<str>>(&self, loaded: Loaded<impl IntoIterator<Item = (Name, Standing, u64)>>) {
        let Loaded { id, generation, expires_at_ms, rows } = loaded;
        let standings = Standings::from_rows(id.order, self.hash_seed, rows);
        let standings = Arc::new(RwLock::new(standings));
        self.write().insert(id, Open { generation, expires_at_ms, standings });
        self.count_members();
    }

    /// Whether there is room for a change, as far as can be told before its commit: those that are on their way at the same
    /// time may exceed a limit by their number.
    ///
    /// # Errors
    /// Says which limit is reached.
    pub fn check(&self, change: &BoardChange) -> Result<(), BoardsFull> {
        let id = change.id();
        let open = self.read();
        match change {
            BoardChange::Open { .. } => {
                let max = self.limits.boards_max;
                let is_full = open.len() >= max && !open.contains_key(id);
                if is_full { Err(BoardsFull::Boards { id: id.clone(), max }) } else { Ok(()) }
            }
            BoardChange::Score { standing: None, .. } => Ok(()),
            BoardChange::Score { member, .. } => {
                let held = open.get(id).is_some_and(|open| read(&open.standings).get(member).is_some());
                let max = self.limits.members_total_max;
                if !held && self.members.load(Ordering::Relaxed) >= max {
                    return Err(BoardsFull::Members { id: id.clone(), max });
                }
                Ok(())
            }
        }
    }

    /// Does what a commit says. What is older than what is held changes nothing.
    ///
    /// Where a generation ends, its hash in [`super::SCORES_TABLE`] comes back: its rows are of no more use, and are to be deleted.
    pub fn apply(&self, change: &BoardChange, version: u64) -> Option<String> {
        match change {
            BoardChange::Open { id, generation, expires_at_ms } => {
                let ended = self.open(id, *generation, *expires_at_ms).1?;
                Some(id.scores_hash(ended))
            }
            BoardChange::Score { id, generation, member, standing, expires_at_ms } => {
                let (standings, ended) = self.open(id, *generation, *expires_at_ms);
                if let Some(standings) = standings {
                    let mut standings = write(&standings);
                    let before = standings.len();
                    match standing {
                        Some(standing) => standings.set(member, standing, version),
                        None => standings.remove(member, version),
                    };
                    match standings.len().cmp(&before) {
                        Less => self.add_members(-1),
                        Equal => {}
                        Greater => self.add_members(1),
                    }
                }
                ended.map(|ended| id.scores_hash(ended))
            }
        }
    }

    /// The standings, if they are of this generation.
    pub fn get(&self, id: &StandingsId, generation: u64) -> Option<SharedStandings> {
        let open = self.read();
        open.get(id).filter(|open| open.generation == generation).map(|open| Arc::clone(&open.standings))
    }

    /// The generation of standings, if there are any.
    pub fn generation(&self, id: &StandingsId) -> Option<u64> {
        self.read().get(id).map(|open| open.generation)
    }

    /// All standings with their numbers of members, by name.
    pub fn list(&self) -> Vec<(StandingsId, usize)> {
        self.read().iter().map(|(id, open)| (id.clone(), read(&open.standings).len())).collect()
    }

    /// Lets go of standings whose time is over. How many there were. To be called every minute or so.
    pub fn expire(&self, now_ms: i64) -> usize {
        let over = self.take_over(now_ms);
        self.count_members();
        // A million members are dropped here, where nobody waits for the lock.
        over.len()
    }

    fn take_over(&self, now_ms: i64) -> Vec<SharedStandings> {
        let is_over = |open: &Open| open.expires_at_ms.is_some_and(|at_ms| at_ms <= now_ms);
        if !self.read().values().any(is_over) {
            return Vec::new();
        }
        let mut over = Vec::new();
        self.write().retain(|_, open| {
            let keep = !is_over(open);
            if !keep {
                over.push(Arc::clone(&open.standings));
            }
            keep
        });
        over
    }

    fn add_members(&self, more: isize) {
        let add = |members: usize| members.saturating_add_signed(more);
        self.members.update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    fn count_members(&self) {
        let members = self.read().values().map(|open| read(&open.standings).len()).sum();
        self.members.store(members, Ordering::Relaxed);
    }

    /// The standings of a generation, made if they are new, and which generation they ended; none if the generation is
    /// over.
    fn open(
        &self,
        id: &StandingsId,
        generation: u64,
        expires_at_ms: Option<i64>,
    ) -> (Option<SharedStandings>, Option<u64>) {
        if let Some(standings) = self.get(id, generation) {
            return (Some(standings), None);
        }
        let new = || {
            let standings = Arc::new(RwLock::new(Standings::new(id.order, self.hash_seed)));
            Open { generation, expires_at_ms, standings }
        };
        let mut all = self.write();
        let open = all.entry(id.clone()).or_insert_with(new);
        if open.generation > generation {
            return (None, None);
        }
        let ended = (open.generation < generation).then(|| std::mem::replace(open, new()));
        let standings = Arc::clone(&open.standings);
        drop(all);
        if ended.is_some() {
            self.count_members();
        }
        (Some(standings), ended.map(|ended| ended.generation))
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<StandingsId, Open>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<StandingsId, Open>> {
        self.open.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(standings: &SharedStandings) -> RwLockReadGuard<'_, Standings> {
    standings.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(standings: &SharedStandings) -> RwLockWriteGuard<'_, Standings> {
    standings.write().unwrap_or_else(PoisonError::into_inner)
}
