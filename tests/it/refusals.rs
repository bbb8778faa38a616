//! What rules ask for and the store can never take: a failure like any other, for which no event waits.

use pointsman_tests::wire::{self, Connect};
use pointsman_tests::{Operator, TestServer, eventually};

/// Keeps what is said under its topic.
const KEEP: &str = "SELECT * FROM 'keep/+' THEN TABLE 'large' KEY '${topic(2)}'";

/// Deletes all of it at once, which a watcher is told of with what it was.
const CLEAR: &str = r#"
    on_message("clear", "clear");
    on_change("large", "changed");
    on_message("count", "count");
    fn clear(msg) { for n in 0..70 { table("large").delete(n.to_string()); } }
    fn changed(change) { table("changes").add(change.kind, "", "n", 1); }
    fn count(msg) { publish("out", table("changes").get(msg.text())?.n ?? 0, #{ qos: 1 }); }
"#;

#[tokio::test]
async fn a_run_that_asks_for_more_than_a_record_holds_is_a_dead_letter() {
    let builder = TestServer::builder().without_bundled_rules().sql("keep", KEEP).rule("clear", CLEAR);
    let operator = Operator::of(builder.start().await);
    let mut client = operator.listener().await;
    let text = format!(r#"{{"x": "{}"}}"#, "x".repeat(240_000));
    for number in 0..70 {
        client.publish(&format!("keep/{number}"), text.clone()).await;
    }
    eventually("all rows are kept", async || {
        client.publish("count", "INSERT").await;
        let told = client.recv_on("out").await.text().to_owned();
        if told == "70" { Ok(()) } else { Err(told) }
    })
    .await;
    client.publish("clear", "").await;
    let letter = operator.letters(1).await.remove(0);
    let message = letter["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("all that is asked for takes 16"), "{message}");
    assert_eq!(operator.server.metric("pointsman_rule_events_parked").await, 0);
    client.publish("count", "REMOVE").await;
    assert_eq!(client.recv_on("out").await.text(), "0", "nothing of it was done");
}

#[tokio::test]
async fn a_letter_that_no_record_holds_is_dropped_and_drives_no_other_out() {
    let builder = TestServer::builder()
        .without_bundled_rules()
        .rule("picky", r#"on_message("in", "refuse"); fn refuse(msg) { throw "no"; }"#)
        .config(|config| config.limits.packet_bytes_max = 4 << 20);
    let operator = Operator::of(builder.start().await);
    let mut client = operator.server.raw().await.join(&Connect::new(wire::V5, "client")).await;
    // Each of these characters is six in JSON.
    for text in ["first", &"\u{1}".repeat(3 << 20), "last"] {
        assert_eq!(client.deliver(1, "in", text, &[]).await, 0);
    }
    let letters = operator.letters(2).await;
    for (letter, text) in letters.iter().zip(["first", "last"]) {
        let letter =
            operator.get(&format!("/api/dead-letters/{}", letter["id"].as_str().expect("an id"))).await;
        assert_eq!(letter["event"]["payload"], text, "{letter}");
    }
    assert_eq!(operator.server.metric("pointsman_dead_letters_dropped_total").await, 1);
    assert_eq!(operator.server.metric("pointsman_rule_events_parked").await, 0);
}

#[tokio::test]
async fn actions_that_fit_no_record_with_the_letter_of_another_are_a_letter_with_it() {
    let actions: Vec<String> =
        ["a", "b", "c", "d", "e", "f"].map(|to| format!("REPUBLISH '{to}' RETAIN")).into();
    let statement = format!("SELECT * FROM 'in' THEN {}, REPUBLISH '${{nope}}'", actions.join(", "));
    let builder = TestServer::builder().without_bundled_rules().sql("case", &statement);
    let operator = Operator::of(builder.start().await);
    let mut client = operator.listener().await;
    client.publish("in", "\u{1}".repeat(1_040_000)).await;
    let letter = operator.letters(1).await.remove(0);
    let message = letter["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("the record takes 18"), "{message}");
    assert!(letter["done"].is_null(), "{letter}");
    assert_eq!(operator.server.metric("pointsman_rule_events_parked").await, 0);
    assert_eq!(operator.server.metric("pointsman_retained_messages").await, 0, "nothing of it was done");
}
