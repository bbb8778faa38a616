//! The interpreter: set up once, shared by all threads.

pub(crate) mod check;
pub(crate) mod compile;
mod lambda;
mod library;
mod run;
mod statement;

use std::fmt;
use std::time::Duration;

use rhai::OptimizationLevel;
use rhai::module_resolvers::DummyModuleResolver;

use crate::limits::Limits;
use crate::natives;
use crate::state::{count_operation, look_up};

pub use library::Library;
pub(crate) use library::LibraryFile;

/// Compiles and runs rules. It holds no state of either, so one engine serves all threads.
pub struct Engine {
    /// Runs the top level of a script, whose constants nobody knows yet.
    setup: rhai::Engine,
    /// Runs handlers, and refuses unknown variables when it compiles them.
    strict: rhai::Engine,
    known: check::KnownFunctions,
    limits: Limits,
    pub(crate) monotonic: fn() -> Duration,
}

impl Engine {
    /// An engine whose runs keep to `limits`. `monotonic` tells time for the deadline; any starting point
    /// will do.
    pub fn new(limits: Limits, monotonic: fn() -> Duration) -> Self {
        let mut setup = interpreter(limits, monotonic);
        // The checks must see the code that the optimizer would take away.
        setup.set_optimization_level(OptimizationLevel::None);
        let mut strict = interpreter(limits, monotonic);
        strict.set_strict_variables(true);
        let known = check::KnownFunctions::new(&strict);
        Self { setup, strict, known, limits, monotonic }
    }

    /// The limits it was made with.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Engine").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// An interpreter with all that rules find.
fn interpreter(limits: Limits, monotonic: fn() -> Duration) -> rhai::Engine {
    let mut engine = sandboxed(limits, monotonic);
    natives::register(&mut engine, limits);
    engine
}

/// An interpreter that keeps to limits, and has nothing but the language.
pub(crate) fn sandboxed(limits: Limits, monotonic: fn() -> Duration) -> rhai::Engine {
    let mut engine = rhai::Engine::new();
    engine
        .set_module_resolver(DummyModuleResolver::new())
        .disable_symbol("curry") // a function that holds itself doubles with each step
        .disable_symbol("eval")
        .disable_symbol("import")
        .disable_symbol("export")
        .set_optimization_level(OptimizationLevel::Simple)
        // Texts that runs make are seldom made again, and looking for them takes a lock that all threads share.
        .set_max_strings_interned(0)
        .set_max_modules(0)
        .set_max_call_levels(limits.call_depth_max)
        .set_max_expr_depths(limits.expression_depth_max, limits.expression_depth_max)
        .set_max_string_size(limits.string_bytes_max)
        .set_max_array_size(limits.array_len_max)
        .set_max_map_size(limits.map_len_max)
        .set_max_variables(limits.variables_max)
        // The library's own counter starts anew when a native function calls back; ours does not.
        .set_max_operations(0)
        .on_progress(move |_| count_operation(&limits, monotonic));
    #[expect(deprecated, reason = "the library marks what it may still change this way")]
    engine.on_var(|name, index, context| look_up(name, index, &context));
    engine
}
