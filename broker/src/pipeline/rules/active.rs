//! The rules that are active: loaded from files, compiled, swapped in as one set.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use pointsman_rules::{CompileError, Engine, Library, On, Rule, RuleName, RuleNameError, RuleSet, Trigger};

use crate::pipeline::turns::progress::TriggerKey;
use crate::store::Seq;

/// Files read from the folder of rules, and from that of libraries.
const FILES_MAX: usize = 1_000;
/// The folder of shared functions within the folder of rules.
const LIBRARY_FOLDER: &str = "lib";
const EXTENSION: &str = "rhai";
const SQL_EXTENSION: &str = "sql";
const TEST_EXTENSION: &str = "test.rhai";

/// A rule that is active, and how it fares.
#[derive(Debug)]
pub(crate) struct ActiveRule {
    pub(crate) rule: Arc<Rule>,
    /// Runs in a row that reached a limit.
    strikes: AtomicU32,
    suspended: AtomicBool,
    /// What the log calls its triggers.
    keys: Vec<TriggerKey>,
    /// See `begins_behind`.
    begins: Vec<AtomicU64>,
}

impl ActiveRule {
    pub(crate) fn new(rule: Arc<Rule>) -> ActiveRule {
        let keys = rule.triggers.iter().map(|trigger| trigger_key(&rule, trigger)).collect();
        let begins = rule.triggers.iter().map(|_| AtomicU64::new(0)).collect();
        ActiveRule { rule, strikes: AtomicU32::new(0), suspended: AtomicBool::new(false), keys, begins }
    }

    pub(crate) fn is_suspended(&self) -> bool {
        self.suspended.load(Ordering::Acquire)
    }

    /// Ends a suspension; says whether there was one.
    pub(crate) fn resume(&self) -> bool {
        self.strikes.store(0, Ordering::Relaxed);
        self.suspended.swap(false, Ordering::AcqRel)
    }

    /// Notes a run that kept its limits.
    pub(crate) fn behaved(&self) {
        if self.strikes.load(Ordering::Relaxed) != 0 {
            self.strikes.store(0, Ordering::Relaxed);
        }
    }

    /// Notes a run that did not; true if that suspends the rule now.
    pub(crate) fn overran(&self, overruns_max: u32) -> bool {
        let strikes = self.strikes.fetch_add(1, Ordering::Relaxed) + 1;
        strikes >= overruns_max && !self.suspended.swap(true, Ordering::AcqRel)
    }

    /// What the log calls a trigger: it stays the same while the rule's other lines change.
    pub(crate) fn key(&self, trigger: usize) -> TriggerKey {
        self.keys[trigger].clone()
    }

    /// What tells a trigger from the rule's others in the log.
    pub(crate) fn trigger_id(&self, trigger: usize) -> u16 {
        self.keys[trigger].trigger
    }

    /// The triggers that are promised messages.
    pub(crate) fn message_triggers(&self) -> impl Iterator<Item = usize> {
        (0..self.rule.triggers.len()).filter(|trigger| self.is_promised(*trigger))
    }

    /// Whether a trigger is promised what is published at QoS 1 and 2.
    pub(crate) fn is_promised(&self, trigger: usize) -> bool {
        let Trigger { on, handling, .. } = &self.rule.triggers[trigger];
        let comes_by_log = matches!(on, On::Message(_) | On::Event(_) | On::Change(_) | On::Batch(..));
        comes_by_log && handling.durable
    }

    /// The last record that the trigger does not see when it is published: it is read from the log, or lies before the
    /// trigger's time.
    pub(crate) fn begins_behind(&self, trigger: usize) -> Seq {
        self.begins[trigger].load(Ordering::Acquire)
    }

    /// Sets where what is published begins for a trigger.
    pub(crate) fn begin_behind(&self, trigger: usize, seq: Seq) {
        self.begins[trigger].store(seq, Ordering::Release);
    }
}

/// What the log calls a trigger of a rule.
pub(in crate::pipeline) fn trigger_key(rule: &Rule, Trigger { on, handler, .. }: &Trigger) -> TriggerKey {
    let hash = crc32fast::hash(format!("{on} {handler}").as_bytes());
    TriggerKey { rule: rule.name.to_string(), trigger: (hash & 0xffff) as u16 }
}

/// All active rules.
#[derive(Debug, Default)]
pub(crate) struct ActiveRules {
    pub(crate) rules: Vec<Arc<ActiveRule>>,
    pub(crate) set: RuleSet,
}

impl ActiveRules {
    pub(crate) fn new(rules: Vec<Arc<ActiveRule>>) -> ActiveRules {
        let set = RuleSet::new(rules.iter().map(|active| Arc::clone(&active.rule)).collect());
        ActiveRules { rules, set }
    }
}

/// Why a file is not an active rule.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It does not compile.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// Its name is no rule name.
    #[error("{path} cannot be a rule")]
    Name {
        /// The file.
        path: PathBuf,
        /// What a name may be.
        source: RuleNameError,
    },
    /// There are too many.
    #[error("{path} holds more than {FILES_MAX} files")]
    TooMany {
        /// The folder.
        path: PathBuf,
    },
    /// There is another file of this name.
    #[error("{path} and the script of the same name cannot both be a rule: rename one")]
    Twin {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl LoadError {
    /// The file or folder that it is about.
    pub(crate) fn file(&self) -> String {
        match self {
            LoadError::Compile(error) => error.file.clone(),
            LoadError::Name { path, .. }
            | LoadError::TooMany { path }
            | LoadError::Twin { path }
            | LoadError::Unreadable { path, .. } => path.display().to_string(),
        }
    }
}

/// The files of a folder of rules, and what tells whether they have changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Folder {
    /// The rules, in order of their paths.
    pub(crate) rules: BTreeMap<PathBuf, Stamp>,
    /// Their tests.
    tests: BTreeMap<PathBuf, Stamp>,
    /// What they share.
    libraries: BTreeMap<PathBuf, Stamp>,
}

