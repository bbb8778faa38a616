//! The retained messages against a plain map, at their limits, over a restart, and in steps.

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman_rules::EventId;
use pointsman_rules::topic::TopicFilter;
use proptest::prelude::*;

use super::super::super::codec::QoS;
use super::super::super::envelope::{EnvelopeBuilder, Interest, Marks, Origin};
use super::*;
use crate::store::{RealDisk, Record, Store, StoreOptions};

const NOW_MS: u64 = 1_000_000;

fn message(topic: &str, payload: &[u8], expiry_seconds: Option<u32>) -> Envelope {
    let mut builder = EnvelopeBuilder::default();
    let mut properties = vec![0x26, 0, 1, b'k', 0, 1, b'v', 0x01, 1];
    if let Some(seconds) = expiry_seconds {
        properties.push(0x02);
        properties.extend(seconds.to_be_bytes());
    }
    let marks = Marks { qos: QoS::AtLeastOnce, retain: true, interest: Interest::default() };
    builder.push(topic, payload, &properties, marks);
    builder.seal(&Origin {
        publisher: 1,
        client_id: "c",
        user: None,
        hops: 0,
        first_id: EventId::new(NOW_MS, 1),
    })
}

fn keep(retained: &Retained, topic: &str, payload: &[u8]) -> Applied {
    retained.apply(&message(topic, payload, None), 0, NOW_MS)
}

fn unlimited() -> Retained {
    Retained::new(RetainedLimits { messages_max: usize::MAX, bytes_max: usize::MAX })
}

fn filter(text: &str) -> TopicFilter {
    TopicFilter::parse(text).unwrap()
}

/// Reads to the end in steps of so many topics: the topics found, and how many steps it took.
fn read(retained: &Retained, cursor: &mut RetainedCursor, now_ms: u64, step: usize) -> (Vec<String>, usize) {
    let (mut found, mut steps) = (Vec::new(), 1);
    while retained.step(cursor, now_ms, step, &mut found) {
        steps += 1;
    }
    (found.iter().map(|envelope| envelope.message(0).topic().to_owned()).collect(), steps)
}

fn topics(retained: &Retained, text: &str) -> Vec<String> {
    read(retained, &mut RetainedCursor::new(filter(text)), NOW_MS, STEP_TOPICS).0
}

#[test]
fn the_last_message_of_a_topic_stays_and_an_empty_one_removes_it() {
    let retained = unlimited();
    assert_eq!(keep(&retained, "a/b", b"one"), Applied::Kept);
    assert_eq!(keep(&retained, "a/b", b"two"), Applied::Kept);
    assert_eq!(retained.get("a/b", NOW_MS).unwrap().message(0).payload(), b"two");
    assert_eq!(retained.stats().messages, 1);
    assert_eq!(keep(&retained, "a/b", b""), Applied::Removed);
    assert_eq!(keep(&retained, "never", b""), Applied::Removed);
    assert!(retained.get("a/b", NOW_MS).is_none());
    assert_eq!(retained.stats(), RetainedStats::default());
}

#[test]
fn filters_find_what_they_match() {
    let retained = unlimited();
    for topic in ["/", "/x", "a", "a!", "a/", "a/b", "a/b/c", "ab", "b/b", "$SYS/up", "$SYS"] {
        keep(&retained, topic, b"x");
    }
    let check = |filter: &str, expected: &[&str]| assert_eq!(topics(&retained, filter), expected, "{filter}");
    check("a/b", &["a/b"]);
    check("nothing", &[]);
    check("a/#", &["a", "a/", "a/b", "a/b/c"]);
    check("a/+", &["a/", "a/b"]);
    check("+/b", &["a/b", "b/b"]);
    check("/#", &["/", "/x"]);
    check("+/+", &["/", "/x", "a/", "a/b", "b/b"]);
    check("#", &["/", "/x", "a", "a!", "a/", "a/b", "a/b/c", "ab", "b/b"]);
    check("$SYS/#", &["$SYS", "$SYS/up"]);
    check("+/up", &[]);
}

#[test]
fn a_reader_goes_on_behind_a_topic() {
    let retained = unlimited();
    for topic in ["a", "a/b", "a/c", "b"] {
        keep(&retained, topic, b"x");
    }
    let check = |text: &str, behind: &str, expected: &[&str]| {
        let mut cursor = RetainedCursor::behind(filter(text), behind);
        assert_eq!(read(&retained, &mut cursor, NOW_MS, 1).0, expected, "{text} behind {behind}");
    };
    check("#", "a/b", &["a/c", "b"]);
    check("a/#", "a", &["a/b", "a/c"]);
    check("a/#", "", &["a", "a/b", "a/c"]);
    check("a", "a", &[]);
    check("a/b", "a", &["a/b"]);
}

