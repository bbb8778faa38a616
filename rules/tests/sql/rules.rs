//! Rule files: their actions, what they refuse, and the error action.

use pointsman_rules::sql::{Decided, Refused, SqlOutcome, SqlRule, SqlRunError};
use pointsman_rules::{CompileError, Effect, EmptySnapshot, RuleName, RunErrorKind};
use serde_json::{Value, json};

use crate::support::{Echo, TIME_MS, Tables, message};

fn compile(text: &str) -> Result<SqlRule, CompileError> {
    SqlRule::compile(&RuleName::parse("chat").expect("a name"), "chat.sql", text)
}

fn run(text: &str, payload: &str) -> SqlOutcome {
    let rule = compile(text).unwrap_or_else(|error| panic!("{error}"));
    rule.run(&message("chat/out", payload.to_owned()), &EmptySnapshot, &Echo).expect("no table is read")
}

const ALL: &str = "
-- What a client says goes to its room, and is kept.
SELECT *, clientId() AS clientId
FROM 'chat/out'
WHERE NOT isUndefined(room)
THEN REPUBLISH 'chat/pub/${room}' QOS 1 RETAIN,
     TABLE 'chat' KEY '${room}' SORT '${timestamp()}-${clientid()}' TTL '1d',
     DELETE FROM 'typing' KEY '${clientid()}',
     EVENT SOURCE 'chat' TYPE 'said',
     NOTIFY 'news' SUBJECT 'in ${room}'
ON ERROR REPUBLISH 'errors/${topic()}'
";

#[test]
fn every_action_asks_for_its_effect() {
    let outcome = run(ALL, "{\"room\":\"lobby\"}");
    assert!(outcome.fired && outcome.failures.is_empty(), "{outcome:?}");
    let output = "{\"room\":\"lobby\",\"clientId\":\"c1\"}";
    let (text, bytes) = (str::to_owned, || bytes::Bytes::from_static(output.as_bytes()));
    let [publish, put, delete, Effect::PutEvent { bus, event }, notify] = outcome.effects.as_slice() else {
        panic!("{outcome:?}")
    };
    let topic = text("chat/pub/lobby");
    assert_eq!(*publish, Effect::Publish { topic, payload: bytes(), qos: 1, retain: true, properties: None });
    let (sort, expires_at_ms) = (format!("{TIME_MS}-c1"), Some(TIME_MS + 86_400_000));
    let row = Effect::Put { table: text("chat"), hash: text("lobby"), sort, value: bytes(), expires_at_ms };
    assert_eq!(*put, row);
    assert_eq!(*delete, Effect::Delete { table: text("typing"), hash: text("c1"), sort: String::new() });
    let event: Value = serde_json::from_slice(event).unwrap();
    assert_eq!(bus, "default");
    assert_eq!((&event["source"], &event["detail-type"]), (&json!("chat"), &json!("said")));
    assert_eq!(event["detail"], json!({ "room": "lobby", "clientId": "c1" }));
    let subject = Some(text("in lobby"));
    assert_eq!(*notify, Effect::Notify { topic: text("news"), subject, message: text(output) });
    assert_eq!(run(ALL, "{}"), SqlOutcome::default());
    let rule = compile(ALL).unwrap();
    assert_eq!(rule.filter().unwrap().as_str(), "chat/out");
    assert_eq!((rule.version.len(), rule.source()), (12, ALL));
}

#[test]
fn a_failing_action_stops_no_other_and_the_error_action_runs_once() {
    let outcome = run(ALL, "{\"room\":\"#\"}");
    assert_eq!(outcome.failures.len(), 1);
    assert_eq!(outcome.effects.len(), 5, "four others and the error action: {outcome:?}");
    let Some(Effect::Publish { topic, payload, .. }) = outcome.effects.last() else { panic!("{outcome:?}") };
    assert_eq!(topic, "errors/chat/out");
    let document: Value = serde_json::from_slice(payload).unwrap();
    let trace = document["cloudwatchTraceId"].clone();
    assert_eq!(
        document,
        json!({
            "ruleName": "chat",
            "topic": "chat/out",
            "cloudwatchTraceId": trace,
            "clientId": "c1",
            "base64OriginalPayload": "eyJyb29tIjoiIyJ9",
            "failures": [{
                "failedAction": "RepublishAction",
                "failedResource": "chat/pub/${room}",
                "errorMessage": "topic \"chat/pub/#\" holds the wildcard `#` at byte 9: only filters may have wildcards",
            }],
        })
    );
}

