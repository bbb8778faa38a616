//! What became of a message: told by the operator's request and command.

mod then;

use pointsman_config::Config;
use pointsman_tests::{Answer, Client, QoS, ServerProcess, TestServer, eventually, run_server};
use serde_json::{Value, json};

const SERVER: &str = env!("CARGO_BIN_EXE_server");

/// Takes every order, fails on those that are bad, and tells the id of each.
const TAKE: &str = r#"
    on_message("orders/{room}", "take");
    on_message("other/#", "never");
    fn take(msg) {
        if msg.text() == "bad" { throw "it is bad"; }
        table("orders").put(msg.params.room, msg.id, msg.text());
        publish("seen", msg.id, #{ qos: 1 });
    }
    fn never(msg) { }
"#;

const FAILS: &str = "on_message(\"orders/#\", \"fail\");\nfn fail(msg) { throw \"no\"; }\n";

const LARGE: &str = "SELECT size FROM 'orders/+' WHERE size > 10 THEN REPUBLISH 'large'";

const POLICY: &str = r#"{ "Statement": [
    { "Effect": "Allow", "Action": ["connect", "publish", "subscribe", "receive"], "Resource": "*" },
    { "Effect": "Deny", "Action": "receive", "Resource": "orders/${client_id}" }
] }"#;

struct Operator {
    server: TestServer,
}

impl Operator {
    async fn start() -> Operator {
        Operator::with(|config| config.rules.explain_sample = 1).await
    }

    async fn with(change: impl FnOnce(&mut Config)) -> Operator {
        let server = TestServer::builder()
            .without_bundled_rules()
            .rule("take", TAKE)
            .rule("fails", FAILS)
            .sql("large", LARGE)
            .guest_policy(POLICY)
            .config(change);
        let server = server.start().await;
        assert!(server.started().broken_rules.is_empty(), "{}", server.started().broken_rules.join("\n"));
        Operator { server }
    }

    async fn get(&self, path: &str) -> Answer {
        self.server.operator().get(path).await
    }

    async fn explain(&self, id: &str) -> Value {
        let answer = self.get(&format!("/api/explain/{id}")).await;
        assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
        answer.json()
    }

    /// The explanation of a message, once all that it set off is noted.
    async fn explain_settled(&self, id: &str) -> Value {
        let is_settled =
            |told: &Value| named(&told["matched"], "fate").iter().all(|(_, fate)| *fate != "waiting");
        self.explain_until(id, is_settled).await
    }

    /// The explanation of a message, once it is as it is to be.
    async fn explain_until(&self, id: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        eventually("the message has come so far", async || {
            let told = self.explain(id).await;
            if is_it(&told) { Ok(told) } else { Err(told) }
        })
        .await
    }

    async fn subscriber(&self, client_id: &str) -> Client {
        let mut client = self.server.mqtt5(client_id).await;
        client.subscribe("orders/#", QoS::AtLeastOnce).await;
        client
    }
}

/// A member of each item of a list, with the rule or client that it is about.
fn named<'a>(list: &'a Value, member: &str) -> Vec<(&'a str, &'a Value)> {
    let name = |it: &'a Value| it["rule"].as_str().or(it["clientId"].as_str()).unwrap_or_default();
    list.as_array().into_iter().flatten().map(|it| (name(it), &it[member])).collect()
}

/// What is in a list for a rule or client.
fn of<'a>(list: &'a Value, name: &str) -> &'a Value {
    let is_it = |it: &&Value| it["rule"] == name || it["clientId"] == name;
    list.as_array().into_iter().flatten().find(is_it).unwrap_or_else(|| panic!("{name}: {list}"))
}

#[tokio::test]
async fn a_message_is_explained_from_rules_to_recipients() {
    let operator = Operator::start().await;
    let mut ana = operator.subscriber("ana").await;
    let _denied = operator.subscriber("bob").await;
    ana.subscribe("seen", QoS::AtLeastOnce).await;
    ana.publish("orders/bob", "{\"size\": 3}").await;
    let id = ana.recv_where(|it| it.topic == "seen").await.text().to_owned();
    let told = operator.explain_settled(&id).await;

    assert_eq!((&told["id"], &told["found"], &told["leftOut"]), (&json!(id), &json!("log"), &json!([])));
    assert!(told["record"].is_u64(), "{told}");
    let event = &told["event"];
    assert_eq!((&event["topic"], &event["client_id"]), (&json!("orders/bob"), &json!("ana")));
    let take = of(&told["matched"], "take");
    assert_eq!(
        (&take["fate"], &take["handler"], &take["line"]),
        (&json!("handled"), &json!("take"), &json!(2))
    );
    let put =
        json!({ "effect": "put", "table": "orders", "hash": "bob", "sort": id, "value": "{\"size\": 3}" });
    assert_eq!(take["run"]["effects"][0], put, "{take}");
    let fails = of(&told["matched"], "fails");
    assert_eq!((&fails["fate"], &fails["run"]["error"]["message"]), (&json!("failed"), &json!("no")));
    let letter = fails["deadLetter"]["id"].as_str().expect("there is a dead letter");
    assert!(letter.starts_with(&id), "{letter}");
    assert_eq!(operator.get(&format!("/api/dead-letters/{letter}")).await.status.as_u16(), 200);
    let large = of(&told["matched"], "large");
    assert_eq!((&large["whyNothing"], &large["run"]["effects"]), (&json!("WHERE was not true"), &json!([])));
    let why = named(&told["notMatched"], "why");
    assert_eq!(why, [("take", &json!("filter other/# does not match orders/bob"))]);

    let sent = of(&told["recipients"], "ana");
    assert_eq!(
        (&sent["outcome"], &sent["qos"], &sent["filters"]),
        (&json!("sent"), &json!(1), &json!(["orders/#"]))
    );
    let denied = of(&told["recipients"], "bob");
    let (outcome, statement) = (&denied["outcome"], &denied["ruling"]["statement"]);
    assert_eq!((outcome, &statement["line"], &statement["number"]), (&json!("denied"), &json!(3), &json!(2)));
    assert!(denied["ruling"]["policy"].as_str().is_some_and(|file| file.ends_with("guest.json")), "{denied}");

    let one = operator.get(&format!("/api/explain/{id}?rule=large")).await.json();
    assert_eq!(named(&one["matched"], "fate").len(), 1, "{one}");
}

