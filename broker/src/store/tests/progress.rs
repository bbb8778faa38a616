//! How far rules have come, across reopening and whatever is lost.

use super::super::{Done, Record};
use super::fixture::{Fixture, commit, eventually};

fn done(seq: u64, index: u32) -> Record {
    let done = |trigger| Done { rule: "chat".to_owned(), trigger, seq, index, count: 3 };
    Record { done: vec![done(0), done(7)], ..Record::default() }
}

#[test]
fn what_is_settled_stays_so() {
    let fixture = Fixture::new();
    let store = fixture.open();
    assert_eq!(store.settled_before("chat", 0).unwrap(), 0);
    store.settle("chat", 0, 3);
    eventually("the trigger is settled", || store.settled_before("chat", 0).unwrap() == 3);
    // Whoever comes late takes nothing back.
    store.settle("chat", 0, 2);
    store.settle("chat", 1, 2);
    eventually("the other trigger is settled", || store.settled_before("chat", 1).unwrap() == 2);
    assert_eq!(store.settled_before("chat", 0).unwrap(), 3);
    drop(store);
    assert_eq!(fixture.open().settled_before("chat", 0).unwrap(), 3);
}

#[test]
fn what_is_done_is_in_the_log() {
    let fixture = Fixture::new();
    let store = fixture.open();
    commit(&store, done(1, 0));
    commit(&store, done(2, 5));
    drop(store);
    let store = fixture.open();
    let records: Vec<_> = store.replay(0).unwrap().map(|entry| entry.unwrap().1).collect();
    assert_eq!(records, [done(1, 0), done(2, 5)]);
}

#[test]
fn what_is_settled_is_exported() {
    let fixture = Fixture::new();
    let store = fixture.open();
    commit(&store, done(1, 0));
    store.settle("chat", 0, 2);
    eventually("the trigger is settled", || store.settled_before("chat", 0).unwrap() == 2);
    store.export().unwrap();
    let moved = fixture.moved(&fixture.disk.after_kill());
    assert_eq!(moved.open().settled_before("chat", 0).unwrap(), 2);
}
