//! What the fuzz targets of `fuzz/` call: each takes any bytes, and panics where something that must hold does not.
//!
//! It is public for them alone. The seeds under `fuzz/corpus/` go through the same functions in the tests below.

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use serde::de::IgnoredAny;

use crate::effect::Outcome;
use crate::engine::Engine;
use crate::event::{Event, Message};
use crate::event_id::EventId;
use crate::limits::Limits;
use crate::pattern::{Pattern, PatternSet, Scratch};
use crate::rule::RuleName;
use crate::snapshot::{EmptySnapshot, Snapshot};
use crate::trigger::On;

/// Divides what a target is given into its parts.
const DIVIDER: u8 = 0;

/// Reads two patterns and an event, and matches them by the automaton and one by one.
pub fn pattern(bytes: &[u8]) {
    let mut parts = bytes.splitn(3, |byte| *byte == DIVIDER);
    let mut read = || Pattern::compile(std::str::from_utf8(parts.next()?).ok()?).ok();
    let patterns = [read(), read()];
    let event = parts.next().unwrap_or_default();
    let numbered = patterns.iter().zip(0..).filter_map(|(pattern, number)| Some((number, pattern.as_ref()?)));
    let set = PatternSet::new(numbered.clone());
    let mut found = Vec::new();
    if set.for_each_match(event, &mut Scratch::new(), |number| found.push(number)).is_err() {
        return;
    }
    // What the automaton takes is JSON, but for values that no pattern looks at.
    if serde_json::from_slice::<IgnoredAny>(event).is_err() {
        return;
    }
    found.sort_unstable();
    let expected: Vec<u32> =
        numbered.filter(|(_, pattern)| pattern.matches(event)).map(|(number, _)| number).collect();
    let event = String::from_utf8_lossy(event);
    assert_eq!(found, expected, "the automaton and the patterns disagree about {event}");
}

/// Reads a rule in SQL and gives it a payload.
pub fn sql(bytes: &[u8]) {
    rule("fuzzed.sql", bytes);
}

/// Reads a script and gives its handlers of messages a payload.
pub fn script(bytes: &[u8]) {
    rule("fuzzed.rhai", bytes);
}

fn rule(file: &str, bytes: &[u8]) {
    static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new(Limits::default(), || Duration::ZERO));
    let mut parts = bytes.splitn(2, |byte| *byte == DIVIDER);
    let source = parts.next().and_then(|source| std::str::from_utf8(source).ok()).unwrap_or_default();
    let name = RuleName::parse("fuzzed").unwrap_or_else(|error| panic!("{error}"));
    let Ok(rule) = ENGINE.compile(&name, file, source) else { return };
    let event = Event::message(Message {
        topic: "a/b/c".into(),
        client_id: "client".into(),
        user: None,
        payload: Bytes::copy_from_slice(parts.next().unwrap_or_default()),
        qos: 1,
        retain: false,
        time_ms: 1_700_000_000_000,
        id: EventId::from_u128(7),
    });
    let snapshot: Arc<dyn Snapshot> = Arc::new(EmptySnapshot);
    for (index, trigger) in rule.triggers.iter().enumerate() {
        if !matches!(trigger.on, On::Message(_)) {
            continue;
        }
        let [first, again] = [(); 2].map(|()| ENGINE.run(&rule, index, &event, &snapshot));
        match (first, again) {
            (Ok(first), Ok(again)) => {
                check_limits(&first);
                assert_eq!(first.effects, again.effects, "the same event has other effects");
            }
            (Err(first), Err(again)) => assert_eq!(first.to_string(), again.to_string()),
            (first, again) => panic!("the same event ends otherwise: {first:?}, {again:?}"),
        }
        if let Some(planned) = ENGINE.run_planned(&rule, index, &event, &snapshot) {
            let interpreted =
                ENGINE.interpret(&rule, index, &event, &snapshot).map(|outcome| outcome.effects);
            assert_eq!(Ok(planned.effects), interpreted, "a plan does something else than the interpreter");
        }
    }
}

fn check_limits(outcome: &Outcome) {
    let limits = Limits::default();
    assert!(outcome.effects.len() <= limits.effects_max, "more effects than effects_max");
    assert!(outcome.operations <= limits.operations_max, "more steps than operations_max");
}

/// Every seed of a target with its name, for the tests.
pub fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry?;
        Ok((entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path())?))
    };
    let seeds: std::io::Result<Vec<_>> =
        std::fs::read_dir(&folder).and_then(|entries| entries.map(read).collect());
    let seeds = seeds.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    assert!(seeds.len() > 5, "{} is all but empty", folder.display());
    seeds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn each(target: &str, check: fn(&[u8])) {
        for (name, bytes) in seeds(target) {
            println!("{name}");
            check(&bytes);
        }
    }

    #[test]
    fn every_seed_of_patterns_holds() {
        each("pattern", pattern);
    }

    #[test]
    fn every_seed_of_scripts_holds() {
        each("script", script);
    }

    #[test]
    fn every_seed_of_sql_holds() {
        each("sql", sql);
    }
}
