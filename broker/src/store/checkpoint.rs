//! The checkpoint: how much of the log is certainly in sled's file, kept beside it because sled may forget.
//!
//! ```text
//! checkpoint = "PTSMCKP\0" format:u32 applied:u64 crc:u32        little-endian, CRC-32 of all before it
//! ```

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::disk::{Disk, read_full, replace};
use super::error::{MaintainError, OpenError};
use super::record::Seq;
use super::tables::Tables;

const MAGIC: [u8; 8] = *b"PTSMCKP\0";
const FORMAT: u32 = 1;
const BYTES: usize = 24;

/// Where the checkpoint is, in the store's directory.
fn path(store: &Path) -> PathBuf {
    store.join("checkpoint")
}

/// Where sled lives, in the store's directory.
pub(super) fn tables_directory(store: &Path) -> PathBuf {
    store.join("sled")
}

/// The last record that was in the tables when they were last made durable; `None` if that cannot be told any more, and
/// the tables are therefore not to be trusted.
pub(super) fn read(disk: &dyn Disk, store: &Path) -> Result<Option<Seq>, OpenError> {
    let path = path(store);
    let file = match disk.open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(0)),
        Err(error) => return Err(OpenError::io("opened", &path)(error)),
    };
    let mut bytes = [0; BYTES];
    let length = read_full(&*file, 0, &mut bytes).map_err(OpenError::io("read", &path))?;
    let (start, crc) = bytes.split_at(BYTES - 4);
    if length < BYTES || start[..8] != MAGIC || crc32fast::hash(start).to_le_bytes() != crc {
        return Ok(None);
    }
    let mut format = [0; 4];
    format.copy_from_slice(&start[8..12]);
    let found = u32::from_le_bytes(format);
    if found > FORMAT {
        return Err(OpenError::Newer { path, found, known: FORMAT });
    }
    let mut applied = [0; 8];
    applied.copy_from_slice(&start[12..20]);
    Ok(Some(u64::from_le_bytes(applied)))
}

/// Makes the tables durable as they are, and then says so.
pub(super) fn write(
    disk: &dyn Disk,
    store: &Path,
    tables: &Tables,
    applied: Seq,
) -> Result<(), MaintainError> {
    tables.mark(applied)?;
    tables.flush()?;
    let sled = tables_directory(store);
    // Sled's flush ends in the page cache.
    let file = sled.join("db");
    File::options()
        .write(true)
        .open(&file)
        .and_then(|file| file.sync_data())
        .map_err(MaintainError::io("synced", file))?;
    let mut bytes = Vec::with_capacity(BYTES);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    bytes.extend_from_slice(&applied.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    replace(disk, &path(store), &bytes).map_err(MaintainError::io("written", path(store)))
}
