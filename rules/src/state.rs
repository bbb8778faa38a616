//! What a script is doing on this thread: registering its triggers, or handling an event.
//!
//! Native functions have no way to borrow the caller's data, so the state of a run lies in a thread-local for
//! the time of the run. A guard takes it out again, whatever happens.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rhai::{Dynamic, EvalAltResult, EvalContext, ImmutableString, Map, Position};

use crate::effect::Effect;
use crate::error::RunErrorKind;
use crate::event_id::EventId;
use crate::limits::{Limits, Used};
use crate::memory;
use crate::rule::Index;
use crate::snapshot::{Snapshot, SnapshotError};
use crate::trigger::{Handling, On};

pub(crate) type NativeResult<T> = Result<T, Box<EvalAltResult>>;

/// What scripts on this thread are doing.
pub(crate) enum State {
    /// No script runs.
    Idle,
    /// The top level of a script says what it listens to.
    Registering(Declared),
    /// A handler runs.
    Running(Box<Run>),
}

/// What the top level of a script says.
#[derive(Default)]
pub(crate) struct Declared {
    pub(crate) registrations: Vec<Registration>,
    pub(crate) indexes: Vec<Index>,
}

/// A trigger that a script registered.
pub(crate) struct Registration {
    pub(crate) on: On,
    pub(crate) handling: Handling,
    pub(crate) handler: String,
    pub(crate) position: Position,
}

/// A handler's run.
pub(crate) struct Run {
    pub(crate) limits: Limits,
    pub(crate) snapshot: Arc<dyn Snapshot>,
    pub(crate) time_ms: i64,
    pub(crate) event_id: EventId,
    /// The rule's name.
    pub(crate) rule: Arc<str>,
    /// The indexes that the rule declares.
    pub(crate) indexes: Arc<[Index]>,
    /// Random numbers that were drawn.
    pub(crate) drawn: u64,
    pub(crate) effects: Vec<Effect>,
    pub(crate) effect_bytes: usize,
    pub(crate) read_bytes: usize,
    /// A failure that ends the run, even if the script catches the error.
    pub(crate) stopped: Option<Stop>,
}

/// Ends a run for good: scripts cannot handle it.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    pub(crate) message: String,
    pub(crate) kind: RunErrorKind,
}

/// What a script's names mean beyond its own variables.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    /// The constants of the top level, for functions.
    pub(crate) constants: Arc<Map>,
    /// Variables that the script assigns into, as in `m[key] = value`: the library does not measure those.
    pub(crate) assigned_into: Arc<BTreeSet<ImmutableString>>,
}

thread_local! {
    static NAMES: RefCell<Names> = RefCell::default();
    static STATE: RefCell<State> = const { RefCell::new(State::Idle) };
    static OPERATIONS: Cell<u64> = const { Cell::new(0) };
    /// What the thread held when the run began.
    static HELD_BEFORE: Cell<i64> = const { Cell::new(0) };
    static LAST_LOOK: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    static TIME_SPENT: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    /// From which step on variables are written down; most runs never come to it.
    static WATCHED_FROM: Cell<u64> = const { Cell::new(u64::MAX) };
    static VARIABLES: RefCell<Vec<(String, String)>> = const { RefCell::new(Vec::new()) };
}

/// More than any limit, with room above it to count on.
const NO_MORE_OPERATIONS: u64 = u64::MAX / 2;

/// Takes the state out when a run ends.
pub(crate) struct Guard(());

impl Guard {
    /// Enters `state` and starts the meter.
    pub(crate) fn enter(state: State, names: Names, now: Duration) -> Self {
        NAMES.replace(names);
        OPERATIONS.set(0);
        HELD_BEFORE.set(memory::held());
        LAST_LOOK.set(now);
        TIME_SPENT.set(Duration::ZERO);
        STATE.replace(state);
        Self(())
    }

    /// Leaves the state and gives what it became, with the operations used.
    pub(crate) fn leave(guard: Self) -> (State, u64) {
        let left = (STATE.replace(State::Idle), OPERATIONS.get());
        drop(guard);
        left
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        STATE.replace(State::Idle);
    }
}

/// Whether the top level of a script runs on this thread.
pub(crate) fn is_registering() -> bool {
    STATE.with_borrow(|state| matches!(state, State::Registering(_)))
}

/// Has what runs on this thread go on where others ended, so that all of them keep to the limits of one run.
pub(crate) fn go_on_behind(used: Used) {
    OPERATIONS.set(used.operations);
    TIME_SPENT.set(used.time);
}

/// What is used up by now.
pub(crate) fn used(now: Duration) -> Used {
    Used { time: spend_time(now), operations: OPERATIONS.get() }
}

