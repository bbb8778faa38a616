//! The log's end after a crash: torn tails are cut wherever they are torn, and damage to what was on disk is never
//! taken for one.

use std::path::PathBuf;

use super::super::{OpenError, StoreOptions};
use super::fixture::{Fixture, commit, messages, records};
use super::sim::SimDisk;

const HEADER_BYTES: usize = 44;

fn segments(disk: &SimDisk) -> Vec<PathBuf> {
    let mut paths = disk.paths();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    paths
}

/// The disk of a store in which each record was a group of its own.
fn three_records(fixture: &Fixture) -> (SimDisk, PathBuf, Vec<u8>) {
    let store = fixture.open();
    for text in ["one", "two", "three"] {
        commit(&store, messages(text));
    }
    let disk = fixture.disk.after_kill();
    drop(store);
    let path = segments(&disk).remove(0);
    let content = disk.content(&path);
    (disk, path, content)
}

/// Opens a log with this content, without sled, and returns the messages in it.
fn reopen(
    fixture: &Fixture,
    disk: &SimDisk,
    path: &std::path::Path,
    content: Vec<u8>,
) -> Result<Vec<Vec<u8>>, OpenError> {
    disk.set_content(path, content);
    let moved = fixture.moved(&disk.after_kill());
    let store = moved.try_open(moved.options())?;
    let next = commit(&store, messages("next"));
    let found = records(store.replay(0).unwrap());
    assert_eq!(found.last().map(|(seq, _)| *seq), Some(next));
    assert!(found.iter().map(|(seq, _)| *seq).eq(1..=next));
    Ok(found.into_iter().map(|(_, record)| record.messages.to_vec()).collect())
}

#[test]
fn a_tail_torn_at_any_byte_is_cut() {
    let fixture = Fixture::new();
    let (disk, path, content) = three_records(&fixture);
    let ends: Vec<usize> =
        [0, 3, 6, 11].into_iter().zip(0..).map(|(text, n)| HEADER_BYTES + text + n * 19).collect();
    assert_eq!(ends[3], content.len());
    for length in 0..=content.len() {
        let whole = ends.iter().filter(|end| **end <= length).count().max(1) - 1;
        let mut expected: Vec<&[u8]> = [&b"one"[..], b"two", b"three"][..whole].to_vec();
        expected.push(b"next");
        let found = reopen(&fixture, &disk, &path, content[..length].to_vec()).unwrap();
        assert_eq!(found, expected, "cut at {length}");
        let mut zeros = content.clone();
        zeros[length.max(HEADER_BYTES)..].fill(0);
        zeros.extend([0; 100]);
        if length >= HEADER_BYTES {
            // A record ends in two counts that are zeros anyway.
            let whole = ends.iter().filter(|end| **end <= length + 2).count() - 1;
            let mut expected: Vec<&[u8]> = [&b"one"[..], b"two", b"three"][..whole].to_vec();
            expected.push(b"next");
            assert_eq!(reopen(&fixture, &disk, &path, zeros).unwrap(), expected, "zeros from {length}");
        }
    }
}

#[test]
fn a_changed_byte_in_the_last_record_costs_that_record_only() {
    let fixture = Fixture::new();
    let (disk, path, content) = three_records(&fixture);
    for at in HEADER_BYTES + 19 * 2 + 6..content.len() {
        let mut changed = content.clone();
        changed[at] ^= 0x40;
        let found = reopen(&fixture, &disk, &path, changed).unwrap();
        assert_eq!(found, [&b"one"[..], b"two", b"next"], "changed at {at}");
    }
}

#[test]
fn a_changed_byte_before_the_last_record_is_an_error_that_says_where() {
    let fixture = Fixture::new();
    let (disk, path, content) = three_records(&fixture);
    for at in 0..HEADER_BYTES + 19 * 2 + 6 {
        let mut changed = content.clone();
        changed[at] ^= 0x40;
        let frame = match at {
            0..HEADER_BYTES => 0,
            HEADER_BYTES..66 => HEADER_BYTES,
            _ => 66,
        };
        match reopen(&fixture, &disk, &path, changed).unwrap_err() {
            OpenError::Corrupt { path, offset, .. } => {
                assert!(path.ends_with("log/00000000000000000001.log"));
                assert_eq!(offset, frame as u64, "changed at {at}");
            }
            // The format's number is the one thing that may also read as something else.
            other => assert!(matches!(other, OpenError::Newer { .. }) && (8..12).contains(&at), "{other}"),
        }
    }
}

#[test]
fn a_message_that_holds_a_frame_is_only_a_message() {
    let fixture = Fixture::new();
    let (disk, path, content) = three_records(&fixture);
    // The author of a message knows the format and guesses the place, but not the segment's salt.
    let mut forged = content[66 + 22..].to_vec();
    forged[8] = 5;
    let store = fixture.open();
    commit(&store, messages(forged));
    let torn = fixture.disk.after_kill();
    drop(store);
    let mut content = torn.content(&path);
    content[HEADER_BYTES + 68] ^= 1;
    let found = reopen(&fixture, &disk, &path, content).unwrap();
    assert_eq!(found, [&b"one"[..], b"two", b"three", b"next"]);
}

#[test]
fn a_damaged_or_missing_segment_before_the_last_is_an_error() {
    let fixture = Fixture::new();
    let store = fixture.try_open(StoreOptions { segment_bytes: 1, ..fixture.options() }).unwrap();
    for text in ["one", "two", "three"] {
        commit(&store, messages(text));
    }
    let disk = fixture.disk.after_kill();
    drop(store);
    let paths = segments(&disk);
    assert_eq!(paths.len(), 3);
    let content = disk.content(&paths[1]);
    let cut = content[..content.len() - 1].to_vec();
    for damaged in [cut, Vec::new(), content[..HEADER_BYTES].to_vec()] {
        let refused = reopen(&fixture, &disk, &paths[1], damaged).unwrap_err();
        assert!(matches!(refused, OpenError::Corrupt { .. }), "{refused}");
    }
    let without = disk.after_kill();
    super::super::Disk::remove(&without, &paths[1]).unwrap();
    let moved = fixture.moved(&without);
    let refused = moved.try_open(moved.options()).unwrap_err().to_string();
    assert!(refused.contains("00000000000000000003.log"), "{refused}");
    assert!(refused.contains("follows record 2, but the log before it ends at 1"), "{refused}");
}

#[test]
fn a_newer_format_is_left_alone() {
    let fixture = Fixture::new();
    let (disk, path, mut content) = three_records(&fixture);
    content[8] = 2;
    let refused = reopen(&fixture, &disk, &path, content).unwrap_err();
    assert!(matches!(refused, OpenError::Newer { found: 2, known: 1, .. }));
}
