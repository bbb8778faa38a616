//! Which rules an event finds.

use std::sync::Arc;

use pointsman_rules::{On, RuleSet};

use crate::support::{compile, patient};

#[test]
fn triggers_are_found_by_rule_and_line() {
    let engine = patient();
    let rule = |source: &str| Arc::new(compile(&engine, source).unwrap());
    let first = rule("on_message(\"#\", \"f\"); on_message(\"a/{x}\", \"f\"); on_connect(\"f\"); fn f(e) {}");
    let second = rule("on_message(\"a/b\", \"f\"); on_message(\"$aws/{rest#}\", \"f\"); fn f(e) {}");
    let set = RuleSet::new(vec![first, second]);
    let found = |topic: &str| {
        let mut found = Vec::new();
        set.for_each_message_match(topic, |rule, trigger| found.push((rule, trigger)));
        assert_eq!(set.has_message_match(topic), !found.is_empty());
        found
    };
    assert_eq!(found("a/b"), [(0, 0), (0, 1), (1, 0)]);
    assert_eq!(found("z"), [(0, 0)]);
    assert_eq!(found("$aws/events/x"), [(1, 1)]);
    assert_eq!(found("$SYS/x"), []);
    assert_eq!(set.lifecycle_triggers(&On::Connect).collect::<Vec<_>>(), [(0, 2)]);
    assert_eq!(set.lifecycle_triggers(&On::Disconnect).count(), 0);
    assert!(!RuleSet::default().has_message_match("a"));
}
