//! Cases of the trie beside those against its model.

use super::*;

fn filter(text: &str) -> TopicFilter {
    TopicFilter::parse(text).unwrap()
}

fn matches(trie: &TopicTrie<u32>, topic: &str) -> Vec<u32> {
    let mut found = Vec::new();
    trie.for_each_match(topic, |&value| found.push(value));
    found.sort_unstable();
    found
}

#[test]
fn several_values_stand_under_one_filter() {
    let mut trie = TopicTrie::new();
    for value in [1, 2, 3] {
        trie.insert(&filter("a/b"), value);
    }
    trie.insert(&filter("a/+"), 4);
    assert_eq!(matches(&trie, "a/b"), [1, 2, 3, 4]);
    assert_eq!(trie.remove(&filter("a/b"), |&value| value == 2), Some(2));
    assert_eq!(trie.remove(&filter("a/b"), |&value| value == 2), None);
    assert_eq!(trie.remove(&filter("a"), |_| true), None, "a node on the way is no filter");
    trie.values_mut(&filter("a/b"))[0] = 9;
    assert_eq!(matches(&trie, "a/b"), [3, 4, 9]);
    assert_eq!((trie.len(), trie.values(&filter("a/b")).len()), (3, 2));
    assert!(trie.has_match("a/z") && !trie.has_match("b/z"));
}

#[test]
fn a_filter_of_32_000_levels_needs_no_stack() {
    let deep = filter(&vec!["+"; 32_000].join("/"));
    let topic = vec!["x"; 32_000].join("/");
    let mut trie = TopicTrie::new();
    trie.insert(&deep, 1);
    trie.insert(&filter(&topic), 2);
    assert_eq!(matches(&trie, &topic), [1, 2]);
    assert_eq!(trie.remove(&deep, |_| true), Some(1));
    assert_eq!(matches(&trie, &topic), [2]);
    drop(trie);
}

#[test]
fn memory_is_flat_while_filters_come_and_go() {
    let mut trie = TopicTrie::new();
    trie.insert(&filter("stays/+/#"), 0);
    for client in 0..200_000 {
        let own = filter(&format!("chat/in/client-{client}"));
        trie.insert(&own, client);
        assert_eq!(trie.remove(&own, |_| true), Some(client));
    }
    let (nodes, steps) = trie.places();
    assert!(nodes <= 16 && steps <= 16, "{nodes} nodes, {steps} steps");
    assert_eq!(matches(&trie, "stays/1/2"), [0]);
}

#[test]
fn memory_is_given_back_after_a_crowd() {
    let mut trie = TopicTrie::new();
    let own = |client: u32| filter(&format!("chat/+/{client}/in"));
    for client in 0..50_000 {
        trie.insert(&own(client), client);
    }
    for client in 0..50_000 {
        if client % 10_000 != 7 {
            assert_eq!(trie.remove(&own(client), |_| true), Some(client));
        }
    }
    let (nodes, steps) = trie.places();
    assert!(nodes <= 2 * NODES_KEPT && steps <= 4 * NODES_KEPT, "{nodes} nodes, {steps} steps");
    assert_eq!(matches(&trie, "chat/x/20007/in"), [20_007]);
    assert_eq!(trie.len(), 5);
}

#[test]
fn filters_that_go_the_same_way_for_long_part_where_they_differ() {
    let mut trie = TopicTrie::new();
    let texts = ["a/b/c/d", "a/b/c", "a/b/c/d/e", "a/b/x/+/#", "a/b/c/#", "a/b/+/d", "a", "a/", "a/b/c/d/"];
    for (value, text) in (0..).zip(texts) {
        trie.insert(&filter(text), value);
    }
    assert_eq!(matches(&trie, "a/b/c/d"), [0, 4, 5]);
    assert_eq!(matches(&trie, "a/b/c"), [1, 4]);
    assert_eq!(matches(&trie, "a/b/x/y"), [3]);
    assert_eq!(matches(&trie, "a/b/c/d/"), [4, 8]);
    assert_eq!((matches(&trie, "a"), matches(&trie, "a/")), (vec![6], vec![7]));
    for (value, text) in (0..).zip(texts) {
        assert_eq!(trie.values(&filter(text)), [value], "{text}");
        assert_eq!(trie.remove(&filter(text), |_| true), Some(value), "{text}");
        assert_eq!(trie.remove(&filter(text), |_| true), None, "{text}");
    }
    assert!(trie.is_empty() && !trie.has_match("a/b/c/d"));
}

#[test]
fn two_deep_filters_that_differ_at_the_end_are_told_apart_at_once() {
    let mut trie = TopicTrie::new();
    let deep = "x/".repeat(32_000);
    trie.insert(&filter(&format!("{deep}a")), 1);
    trie.insert(&filter(&format!("{deep}b")), 2);
    assert_eq!(
        (matches(&trie, &format!("{deep}a")), matches(&trie, &format!("{deep}b"))),
        (vec![1], vec![2])
    );
    assert!(!trie.has_match(&deep));
}
