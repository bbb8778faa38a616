//! The events on which rules failed: kept with all that is needed to handle them again.

mod redrive;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pointsman_rules::{EventId, RunError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Clock;
use crate::pipeline::turns::progress::TriggerKey;
use crate::pipeline::turns::room;
use crate::pipeline::turns::unit::Job;
use crate::store::{AppendError, CommitError, ReadError, Record, Row, Store, Write};

pub use redrive::{RedriveError, Redriven};

/// Hash is [`LETTERS`], sort the letter's id, value a [`DeadLetter`].
const TABLE: &str = "_dead_letters";
const LETTERS: &str = "letters";
const KEPT_MS: u64 = 7 * 24 * 3_600_000;
/// Rows that are read or removed at a time.
const PAGE_ROWS: usize = 64;

/// How many events are kept on which rules failed.
#[derive(Debug, Clone, Copy)]
pub struct DeadLetterLimits {
    /// Events.
    pub count_max: usize,
    /// Bytes of all of them.
    pub bytes_max: usize,
}

/// An event on which a rule failed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Its identity: that of the event, and which trigger it is about.
    pub id: String,
    /// The rule.
    pub rule: String,
    /// The rule's version.
    pub version: String,
    /// What the trigger listens to, as the script says it.
    pub on: String,
    /// The function.
    pub handler: String,
    /// Where it failed: the file.
    pub file: String,
    /// The line, from 1; 0 if none is known.
    pub line: usize,
    /// The column, from 1; 0 if none is known.
    pub column: usize,
    /// Why.
    pub message: String,
    /// When it failed last, in milliseconds since 1970.
    pub time: u64,
    /// How often it was tried.
    pub attempts: u32,
    /// Rules that the event went through before.
    pub hops: u8,
    /// The variables that were in scope where it failed first, as scripts print them.
    pub variables: BTreeMap<String, String>,
    /// The event, whole.
    pub event: Value,
    /// The actions of a statement that were done all the same, as they are written: they are not done again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub done: Vec<String>,
}

/// How a run failed.
pub(in crate::pipeline) struct Failed<'a> {
    /// Where and why.
    pub(in crate::pipeline) error: &'a RunError,
    /// The variables that were in scope there.
    pub(in crate::pipeline) variables: Vec<(String, String)>,
    /// The actions that were done all the same.
    pub(in crate::pipeline) done: Vec<String>,
}

impl Failed<'_> {
    /// A run of which nothing was done, and no more is known.
    pub(in crate::pipeline) fn whole(error: &RunError) -> Failed<'_> {
        Failed { error, variables: Vec::new(), done: Vec::new() }
    }
}