/// Runs `body` as if no script ran on this thread: a test, itself a script, calls handlers so.
pub(crate) fn aside<T>(body: impl FnOnce() -> T) -> T {
    /// What the script on this thread has come to, given back however `body` ends.
    struct Saved {
        names: Names,
        state: State,
        operations: u64,
        held_before: i64,
        last_look: Duration,
        time_spent: Duration,
    }
    impl Drop for Saved {
        fn drop(&mut self) {
            NAMES.replace(std::mem::take(&mut self.names));
            STATE.replace(std::mem::replace(&mut self.state, State::Idle));
            OPERATIONS.set(self.operations);
            HELD_BEFORE.set(self.held_before);
            LAST_LOOK.set(self.last_look);
            TIME_SPENT.set(self.time_spent);
        }
    }
    let _saved = Saved {
        names: NAMES.take(),
        state: STATE.replace(State::Idle),
        operations: OPERATIONS.get(),
        held_before: HELD_BEFORE.get(),
        last_look: LAST_LOOK.get(),
        time_spent: TIME_SPENT.get(),
    };
    body()
}

/// Counts one step of the interpreter: the meter of the whole run, whoever calls whom.
pub(crate) fn count_operation(limits: &Limits, monotonic: fn() -> Duration) -> Option<Dynamic> {
    /// Reading a clock costs more than a step does, and this many steps take microseconds.
    const STEPS_PER_LOOK: u64 = 16;
    let operations = OPERATIONS.get() + 1;
    OPERATIONS.set(operations);
    if operations > limits.operations_max.min(NO_MORE_OPERATIONS) {
        if let Some(stop) = stopped() {
            return Some(Dynamic::from(stop));
        }
        return Some(Dynamic::from(Stop::limit("operations_max", limits.operations_max)));
    }
    let held = memory::held().saturating_sub(HELD_BEFORE.get());
    if held > i64::try_from(limits.run_memory_bytes_max).unwrap_or(i64::MAX) {
        return Some(Dynamic::from(Stop::limit("run_memory_bytes_max", limits.run_memory_bytes_max)));
    }
    if operations.is_multiple_of(STEPS_PER_LOOK) && spend_time(monotonic()) > limits.run_time_max {
        let message = format!("the run took longer than run_time_max = {:?}", limits.run_time_max);
        return Some(Dynamic::from(Stop { message, kind: RunErrorKind::Deadline }));
    }
    None
}

/// Adds up the time of the run. A long gap between two looks is mostly time in which the thread did not run,
/// and no fault of the script: it counts as a short one, so that a busy machine fails no rule.
fn spend_time(now: Duration) -> Duration {
    const GAP_MAX: Duration = Duration::from_millis(5);
    let gap = now.saturating_sub(LAST_LOOK.replace(now)).min(GAP_MAX);
    let spent = TIME_SPENT.get() + gap;
    TIME_SPENT.set(spent);
    spent
}

/// The failure that has already ended this run, although the script caught it or could not see it.
fn stopped() -> Option<Stop> {
    STATE.with_borrow(|state| match state {
        State::Running(run) => run.stopped.clone(),
        State::Idle | State::Registering(_) => None,
    })
}

/// Looks at a variable before the script does: gives constants, and measures what was assigned into.
pub(crate) fn look_up(name: &str, index: usize, context: &EvalContext) -> NativeResult<Option<Dynamic>> {
    if OPERATIONS.get() >= WATCHED_FROM.get() {
        note_variables(context);
    }
    NAMES.with_borrow(|names| {
        if index == 0 {
            return Ok(names.constants.get(name).cloned());
        }
        if names.assigned_into.contains(name)
            && let Some(value) = context.scope().get(name)
        {
            context.engine().ensure_data_size_within_limits(value)?;
        }
        Ok(None)
    })
}

/// The steps that the last run on this thread took.
pub(crate) fn operations() -> u64 {
    OPERATIONS.get()
}

/// Runs `body`, and gives the variables that were in scope when it last looked at one, if that was at the step
/// `watched_from` or later.
pub(crate) fn watching<T>(watched_from: u64, body: impl FnOnce() -> T) -> (T, Vec<(String, String)>) {
    /// Ends it, however `body` ends.
    struct Watch;
    impl Drop for Watch {
        fn drop(&mut self) {
            WATCHED_FROM.set(u64::MAX);
        }
    }
    VARIABLES.take();
    WATCHED_FROM.set(watched_from);
    let watch = Watch;
    let result = body();
    drop(watch);
    (result, VARIABLES.take())
}

/// Writes down what is in scope.
fn note_variables(context: &EvalContext) {
    /// More are not written down.
    const VARIABLES_MAX: usize = 32;
    const CHARS_MAX: usize = 200;
    let value = |value: Dynamic| {
        let text = format!("{value:?}");
        match text.char_indices().nth(CHARS_MAX) {
            None => text,
            Some((end, _)) => format!("{}…", &text[..end]),
        }
    };
    let scope = context.scope().iter().take(VARIABLES_MAX);
    VARIABLES.replace(scope.map(|(name, _, of)| (name.to_owned(), value(of))).collect());
}

