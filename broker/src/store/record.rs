//! A record: what one append makes durable, and its bytes.
//!
//! ```text
//! body    = messages:bytes  count:varint write*  count:varint single*  [sessions:bytes  [count:varint done*]]
//! write   = 1 table:str hash:str sort:str value:bytes
//!         | 2 table:str hash:str sort:str                                   (delete)
//!         | 3 table:str hash:str sort:str expires_at_ms:varint value:bytes
//! single  = rule:str trigger:varint seq:varint index:varint            (done as it was written once: of one message)
//! done    = rule:str trigger:varint seq:varint index:varint count:varint
//! bytes   = length:varint that-many-bytes       str = bytes, UTF-8       varint = LEB128, at most ten bytes
//! ```
//! Tags are never renumbered. What is in brackets is left out where it and all behind it is empty. [`Record::reads`] are checked when the record is appended and are not written.

use bytes::{BufMut as _, Bytes};

/// A record's place in the log. The first is 1, and they rise by one; those of records that a failing disk refused are
/// skipped and never used again while the store is open.
pub type Seq = u64;

const TAG_PUT: u8 = 1;
const TAG_DELETE: u8 = 2;
const TAG_PUT_EXPIRING: u8 = 3;

/// What one append makes durable, all or nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// Messages, opaque here; may be empty.
    pub messages: Bytes,
    /// The rows this record depends on, as they were seen; not written to disk.
    pub reads: Vec<ReadCheck>,
    /// The rows that must still be as they were when their time was over; not written to disk.
    pub ended: Vec<ReadCheck>,
    /// Changes to tables, in order.
    pub writes: Vec<Write>,
    /// Messages that rules have handled by this record.
    pub done: Vec<Done>,
    /// What happened to sessions, opaque here; may be empty.
    pub sessions: Bytes,
}

/// A row as its reader saw it; the append is refused if it is no longer so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadCheck {
    /// The table.
    pub table: String,
    /// The row's hash.
    pub hash: String,
    /// The row's sort.
    pub sort: String,
    /// The version seen ([`Row::version`](super::Row::version)), or none where no live row was seen.
    pub version: Option<Seq>,
}

/// A change to one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Removes the row, if it is there.
    Delete {
        /// The table.
        table: String,
        /// The row's hash.
        hash: String,
        /// The row's sort.
        sort: String,
    },
    /// Makes the row so, whatever it was.
    Put {
        /// The table.
        table: String,
        /// The row's hash.
        hash: String,
        /// The row's sort.
        sort: String,
        /// The row's content.
        value: Bytes,
        /// When the row stops being there, in milliseconds since 1970.
        expires_at_ms: Option<u64>,
    },
}

impl Write {
    /// Makes a row so, whatever it was.
    pub fn put(
        table: impl Into<String>,
        hash: impl Into<String>,
        sort: impl Into<String>,
        value: impl Into<Bytes>,
        expires_at_ms: Option<u64>,
    ) -> Write {
        let (table, hash, sort, value) = (table.into(), hash.into(), sort.into(), value.into());
        Write::Put { table, hash, sort, value, expires_at_ms }
    }

    /// Removes a row, if it is there.
    pub fn delete(table: impl Into<String>, hash: impl Into<String>, sort: impl Into<String>) -> Write {
        Write::Delete { table: table.into(), hash: hash.into(), sort: sort.into() }
    }

    /// What names the row: table, hash and sort.
    pub fn row(&self) -> (&str, &str, &str) {
        let (Write::Delete { table, hash, sort } | Write::Put { table, hash, sort, .. }) = self;
        (table, hash, sort)
    }

    /// About how many bytes it takes in a record; never less than it does.
    pub fn size_hint(&self) -> usize {
        let (table, hash, sort) = self.row();
        51 + table.len() + hash.len() + sort.len() + self.value().map_or(0, Bytes::len)
    }

    /// The content that the row gets; none if it goes.
    pub fn value(&self) -> Option<&Bytes> {
        match self {
            Write::Delete { .. } => None,
            Write::Put { value, .. } => Some(value),
        }
    }
}

/// "This rule's trigger has handled the `count` messages from `index` on of record `seq`."
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The rule.
    pub rule: String,
    /// The trigger within the rule.
    pub trigger: u16,
    /// The record that holds the message.
    pub seq: Seq,
    /// The first message within the record.
    pub index: u32,
    /// How many messages.
    pub count: u32,
}

impl Record {
    /// About how many bytes the record takes on disk; never less than it does.
    pub(super) fn size_hint(&self) -> usize {
        let writes: usize = self.writes.iter().map(Write::size_hint).sum();
        let done: usize = self.done.iter().map(|done| 45 + done.rule.len()).sum();
        50 + self.messages.len() + self.sessions.len() + writes + done
    }

