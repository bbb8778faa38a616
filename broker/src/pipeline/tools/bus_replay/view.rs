//! What a replay is asked to be, and how far it is.

use pointsman_rules::RuleName;
use serde::{Deserialize, Serialize};

use super::RUNNING_MAX;
use crate::pipeline::inputs::wanted::BUS_PREFIX;
use crate::store::ReadError;

/// What is to be given again, and to whom. Times are milliseconds since 1970, and belong to it.
#[derive(Debug, Clone)]
pub struct BusReplayRequest {
    /// The rule.
    pub rule: RuleName,
    /// The time of the first event.
    pub from_ms: u64,
    /// The time of the last one. What comes after the replay has begun is not part of it.
    pub to_ms: u64,
    /// Only events of this bus; otherwise those of all buses, and messages.
    pub bus: Option<String>,
}

/// How far a replay is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BusReplay {
    /// Its name, which its events carry.
    pub name: String,
    /// The rule that gets them.
    pub rule: String,
    /// The bus, if it is of one.
    pub bus: Option<String>,
    /// The time of the first event, in milliseconds since 1970.
    pub from: u64,
    /// That of the last one.
    pub to: u64,
    /// Whether it goes on, and if not why.
    pub state: BusReplayState,
    /// What went wrong, if something did.
    pub error: Option<String>,
    /// The time of the last event that was given; everything up to it was given.
    pub at: u64,
    /// Events that were given to the rule.
    pub given: u64,
    /// Events of them that it is done with; those on which it failed are among the dead letters.
    pub handled: u64,
    /// When it began.
    pub started: u64,
    /// When it ended.
    pub ended: Option<u64>,
}

/// Whether a replay goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BusReplayState {
    /// It goes on.
    Running,
    /// All was given and handled.
    Done,
    /// Somebody ended it.
    Cancelled,
    /// It could not go on.
    Failed,
    /// The server ended.
    Interrupted,
}

/// Why a replay does not begin, or cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum BusReplayError {
    /// There is one for the rule.
    #[error("a replay to rule {0:?} goes on: wait until it has ended, or cancel it")]
    Busy(String),
    /// There are others.
    #[error("{RUNNING_MAX} replays go on, more are not done at a time: wait until one has ended")]
    TooMany,
    /// The time ends before it begins.
    #[error("the time ends before it begins: `from` must not be later than `to` and now")]
    NoTime,
    /// There is no such rule.
    #[error("there is no active rule {0:?}")]
    NoRule(String),
    /// The rule has no trigger for it.
    #[error("rule {0:?} listens to nothing of it: replay gives events of buses and messages, one by one")]
    NotWanted(String),
    /// The rule is suspended.
    #[error("rule {0:?} is suspended: resume it first")]
    Suspended(String),
    /// The log or the table cannot be read.
    #[error("the log cannot be read")]
    Log(#[from] ReadError),
}

impl BusReplayRequest {
    /// Whether what is published to a topic by the server itself, or by others, is part of it.
    pub(super) fn includes(&self, topic: &str, is_own: bool) -> bool {
        let bus = topic.strip_prefix(BUS_PREFIX).filter(|_| is_own);
        match &self.bus {
            Some(wanted) => bus == Some(wanted.as_str()),
            None => bus.is_some() || !(is_own && topic.starts_with('$')),
        }
    }
}
