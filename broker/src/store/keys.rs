//! The keys of the one sled tree. This file alone knows their bytes.
//!
//! | tag | family  | key behind the tag                         | value                                                        |
//! |-----|---------|--------------------------------------------|--------------------------------------------------------------|
//! | 1   | applied | nothing                                    | u64: every record up to this one is in the tree              |
//! | 2   | row     | str table, str hash, str sort              | u64 version, u64 expiry in ms or 0, u32 chunks, value if 0   |
//! | 3   | chunk   | str table, str hash, str sort, u64 version, u32 index | a part of a long value                            |
//! | 4   | expiry  | u64 expiry in ms, str table, str hash, str sort | u64 version of the row that expires                     |
//! | 5   | done    | str rule, u16 trigger, u64 seq, u32 index  | nothing; not written any more, as the log says the same      |
//! | 6   | settled | str rule, u16 trigger                      | u64: it handled every message of the records before this one |
//!
//! Integers are big-endian, so that they sort. A `str` is its bytes with each 0 written as `00 FF`, closed by `00 00`: byte
//! order is then the order of the strings, field by field, and no key is the beginning of another. Tags are never
//! renumbered.

use super::record::Seq;

pub(super) const APPLIED: [u8; 1] = [1];
pub(super) const ROW: u8 = 2;
pub(super) const CHUNK: u8 = 3;
pub(super) const EXPIRY: u8 = 4;
pub(super) const DONE: u8 = 5;
pub(super) const SETTLED: u8 = 6;

/// The key of a row.
pub(super) fn row(table: &str, hash: &str, sort: &str) -> Vec<u8> {
    let mut key = partition(table, hash, sort.len());
    put_str(&mut key, sort);
    key
}

/// What the keys of a partition's rows begin with.
pub(super) fn partition(table: &str, hash: &str, room: usize) -> Vec<u8> {
    let mut key = Vec::with_capacity(7 + table.len() + hash.len() + room);
    key.push(ROW);
    put_str(&mut key, table);
    put_str(&mut key, hash);
    key
}

/// The sort of a row's key that begins with `partition`.
pub(super) fn sort_of(key: &[u8], partition: &[u8]) -> Option<String> {
    let (sort, rest) = take_str(key.strip_prefix(partition)?)?;
    rest.is_empty().then_some(sort)
}

/// The table, hash and sort of a row's key.
pub(super) fn row_parts(key: &[u8]) -> Option<(String, String, String)> {
    let (table, rest) = take_str(key.strip_prefix(&[ROW])?)?;
    let (hash, rest) = take_str(rest)?;
    let (sort, rest) = take_str(rest)?;
    rest.is_empty().then_some((table, hash, sort))
}

/// The table of a row's key.
pub(super) fn table_of(key: &[u8]) -> Option<String> {
    Some(take_str(key.strip_prefix(&[ROW])?)?.0)
}

/// The key of a part of a row's value.
pub(super) fn chunk(row: &[u8], version: Seq, index: u32) -> Vec<u8> {
    let mut key = Vec::with_capacity(row.len() + 12);
    key.push(CHUNK);
    key.extend_from_slice(&row[1..]);
    key.extend_from_slice(&version.to_be_bytes());
    key.extend_from_slice(&index.to_be_bytes());
    key
}

/// The key under which a row's expiry is found in order of time.
pub(super) fn expiry(at_ms: u64, row: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(row.len() + 8);
    key.push(EXPIRY);
    key.extend_from_slice(&at_ms.to_be_bytes());
    key.extend_from_slice(&row[1..]);
    key
}

/// When an expiry key's row expires, and the row's key.
pub(super) fn expiry_parts(key: &[u8]) -> Option<(u64, Vec<u8>)> {
    let (at, rest) = take_u64(key.strip_prefix(&[EXPIRY])?)?;
    let mut row = Vec::with_capacity(rest.len() + 1);
    row.push(ROW);
    row.extend_from_slice(rest);
    Some((at, row))
}

/// What the done keys of a rule's trigger begin with, of which old tables may hold some.
pub(super) fn done_prefix(rule: &str, trigger: u16) -> Vec<u8> {
    trigger_key(DONE, rule, trigger)
}

/// The key of the place up to which a rule's trigger has handled everything.
pub(super) fn settled(rule: &str, trigger: u16) -> Vec<u8> {
    trigger_key(SETTLED, rule, trigger)
}

/// The first key behind all that begin with `prefix`, which is not empty and does not consist of `FF` alone: it
/// begins with a tag.
pub(super) fn behind(prefix: &[u8]) -> Vec<u8> {
    let mut key = prefix.to_vec();
    while let Some(last) = key.pop() {
        if last < u8::MAX {
            key.push(last + 1);
            break;
        }
    }
    key
}

fn trigger_key(tag: u8, rule: &str, trigger: u16) -> Vec<u8> {
    let mut key = Vec::with_capacity(17 + rule.len());
    key.push(tag);
    put_str(&mut key, rule);
    key.extend_from_slice(&trigger.to_be_bytes());
    key
}

fn put_str(key: &mut Vec<u8>, text: &str) {
    for &byte in text.as_bytes() {
        key.push(byte);
        if byte == 0 {
            key.push(0xFF);
        }
    }
    key.extend_from_slice(&[0, 0]);
}

fn take_str(bytes: &[u8]) -> Option<(String, &[u8])> {
    let mut text = Vec::new();
    let mut at = 0;
    loop {
        match (*bytes.get(at)?, bytes.get(at + 1)) {
            (0, Some(0)) => return Some((String::from_utf8(text).ok()?, &bytes[at + 2..])),
            (0, Some(0xFF)) => {
                text.push(0);
                at += 2;
            }
            (0, _) => return None,
            (byte, _) => {
                text.push(byte);
                at += 1;
            }
        }
    }
}

fn take_u64(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*head), rest))
}
