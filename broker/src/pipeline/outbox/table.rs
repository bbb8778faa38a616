//! The rows of the outbox in the store: what waits, and what was given up.

use bytes::Bytes;

use super::row::Delivery;
use super::target::Load;
use crate::store::{Query, ReadError, Reader, Row, Store, Write, put_bytes, put_varint};

/// What waits: hash is the server, sort the id, value a [`Delivery`].
pub(super) const WAITING: &str = "_outbox";
/// What was given up: hash is the server, sort the id, value a [`Letter`].
pub(super) const UNDELIVERED: &str = "_undelivered";
/// The servers that something was ever sent to: hash is empty, sort the server.
pub(super) const SERVERS: &str = "_outbox_servers";
/// Rows that are read at a time.
pub(super) const PAGE_ROWS: usize = 32;
/// How long what was given up is kept.
const UNDELIVERED_KEPT_MS: u64 = 7 * 24 * 3_600_000;
const LETTER_FORMAT: u8 = 1;

/// A request that was given up.
///
/// ```text
/// value = 1 given_up_at_ms:varint attempts:varint why:str delivery:bytes
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Letter {
    pub(super) given_up_at_ms: u64,
    pub(super) attempts: u32,
    pub(super) why: String,
    pub(super) delivery: Delivery,
}

impl Letter {
    /// The write that keeps it.
    pub(super) fn write(&self, server: &str, id: &str) -> Write {
        let mut out = vec![LETTER_FORMAT];
        put_varint(&mut out, self.given_up_at_ms);
        put_varint(&mut out, u64::from(self.attempts));
        put_bytes(&mut out, self.why.as_bytes());
        put_bytes(&mut out, &self.delivery.encode());
        let expires_at_ms = Some(self.given_up_at_ms + UNDELIVERED_KEPT_MS);
        Write::put(UNDELIVERED, server, id, out, expires_at_ms)
    }

    /// Reads a row's value; `None` if it is not one.
    pub(super) fn decode(value: Bytes) -> Option<Letter> {
        let mut reader = Reader(value);
        if reader.byte()? != LETTER_FORMAT {
            return None;
        }
        let given_up_at_ms = reader.varint()?;
        let attempts = u32::try_from(reader.varint()?).ok()?;
        let why = reader.string()?;
        let delivery = Delivery::decode(reader.bytes()?)?;
        Some(Letter { given_up_at_ms, attempts, why, delivery })
    }
}

/// A page of the rows of a hash behind a sort.
pub(super) fn page(
    store: &Store,
    table: &str,
    hash: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Row>, ReadError> {
    store.query(table, hash, &Query { after: after.map(str::to_owned), limit, ..Query::default() })
}

/// What the rows of a hash amount to.
pub(super) fn load(store: &Store, table: &str, hash: &str) -> Result<Load, ReadError> {
    let mut load = Load::default();
    for row in store.scan(table, hash, PAGE_ROWS) {
        load.rows += 1;
        load.bytes += row?.value.len() as u64;
    }
    Ok(load)
}
