//! Plans and the interpreter are asked the same, and must not differ.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseResult, TestRunner};

use crate::effect::Outcome;
use crate::engine::Engine;
use crate::error::CompileError;
use crate::event::{Event, Message};
use crate::event_id::EventId;
use crate::limits::Limits;
use crate::rule::{Rule, RuleName};
use crate::snapshot::{EmptySnapshot, Snapshot};

fn engine(limits: Limits) -> Engine {
    Engine::new(limits, || Duration::ZERO)
}

/// A rule with this body of its handler.
fn compile(engine: &Engine, body: &str) -> Result<Rule, CompileError> {
    let source = format!(
        "const TITLE = \"Pointsman\"; const NUMBERS = [1, 2.5, ()];\n\
         on_message(\"chat/{{room}}\", \"hear\");\nfn hear(msg) {{ {body} }}\n\
         fn another(msg) {{ publish(\"another\", msg.json); }}\nfn hear(msg, twice) {{ hear(msg); }}\n"
    );
    engine.compile(&RuleName::parse("planned").unwrap(), "planned.rhai", &source)
}

fn rule_of(engine: &Engine, body: &str) -> Rule {
    compile(engine, body).unwrap_or_else(|error| panic!("{error}"))
}

fn message(payload: impl Into<Bytes>) -> Event {
    Event::message(Message {
        topic: "chat/lobby".into(),
        client_id: "client".into(),
        user: None,
        payload: payload.into(),
        qos: 1,
        retain: false,
        time_ms: 1_700_000_000_000,
        id: EventId::from_u128(7),
    })
}

/// What the plan does; `None` if it gives up, or there is none. Panics if the interpreter would do something else.
fn planned(engine: &Engine, rule: &Rule, event: &Event) -> Option<Outcome> {
    let snapshot: Arc<dyn Snapshot> = Arc::new(EmptySnapshot);
    let planned = engine.run_planned(rule, 0, event, &snapshot)?;
    match engine.interpret(rule, 0, event, &snapshot) {
        Ok(outcome) => assert_eq!(planned.effects, outcome.effects, "{}", rule.source()),
        Err(error) => panic!("a plan did {planned:?} for what fails:\n{error}\n{}", rule.source()),
    }
    Some(planned)
}

/// Whether the plan of a handler with this body answers for a payload. Panics if there is none.
fn answers(body: &str, payload: &str) -> bool {
    let engine = engine(Limits::default());
    let rule = rule_of(&engine, body);
    assert!(rule.has_plan(0), "no plan of {body}");
    planned(&engine, &rule, &message(payload.to_owned())).is_some()
}

#[test]
fn simple_handlers_need_no_interpreter() {
    let said = r#"{"room":"lobby","n":3,"t":21.5,"meta":{"page":"é","tags":["a", 1.0]},"esc":"a\"b"}"#;
    for body in [
        "",
        "publish(`chat/pub/${msg.json.room}`, msg.raw);",
        "let said = msg.json; publish(\"a/\" + said.room, #{ text: said.text, at: msg.time, page: said.meta.page });",
        "let said = msg.json; table(\"t\").put(said.room, msg.id, #{ n: said.n }, #{ ttl: \"7d\" });",
        "let rows = table(\"t\"); rows.put(msg.params.room, msg.json);",
        "if msg.json.t > 20 && !(msg.json.n != 3) { publish(\"warm\", msg.json.meta, #{ qos: msg.qos, retain: true }); }",
        "if \"nobody\" in msg.json || msg.user != () { return; } publish(TITLE, [NUMBERS, msg.json.t]);",
        "let user = msg.user ?? msg.json.user ?? \"guest\"; publish(\"a\", `${user} is ${type_of(user)}`);",
        "publish(msg.json().room, msg.text());",
        "let esc = msg.json.esc; publish(\"a\", esc); publish(\"a\", #{ esc: esc, n: msg.json.n + msg.size });",
    ] {
        assert!(answers(body, said), "{body}");
    }
}

