//! What the automaton does at its limits, and with texts that are hardly JSON.

use super::super::{
    EVENT_BYTES_MAX, EVENT_CHOICES_MAX, EVENT_DEPTH_MAX, EVENT_STEPS_MAX, EVENT_VALUES_MAX, JsonError,
    Pattern, PatternSet, Scratch,
};

fn set(patterns: &[&str]) -> PatternSet {
    let compiled: Vec<Pattern> = patterns.iter().map(|text| Pattern::compile(text).unwrap()).collect();
    PatternSet::new((0..).zip(&compiled))
}

fn matches(set: &PatternSet, event: &str) -> Result<Vec<u32>, JsonError> {
    let mut found = Vec::new();
    set.for_each_match(event.as_bytes(), &mut Scratch::new(), |id| found.push(id))?;
    found.sort_unstable();
    Ok(found)
}

#[test]
fn numbers_beyond_binary64_are_there_and_equal_nothing() {
    let set = set(&[
        r#"{"n":[{"exists":true}]}"#,
        r#"{"n":[{"numeric":[">",0]}]}"#,
        r#"{"n":[{"anything-but":1}]}"#,
        r#"{"n":[0]}"#,
    ]);
    assert_eq!(matches(&set, r#"{"n":1e400}"#), Ok(vec![0, 2]));
    assert_eq!(matches(&set, r#"{"n":-0}"#), Ok(vec![0, 2, 3]));
    assert_eq!(matches(&set, r#"{"n":3.0e2}"#), Ok(vec![0, 1, 2]));
}

#[test]
fn a_rule_is_found_once() {
    let patterns =
        [r#"{"$or":[{"a":["x"]},{"b":["x"]}]}"#, r#"{"a":["x",{"anything-but":"y"}]}"#, r#"{"c":["x"]}"#];
    let compiled: Vec<Pattern> = patterns.iter().map(|text| Pattern::compile(text).unwrap()).collect();
    let set = PatternSet::new(compiled.iter().map(|pattern| (7, pattern)));
    assert_eq!((set.len(), set.is_empty()), (1, false));
    assert_eq!(matches(&set, r#"{"a":"x","b":"x","c":"x"}"#), Ok(vec![7]));
    assert_eq!(matches(&PatternSet::new([]), r#"{"a":"x"}"#), Ok(vec![]));
}

#[test]
fn working_memory_serves_any_set() {
    let (one, other) = (set(&[r#"{"a":["x"]}"#]), set(&[r#"{"b":["x"]}"#, r#"{"c":[{"exists":false}]}"#]));
    let mut scratch = Scratch::new();
    for _ in 0..3 {
        for (set, expected) in [(&one, &[0][..]), (&other, &[1])] {
            let mut found = Vec::new();
            set.for_each_match(br#"{"a":"x","b":"y"}"#, &mut scratch, |id| found.push(id)).unwrap();
            assert_eq!(found, expected);
            assert!(set.for_each_match(b"{", &mut scratch, |_| ()).is_err());
        }
    }
}

#[test]
fn what_is_no_json_is_refused_where_it_is_read() {
    let set = set(&[r#"{"a":["x"],"b":{"c":[1]}}"#]);
    for (event, at) in [
        ("", 0),
        ("5", 0),
        ("[]", 0),
        ("{", 1),
        (r#"{"a"}"#, 4),
        (r#"{"a":}"#, 5),
        (r#"{"a":"x""#, 8),
        (r#"{"a":"x","#, 9),
        (r#"{"a":"x",}"#, 9),
        (r#"{"a":"x"} x"#, 10),
        (r#"{"a":01}"#, 5),
        (r#"{"a":tru}"#, 5),
        (r#"{"a":"\x"}"#, 7),
        (r#"{"a":"\ud800"}"#, 8),
        (r#"{"a":["x" "y"]}"#, 10),
        (r#"{"x":[[}"#, 8),
    ] {
        match matches(&set, event) {
            Err(JsonError::Syntax { at: found, .. }) => assert_eq!(found, at, "{event}"),
            other => panic!("{event}: {other:?}"),
        }
    }
    let mut scratch = Scratch::new();
    let error = set.for_each_match(b"{\"a\":\"\xff\"}", &mut scratch, |_| ());
    assert_eq!(error, Err(JsonError::NotUtf8 { at: 6 }));
    // Not looked into.
    assert_eq!(matches(&set, r#"{"x":[1 2}, "a":"x","b":{"c":1}}"#), Ok(vec![0]));
}

#[test]
fn events_have_limits() {
    let set = set(&[r#"{"a":{"b":["x"],"c":["y"]}}"#]);
    let long = format!(r#"{{"x":"{}"}}"#, "x".repeat(EVENT_BYTES_MAX));
    assert_eq!(
        matches(&set, &long),
        Err(JsonError::TooLong { bytes: EVENT_BYTES_MAX + 8, max: EVENT_BYTES_MAX })
    );
    for name in ["a", "x"] {
        let nested = |depth: usize| format!(r#"{{"{name}":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        assert_eq!(matches(&set, &nested(EVENT_DEPTH_MAX - 1)), Ok(vec![]));
        let error = matches(&set, &nested(EVENT_DEPTH_MAX));
        assert!(matches!(error, Err(JsonError::TooDeep { max: EVENT_DEPTH_MAX, .. })), "{error:?}");
    }
    for element in [r#"{"b":1}"#, "{}"] {
        let many = format!(r#"{{"a":[{}{element}]}}"#, format!("{element},").repeat(EVENT_VALUES_MAX));
        assert_eq!(matches(&set, &many), Err(JsonError::TooManyValues { max: EVENT_VALUES_MAX }));
    }
}

/// Arrays beside each other in one object, and a pattern that wants of each that two conditions are met by
/// one element.
fn beside(arrays: usize, elements: &str) -> (String, String) {
    let members = |value: &str| {
        let members: Vec<String> = (0..arrays).map(|array| format!(r#""p{array}":{value}"#)).collect();
        format!(r#"{{"a":{{{}}}}}"#, members.join(","))
    };
    (members(r#"{"x":["1"],"y":["1"]}"#), members(elements))
}

#[test]
fn independent_arrays_are_decided_one_by_one() {
    let (pattern, apart) = beside(30, r#"[{"x":"1"},{"y":"1"},{"x":"1","y":"2"}]"#);
    let (_, together) = beside(30, r#"[{"x":"1"},{"y":"1"},{"x":"1","y":"1"}]"#);
    let in_elements = |event: &str| format!(r#"{{"a":[{0},{0}]}}"#, &event[5..event.len() - 1]);
    let set = set(&[&pattern]);
    for (event, expected) in [(apart, vec![]), (together, vec![0])] {
        assert_eq!(matches(&set, &event), Ok(expected.clone()));
        assert_eq!(matches(&set, &in_elements(&event)), Ok(expected));
    }
}

#[test]
fn choosing_elements_has_limits() {
    // Names with dots bring eight arrays to one path, and each condition could be met in each of them.
    let fields: Vec<String> = (0..16).map(|field| format!(r#""f{field}":["1"]"#)).collect();
    let set = set(&[&format!(r#"{{"a.b.c.d":{{{}}}}}"#, fields.join(","))]);
    let none: Vec<String> = (0..16).map(|field| format!(r#""f{field}":"0""#)).collect();
    let array = |number: usize| {
        let (one, other) = (2 * number, 2 * number + 1);
        format!(r#"[{{"f{one}":"1"}},{{"f{other}":"1"}},{{{}}}]"#, none.join(","))
    };
    let event = format!(
        r#"{{"a.b.c.d":{},"a.b.c":{{"d":{}}},"a.b":{{"c.d":{},"c":{{"d":{}}}}},
            "a":{{"b.c.d":{},"b.c":{{"d":{}}},"b":{{"c.d":{},"c":{{"d":{}}}}}}}}}"#,
        array(0),
        array(1),
        array(2),
        array(3),
        array(4),
        array(5),
        array(6),
        array(7),
    );
    assert_eq!(matches(&set, &event), Err(JsonError::TooComplex { max: EVENT_CHOICES_MAX }));
}

#[test]
fn checking_arrays_has_a_limit() {
    let patterns: Vec<String> = (0..EVENT_STEPS_MAX / EVENT_VALUES_MAX)
        .map(|rule| format!(r#"{{"a":{{"b":["1","{rule}x"],"c":["1"]}}}}"#))
        .collect();
    let set = set(&patterns.iter().map(String::as_str).collect::<Vec<_>>());
    let half = EVENT_VALUES_MAX / 2 - 2;
    let event = format!(r#"{{"a":[{}{}{{}}]}}"#, r#"{"b":"1"},"#.repeat(half), r#"{"c":"1"},"#.repeat(half));
    assert_eq!(matches(&set, &event), Err(JsonError::TooMuchWork { max: EVENT_STEPS_MAX }));
}
