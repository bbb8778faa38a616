//! What handlers get, and what they publish and log.

use std::sync::Arc;

use bytes::Bytes;
use pointsman_rules::{Effect, EmptySnapshot, Event, LogLevel, Outcome, RunError, RunErrorKind, Snapshot};

use crate::support::{compile, lifecycle, logged, message, patient, run};

fn handle(filter: &str, body: &str, event: &Event) -> Result<Outcome, Box<RunError>> {
    let engine = patient();
    let rule =
        compile(&engine, &format!("on_message(\"{filter}\", \"handle\");\nfn handle(msg) {{\n{body}\n}}"));
    let snapshot: Arc<dyn Snapshot> = Arc::new(EmptySnapshot);
    engine.run(&rule.unwrap(), 0, event, &snapshot)
}

fn published(topic: &str, payload: &'static [u8], qos: u8, retain: bool) -> Effect {
    Effect::Publish {
        topic: topic.to_owned(),
        payload: Bytes::from_static(payload),
        qos,
        retain,
        properties: None,
    }
}

#[test]
fn a_message_has_these_members() {
    let mut message = message("scores/go/ana", "{\"n\": 1}");
    message.user = Some("ana".into());
    (message.qos, message.retain) = (1, true);
    let id = message.id.to_string();
    let body = "log(`${msg.topic} ${msg.client_id} ${msg.user} ${msg.qos} ${msg.retain} ${msg.time}`);
                log(msg.id); log(msg.payload); log(msg.text()); log(msg.json.n + msg.json().n);
                log(msg.is_json); log(`${msg.params.game} ${msg.params.player}`);";
    let outcome = handle("scores/{game}/{player}", body, &Event::message(message)).unwrap();
    let payload = "{\"n\": 1}";
    assert_eq!(
        logged(&outcome),
        ["scores/go/ana c1 ana 1 true 1700000000000", &id, payload, payload, "2", "true", "go ana"]
    );
    assert!(outcome.operations > 0);
}

#[test]
fn what_is_missing_is_unit_and_what_is_wrong_can_be_caught() {
    let body = "log(msg.user == ()); log(msg.is_json);
                try { msg.json } catch (error) { log(error) }
                try { msg.text() } catch (error) { log(error) }
                log(type_of(msg.payload));";
    let outcome = handle("#", body, &Event::message(message("a", &[0xff, 0xfe][..]))).unwrap();
    assert_eq!(
        logged(&outcome),
        [
            "true",
            "false",
            "the payload is not JSON: expected value at line 1 column 1",
            "the payload is not UTF-8 text (byte 0): use `msg.payload`, which is then a blob",
            "blob"
        ]
    );
}

#[test]
fn a_lifecycle_event_has_these_members() {
    let engine = patient();
    let source = "on_disconnect(\"bye\");
        fn bye(event) {
            log(`${event.client_id} ${event.reason} ${event.ip == ()} ${event.version_number}`);
            log(`${event.session_id} ${event.client_initiated} ${event.filters.len} ${event.time}`);
        }";
    let rule = compile(&engine, source).unwrap();
    let mut lifecycle = lifecycle("c9");
    lifecycle.reason = Some("CONNECTION_LOST".to_owned());
    lifecycle.filters = vec!["a/#".to_owned()];
    let snapshot: Arc<dyn Snapshot> = Arc::new(EmptySnapshot);
    let outcome = engine.run(&rule, 0, &Event::disconnect(lifecycle), &snapshot).unwrap();
    assert_eq!(logged(&outcome), ["c9 CONNECTION_LOST true 1", "s1 false 1 1700000000000"]);
}