#[test]
fn computed_targets_are_checked() {
    let check = |action: &str, payload: &str, expected: &str| {
        let outcome = run(&format!("SELECT * FROM 'a' THEN {action}"), payload);
        assert_eq!(outcome.effects, [], "{action} {payload}");
        assert_eq!(outcome.failures[0].message, expected, "{action} {payload}");
    };
    check("REPUBLISH '${t}'", "{\"t\":\"\"}", "topic is empty: give it at least one character");
    check(
        "REPUBLISH '${t}'",
        "{\"t\":\"a+\"}",
        "topic \"a+\" holds the wildcard `+` at byte 1: only filters may have wildcards",
    );
    check(
        "REPUBLISH 'a/${t}'",
        "{\"t\":\"\\u0000\"}",
        "topic \"a/\\0\" holds the null character at byte 2: remove it",
    );
    check(
        "REPUBLISH '${t}'",
        "{\"t\":\"$aws/x\"}",
        "topic \"$aws/x\" starts with `$`, which only `$$` in the file may ask for",
    );
    check("REPUBLISH 'a/${nope}'", "{}", "${nope} has no value for this message");
    check("REPUBLISH 'a/${n}'", "{\"n\":null}", "${n} has no value for this message");
    check("TABLE 't' KEY '${k}'", "{\"k\":\"\"}", "the key is empty: name what the row belongs to");
    check(
        "TABLE 't' KEY '${k}'",
        &format!("{{\"k\":\"{}\"}}", "x".repeat(2_000)),
        "a key part has 2000 bytes: at most 1024 are allowed",
    );
    check(
        "TABLE 't' KEY 'k' SORT '${k}'",
        "{\"k\":\"\\u0000\"}",
        "a key part holds the null character: remove it",
    );
    check("TABLE 't' KEY 'k'", "no JSON", "the payload is not JSON: store encode(*, 'base64')");
    check("EVENT SOURCE '${s}' TYPE 'x'", "{\"s\":\"aws.iot\"}", "Not authorized for the source.");
    check("EVENT SOURCE 's' TYPE 'x'", "[1]", "the detail of an event must be a JSON object: select members");
    check("NOTIFY '${t}'", "{\"t\":\"\"}", "\"\" is no topic of notifications");
    let long = format!("{{\"t\":\"{}\"}}", "x".repeat(70_000));
    check(
        "REPUBLISH '${t}'",
        &long,
        "the limit TEMPLATE_BYTES_MAX is reached: select less, or split the message",
    );
    for topic in ["$aws/events/presence/connected/x", "$changes/scores", "$SYS/x"] {
        check(
            &format!("REPUBLISH '${topic}'"),
            "{}",
            &format!(
                "topic {topic:?} is for the server alone: `$$` can ask for `$aws/`, and not for `$aws/events/`"
            ),
        );
    }
    let reserved = run("SELECT * FROM 'a' THEN REPUBLISH '$$aws/${t}'", "{\"t\":\"x\"}");
    assert!(matches!(&reserved.effects[..], [Effect::Publish { topic, .. }] if topic == "$aws/x"));
}

