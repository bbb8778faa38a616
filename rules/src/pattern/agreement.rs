//! The automaton, the matcher of one pattern, and the naive one agree.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::Value;

use super::node::Node;
use super::{ALTERNATIVES_MAX, Pattern, PatternSet, Scratch, naive, testing};

fn found(set: &PatternSet, event: &str, scratch: &mut Scratch) -> Vec<u32> {
    let mut found = Vec::new();
    set.for_each_match(event.as_bytes(), scratch, |id| found.push(id)).unwrap();
    found.sort_unstable();
    found
}

proptest! {
    // The same in every run; `PROPTEST_CASES=100000` makes a thorough one.
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(4),
        ..ProptestConfig::default()
    })]

    #[test]
    fn all_agree(
        patterns in vec(testing::pattern(), 1..8),
        events in vec((testing::event(), 0..8_u8), 1..6),
    ) {
        let compile = |pattern: &Value| match Pattern::compile(&pattern.to_string()) {
            // A random pattern may have too many branches, but nothing else may be wrong with it.
            Err(error) if error.message.contains(&format!("{ALTERNATIVES_MAX} combinations")) => None,
            compiled => Some(compiled.unwrap()),
        };
        let compiled: Vec<Pattern> = patterns.iter().filter_map(compile).collect();
        let set = PatternSet::new((0..).zip(&compiled));
        let mut scratch = Scratch::new();
        for (event, style) in &events {
            let text = testing::spelled(event, *style);
            let event = Node::parse(&text).unwrap();
            let expected: Vec<u32> =
                (0..).zip(&compiled).filter(|(_, pattern)| naive::matches(pattern, &event)).map(|(id, _)| id).collect();
            prop_assert_eq!(found(&set, &text, &mut scratch), expected.clone(), "the set, {}", text);
            for (id, pattern) in (0..).zip(&compiled) {
                let why_not = pattern.explain(text.as_bytes());
                prop_assert_eq!(why_not.is_none(), expected.contains(&id), "{:?} {} {:?}", pattern, text, why_not);
            }
        }
    }

    #[test]
    fn no_text_panics(pattern in "[\\[\\]{}\":,$ora*\\\\1.-]{0,40}", event in "[\\[\\]{}\":,a\\\\u01.-]{0,40}") {
        let _ = Pattern::compile(&pattern);
        let wanted = Pattern::compile(r#"{"a":[{"exists":true}],"":["a"]}"#).unwrap();
        let _ = PatternSet::new([(1, &wanted)]).for_each_match(event.as_bytes(), &mut Scratch::new(), |_| ());
    }
}
