//! Drafts of rules beside the active version: on what the log holds, and on what comes.

use pointsman_tests::{Operator, QoS, ServerProcess, eventually, run_server};
use serde_json::{Value, json};

use crate::rule_tools::PICKY;

const SERVER: &str = env!("CARGO_BIN_EXE_server");

#[tokio::test]
async fn a_draft_is_compared_on_what_was_recorded() {
    let operator = Operator::with_rule("case", PICKY).await;
    let mut client = operator.listener().await;
    for word in ["good", "bad", "good"] {
        client.publish("in", word).await;
    }
    operator.letters(1).await;
    let replay = async |draft: &str| {
        let answer = operator.post("/api/rules/case/replay?since=1h", draft).await;
        assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
        answer.json()
    };
    let same = replay(PICKY).await;
    assert_eq!(
        (&same["matched"], &same["same"], &same["activeFailed"]),
        (&json!(3), &json!(3), &json!(1)),
        "{same}"
    );
    let other = replay(&PICKY.replace("!= \"good\"", "== \"\"")).await;
    assert_eq!((&other["different"], &other["draftFailed"]), (&json!(1), &json!(0)), "{other}");
    let difference = &other["differences"][0];
    assert_eq!(
        (&difference["event"]["payload"], &difference["active"][0]["error"]["message"]),
        (&json!("bad"), &json!("it is bad"))
    );
    assert_eq!(difference["draft"][0]["effects"][1]["payload"], "bad 3");
    assert_eq!(client.recv_on("out").await.text(), "good 1");
    assert_eq!(client.recv_on("out").await.text(), "good 2");
    client.expect_silence().await;
    operator.letters(1).await;
    let none = operator.post("/api/rules/case/replay?since=0s", PICKY).await.json();
    assert_eq!(none["matched"], 0, "{none}");
    let wrong = operator.post("/api/rules/case/replay", "fn x() {").await;
    assert_eq!(wrong.status.as_u16(), 422, "{wrong:?}");
}

#[tokio::test]
async fn a_draft_is_compared_on_what_comes() {
    let operator = Operator::with_rule("case", PICKY).await;
    let mut client = operator.listener().await;
    // It listens to more than the active version does, and at QoS 0.
    let draft = PICKY.replace(
        "on_message(\"in\", \"take\");",
        "on_message(\"in\", \"take\"); on_message(\"more\", \"take\");",
    );
    let shadow = operator.post("/api/rules/case/shadow?for=3s", &draft);
    let traffic = async {
        for _ in 0..20 {
            client.publish("in", "good").await;
            client.send("more", "good").await;
            client.recv_on("out").await;
        }
    };
    let (answer, ()) = tokio::join!(shadow, traffic);
    assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
    let found = answer.json();
    // What came before it had begun it has not seen.
    let count = |name: &str| found[name].as_u64().expect("a count");
    assert!(count("same") > 0 && count("different") > 0, "{found}");
    assert_eq!(count("matched"), count("same") + count("different"), "{found}");
    assert!(
        found["differences"].as_array().expect("a list").iter().all(|it| it["event"]["topic"] == "more"),
        "{found}"
    );
    client.expect_silence().await;
}

