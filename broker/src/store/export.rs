//! The export: all live rows in one checked file, from which the tables can be built again with the log behind it.
//!
//! ```text
//! export = header block* end
//! header = "PTSMEXP\0" format:u32 seq:u64 crc:u32
//! block  = length:u32 crc:u32 entry*
//! entry  = 1 key:bytes version:varint expires_at_ms:varint value:bytes      (a row; 0: never expires)
//!        | 2 key:bytes value:bytes                                         (a done or settled pair)
//!        | 3 until:varint                                                  (the end; alone in the last block)
//! ```
//! The tables change while they are written out. So the file is right for no one moment: it holds everything up to `seq`,
//! and some of what came until `until`. That is enough, since records replace and remove whole rows: replayed from
//! `seq` on, they end in the same rows whatever was there in between.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::disk::{Disk, DiskFile, read_full};
use super::error::{MaintainError, OpenError};
use super::expiry::Expired;
use super::keys;
use super::record::{Reader, Seq, put_bytes, put_varint};
use super::tables::{Live, Stored, Tables};

const MAGIC: [u8; 8] = *b"PTSMEXP\0";
const FORMAT: u32 = 1;
const HEADER_BYTES: usize = 24;
const BLOCK_BYTES: usize = 256 << 10;
/// A block ends with the entry that fills it, and the largest entry is a row with the largest value.
const BLOCK_BYTES_CEILING: usize = BLOCK_BYTES + super::options::RECORD_BYTES_CEILING + (64 << 10);

const ENTRY_ROW: u8 = 1;
const ENTRY_PAIR: u8 = 2;
const ENTRY_END: u8 = 3;

fn directory(store: &Path) -> PathBuf {
    store.join("export")
}

fn name(seq: Seq) -> String {
    format!("{seq:020}.export")
}

fn parse_name(name: &str) -> Option<Seq> {
    let digits = name.strip_suffix(".export").filter(|digits| digits.len() == 20)?;
    digits.parse().ok()
}

/// The newest export's place, or 0 where there is none.
pub(super) fn newest(disk: &dyn Disk, store: &Path) -> Result<Seq, OpenError> {
    let directory = directory(store);
    disk.create_dir(&directory).map_err(OpenError::io("created", &directory))?;
    let names = disk.list(&directory).map_err(OpenError::io("listed", &directory))?;
    Ok(names.iter().filter_map(|name| parse_name(name)).max().unwrap_or(0))
}

/// Writes the tables out and removes older exports. `seq` is a record up to which all were in the tables beforehand.
pub(super) fn write(
    disk: &dyn Disk,
    store: &Path,
    tables: &Tables,
    seq: Seq,
    expired: &Expired,
) -> Result<(), MaintainError> {
    let directory = directory(store);
    let path = directory.join(name(seq));
    let temporary = path.with_extension("tmp");
    let written = MaintainError::io("written", &path);
    let file = match disk.create(&temporary) {
        Ok(file) => file,
        Err(error) => return Err(written(error)),
    };
    let mut out = Blocks { file, block: Vec::with_capacity(BLOCK_BYTES) };
    let outcome = out.fill(tables, seq, expired);
    let outcome = outcome.and_then(|()| {
        out.file.sync_data().map_err(Broken::Io)?;
        disk.rename(&temporary, &path).map_err(Broken::Io)?;
        disk.sync_dir(&directory).map_err(Broken::Io)
    });
    match outcome {
        Ok(()) => {}
        Err(Broken::Io(error)) => {
            // A full disk needs the space more than anyone needs half an export; if even this fails, the next one
            // writes over it or leaves it to be seen.
            let _removed = disk.remove(&temporary);
            return Err(written(error));
        }
        Err(Broken::Tables(error)) => return Err(MaintainError::Tables(error)),
    }
    let names = disk.list(&directory).map_err(MaintainError::io("listed", &directory))?;
    for old in names.iter().filter(|name| parse_name(name).is_some_and(|other| other < seq)) {
        let old = directory.join(old);
        disk.remove(&old).map_err(MaintainError::io("removed", &old))?;
    }
    Ok(())
}

enum Broken {
    Io(io::Error),
    Tables(super::error::TablesError),
}

impl From<super::error::TablesError> for Broken {
    fn from(error: super::error::TablesError) -> Self {
        Broken::Tables(error)
    }
}

struct Blocks {
    file: Box<dyn DiskFile>,
    block: Vec<u8>,
}

