//! What rules are promised: every message once, over every end of the server, in order, or a dead letter that says why.

use std::sync::Arc;
use std::time::Duration;

use pointsman::store::{Query, RealDisk, Row, Store, StoreOptions};
use pointsman_tests::{Client, Endpoints, QoS, ServerProcess, TestServer, eventually, within};
use serde_json::{Value, json};

/// A debug build on a busy machine takes longer than a rule may by default.
const PATIENT: &str = "run_time_max_ms = 10000\noperations_max = 10000000\n";

/// Takes its time over each message, counts it, and tells the next rule, which counts too.
const SLOW: &str = r#"
    on_message("work/+", "work");
    on_message("ask", "ask");
    fn work(msg) {
        let n = 0;
        while n < 30000 { n += 1; }
        add("worked");
        publish("next", msg.payload, #{ qos: 1 });
    }
    fn ask(msg) {
        publish("told", #{ worked: table("count").get("worked"), next: table("count").get("next") }, #{ qos: 1 });
    }
    fn add(name) {
        let old = table("count").get(name);
        table("count").put(name, if old == () { 1 } else { old + 1 });
    }
"#;

const NEXT: &str = r#"
    on_message("next", "count");
    fn count(msg) {
        let old = table("count").get("next");
        table("count").put("next", if old == () { 1 } else { old + 1 });
    }
"#;

/// Asks as the client that published: a rule handles what one client says in order, so all before is handled.
async fn told(server: &Endpoints, client_id: &str) -> Value {
    let mut client = server.mqtt(client_id).await;
    client.subscribe("told", QoS::AtLeastOnce).await;
    client.publish("ask", "").await;
    client.recv_on("told").await.json()
}

/// Publishes `count` messages, each acknowledged.
async fn publish_all(server: &Endpoints, count: usize) {
    let mut client = server.mqtt("worker").await;
    for number in 0..count {
        client.publish("work/now", number.to_string()).await;
    }
}

async fn expect_counts(server: &Endpoints, count: usize) {
    assert_eq!(told(server, "worker").await["worked"], count, "handled by the first rule, once each");
    // What rules publish comes from no client: its order is its own.
    eventually("the second rule has handled what the first published", async || {
        let next = told(server, "worker").await["next"].clone();
        if next == count { Ok(()) } else { Err(next) }
    })
    .await;
}

#[tokio::test]
async fn an_acknowledged_message_is_handled_once_whatever_ends_the_server() {
    const EACH: usize = 40;
    let mut server = ServerProcess::start_with(env!("CARGO_BIN_EXE_server"), PATIENT).await;
    server.add_rule("slow", SLOW).await;
    server.add_rule("next", NEXT).await;
    publish_all(&server, EACH).await;
    server.kill().await;
    server.run().await;
    assert!(
        server.stderr().contains("left undone"),
        "the kill came before all was handled: {}",
        server.stderr()
    );
    expect_counts(&server, EACH).await;
    publish_all(&server, EACH).await;
    server.restart().await;
    expect_counts(&server, 2 * EACH).await;
    // Nothing is left to be done again.
    server.restart().await;
    expect_counts(&server, 2 * EACH).await;
    assert!(!server.stderr().contains("left undone"), "{}", server.stderr());
}

/// Saves a rule and waits until it is active.
#[tokio::test]
async fn a_new_trigger_begins_with_what_comes_after_it() {
    const COUNT: &str = r#"
        on_message("late", "count"); on_message("ask", "ask");
        fn count(msg) { let old = table("n").get("n"); table("n").put("n", if old == () { 1 } else { old + 1 }); }
        fn ask(msg) { publish("told", #{ n: table("n").get("n") }, #{ qos: 1 }); }
    "#;
    const OTHER: &str = r#"on_message("late", "ignore"); fn ignore(msg) { }"#;
    let mut server = patient().rule("other", OTHER).start().await;
    let mut client = server.mqtt("client").await;
    client.publish("late", "before").await;
    server.write_rule("count", COUNT).await;
    client.publish("late", "after").await;
    assert_eq!(told(&server, "client").await["n"], 1);
    server.restart().await;
    assert_eq!(told(&server, "client").await["n"], 1, "a restart is no reason to begin before");
}

#[tokio::test]
async fn one_clients_messages_are_handled_in_order() {
    const MESSAGES: i64 = 60;
    const ECHO: &str = r#"on_message("in/+", "echo"); fn echo(msg) { publish("out/" + msg.client_id, msg.payload, #{ qos: 1 }); }"#;
    let server = patient().rule("echo", ECHO).start().await;
    let mut listeners = Vec::new();
    let mut publishers = Vec::new();
    for name in ["a", "b", "c"] {
        let mut listener = server.mqtt(&format!("listener-{name}")).await;
        listener.subscribe(&format!("out/{name}"), QoS::AtLeastOnce).await;
        listeners.push(listener);
        let mut publisher = server.mqtt(name).await;
        publishers.push(tokio::spawn(async move {
            for number in 0..MESSAGES {
                publisher.publish(&format!("in/{}", number % 5), number.to_string()).await;
            }
        }));
    }
    for listener in &mut listeners {
        for number in 0..MESSAGES {
            assert_eq!(listener.recv().await.json(), number);
        }
    }
    for publisher in publishers {
        publisher.await.expect("a publisher publishes");
    }
}

#[tokio::test]
async fn every_trigger_that_matches_handles_a_message_once() {
    const TWO: &str = r#"
        on_message("a/+", "wide"); on_message("a/b", "narrow");
        fn wide(msg) { publish("out", "wide", #{ qos: 1 }); }
        fn narrow(msg) { publish("out", "narrow", #{ qos: 1 }); }
    "#;
    const THIRD: &str = r#"
        on_message("a/#", "all");
        fn all(msg) { publish("out", "all", #{ qos: 1 }); }
    "#;
    let server = patient().rule("two", TWO).rule("third", THIRD).start().await;
    let mut client = server.mqtt("client").await;
    client.subscribe("out", QoS::AtLeastOnce).await;
    client.publish("a/b", "").await;
    let mut heard = Vec::new();
    for _ in 0..3 {
        heard.push(client.recv_on("out").await.text().to_owned());
    }
    heard.sort();
    assert_eq!(heard, ["all", "narrow", "wide"]);
    client.expect_silence().await;
}

#[tokio::test]
async fn the_servers_own_tables_are_refused() {
    const THIEF: &str = r#"
        on_message("try/{what}", "attempt");
        fn attempt(msg) {
            let own = table("_triggers");
            switch msg.params.what {
                "get" => own.get("thief"),
                "query" => own.query("thief"),
                "put" => own.put("thief", 1),
                "delete" => own.delete("thief"),
                "new" => table("_mine").put("thief", 1),
                _ => {}
            }
            publish("out", msg.params.what, #{ qos: 1 });
        }
    "#;
    let mut server = patient().rule("thief", THIEF).start().await;
    let mut client = server.mqtt("client").await;
    client.subscribe("out", QoS::AtLeastOnce).await;
    for what in ["get", "query", "put", "delete", "new", "nothing"] {
        client.publish(&format!("try/{what}"), "").await;
    }
    assert_eq!(client.recv_on("out").await.text(), "nothing", "none of the others came through");
    client.disconnect().await;
    server.stop().await;
    let letters = dead_letters(&server, "thief");
    assert_eq!(letters.len(), 5);
    for letter in letters {
        assert!(letter["message"].as_str().is_some_and(|text| text.contains("the server's own")), "{letter}");
    }
}

fn patient() -> pointsman_tests::ServerBuilder {
    TestServer::builder().without_bundled_rules().config(|config| {
        config.rules.run_time_max_ms = 10_000;
    })
}

/// The dead letters of a rule, oldest first, read from the data of a server that has stopped.
fn dead_letters(server: &TestServer, rule: &str) -> Vec<Value> {
    let options = StoreOptions::new(&server.config().data.directory);
    // A clock that stands still: what the server kept for seven days has not ended.
    let clock = Arc::new(|| u64::try_from(Duration::from_secs(1_700_000_000).as_millis()).unwrap_or(0));
    let store = Store::open(options, clock, Arc::new(RealDisk)).expect("the data of a stopped server opens");
    let rows = store.query("_dead_letters", "letters", &Query::default());
    let json = |row: Row| -> Value { serde_json::from_slice(&row.value).expect("a dead letter is JSON") };
    let letters = rows.expect("the tables can be read").into_iter().map(json);
    letters.filter(|letter| letter["rule"] == rule).collect()
}

#[tokio::test]
async fn what_a_rule_fails_on_is_kept_as_a_dead_letter() {
    const FAILING: &str = "on_message(\"bad\", \"fail\");\nfn fail(msg) {\n    throw \"on purpose\";\n}\n";
    let mut server = patient().rule("failing", FAILING).start().await;
    let mut client = server.mqtt("client").await;
    client.publish("bad", "what it said").await;
    client.disconnect().await;
    server.stop().await;
    let letters = dead_letters(&server, "failing");
    assert_eq!(letters.len(), 1, "{letters:?}");
    let letter = &letters[0];
    for (key, wanted) in [
        ("rule", json!("failing")),
        ("handler", json!("fail")),
        ("file", json!(server.rule_file("failing").display().to_string())),
        ("line", json!(3)),
        ("message", json!("on purpose")),
    ] {
        assert_eq!(letter[key], wanted, "{key} of {letter}");
    }
    for (key, wanted) in [
        ("topic", json!("bad")),
        ("client_id", json!("client")),
        ("qos", json!(1)),
        ("payload", json!("what it said")),
    ] {
        assert_eq!(letter["event"][key], wanted, "{key} of {letter}");
    }
}

#[tokio::test]
async fn the_log_says_where_a_rule_failed_and_nothing_of_the_payload() {
    const FAILING: &str =
        "on_message(\"bad\", \"fail\");\nfn fail(msg) {\n    let share = 1 / (msg.size - msg.size);\n}\n";
    let mut server = ServerProcess::start_with(env!("CARGO_BIN_EXE_server"), PATIENT).await;
    server.add_rule("failing", FAILING).await;
    server.mqtt("client").await.publish("bad", "a secret of the client").await;
    let logged = server.terminate().await.stderr;
    let place = format!("{}:3:", server.rule_file("failing").display());
    for words in
        ["a rule failed", "rule=failing", "handler=fail", &place, "let share = 1 / (msg.size - msg.size);"]
    {
        assert!(logged.contains(words), "it should say {words:?}: {logged}");
    }
    assert!(!logged.contains("a secret"), "{logged}");
}

/// A handler for each limit, which goes over it.
const GREEDY: &str = r#"
    on_message("over/{limit}", "over");
    fn deep(n) { deep(n + 1) }
    fn hold(text) {
        let a = text + "a"; let b = text + "b"; let c = text + "c"; let d = text + "d"; let e = text + "e";
        hold(text)
    }
    fn over(msg) {
        switch msg.params.limit {
            "operations_max" => { loop { } }
            "call_depth_max" => deep(0),
            "string_bytes_max" => { let text = "0123456789abcdef"; loop { text += text; } }
            "array_len_max" => { let all = []; loop { all.push(1); } }
            "map_len_max" => { let all = #{}; let n = 0; loop { all[`${n}`] = n; n += 1; } }
            "run_memory_bytes_max" => { let text = "x"; text.pad(8000, "x"); hold(text) }
            "effects_max" => { let n = 0; loop { publish(`out/${n}`, n); n += 1; } }
            _ => publish("out/right", "x", #{ qos: 1 })
        }
    }
"#;

#[tokio::test]
async fn every_limit_of_a_run_ends_it_and_says_its_name() {
    let limits = [
        "operations_max",
        "call_depth_max",
        "string_bytes_max",
        "array_len_max",
        "map_len_max",
        "effects_max",
        "run_memory_bytes_max",
    ];
    let patient = patient().config(|config| {
        config.rules.overruns_max = 100;
        config.rules.operations_max = 100_000;
        config.rules.run_memory_bytes_max = 1 << 20;
    });
    let mut server = patient.rule("greedy", GREEDY).start().await;
    let mut client: Client = server.mqtt("client").await;
    client.subscribe("out/#", QoS::AtLeastOnce).await;
    for limit in limits {
        client.publish(&format!("over/{limit}"), "").await;
    }
    client.publish("over/none", "").await;
    assert_eq!(client.recv().await.topic, "out/right");
    client.disconnect().await;
    server.stop().await;
    let letters = dead_letters(&server, "greedy");
    let messages: Vec<_> = letters.iter().filter_map(|letter| letter["message"].as_str()).collect();
    assert_eq!(messages.len(), limits.len(), "{messages:?}");
    for (message, limit) in messages.into_iter().zip(limits) {
        assert!(message.contains(limit), "the limit {limit} should be named: {message}");
    }
}

/// Rules slower than their publishers hold the publishers up, and not themselves.
#[tokio::test]
async fn a_flood_of_what_rules_want_is_handled_at_the_rules_own_pace() {
    const MESSAGES: usize = 3_000;
    let rule = r#"
        on_message("in/#", "echo");
        fn echo(msg) { publish("out", msg.payload); }
    "#;
    let server = TestServer::builder()
        .without_bundled_rules()
        .rule("echo", rule)
        .config(|config| {
            config.limits.spine_bytes_max = 64 * 1024;
            config.rules.queue_events_max = 16;
            config.rules.run_time_max_ms = 10_000;
        })
        .start()
        .await;
    let mut listener = server.mqtt("listener").await;
    listener.subscribe("out", QoS::AtMostOnce).await;
    let mut publisher = server.mqtt("publisher").await;
    for number in 0..MESSAGES {
        publisher.send("in/flood", format!("{number:0200}")).await;
    }
    let heard = within("every message is answered", async {
        for number in 0..MESSAGES {
            assert_eq!(listener.recv().await.text(), format!("{number:0200}"));
        }
    });
    heard.await;
}

#[tokio::test]
async fn parked_messages_max_holds_and_what_comes_then_is_a_dead_letter() {
    const TRAP: &str = r#"
        on_message("trap", "fall");
        fn fall(msg) {
            if msg.text() == "fall" { loop { } }
            publish("out", msg.text(), #{ qos: 1 });
        }
    "#;
    let builder = TestServer::builder().without_bundled_rules().rule("trap", TRAP).config(|config| {
        config.rules.overruns_max = 1;
        config.rules.parked_messages_max = 2;
    });
    let mut server = builder.start().await;
    let mut client = server.mqtt("client").await;
    client.subscribe("out", QoS::AtLeastOnce).await;
    client.publish("trap", "fall").await;
    eventually("the rule is suspended", async || {
        let status = server.status().await;
        if status["rules"][0]["suspended"] == true { Ok(()) } else { Err(status) }
    })
    .await;
    for word in ["one", "two", "three", "four"] {
        client.publish("trap", word).await;
    }
    eventually("two are put aside and two are turned away", async || {
        let parked = server.metric("pointsman_rule_events_parked").await;
        let turned_away = server.metric("pointsman_rule_events_turned_away_total").await;
        if (parked, turned_away) == (2, 2) { Ok(()) } else { Err(format!("{parked}, {turned_away}")) }
    })
    .await;
    server.write_rule("trap", &TRAP.replace("loop { }", "return;")).await;
    assert_eq!(client.recv_on("out").await.text(), "one");
    assert_eq!(client.recv_on("out").await.text(), "two");
    client.publish("trap", "five").await;
    assert_eq!(client.recv_on("out").await.text(), "five", "what was turned away is not run");
    client.disconnect().await;
    server.stop().await;
    let letters = dead_letters(&server, "trap");
    let payloads: Vec<&Value> = letters.iter().map(|letter| &letter["event"]["payload"]).collect();
    assert_eq!(payloads, ["fall", "three", "four"]);
    let message = letters[1]["message"].as_str().unwrap_or_default();
    assert!(message.contains("parked_messages_max (2)"), "{message}");
}