#[test]
fn values_are_published_in_their_natural_form() {
    let outcome = run("publish(\"t\", \"text é\"); publish(\"t\", #{ b: [1, 2.5, true, ()], a: 'x' });
        publish(\"t\", blob(2, 7)); publish(\"t\", 42); publish(\"t\", msg.raw, #{ qos: 1, retain: true });
        publish(\"t\", \"\", #{ qos: 2 });")
    .unwrap();
    assert_eq!(
        outcome.effects,
        [
            published("t", "text é".as_bytes(), 0, false),
            published("t", b"{\"a\":\"x\",\"b\":[1,2.5,true,null]}", 0, false),
            published("t", &[7, 7], 0, false),
            published("t", b"42", 0, false),
            published("t", b"{}", 1, true),
            published("t", b"", 2, false),
        ]
    );
}

#[test]
fn publish_refuses_what_cannot_be_sent() {
    for (call, expected) in [
        ("publish(\"\", 1)", "topic is empty"),
        ("publish(\"a/+\", 1)", "only filters may have wildcards"),
        ("publish(\"$aws/x\", 1)", "those topics belong to the server"),
        ("publish(\"a\", 1, #{ qos: 3 })", "needs 0, 1 or 2 as qos, not 3"),
        ("publish(\"a\", 1, #{ qos: \"1\" })", "needs a whole number as qos"),
        ("publish(\"a\", 1, #{ qso: 1 })", "publish has no setting \"qso\": it has content_type"),
        ("publish(\"a\", [blob()])", "a blob has no JSON form"),
        ("publish(\"a\", 1.0 / 0.0)", "has no JSON form"),
        ("log(\"loud\", 1)", "log has no level \"loud\""),
    ] {
        let error = run(&format!("let a = 1;\n{call};")).unwrap_err();
        assert!(error.message.contains(expected), "{call} gave {error}");
        assert_eq!((error.kind, error.line), (RunErrorKind::Thrown, 4), "{call}");
    }
}

#[test]
fn lines_go_to_the_log() {
    let outcome = run("log(\"warn\", \"hot\"); log(7); print(\"p\"); debug(\"d\");").unwrap();
    let log = |level, text: &str| Effect::Log { level, text: text.to_owned() };
    assert_eq!(
        outcome.effects,
        [
            log(LogLevel::Warn, "hot"),
            log(LogLevel::Info, "7"),
            log(LogLevel::Info, "p"),
            log(LogLevel::Debug, "\"d\"")
        ]
    );
}

#[test]
fn json_is_read_and_written() {
    let outcome = run("log(to_json(#{ b: 1, a: [()] })); log(#{ x: 1 }.to_json());
        log(parse_json(\"{\\\"a\\\": 5}\").a);
        try { parse_json(\"{\") } catch (error) { log(error) }")
    .unwrap();
    let error = "the text is not JSON: EOF while parsing an object at line 1 column 1";
    assert_eq!(logged(&outcome), ["{\"a\":[null],\"b\":1}", "{\"x\":1}", "5", error]);
}

#[test]
fn constants_are_seen_in_every_function() {
    let engine = patient();
    let source = "const ROOMS = [\"a\", \"b\"]; const MAX = 3; const BOTH = MAX + 1;
        on_message(\"#\", \"f\");
        fn f(msg) { log(inner()); let MAX = 9; log(MAX); }
        fn inner() { `${ROOMS.len} ${MAX} ${BOTH}` }";
    let rule = compile(&engine, source).unwrap();
    let snapshot: Arc<dyn Snapshot> = Arc::new(EmptySnapshot);
    let outcome = engine.run(&rule, 0, &Event::message(message("a", "")), &snapshot).unwrap();
    assert_eq!(logged(&outcome), ["2 3 4", "9"]);
}

#[test]
fn a_failure_names_the_innermost_place() {
    let engine = patient();
    let source = "on_message(\"#\", \"outer\");\nfn outer(msg) {\n  inner(msg)\n}\nfn inner(msg) {\n  throw \"bad\";\n}";
    let rule = compile(&engine, source).unwrap();
    let snapshot: Arc<dyn Snapshot> = Arc::new(EmptySnapshot);
    let error = engine.run(&rule, 0, &Event::message(message("a", "")), &snapshot).unwrap_err();
    assert_eq!((error.rule.as_str(), error.handler.as_str()), ("test", "outer"));
    assert_eq!(error.version, rule.version);
    assert_eq!(error.to_string(), "test.rhai:6:3: bad\n    throw \"bad\";\n    ^");
    let error = run("msg.no_such_thing").unwrap_err();
    assert_eq!((error.kind, error.line), (RunErrorKind::Type, 3), "{error}");
}

#[test]
fn the_variables_in_scope_of_a_failure_are_told() {
    let source = "on_message(\"#\", \"f\");\nfn f(msg) { let a = 1; for b in 0..9 { g(a + b, msg.text()); } }\n\
                  fn g(count, text) { let long = text; long.pad(500, \"x\"); if count > 3 { throw long; } }";
    let engine = patient();
    let rule = compile(&engine, source).unwrap();
    let nothing: Arc<dyn Snapshot> = Arc::new(EmptySnapshot);
    let event = Event::message(message("a", "hi"));
    let variables = engine.variables_at_failure(&rule, 0, &event, &nothing);
    let names: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.len())).collect();
    assert_eq!(names, [("count", 1), ("text", 4), ("long", 203)], "{variables:?}");
    assert_eq!(variables[0].1, "4");
    let fine = compile(&engine, "on_message(\"#\", \"f\"); fn f(msg) { }").unwrap();
    assert!(engine.variables_at_failure(&fine, 0, &event, &nothing).is_empty());
}