#[test]
fn what_is_not_certain_is_for_the_interpreter() {
    for (body, payload) in [
        ("let said = msg.json;", "no JSON"),
        ("let said = msg.json;", r#"{"a":"\ud800"}"#),
        ("let said = msg.json;", r#"{"a":1e999}"#),
        ("publish(msg.json.topic, 1);", r#"{"topic":"a/+"}"#),
        ("publish(msg.json.topic, 1);", r#"{"topic":"$SYS/a"}"#),
        ("publish(msg.json.topic, 1);", r#"{"topic":5}"#),
        ("publish(msg.json.topic, 1);", "{}"),
        ("publish(\"a\", msg.json.meta.page);", r#"{"meta":"text"}"#),
        ("publish(\"a\", msg.json.meta.page);", "{}"),
        ("publish(\"a\", `${msg.json.t}`);", r#"{"t":1.5}"#),
        ("if msg.json.n { publish(\"a\", 1); }", r#"{"n":1}"#),
        ("publish(\"a\", 1, #{ qos: msg.json.n });", r#"{"n":3}"#),
        ("publish(\"a\", msg.json.n + 1);", r#"{"n":9223372036854775807}"#),
        ("table(\"t\").put(msg.json.key, 1);", r#"{"key":""}"#),
        ("table(\"t\").put(msg.json.key, 1);", r#"{"key":"a\u0000b"}"#),
        ("table(\"t\").put(msg.json.key, 1);", r#"{"key":[]}"#),
        ("publish(\"a\", #{ raw: msg.raw });", "{}"),
    ] {
        assert!(!answers(body, payload), "{body} of {payload}");
    }
}

#[test]
fn a_plan_gives_up_what_may_take_long() {
    let blank = format!("[{}]", " ".repeat(15_000));
    let many = |times: usize| format!("publish(\"a\", [{}]);", "msg.json, ".repeat(times));
    assert!(answers(&many(50), &blank));
    assert!(!answers(&many(80), &blank), "each is read anew");
    let text = "x".repeat(15_000);
    assert!(answers("publish(\"a\", `${msg.payload}`);", &text));
    assert!(!answers("publish(\"a\", `${msg.payload}${msg.payload}`);", &text), "it is too long a text");
    assert!(!answers("publish(\"a\", [msg.payload, msg.payload]);", &text), "so are both together");
    let escaped = format!(r#"{{"a":"{text}\n"}}"#);
    let compares = |times: usize| "if msg.json.a == \"x\" { return; }".repeat(times);
    assert!(answers(&compares(60), &escaped));
    assert!(!answers(&compares(80), &escaped), "each time what is escaped is read anew");
    let engine = engine(Limits::default());
    let looks_at = |members: usize| {
        let each = (0..members).map(|member| format!("let it = msg.json.m{member};"));
        rule_of(&engine, &each.collect::<String>()).has_plan(0)
    };
    assert!(looks_at(60) && !looks_at(70), "each member of a payload is compared with all of these");
}

#[test]
fn a_plan_makes_nothing_too_deep() {
    for (times, is_answered) in [(7, true), (9, false)] {
        let deeper = "let value = [[[[[[[[value]]]]]]]];".repeat(times);
        let body = format!("let value = msg.time; {deeper} publish(\"a\", value);");
        assert_eq!(answers(&body, ""), is_answered, "{times} times 8");
    }
}

#[test]
fn what_has_no_plan_is_for_the_interpreter() {
    for body in [
        "let n = 1; n += 1; publish(\"a\", n);",
        "for n in 0..3 { publish(\"a\", n); }",
        "throw \"no\";",
        "return msg.json;",
        "publish(\"a\", msg.json.text.to_upper());",
        "publish(\"a\", msg.json.json());",
        "publish(\"a\", msg.text);",
        "publish(\"a\", msg.json?.text);",
        "table(\"t\").delete(\"a\");",
        "put_events([]);",
        "publish(\"a\", 1, #{ content_type: \"text/plain\" });",
        "table(msg.topic).put(\"a\", 1);",
        "let put = msg; publish(\"a\", put.time);",
        "publish(\"a\", 1.0 / 0.0);",
    ] {
        let engine = engine(Limits::default());
        assert!(!rule_of(&engine, body).has_plan(0), "{body}");
    }
}

#[test]
fn a_plan_gives_up_at_the_limits() {
    let check = |change: fn(&mut Limits), body: &str, payload: &str| {
        let mut limits = Limits::default();
        change(&mut limits);
        let engine = engine(limits);
        let rule = rule_of(&engine, body);
        let snapshot: Arc<dyn Snapshot> = Arc::new(EmptySnapshot);
        let event = message(payload.to_owned());
        assert_eq!(engine.run_planned(&rule, 0, &event, &snapshot), None, "{body}");
        engine.run(&rule, 0, &event, &snapshot).unwrap_err();
    };
    let twice = "publish(\"a\", 1); publish(\"a\", 2);";
    check(|limits| limits.effects_max = 1, twice, "");
    check(|limits| limits.effect_bytes_max = 3, twice, "");
    check(|limits| limits.operations_max = 30, &twice.repeat(20), "");
    check(|limits| limits.variables_max = 2, "let a = 1; let b = 2; publish(\"a\", b);", "");
    check(|limits| limits.variables_max = 2, "{ let a = 1; let b = 2; publish(\"a\", b); }", "");
    check(|limits| limits.payload_bytes_max = 5, "publish(\"a\", msg.json);", "[1,2,3]");
    check(|limits| limits.array_len_max = 4, "publish(\"a\", msg.json);", "[1,2,3,4,5]");
    check(|limits| limits.map_len_max = 2, "publish(\"a\", #{ a: msg.json });", "{\"a\":1,\"b\":2}");
    check(|limits| limits.string_bytes_max = 40, "publish(\"a\", `${msg.id}${msg.id}`);", "");
    check(|limits| limits.key_bytes_max = 9, "table(\"t\").put(msg.topic, 1);", "");
}

/// Parts of handlers. What they say need not make sense: most fail for some payloads.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "msg.topic",
        "msg.client_id",
        "msg.user",
        "msg.qos",
        "msg.retain",
        "msg.time",
        "msg.id",
        "msg.size",
        "msg.is_json",
        "msg.payload",
        "msg.text()",
        "msg.json().b",
        "msg.raw",
        "msg.params.room",
        "msg.params.none",
        "msg.json",
        "msg.json.a",
        "msg.json.b",
        "msg.json.c",
        "said",
        "said.a",
        "said.b",
        "said.c.a",
        "said.c.b",
        "kept",
        "TITLE",
        "NUMBERS",
        "1",
        "-7",
        "2.5",
        "()",
        "true",
        "\"\"",
        "\"a\"",
        "\"é\\n\\\"\"",
        "#{}",
        "[]",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(2, 6, 2, |inner| {
        let pair = (inner.clone(), inner.clone());
        prop_oneof![
            (
                pair.clone(),
                prop::sample::select(vec!["==", "!=", "<", ">", "<=", ">=", "+", "&&", "||", "??"])
            )
                .prop_map(|((left, right), operator)| format!("({left} {operator} {right})")),
            pair.clone().prop_map(|(a, c)| format!("#{{ c: {c}, a: {a}, \"é \\\"\": 1 }}")),
            pair.prop_map(|(left, right)| format!("[{left}, {right}]")),
            inner.clone().prop_map(|value| format!("`<${{{value}}}>`")),
            inner.clone().prop_map(|value| format!("type_of({value})")),
            inner.prop_map(|value| format!("!{value}")),
            Just("(\"a\" in said)".to_owned()),
            Just("!(\"b\" in said.c)".to_owned()),
        ]
    })
}

fn statement() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        4 => value().prop_map(|value| format!("publish(\"t\", {value});")),
        2 => (value(), value()).prop_map(|(topic, value)| format!("publish({topic}, {value});")),
        2 => value().prop_map(|value| format!("publish(`t/${{{value}}}`, 1, #{{ qos: msg.qos, retain: true }});")),
        1 => (value(), value()).prop_map(|(key, value)| format!("table(\"t\").put({key}, {value});")),
        1 => (value(), value())
            .prop_map(|(key, value)| format!("table(\"t\").put(\"h\", {key}, {value}, #{{ ttl: \"5m\" }});")),
        1 => value().prop_map(|value| format!("let kept = {value};")),
        1 => value().prop_map(|value| format!("let said = {value};")),
        1 => Just("return;".to_owned()),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        let block = prop::collection::vec(inner, 0..3).prop_map(|statements| statements.concat());
        prop_oneof![
            (value(), block.clone(), block.clone())
                .prop_map(|(condition, then, or)| format!("if {condition} {{ {then} }} else {{ {or} }}")),
            block.prop_map(|block| format!("{{ {block} }}")),
        ]
    })
}

fn payload() -> impl Strategy<Value = String> {
    let object = prop::collection::vec(json(), 3)
        .prop_map(|values| format!("{{\"a\":{},\"b\":{},\"c\":{}}}", values[0], values[1], values[2]));
    prop_oneof![4 => object, 1 => json()]
}

fn json() -> impl Strategy<Value = String> {
    let right = prop::sample::select(vec![
        "null",
        "true",
        "false",
        "0",
        "-0",
        "7",
        "-12",
        "2.50",
        "1e3",
        "123456789012345678",
        "9223372036854775807",
        "18446744073709551615",
        "\"\"",
        "\"a\"",
        "\"a/b\"",
        "\"\\u0041\\n\"",
        "\"\\ud83d\\ude00\"",
        "\"é🚂\u{7f}\"",
        "[ ]",
        "{ }",
    ]);
    let wrong = prop::sample::select(vec!["nonsense", "1e999", "\"\\ud800\"", "01", "\"\u{1}\""]);
    let leaf = prop_oneof![40 => right, 1 => wrong];
    leaf.prop_map(str::to_owned).prop_recursive(3, 12, 4, |inner| {
        let name = prop::sample::select(vec!["a", "b", "c", "\\u0061"]);
        let member = (name, inner.clone()).prop_map(|(name, value)| format!("\"{name}\" : {value}"));
        prop_oneof![
            4 => prop::collection::vec(member, 0..5).prop_map(|members| format!(" {{{}}}", members.join(" ,"))),
            1 => prop::collection::vec(inner, 0..3).prop_map(|elements| format!("[{}] ", elements.join(", "))),
        ]
    })
}

#[test]
fn plans_and_the_interpreter_never_differ() {
    const CASES: u32 = 4_000;
    let engine = engine(Limits::default());
    let (planned_count, answered) = (Cell::new(0), Cell::new(0));
    let case = (prop::collection::vec(statement(), 1..4), prop::collection::vec(payload(), 4));
    let run = |(statements, payloads): (Vec<String>, Vec<String>)| -> TestCaseResult {
        let body = format!("let said = msg.json; let kept = msg.size; {}", statements.concat());
        // Some of it is refused when it is saved, such as a map for a condition.
        let Ok(rule) = compile(&engine, &body) else { return Ok(()) };
        planned_count.set(planned_count.get() + u32::from(rule.has_plan(0)));
        for payload in payloads {
            let is_answered = planned(&engine, &rule, &message(payload)).is_some();
            answered.set(answered.get() + u32::from(is_answered));
        }
        Ok(())
    };
    let config = Config { failure_persistence: None, ..Config::with_cases(CASES) };
    TestRunner::new(config).run(&case, run).unwrap_or_else(|error| panic!("{error}"));
    println!(
        "of {CASES} handlers {} had plans, which answered {} times",
        planned_count.get(),
        answered.get()
    );
    assert!(planned_count.get() > CASES / 4 && answered.get() > CASES / 4, "the cases are worth little");
}
