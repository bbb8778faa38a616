//! Events for the bus, and time, ids and chance from the event.

use pointsman_rules::{Effect, PublishProperties};
use serde_json::{Value, json};

use crate::support::{NOW_MS, logged, run};

#[test]
fn each_entry_has_its_result_and_good_ones_are_put() {
    let outcome = run("let answer = put_events([
            #{ source: \"game\", detail_type: \"score\", detail: #{ n: 1 }, bus: \"lab\", resources: [\"r\"] },
            #{ DetailType: \"score\", Detail: \"{}\" },
            #{ source: \"game\", detail_type: \"score\", detail: \"[1]\" },
        ]);
        log(answer.FailedEntryCount);
        for entry in answer.Entries { log(entry.ErrorMessage ?? \"put\"); }")
    .unwrap();
    let expected = [
        "2",
        "put",
        "Parameter Source is not valid. Reason: Source is a required argument.",
        "Detail is malformed.",
    ];
    assert_eq!(logged(&outcome), expected);
    let Effect::PutEvent { bus, event } = &outcome.effects[0] else { panic!("{:?}", outcome.effects) };
    let event: Value = serde_json::from_slice(event).unwrap();
    assert_eq!((bus.as_str(), &event["source"], &event["detail"]), ("lab", &json!("game"), &json!({"n": 1})));
    assert_eq!(event["cause"].as_str().map(str::len), Some(26));
}

#[test]
fn what_is_no_entry_is_refused() {
    for (call, says) in [
        ("put_events([])", "a call has 1 to 10 entries, not 0"),
        ("put_events([1])", "put_events needs maps, not i64"),
        ("put_events(#{ sauce: 1 })", "an event for the bus has no member \"sauce\""),
        ("put_events(#{ source: 1 })", "put_events needs a string as source, not i64"),
        ("put_events(#{ time: \"soon\" })", "put_events needs milliseconds or a text"),
    ] {
        let error = run(call).unwrap_err().message;
        assert!(error.contains(says), "{call}: {error}");
    }
}

#[test]
fn time_ids_and_chance_come_from_the_event() {
    let body =
        "log(now()); log(uuid()); log(uuid()); log(`${random()}`); log(random(1, 6)); log(random(5, 5));";
    let (one, other) = (run(body).unwrap(), run(body).unwrap());
    assert_eq!(one, other);
    let lines = logged(&one);
    assert_eq!(lines[0], NOW_MS.to_string());
    assert_ne!(lines[1], lines[2]);
    let (fraction, die): (f64, i64) = (lines[3].parse().unwrap(), lines[4].parse().unwrap());
    assert!((0.0..1.0).contains(&fraction) && (1..=6).contains(&die), "{lines:?}");
    assert_eq!(lines[5], "5");
    assert!(run("random(2, 1)").unwrap_err().message.contains("the smaller number first"));
}

#[test]
fn mqtt_5_properties_go_along() {
    let outcome = run("publish(\"a\", \"x\", #{ qos: 1, content_type: \"text/plain\", correlation_data: \"c\", expiry: \"1500ms\",
        is_text: true, response_topic: \"r/1\", user: #{ k: \"v\" } });")
    .unwrap();
    let Effect::Publish { properties: Some(properties), .. } = &outcome.effects[0] else {
        panic!("{:?}", outcome.effects)
    };
    let expected = PublishProperties {
        content_type: Some("text/plain".to_owned()),
        correlation_data: Some("c".into()),
        expiry_seconds: Some(2),
        is_text: true,
        response_topic: Some("r/1".to_owned()),
        user: vec![("k".to_owned(), "v".to_owned())],
    };
    assert_eq!(**properties, expected);
    for (options, says) in [
        ("#{ response_topic: \"a/#\" }", "response_topic"),
        ("#{ user: 1 }", "a map of strings as user"),
        ("#{ expiry: 5 }", "a duration"),
        ("#{ expires: \"5s\" }", "publish has no setting \"expires\""),
    ] {
        let error = run(&format!("publish(\"a\", 1, {options})")).unwrap_err().message;
        assert!(error.contains(says), "{options}: {error}");
    }
}
