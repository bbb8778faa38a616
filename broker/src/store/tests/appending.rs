//! Appending and reading: order, visibility, groups, conflicts and limits.

use std::sync::Arc;

use super::super::{AppendError, Durability, Query, ReadError, Record, StoreOptions, Waiting};
use super::fixture::{Fixture, all, commit, delete, get, messages, put, records, saw, settle_down, writes};

#[test]
fn a_reader_that_skips_reads_little_of_what_lies_between() {
    let fixture = Fixture::new();
    let store = fixture.try_open(StoreOptions { segment_bytes: 4 << 20, ..fixture.options() }).unwrap();
    for _ in 0..400 {
        commit(&store, messages(vec![b'x'; 50_000]));
    }
    let mut replay = store.replay(1).unwrap();
    let mut read = |seq| {
        replay.skip_to(seq);
        let before = fixture.disk.bytes_read();
        let found = replay.next().map(|entry| entry.unwrap().0);
        (found, fixture.disk.bytes_read() - before)
    };
    let window = 2 * (256 << 10);
    // Within a window, within a segment, in another, behind it, and not back.
    for (to, found) in [(1, 1), (3, 3), (70, 70), (300, 300), (301, 301), (9, 302), (400, 400)] {
        let (seq, bytes) = read(to);
        assert_eq!(seq, Some(found));
        assert!(bytes <= window, "{bytes} bytes are read for record {to}");
    }
    assert_eq!(read(500), (None, 0));
}

#[test]
fn records_are_kept_in_order_and_read_back() {
    let fixture = Fixture::new();
    let store = fixture.open();
    for text in ["one", "two", "three"] {
        commit(&store, messages(text));
    }
    let expected: Vec<_> =
        [(1, "one"), (2, "two"), (3, "three")].map(|(seq, text)| (seq, messages(text))).into();
    assert_eq!(records(store.replay(0).unwrap()), expected);
    assert_eq!(records(store.replay(3).unwrap()), expected[2..]);
    assert_eq!(records(store.replay(4).unwrap()), []);
    store.close().unwrap();
    let store = fixture.open();
    assert_eq!(records(store.replay(1).unwrap()), expected);
    assert_eq!((store.end(), store.durable_end()), (3, 3));
}

#[tokio::test]
async fn many_wait_and_few_syncs_serve_them() {
    let fixture = Fixture::new();
    let store = Arc::new(fixture.open());
    let before = fixture.disk.syncs();
    let waiting: Vec<_> =
        (0..1000).map(|_| tokio::spawn(store.append(messages("x")).unwrap().durable())).collect();
    for task in waiting {
        task.await.unwrap().unwrap();
    }
    assert_eq!(store.durable_end(), 1000);
    assert!(fixture.disk.syncs() - before < 1000);
    let stats = store.stats();
    assert_eq!(stats.commit_records, 1000);
    assert_eq!(stats.commit_classes.iter().sum::<u64>(), stats.commits);
    assert!(stats.oldest_segment_ms.is_some());
}

#[tokio::test]
async fn a_reader_follows_the_log_and_is_told_of_its_end() {
    let fixture = Fixture::new();
    let store = Arc::new(fixture.open());
    let reader = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            let mut seen = Vec::new();
            loop {
                let next = seen.len() as u64 + 1;
                if store.reached(next).await < next {
                    return seen;
                }
                seen.extend(store.replay(next).unwrap().map(|item| item.unwrap().0));
            }
        }
    });
    for _ in 0..50 {
        store.append(messages("x")).unwrap().durable().await.unwrap();
        tokio::task::yield_now().await;
    }
    store.close().unwrap();
    assert!(reader.await.unwrap().into_iter().eq(1..=50));
}

#[test]
fn every_write_syncs_each_record() {
    let fixture = Fixture::new();
    let options = StoreOptions { durability: Durability::EveryWrite, ..fixture.options() };
    let store = fixture.try_open(options).unwrap();
    let before = fixture.disk.syncs();
    let appended: Vec<_> = (0..20).map(|_| store.append(messages("x")).unwrap()).collect();
    for waiting in appended {
        waiting.wait().unwrap();
    }
    assert_eq!(fixture.disk.syncs() - before, 20);
}

#[test]
fn an_interval_acknowledges_before_it_syncs() {
    let fixture = Fixture::new();
    let hour = std::time::Duration::from_hours(1);
    let options = StoreOptions { durability: Durability::Interval(hour), ..fixture.options() };
    let store = fixture.try_open(options).unwrap();
    commit(&store, writes(vec![put("h", "a", "1")]));
    assert_eq!(store.durable_end(), 0);
    assert_eq!(all(&store, "h").len(), 1);
    store.close().unwrap();
    assert_eq!(all(&fixture.open(), "h").len(), 1);
}

#[test]
fn writes_are_seen_at_once_and_after_they_reach_the_tables() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let appended = store.append(writes(vec![put("h", "a", "1"), put("h", "b", "2")])).unwrap();
    let row = get(&store, "h", "a").unwrap();
    assert_eq!((row.version, &row.value[..]), (1, &b"1"[..]));
    appended.wait().unwrap();
    commit(&store, writes(vec![delete("h", "a"), put("h", "b", "3")]));
    settle_down(&store);
    assert_eq!(store.stats().overlay_bytes, 0);
    assert_eq!(get(&store, "h", "a"), None);
    assert_eq!(all(&store, "h"), [("b".to_owned(), "3".into())]);
}

