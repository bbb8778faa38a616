//! The versions of each rule that were active, kept in the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman_rules::Rule;
use serde::{Deserialize, Serialize};

use crate::store::{AppendError, CommitError, Query, ReadError, Record, Row, Store, Write};

/// Hash is the rule, sort the number, value a [`Version`].
const TABLE: &str = "_rule_versions";
/// The hash under which the names of all rules with versions are; no rule can be called so.
const NAMES: &str = ":names";
/// Rules of which versions are kept, those that are no longer there included.
const NAMES_MAX: usize = 2_000;
/// Characters of a note.
pub(crate) const NOTE_CHARS_MAX: usize = 500;

/// How many versions of each rule are kept.
#[derive(Debug, Clone, Copy)]
pub struct VersionLimits {
    /// Versions of one rule.
    pub count_max: usize,
    /// Bytes of all versions of one rule.
    pub bytes_max: usize,
}

/// Where a version comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Who made it: `file`, or the name of a user.
    pub author: String,
    /// What its author has to say.
    pub note: String,
}

impl Cause {
    /// A file that was saved.
    pub(crate) fn file() -> Cause {
        Cause { author: "file".to_owned(), note: String::new() }
    }
}

/// A version of a rule that was active.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Its number, from 1.
    pub number: u64,
    /// The hash of its content.
    pub version: String,
    /// When it became active, in milliseconds since 1970.
    pub time: u64,
    /// Who made it: `file`, or the name of a user.
    pub author: String,
    /// What its author has to say.
    pub note: String,
    /// Its text.
    pub source: String,
    /// The files of the library that it used, with their text.
    pub libraries: BTreeMap<String, String>,
}

/// What the versions of a rule say of a time.
#[derive(Debug)]
pub(in crate::pipeline) enum AtTime {
    /// The rule was not there yet.
    BeforeTheFirst,
    /// The version of then is not kept any more.
    NotKept,
    /// This one was active.
    Version(Version),
}

/// Why a version cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    /// It was not taken.
    #[error("the version cannot be kept")]
    Append(#[from] AppendError),
    /// It was not written to disk.
    #[error("the version cannot be kept")]
    Commit(#[from] CommitError),
    /// What is stored is no version.
    #[error("a stored version of rule {rule:?} is damaged")]
    Damaged {
        /// The rule.
        rule: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// It cannot be read.
    #[error("the versions cannot be read")]
    Read(#[from] ReadError),
}

/// The versions of all rules.
pub(in crate::pipeline) struct Versions {
    store: Arc<Store>,
    limits: VersionLimits,
}

impl Versions {
    pub(in crate::pipeline) fn new(store: Arc<Store>, limits: VersionLimits) -> Versions {
        Versions { store, limits }
    }

    /// The versions of a rule, the newest first.
    pub(in crate::pipeline) fn list(&self, rule: &str) -> Result<Vec<Version>, VersionError> {
        self.rows(rule, self.limits.count_max.max(1))?.iter().map(|row| read(rule, row)).collect()
    }

    /// The newest version of a rule.
    pub(in crate::pipeline) fn newest(&self, rule: &str) -> Result<Option<Version>, VersionError> {
        self.rows(rule, 1)?.first().map(|row| read(rule, row)).transpose()
    }

    /// The version of a rule that was active at that time.
    pub(in crate::pipeline) fn at(&self, rule: &str, time_ms: u64) -> Result<AtTime, VersionError> {
        let newest = self.newest(rule)?;
        let versions = match newest {
            Some(newest) if newest.time <= time_ms => return Ok(AtTime::Version(newest)),
            Some(_) => self.list(rule)?,
            None => return Ok(AtTime::NotKept),
        };
        let is_first_kept = versions.last().is_some_and(|oldest| oldest.number == 1);
        Ok(match versions.into_iter().find(|version| version.time <= time_ms) {
            Some(version) => AtTime::Version(version),
            None if is_first_kept => AtTime::BeforeTheFirst,
            None => AtTime::NotKept,
        })
    }

    /// Keeps a version that has become active, unless it is the newest that is kept. The oldest go where there are too
    /// many.
    pub(in crate::pipeline) fn keep(
        &self,
        rule: &Rule,
        cause: &Cause,
        since_ms: u64,
        is_active: impl Fn(&str) -> bool,
    ) -> Result<(), VersionError> {
        let name = rule.name.as_str();
        let newest = self.newest(name)?;
        if newest.as_ref().is_some_and(|newest| newest.version == rule.version) {
            return Ok(());
        }
        let number = newest.map_or(0, |newest| newest.number) + 1;
        let version = Version {
            number,
            version: rule.version.clone(),
            time: since_ms,
            author: cause.author.clone(),
            note: cause.note.clone(),
            source: rule.source().to_owned(),
            libraries: rule.libraries().map(|(file, text)| (file.to_owned(), text.to_owned())).collect(),
        };
        let text = serde_json::to_vec(&version)
            .map_err(|source| VersionError::Damaged { rule: name.to_owned(), source })?;
        let mut writes = self.outdated(name, text.len())?;
        if number == 1 {
            writes.extend(self.enlist(name, is_active)?);
        }
        writes.push(Write::put(TABLE, name, sort(number), text, None));
        self.store.append(Record { writes, ..Record::default() })?.wait()?;
        Ok(())
    }

    /// The removal of versions that have to go for one of so many bytes.
    fn outdated(&self, rule: &str, bytes: usize) -> Result<Vec<Write>, VersionError> {
        // One row more than there may be: what a smaller limit has left goes step by step.
        let rows = self.rows(rule, self.limits.count_max.saturating_add(16))?;
        let (mut count, mut bytes) = (1, bytes);
        let mut writes = Vec::new();
        for row in rows {
            (count, bytes) = (count + 1, bytes + row.value.len());
            if count > self.limits.count_max || bytes > self.limits.bytes_max {
                writes.push(Write::delete(TABLE, rule, row.sort));
            }
        }
        Ok(writes)
    }

    /// Notes the name of a rule. Where there are too many, the versions of one that is no longer active go.
    fn enlist(&self, rule: &str, is_active: impl Fn(&str) -> bool) -> Result<Vec<Write>, VersionError> {
        let mut writes = vec![Write::put(TABLE, NAMES, rule, "{}", None)];
        let query = Query { limit: NAMES_MAX + 1, ..Query::default() };
        let names = self.store.query(TABLE, NAMES, &query)?;
        if names.len() >= NAMES_MAX
            && let Some(gone) = names.into_iter().find(|row| row.sort != rule && !is_active(&row.sort))
        {
            let rows = self.rows(&gone.sort, self.limits.count_max.saturating_add(16))?;
            writes.extend(rows.into_iter().map(|row| Write::delete(TABLE, &gone.sort, row.sort)));
            writes.push(Write::delete(TABLE, NAMES, gone.sort));
        }
        Ok(writes)
    }

    fn rows(&self, rule: &str, limit: usize) -> Result<Vec<Row>, ReadError> {
        let query = Query { limit, newest_first: true, ..Query::default() };
        self.store.query(TABLE, rule, &query)
    }
}

/// Numbers as texts that sort like them.
fn sort(number: u64) -> String {
    format!("{number:010}")
}

fn read(rule: &str, row: &Row) -> Result<Version, VersionError> {
    serde_json::from_slice(&row.value)
        .map_err(|source| VersionError::Damaged { rule: rule.to_owned(), source })
}
