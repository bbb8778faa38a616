//! How far rules have come, across reopening and whatever is lost.

use super::super::{Done, Progress, Record};
use super::fixture::{Fixture, commit, eventually};

fn done(seq: u64, index: u32) -> Record {
    let done = |trigger| Done { rule: "chat".to_owned(), trigger, seq, index };
    Record { done: vec![done(0), done(7)], ..Record::default() }
}

#[test]
fn handled_messages_are_remembered_until_they_are_settled() {
    let fixture = Fixture::new();
    let store = fixture.open();
    for (seq, index) in [(3, 0), (1, 0), (1, 1), (2, 5)] {
        commit(&store, done(seq, index));
    }
    let all = Progress { settled_before: 0, done: vec![(1, 0), (1, 1), (2, 5), (3, 0)] };
    assert_eq!(store.progress("chat", 0).unwrap(), all);
    assert_eq!(store.progress("chat", 1).unwrap(), Progress { settled_before: 0, done: vec![] });
    let rest = Progress { settled_before: 3, done: vec![(3, 0)] };
    store.settle("chat", 0, 3);
    eventually("the trigger is settled", || store.progress("chat", 0).unwrap() == rest);
    // Whoever comes late takes nothing back.
    store.settle("chat", 0, 2);
    commit(&store, Record::default());
    assert_eq!(store.progress("chat", 0).unwrap(), rest);
    drop(store);
    let store = fixture.open();
    assert_eq!(store.progress("chat", 0).unwrap(), rest);
    assert_eq!(store.progress("chat", 7).unwrap(), all);
}

#[test]
fn progress_is_exported() {
    let fixture = Fixture::new();
    let store = fixture.open();
    commit(&store, done(1, 0));
    commit(&store, done(2, 0));
    store.settle("chat", 0, 2);
    let rest = Progress { settled_before: 2, done: vec![(2, 0)] };
    eventually("the trigger is settled", || store.progress("chat", 0).unwrap() == rest);
    store.export().unwrap();
    let moved = fixture.moved(&fixture.disk.after_kill());
    assert_eq!(moved.open().progress("chat", 0).unwrap(), rest);
}
