//! What of the log goes, and what never does.

use std::time::Duration;

use super::super::{AppendError, ReadError, StoreOptions, Waiting};
use super::fixture::{Fixture, commit, messages, records, settle_down};

/// A store with ten segments of one record each.
fn ten(options: StoreOptions, fixture: &Fixture) -> super::super::Store {
    let options = StoreOptions { segment_bytes: 1, export_log_bytes: 1 << 30, ..options };
    let store = fixture.try_open(options).unwrap();
    for _ in 0..10 {
        commit(&store, messages(vec![0; 939]));
    }
    settle_down(&store);
    assert_eq!(store.stats().log_bytes, 10_030);
    store
}

#[test]
fn old_segments_go_once_an_export_covers_them() {
    let fixture = Fixture::new();
    let store = ten(StoreOptions { log_bytes_max: 5_100, ..fixture.options() }, &fixture);
    store.retain().unwrap();
    let stats = store.stats();
    assert_eq!((stats.exports, stats.exported, stats.segments_dropped, stats.first), (1, 10, 5, 6));
    assert!(matches!(store.replay(5), Err(ReadError::Dropped { asked: 5, first: 6 })));
    assert_eq!(records(store.replay(0).unwrap()).len(), 5);
    assert_eq!(stats.segments_dropped_held, 0);
    drop(store);
    let moved = fixture.moved(&fixture.disk.after_kill());
    assert_eq!(moved.open().end(), 10);
}

#[test]
fn without_an_export_nothing_goes_and_in_the_end_nothing_is_taken() {
    let fixture = Fixture::new();
    let store = ten(StoreOptions { log_bytes_max: 5_000, ..fixture.options() }, &fixture);
    fixture.disk.set_room(Some(10));
    store.retain().unwrap_err();
    assert_eq!(store.stats().first, 1);
    let refused = store.append(messages("x")).unwrap_err();
    assert!(matches!(refused, AppendError::Full { waiting: Waiting::Log, bytes_max: 10_000, .. }));
    fixture.disk.set_room(None);
    store.retain().unwrap();
    commit(&store, messages("x"));
}

#[test]
fn records_that_are_needed_are_counted_when_a_limit_takes_them() {
    let fixture = Fixture::new();
    let store = ten(StoreOptions { log_bytes_max: 5_100, ..fixture.options() }, &fixture);
    store.hold_from("slow", 4);
    store.hold_from("fast", 9);
    assert_eq!(store.stats().held_from, Some(4));
    store.retain().unwrap();
    assert_eq!(store.stats().segments_dropped_held, 2);
    store.release("slow");
    assert_eq!(store.stats().held_from, Some(9));
}

#[test]
fn a_replay_that_the_limits_overtake_says_so() {
    let fixture = Fixture::new();
    let store = ten(StoreOptions { log_bytes_max: 5_100, ..fixture.options() }, &fixture);
    let mut replay = store.replay(1).unwrap();
    assert_eq!(replay.next().unwrap().unwrap().0, 1);
    store.retain().unwrap();
    assert!(matches!(replay.next(), Some(Err(ReadError::Dropped { first: 6, .. }))));
    assert!(replay.next().is_none());
}

#[test]
fn segments_age_even_when_little_is_written() {
    let fixture = Fixture::new();
    let day = Duration::from_hours(24);
    let options = StoreOptions { log_age_max: 16 * day, ..fixture.options() };
    let store = fixture.try_open(options).unwrap();
    for _ in 0..40 {
        commit(&store, messages("x"));
        fixture.pass(24 * 3_600_000);
        settle_down(&store);
        store.retain().unwrap();
    }
    let stats = store.stats();
    assert!(stats.first > 20 && stats.first < 26, "{stats:?}");
}

#[test]
fn an_export_is_due_by_the_bytes_logged_since() {
    let fixture = Fixture::new();
    let store = fixture.try_open(StoreOptions { export_log_bytes: 5_000, ..fixture.options() }).unwrap();
    for round in 1..=3 {
        for _ in 0..6 {
            commit(&store, messages(vec![0; 1000]));
        }
        settle_down(&store);
        store.retain().unwrap();
        store.retain().unwrap();
        assert_eq!(store.stats().exports, round);
    }
    let exports = fixture.disk.paths();
    let is_export = |path: &&std::path::PathBuf| path.extension().is_some_and(|it| it == "export");
    assert_eq!(exports.iter().filter(is_export).count(), 1);
}
