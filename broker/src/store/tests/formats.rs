//! Bytes: what is written is read back, order is kept, and garbage is told from data.

use bytes::Bytes;
use proptest::prelude::*;

use super::super::keys;
use super::super::record::{Done, Record, Write};

fn text() -> impl Strategy<Value = String> {
    // Zeros and the bytes around them are what the escaping is about.
    prop::collection::vec(prop::sample::select(vec!['\0', '\u{1}', 'a', 'b', '~', 'é', '\u{FF}', '日']), 0..5)
        .prop_map(String::from_iter)
}

fn write() -> impl Strategy<Value = Write> {
    let value = prop::collection::vec(any::<u8>(), 0..200);
    (text(), text(), text(), prop::option::of((value, prop::option::of(any::<u64>())))).prop_map(
        |(table, hash, sort, put)| match put {
            Some((value, expires_at_ms)) => {
                Write::Put { table, hash, sort, value: Bytes::from(value), expires_at_ms }
            }
            None => Write::Delete { table, hash, sort },
        },
    )
}

fn done() -> impl Strategy<Value = Done> {
    (text(), any::<u16>(), any::<u64>(), any::<u32>(), any::<u32>())
        .prop_map(|(rule, trigger, seq, index, count)| Done { rule, trigger, seq, index, count })
}

fn record() -> impl Strategy<Value = Record> {
    let messages = prop::collection::vec(any::<u8>(), 0..300);
    let sessions = prop::collection::vec(any::<u8>(), 0..100);
    (messages, prop::collection::vec(write(), 0..5), prop::collection::vec(done(), 0..5), sessions).prop_map(
        |(messages, writes, done, sessions)| Record {
            messages: messages.into(),
            reads: Vec::new(),
            ended: Vec::new(),
            writes,
            done,
            sessions: sessions.into(),
        },
    )
}

proptest! {
    #[test]
    fn a_record_is_read_back_and_is_no_longer_than_announced(record in record()) {
        let mut body = Vec::new();
        record.encode(&mut body);
        prop_assert!(body.len() <= record.size_hint());
        prop_assert_eq!(Record::decode(Bytes::from(body)), Some(record));
    }

    #[test]
    fn a_cut_record_is_no_record(record in record(), cut in any::<prop::sample::Index>()) {
        let mut body = Vec::new();
        record.encode(&mut body);
        body.truncate(cut.index(body.len()));
        // Without its end a record may still be one: what sessions did is left out where there is nothing.
        prop_assert_ne!(Record::decode(Bytes::from(body)), Some(record));
    }

    #[test]
    fn garbage_is_refused_without_a_panic(body in prop::collection::vec(any::<u8>(), 0..100)) {
        let _refused_or_not = Record::decode(Bytes::from(body));
    }

    #[test]
    fn row_keys_sort_as_their_parts(left in (text(), text(), text()), right in (text(), text(), text())) {
        let key = |(table, hash, sort): &(String, String, String)| keys::row(table, hash, sort);
        prop_assert_eq!(key(&left).cmp(&key(&right)), left.cmp(&right));
        prop_assert!(left == right || !key(&left).starts_with(&key(&right)));
    }

    #[test]
    fn a_sort_is_read_back_from_its_key(table in text(), hash in text(), sort in text()) {
        let partition = keys::partition(&table, &hash, 0);
        let key = keys::row(&table, &hash, &sort);
        prop_assert!(key < keys::behind(&partition));
        prop_assert_eq!(keys::sort_of(&key, &partition), Some(sort));
    }

    #[test]
    fn expiry_keys_sort_by_time_and_name_their_row(at: u64, other: u64, table in text(), hash in text(), sort in text()) {
        let row = keys::row(&table, &hash, &sort);
        let key = keys::expiry(at, &row);
        if at != other {
            prop_assert_eq!(key.cmp(&keys::expiry(other, &row)), at.cmp(&other));
        }
        prop_assert_eq!(keys::expiry_parts(&key), Some((at, row)));
    }
}

#[test]
fn what_was_done_is_read_as_it_was_once_written() {
    let body: &[u8] = b"\x00\x00\x02\x01r\x05\x07\x00\x01r\x05\x07\x02\x03ops";
    let done = |index| Done { rule: "r".to_owned(), trigger: 5, seq: 7, index, count: 1 };
    let record = Record { done: vec![done(0), done(2)], sessions: "ops".into(), ..Record::default() };
    assert_eq!(Record::decode(Bytes::from_static(body)), Some(record));
}
