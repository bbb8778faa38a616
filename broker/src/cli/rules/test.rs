//! `rules test`: runs the tests beside rules, without a server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{bail, ensure};
use pointsman_rules::testing::{TestLimits, TestReport, run_tests};
use pointsman_rules::{Engine, Library};
use serde_json::{Value, json};

use super::files::folder_of;
use crate::app::rule_limits;
use crate::cli::answer::print_json;
use crate::cli::config_file::ConfigFile;
use crate::pipeline::{self, RuleFile};
use crate::report::chain;

/// Runs the tests of a rule, or of all rules of a folder.
pub(super) fn run(path: Option<PathBuf>, json: bool, config: &ConfigFile) -> anyhow::Result<()> {
    let config = config.load()?;
    let path = path.unwrap_or_else(|| config.rules.directory.clone());
    let engine = Arc::new(pipeline::engine(rule_limits(&config)));
    let is_folder = path.is_dir();
    let folder = if is_folder { path.as_path() } else { folder_of(&path) };
    let library = pipeline::load_library(&engine, folder)?;
    let mut files = pipeline::rule_files(folder)?;
    if !is_folder {
        // The folder of a plain name is `.`, which the paths of its files begin with.
        let is_it = |other: &Path| other.file_name() == path.file_name();
        files.retain(|file| is_it(&file.rule) || file.tests.as_deref().is_some_and(is_it));
        ensure!(!files.is_empty(), "{} is neither a rule nor the tests of one", path.display());
    }
    files.retain(|file| file.tests.is_some());
    if files.is_empty() {
        bail!("there are no tests in {}: those of chat.rhai go into chat.test.rhai", path.display());
    }
    let mut sum = Sum::default();
    for file in &files {
        let rule = file.rule.file_stem().unwrap_or_default().to_string_lossy();
        match test(&engine, &library, file) {
            Ok(report) => sum.add(&rule, &report, json),
            Err(error) => sum.add_error(&rule, &error, json),
        }
    }
    sum.finish(json)
}

fn test(engine: &Arc<Engine>, library: &Library, file: &RuleFile) -> anyhow::Result<TestReport> {
    let rule = Arc::new(pipeline::load_rule(engine, &file.rule, library)?);
    let tests = file.tests.as_deref().unwrap_or(Path::new(""));
    let source = std::fs::read_to_string(tests)?;
    Ok(run_tests(engine, &rule, &tests.display().to_string(), &source, TestLimits::default())?)
}

/// What came of all files.
#[derive(Default)]
struct Sum {
    passed: usize,
    failed: usize,
    tests: Vec<Value>,
    errors: Vec<Value>,
}

impl Sum {
    fn add(&mut self, rule: &str, report: &TestReport, json: bool) {
        for test in &report.tests {
            let ms = test.duration.as_secs_f64() * 1_000.0;
            let ok = test.failure.is_none();
            *(if ok { &mut self.passed } else { &mut self.failed }) += 1;
            if json {
                let failure = test.failure.as_ref().map(|failure| {
                    json!({
                        "file": failure.file, "line": failure.line, "column": failure.column,
                        "message": failure.message,
                        "diff": failure.diff.iter().map(ToString::to_string).collect::<Vec<_>>(),
                    })
                });
                self.tests.push(json!({
                    "rule": rule, "name": test.name, "ok": ok, "ms": ms, "events": test.events, "failure": failure,
                }));
                continue;
            }
            println!("{} {rule}: {} ({ms:.1} ms)", if ok { "ok" } else { "FAILED" }, test.name);
            if let Some(failure) = &test.failure {
                println!("{}", indented(&failure.to_string()));
            }
        }
    }

    fn add_error(&mut self, rule: &str, error: &anyhow::Error, json: bool) {
        self.failed += 1;
        let error = error.source().map_or_else(|| error.to_string(), |_| chain(error.as_ref()));
        if json {
            self.errors.push(json!({ "rule": rule, "error": error }));
        } else {
            println!("FAILED {rule}: its tests cannot be run\n{}", indented(&error));
        }
    }

    fn finish(self, json: bool) -> anyhow::Result<()> {
        let Sum { passed, failed, tests, errors } = self;
        if json {
            let all = json!({ "passed": passed, "failed": failed, "tests": tests, "errors": errors });
            print_json(&all)?;
        } else {
            println!("{passed} passed, {failed} failed");
        }
        ensure!(failed == 0, "{failed} of {} tests failed", passed + failed);
        Ok(())
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}
