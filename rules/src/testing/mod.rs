//! Tests of rules: `chat.test.rhai` beside `chat.rhai`.
//!
//! A test is a function `test_…` without parameters. It says what is in the tables (`given`), what happens
//! (`publish`, `connect`, `event`, …), and what is to come of it (`expect_published`, `expect_row`, …). Each test begins
//! with empty tables at [`START_MS`]; a function `setup`, if there is one, is run before each. What a rule asks of tables
//! is done, so that later events see it; nothing else is.
//!
//! Every event is run twice: a rule whose effects differ between two runs on the same event and tables fails the test.

mod diff;
mod events;
mod expect;
mod natives;
mod suite;
mod world;

use std::fmt;
use std::time::Duration;

pub use diff::{DiffLine, diff_lines};
pub use suite::run_tests;

/// The time at which each test begins, in milliseconds.
pub const START_MS: i64 = 1_700_000_000_000;

/// Bounds of one test and of one file of tests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TestLimits {
    /// Events of one test.
    pub events_max: usize,
    /// Steps of the interpreter in one test, those of the handlers that it calls not included.
    pub operations_max: u64,
    /// Time of one test, that of the handlers not included.
    pub test_time_max: Duration,
    /// Time of all tests of a file; those that are left then fail.
    pub file_time_max: Duration,
    /// Tests of one file.
    pub tests_max: usize,
}

impl Default for TestLimits {
    fn default() -> Self {
        Self {
            events_max: 1_000,
            operations_max: 1_000_000,
            test_time_max: Duration::from_secs(2),
            file_time_max: Duration::from_secs(10),
            tests_max: 500,
        }
    }
}

/// What came of the tests of one file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TestReport {
    /// The file, as the caller named it.
    pub file: String,
    /// The tests, in the order of the source.
    pub tests: Vec<TestResult>,
}

impl TestReport {
    /// The tests that failed.
    pub fn failures(&self) -> impl Iterator<Item = (&TestResult, &TestFailure)> {
        self.tests.iter().filter_map(|test| Some((test, test.failure.as_ref()?)))
    }
}

/// What came of one test.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TestResult {
    /// The function's name behind `test_`, with spaces for `_`.
    pub name: String,
    /// How long it took.
    pub duration: Duration,
    /// How many events it had the rule handle.
    pub events: usize,
    /// Why it failed, if it did.
    pub failure: Option<TestFailure>,
}

/// Why a test failed. `Display` gives the place, the message, the line with a caret, and the difference.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TestFailure {
    /// The file.
    pub file: String,
    /// The line, from 1; 0 if none is known.
    pub line: usize,
    /// The column, from 1; 0 if none is known.
    pub column: usize,
    /// The line itself.
    pub source_line: String,
    /// What is wrong.
    pub message: String,
    /// Expected against actual, a line each: what was expected and is not there, what is there and was not expected, and
    /// what is the same; empty if there is nothing to compare.
    pub diff: Vec<DiffLine>,
}

impl fmt::Display for TestFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, source_line, message, diff } = self;
        crate::error::write_place(formatter, file, *line, *column, source_line, message)?;
        if !diff.is_empty() {
            formatter.write_str("\n  - expected   + actual")?;
        }
        diff.iter().try_for_each(|line| write!(formatter, "\n  {line}"))
    }
}
