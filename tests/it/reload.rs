//! Rule files while the server runs: saved, broken, mended, endless, suspended, taken up again.

use pointsman_tests::{QoS, TestServer, eventually};

const FIRST: &str =
    r#"on_message("ask", "answer"); fn answer(msg) { publish("out", "first", #{ qos: 1 }); }"#;
const SECOND: &str =
    r#"on_message("ask", "answer"); fn answer(msg) { publish("out", "second", #{ qos: 1 }); }"#;
const BROKEN: &str = "on_message(\"ask\", \"answer\");\nfn answer(msg) {\n    let = 3;\n}\n";

async fn server() -> TestServer {
    TestServer::builder().without_bundled_rules().rule("case", FIRST).start().await
}

async fn ask(server: &TestServer) -> String {
    let mut client = server.mqtt("asker").await;
    client.subscribe("out", QoS::AtLeastOnce).await;
    client.publish("ask", "").await;
    client.recv_on("out").await.text().to_owned()
}

#[tokio::test]
async fn a_saved_rule_takes_effect_without_a_restart() {
    let server = server().await;
    assert_eq!(ask(&server).await, "first");
    server.write_rule("case", SECOND).await;
    assert_eq!(ask(&server).await, "second");
}

#[tokio::test]
async fn a_broken_file_keeps_the_version_before_and_says_where_it_is_wrong() {
    let server = server().await;
    server.write_rule("case", BROKEN).await;
    let status = server.status().await;
    let error = status["brokenRules"][0]["error"].as_str().unwrap_or_default();
    let place = format!("{}:3:", server.rule_file("case").display());
    assert!(error.starts_with(&place), "file, line and column first: {error}");
    assert!(error.contains("let = 3;"), "and the line itself: {error}");
    assert_eq!(ask(&server).await, "first");
    server.write_rule("case", SECOND).await;
    assert_eq!(server.status().await["brokenRules"], serde_json::json!([]));
    assert_eq!(ask(&server).await, "second");
}

#[tokio::test]
async fn a_rule_that_is_broken_from_the_start_is_not_active_and_others_are() {
    let server =
        TestServer::builder().without_bundled_rules().rule("good", FIRST).rule("wrong", BROKEN).start().await;
    assert_eq!(server.started().broken_rules.len(), 1);
    assert!(
        server.started().broken_rules[0].contains("wrong.rhai:3:"),
        "{:?}",
        server.started().broken_rules
    );
    assert_eq!(ask(&server).await, "first");
}

#[tokio::test]
async fn rules_come_and_go_with_their_files() {
    let server = server().await;
    let more = r#"on_message("more", "more"); fn more(msg) { publish("out", "more", #{ qos: 1 }); }"#;
    server.write_rule("more", more).await;
    let mut client = server.mqtt("client").await;
    client.subscribe("out", QoS::AtLeastOnce).await;
    client.publish("more", "").await;
    assert_eq!(client.recv_on("out").await.text(), "more");
    std::fs::remove_file(server.rule_file("more")).expect("the file was there");
    eventually("the rule is gone with its file", async || {
        let rules = server.status().await["rules"].clone();
        if rules.as_array().is_some_and(|rules| rules.len() == 1) { Ok(()) } else { Err(rules) }
    })
    .await;
    client.publish("more", "").await;
    client.expect_silence().await;
}

/// Runs for ever on `trap`, if that is what the payload says.
const ENDLESS: &str = r#"
    on_message("trap", "fall");
    fn fall(msg) {
        if msg.text() == "fall" { loop { } }
        publish("out", "escaped " + msg.text(), #{ qos: 1 });
    }
"#;

/// The same without the loop.
const MENDED: &str = r#"
    on_message("trap", "fall");
    fn fall(msg) { publish("out", "mended " + msg.text(), #{ qos: 1 }); }
"#;

#[tokio::test]
async fn an_endless_script_is_stopped_and_the_others_go_on() {
    let server =
        TestServer::builder().without_bundled_rules().rule("case", FIRST).rule("trap", ENDLESS).start().await;
    let mut client = server.mqtt("client").await;
    client.subscribe("out", QoS::AtLeastOnce).await;
    client.publish("trap", "fall").await;
    client.publish("ask", "").await;
    assert_eq!(client.recv_on("out").await.text(), "first");
    client.publish("trap", "nothing").await;
    assert_eq!(client.recv_on("out").await.text(), "escaped nothing");
}

async fn is_suspended(server: &TestServer, name: &str) -> bool {
    let status = server.status().await;
    let rules = status["rules"].as_array().cloned().unwrap_or_default();
    rules.iter().any(|rule| rule["name"] == name && rule["suspended"] == true)
}

#[tokio::test]
async fn a_suspended_rule_resumes_with_what_was_put_aside_when_its_file_is_mended() {
    let mut server = TestServer::builder()
        .without_bundled_rules()
        .rule("case", FIRST)
        .rule("trap", ENDLESS)
        .config(|config| config.rules.overruns_max = 3)
        .start()
        .await;
    let mut client = server.mqtt("client").await;
    client.subscribe("out", QoS::AtLeastOnce).await;
    for _ in 0..3 {
        client.publish("trap", "fall").await;
    }
    eventually("the rule is suspended", async || {
        if is_suspended(&server, "trap").await { Ok(()) } else { Err(server.status().await) }
    })
    .await;
    for word in ["one", "two"] {
        client.publish("trap", word).await;
    }
    eventually("both events are put aside", async || {
        let parked = server.status().await["parkedEvents"].clone();
        if parked == 2 { Ok(()) } else { Err(parked) }
    })
    .await;
    assert_eq!(ask(&server).await, "first", "the other rule goes on");
    assert_eq!(client.recv_on("out").await.text(), "first");
    server.write_rule("trap", MENDED).await;
    assert_eq!(client.recv_on("out").await.text(), "mended one");
    assert_eq!(client.recv_on("out").await.text(), "mended two");
    client.publish("trap", "three").await;
    assert_eq!(client.recv_on("out").await.text(), "mended three");
    server.stop().await;
}

#[tokio::test]
async fn what_was_put_aside_outlives_a_restart() {
    let mut server = TestServer::builder()
        .without_bundled_rules()
        .rule("trap", ENDLESS)
        .config(|config| config.rules.overruns_max = 1)
        .start()
        .await;
    let mut client = server.mqtt("client").await;
    client.publish("trap", "fall").await;
    eventually("the rule is suspended", async || {
        if is_suspended(&server, "trap").await { Ok(()) } else { Err("it is not") }
    })
    .await;
    client.publish("trap", "kept").await;
    drop(client);
    server.stop().await;
    server.save_rule("trap", MENDED);
    // The subscriber is there before the rule publishes: a rule of its own asks again until it has come.
    server.save_rule(
        "memory",
        r#"
        on_message("out", "keep"); on_message("recall", "recall");
        fn keep(msg) { table("memory").put("out", msg.id, msg.text()); }
        fn recall(msg) {
            let all = [];
            for row in table("memory").query("out") { all.push(row.value); }
            publish("recalled", all, #{ qos: 1 });
        }
    "#,
    );
    server.restart().await;
    let mut client = server.mqtt("client").await;
    client.subscribe("recalled", QoS::AtLeastOnce).await;
    eventually("the mended rule has handled what was put aside", async || {
        client.publish("recall", "").await;
        let all = client.recv_on("recalled").await.json();
        if all == serde_json::json!(["mended kept"]) { Ok(()) } else { Err(all) }
    })
    .await;
}
