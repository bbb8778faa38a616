//! Rules in SQL through the real server: what becomes of actions that fail beside others that do not.

use pointsman_tests::{Client, Operator, QoS, TestServer, eventually};
use serde_json::{Value, json};

/// Answers `ask` with the row that it names.
const READER: &str = r#"
    on_message("ask", "ask");
    fn ask(msg) { publish("out", #{ row: table("kept").get(msg.text()) }, #{ qos: 1 }); }
"#;

/// The second action and the fourth need a room.
const ROOMS: &str = "-- What is said is kept by room.
SELECT * FROM 'in'
THEN REPUBLISH 'out' QOS 1,
     TABLE 'kept' KEY '${room}',
     NOTIFY 'said',
     DELETE FROM 'typing' KEY '${room}'
";

async fn with_statement(text: &str) -> Operator {
    let builder = TestServer::builder().without_bundled_rules().sql("case", text);
    Operator::of(builder.rule("reader", READER).start().await)
}

/// A client that is told of notifications.
async fn subscriber(operator: &Operator) -> Client {
    let mut client =
        operator.server.client("told").login("admin", operator.server.admin_password()).connect().await;
    client.subscribe("$notify/said", QoS::AtLeastOnce).await;
    client
}

/// What a row of the table holds.
async fn row(client: &mut Client, key: &str) -> Value {
    client.publish("ask", key.to_owned()).await;
    client.recv_on("out").await.json()["row"].clone()
}

#[tokio::test]
async fn actions_that_fail_are_one_letter_and_are_done_once_beside_the_others() {
    let mut operator = with_statement(ROOMS).await;
    let mut client = operator.listener().await;
    let mut told = subscriber(&operator).await;
    client.publish("in", r#"{"n": 1}"#).await;
    // The others are done all the same.
    assert_eq!(client.recv_on("out").await.json(), json!({ "n": 1 }));
    let first_id = told.recv_on("$notify/said").await.json()["MessageId"].clone();
    let letter = operator.letters(1).await.remove(0);
    let shown = |name: &str| letter[name].clone();
    assert_eq!((shown("rule"), shown("on")), (json!("case"), json!("on_message(\"in\")")), "{letter}");
    assert_eq!((shown("line"), shown("column")), (json!(4), json!(6)), "{letter}");
    assert!(letter["file"].as_str().is_some_and(|file| file.ends_with("case.sql")), "{letter}");
    assert_eq!(
        letter["message"],
        "TableAction kept: ${room} has no value for this message; \
         in line 6, DeleteAction typing: ${room} has no value for this message"
    );
    assert_eq!(letter["done"], json!(["REPUBLISH 'out' QOS 1", "NOTIFY 'said'"]), "{letter}");
    let rules = operator.get("/api/rules").await["rules"].clone();
    assert_eq!(shown("version"), rules[0]["version"], "{rules}");

    // They fail again, and nothing is done for it; the letter outlives the server.
    let path = format!("/api/dead-letters/{}/redrive", letter["id"].as_str().expect("it has an id"));
    assert_eq!(operator.post(&path, "").await.status.as_u16(), 422);
    operator.server.restart().await;
    assert_eq!(operator.letters(1).await[0]["attempts"], 2);

    // However many handle it at a time, only what was left is done, and once.
    let (mut client, mut told) = (operator.listener().await, subscriber(&operator).await);
    let (path, mended) = (format!("{path}?edited=true"), r#"{"n": 1, "room": "a"}"#);
    let (one, other, third) = tokio::join!(
        operator.post(&path, mended),
        operator.post(&path, mended),
        operator.post(&path, mended)
    );
    let mut statuses = [one, other, third].map(|answer| answer.status.as_u16());
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 404, 404]);
    operator.letters(0).await;
    assert_eq!(row(&mut client, "a").await, json!({ "n": 1, "room": "a" }), "the first it hears on `out`");
    client.publish("in", r#"{"n": 2, "room": "b"}"#).await;
    assert_eq!(client.recv_on("out").await.json()["n"], 2);
    let second = told.recv_on("$notify/said").await.json();
    assert!(second["MessageId"] != first_id && second["Message"].to_string().contains('2'), "{second}");
}

#[tokio::test]
async fn a_mended_statement_does_what_was_left() {
    let operator =
        with_statement("SELECT * FROM 'in' THEN REPUBLISH 'out' QOS 1, TABLE 'kept' KEY '${room}'").await;
    let mut client = operator.listener().await;
    client.publish("in", r#"{"place": "a"}"#).await;
    assert_eq!(client.recv_on("out").await.json(), json!({ "place": "a" }));
    let letter = operator.letters(1).await.remove(0);
    let file = operator.server.rule_file("case").with_extension("sql");
    let mended = "SELECT * FROM 'in'\nTHEN republish \"out\" qos 1,\n  TABLE 'kept' KEY '${place}'";
    std::fs::write(file, mended).expect("written");
    eventually("the mended statement is active", async || {
        let rules = operator.get("/api/rules").await["rules"].clone();
        if rules[0]["version"] == letter["version"] { Err(rules) } else { Ok(()) }
    })
    .await;
    let path = format!("/api/dead-letters/{}/redrive", letter["id"].as_str().expect("it has an id"));
    let answer = operator.post(&path, "").await;
    assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
    assert_eq!(row(&mut client, "a").await, json!({ "place": "a" }), "the first it hears on `out` again");
}

#[tokio::test]
async fn the_error_action_has_what_failed_in_hand_unless_it_fails_itself() {
    let operator =
        with_statement("SELECT * FROM 'in' THEN REPUBLISH 'to/${room}' ON ERROR REPUBLISH '${errors}' QOS 1")
            .await;
    let mut client = operator.listener().await;
    client.publish("in", r#"{"errors": "out"}"#).await;
    let told = client.recv_on("out").await.json();
    assert_eq!(told["failures"][0]["failedAction"], "RepublishAction", "{told}");
    client.publish("in", "{}").await;
    let letter = operator.letters(1).await.remove(0);
    assert_eq!(
        letter["message"],
        "RepublishAction to/${room}: ${room} has no value for this message; \
         in line 1, RepublishAction ${errors}: ${errors} has no value for this message"
    );
    assert_eq!((&letter["done"], &letter["attempts"]), (&Value::Null, &json!(1)), "{letter}");
    // Once the error action works, what failed is its business.
    let path = format!("/api/dead-letters/{}/redrive", letter["id"].as_str().expect("it has an id"));
    let answer = operator.post(&format!("{path}?edited=true"), r#"{"errors": "out"}"#).await;
    assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
    assert_eq!(client.recv_on("out").await.json()["ruleName"], "case");
    operator.letters(0).await;
}

#[tokio::test]
async fn what_is_refused_at_the_commit_is_an_action_that_failed() {
    // No topic of that length can be retained.
    let said = format!(r#"{{"room": "{}"}}"#, "x".repeat(5_000));
    let actions = "REPUBLISH 'to/${room}' RETAIN, TABLE 'kept' KEY '${length(room)}'";
    let why = "a retained topic has 5003 bytes: at most 4000 are allowed";
    let operator =
        with_statement(&format!("SELECT 1 AS n FROM 'in' THEN {actions} ON ERROR REPUBLISH 'out' QOS 1"))
            .await;
    let mut client = operator.listener().await;
    client.publish("in", said.clone()).await;
    let told = client.recv_on("out").await.json();
    let failures = json!([
        { "failedAction": "RepublishAction", "failedResource": "to/${room}", "errorMessage": why }
    ]);
    assert_eq!((&told["ruleName"], &told["failures"]), (&json!("case"), &failures), "{told}");
    assert_eq!(row(&mut client, "5000").await, json!({ "n": 1 }), "the other action was done");
    operator.letters(0).await;

    let operator = with_statement(&format!("SELECT 1 AS n FROM 'in' THEN {actions}")).await;
    let mut client = operator.listener().await;
    client.publish("in", said).await;
    let letter = operator.letters(1).await.remove(0);
    assert_eq!(letter["message"], format!("RepublishAction to/${{room}}: {why}"));
    assert_eq!(letter["done"], json!(["TABLE 'kept' KEY '${length(room)}'"]), "{letter}");
    assert_eq!(row(&mut client, "5000").await, json!({ "n": 1 }));
}

#[tokio::test]
async fn a_statement_that_cannot_be_evaluated_is_a_letter() {
    let operator =
        with_statement("-- a comment\nSELECT *, 1 AS one FROM 'in' THEN REPUBLISH 'out' QOS 1").await;
    let mut client = operator.listener().await;
    client.publish("in", "no object").await;
    let letter = operator.letters(1).await.remove(0);
    assert_eq!((&letter["line"], &letter["column"]), (&json!(2), &json!(1)), "{letter}");
    assert!(letter["message"].as_str().is_some_and(|why| why.starts_with("Select case: ")), "{letter}");
    let path = format!("/api/dead-letters/{}/redrive", letter["id"].as_str().expect("it has an id"));
    assert_eq!(operator.post(&format!("{path}?edited=true"), "{}").await.status.as_u16(), 200);
    assert_eq!(client.recv_on("out").await.json(), json!({ "one": 1 }));
}

#[tokio::test]
async fn actions_that_take_too_long_suspend_a_statement() {
    let server = TestServer::builder()
        .without_bundled_rules()
        .rule("lib/spin", "fn spin(value) { loop { } }")
        .sql("case", "SELECT * FROM 'in' THEN REPUBLISH 'out' QOS 1, REPUBLISH '${aws_lambda(''spin'', n)}'")
        .config(|config| config.rules.overruns_max = 2)
        .start()
        .await;
    let operator = Operator::of(server);
    let mut client = operator.listener().await;
    let is_suspended = async || operator.get("/api/rules").await["rules"][0]["suspended"] == true;
    client.publish("in", r#"{"n": 1}"#).await;
    operator.letters(1).await;
    assert!(!is_suspended().await, "twice in a row is too often");
    client.publish("in", r#"{"n": 2}"#).await;
    let letters = operator.letters(2).await;
    assert!(letters[1]["message"].to_string().contains("limit"), "{letters:?}");
    assert!(is_suspended().await);
    for n in 1..=2 {
        assert_eq!(client.recv_on("out").await.json()["n"], n, "the other action was done");
    }
}
