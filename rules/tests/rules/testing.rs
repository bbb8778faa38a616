//! Tests of rules: what they can say, and how they fail.

use std::sync::Arc;

use pointsman_rules::testing::{TestLimits, TestReport, run_tests};
use pointsman_rules::{CompileError, Engine, RuleName};

use crate::support::patient;

/// Counts what comes, and fails on one word.
const RULE: &str = r#"
on_message("in/{room}", "hear");
on_connect("hello");
on_event(#{ source: ["shop"] }, "sold");
on_change("stock", "changed");
every("10s", "tick");
on_batch("many/#", "bunch");
fn sold(event) { publish("sold", event.detail.what); }
fn changed(change) { publish("changed", change.kind); }
fn tick(event) { publish("ticked", "" + event.time); }
fn bunch(batch) { publish("bunch", "" + batch.len); }
fn hear(msg) {
    if msg.text() == "bad" { throw "that word is bad"; }
    let count = table("counts").get(msg.params.room);
    count = if count == () { 1 } else { count.n + 1 };
    table("counts").put(msg.params.room, #{ n: count });
    log("heard " + msg.text());
    publish("out/" + msg.params.room, #{ n: count, from: msg.client_id }, #{ qos: 1 });
}
fn hello(event) { publish("hello/" + event.client_id, "hi"); }
"#;

fn try_run(tests: &str, limits: TestLimits) -> Result<TestReport, CompileError> {
    let engine = Arc::new(patient());
    let rule = engine.compile(&RuleName::parse("case").unwrap(), "case.rhai", RULE).unwrap();
    run_tests(&engine, &Arc::new(rule), "case.test.rhai", tests, limits)
}

fn run(tests: &str) -> TestReport {
    try_run(tests, TestLimits::default()).unwrap_or_else(|error| panic!("{error}"))
}

/// Runs one test with this body; gives what it failed with.
fn failure(body: &str) -> String {
    let report = run(&format!("fn test_it() {{\n{body}\n}}"));
    let failure = report.tests[0].failure.as_ref();
    failure.map(ToString::to_string).unwrap_or_default()
}

#[test]
fn the_tests_of_the_bundled_rules_pass() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/rules");
    let engine: Arc<Engine> = Arc::new(patient());
    let mut tested = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let Some(stem) = path.to_string_lossy().strip_suffix(".test.rhai").map(str::to_owned) else {
            continue;
        };
        let name = stem.rsplit('/').next().unwrap().to_owned();
        let source = std::fs::read_to_string(format!("{stem}.rhai")).unwrap();
        let rule = engine.compile(&RuleName::parse(&name).unwrap(), &name, &source).unwrap();
        let tests = std::fs::read_to_string(&path).unwrap();
        let report = run_tests(&engine, &Arc::new(rule), &name, &tests, TestLimits::default());
        let report = report.unwrap_or_else(|error| panic!("{error}"));
        if let Some((test, failure)) = report.failures().next() {
            panic!("{}: {failure}", test.name);
        }
        tested += report.tests.len();
    }
    assert!(tested >= 10, "{tested}");
}

#[test]
fn a_test_says_what_happens_and_what_is_to_come_of_it() {
    let report = run(r#"
        const ROOM = "a";
        fn setup() { given("counts", ROOM, #{ n: 4 }); }
        fn test_a_message_is_counted() {
            publish("in/a", "one");
            expect_published("out/a", #{ n: 5, from: "client" }, #{ qos: 1, retain: false });
            expect_row("counts", ROOM, "", #{ n: 5 });
            expect_log("heard one");
            expect_nothing();
            publish("in/a", "two", #{ client_id: "eve", qos: 1, user: "eve" });
            expect_published("out/a", #{ n: any(), from: "eve" });
            expect_effect(#{ effect: "put", value: #{ n: 6 } });
            expect_not_published("other/#");
            assert_eq(row("counts", ROOM), #{ n: 6 });
        }
        fn test_other_events() {
            connect("c1");
            expect_published("hello/c1", "hi");
            event(#{ kind: "message", topic: "in/b", payload: #{ x: 1 } });
            expect_published("out/b");
            assert(effects().len == 3);
            event(#{ kind: "bus", source: "shop", detail_type: "sale", detail: #{ what: "hat" } });
            expect_published("sold", "hat");
            event(#{ kind: "change", table: "stock", hash: "h", after: 5 });
            expect_published("changed", "INSERT");
            event(#{ kind: "tick" });
            expect_published("ticked");
            event(#{ kind: "batch", messages: [
                #{ kind: "message", topic: "many/a" }, #{ kind: "message", topic: "many/b" },
            ] });
            expect_published("bunch", "2");
            let before = now();
            wait("5s");
            assert_eq(now() - before, 5000);
            publish("in/a", "bad");
            expect_error("word is bad");
            assert_eq(row("counts", ROOM), #{ n: 4 });
        }
    "#);
    assert_eq!(report.failures().map(|(_, failure)| failure.to_string()).collect::<Vec<_>>(), [""; 0]);
    let names: Vec<_> = report.tests.iter().map(|test| (test.name.as_str(), test.events)).collect();
    assert_eq!(names, [("a message is counted", 2), ("other events", 7)]);
}

#[test]
fn a_failure_says_where_and_how_it_differs() {
    let text = failure("publish(\"in/a\", \"x\");\nexpect_published(\"out/a\", #{ n: 2, from: any() });");
    let expected = "case.test.rhai:3:1: what is published to \"out/a\" is something else\n  \
                    expect_published(\"out/a\", #{ n: 2, from: any() });\n  ^\n  - expected   + actual";
    assert!(text.starts_with(expected), "{text}");
    assert!(text.contains("\n  -     \"n\": 2\n") && text.contains("\n  +     \"n\": 1\n"), "{text}");
    assert!(text.contains("      \"from\": \"client\""), "{text}");
    for (body, parts) in [
        (
            "publish(\"in/a\", \"x\"); expect_published(\"b\");",
            vec!["nothing is published to \"b\"", "out/a"],
        ),
        ("publish(\"in/a\", \"x\"); expect_nothing();", vec!["something is done", "counts", "out/a"]),
        ("publish(\"in/a\", \"x\"); expect_not_published(\"out/+\");", vec!["this is published"]),
        ("publish(\"in/a\", \"x\"); expect_published(\"out/a\", any(), #{ qos: 0 });", vec!["\"qos\": 1"]),
        ("publish(\"in/a\", \"x\"); expect_row(\"counts\", \"a\", \"\", #{ n: 9 });", vec!["\"n\": 9"]),
        ("expect_row(\"counts\", \"a\", \"\");", vec!["has no row"]),
        ("given(\"counts\", \"a\", 1); expect_no_row(\"counts\", \"a\", \"\");", vec!["has row"]),
        ("publish(\"in/a\", \"x\"); expect_error(\"\");", vec!["did not fail"]),
        ("publish(\"in/a\", \"bad\");", vec!["2:1", "the rule failed", "case.rhai:13:", "that word is bad"]),
        ("publish(\"in/a\", \"bad\"); connect(\"c\");", vec!["that word is bad"]),
        ("publish(\"in/a\", \"bad\"); expect_error(\"good\");", vec!["something else"]),
        ("publish(\"other\", \"\");", vec!["the rule listens to no such event"]),
        ("publish(\"in/a\", \"\", #{ qos: 3 });", vec!["qos is 3"]),
        ("publish(\"in/a\", \"\", #{ color: 3 });", vec!["unknown field `color`"]),
        ("event(#{ kind: \"x\" });", vec!["there is no kind"]),
        ("assert(1 == 2, \"one is not two\");", vec!["one is not two"]),
        ("assert_eq([1, 2], [1, 3]);", vec!["not equal", "-   3", "+   2"]),
        ("throw \"out\";", vec!["out"]),
        ("try { assert(false); } catch { }", vec!["it is not so"]),
        ("at(5);", vec!["time goes forward only"]),
        ("wait(\"soon\");", vec!["no duration"]),
        ("publish(\"in/a\", \"x\"); expect_log(\"saw\");", vec!["no line of the log"]),
    ] {
        let text = failure(body);
        for part in parts {
            assert!(text.contains(part), "{body}\n  gave: {text}\n  not: {part}");
        }
    }
}

#[test]
fn numbers_are_equal_as_numbers() {
    assert_eq!(failure("assert_eq(#{ a: 1 }, #{ a: 1.0 }); assert_eq(any(), 5);"), "");
}

#[test]
fn what_can_be_known_before_a_run_is_refused() {
    for (tests, part) in [
        ("fn tests() {}", "there is no test here"),
        ("fn test_it(x) {}", "a test has none"),
        ("fn test_it() { expect_publish(\"a\"); }", "no function `expect_publish`"),
        ("fn test_it() { nobody }", "there is no variable `nobody`"),
        ("fn test_it() {", "case.test.rhai:1:"),
        ("publish(\"in/a\", 1); fn test_it() {}", "only in a test"),
    ] {
        let error = try_run(tests, TestLimits::default()).unwrap_err().to_string();
        assert!(error.contains(part), "{tests}: {error}");
    }
}

#[test]
fn a_test_keeps_to_its_limits() {
    let first = |tests: &str, limits: TestLimits| {
        let report = try_run(tests, limits).unwrap_or_else(|error| panic!("{error}"));
        report.tests.last().unwrap().failure.as_ref().map(ToString::to_string).unwrap_or_default()
    };
    let limits = TestLimits::default();
    let few = TestLimits { events_max: 2, operations_max: 200, ..limits };
    assert!(first("fn test_it() { loop { } }", few).contains("operations_max"));
    assert!(first("fn test_it() { for i in 0..3 { connect(\"c\"); } }", few).contains("more than 2 events"));
    let late = TestLimits { file_time_max: std::time::Duration::ZERO, ..limits };
    assert!(first("fn test_a() { } fn test_b() { }", late).contains("not run"));
    let one = TestLimits { tests_max: 1, ..limits };
    assert!(try_run("fn test_a() { } fn test_b() { }", one).unwrap_err().to_string().contains("at most 1"));
}
