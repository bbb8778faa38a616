//! Topic filters and the trie, against the shared vectors and against each other.

use pointsman_rules::topic::{TopicFilter, TopicTrie, validate_topic};
use proptest::collection::vec;
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    topic_filter: Vec<MatchCase>,
    topic_filter_validity: Vec<ValidityCase>,
}

#[derive(Deserialize)]
struct MatchCase {
    id: String,
    filter: String,
    topic: String,
    matches_mqtt311: bool,
    note: String,
}

#[derive(Deserialize)]
struct ValidityCase {
    filter: String,
    valid: bool,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("data/topic_filters.json")).expect("the vectors are JSON")
}

fn matching(trie: &TopicTrie<usize>, topic: &str) -> Vec<usize> {
    let mut found = Vec::new();
    trie.for_each_match(topic, |&value| found.push(value));
    found.sort_unstable();
    found
}

#[test]
fn the_vectors_hold() {
    for case in vectors().topic_filter {
        let filter = TopicFilter::parse(&case.filter).unwrap();
        let mut trie = TopicTrie::new();
        trie.insert(&filter, 1);
        assert_eq!(validate_topic(&case.topic), Ok(()), "{}", case.id);
        assert_eq!(filter.matches(&case.topic), case.matches_mqtt311, "{} {}", case.id, case.note);
        assert_eq!(trie.has_match(&case.topic), case.matches_mqtt311, "{} {}", case.id, case.note);
    }
    for case in vectors().topic_filter_validity {
        assert_eq!(TopicFilter::parse(&case.filter).is_ok(), case.valid, "{}", case.filter);
    }
}

/// Of the standard (MQTT 3.1.1 §4.7) and of the guide to AWS IoT: filter, topics that it matches, topics that it does not.
#[test]
fn the_examples_of_the_documentation_hold() {
    let cases: [(&str, &[&str], &[&str]); 16] = [
        (
            "sport/tennis/player1/#",
            &["sport/tennis/player1", "sport/tennis/player1/ranking", "sport/tennis/player1/score/wimbledon"],
            &["sport/tennis/player2", "sport/tennis", "sport/tennis/player10"],
        ),
        ("sport/#", &["sport", "sport/", "sport/a/b"], &["sports", "Sport/a", "/sport"]),
        ("#", &["a", "/", "a/b//c", " "], &["$SYS/x", "$"]),
        (
            "sport/tennis/+",
            &["sport/tennis/player1", "sport/tennis/"],
            &["sport/tennis", "sport/tennis/p/ranking"],
        ),
        ("sport/+", &["sport/"], &["sport", "sport//"]),
        ("+/tennis/#", &["a/tennis", "/tennis/", "a/tennis/b/c"], &["tennis", "a/b/tennis", "$a/tennis"]),
        ("+/+", &["/finance", "a/b", "/"], &["a", "a/b/c", "$a/b"]),
        ("/+", &["/finance", "/"], &["finance", "//", "a/finance"]),
        ("+", &["a", "finance"], &["/finance", "$SYS", "a/"]),
        ("+/monitor/Clients", &["a/monitor/Clients"], &["$SYS/monitor/Clients", "a/monitor/clients"]),
        ("$SYS/#", &["$SYS", "$SYS/", "$SYS/monitor/Clients"], &["SYS/x", "$sys/x"]),
        ("$SYS/monitor/+", &["$SYS/monitor/Clients"], &["$SYS/monitor", "$SYS/monitor/a/b"]),
        ("a//b", &["a//b"], &["a/b", "a///b", "a/ /b"]),
        ("a/+/b", &["a//b", "a/$x/b", "a/é/b"], &["a/b", "a/x/y/b"]),
        ("a/", &["a/"], &["a", "a//"]),
        ("+/#", &["a", "/", "a/b"], &["$aws/events/x"]),
    ];
    for (filter, matched, others) in cases {
        let parsed = TopicFilter::parse(filter).unwrap();
        let mut trie = TopicTrie::new();
        trie.insert(&parsed, 1);
        for (topics, is_matched) in [(matched, true), (others, false)] {
            for topic in topics {
                assert_eq!(validate_topic(topic), Ok(()), "{topic}");
                assert_eq!(parsed.matches(topic), is_matched, "{filter} {topic}");
                assert_eq!(trie.has_match(topic), is_matched, "{filter} {topic}");
            }
        }
    }
    for filter in [
        "sport/tennis#",
        "sport/tennis/#/ranking",
        "sport+",
        "#/",
        "##",
        "a/+b",
        "a/b+/c",
        "+#",
        "a\0b",
        "/#/",
    ] {
        assert!(TopicFilter::parse(filter).is_err(), "{filter}");
    }
    for filter in ["/", "//", "+/", "/#", "+/+/#", " ", "a b/#", "$", "$share", "日本/+", "{a}"] {
        assert!(TopicFilter::parse(filter).is_ok(), "{filter}");
    }
}

fn level() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "a", "b", "$a", "é"])
}

fn topic() -> impl Strategy<Value = String> {
    vec(level(), 1..6).prop_map(|levels| levels.join("/")).prop_filter("not empty", |topic| !topic.is_empty())
}

fn filter() -> impl Strategy<Value = TopicFilter> {
    let any_level = prop_oneof![3 => level(), 2 => Just("+")];
    (vec(any_level, 0..5), any::<bool>()).prop_filter_map("not empty", |(mut levels, all)| {
        levels.extend(all.then_some("#"));
        TopicFilter::parse(&levels.join("/")).ok()
    })
}

proptest! {
    #[test]
    fn the_trie_agrees_with_the_matcher(
        filters in vec(filter(), 1..40),
        removed in vec(any::<prop::sample::Index>(), 0..40),
        topics in vec(topic(), 1..20),
    ) {
        let mut trie = TopicTrie::with_hash_seed(42);
        for (index, filter) in filters.iter().enumerate() {
            trie.insert(filter, index);
        }
        let mut left: Vec<usize> = (0..filters.len()).collect();
        for pick in removed {
            let index = pick.index(filters.len());
            let was_there = left.contains(&index);
            left.retain(|&other| other != index);
            prop_assert_eq!(trie.remove(&filters[index], |&value| value == index).is_some(), was_there);
        }
        prop_assert_eq!(trie.len(), left.len());
        for topic in &topics {
            let naive: Vec<usize> = left.iter().copied().filter(|&index| filters[index].matches(topic)).collect();
            prop_assert_eq!(matching(&trie, topic), naive, "topic {:?}", topic);
        }
    }
}
