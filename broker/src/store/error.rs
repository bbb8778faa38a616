//! What can go wrong: one enum for each operation, each naming the thing, the place and the way out.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::record::Seq;

/// Why [`StoreOptions`](super::StoreOptions) cannot work.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// A limit is above what the format can hold.
    #[error("{option} is {value} bytes, and the format holds at most {most}: lower it")]
    AboveCeiling {
        /// The option's name.
        option: &'static str,
        /// What it was set to.
        value: usize,
        /// The most it may be.
        most: usize,
    },
    /// The largest record would never fit the queue.
    #[error(
        "pending_bytes_max ({pending}) is below record_bytes_max ({record}): raise the one or lower the other"
    )]
    PendingBelowRecord {
        /// `pending_bytes_max`.
        pending: usize,
        /// `record_bytes_max`.
        record: usize,
    },
    /// A limit of nothing allows nothing.
    #[error("{option} is zero: give it a size")]
    Zero {
        /// The option's name.
        option: &'static str,
    },
}

/// Why the store did not open. Nothing was changed but a torn tail or a broken sled directory set aside.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Something that was once safely on disk is not what was written.
    #[error(
        "{} is damaged at byte {offset}: {what}; restore the data directory from a backup, or move this file away \
         to go on without what it holds", path.display()
    )]
    Corrupt {
        /// The damaged file.
        path: PathBuf,
        /// The first byte that is wrong.
        offset: u64,
        /// What is wrong with it.
        what: String,
    },
    /// The directory cannot be made or used.
    #[error("the data directory {} cannot be used: give a directory that this user may write", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file could not be read or written.
    #[error("{} could not be {doing}", path.display())]
    Io {
        /// What was being done, as a participle.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another process has the directory open.
    #[error("the data directory {} is in use by another process: stop that one, or give another directory", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// A newer version wrote this.
    #[error(
        "{} is of format {found}, and this version reads up to {known}: start the newer version that wrote it",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// The path is something else than a directory.
    #[error("{} is not a directory: give the store one of its own", path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// The options cannot work.
    #[error("the store's options cannot work")]
    Options(#[from] OptionsError),
    /// The tables could neither be opened nor rebuilt.
    #[error("the tables in {} could not be opened", path.display())]
    Tables {
        /// The sled directory.
        path: PathBuf,
        /// Why not.
        source: TablesError,
    },
    /// A thread could not be started.
    #[error("the store's {name} thread could not be started")]
    Thread {
        /// The thread.
        name: &'static str,
        /// Why not.
        source: io::Error,
    },
}

impl OpenError {
    pub(super) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> OpenError {
        let path = path.into();
        move |source| OpenError::Io { doing, path, source }
    }
}

/// What the tables behind the log said. Sled's own error types stay inside this module's reach.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TablesError {
    /// A row's bytes are not what the key table says.
    #[error("a row of the tables holds bytes that no version wrote")]
    Garbled,
    /// Sled's file is locked, though the data directory is this process's own.
    #[error("sled's file is still locked: stop the program that has it open")]
    Locked,
    /// Sled panicked; it does so on some damaged files.
    #[error("sled panicked: {0}")]
    Panicked(String),
    /// Sled said no.
    #[error("sled failed")]
    Sled(#[source] sled::Error),
    /// The checkpoint knows of more than the tables hold.
    #[error("the tables hold records up to {applied}, and the checkpoint or the log says more was there")]
    Short {
        /// The last record in the tables.
        applied: Seq,
    },
}

impl From<sled::Error> for TablesError {
    fn from(error: sled::Error) -> Self {
        TablesError::Sled(error)
    }
}

/// Why a record was not taken. It changed nothing and has no place in the log.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The store is closing.
    #[error("the store is closed")]
    Closed,
    /// A row that the record depends on is no longer as it was seen: read again and try again.
    #[error("row {sort:?} of {table:?}/{hash:?} changed since it was read")]
    Conflict {
        /// The table.
        table: String,
        /// The row's hash.
        hash: String,
        /// The row's sort.
        sort: String,
    },
    /// The disk refused writes; nothing is taken until it takes them again.
    #[error("the log cannot be written until the disk takes writes again")]
    Failed(#[source] Arc<io::Error>),
    /// Too much waits already: wait with [`Store::room`](super::Store::room) and try again.
    #[error("{waiting} holds {bytes} of at most {bytes_max} bytes")]
    Full {
        /// What is full.
        waiting: Waiting,
        /// The bytes it holds.
        bytes: u64,
        /// The bytes it may hold.
        bytes_max: u64,
    },
    /// A row's current version could not be read.
    #[error("the rows that the record depends on could not be read")]
    Read(#[from] ReadError),
    /// The record or one of its keys is over its limit.
    #[error("{what} takes {bytes} bytes, and at most {bytes_max} are allowed")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its bytes.
        bytes: usize,
        /// The most allowed.
        bytes_max: usize,
    },
}

/// A queue that an append may find full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// What the log itself holds, while exports fail.
    Log,
    /// What waits for the disk.
    Pending,
    /// What waits for the tables.
    Tables,
}

impl std::fmt::Display for Waiting {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Waiting::Log => "the log",
            Waiting::Pending => "the queue for the disk",
            Waiting::Tables => "the queue for the tables",
        })
    }
}

/// Why a record that was taken did not become durable. Its writes are no longer visible. The one exception to "it never
/// happened" is a crash before the disk recovers: the record may then be found whole, as with any unanswered request.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the record could not be written to disk")]
pub struct CommitError(#[source] pub(super) Arc<io::Error>);

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
    /// The log is damaged.
    #[error("{} is damaged at byte {offset}", path.display())]
    Corrupt {
        /// The segment.
        path: PathBuf,
        /// The first byte that is wrong.
        offset: u64,
    },
    /// The log no longer reaches back so far.
    #[error("record {asked} is no longer in the log, which starts at {first}")]
    Dropped {
        /// The record asked for.
        asked: Seq,
        /// The oldest record there is.
        first: Seq,
    },
    /// A segment could not be read.
    #[error("{} could not be read", path.display())]
    Io {
        /// The segment.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A query asks for too many rows.
    #[error("a query of {limit} rows was asked for, and at most {limit_max} are allowed: ask in pages")]
    LimitTooLarge {
        /// What was asked.
        limit: usize,
        /// The most allowed.
        limit_max: usize,
    },
    /// A query's rows are too large together.
    #[error("the rows asked for take more than {bytes_max} bytes after {rows} rows: ask for fewer at once")]
    PageTooLarge {
        /// Rows that fitted.
        rows: usize,
        /// The most bytes allowed.
        bytes_max: usize,
    },
    /// The tables could not be read.
    #[error("the tables could not be read")]
    Tables(#[from] TablesError),
}

/// Why a checkpoint, an export, a sweep or a closing did not succeed. Nothing acknowledged is lost by it.
#[derive(Debug, thiserror::Error)]
pub enum MaintainError {
    /// A file could not be written.
    #[error("{} could not be {doing}", path.display())]
    Io {
        /// What was being done, as a participle.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The tables could not be read or written.
    #[error("the tables failed")]
    Tables(#[from] TablesError),
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
    /// A thread of the store ended by a panic.
    #[error("the store's {0} thread panicked")]
    Thread(&'static str),
    /// What waited could not be written before closing.
    #[error("what waited could not be written")]
    Unwritten(#[source] Arc<io::Error>),
}

impl MaintainError {
    pub(super) fn io(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> MaintainError {
        let path = path.into();
        move |source| MaintainError::Io { doing, path, source }
    }
}