/// Charges native work as if the interpreter had done it: parsing or writing 256 bytes takes about as long as a
/// few steps.
pub(crate) fn charge_bytes(bytes: usize) {
    OPERATIONS.set(OPERATIONS.get() + (bytes / 256) as u64);
}

/// Calls `with` with the run that is going on.
pub(crate) fn with_run<T>(name: &str, with: impl FnOnce(&mut Run) -> NativeResult<T>) -> NativeResult<T> {
    STATE.with_borrow_mut(|state| match state {
        State::Running(run) => {
            let result = with(run);
            if let Err(error) = &result
                && let EvalAltResult::ErrorTerminated(token, _) = &**error
            {
                run.stopped = token.clone().try_cast();
                OPERATIONS.set(NO_MORE_OPERATIONS); // so that the next step ends the run
            }
            result
        }
        State::Idle | State::Registering(_) => Err(refuse(format!(
            "{name} works only in a handler: move it into a function that a trigger names"
        ))),
    })
}

/// Files a trigger.
pub(crate) fn register(name: &str, registration: Registration) -> NativeResult<()> {
    STATE.with_borrow_mut(|state| match state {
        State::Registering(Declared { registrations, .. }) => {
            let is_twin =
                |other: &Registration| other.on == registration.on && other.handler == registration.handler;
            if registrations.iter().any(is_twin) {
                return Err(refuse(format!(
                    "{name} is said twice for {:?}: once is enough",
                    registration.handler
                )));
            }
            registrations.push(registration);
            Ok(())
        }
        State::Idle | State::Running(_) => {
            Err(refuse(format!("{name} works only at the top level of the file, not in a function")))
        }
    })
}

/// Files an index.
pub(crate) fn declare_index(name: &str, index: Index) -> NativeResult<()> {
    STATE.with_borrow_mut(|state| match state {
        State::Registering(Declared { indexes, .. }) => {
            if !indexes.contains(&index) {
                indexes.push(index);
            }
            Ok(())
        }
        State::Idle | State::Running(_) => {
            Err(refuse(format!("{name} works only at the top level of the file, not in a function")))
        }
    })
}

impl Run {
    /// The indexes of a table: those of all rules, and those that this one declares.
    pub(crate) fn indexes_of(&self, table: &str) -> Vec<Index> {
        let mut indexes = self.snapshot.indexes(table);
        indexes.extend(self.indexes.iter().filter(|index| *index.table == *table).cloned());
        indexes.sort();
        indexes.dedup();
        indexes
    }

    /// Makes room for an effect with so many bytes of content, or stops the run.
    pub(crate) fn reserve(&mut self, bytes: usize) -> NativeResult<()> {
        if self.effects.len() >= self.limits.effects_max {
            return Err(Stop::limit("effects_max", self.limits.effects_max).into_error());
        }
        self.effect_bytes += bytes;
        if self.effect_bytes > self.limits.effect_bytes_max {
            return Err(Stop::limit("effect_bytes_max", self.limits.effect_bytes_max).into_error());
        }
        charge_bytes(bytes);
        Ok(())
    }

    /// Counts what was read from a table, or stops the run.
    pub(crate) fn count_read(&mut self, bytes: usize) -> NativeResult<()> {
        self.read_bytes += bytes;
        if self.read_bytes > self.limits.read_bytes_max {
            return Err(Stop::limit("read_bytes_max", self.limits.read_bytes_max).into_error());
        }
        Ok(())
    }
}

impl Stop {
    /// A limit with this name and value is reached.
    pub(crate) fn limit(name: &'static str, value: impl std::fmt::Display) -> Self {
        Self { message: format!("the limit {name} = {value} is reached"), kind: RunErrorKind::Limit(name) }
    }

    /// A table could not be read.
    pub(crate) fn snapshot(error: &SnapshotError) -> Self {
        Self { message: format!("a table could not be read: {error}"), kind: RunErrorKind::Snapshot }
    }

    #[expect(clippy::unnecessary_box_returns, reason = "the library's errors are always boxed")]
    pub(crate) fn into_error(self) -> Box<EvalAltResult> {
        Box::new(EvalAltResult::ErrorTerminated(Dynamic::from(self), Position::NONE))
    }
}

/// An error that a script may catch.
#[expect(clippy::unnecessary_box_returns, reason = "the library's errors are always boxed")]
pub(crate) fn refuse(message: impl Into<String>) -> Box<EvalAltResult> {
    Box::new(EvalAltResult::ErrorRuntime(message.into().into(), Position::NONE))
}
