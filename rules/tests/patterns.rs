//! Event patterns against the shared vectors.

use pointsman_rules::pattern::{Pattern, PatternSet, Scratch};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    event_pattern: Vec<Case>,
    event_pattern_service_limits: Vec<ServiceLimit>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    pattern: String,
    event: String,
    valid: bool,
    #[serde(default)]
    matches: bool,
    #[serde(default)]
    note: String,
}

/// A pattern that the language allows and the cloud's service does not.
#[derive(Deserialize)]
struct ServiceLimit {
    pattern: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("data/event_patterns.json")).expect("the vectors are JSON")
}

fn matches(set: &PatternSet, event: &str) -> Vec<u32> {
    let mut found = Vec::new();
    set.for_each_match(event.as_bytes(), &mut Scratch::new(), |id| found.push(id))
        .expect("the event is JSON");
    found.sort_unstable();
    found
}

#[test]
fn the_vectors_hold_one_by_one() {
    let mut wrong = Vec::new();
    for Case { id, pattern, event, valid, matches: expected, note } in vectors().event_pattern {
        match Pattern::compile(&pattern) {
            Err(error) if valid => wrong.push(format!("{id}: {error} ({note})")),
            Err(_) => {}
            Ok(_) if !valid => wrong.push(format!("{id}: {pattern} is not refused ({note})")),
            Ok(compiled) => {
                let by_set = !matches(&PatternSet::new([(7, &compiled)]), &event).is_empty();
                let value = serde_json::from_str(&event).expect("the event is JSON");
                let why_not = compiled.explain(&value);
                if by_set != expected || why_not.is_none() != expected {
                    wrong.push(format!("{id}: {pattern} {event}: {by_set}, {why_not:?} ({note})"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_vectors_hold_all_together() {
    let cases: Vec<Case> = vectors().event_pattern.into_iter().filter(|case| case.valid).collect();
    let patterns: Vec<Pattern> =
        cases.iter().map(|case| Pattern::compile(&case.pattern).expect(&case.id)).collect();
    let set = PatternSet::new((0..).zip(&patterns));
    assert_eq!(set.len(), cases.len());
    for case in &cases {
        let event = serde_json::from_str(&case.event).expect("the event is JSON");
        let expected: Vec<u32> =
            (0..).zip(&patterns).filter(|(_, pattern)| pattern.matches(&event)).map(|(id, _)| id).collect();
        assert_eq!(matches(&set, &case.event), expected, "{}", case.id);
    }
}

#[test]
fn what_the_service_finds_too_complex_is_allowed_here() {
    for ServiceLimit { pattern } in vectors().event_pattern_service_limits {
        let compiled = Pattern::compile(&pattern).expect("it is valid");
        let set = PatternSet::new([(1, &compiled)]);
        assert_eq!(matches(&set, r#"{"EventBusArn":"arn:aws:events:eu-west-1:0:event-bus/a"}"#), [1]);
        assert!(matches(&set, r#"{"EventBusArn":"arn:aws:events:eu-west-1:event-bus/a"}"#).is_empty());
    }
}
