//! The functions and types that scripts find.

mod bus;
mod chance;
mod disconnect;
mod events;
mod leaderboard;
mod notify;
mod options;
mod others;
mod publish;
mod sandbox;
mod table;
mod triggers;
mod values;
mod webhook;

use rhai::{Dynamic, Engine, ImmutableString, Map, Variant};

pub(crate) use events::{LifecycleEvent, MessageEvent};
pub(crate) use notify::SUBJECT_CHARS_MAX;
pub use notify::is_notify_topic;
pub use options::{parse_duration, parse_time};
pub(crate) use others::{BatchEvent, BusEvent, ChangeEvent, TickEvent};
pub(crate) use publish::{ask as ask_publish, check_topic as check_publish_topic};
pub(crate) use table::{TABLE_NAME_LEN_MAX, ask_put, is_table_name};
pub(crate) use triggers::NAMES as TRIGGER_NAMES;

use crate::limits::Limits;

/// An argument that natives take by its own type, to be found at the first lookup.
trait Argument: Variant + Clone {
    /// The same as a value of any type. `Dynamic::from` would build a map anew, member by member.
    fn into_value(self) -> Dynamic;
}

impl Argument for Dynamic {
    fn into_value(self) -> Dynamic {
        self
    }
}

impl Argument for ImmutableString {
    fn into_value(self) -> Dynamic {
        self.into()
    }
}

impl Argument for Map {
    fn into_value(self) -> Dynamic {
        Dynamic::from_map(self)
    }
}

/// Registers what tests of rules find besides functions of their own: values, and no effects.
pub(crate) fn register_values(engine: &mut Engine, limits: Limits) {
    values::register(engine, limits);
    sandbox::register(engine, limits);
}

/// Registers everything.
pub(crate) fn register(engine: &mut Engine, limits: Limits) {
    triggers::register(engine);
    table::register_index_declaration(engine);
    events::register(engine, limits);
    others::register(engine, limits);
    publish::register(engine);
    bus::register(engine);
    chance::register(engine);
    notify::register(engine);
    webhook::register(engine);
    disconnect::register(engine);
    table::register(engine);
    leaderboard::register(engine);
    register_values(engine, limits);
}
