//! Rows that expire: gone for readers at their time, removed from the tables soon after.

use std::sync::atomic::Ordering;

use super::super::{ExpiredRow, Query, Record};
use super::fixture::{Fixture, START_MS, all, commit, delete, get, put, put_until, saw, settle_down, writes};

#[test]
fn a_row_is_gone_at_its_time_whether_it_waits_or_is_in_the_tables() {
    for wait_for_tables in [false, true] {
        let fixture = Fixture::new();
        let store = fixture.open();
        let record = writes(vec![put_until("h", "a", "1", START_MS + 10), put("h", "b", "2")]);
        let seq = commit(&store, record);
        if wait_for_tables {
            settle_down(&store);
        }
        fixture.pass(9);
        assert_eq!(get(&store, "h", "a").unwrap().expires_at_ms, Some(START_MS + 10));
        fixture.pass(1);
        assert_eq!(get(&store, "h", "a"), None);
        assert_eq!(all(&store, "h").len(), 1);
        let one = Query { limit: 1, ..Query::default() };
        assert_eq!(store.query("t", "h", &one).unwrap()[0].sort, "b");
        // For whoever depends on it, too, it is a row that is not there.
        let stale = Record { reads: vec![saw("h", "a", Some(seq))], ..writes(vec![put("h", "a", "3")]) };
        assert!(store.append(stale).is_err());
        commit(&store, Record { reads: vec![saw("h", "a", None)], ..writes(vec![put("h", "a", "3")]) });
        assert_eq!(&get(&store, "h", "a").unwrap().value[..], b"3");
    }
}

#[test]
fn a_sweep_removes_what_expired_and_nothing_else() {
    let fixture = Fixture::new();
    let store = fixture.open();
    for index in 0..600 {
        commit(&store, writes(vec![put_until("h", &format!("{index:03}"), "x", START_MS + 1 + index % 2)]));
    }
    // Written anew, for longer, and for ever: the first expiry means nothing any more.
    commit(&store, writes(vec![put_until("h", "000", "y", START_MS + 500), put("h", "002", "z")]));
    settle_down(&store);
    fixture.pass(1);
    assert_eq!(store.sweep().unwrap(), 298);
    fixture.pass(1);
    assert_eq!(store.sweep().unwrap(), 300);
    assert_eq!(store.sweep().unwrap(), 0);
    assert_eq!(all(&store, "h"), [("000".to_owned(), "y".into()), ("002".to_owned(), "z".into())]);
    assert_eq!(store.stats().expired_swept, 598);
}

#[test]
fn one_sweep_keeps_to_its_limit() {
    let fixture = Fixture::new();
    let options = super::super::StoreOptions { sweep_rows_max: 10, ..fixture.options() };
    let store = fixture.try_open(options).unwrap();
    let rows = (0..25).map(|index| put_until("h", &index.to_string(), "x", START_MS + 1));
    commit(&store, writes(rows.collect()));
    settle_down(&store);
    fixture.pass(1);
    assert_eq!([(); 4].map(|()| store.sweep().unwrap()), [10, 10, 5, 0]);
}

#[test]
fn what_expired_while_the_store_was_closed_is_not_seen_and_is_swept() {
    let fixture = Fixture::new();
    let store = fixture.open();
    commit(&store, writes(vec![put_until("h", "a", "1", START_MS + 10)]));
    drop(store);
    fixture.now_ms.store(START_MS + 11, Ordering::Relaxed);
    let store = fixture.open();
    assert_eq!(all(&store, "h"), []);
    assert_eq!(store.sweep().unwrap(), 1);
}

#[test]
fn rows_of_some_tables_stay_until_they_are_taken() {
    let fixture = Fixture::new();
    let options = super::super::StoreOptions { sweep_waits: true, ..fixture.options() };
    let store = fixture.try_open(options).unwrap();
    commit(
        &store,
        writes(vec![put_until("h", "a", "1", START_MS + 1), put_until("h", "b", "2", START_MS + 2)]),
    );
    settle_down(&store);
    fixture.pass(5);
    assert_eq!(store.sweep().unwrap(), 0, "nobody has said yet what is kept");
    store.keep_expired(["t".to_owned()].into());
    assert_eq!(store.sweep().unwrap(), 0);
    store.export().unwrap();
    let found = store.expired(10).unwrap();
    assert_eq!(
        found.iter().map(|row| (&*row.sort, &row.value[..])).collect::<Vec<_>>(),
        [("a", &b"1"[..]), ("b", b"2")]
    );
    assert_eq!(all(&store, "h"), [], "readers do not see them");
    let take = |row: &ExpiredRow| Record {
        ended: vec![saw(&row.hash, &row.sort, Some(row.version))],
        ..writes(vec![delete(&row.hash, &row.sort)])
    };
    commit(&store, take(&found[0]));
    assert!(store.append(take(&found[0])).is_err(), "it is taken once");
    assert_eq!(store.expired(10).unwrap()[0].sort, "b", "what is taken is not shown again");
    commit(&store, writes(vec![put_until("h", "b", "3", START_MS + 5)]));
    assert!(store.append(take(&found[1])).is_err(), "it was written anew, though that is over too");
    settle_down(&store);
    store.keep_expired(["other".to_owned()].into());
    assert_eq!((store.expired(10).unwrap(), store.sweep().unwrap()), (Vec::new(), 1));
}
