//! A disk that refuses: those who wait are told, what was acknowledged stays, and writing goes on when it can.

use std::sync::atomic::Ordering;

use super::super::{AppendError, MaintainError, Record, StoreOptions, Waiting};
use super::fixture::{
    Fixture, all, commit, eventually, get, messages, put, records, saw, settle_down, writes,
};

#[test]
fn a_full_disk_refuses_what_waits_and_goes_on_when_there_is_room() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let kept = commit(&store, writes(vec![put("h", "a", "kept")]));
    fixture.disk.set_room(Some(30));
    let appended = store.append(writes(vec![put("h", "a", "lost"), put("h", "b", "lost")])).unwrap();
    let lost = appended.seq;
    appended.wait().unwrap_err();
    // Taken back, and no more is taken.
    assert_eq!(all(&store, "h"), [("a".to_owned(), "kept".into())]);
    assert!(matches!(store.append(messages("x")), Err(AppendError::Failed(_))));
    fixture.disk.set_room(None);
    eventually("the disk takes writes again", || store.append(messages("y")).is_ok());
    let next = commit(&store, writes(vec![put("h", "b", "new")]));
    assert!(next > lost);
    // A version that was taken back never comes to mean another write.
    let stale = Record { reads: vec![saw("h", "b", Some(lost))], ..messages("z") };
    assert!(matches!(store.append(stale), Err(AppendError::Conflict { .. })));
    let seqs: Vec<_> = records(store.replay(0).unwrap()).into_iter().map(|(seq, _)| seq).collect();
    assert!(seqs.contains(&kept) && seqs.contains(&next) && !seqs.contains(&lost), "{seqs:?}");
    assert_eq!(records(store.replay(lost).unwrap()).len(), seqs.len() - 1);
    store.close().unwrap();
    let store = fixture.open();
    assert_eq!(all(&store, "h"), [("a".to_owned(), "kept".into()), ("b".to_owned(), "new".into())]);
    assert_eq!(store.end(), next);
}

#[tokio::test]
async fn a_failing_sync_refuses_and_its_bytes_do_not_come_back() {
    let fixture = Fixture::new();
    let store = fixture.open();
    commit(&store, messages("kept"));
    for _ in 0..3 {
        fixture.disk.set_sync_fails(true);
        let appended = store.append(messages("lost")).unwrap();
        appended.durable().await.unwrap_err();
        fixture.disk.set_sync_fails(false);
        store.room().await;
    }
    store.append(messages("next")).unwrap().durable().await.unwrap();
    assert_eq!(store.stats().commits_failed, 3);
    drop(store);
    let found = records(fixture.open().replay(0).unwrap());
    let found: Vec<_> = found.into_iter().map(|(seq, record)| (seq, record.messages)).collect();
    assert_eq!(found, [(1, "kept".into()), (5, "next".into())]);
}

#[test]
fn a_store_closed_while_the_disk_refuses_says_so_and_keeps_the_rest() {
    let fixture = Fixture::new();
    let store = fixture.open();
    commit(&store, writes(vec![put("h", "a", "1")]));
    fixture.disk.set_room(Some(0));
    store.append(writes(vec![put("h", "a", "2")])).unwrap().wait().unwrap_err();
    let said = store.close().unwrap_err();
    assert!(matches!(said, MaintainError::Unwritten(_) | MaintainError::Io { .. }), "{said}");
    fixture.disk.set_room(None);
    assert_eq!(&get(&fixture.open(), "h", "a").unwrap().value[..], b"1");
}

#[test]
fn what_may_wait_for_the_disk_is_limited() {
    let fixture = Fixture::new();
    let options = StoreOptions { pending_bytes_max: 1000, record_bytes_max: 600, ..fixture.options() };
    let store = fixture.try_open(options).unwrap();
    let appended = std::iter::from_fn(|| Some(store.append(messages(vec![0; 500]))));
    let refused = appended.take(100_000).find_map(Result::err).unwrap();
    assert!(matches!(refused, AppendError::Full { waiting: Waiting::Pending, bytes_max: 1000, .. }));
    eventually("there is room again", || store.append(messages("x")).is_ok());
}

#[tokio::test]
async fn what_may_wait_for_the_tables_is_limited() {
    let fixture = Fixture::new();
    let store = fixture.try_open(StoreOptions { overlay_bytes_max: 500, ..fixture.options() }).unwrap();
    let append = |index: usize| store.append(writes(vec![put("h", &index.to_string(), "x")]));
    let refused = (0..100_000).find_map(|index| append(index).err()).unwrap();
    assert!(matches!(refused, AppendError::Full { waiting: Waiting::Tables, bytes_max: 500, .. }));
    // Messages need no tables.
    store.append(messages("x")).unwrap().durable().await.unwrap();
    store.room().await;
    append(0).unwrap().durable().await.unwrap();
}

#[test]
fn tables_that_fail_are_opened_again_and_lose_nothing() {
    let fixture = Fixture::new();
    let store = fixture.open();
    for round in 0..5_u32 {
        commit(&store, writes(vec![put("h", "a", round.to_string()), put("h", &round.to_string(), "x")]));
        store.core.tables().as_ref().unwrap().fails_next.store(true, Ordering::Relaxed);
        store.settle("rule", 0, u64::from(round));
        let next = writes(vec![put("h", "b", round.to_string())]);
        commit(&store, next);
        settle_down(&store);
        assert_eq!(&get(&store, "h", "b").unwrap().value[..], round.to_string().as_bytes());
    }
    assert!(store.stats().tables_reopened > 0);
    assert_eq!(store.stats().overlay_bytes, 0);
    assert_eq!(store.settled_before("rule", 0).unwrap(), 4);
    let expected = all(&store, "h");
    assert_eq!(expected.len(), 7);
    store.close().unwrap();
    assert_eq!(all(&fixture.open(), "h"), expected);
}
