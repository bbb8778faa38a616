//! What surrounds rules: tests that stand before activation, versions and the way back, dead letters.

use std::path::Path;

use pointsman_tests::{Client, Operator, ServerProcess, TestServer, eventually, run_server};
use serde_json::{Value, json};

const SERVER: &str = env!("CARGO_BIN_EXE_server");

/// Answers `ask` with a word.
fn answering(word: &str) -> String {
    format!(
        "on_message(\"ask\", \"answer\");\nfn answer(msg) {{ publish(\"out\", \"{word}\", #{{ qos: 1 }}); }}\n"
    )
}

/// Fails on any payload but `good`, and counts what it takes.
pub(crate) const PICKY: &str = r#"
    on_message("in", "take");
    fn take(msg) {
        let text = msg.text();
        if text != "good" { throw `it is ${text}`; }
        let count = table("taken").get("all");
        count = if count == () { 1 } else { count + 1 };
        table("taken").put("all", count);
        publish("out", `${text} ${count}`, #{ qos: 1 });
    }
"#;

async fn ask(client: &mut Client) -> String {
    client.publish("ask", "").await;
    client.recv_on("out").await.text().to_owned()
}

#[tokio::test]
async fn a_version_whose_tests_fail_is_not_activated() {
    let operator = Operator::with_rule("case", &answering("first")).await;
    let mut client = operator.listener().await;
    let tests = "fn test_it_answers() { publish(\"ask\", \"\"); expect_published(\"out\", \"first\"); }";
    std::fs::write(operator.server.rule_file("case.test"), tests).expect("written");
    operator.server.write_rule("case", &answering("second")).await;
    let broken = operator.server.status().await["brokenRules"].clone();
    let error = broken[0]["error"].as_str().unwrap_or_default();
    for part in ["1 of its tests failed", "it answers", "case.test.rhai:1:", "something else"] {
        assert!(error.contains(part), "{part}: {broken}");
    }
    assert_eq!(ask(&mut client).await, "first");
    // The mended tests let it in, with no change of the rule.
    let tests = tests.replace("first", "second");
    std::fs::write(operator.server.rule_file("case.test"), tests).expect("written");
    eventually("the second version is active", async || {
        let status = operator.server.status().await;
        if status["brokenRules"] == json!([]) { Ok(()) } else { Err(status) }
    })
    .await;
    assert_eq!(ask(&mut client).await, "second");
}

#[tokio::test]
async fn versions_are_kept_and_one_comes_back() {
    let mut operator = Operator::with_rule("case", &answering("first")).await;
    let mut client = operator.listener().await;
    operator.server.write_rule("case", &answering("second")).await;
    let saved = operator.put("/api/rules/case?note=third%20time", &answering("third")).await;
    assert_eq!(saved.status.as_u16(), 200, "{saved:?}");
    assert_eq!(ask(&mut client).await, "third");
    let versions = operator.get("/api/rules/case/versions").await["versions"].clone();
    let told: Vec<_> =
        versions.as_array().expect("a list").iter().map(|v| (&v["number"], &v["author"])).collect();
    assert_eq!(
        told,
        [(&json!(3), &json!("admin")), (&json!(2), &json!("file")), (&json!(1), &json!("file"))]
    );
    assert_eq!(versions[0]["note"], "third time");
    let diff = operator.get("/api/rules/case/diff?from=1&to=2").await["lines"].clone();
    assert!(diff.to_string().contains("first") && diff.to_string().contains("second"), "{diff}");

    let wrong = operator.put("/api/rules/case", "fn x() {").await;
    assert_eq!((wrong.status.as_u16(), &wrong.json()["title"]), (422, &json!("Not activated")), "{wrong:?}");
    let answer = operator.post("/api/rules/case/rollback?version=1", "").await;
    assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
    assert_eq!(ask(&mut client).await, "first");
    let text = std::fs::read_to_string(operator.server.rule_file("case")).expect("it is there");
    assert_eq!(text, answering("first"), "disk and server agree");
    assert_eq!(operator.get("/api/rules/case/versions").await["versions"][0]["note"], "rollback to 1");

    // A file that is bad at a start leaves the version of before in place.
    operator.server.stop().await;
    operator.server.save_rule("case", "fn x() {");
    operator.server.restart().await;
    let mut client = operator.listener().await;
    assert_eq!(ask(&mut client).await, "first");
    assert_eq!(operator.server.status().await["brokenRules"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_change_of_the_library_makes_new_versions_of_who_uses_it() {
    let rule = "on_message(\"ask\", \"answer\");\nfn answer(msg) { publish(\"out\", word(), #{ qos: 1 }); }";
    let operator = Operator::with_rule("case", &answering("none")).await;
    let mut client = operator.listener().await;
    let library = operator.server.rule_file("case").with_file_name("lib");
    std::fs::create_dir(&library).expect("made");
    let write = |word: &str| {
        std::fs::write(library.join("words.rhai"), format!("fn word() {{ \"{word}\" }}")).expect("written");
    };
    write("first");
    operator.server.write_rule("case", rule).await;
    assert_eq!(ask(&mut client).await, "first");
    write("second one");
    eventually("the rule says the second word", async || {
        let word = ask(&mut client).await;
        if word == "second one" { Ok(()) } else { Err(word) }
    })
    .await;
    std::fs::write(library.join("words.rhai"), "fn word() {").expect("written");
    eventually("the library is broken", async || {
        let broken = operator.server.status().await["brokenRules"].clone();
        if broken.to_string().contains("words.rhai:1:") { Ok(()) } else { Err(broken) }
    })
    .await;
    assert_eq!(ask(&mut client).await, "second one", "what is broken changes nothing");
}

#[tokio::test]
async fn a_dead_letter_is_handled_again_once() {
    let mut operator = Operator::with_rule("case", PICKY).await;
    let mut client = operator.listener().await;
    client.publish("in", "bad").await;
    let letter = operator.letters(1).await.remove(0);
    assert_eq!(
        (&letter["rule"], &letter["topic"], &letter["attempts"]),
        (&json!("case"), &json!("in"), &json!(1))
    );
    assert_eq!((&letter["message"], &letter["handler"]), (&json!("it is bad"), &json!("take")));
    assert_eq!(letter["variables"]["text"], "\"bad\"", "{letter}");
    let id = letter["id"].as_str().expect("it has an id").to_owned();
    let event = operator.get(&format!("/api/dead-letters/{id}")).await["event"].clone();
    assert_eq!(
        (&event["payload"], &event["client_id"], &event["qos"]),
        (&json!("bad"), &json!("listener"), &json!(1))
    );

    // It fails again, and is kept with the count; also over a restart.
    let path = format!("/api/dead-letters/{id}/redrive");
    let answer = operator.post(&path, "").await;
    assert_eq!(answer.status.as_u16(), 422, "{answer:?}");
    operator.server.restart().await;
    assert_eq!(operator.letters(1).await[0]["attempts"], 2);

    // With another payload it goes through, once.
    let mut client = operator.listener().await;
    let answer = operator.post(&format!("{path}?edited=true"), "good").await;
    assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
    let again = operator.post(&format!("{path}?edited=true"), "good").await;
    assert_eq!(again.status.as_u16(), 404, "{again:?}");
    assert_eq!(client.recv_on("out").await.text(), "good 1");
    operator.letters(0).await;
    client.publish("in", "good").await;
    assert_eq!(client.recv_on("out").await.text(), "good 2", "the table counts it once");
}

#[tokio::test]
async fn many_at_a_time_handle_a_letter_once() {
    let operator = Operator::with_rule("case", PICKY).await;
    let mut client = operator.listener().await;
    client.publish("in", "bad").await;
    let id = operator.letters(1).await[0]["id"].as_str().expect("it has an id").to_owned();
    operator.server.write_rule("case", &PICKY.replace("!= \"good\"", "== \"\"")).await;
    let path = format!("/api/dead-letters/{id}/redrive");
    let http = operator.server.operator();
    let (a, b, c) = tokio::join!(http.post(&path, ""), http.post(&path, ""), http.post(&path, ""));
    let mut statuses = [a, b, c].map(|answer| answer.status.as_u16());
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 404, 404]);
    assert_eq!(client.recv_on("out").await.text(), "bad 1");
    client.expect_silence().await;
}

#[tokio::test]
async fn dead_letters_are_bounded_and_purged() {
    let limit = |config: &mut pointsman_config::Config| config.rules.dead_letters_max = 3;
    let server =
        TestServer::builder().without_bundled_rules().rule("case", PICKY).config(limit).start().await;
    let operator = Operator::of(server);
    let mut client = operator.listener().await;
    for index in 0..5 {
        client.publish("in", format!("bad {index}")).await;
    }
    eventually("the newest are kept", async || {
        let answer = operator.get("/api/dead-letters?rule=case").await;
        let letters = answer["letters"].as_array().cloned().unwrap_or_default();
        let whys: Vec<String> = letters.iter().map(|letter| letter["message"].to_string()).collect();
        if whys == ["\"it is bad 2\"", "\"it is bad 3\"", "\"it is bad 4\""] { Ok(()) } else { Err(answer) }
    })
    .await;
    assert_eq!(operator.server.status().await["deadLetters"], 3);
    let answer = operator.server.operator().delete("/api/dead-letters?rule=other").await;
    assert_eq!(answer.json(), json!({ "removed": 0 }));
    let answer = operator.server.operator().delete("/api/dead-letters").await;
    assert_eq!(answer.json(), json!({ "removed": 3 }));
    operator.letters(0).await;
    assert_eq!(operator.server.http().get("/api/dead-letters").await.status.as_u16(), 401);
}

#[tokio::test]
async fn a_suspended_rule_is_resumed_by_the_operator() {
    let rule = "on_message(\"in\", \"f\");\nfn f(msg) { if msg.text() == \"fall\" { loop { } } publish(\"out\", msg.text(), #{ qos: 1 }); }";
    let limit = |config: &mut pointsman_config::Config| config.rules.overruns_max = 1;
    let server = TestServer::builder().without_bundled_rules().rule("case", rule).config(limit).start().await;
    let operator = Operator::of(server);
    let mut client = operator.listener().await;
    client.publish("in", "fall").await;
    eventually("the rule is suspended", async || {
        let rules = operator.get("/api/rules").await["rules"].clone();
        if rules[0]["suspended"] == true { Ok(()) } else { Err(rules) }
    })
    .await;
    client.publish("in", "kept").await;
    let id = operator.letters(1).await[0]["id"].as_str().expect("it has an id").to_owned();
    let refused = operator.post(&format!("/api/dead-letters/{id}/redrive"), "").await;
    assert_eq!(refused.status.as_u16(), 409, "{refused:?}");
    let answer = operator.post("/api/rules/case/resume", "").await;
    assert_eq!(answer.json(), json!({ "wasSuspended": true }));
    assert_eq!(client.recv_on("out").await.text(), "kept");
    assert_eq!(operator.post("/api/rules/none/resume", "").await.status.as_u16(), 404);
}

async fn pointsman(arguments: &[&str], folder: &Path) -> pointsman_tests::Output {
    run_server(SERVER, arguments, folder).await
}

#[tokio::test]
async fn the_commands_find_the_server_and_act_for_its_operator() {
    let mut server = ServerProcess::start(SERVER).await;
    let config = server.config_file().display().to_string();
    let run = async |arguments: &[&str]| {
        let mut all = arguments.to_vec();
        all.extend(["--config", &config]);
        pointsman(&all, server.directory()).await
    };
    let listed = run(&["rules", "list"]).await;
    assert!(listed.status.success(), "{listed:?}");
    assert!(listed.stdout.contains("chat") && listed.stdout.contains("active"), "{listed:?}");
    let shown = run(&["rules", "show", "chat", "1"]).await;
    assert_eq!(shown.stdout, std::fs::read_to_string(server.rule_file("chat")).expect("it is there"));
    let changed = format!("{}\n// a change\n", shown.stdout);
    std::fs::write(server.rule_file("chat"), changed).expect("written");
    eventually("the change is a version", async || {
        let versions = run(&["rules", "list", "chat"]).await.stdout;
        if versions.lines().count() == 3 { Ok(()) } else { Err(versions) }
    })
    .await;
    let diff = run(&["rules", "diff", "chat"]).await.stdout;
    assert!(diff.contains("chat: 1 to 2") && diff.contains("+ // a change"), "{diff}");
    let back = run(&["rules", "rollback", "chat", "1", "--note", "oh"]).await;
    assert!(back.status.success(), "{back:?}");
    assert_eq!(std::fs::read_to_string(server.rule_file("chat")).expect("it is there"), shown.stdout);
    let wrong = run(&["rules", "rollback", "chat", "99"]).await;
    assert!(!wrong.status.success() && wrong.stderr.contains("kept are 1 to 3"), "{wrong:?}");
    assert!(run(&["dead-letters", "list"]).await.status.success());
    let wrong = run(&["dead-letters", "show", "none"]).await;
    assert!(!wrong.status.success() && wrong.stderr.contains("no dead letter"), "{wrong:?}");
    server.terminate().await;
    let wrong = pointsman(&["rules", "list", "--config", &config], server.directory()).await;
    assert!(!wrong.status.success() && wrong.stderr.contains("no server runs"), "{wrong:?}");
}

#[tokio::test]
async fn tests_and_single_runs_need_no_server() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
    write("case.rhai", PICKY);
    write(
        "case.test.rhai",
        "fn test_good_is_taken() { publish(\"in\", \"good\"); expect_published(\"out\", \"good 1\"); }\n",
    );
    let output = pointsman(&["rules", "test", "."], folder.path()).await;
    assert!(output.status.success(), "{output:?}");
    assert!(
        output.stdout.contains("ok case: good is taken (") && output.stdout.contains("1 passed, 0 failed"),
        "{output:?}"
    );
    write(
        "case.test.rhai",
        "fn test_good_is_taken() { publish(\"in\", \"good\"); expect_published(\"out\", \"good 2\"); }\n",
    );
    let output = pointsman(&["rules", "test", "case.rhai"], folder.path()).await;
    assert!(!output.status.success() && output.stderr.contains("1 of 1 tests failed"), "{output:?}");
    for part in
        ["FAILED case: good is taken", "case.test.rhai:1:", "- expected   + actual", "good 2", "good 1"]
    {
        assert!(output.stdout.contains(part), "{part}: {output:?}");
    }
    let output = pointsman(&["rules", "test", "case.rhai", "--json"], folder.path()).await;
    let report: Value = serde_json::from_str(&output.stdout).expect("it is JSON");
    assert_eq!((&report["failed"], &report["tests"][0]["ok"]), (&json!(1), &json!(false)), "{report}");

    write("event.json", r#"{ "kind": "message", "topic": "in", "payload": "good", "time": 1700000000000 }"#);
    write("state.json", r#"{ "taken": { "all": { "": 4 } } }"#);
    let arguments = ["rules", "run", "case.rhai", "--event", "event.json", "--table", "state.json"];
    let output = pointsman(&arguments, folder.path()).await;
    assert!(output.status.success(), "{output:?}");
    let answer: Value = serde_json::from_str(&output.stdout).expect("it is JSON");
    let effects = &answer["runs"][0]["effects"];
    assert_eq!((&effects[0]["value"], &effects[1]["payload"]), (&json!(5), &json!("good 5")), "{answer}");
    write("event.json", r#"{ "kind": "message", "topic": "in", "payload": "bad" }"#);
    let output = pointsman(&arguments, folder.path()).await;
    assert!(!output.status.success() && output.stderr.contains("case.rhai:5:"), "{output:?}");
    write("event.json", r#"{ "kind": "message" }"#);
    let output = pointsman(&arguments, folder.path()).await;
    assert!(!output.status.success() && output.stderr.contains("missing field `topic`"), "{output:?}");
}
