//! Tests of the event bus' entries.

use serde_json::json;

use super::*;

const CONTEXT: PutContext = PutContext {
    time_ms: 1_700_000_000_999,
    seed: EventId::from_u128(7),
    rule: "orders",
    number: 0,
    cause: None,
};

fn entry(source: &str, detail_type: &str, detail: &str) -> Entry {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Entry { source: some(source), detail_type: some(detail_type), detail: some(detail), ..Entry::default() }
}

#[test]
fn an_entry_becomes_an_event() {
    let entry = Entry {
        bus: Some("arn:aws:events:local:000000000000:event-bus/lab".to_owned()),
        resources: vec!["r".to_owned()],
        ..entry("make_pizza", "eventtype", "{\"item\":{\"eventtype\":\"cook_pizza\"}}")
    };
    assert_eq!(entry.bus(), "lab");
    let event: Value = serde_json::from_slice(&entry.event(&CONTEXT).unwrap()).unwrap();
    let expected = json!({
        "version": "0", "id": CONTEXT.uuid(), "detail-type": "eventtype", "source": "make_pizza", "account": "000000000000",
        "time": "2023-11-14T22:13:20Z", "region": "local", "resources": ["r"], "detail": {"item": {"eventtype": "cook_pizza"}},
    });
    assert_eq!(event, expected);
}

#[test]
fn a_detail_arrives_as_it_was_put() {
    let detail =
        r#"{"z":37.807807921694092,"a":[18446744073709551617,1.50,-0],"z2":{"b":"\u00e9","a":null}}"#;
    let event = entry("s", "t", &format!(" {detail}\n")).event(&CONTEXT).unwrap();
    let event = str::from_utf8(&event).unwrap();
    assert!(event.ends_with(&format!(",\"detail\":{detail}}}")), "{event}");
    assert!(event.starts_with(r#"{"version":"0","id":""#), "{event}");
}

#[test]
fn a_time_is_written_in_whole_seconds() {
    for (time_ms, expected) in [
        (None, "2023-11-14T22:13:20Z"),
        (Some(0), "1970-01-01T00:00:00Z"),
        (Some(1_772_361_630_999), "2026-03-01T10:40:30Z"),
        (Some(-1), "1969-12-31T23:59:59Z"),
    ] {
        let event = Entry { time_ms, ..entry("s", "t", "{}") }.event(&CONTEXT).unwrap();
        let event: Value = serde_json::from_slice(&event).unwrap();
        assert_eq!(event["time"], expected, "{time_ms:?}");
    }
}

#[test]
fn a_time_is_read_as_seconds_or_text() {
    let time = |time: Value| Entry::from_json(&json!({ "Time": time })).map(|entry| entry.time_ms);
    for (given, expected) in [
        (json!("2026-03-01T10:00:00Z"), 1_772_359_200_000),
        (json!("2026-03-01T12:00:00+02:00"), 1_772_359_200_000),
        (json!(1_772_359_200), 1_772_359_200_000),
        (json!(1_772_359_200.5), 1_772_359_200_500),
    ] {
        assert_eq!(time(given.clone()), Ok(Some(expected)), "{given}");
    }
    assert_eq!(time(Value::Null), Ok(None));
    for given in [json!("yesterday"), json!(-1), json!(1e300), json!(true)] {
        assert!(time(given.clone()).unwrap_err().contains("Time is"), "{given}");
    }
}

#[test]
fn an_id_is_a_uuid_of_version_4_and_the_same_for_the_same_input() {
    let id = CONTEXT.uuid();
    assert_eq!((id.len(), &id[14..15]), (36, "4"), "{id}");
    assert!(matches!(&id[19..20], "8" | "9" | "a" | "b"), "{id}");
    assert_eq!(id, CONTEXT.uuid());
    assert_ne!(id, PutContext { number: 1, ..CONTEXT }.uuid());
    assert_ne!(id, PutContext { rule: "other", ..CONTEXT }.uuid());
}

#[test]
fn what_an_entry_lacks_is_named() {
    for (entry, code, message) in [
        (
            entry("", "t", "{}"),
            "InvalidArgument",
            "Parameter Source is not valid. Reason: Source is a required argument.",
        ),
        (
            entry("s", "", "{}"),
            "InvalidArgument",
            "Parameter DetailType is not valid. Reason: DetailType is a required argument.",
        ),
        (
            entry("s", "t", ""),
            "InvalidArgument",
            "Parameter Detail is not valid. Reason: Detail is a required argument.",
        ),
        (entry("s", "t", "[1]"), "MalformedDetail", "Detail is malformed."),
        (entry("s", "t", "plain"), "MalformedDetail", "Detail is malformed."),
        (entry("s", "t", "{\"a\":"), "MalformedDetail", "Detail is malformed."),
        (entry("s", "t", "{} x"), "MalformedDetail", "Detail is malformed."),
        (entry("s", "t", "null"), "MalformedDetail", "Detail is malformed."),
        (entry("s", "t", "5"), "MalformedDetail", "Detail is malformed."),
        (entry("s", "t", "\"{}\""), "MalformedDetail", "Detail is malformed."),
        (entry("aws.x", "t", "{}"), "NotAuthorizedForSourceException", "Not authorized for the source."),
    ] {
        let error = entry.event(&CONTEXT).unwrap_err();
        assert_eq!((error.code(), error.to_string().as_str()), (code, message));
    }
    assert!(
        entry("aws", "t", "{}").event(&CONTEXT).is_ok() && entry("AWS.x", "t", "{}").event(&CONTEXT).is_ok()
    );
    let elsewhere = Entry { bus: Some("a/b".to_owned()), ..entry("s", "t", "{}") };
    assert_eq!(elsewhere.event(&CONTEXT).unwrap_err().code(), "InvalidArgument");
}

#[test]
fn a_call_has_1_to_10_entries_and_less_than_256_kib() {
    let one = entry("s", "t", "{}");
    assert_eq!(check_call(&[]), Err(CallError::Count(0)));
    assert_eq!(check_call(&vec![one.clone(); 10]), Ok(()));
    assert_eq!(check_call(&vec![one.clone(); 11]), Err(CallError::Count(11)));
    let rest = CALL_BYTES_MAX - one.size();
    let large = |bytes| entry("s", "t", &format!("\"{}\"", "x".repeat(bytes - 4)));
    assert_eq!(check_call(&[one.clone(), large(rest)]), Err(CallError::TooLarge));
    assert_eq!(check_call(&[one.clone(), large(rest - 1)]), Ok(()));
    let timed = Entry { time_ms: Some(1), ..large(rest - 1) };
    assert_eq!(check_call(&[one, timed]), Err(CallError::TooLarge), "a time counts for fourteen bytes");
}

#[test]
fn what_a_rule_puts_names_its_cause() {
    let cause = EventId::from_u128(9);
    let event = entry("s", "t", "{}").event(&PutContext { cause: Some(cause), ..CONTEXT }).unwrap();
    let event: Value = serde_json::from_slice(&event).unwrap();
    assert_eq!(event["cause"], cause.to_string());
}
