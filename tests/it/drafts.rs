//! Drafts of rules beside the active version: on what the log holds, and on what comes.

use pointsman_tests::Operator;
use serde_json::json;

/// Fails on any payload but `good`, and counts what it takes.
const PICKY: &str = r#"
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