#[test]
fn expired_messages_are_not_read_and_make_room() {
    let retained = Retained::new(RetainedLimits { messages_max: 2, ..RetainedLimits::default() });
    retained.apply(&message("a", b"x", Some(10)), 0, NOW_MS);
    retained.apply(&message("b", b"x", Some(20)), 0, NOW_MS);
    let later = NOW_MS + 10_000;
    assert!(retained.get("a", later - 1).is_some() && retained.get("a", later).is_none());
    let mut found = Vec::new();
    retained.step(&mut RetainedCursor::new(filter("#")), later, 10, &mut found);
    assert_eq!(found.len(), 1);
    assert_eq!(retained.admit("c", 1, NOW_MS), Err(RetainedFull::Messages { messages_max: 2 }));
    assert_eq!(retained.admit("c", 1, later), Ok(()));
    assert_eq!((retained.stats().messages, retained.stats().expired), (1, 1));
    assert_eq!(retained.apply(&message("b", b"late", Some(1)), 0, later), Applied::Removed);
    assert_eq!((retained.stats().messages, retained.stats().bytes), (0, 0));
    assert!(retained.read().expiries.is_empty());
}

#[test]
fn the_limits_hold_and_say_which() {
    let retained = Retained::new(RetainedLimits { messages_max: 2, bytes_max: 2_000 });
    keep(&retained, "a", b"x");
    keep(&retained, "b", b"x");
    assert_eq!(retained.admit("c", 1, NOW_MS), Err(RetainedFull::Messages { messages_max: 2 }));
    assert_eq!(retained.admit("a", 100, NOW_MS), Ok(()), "in the place of another");
    assert_eq!(retained.admit("c", 0, NOW_MS), Ok(()), "a removal");
    assert!(matches!(retained.admit("a", 2_000, NOW_MS), Err(RetainedFull::Bytes { bytes_max: 2_000, .. })));
    let long = "x".repeat(TOPIC_BYTES_MAX + 1);
    assert!(matches!(retained.admit(&long, 1, NOW_MS), Err(RetainedFull::TopicTooLong { .. })));
    assert_eq!(keep(&retained, "c", b"x"), Applied::Full, "whatever was admitted");
    assert_eq!(keep(&retained, "a", &[1; 3_000]), Applied::Full);
    assert!(retained.get("a", NOW_MS).is_none(), "an old message is not the last");
    let stats = retained.stats();
    assert_eq!((stats.messages, stats.refused, stats.dropped), (1, 3, 2));
}

#[test]
fn what_was_on_its_way_when_a_limit_was_reached_is_kept() {
    let retained = Retained::new(RetainedLimits { messages_max: 8, ..RetainedLimits::default() });
    let topics: Vec<String> = (0..10).map(|number| number.to_string()).collect();
    assert!(topics.iter().all(|topic| retained.admit(topic, 1, NOW_MS).is_ok()), "none has arrived");
    let kept: Vec<Applied> = topics.iter().map(|topic| keep(&retained, topic, b"x")).collect();
    assert_eq!(kept.iter().filter(|it| **it == Applied::Kept).count(), 9, "an eighth more");
    assert_eq!(retained.admit("new", 1, NOW_MS), Err(RetainedFull::Messages { messages_max: 8 }));
}

#[test]
fn the_servers_own_figures_count_towards_no_limit() {
    let retained = Retained::new(RetainedLimits { messages_max: 0, bytes_max: 0 });
    retained.show(message("$SYS/broker/uptime", b"1", None));
    retained.show(message("$SYS/broker/uptime", b"2", None));
    assert_eq!(topics(&retained, "$SYS/#"), ["$SYS/broker/uptime"]);
    assert_eq!(retained.get("$SYS/broker/uptime", NOW_MS).unwrap().message(0).payload(), b"2");
    assert_eq!(retained.stats(), RetainedStats::default());
}

#[test]
fn a_hundred_thousand_topics_are_read_in_bounded_steps() {
    let retained = unlimited();
    for number in 0..100_000 {
        keep(
            &retained,
            &format!("d{}/{}/{number}", number % 100, if number % 2 == 0 { "x" } else { "y" }),
            b"v",
        );
    }
    let check = |text: &str, expected: usize, steps_max: usize| {
        let mut cursor = RetainedCursor::new(filter(text));
        let (found, steps) = read(&retained, &mut cursor, NOW_MS, STEP_TOPICS);
        assert_eq!(found.len(), expected, "{text}");
        assert!(found.is_sorted(), "{text}");
        assert!(steps <= steps_max, "{text} took {steps} steps");
        let mut out = Vec::new();
        let mut cursor = RetainedCursor::new(filter(text));
        retained.step(&mut cursor, NOW_MS, STEP_TOPICS, &mut out);
        assert!(out.len() <= STEP_TOPICS, "a step gives no more than it looks at");
    };
    check("#", 100_000, 100_000 / STEP_TOPICS + 1);
    check("+/x/#", 50_000, 100_000 / STEP_TOPICS + 1);
    check("d7/#", 1_000, 1_000 / STEP_TOPICS + 1);
    check("d7/y/7", 1, 1);
    check("zzz/#", 0, 1);
}

