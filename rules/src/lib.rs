//! The rule language of Pointsman: topics, triggers, scripts and the effects they ask for.
//!
//! The crate is pure: it has no clock, disk, network, threads or randomness of its own. Whoever runs a rule
//! passes in the event, a snapshot of the tables and a monotonic clock for the deadline, and performs the
//! effects that come back.

mod basic_ingest;
pub mod bus;
mod dry_run;
mod effect;
mod effect_json;
mod engine;
mod error;
mod event;
mod event_id;
mod event_json;
mod explain;
#[doc(hidden)]
pub mod fuzzing;
mod json;
pub mod leaderboard;
mod limits;
mod memory;
mod memory_tables;
mod natives;
pub mod pattern;
mod plan;
pub mod route;
mod rule;
mod rule_set;
mod schedule;
mod snapshot;
pub mod sql;
mod state;
pub mod testing;
mod text;
pub mod topic;
mod trigger;

pub use basic_ingest::{BASIC_INGEST_PREFIX, BasicIngest};
pub use dry_run::DryRun;
pub use effect::{Effect, LogLevel, Outcome, PartFailure, PublishProperties, Webhook};
pub use engine::{Engine, Library};
pub use error::{CompileError, RunError, RunErrorKind};
pub use event::{Batch, Change, ChangeKind, Event, Lifecycle, Message, Tick};
pub use event_id::{EventId, EventIdError};
pub use event_json::{EventDefaults, EventJsonError};
pub use limits::{Limits, Used};
pub use memory::CountingAllocator;
pub use memory_tables::{MemoryTables, MemoryTablesError};
pub use natives::{is_notify_topic, parse_duration, parse_time};
pub use rule::{Index, RULE_NAME_LEN_MAX, Rule, RuleName, RuleNameError};
pub use rule_set::{RuleIndex, RuleSet, TriggerIndex};
pub use schedule::{Missed, Schedule, ScheduleError};
pub use snapshot::{EmptySnapshot, Query, Row, Snapshot, SnapshotError};
pub use text::Text;
pub use trigger::{BatchLimits, Handling, On, OrderBy, Start, Trigger};