impl Folder {
    /// Looks what there is.
    pub(crate) fn look(folder: &Path) -> Result<Folder, LoadError> {
        let (tests, rules) = files(folder)?.into_iter().partition(|(path, _)| is_test(path));
        let library = folder.join(LIBRARY_FOLDER);
        let libraries = if library.is_dir() { files(&library)? } else { BTreeMap::new() };
        let is_shared = |path: &Path| !is_test(path) && !is_sql(path);
        let libraries = libraries.into_iter().filter(|(path, _)| is_shared(path)).collect();
        Ok(Folder { rules, tests, libraries })
    }

    /// Reads and compiles what the rules share.
    pub(crate) fn load_library(&self, engine: &Engine) -> Result<Library, LoadError> {
        let read = |path: &PathBuf| Ok((path.display().to_string(), read(path)?));
        let files = self.libraries.keys().map(read).collect::<Result<Vec<_>, LoadError>>()?;
        Ok(engine.compile_library(&files)?)
    }
}

/// The file of the tests of a rule's file.
pub(crate) fn test_file(rule: &Path) -> PathBuf {
    rule.with_extension(TEST_EXTENSION)
}

fn is_test(path: &Path) -> bool {
    path.to_string_lossy().ends_with(&format!(".{TEST_EXTENSION}"))
}

fn is_sql(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == SQL_EXTENSION)
}

/// The file of a rule, which may not be there yet: a statement if there is one, otherwise a script.
pub(crate) fn rule_file(folder: &Path, name: &RuleName) -> PathBuf {
    let sql = folder.join(format!("{name}.{SQL_EXTENSION}"));
    if sql.is_file() { sql } else { folder.join(format!("{name}.{EXTENSION}")) }
}

/// The scripts and statements of a folder.
fn files(folder: &Path) -> Result<BTreeMap<PathBuf, Stamp>, LoadError> {
    let unreadable = |source| LoadError::Unreadable { path: folder.to_owned(), source };
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_none_or(|extension| extension != EXTENSION && extension != SQL_EXTENSION) {
            continue;
        }
        // A file that goes away in between is one that is not there.
        let Ok(meta) = fs::metadata(&path) else { continue };
        if meta.is_file() {
            files.insert(path, Stamp { len: meta.len(), modified: meta.modified().ok() });
        }
        if files.len() > FILES_MAX {
            return Err(LoadError::TooMany { path: folder.to_owned() });
        }
    }
    Ok(files)
}

/// What tells whether a file has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    len: u64,
    modified: Option<std::time::SystemTime>,
}

/// A rule of a folder.
#[derive(Debug, Clone)]
pub struct RuleFile {
    /// Its file.
    pub rule: PathBuf,
    /// Its tests, if it has some.
    pub tests: Option<PathBuf>,
}

/// The rules of a folder, in order of their paths.
pub fn rule_files(folder: &Path) -> Result<Vec<RuleFile>, LoadError> {
    let folder = Folder::look(folder)?;
    let file = |rule: &PathBuf| {
        let tests = Some(test_file(rule)).filter(|tests| folder.tests.contains_key(tests));
        RuleFile { rule: rule.clone(), tests }
    };
    Ok(folder.rules.keys().map(file).collect())
}

/// Reads and compiles one file.
pub fn load_rule(engine: &Engine, path: &Path, library: &Library) -> Result<Rule, LoadError> {
    if is_sql(path) && path.with_extension(EXTENSION).is_file() {
        return Err(LoadError::Twin { path: path.to_owned() });
    }
    let source = read(path)?;
    compile_rule(engine, path, &source, library)
}

/// Compiles what is to be in a file.
pub(crate) fn compile_rule(
    engine: &Engine,
    path: &Path,
    source: &str,
    library: &Library,
) -> Result<Rule, LoadError> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = RuleName::parse(&stem).map_err(|source| LoadError::Name { path: path.to_owned(), source })?;
    Ok(engine.compile_with(&name, &path.display().to_string(), source, library)?)
}

/// Reads and compiles what the rules of a folder share.
pub fn load_library(engine: &Engine, folder: &Path) -> Result<Library, LoadError> {
    Folder::look(folder)?.load_library(engine)
}

pub(crate) fn read(path: &Path) -> Result<String, LoadError> {
    fs::read_to_string(path).map_err(|source| LoadError::Unreadable { path: path.to_owned(), source })
}

/// A rule file, and what became of it.
pub type Checked = (PathBuf, Result<Rule, LoadError>);

/// Compiles every rule of a folder: what `pointsman rules check` does.
pub fn check_rules(engine: &Engine, folder: &Path) -> Result<Vec<Checked>, LoadError> {
    let folder = Folder::look(folder)?;
    let library = folder.load_library(engine)?;
    Ok(folder.rules.into_keys().map(|path| (path.clone(), load_rule(engine, &path, &library))).collect())
}
