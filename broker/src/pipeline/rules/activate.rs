//! How a version becomes active: compile, tests, swap. What fails leaves the version before in its place.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard, PoisonError};

use pointsman_rules::testing::{TestFailure, TestLimits, run_tests};
use pointsman_rules::{CompileError, Library, Rule, RuleName};
use tracing::{error, info, warn};

use super::active::{
    ActiveRule, ActiveRules, Folder, LoadError, compile_rule, load_rule, read, rule_file, test_file,
};
use super::versions::{Cause, NOTE_CHARS_MAX, Version, VersionError};
use crate::pipeline::{BrokenRule, Pipeline, on_own_stack};
use crate::report::chain;

/// What reloading goes by; held while a set of rules is made, so that two are not made at once.
#[derive(Debug, Default)]
pub(in crate::pipeline) struct Activation {
    /// The library that compiled last.
    pub(in crate::pipeline) library: Library,
    /// Rules whose suspension has just ended: what was put aside meanwhile is taken up at the next look.
    resumed: Vec<Arc<ActiveRule>>,
}

/// Why a version does not become active.
#[derive(Debug, thiserror::Error)]
pub enum ActivationError {
    /// It cannot be read or does not compile.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Its tests cannot be run.
    #[error("the tests cannot be run")]
    Tests(#[source] CompileError),
    /// One of its tests fails.
    #[error("{count} of its tests failed; {name:?} says\n{failure}")]
    TestsFailed {
        /// How many.
        count: usize,
        /// The first of them.
        name: String,
        /// Why it failed.
        failure: Box<TestFailure>,
    },
}

/// Why a version cannot be saved.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// It would not become active.
    #[error(transparent)]
    Activation(#[from] ActivationError),
    /// The note is too long.
    #[error("the note has more than {NOTE_CHARS_MAX} characters")]
    NoteTooLong,
    /// The file cannot be written.
    #[error("cannot write {path}")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Pipeline {
    /// Saves a rule's text into its file, if it would become active, and makes it active.
    pub fn save_rule(&self, name: &RuleName, source: &str, cause: &Cause) -> Result<Arc<Rule>, SaveError> {
        if cause.note.chars().count() > NOTE_CHARS_MAX {
            return Err(SaveError::NoteTooLong);
        }
        let mut activation = self.activation();
        let path = self.rule_path(name);
        let rule = compile_rule(&self.engine, &path, source, &activation.library);
        let rule = Arc::new(rule.map_err(ActivationError::from)?);
        self.test(&rule, &path)?;
        let unwritable = |source| SaveError::Unwritable { path: path.clone(), source };
        // In one step, so that nobody reads half of it.
        let draft = path.with_extension("draft");
        fs::write(&draft, source).and_then(|()| fs::rename(&draft, &path)).map_err(unwritable)?;
        self.reload_as(&mut activation, &BTreeMap::from([(name.to_string(), cause.clone())]));
        Ok(rule)
    }

    /// The versions of a rule, the newest first.
    pub fn versions(&self, rule: &RuleName) -> Result<Vec<Version>, VersionError> {
        self.versions.list(rule.as_str())
    }

    /// Ends the suspension of a rule and has it handle what was put aside; `None` if there is no such rule, and whether it
    /// was suspended otherwise.
    pub fn resume_rule(&self, name: &RuleName) -> Option<bool> {
        let active = self.active.load_full();
        let rule = active.rules.iter().find(|active| active.rule.name == *name)?;
        let was_suspended = rule.resume();
        if was_suspended {
            info!(rule = %name, "taken up again by the operator");
            self.resume(rule);
            self.activation().resumed.push(Arc::clone(rule));
        }
        Some(was_suspended)
    }

    /// Takes up what a worker put aside while the rule was being resumed.
    pub(in crate::pipeline) fn take_up_resumed(&self) {
        let resumed = std::mem::take(&mut self.activation().resumed);
        for rule in &resumed {
            self.resume(rule);
        }
    }

    /// Loads what has changed, swaps the set, and says what happened. Gives the state of the folder it has read.
    pub(in crate::pipeline) fn reload(&self) -> Folder {
        self.reload_as(&mut self.activation(), &BTreeMap::new())
    }

    fn reload_as(&self, activation: &mut Activation, causes: &BTreeMap<String, Cause>) -> Folder {
        let folder = match Folder::look(&self.rules_directory) {
            Ok(folder) => folder,
            Err(error) => {
                error!("rules: {}", chain(&error));
                return Folder::default();
            }
        };
        let before = self.active.load_full();
        let mut broken = Vec::new();
        match folder.load_library(&self.engine) {
            Ok(library) => activation.library = library,
            Err(error) => {
                error!("rules: the library before stays in use\n{}", chain(&error));
                broken.push(BrokenRule { file: error.file(), error: chain(&error) });
            }
        }
        let mut rules = Vec::new();
        let mut fresh = Vec::new();
        for path in folder.rules.keys() {
            let old = before.rules.iter().find(|active| Path::new(&active.rule.file) == path);
            match self.prepare(path, &activation.library, old) {
                Ok(Prepared::AsBefore(old)) => rules.push(old),
                Ok(Prepared::New(rule)) => fresh.push(Arc::new(ActiveRule::new(rule))),
                Err(error) => {
                    let kept = old.cloned().or_else(|| self.last_version(path));
                    let meanwhile =
                        if kept.is_some() { "the version before stays active" } else { "it is not active" };
                    error!("rules: {}: {meanwhile}\n{}", path.display(), chain(&error));
                    broken.push(BrokenRule { file: path.display().to_string(), error: chain(&error) });
                    rules.extend(kept);
                }
            }
        }
        rules.extend(fresh.iter().cloned());
        rules.sort_by(|left, right| left.rule.file.cmp(&right.rule.file));
        *self.broken.lock().unwrap_or_else(PoisonError::into_inner) = broken;
        let fresh: Vec<_> = rules
            .iter()
            .filter(|rule| before.rules.iter().all(|old| !Arc::ptr_eq(old, rule)))
            .cloned()
            .collect();
        let since_ms = self.swap(&before, rules, &fresh);
        self.keep_versions(&fresh, causes, since_ms);
        folder
    }

    /// Compiles a file and runs its tests, unless it is the version that is active.
    fn prepare(
        &self,
        path: &Path,
        library: &Library,
        old: Option<&Arc<ActiveRule>>,
    ) -> Result<Prepared, ActivationError> {
        let rule = load_rule(&self.engine, path, library)?;
        if let Some(old) = old.filter(|old| old.rule.version == rule.version) {
            return Ok(Prepared::AsBefore(Arc::clone(old)));
        }
        let rule = Arc::new(rule);
        self.test(&rule, path)?;
        Ok(Prepared::New(rule))
    }

    /// Runs the tests of a rule, if it has some.
    fn test(&self, rule: &Arc<Rule>, path: &Path) -> Result<(), ActivationError> {
        let tests = test_file(path);
        if !tests.is_file() {
            return Ok(());
        }
        let (file, source) = (tests.display().to_string(), read(&tests)?);
        let report = on_own_stack(|| run_tests(&self.engine, rule, &file, &source, TestLimits::default()));
        let report = report.map_err(ActivationError::Tests)?;
        let count = report.failures().count();
        match report.failures().next() {
            None => Ok(()),
            Some((test, failure)) => Err(ActivationError::TestsFailed {
                count,
                name: test.name.clone(),
                failure: Box::new(failure.clone()),
            }),
        }
    }

    /// The version of a file that was active last, from the store: what a start goes by where the file is bad.
    fn last_version(&self, path: &Path) -> Option<Arc<ActiveRule>> {
        let name = path.file_stem()?.to_string_lossy().into_owned();
        self.compile_version(path, self.versions.newest(&name).ok().flatten()?)
    }

    /// A version of a file as it was, with the library files of then.
    pub(super) fn compile_version(&self, path: &Path, version: Version) -> Option<Arc<ActiveRule>> {
        let libraries: Vec<_> = version.libraries.into_iter().collect();
        let library = self.engine.compile_library(&libraries).ok()?;
        let rule = compile_rule(&self.engine, path, &version.source, &library).ok()?;
        Some(Arc::new(ActiveRule::new(Arc::new(rule))))
    }

    /// Makes a set active, and says when it became so. An event that is on its way is handled wholly by the version that was
    /// active when it came.
    fn swap(&self, before: &ActiveRules, rules: Vec<Arc<ActiveRule>>, fresh: &[Arc<ActiveRule>]) -> u64 {
        let mut behind = Vec::new();
        for active in fresh {
            match self.enlist(active) {
                Ok(its) => behind.extend(its.into_iter().map(|its| (Arc::clone(active), its))),
                Err(error) => {
                    error!(rule = %active.rule.name, %error, "a rule's place in the log cannot be read");
                }
            }
        }
        let is_gone = |old: &&Arc<ActiveRule>| rules.iter().all(|rule| rule.rule.name != old.rule.name);
        for rule in before.rules.iter().filter(is_gone) {
            info!(rule = %rule.rule.name, "rule removed");
        }
        // What was put aside goes first; then what is put aside until the swap.
        for active in fresh {
            self.resume(active);
        }
        let active = Arc::new(ActiveRules::new(rules));
        self.active.store(Arc::clone(&active));
        let since_ms = self.clock.now_ms();
        self.past.note(since_ms, &active.rules);
        self.bump_generation();
        self.keep_watched_rows();
        for active in fresh {
            info!(rule = %active.rule.name, version = %active.rule.version, "rule active");
            self.resume(active);
        }
        for (active, its) in behind {
            if let Err(error) = self.catch_up(&active, &its) {
                error!(rule = %active.rule.name, %error, "a new trigger cannot catch up with what the log holds");
            }
        }
        since_ms
    }

    fn keep_versions(&self, fresh: &[Arc<ActiveRule>], causes: &BTreeMap<String, Cause>, since_ms: u64) {
        let active = self.active.load();
        let is_active = |name: &str| active.rules.iter().any(|rule| rule.rule.name.as_str() == name);
        for rule in fresh {
            let cause = causes.get(rule.rule.name.as_str()).cloned().unwrap_or_else(Cause::file);
            if let Err(error) = self.versions.keep(&rule.rule, &cause, since_ms, is_active) {
                warn!(rule = %rule.rule.name, "{}", chain(&error));
            }
        }
    }

    /// The file of a rule, which may not be there yet.
    pub(in crate::pipeline) fn rule_path(&self, name: &RuleName) -> PathBuf {
        rule_file(&self.rules_directory, name)
    }

    pub(in crate::pipeline) fn activation(&self) -> MutexGuard<'_, Activation> {
        self.activation.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file that may be active.
enum Prepared {
    /// It is the version that is active already.
    AsBefore(Arc<ActiveRule>),
    /// It is another.
    New(Arc<Rule>),
}