    /// Appends the body's bytes to `out`.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.messages);
        put_varint(out, self.writes.len() as u64);
        for write in &self.writes {
            encode_write(write, out);
        }
        put_varint(out, 0); // no singles
        if !self.sessions.is_empty() || !self.done.is_empty() {
            put_bytes(out, &self.sessions);
        }
        if !self.done.is_empty() {
            put_varint(out, self.done.len() as u64);
            self.done.iter().for_each(|done| encode_done(done, out));
        }
    }

    /// Reads a body back; `None` if these are not the bytes of a record.
    pub(super) fn decode(body: Bytes) -> Option<Record> {
        let mut reader = Reader(body);
        let messages = reader.bytes()?;
        let count = reader.count()?;
        let writes = (0..count).map(|_| decode_write(&mut reader)).collect::<Option<Vec<_>>>()?;
        let count = reader.count()?;
        let mut done = (0..count).map(|_| decode_single(&mut reader)).collect::<Option<Vec<_>>>()?;
        let sessions = if reader.0.is_empty() { Bytes::new() } else { reader.bytes()? };
        if !reader.0.is_empty() {
            for _ in 0..reader.count()? {
                let single = decode_single(&mut reader)?;
                done.push(Done { count: u32::try_from(reader.varint()?).ok()?, ..single });
            }
        }
        reader.0.is_empty().then_some(Record { messages, writes, done, sessions, ..Record::default() })
    }
}

fn encode_write(write: &Write, out: &mut Vec<u8>) {
    let (tag, table, hash, sort) = match write {
        Write::Delete { table, hash, sort } => (TAG_DELETE, table, hash, sort),
        Write::Put { table, hash, sort, expires_at_ms: None, .. } => (TAG_PUT, table, hash, sort),
        Write::Put { table, hash, sort, .. } => (TAG_PUT_EXPIRING, table, hash, sort),
    };
    out.put_u8(tag);
    put_bytes(out, table.as_bytes());
    put_bytes(out, hash.as_bytes());
    put_bytes(out, sort.as_bytes());
    if let Write::Put { value, expires_at_ms, .. } = write {
        if let Some(at) = expires_at_ms {
            put_varint(out, *at);
        }
        put_bytes(out, value);
    }
}

fn decode_write(reader: &mut Reader) -> Option<Write> {
    let tag = reader.byte()?;
    let (table, hash, sort) = (reader.string()?, reader.string()?, reader.string()?);
    match tag {
        TAG_DELETE => Some(Write::Delete { table, hash, sort }),
        TAG_PUT => Some(Write::Put { table, hash, sort, value: reader.bytes()?, expires_at_ms: None }),
        TAG_PUT_EXPIRING => {
            let expires_at_ms = Some(reader.varint()?);
            Some(Write::Put { table, hash, sort, value: reader.bytes()?, expires_at_ms })
        }
        _ => None,
    }
}

fn encode_done(done: &Done, out: &mut Vec<u8>) {
    put_bytes(out, done.rule.as_bytes());
    put_varint(out, u64::from(done.trigger));
    put_varint(out, done.seq);
    put_varint(out, u64::from(done.index));
    put_varint(out, u64::from(done.count));
}

fn decode_single(reader: &mut Reader) -> Option<Done> {
    Some(Done {
        rule: reader.string()?,
        trigger: u16::try_from(reader.varint()?).ok()?,
        seq: reader.varint()?,
        index: u32::try_from(reader.varint()?).ok()?,
        count: 1,
    })
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.put_u8((value & 0x7F) as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8((value & 0x7F) as u8);
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Takes values off the front of bytes that may be anything.
pub(crate) struct Reader(pub(crate) Bytes);

impl Reader {
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let first = *self.0.first()?;
        let _taken = self.0.split_to(1);
        Some(first)
    }

    pub(crate) fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7F);
            // The tenth byte has room for one bit only.
            if shift == 63 && part > 1 {
                return None;
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// A count of things that each take at least one byte, so that a garbled one cannot ask for memory.
    pub(crate) fn count(&mut self) -> Option<usize> {
        usize::try_from(self.varint()?).ok().filter(|count| *count <= self.0.len())
    }

    pub(crate) fn bytes(&mut self) -> Option<Bytes> {
        let length = usize::try_from(self.varint()?).ok().filter(|length| *length <= self.0.len())?;
        Some(self.0.split_to(length))
    }

    pub(crate) fn string(&mut self) -> Option<String> {
        Some(std::str::from_utf8(&self.bytes()?).ok()?.to_owned())
    }
}
