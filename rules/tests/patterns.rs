//! Event patterns against the shared vectors, and against cases read off the public tests of the cloud's library.

use pointsman_rules::pattern::{
    CONDITIONS_MAX, PATTERN_BYTES_MAX, PATTERN_DEPTH_MAX, Pattern, PatternSet, Scratch,
};
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

/// The vectors, and cases about the edges of the language: what becomes of the event (or of the pattern), the
/// pattern, and the event.
fn cases() -> Vec<Case> {
    let edges = include_str!("data/event_pattern_edges.tsv");
    let read = |(number, line): (usize, &str)| {
        let [outcome, pattern, event] = line.split('\t').collect::<Vec<_>>().try_into().expect(line);
        assert!(matches!(outcome, "matches" | "differs" | "refused"), "{line}");
        Case {
            id: format!("line {}", number + 1),
            pattern: str::to_owned(pattern),
            event: str::to_owned(event),
            valid: outcome != "refused",
            matches: outcome == "matches",
            note: String::new(),
        }
    };
    let is_case = |(_, line): &(usize, &str)| !line.starts_with("# ");
    let edges = edges.lines().enumerate().filter(is_case).map(read);
    vectors().event_pattern.into_iter().chain(edges).collect()
}

#[test]
fn the_cases_hold_one_by_one() {
    let mut wrong = Vec::new();
    for Case { id, pattern, event, valid, matches: expected, note } in cases() {
        match Pattern::compile(&pattern) {
            Err(error) if valid => wrong.push(format!("{id}: {pattern}: {error} ({note})")),
            Err(_) => {}
            Ok(_) if !valid => wrong.push(format!("{id}: {pattern} is not refused ({note})")),
            Ok(compiled) => {
                let by_set = !matches(&PatternSet::new([(7, &compiled)]), &event).is_empty();
                let why_not = compiled.explain(event.as_bytes());
                if by_set != expected || why_not.is_none() != expected {
                    wrong.push(format!("{id}: {pattern} {event}: {by_set}, {why_not:?} ({note})"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_cases_hold_all_together() {
    let cases: Vec<Case> = cases().into_iter().filter(|case| case.valid).collect();
    let patterns: Vec<Pattern> =
        cases.iter().map(|case| Pattern::compile(&case.pattern).expect(&case.id)).collect();
    let set = PatternSet::new((0..).zip(&patterns));
    assert_eq!(set.len(), cases.len());
    for case in &cases {
        let event = case.event.as_bytes();
        let expected: Vec<u32> =
            (0..).zip(&patterns).filter(|(_, pattern)| pattern.matches(event)).map(|(id, _)| id).collect();
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

#[test]
fn mistakes_name_the_field() {
    for (pattern, message) in [
        ("{", "the event pattern: it is not JSON: EOF while parsing an object at line 1 column 1"),
        ("[]", "the event pattern: must be an object, as {\"detail\":{\"kind\":[\"a\"]}}"),
        (r#"{"detail":{"n":5}}"#, "detail.n: must be a list of values or an object: write [5]"),
        (
            r#"{"detail":{"n":[{"numeric":[">",5,"<",1]}]}}"#,
            "detail.n[0].numeric: the lower end of the range must be less than the upper end",
        ),
        (r#"{"n":[1,{"numeric":["=","5"]}]}"#, "n[1].numeric[1]: must be a number, not \"5\""),
        (r#"{"n":[{"EXISTS":true}]}"#, "n[0].EXISTS: `EXISTS` is no operator: write `exists`"),
        (r#"{"$or":[{"a":["x"]},{"b":[]}]}"#, "$or[1].b: is an empty list: name a value in it"),
        (r#"{"a":{"$or":[{"b":["x"]}]}}"#, "a.$or: must have two objects or more to choose from"),
        (
            r#"{"$or":[{"prefix":["x"],"b":["x"]},{"b":["x"]}]}"#,
            "$or[0].prefix: is the name of an operator: no field within $or may have it",
        ),
        (
            r#"{"$or":{"a":["x"]},"d":{"$or":[{"a":["x"]},{"b":["x"]}]}}"#,
            "$or: is a field's name here, and chooses between objects elsewhere: rename the field",
        ),
        (
            r#"{"n":[{"numeric":["=",9007199254740993]}]}"#,
            "n[0].numeric[1]: 9007199254740993 is more exact than binary64: write 9007199254740992.0",
        ),
        (r#"{"n":[1E309]}"#, "n[0]: is a number beyond binary64: use a smaller one"),
        (
            r#"{"n":[{"prefix":"a","prefix":"b"}]}"#,
            "n[0]: holds several operators: write one object for each",
        ),
        (
            r#"{"s":[{"cidr":"10.0.0.0/32"}]}"#,
            "s[0].cidr: \"10.0.0.0/32\": the number of bits must be 0 to 31; for one address write it as a plain string",
        ),
        (
            r#"{"s":[{"wildcard":"a**"}]}"#,
            "s[0].wildcard: \"a**\": has two `*` beside each other at byte 2: write one",
        ),
    ] {
        let error = Pattern::compile(pattern).expect_err(pattern).to_string();
        assert_eq!(error, message, "{pattern}");
    }
}

#[test]
fn patterns_have_limits() {
    let long = format!(r#"{{"a":["{}"]}}"#, "x".repeat(PATTERN_BYTES_MAX));
    let deep =
        format!("{}[1]{}", r#"{"a":"#.repeat(PATTERN_DEPTH_MAX + 1), "}".repeat(PATTERN_DEPTH_MAX + 1));
    let fields: Vec<String> = (0..=CONDITIONS_MAX).map(|field| format!(r#""f{field}":[1]"#)).collect();
    let branches: Vec<String> = (0..4).map(|branch| format!(r#"{{"f{branch}":[1]}}"#)).collect();
    let or = |path: &str| format!(r#""{path}":{{"$or":[{}]}}"#, branches.join(","));
    let alternatives: Vec<String> = ["a", "b", "c", "d", "e"].map(or).into();
    for (pattern, message) in [
        (long, "it has 16394 bytes: at most 16384 are allowed"),
        (deep, "objects lie more than 32 deep"),
        (format!("{{{}}}", fields.join(",")), "f64: is one field too many: a pattern may name 64 together"),
        (format!("{{{}}}", alternatives.join(",")), "e.$or: gives more than 256 combinations of branches"),
    ] {
        let error = Pattern::compile(&pattern).expect_err("it is beyond a limit").to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn what_does_not_match_is_explained() {
    let why_not =
        |pattern: &str, event: &str| Pattern::compile(pattern).expect(pattern).explain(event.as_bytes());
    for (pattern, event, expected) in [
        (r#"{"a":{"b":["x"]}}"#, r#"{"a":{"b":"x"}}"#, None),
        (r#"{"a":{"b":["x"]}}"#, r#"{"a":{}}"#, Some(r#"a.b: there is no value, wanted ["x"]"#)),
        (r#"{"a":{"b":["x"]}}"#, r#"{"a":{"b":["y",1]}}"#, Some(r#"a.b: "y", 1 is not wanted, but ["x"]"#)),
        (r#"{"a":[{"exists":false}]}"#, r#"{"a":1}"#, Some(r#"a: 1 is not wanted, but [{"exists":false}]"#)),
        (
            r#"{"p":{"a":[1],"b":[2]}}"#,
            r#"{"p":[{"a":1},{"b":2}]}"#,
            Some("p.a, p.b: no element of the event's arrays meets these together"),
        ),
        (
            r#"{"c":[3],"$or":[{"a":[1]},{"a":[2],"b":[2]}]}"#,
            r#"{"a":2,"b":3,"c":3}"#,
            Some("none of 2 branches matches; of the nearest, b: 3 is not wanted, but [2]"),
        ),
    ] {
        assert_eq!(why_not(pattern, event).as_deref(), expected, "{pattern} {event}");
    }
}
