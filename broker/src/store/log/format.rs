//! The bytes of a segment file.
//!
//! ```text
//! segment = header frame*
//! header  = "PTSMLOG\0" format:u32 salt:u32 first:u64 after:u64 created_ms:u64 crc:u32      44 bytes
//! frame   = crc:u32 length:u32 place:u64 body[length]                              16 bytes + body
//! ```
//! All integers are little-endian. `first` is the place of the segment's first record and also its file's name; `after` is
//! the last durable record before it, so that segments form a chain. A frame's CRC-32 starts from the segment's
//! salt and covers everything behind it, so that nobody can publish bytes that look like a frame. The top bit of `place`
//! says that when the frame was written, every record before it was already on disk: recovery can therefore tell a torn
//! tail (nobody was promised anything) from damage to what was acknowledged.

use std::hash::{BuildHasher as _, RandomState};

use super::super::record::Seq;

pub(super) const HEADER_BYTES: usize = 44;
pub(super) const FRAME_BYTES: usize = 16;
pub(super) const FORMAT: u32 = 1;

const MAGIC: [u8; 8] = *b"PTSMLOG\0";
const SETTLED: u64 = 1 << 63;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) salt: u32,
    pub(super) first: Seq,
    pub(super) after: Seq,
    pub(super) created_ms: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum HeaderError {
    Garbled,
    Newer(u32),
}

impl Header {
    pub(super) fn new(first: Seq, after: Seq, created_ms: u64) -> Self {
        // Not a secret that must last, only something that a message's author cannot know beforehand.
        let [a, b, c, d, ..] = RandomState::new().hash_one(first).to_le_bytes();
        let salt = u32::from_le_bytes([a, b, c, d]);
        Header { salt, first, after, created_ms }
    }

    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.salt.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.after.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.created_ms.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..40]);
        bytes[40..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Header, HeaderError> {
        if bytes.len() < HEADER_BYTES || bytes[..8] != MAGIC {
            return Err(HeaderError::Garbled);
        }
        let format = u32_at(bytes, 8);
        // A newer format may have a longer header: say so before judging its sum.
        if format > FORMAT {
            return Err(HeaderError::Newer(format));
        }
        if crc32fast::hash(&bytes[..40]) != u32_at(bytes, 40) {
            return Err(HeaderError::Garbled);
        }
        Ok(Header {
            salt: u32_at(bytes, 12),
            first: u64_at(bytes, 16),
            after: u64_at(bytes, 24),
            created_ms: u64_at(bytes, 32),
        })
    }
}

/// Room for a frame's head, to be filled by [`seal`] once the record's place and segment are known.
pub(in super::super) fn frame(capacity: usize) -> Vec<u8> {
    let mut frame = Vec::with_capacity(FRAME_BYTES + capacity);
    frame.resize(FRAME_BYTES, 0);
    frame
}

/// Fills in the head of a frame that holds a body. `settled` says that all records before it are on disk.
pub(super) fn seal(frame: &mut [u8], salt: u32, seq: Seq, settled: bool) {
    let length = u32::try_from(frame.len() - FRAME_BYTES).expect("a body is below its ceiling of 64 MiB");
    let place = if settled { seq | SETTLED } else { seq };
    frame[4..8].copy_from_slice(&length.to_le_bytes());
    frame[8..16].copy_from_slice(&place.to_le_bytes());
    let crc = checksum(salt, &frame[4..]);
    frame[..4].copy_from_slice(&crc.to_le_bytes());
}

/// The head of a frame as it stands in the file, not yet trusted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) crc: u32,
    pub(super) length: usize,
    pub(super) seq: Seq,
    pub(super) settled: bool,
}

impl Head {
    /// Reads a head; `bytes` is at least [`FRAME_BYTES`] long.
    pub(super) fn read(bytes: &[u8]) -> Head {
        let place = u64_at(bytes, 8);
        Head {
            crc: u32_at(bytes, 0),
            length: u32_at(bytes, 4) as usize,
            seq: place & !SETTLED,
            settled: place & SETTLED != 0,
        }
    }

    /// Whether a frame may be so long; a body is never empty.
    pub(super) fn is_plausible(&self) -> bool {
        (1..=super::super::options::RECORD_BYTES_CEILING).contains(&self.length)
    }

    /// Whether `frame`, head and body, is what its checksum says.
    pub(super) fn matches(&self, salt: u32, frame: &[u8]) -> bool {
        checksum(salt, &frame[4..FRAME_BYTES + self.length]) == self.crc
    }
}

fn checksum(salt: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(salt);
    hasher.update(bytes);
    hasher.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}
