//! A file of tests: compiled, and each of its tests run in a world of its own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rhai::{AST, CallFnOptions, Dynamic, EvalAltResult, OptimizationLevel, Position, Scope};

use super::natives::{self, SharedWorld};
use super::world::{Failure, World};
use super::{TestFailure, TestLimits, TestReport, TestResult};
use crate::engine::check::{Fault, KnownFunctions};
use crate::engine::compile::Compiler;
use crate::engine::{Engine, sandboxed};
use crate::error::{CompileError, Explained, Place, explain};
use crate::limits::Limits;
use crate::natives::register_values;
use crate::rule::Rule;
use crate::state::{Guard, Names, State};

/// What the name of a test begins with.
const TEST_PREFIX: &str = "test_";
/// The function that is run before each test.
const SETUP: &str = "setup";

/// A file of tests, compiled.
struct Suite<'source> {
    file: &'source str,
    source: &'source str,
    interpreter: rhai::Engine,
    ast: AST,
    names: Names,
    world: SharedWorld,
    /// The functions that are tests, with the lines they begin on.
    tests: Vec<(String, usize)>,
    has_setup: bool,
}

/// Runs the tests of a rule. `file` is what messages call the source, for instance `chat.test.rhai`.
///
/// # Errors
/// Says where the source is wrong, as for a rule; a test that fails is no error but in the report.
pub fn run_tests(
    engine: &Arc<Engine>,
    rule: &Arc<Rule>,
    file: &str,
    source: &str,
    limits: TestLimits,
) -> Result<TestReport, CompileError> {
    let begun = (engine.monotonic)();
    let suite = Suite::compile(engine, rule, file, source, limits)?;
    let mut tests = Vec::with_capacity(suite.tests.len());
    for (function, line) in &suite.tests {
        let started = (engine.monotonic)();
        *lock(&suite.world) = World::new(Arc::clone(engine), Arc::clone(rule), limits);
        let failure = if started.saturating_sub(begun) > limits.file_time_max {
            let message = format!("not run: the tests of a file may take {:?}", limits.file_time_max);
            Some(Failure {
                position: Position::new(u16::try_from(*line).unwrap_or(u16::MAX), 0),
                message,
                diff: Vec::new(),
            })
        } else {
            suite.run(function, engine.monotonic)
        };
        tests.push(TestResult {
            name: function[TEST_PREFIX.len()..].replace('_', " "),
            duration: (engine.monotonic)().saturating_sub(started),
            events: lock(&suite.world).events,
            failure: failure.map(|failure| suite.failure(failure)),
        });
    }
    Ok(TestReport { file: file.to_owned(), tests })
}

fn lock(world: &SharedWorld) -> std::sync::MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'source> Suite<'source> {
    fn compile(
        engine: &Arc<Engine>,
        rule: &Arc<Rule>,
        file: &'source str,
        source: &'source str,
        limits: TestLimits,
    ) -> Result<Self, CompileError> {
        let world = World::new(Arc::clone(engine), Arc::clone(rule), limits);
        let world = Arc::new(Mutex::new(world));
        let own = Limits {
            operations_max: limits.operations_max,
            run_time_max: limits.test_time_max,
            ..*engine.limits()
        };
        let interpreter = || {
            let mut interpreter = sandboxed(own, engine.monotonic);
            register_values(&mut interpreter, own);
            natives::register(&mut interpreter, own, &world);
            interpreter
        };
        let (mut setup, mut strict) = (interpreter(), interpreter());
        setup.set_optimization_level(OptimizationLevel::None);
        strict.set_strict_variables(true);
        let compiler = Compiler {
            setup: &setup,
            strict: &strict,
            known: &KnownFunctions::new(&strict),
            script_bytes_max: own.script_bytes_max,
            monotonic: engine.monotonic,
        };
        let draft = compiler.draft(file, source)?;
        let ast = compiler.finish(&draft, &AST::empty())?.clone_functions_only();
        let constants = draft.constants.iter().map(|(name, _, value)| (name.into(), value)).collect();
        let names = Names { constants: Arc::new(constants), assigned_into: Arc::clone(&draft.assigned_into) };
        let tests = tests_of(&ast, limits).map_err(|fault| draft.fail(fault))?;
        let has_setup =
            ast.iter_functions().any(|function| function.name == SETUP && function.params.is_empty());
        Ok(Self { file, source, interpreter: strict, ast, names, world, tests, has_setup })
    }

    /// Runs one test; says why it failed, if it did.
    fn run(&self, function: &str, monotonic: fn() -> Duration) -> Option<Failure> {
        let guard = Guard::enter(State::Idle, self.names.clone(), monotonic());
        let prepared = if self.has_setup { self.call(SETUP) } else { Ok(()) };
        let result =
            prepared.and_then(|()| self.call(function)).and_then(|()| lock(&self.world).no_error_is_left());
        let _ = Guard::leave(guard);
        let failure = lock(&self.world).failure.take();
        match (failure, result) {
            (Some(failure), _) => Some(failure),
            (None, Ok(())) => None,
            (None, Err(error)) => {
                let Explained { position, message, .. } = explain(error);
                Some(Failure { position, message, diff: Vec::new() })
            }
        }
    }

    fn call(&self, function: &str) -> Result<(), Box<EvalAltResult>> {
        let options = CallFnOptions::new().eval_ast(false).rewind_scope(true);
        let mut scope = Scope::new();
        self.interpreter
            .call_fn_with_options::<Dynamic>(options, &mut scope, &self.ast, function, ())
            .map(drop)
    }

    fn failure(&self, failure: Failure) -> TestFailure {
        let Place { line, column, source_line } = Place::new(self.source, failure.position);
        let Failure { message, diff, .. } = failure;
        TestFailure { file: self.file.to_owned(), line, column, source_line, message, diff }
    }
}

/// The functions that are tests, in the order of the source.
fn tests_of(ast: &AST, limits: TestLimits) -> Result<Vec<(String, usize)>, Fault> {
    let mut tests = Vec::new();
    for function in ast.iter_fn_def().filter(|function| function.name.starts_with(TEST_PREFIX)) {
        let position = function.body.start_position();
        if !function.params.is_empty() {
            let message = format!("the test `{}` has parameters: a test has none", function.name);
            return Err(Fault { position, message });
        }
        tests.push((function.name.to_string(), position.line().unwrap_or(0)));
    }
    if tests.len() > limits.tests_max {
        let message = format!("the file has {} tests: at most {} are allowed", tests.len(), limits.tests_max);
        return Err(Fault { position: Position::NONE, message });
    }
    if tests.is_empty() {
        let message =
            format!("there is no test here: a test is a function whose name begins with `{TEST_PREFIX}`");
        return Err(Fault { position: Position::NONE, message });
    }
    tests.sort_by_key(|(_, line)| *line);
    Ok(tests)
}
