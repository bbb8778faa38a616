//! Kills and power cuts at random moments: whatever was acknowledged is there, in order, and nothing was invented.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tempfile::TempDir;

use super::super::{AppendError, Store, StoreOptions};
use super::fixture::{Fixture, all, copy, put, records, writes};
use super::sim::Random;

const WRITERS: usize = 3;
/// Of each writer between two crashes.
const RECORDS: u64 = 300;

/// Appends until told to stop, or there is enough; record `n` of a writer sets its row to `n`. Notes what was acknowledged.
fn write(store: &Store, writer: usize, from: u64, acknowledged: &AtomicU64, stop: &AtomicBool) {
    let mut waiting = VecDeque::new();
    let mut number = from;
    while !stop.load(Ordering::Relaxed) && number < from + RECORDS {
        number += 1;
        let filler = "x".repeat(usize::try_from(number % 97).unwrap());
        let mut record = writes(vec![put("h", &writer.to_string(), number.to_string())]);
        record.messages = format!("{writer}:{number}:{filler}").into();
        match store.append(record) {
            Ok(appended) => waiting.push_back((number, appended)),
            Err(AppendError::Full { .. }) => number -= 1,
            Err(other) => panic!("{other}"),
        }
        if waiting.len() > 8 {
            let (number, appended) = waiting.pop_front().unwrap();
            appended.wait().unwrap();
            acknowledged.store(number, Ordering::Release);
        }
    }
}

/// The last number of each writer in the log, which must have all numbers before it.
fn numbers(store: &Store) -> BTreeMap<usize, u64> {
    let mut last = BTreeMap::new();
    for (_, record) in records(store.replay(0).unwrap()) {
        let text = String::from_utf8(record.messages.to_vec()).unwrap();
        let mut parts = text.split(':');
        let writer: usize = parts.next().unwrap().parse().unwrap();
        let number: u64 = parts.next().unwrap().parse().unwrap();
        assert_eq!(parts.next().unwrap().len() as u64, number % 97);
        let before = last.insert(writer, number).unwrap_or(0);
        assert_eq!(number, before + 1, "writer {writer}");
    }
    last
}

fn crash_and_compare(seed: u64) {
    let mut random = Random(seed);
    let mut fixture = Fixture::new();
    let options = |fixture: &Fixture| StoreOptions { segment_bytes: 20_000, ..fixture.options() };
    let mut reached = BTreeMap::new();
    for _ in 0..4 {
        let store = fixture.try_open(options(&fixture)).unwrap();
        let acknowledged = [(); WRITERS].map(|()| AtomicU64::new(0));
        let stop = AtomicBool::new(false);
        let cut_at = store.end() + 1 + random.below(700) as u64;
        let with_sled = random.below(3) > 0;
        let kill = random.below(3) == 0;
        fixture = std::thread::scope(|scope| {
            for (writer, acknowledged) in acknowledged.iter().enumerate() {
                let from = reached.get(&writer).copied().unwrap_or(0);
                let (store, stop) = (&store, &stop);
                scope.spawn(move || write(store, writer, from, acknowledged, stop));
            }
            while store.durable_end() < cut_at {
                std::thread::yield_now();
            }
            if random.below(2) == 0 {
                store.checkpoint().unwrap();
            }
            // First sled, then the log: never does sled hold what the log does not.
            let tables = TempDir::new().unwrap();
            copy(&fixture.directory.path().join("sled"), tables.path());
            // What is acknowledged before the cut must be in the picture; the cut itself is one moment.
            let promised: Vec<u64> = acknowledged.iter().map(|it| it.load(Ordering::Acquire)).collect();
            let disk =
                if kill { fixture.disk.after_kill() } else { fixture.disk.after_power_cut(&mut random) };
            stop.store(true, Ordering::Relaxed);
            let moved = fixture.moved(&disk);
            if with_sled {
                copy(tables.path(), &moved.directory.path().join("sled"));
                if !kill {
                    cut_sled(&moved, &mut random);
                }
            }
            check(&moved, &options(&moved), &promised, seed);
            moved
        });
        let store = fixture.try_open(options(&fixture)).unwrap();
        reached = numbers(&store);
    }
}

/// Shortens sled's file, as a power cut may: nothing but a checkpoint ever syncs it.
fn cut_sled(fixture: &Fixture, random: &mut Random) {
    let file = fixture.directory.path().join("sled").join("db");
    let Ok(content) = fs::read(&file) else { return };
    let length = random.below(content.len() + 1);
    fs::write(&file, &content[..length]).unwrap();
}

fn check(moved: &Fixture, options: &StoreOptions, promised: &[u64], seed: u64) {
    let store = match moved.try_open(options.clone()) {
        Ok(store) => store,
        Err(error) => panic!("seed {seed}: {error}"),
    };
    let found = numbers(&store);
    for (writer, promised) in promised.iter().enumerate() {
        let number = found.get(&writer).copied().unwrap_or(0);
        assert!(number >= *promised, "seed {seed}: writer {writer} was promised {promised}, found {number}");
    }
    let rows: BTreeMap<usize, u64> = all(&store, "h")
        .into_iter()
        .map(|(sort, value)| (sort.parse().unwrap(), std::str::from_utf8(&value).unwrap().parse().unwrap()))
        .collect();
    assert_eq!(rows, found, "seed {seed}: the tables are what the log says");
}

#[test]
fn nothing_acknowledged_is_lost_by_kills_and_power_cuts() {
    for seed in 0..8 {
        crash_and_compare(seed);
    }
}