#[test]
fn a_record_that_depends_on_what_changed_is_refused_whole() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let first = commit(&store, writes(vec![put("h", "a", "1")]));
    for wait_for_tables in [false, true] {
        if wait_for_tables {
            settle_down(&store);
        }
        for stale in [saw("h", "a", None), saw("h", "a", Some(first + 7)), saw("h", "b", Some(first))] {
            let record = Record { reads: vec![stale], ..writes(vec![put("h", "c", "no")]) };
            assert!(matches!(store.append(record), Err(AppendError::Conflict { .. })));
        }
    }
    assert_eq!(get(&store, "h", "c"), None);
    let reads = vec![saw("h", "a", Some(first)), saw("h", "b", None)];
    let second = commit(&store, Record { reads, ..writes(vec![put("h", "a", "2"), delete("h", "b")]) });
    assert_eq!(get(&store, "h", "a").unwrap().version, second);
    assert_eq!(store.stats().conflicts, 6);
}

#[test]
fn counting_with_conflicts_loses_no_step() {
    let fixture = Fixture::new();
    let store = fixture.open();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    while !step(&store) {}
                }
            });
        }
    });
    assert_eq!(&get(&store, "h", "count").unwrap().value[..], b"200");
}

fn step(store: &super::super::Store) -> bool {
    let row = get(store, "h", "count");
    let count =
        row.as_ref().map_or(0, |row| std::str::from_utf8(&row.value).unwrap().parse::<u32>().unwrap());
    let reads = vec![saw("h", "count", row.map(|row| row.version))];
    match store.append(Record { reads, ..writes(vec![put("h", "count", (count + 1).to_string())]) }) {
        Ok(appended) => appended.wait().is_ok(),
        Err(AppendError::Conflict { .. }) => false,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn records_keys_and_queries_over_their_limits_are_refused() {
    let fixture = Fixture::new();
    let options = StoreOptions { record_bytes_max: 1000, key_bytes_max: 10, ..fixture.options() };
    let store = fixture.try_open(options).unwrap();
    commit(&store, messages(vec![0; 996]));
    let refused = store.append(messages(vec![0; 997])).unwrap_err();
    assert_eq!(refused.to_string(), "the record takes 1001 bytes, and at most 1000 are allowed");
    commit(&store, writes(vec![put("12345", "6789", "x")]));
    let refused = store.append(writes(vec![put("12345", "67890", "x")])).unwrap_err();
    assert!(matches!(refused, AppendError::TooLarge { bytes: 11, .. }));
    let query = Query { limit: super::super::QUERY_ROWS_MAX + 1, ..Query::default() };
    assert!(matches!(store.query("t", "h", &query), Err(ReadError::LimitTooLarge { .. })));
    assert_eq!(store.end(), 2);
}

#[test]
fn a_query_of_too_many_bytes_says_how_many_rows_fit() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let large = bytes::Bytes::from(vec![1; 13 << 20]);
    for sort in ["a", "b", "c", "d", "e"] {
        let mut record = writes(vec![put("h", sort, large.clone())]);
        while let Err(AppendError::Full { waiting: Waiting::Pending | Waiting::Tables, .. }) =
            store.append(record.clone()).map(|appended| appended.wait().unwrap())
        {
            record = writes(vec![put("h", sort, large.clone())]);
        }
    }
    let refused = store.query("t", "h", &Query::default()).unwrap_err();
    assert!(matches!(refused, ReadError::PageTooLarge { rows: 4, .. }), "{refused}");
    let scanned: Vec<String> = store.scan("t", "h", 100).map(|row| row.unwrap().sort).collect();
    assert_eq!(scanned, ["a", "b", "c", "d", "e"]);
}

#[test]
fn a_scan_gives_every_row_of_a_hash() {
    let fixture = Fixture::new();
    let store = fixture.open();
    for sort in ["c", "a", "d", "b"] {
        let record = writes(vec![put("h", sort, sort), put("other", sort, sort)]);
        store.append(record).unwrap().wait().unwrap();
    }
    for rows_at_a_time in 1..=5 {
        let sorts: Vec<String> = store.scan("t", "h", rows_at_a_time).map(|row| row.unwrap().sort).collect();
        assert_eq!(sorts, ["a", "b", "c", "d"], "{rows_at_a_time}");
    }
    assert!(store.scan("t", "none", 2).next().is_none());
    store.close().unwrap();
    let closed: Vec<_> = store.scan("t", "h", 2).collect();
    assert!(matches!(closed[..], [Err(ReadError::Closed)]), "{closed:?}");
}

#[test]
fn a_closed_store_takes_and_reads_nothing() {
    let fixture = Fixture::new();
    let store = fixture.open();
    store.close().unwrap();
    store.close().unwrap();
    assert!(matches!(store.append(messages("x")), Err(AppendError::Closed)));
    assert!(matches!(store.get("t", "h", "a"), Err(ReadError::Closed)));
    assert!(matches!(store.settled_before("rule", 0), Ok(_) | Err(ReadError::Closed)));
}