#[test]
fn a_statement_that_cannot_be_evaluated_is_told_to_the_error_action() {
    let text = "SELECT *, 1 AS a FROM 'a' THEN REPUBLISH 'b' ON ERROR TABLE 'failures' KEY '${traceid()}'";
    let outcome = run(text, "no JSON");
    assert_eq!(outcome.failures[0].action, "Select");
    assert!(
        matches!(&outcome.effects[..], [Effect::Put { table, .. }] if table == "failures"),
        "{outcome:?}"
    );

    let rule = compile(
        "SELECT get_dynamodb('broken', 'k', 'v') AS a FROM 'a' THEN REPUBLISH 'b' ON ERROR REPUBLISH 'c'",
    )
    .unwrap();
    let error = rule.run(&message("a", "{}"), &Tables::default(), &Echo).unwrap_err();
    assert!(matches!(error, SqlRunError::Snapshot { .. }), "worth another try: {error}");
}

#[test]
fn a_failing_error_action_is_a_failure_more() {
    let outcome = run("SELECT * FROM 'a' THEN REPUBLISH '${nope}' ON ERROR REPUBLISH '${nope}'", "{}");
    assert_eq!((outcome.effects.len(), outcome.failures.len()), (0, 2));
}

#[test]
fn what_was_done_is_not_asked_for_again_and_the_rest_is_as_it_would_have_been() {
    let text = "SELECT *
FROM 'a'
THEN EVENT SOURCE 's' TYPE 'first',
     REPUBLISH 'x/${room}',
     EVENT SOURCE 's' TYPE 'second'";
    let rule = compile(text).unwrap();
    let all = rule.run(&message("a", r#"{"room": "r"}"#), &EmptySnapshot, &Echo).unwrap();
    let failed = rule.run(&message("a", "{}"), &EmptySnapshot, &Echo).unwrap();
    assert_eq!(failed.done, ["EVENT SOURCE 's' TYPE 'first'", "EVENT SOURCE 's' TYPE 'second'"]);
    assert!(!failed.is_told && all.done.is_empty());
    let failure = &failed.failures[0];
    assert_eq!((failure.line, failure.column, failure.kind), (4, 6, RunErrorKind::Thrown));
    let rest = |done: &[&str]| {
        let done: Vec<String> = done.iter().map(ToString::to_string).collect();
        let decided = Decided { done: &done, ..Decided::default() };
        rule.run_rest(&message("a", r#"{"room": "r"}"#), &EmptySnapshot, &Echo, decided).unwrap().effects
    };
    assert_eq!(rest(&[&failed.done[0], &failed.done[1]]), all.effects[1..2]);
    assert_eq!(rest(&[&failed.done[0]]), all.effects[1..], "the second event has the id that it had");
    assert_eq!(rest(&["REPUBLISH 'other'"]), all.effects);
}

#[test]
fn an_action_that_is_refused_has_failed_and_the_error_action_is_asked() {
    let text = "SELECT * FROM 'a'
THEN REPUBLISH '${nope}',
     EVENT SOURCE 's' TYPE 'first',
     EVENT SOURCE 's' TYPE 'second'
ON ERROR REPUBLISH 'errors'";
    let rule = compile(text).unwrap();
    let refusing = |actions: &[usize]| {
        let refused = |&action| Refused { action, message: "no room".to_owned() };
        let refused: Vec<Refused> = actions.iter().map(refused).collect();
        let decided = Decided { refused: &refused, ..Decided::default() };
        rule.run_rest(&message("a", "{}"), &EmptySnapshot, &Echo, decided).unwrap()
    };
    let before = refusing(&[]);
    let asked = [before.asked.nth(0), before.asked.nth(1), before.asked.nth(2), before.asked.nth(3)];
    assert_eq!(asked, [Some(1), Some(2), Some(3), None], "the error action is the last");
    let outcome = refusing(&[1]);
    assert_eq!(outcome.effects[0], before.effects[1], "the second event has the id that it had");
    assert_eq!((outcome.asked.nth(0), outcome.asked.nth(1)), (Some(2), Some(3)));
    assert_eq!(
        (outcome.done.as_slice(), outcome.is_told),
        (&["EVENT SOURCE 's' TYPE 'second'".to_owned()][..], true)
    );
    let failure = &outcome.failures[1];
    assert_eq!((failure.action, failure.message.as_str(), failure.line), ("EventAction", "no room", 3));
    let Effect::Publish { payload, .. } = &outcome.effects[1] else { panic!("{outcome:?}") };
    let document: Value = serde_json::from_slice(payload).unwrap();
    assert_eq!(document["failures"][1]["errorMessage"], "no room", "{document}");
    let untold = refusing(&[1, 3]);
    assert_eq!((untold.effects.len(), untold.failures.len(), untold.is_told), (1, 3, false), "{untold:?}");
}

#[test]
fn an_action_that_is_written_twice_is_done_twice() {
    let rule = compile("SELECT * FROM 'a' THEN REPUBLISH 'b', REPUBLISH 'b', REPUBLISH '${c}'").unwrap();
    let failed = rule.run(&message("a", "{}"), &EmptySnapshot, &Echo).unwrap();
    assert_eq!(failed.done, ["REPUBLISH 'b' QOS 0"; 2]);
    let rest = |done: &[String]| {
        let decided = Decided { done, ..Decided::default() };
        let outcome = rule.run_rest(&message("a", r#"{"c": "d"}"#), &EmptySnapshot, &Echo, decided);
        outcome.unwrap().effects.len()
    };
    assert_eq!((rest(&failed.done), rest(&failed.done[..1])), (1, 2));
}

#[test]
fn work_without_end_is_an_overrun_and_a_size_is_none() {
    let long = format!("{{\"t\":\"{}\"}}", "x".repeat(70_000));
    let size = run("SELECT * FROM 'a' THEN REPUBLISH '${t}'", &long).failures.remove(0).kind;
    assert_eq!((size, size.is_overrun()), (RunErrorKind::Limit("TEMPLATE_BYTES_MAX"), false));
    let work = run("SELECT * FROM 'a' THEN REPUBLISH '${length(replace(t, ''x'', t))}'", &long);
    let work = work.failures[0].kind;
    assert_eq!((work, work.is_overrun()), (RunErrorKind::Limit("WORK_BYTES_MAX"), true));
}

fn check_refused(text: &str, line: usize, column: usize, message: &str) {
    let error = compile(text).expect_err(text);
    assert_eq!((error.line, error.column, error.message.as_str()), (line, column, message), "{text}");
}

#[test]
fn files_are_refused_with_line_and_caret() {
    check_refused(
        "SELECT *",
        1,
        9,
        "an operator, `,`, FROM, WHERE or THEN with an action was expected, and here is the end",
    );
    check_refused(
        "SELECT *\nTHEN",
        2,
        5,
        "REPUBLISH, TABLE, DELETE, EVENT or NOTIFY was expected, and here is the end",
    );
    check_refused(
        "SELECT * THEN REPUBLISH '$aws/x'",
        1,
        26,
        "topics that start with `$` are reserved: write `$$` to mean one",
    );
    check_refused("SELECT * THEN REPUBLISH ''", 1, 26, "topic is empty: give it at least one character");
    check_refused(
        "SELECT * THEN REPUBLISH 'a/+/${b}'",
        1,
        26,
        "topic \"a/+/\" holds the wildcard `+` at byte 2: only filters may have wildcards",
    );
    check_refused("SELECT * THEN REPUBLISH 'a' QOS 3", 1, 33, "QOS is 0, 1 or 2, not 3");
    check_refused(
        "SELECT * THEN REPUBLISH 'a/${b'",
        1,
        31,
        "`}` after the expression of a template was expected, and here is the end",
    );
    check_refused(
        "SELECT *\nTHEN REPUBLISH 'a/${b c}'",
        2,
        23,
        "`}` after the expression of a template was expected, and here is `c`",
    );
    check_refused(
        "SELECT * THEN REPUBLISH 'a/${nope(1)}'",
        1,
        30,
        "there is no function `nope`: docs/SQL.md lists all of them",
    );
    let many = ["REPUBLISH 'a'"; 11].join(", ");
    check_refused(&format!("SELECT * THEN {many}"), 1, 165, "a rule has at most 10 actions");
    let shown = compile("SELECT *\nFROM 'a' THEN PUBLISH").unwrap_err().to_string();
    assert_eq!(
        shown,
        "chat.sql:2:15: REPUBLISH, TABLE, DELETE, EVENT or NOTIFY was expected, and here is `PUBLISH`\n  \
         FROM 'a' THEN PUBLISH\n                ^"
    );
}

#[test]
fn settings_of_actions_are_refused_with_their_place() {
    check_refused(
        "SELECT * THEN TABLE 'a b' KEY 'k'",
        1,
        22,
        "table name \"a b\" is not 1 to 64 characters of A-Z, a-z, 0-9, `_` and `-`",
    );
    check_refused(
        "SELECT * THEN TABLE '_x' KEY 'k'",
        1,
        22,
        "table \"_x\" is the server's own: take a name without `_` in front",
    );
    check_refused("SELECT * THEN TABLE 'x'", 1, 24, "KEY was expected, and here is the end");
    check_refused(
        "SELECT * THEN TABLE 'x' KEY 'k' TTL '1y'",
        1,
        38,
        "\"1y\" is no duration such as '10s', '5m', '2h' or '7d'",
    );
    check_refused(
        "SELECT * THEN NOTIFY ''",
        1,
        23,
        "the topic of the notification in quotes was expected, and here is an empty text",
    );
    check_refused("SELECT * THEN REPUBLISH 'a' ON FIRE", 1, 32, "ERROR was expected, and here is `FIRE`");
    check_refused(
        "SELECT * THEN REPUBLISH 'a' b",
        1,
        29,
        "a setting of the action, `,`, ON ERROR or the end was expected, and here is `b`",
    );
}

#[test]
fn the_same_message_gives_the_same_outcome() {
    let text = "SELECT newuuid() AS a, rand() AS b, traceid() AS c FROM 'a' THEN REPUBLISH 'x/${newuuid()}'";
    assert_eq!(run(text, "{}"), run(text, "{}"));
}

#[test]
fn notifications_and_events_fit_those_of_scripts() {
    let outcome = run("SELECT VALUE text FROM 'a' THEN NOTIFY 'news'", "{\"text\":\"hi \\\"you\\\"\"}");
    let said = "hi \"you\"".to_owned();
    assert_eq!(outcome.effects, [Effect::Notify { topic: "news".to_owned(), subject: None, message: said }]);
    let text =
        "SELECT newuuid() AS id FROM 'a' THEN EVENT SOURCE 's' TYPE 't' BUS 'b', EVENT SOURCE 's' TYPE 't'
                ON ERROR EVENT SOURCE 's' TYPE 'failed'";
    let rule = compile(text).unwrap();
    let message = message("a", "{}");
    let outcome = rule.run(&message, &EmptySnapshot, &Echo).unwrap();
    let ids: Vec<Value> = outcome.effects.iter().map(id_of).collect();
    assert!(ids.len() == 2 && ids[0] != ids[1], "each event has its own id: {ids:?}");
    let many = compile(&text.replace("SOURCE 's' TYPE 't' BUS 'b'", "SOURCE '${nope}' TYPE 't'")).unwrap();
    let outcome = many.run(&message, &EmptySnapshot, &Echo).unwrap();
    let ids: Vec<Value> = outcome.effects.iter().map(id_of).collect();
    assert!(ids.len() == 2 && ids[0] != ids[1], "that of the error action, too: {ids:?}");
    let subject = run("SELECT * FROM 'a' THEN NOTIFY 'news' SUBJECT '${s}'", "{\"s\":\"two\\nlines\"}");
    assert_eq!(subject.failures[0].message, "a subject is one line of at most 100 characters");
}

fn id_of(effect: &Effect) -> Value {
    let Effect::PutEvent { event, .. } = effect else { panic!("{effect:?}") };
    serde_json::from_slice::<Value>(event).expect("an event is JSON")["id"].clone()
}