impl Blocks {
    fn fill(&mut self, tables: &Tables, seq: Seq, expired: &Expired) -> Result<(), Broken> {
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(&MAGIC);
        header.extend_from_slice(&FORMAT.to_le_bytes());
        header.extend_from_slice(&seq.to_le_bytes());
        header.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
        self.file.append(&header).map_err(Broken::Io)?;
        for pair in tables.range(&[keys::ROW], &[keys::ROW + 1]) {
            let (key, stored) = pair?;
            if !expired.goes(&key, &stored) {
                self.block.push(ENTRY_ROW);
                put_bytes(&mut self.block, &key);
                put_varint(&mut self.block, stored.version);
                put_varint(&mut self.block, stored.live.expires_at_ms.unwrap_or(0));
                put_bytes(&mut self.block, &stored.live.value);
                self.end_block(BLOCK_BYTES)?;
            }
        }
        for pair in tables.pairs(&[keys::SETTLED]) {
            let (key, value) = pair?;
            self.block.push(ENTRY_PAIR);
            put_bytes(&mut self.block, &key);
            put_bytes(&mut self.block, &value);
            self.end_block(BLOCK_BYTES)?;
        }
        self.end_block(1)?;
        let until = {
            let _still = tables.still();
            tables.applied()?.max(seq)
        };
        self.block.push(ENTRY_END);
        put_varint(&mut self.block, until);
        self.end_block(1)
    }

    fn end_block(&mut self, bytes_min: usize) -> Result<(), Broken> {
        if self.block.len() < bytes_min {
            return Ok(());
        }
        let length = u32::try_from(self.block.len()).expect("a block is below its ceiling");
        let mut head = [0; 8];
        head[..4].copy_from_slice(&length.to_le_bytes());
        head[4..].copy_from_slice(&crc32fast::hash(&self.block).to_le_bytes());
        self.file.append(&head).map_err(Broken::Io)?;
        self.file.append(&self.block).map_err(Broken::Io)?;
        self.block.clear();
        Ok(())
    }
}

/// Puts the export at `seq` into empty tables. Returns the record that the log must reach for them to become right.
pub(super) fn load(disk: &dyn Disk, store: &Path, seq: Seq, tables: &Tables) -> Result<Seq, OpenError> {
    let path = directory(store).join(name(seq));
    let file = disk.open(&path).map_err(OpenError::io("opened", &path))?;
    let corrupt = |offset, what: &str| OpenError::Corrupt {
        path: path.clone(),
        offset,
        what: format!("{what}, and the tables must be built from it"),
    };
    let read =
        |offset, buffer: &mut [u8]| read_full(&*file, offset, buffer).map_err(OpenError::io("read", &path));
    let mut header = [0; HEADER_BYTES];
    let length = read(0, &mut header)?;
    let (start, crc) = header.split_at(HEADER_BYTES - 4);
    if length < HEADER_BYTES || start[..8] != MAGIC || crc32fast::hash(start).to_le_bytes() != crc {
        return Err(corrupt(0, "its header is not readable"));
    }
    let mut format = [0; 4];
    format.copy_from_slice(&start[8..12]);
    let found = u32::from_le_bytes(format);
    if found > FORMAT {
        return Err(OpenError::Newer { path, found, known: FORMAT });
    }
    let mut offset = HEADER_BYTES as u64;
    loop {
        let mut head = [0; 8];
        if read(offset, &mut head)? < head.len() {
            return Err(corrupt(offset, "it ends early"));
        }
        let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        if length == 0 || length > BLOCK_BYTES_CEILING {
            return Err(corrupt(offset, "a block is not readable"));
        }
        let mut block = vec![0; length];
        if read(offset + 8, &mut block)? < length || crc32fast::hash(&block).to_le_bytes() != head[4..] {
            return Err(corrupt(offset, "a block is not readable"));
        }
        let entries = decode(block).ok_or_else(|| corrupt(offset, "a block holds what no version wrote"))?;
        tables
            .restore(&entries.rows, &entries.pairs)
            .map_err(|source| OpenError::Tables { path: path.clone(), source })?;
        if let Some(until) = entries.until {
            return Ok(until);
        }
        offset += 8 + length as u64;
    }
}

#[derive(Default)]
struct Entries {
    rows: Vec<(Bytes, Stored)>,
    pairs: Vec<(Bytes, Bytes)>,
    until: Option<Seq>,
}

fn decode(block: Vec<u8>) -> Option<Entries> {
    let mut reader = Reader(Bytes::from(block));
    let mut entries = Entries::default();
    while !reader.0.is_empty() {
        match reader.byte()? {
            ENTRY_ROW => {
                let key = reader.bytes()?;
                let version = reader.varint()?;
                let expires_at_ms = Some(reader.varint()?).filter(|at| *at != 0);
                let live = Live { value: reader.bytes()?, expires_at_ms };
                entries.rows.push((key, Stored { version, live }));
            }
            ENTRY_PAIR => entries.pairs.push((reader.bytes()?, reader.bytes()?)),
            ENTRY_END => entries.until = Some(reader.varint()?),
            _ => return None,
        }
    }
    Some(entries)
}