/// Takes what comes by twos, and is called ten times a second.
const GATHERING: &str = r#"
    on_batch("in/#", #{ max_messages: 2, max_delay: "60s" }, "take");
    every("100ms", "tick");
    fn take(batch) { publish("out", `${batch.len}`, #{ qos: 1 }); }
    fn tick(tick) { }
"#;

/// A server whose rule has taken two batches of five messages, and has one message left.
async fn with_batches() -> Operator {
    let operator = Operator::with_rule("case", GATHERING).await;
    let mut client = operator.listener().await;
    for number in 0..5 {
        client.publish(&format!("in/{number}"), "x").await;
    }
    for _ in 0..2 {
        assert_eq!(client.recv_on("out").await.text(), "2");
    }
    operator
}

async fn replay(operator: &Operator, draft: &str) -> Value {
    let answer = operator.post("/api/rules/case/replay?since=1h", draft).await;
    assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
    answer.json()
}

async fn replay_until(operator: &Operator, draft: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    eventually(what, async || {
        let found = replay(operator, draft).await;
        if is_so(&found) { Ok(found) } else { Err(found) }
    })
    .await
}

#[tokio::test]
async fn a_replay_forms_batches_and_calls_at_the_times_in_between() {
    let operator = with_batches().await;
    let has_times = |found: &Value| found["times"].as_u64() >= Some(3);
    let found = replay_until(&operator, GATHERING, "some times have come", has_times).await;
    let counts = |found: &Value| ["batches", "incomplete", "different"].map(|name| found[name].clone());
    assert_eq!(counts(&found), [2, 1, 0].map(Value::from), "{found}");
    assert_eq!(found["matched"].as_u64(), found["times"].as_u64().map(|times| times + 2), "{found}");
    assert_eq!((&found["notCompared"], &found["timesLeftOut"]), (&json!([]), &json!(0)), "{found}");
    // Another handler of the same batches is compared batch by batch.
    let other = replay(&operator, &GATHERING.replace("`${batch.len}`", "`${batch.len} of them`")).await;
    assert_eq!(counts(&other), [2, 1, 2].map(Value::from), "{other}");
    let difference = &other["differences"][0];
    let topics = |event: &Value| {
        event["messages"].as_array().map(|all| all.iter().map(|it| it["topic"].clone()).collect::<Vec<_>>())
    };
    assert_eq!(topics(&difference["event"]), Some(vec![json!("in/0"), json!("in/1")]), "{difference}");
    assert_eq!(
        (&difference["active"][0]["effects"][0]["payload"], &difference["draft"][0]["effects"][0]["payload"]),
        (&json!("2"), &json!("2 of them"))
    );
    // So are times: what is random is the same for both, as they are called with one event.
    let drawn = "fn tick(tick) { log(uuid()); }";
    let loud = GATHERING.replace("fn tick(tick) { }", drawn);
    let other = replay(&operator, &loud).await;
    assert_eq!(other["different"], other["times"], "{other}");
    operator
        .server
        .write_rule("case", &loud.replace("\"tick\"", "\"renamed\"").replace("fn tick", "fn renamed"))
        .await;
    let same =
        replay_until(&operator, &loud, "the renamed one is active", |found| found["different"] == 0).await;
    assert!(has_times(&same), "{same}");
}

#[tokio::test]
async fn what_only_one_version_is_called_with_is_no_difference() {
    let operator = with_batches().await;
    let draft = GATHERING
        .replace("max_messages: 2", "max_messages: 4")
        .replace("every(\"100ms\"", "every(\"300ms\"")
        .replace("fn tick(tick) { }", "fn tick(tick) { throw `oh`; }");
    let has_times = |found: &Value| found["times"].as_u64() >= Some(8);
    let found = replay_until(&operator, &draft, "some times have come", has_times).await;
    for name in ["matched", "different", "draftFailed"] {
        assert_eq!(found[name], 0, "{name}: {found}");
    }
    let apart = found["notCompared"].as_array().expect("a list");
    let of = |whose: &str, handler: &str| {
        let it = apart.iter().find(|it| it["whose"] == whose && it["handler"] == handler);
        it.unwrap_or_else(|| panic!("{whose} {handler}: {found}"))
    };
    assert_eq!(apart.len(), 4, "{found}");
    let batches = |it: &Value| ["runs", "failed", "effects"].map(|name| it[name].clone());
    assert_eq!(batches(of("draft", "take")), [1, 0, 1].map(Value::from), "{found}");
    assert_eq!(batches(of("active", "take")), [2, 0, 2].map(Value::from), "{found}");
    assert_eq!(of("draft", "take")["example"]["run"]["effects"][0]["payload"], "4", "{found}");
    let why = of("draft", "take")["why"].as_str().expect("a text");
    assert!(
        why.contains("the active version forms other batches") && why.contains("max_messages 2"),
        "{why}"
    );
    let [runs, failed, effects] = batches(of("draft", "tick"));
    assert!(runs.as_u64() >= Some(1) && runs == failed && effects == 0, "{found}");
    assert_eq!(of("active", "tick")["why"], "the draft is not called at these times");
}

#[tokio::test]
async fn times_of_a_replay_are_bounded_and_what_is_left_out_is_counted() {
    let operator = Operator::with_rule("case", r#"every("100ms", "f"); fn f(tick) { }"#).await;
    let rule = r#"every("100ms", "f"); fn f(tick) { }"#;
    let found = replay(&operator, rule).await;
    let count = |name: &str| found[name].as_u64().expect("a count");
    assert_eq!((count("times"), count("timesMax"), count("same")), (5_000, 5_000, 5_000), "{found}");
    assert!((30_900..=31_001).contains(&count("timesLeftOut")), "{found}");
}

#[tokio::test]
async fn the_commands_show_batches_and_times_of_drafts() {
    let server = ServerProcess::start(SERVER).await;
    server.add_rule("case", GATHERING).await;
    let draft = server.directory().join("case.rhai");
    let text =
        GATHERING.replace("`${batch.len}`", "`${batch.len} of them`").replace("\"100ms\"", "\"200ms\"");
    std::fs::write(&draft, text).expect("written");
    let (draft, config) = (draft.display().to_string(), server.config_file().display().to_string());
    let run = async |arguments: &[&str]| {
        let arguments = [&["rules"], arguments, &["--config", &config]].concat();
        run_server(SERVER, &arguments, server.directory()).await
    };
    let mut client = server.mqtt("client").await;
    client.subscribe("out", QoS::AtLeastOnce).await;
    let arguments = ["shadow", &draft, "--for", "3s"];
    let shadow = run(&arguments);
    let traffic = async {
        for _ in 0..20 {
            for _ in 0..2 {
                client.publish("in/1", "x").await;
            }
            client.recv_on("out").await;
        }
    };
    let (shadow, ()) = tokio::join!(shadow, traffic);
    let replay = run(&["replay", &draft, "--since", "1h"]).await;
    for output in [shadow, replay] {
        assert!(output.status.success(), "{output:?}");
        let said = |part: &str| output.stdout.contains(part);
        assert!(said("among the events are ") && !said(" 0 batches") && !said(" 0 times"), "{output:?}");
        assert!(said("2 of them"), "{output:?}");
        assert!(
            said("not compared: draft tick of every(\"200ms\"): the active version is not called"),
            "{output:?}"
        );
        assert!(said("not compared: active tick of every(\"100ms\"): the draft is not called"), "{output:?}");
    }
}