#[tokio::test]
async fn what_is_in_no_log_is_found_among_the_samples() {
    let operator = Operator::start().await;
    let mut ana = operator.subscriber("ana").await;
    ana.send("plain/topic", "x").await;
    let kept = eventually("the message is listed", async || {
        let listed = operator.get("/api/explain?limit=1000").await.json();
        let found =
            listed["messages"].as_array().and_then(|all| all.iter().find(|it| it["topic"] == "plain/topic"));
        found.cloned().ok_or(listed)
    })
    .await;
    assert_eq!((&kept["clientId"], &kept["qos"], &kept["bytes"]), (&json!("ana"), &json!(0), &json!(1)));
    let told = operator.explain(kept["id"].as_str().expect("it has an id")).await;
    assert_eq!((&told["found"], &told["record"]), (&json!("sample"), &Value::Null));
    assert_eq!((&told["matched"], &told["recipients"]), (&json!([]), &json!([])));
    assert_eq!(told["notMatchedCount"], 4, "{told}");
}

#[tokio::test]
async fn the_log_alone_is_enough_after_a_restart() {
    let mut operator = Operator::start().await;
    let mut ana = operator.subscriber("ana").await;
    ana.subscribe("seen", QoS::AtLeastOnce).await;
    let mut ids = Vec::new();
    for room in ["one", "two", "three"] {
        ana.publish(&format!("orders/{room}"), "x").await;
        ids.push(ana.recv_where(|it| it.topic == "seen").await.text().to_owned());
    }
    operator.server.restart().await;
    let told = operator.explain_settled(&ids[1]).await;
    assert_eq!((&told["found"], &told["event"]["topic"]), (&json!("log"), &json!("orders/two")));
    assert_eq!(of(&told["matched"], "take")["fate"], "handled");
    // A rule that came later was not given it.
    operator.server.write_rule("late", "on_message(\"orders/two\", \"f\");\nfn f(msg) { }\n").await;
    assert_eq!(of(&operator.explain(&ids[1]).await["matched"], "late")["fate"], "newer");
}

#[tokio::test]
async fn what_cannot_be_explained_is_refused_with_a_reason() {
    let operator = Operator::start().await;
    let unknown = "01ARYZ6S410000000000000000";
    for (path, status, says) in [
        ("/api/explain/none", 400, "msg.id"),
        (&format!("/api/explain/{unknown}"), 404, "rules.explain_sample"),
        ("/api/explain?limit=0", 400, "1 to 1000"),
        ("/api/explain?since=1h", 400, "it may have limit"),
    ] {
        let answer = operator.get(path).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {answer:?}");
        assert!(answer.json()["detail"].to_string().contains(says), "{path}: {answer:?}");
        assert_eq!(operator.server.http().get(path).await.status.as_u16(), 401, "{path}");
    }
}

#[tokio::test]
async fn the_command_says_it_line_by_line() {
    let server = ServerProcess::start_with(SERVER, "explain_sample = 1").await;
    let config = server.config_file().display().to_string();
    let run = async |arguments: &[&str]| {
        let mut all = vec!["explain"];
        all.extend(arguments);
        all.extend(["--config", &config]);
        run_server(SERVER, &all, server.directory()).await
    };
    let mut ana = server.mqtt("ana").await;
    ana.subscribe("news/+", QoS::AtLeastOnce).await;
    ana.publish("news/today", "x").await;
    ana.recv_where(|it| it.topic == "news/today").await;
    let listed = run(&[]).await;
    let line = listed.stdout.lines().find(|line| line.contains("news/today"));
    let id = line.and_then(|line| line.split_whitespace().next()).unwrap_or_else(|| panic!("{listed:?}"));
    let told = run(&[id]).await;
    assert!(told.status.success(), "{told:?}");
    for part in [
        "message news/today of client ana",
        "rules that it does not:",
        "does not match news/today",
        "clients, as it was when the message came:",
        "ana (news/+): sent at QoS 1",
    ] {
        assert!(told.stdout.contains(part), "{part}: {}", told.stdout);
    }
    let told: Value = serde_json::from_str(&run(&[id, "--json"]).await.stdout).expect("it is JSON");
    assert_eq!(told["id"], *id);
    let wrong = run(&["none"]).await;
    assert!(!wrong.status.success() && wrong.stderr.contains("is not the id of a message"), "{wrong:?}");
    let wrong = run(&[id, "--rule", "none"]).await;
    assert!(!wrong.status.success() && wrong.stderr.contains("no active rule"), "{wrong:?}");
}