fn open(directory: &std::path::Path) -> Store {
    let clock = Arc::new(|| NOW_MS);
    Store::open(StoreOptions::new(directory), clock, Arc::new(RealDisk)).unwrap()
}

#[test]
fn rows_bring_them_back() {
    let directory = tempfile::TempDir::new().unwrap();
    let longest = "t".repeat(TOPIC_BYTES_MAX);
    let before = unlimited();
    let store = open(directory.path());
    let large = vec![7; 70_000];
    for (topic, payload, expiry) in
        [("a", &b"old"[..], None), ("gone", b"x", None), (&longest, &large, None), ("e", b"x", Some(9))]
    {
        before.apply(&message(topic, payload, expiry), 0, NOW_MS);
        let writes = writes_of(&message(topic, payload, expiry));
        store.append(Record { writes, ..Record::default() }).unwrap().wait().unwrap();
    }
    let mut builder = EnvelopeBuilder::default();
    let marks = Marks { qos: QoS::AtLeastOnce, retain: true, interest: Interest::default() };
    builder.push("a", b"older", b"", marks);
    builder.push("gone", b"", b"", marks);
    builder.push("a", b"new", b"", marks);
    builder.push("never", b"x", b"", Marks { retain: false, ..marks });
    let first_id = EventId::new(NOW_MS, 9);
    let envelope = builder.seal(&Origin { publisher: 3, client_id: "d", user: Some("u"), hops: 0, first_id });
    for index in 0..3 {
        before.apply(&envelope, index, NOW_MS);
    }
    let writes = writes_of(&envelope);
    assert_eq!(writes.len(), 2);
    store.append(Record { writes, ..Record::default() }).unwrap().wait().unwrap();
    store.close().unwrap();
    drop(store);
    let store = open(directory.path());
    let after = Retained::load(&store, RetainedLimits::default(), NOW_MS).unwrap();
    assert_eq!(topics(&after, "#"), ["a", "e", &longest]);
    assert_eq!(after.stats(), before.stats());
    let a = after.get("a", NOW_MS).unwrap();
    assert_eq!(
        (a.message(0).payload(), a.id(0), a.user()),
        (&b"new"[..], EventId::new(NOW_MS, 11), Some("u"))
    );
    assert!(after.get("e", NOW_MS + 9_000).is_none(), "what expires still does");
    let few = Retained::load(&store, RetainedLimits { messages_max: 1, bytes_max: 9_999 }, NOW_MS).unwrap();
    assert_eq!((few.stats().messages, few.stats().dropped), (1, 2));
}

/// A topic of few levels, so that different ones meet.
fn topic() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(vec!["", "a", "b", "a!", "a0", "$x"]), 1..4)
        .prop_map(|levels| levels.join("/"))
        .prop_filter("topics are not empty", |topic| !topic.is_empty())
}

fn any_filter() -> impl Strategy<Value = String> {
    let level = proptest::sample::select(vec!["", "a", "b", "a!", "$x", "+"]);
    (proptest::collection::vec(level, 0..4), any::<bool>())
        .prop_map(|(mut levels, all)| {
            if all {
                levels.push("#");
            }
            levels.join("/")
        })
        .prop_filter("filters are not empty", |filter| !filter.is_empty())
}

proptest! {
    #[test]
    fn it_is_a_map_by_topic(
        changes in proptest::collection::vec((topic(), any::<u8>(), proptest::option::of(0_u32..30)), 0..60),
        filters in proptest::collection::vec(any_filter(), 1..8),
        step in 1_usize..9,
        pass in 0_u64..30_000,
    ) {
        let retained = unlimited();
        let mut model = BTreeMap::new();
        for (topic, value, expiry) in changes {
            let payload = if value % 4 == 0 { vec![] } else { vec![value] };
            retained.apply(&message(&topic, &payload, expiry), 0, NOW_MS);
            model.remove(&topic);
            if !payload.is_empty() {
                model.insert(topic, expiry.map(|seconds| NOW_MS + u64::from(seconds) * 1_000));
            }
        }
        let now_ms = NOW_MS + pass;
        model.retain(|_, expires| expires.is_none_or(|at| at > now_ms));
        for text in filters {
            let filter = filter(&text);
            let expected: Vec<_> = model.keys().filter(|topic| filter.matches(topic)).cloned().collect();
            let (found, _) = read(&retained, &mut RetainedCursor::new(filter), now_ms, step);
            prop_assert_eq!(found, expected, "{}", text);
        }
        while retained.sweep(now_ms) {}
        prop_assert_eq!(retained.stats().messages, model.len() as u64);
        let kept = retained.read();
        prop_assert_eq!(kept.bytes, kept.topics.values().map(|entry| entry.bytes).sum::<usize>());
    }
}
