//! Opens the tables, and builds them again from the export and the log where sled lost or broke them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::{info, warn};

use super::core::change_of;
use super::disk::Disk;
use super::error::{OpenError, ReadError, TablesError};
use super::log::{Replay, Segments};
use super::record::Seq;
use super::tables::{Change, Tables};
use super::{checkpoint, export};

/// Broken sled directories that are kept for someone to look at.
const BROKEN_KEPT_MAX: usize = 2;
const CATCH_UP_ROWS: usize = 4096;
const CATCH_UP_BYTES: usize = 8 << 20;

/// Where the parts are that the tables are built from.
pub(super) struct Sources<'a> {
    pub(super) disk: &'a Arc<dyn Disk>,
    pub(super) store: &'a Path,
    pub(super) segments: &'a Arc<Segments>,
    pub(super) cache_bytes: u64,
}

/// Opens the tables with every record of the log in them. Returns them and the last record.
pub(super) fn open_tables(sources: &Sources<'_>) -> Result<(Tables, Seq), OpenError> {
    let Sources { disk, store, segments, cache_bytes } = *sources;
    let end = segments.end();
    let directory = checkpoint::tables_directory(store);
    let known = checkpoint::read(&**disk, store)?;
    let tables = match try_open(&directory, cache_bytes, known, segments.first()) {
        Ok(tables) => tables,
        Err(error @ TablesError::Locked) => return Err(failed(&directory, error)),
        Err(error) => {
            warn!(path = %directory.display(), %error, "the tables are broken and are built again");
            set_aside(store, &directory).map_err(OpenError::io("moved aside", &directory))?;
            Tables::open(&directory, cache_bytes).map_err(|source| failed(&directory, source))?
        }
    };
    let mut applied = tables.applied().map_err(|source| failed(&directory, source))?;
    let mut least = applied.max(known.unwrap_or(0));
    if applied == 0 {
        applied = export::newest(&**disk, store)?;
        if applied > 0 {
            info!(seq = applied, "the tables are read from the last export");
            least = least.max(export::load(&**disk, store, applied, &tables)?);
        }
    }
    if least > end {
        let what = format!("the log ends at record {end}, and the tables had records up to {least}");
        return Err(OpenError::Corrupt { path: super::log::directory(store), offset: 0, what });
    }
    catch_up(&tables, disk, segments, applied, end).map_err(|error| match error {
        ReadError::Tables(source) => failed(&directory, source),
        ReadError::Corrupt { path, offset } => {
            OpenError::Corrupt { path, offset, what: "a record is not readable".to_owned() }
        }
        ReadError::Io { path, source } => OpenError::Io { doing: "read", path, source },
        other => OpenError::Corrupt {
            path: super::log::directory(store),
            offset: 0,
            what: format!("records behind {applied} are needed: {other}"),
        },
    })?;
    Ok((tables, end))
}

fn failed(directory: &Path, source: TablesError) -> OpenError {
    OpenError::Tables { path: directory.to_owned(), source }
}

/// Opens what is there, and refuses it if it holds less than it once did.
fn try_open(
    directory: &Path,
    cache_bytes: u64,
    known: Option<Seq>,
    log_first: Seq,
) -> Result<Tables, TablesError> {
    if !directory.exists() {
        return Tables::open(directory, cache_bytes);
    }
    let tables = Tables::open(directory, cache_bytes)?;
    let applied = super::tables::guarded(|| tables.applied())?;
    let Some(known) = known else { return Err(TablesError::Short { applied }) };
    if applied < known || applied + 1 < log_first { Err(TablesError::Short { applied }) } else { Ok(tables) }
}

/// Moves a broken directory to `sled.broken-<n>` and removes the oldest of those above the number kept.
fn set_aside(store: &Path, directory: &Path) -> io::Result<()> {
    let mut broken: Vec<(u64, PathBuf)> = Vec::new();
    for entry in fs::read_dir(store)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("sled.broken-")?.parse().ok());
        broken.extend(number.map(|number: u64| (number, entry.path())));
    }
    broken.sort();
    let next = broken.last().map_or(1, |(number, _)| number + 1);
    let surplus = (broken.len() + 1).saturating_sub(BROKEN_KEPT_MAX);
    for (_, path) in broken.into_iter().take(surplus) {
        if path.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
    }
    fs::rename(directory, store.join(format!("sled.broken-{next}")))
}

/// Applies the records behind `applied`, up to `end`.
fn catch_up(
    tables: &Tables,
    disk: &Arc<dyn Disk>,
    segments: &Arc<Segments>,
    applied: Seq,
    end: Seq,
) -> Result<(), ReadError> {
    if applied >= end {
        return Ok(());
    }
    let mut changes: Vec<Change> = Vec::new();
    let (mut rows, mut bytes) = (0, 0);
    for item in Replay::new(Arc::clone(disk), Arc::clone(segments), applied + 1)? {
        let (seq, record) = item?;
        let Some(change) = change_of(seq, record) else { continue };
        rows += change.rows.len();
        bytes += super::overlay::Overlay::cost(&change);
        changes.push(change);
        if rows >= CATCH_UP_ROWS || bytes >= CATCH_UP_BYTES {
            super::tables::guarded(|| tables.apply(&changes, &[], seq))?;
            changes.clear();
            (rows, bytes) = (0, 0);
        }
    }
    super::tables::guarded(|| tables.apply(&changes, &[], end))?;
    Ok(())
}