/// Why dead letters cannot be read or removed.
#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    /// The removal was not taken.
    #[error("the dead letters cannot be changed")]
    Append(#[from] AppendError),
    /// The removal was not written to disk.
    #[error("the dead letters cannot be changed")]
    Commit(#[from] CommitError),
    /// They cannot be read.
    #[error("the dead letters cannot be read")]
    Read(#[from] ReadError),
}

/// All dead letters: which there are is known in memory, what they hold is in the store.
pub(in crate::pipeline) struct DeadLetters {
    store: Arc<Store>,
    clock: Arc<Clock>,
    limits: DeadLetterLimits,
    index: Mutex<Index>,
}

#[derive(Default)]
struct Index {
    /// By id, and so by the time of the event.
    entries: BTreeMap<String, Entry>,
    bytes: usize,
}

struct Entry {
    rule: String,
    bytes: usize,
    expires_at_ms: u64,
}

impl DeadLetters {
    /// Learns which there are.
    pub(in crate::pipeline) fn open(
        store: Arc<Store>,
        clock: Arc<Clock>,
        limits: DeadLetterLimits,
    ) -> Result<DeadLetters, ReadError> {
        let mut index = Index::default();
        for row in store.scan(TABLE, LETTERS, PAGE_ROWS) {
            let row = row?;
            if let Some(letter) = decode(&row) {
                index.insert(row.sort, letter.rule, row.value.len(), row.expires_at_ms.unwrap_or(0));
            }
        }
        Ok(DeadLetters { store, clock, limits, index: Mutex::new(index) })
    }

    /// How many there are.
    pub(in crate::pipeline) fn count(&self) -> usize {
        let mut index = self.lock();
        index.forget_expired(self.clock.now_ms());
        index.entries.len()
    }

    /// A page of them, the oldest first, of one rule or of all.
    pub(in crate::pipeline) fn page(
        &self,
        rule: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, DeadLetterError> {
        let ids: Vec<String> = {
            let mut index = self.lock();
            index.forget_expired(self.clock.now_ms());
            index
                .ids(rule)
                .filter(|id| after.is_none_or(|after| id.as_str() > after))
                .take(limit)
                .cloned()
                .collect()
        };
        let letters = ids.iter().map(|id| self.get(id)).collect::<Result<Vec<_>, _>>()?;
        Ok(letters.into_iter().flatten().map(|(letter, _)| letter).collect())
    }

    /// The ids of all, the oldest first, of one rule or of all.
    pub(in crate::pipeline) fn ids(&self, rule: Option<&str>) -> Vec<String> {
        let mut index = self.lock();
        index.forget_expired(self.clock.now_ms());
        index.ids(rule).cloned().collect()
    }

    /// One of them, with the row's version.
    pub(in crate::pipeline) fn get(&self, id: &str) -> Result<Option<(DeadLetter, u64)>, DeadLetterError> {
        let row = self.store.get(TABLE, LETTERS, id)?;
        Ok(row.and_then(|row| Some((decode(&row)?, row.version))))
    }

    /// Those of one event.
    pub(in crate::pipeline) fn of_event(&self, event: EventId) -> Result<Vec<DeadLetter>, DeadLetterError> {
        let prefix = format!("{event}-");
        let ids: Vec<String> = {
            let index = self.lock();
            let from = index.entries.range(prefix.clone()..);
            from.map(|(id, _)| id).take_while(|id| id.starts_with(&prefix)).cloned().collect()
        };
        let letters = ids.iter().map(|id| self.get(id)).collect::<Result<Vec<_>, _>>()?;
        Ok(letters.into_iter().flatten().map(|(letter, _)| letter).collect())
    }

    /// Removes some, and says how many there were.
    pub(in crate::pipeline) fn remove(&self, ids: &[String]) -> Result<usize, DeadLetterError> {
        let mut removed = 0;
        for ids in ids.chunks(PAGE_ROWS) {
            let writes = ids.iter().map(|id| delete(id)).collect();
            self.store.append(Record { writes, ..Record::default() })?.wait()?;
            let mut index = self.lock();
            removed += ids.iter().filter(|id| index.remove(id)).count();
        }
        Ok(removed)
    }

    /// What keeps the event of a failed run; the oldest letters go where there are too many. Says how many those are.
    pub(in crate::pipeline) fn keep(&self, job: &Job<'_>, failed: Failed<'_>) -> (Vec<Write>, usize) {
        let Failed { error, variables, done } = failed;
        let on = job.rule.rule.triggers[job.trigger].on.to_string();
        let mut letter = DeadLetter {
            id: id_of(job),
            rule: String::new(),
            version: String::new(),
            on,
            handler: String::new(),
            file: String::new(),
            line: 0,
            column: 0,
            message: String::new(),
            time: 0,
            attempts: 1,
            hops: job.hops,
            variables: variables.into_iter().collect(),
            event: job.event.to_json(),
            done,
        };
        letter.note_failure(error, self.clock.now_ms());
        self.put(&letter)
    }

    /// What writes a letter, and removes the oldest where there are too many; and how many those are. One that is too large
    /// is removed itself.
    fn put(&self, letter: &DeadLetter) -> (Vec<Write>, usize) {
        let text = serde_json::to_vec(letter).unwrap_or_default();
        let expires_at_ms = self.clock.now_ms() + KEPT_MS;
        let mut index = self.lock();
        index.forget_expired(self.clock.now_ms());
        // One that can never be kept drives no other out.
        if text.len() > self.limits.bytes_max.min(room::bytes_max(self.store.options())) {
            index.remove(&letter.id);
            return (vec![delete(&letter.id)], 1);
        }
        index.insert(letter.id.clone(), letter.rule.clone(), text.len(), expires_at_ms);
        let mut writes = Vec::new();
        while index.entries.len() > self.limits.count_max || index.bytes > self.limits.bytes_max {
            let Some((oldest, entry)) = index.entries.pop_first() else { break };
            index.bytes -= entry.bytes;
            writes.push(delete(&oldest));
        }
        let dropped = writes.len();
        if index.entries.contains_key(&letter.id) {
            writes.push(Write::put(TABLE, LETTERS, &letter.id, text, Some(expires_at_ms)));
        }
        (writes, dropped)
    }

    /// Takes note that a letter is gone.
    fn forget(&self, id: &str) {
        self.lock().remove(id);
    }

    fn lock(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DeadLetter {
    /// Takes note of how it failed.
    fn note_failure(&mut self, error: &RunError, now_ms: u64) {
        self.rule.clone_from(&error.rule);
        self.version.clone_from(&error.version);
        self.handler.clone_from(&error.handler);
        self.file.clone_from(&error.file);
        (self.line, self.column) = (error.line, error.column);
        self.message.clone_from(&error.message);
        self.time = now_ms;
    }
}

impl Index {
    fn insert(&mut self, id: String, rule: String, bytes: usize, expires_at_ms: u64) {
        self.bytes += bytes;
        if let Some(before) = self.entries.insert(id, Entry { rule, bytes, expires_at_ms }) {
            self.bytes -= before.bytes;
        }
    }

    fn remove(&mut self, id: &str) -> bool {
        let removed = self.entries.remove(id);
        self.bytes -= removed.as_ref().map_or(0, |entry| entry.bytes);
        removed.is_some()
    }

    fn ids(&self, rule: Option<&str>) -> impl Iterator<Item = &String> {
        let entries = self.entries.iter();
        entries.filter(move |(_, entry)| rule.is_none_or(|rule| entry.rule == rule)).map(|(id, _)| id)
    }

    /// Forgets those whose time is over: the store does so by itself. They are about the oldest.
    fn forget_expired(&mut self, now_ms: u64) {
        while let Some(oldest) = self.entries.first_entry()
            && oldest.get().expires_at_ms <= now_ms
        {
            self.bytes -= oldest.remove().bytes;
        }
    }
}

/// The id of the letter of an event and a trigger: the same however often the trigger fails on the event.
fn id_of(job: &Job<'_>) -> String {
    letter_id(job.event.id(), &job.rule.key(job.trigger))
}

/// The id of the letter of an event and a trigger.
pub(in crate::pipeline) fn letter_id(event: EventId, key: &TriggerKey) -> String {
    let hash = crc32fast::hash(format!("{} {}", key.rule, key.trigger).as_bytes());
    format!("{event}-{hash:08x}")
}

fn delete(id: &str) -> Write {
    Write::delete(TABLE, LETTERS, id)
}

/// A letter, unless the row is one of another version of the server.
fn decode(row: &Row) -> Option<DeadLetter> {
    serde_json::from_slice(&row.value).ok()
}
