//! What became of a message is told as it was, whatever has changed since: rules, policies, subscriptions, connections.

use pointsman_tests::wire::{self, Connect, kind};
use pointsman_tests::{Client, QoS, Raw, eventually};
use serde_json::{Value, json};

use super::{Operator, named, of};

/// Takes orders into another table.
const TAKE_ELSEWHERE: &str =
    "on_message(\"orders/{room}\", \"take\");\nfn take(msg) { table(\"other\").put(\"a\", msg.id, 1); }\n";

const LATE: &str = "on_message(\"orders/#\", \"late\");\nfn late(msg) { }\n";

/// Everybody may do everything, which is another policy than the one before.
const OPEN: &str = r#"{ "Statement": [
    { "Effect": "Allow", "Action": ["connect", "publish", "subscribe", "receive"], "Resource": "*" } ] }"#;

/// A client that is told the ids of orders.
async fn watcher(operator: &Operator) -> Client {
    let mut watcher = operator.server.mqtt("watcher").await;
    watcher.subscribe("seen", QoS::AtLeastOnce).await;
    watcher
}

async fn next_id(watcher: &mut Client) -> String {
    watcher.recv_on("seen").await.text().to_owned()
}

/// A client whose session outlives its connection.
async fn durable(operator: &Operator, client_id: &str, filter: &str) -> Raw {
    let connect = Connect { clean: false, ..Connect::new(wire::V311, client_id) };
    let mut client = operator.server.raw().await.join(&connect).await;
    client.subscribe(&[(filter, 1)]).await;
    client
}

/// The rule as it is active now.
async fn active_version(operator: &Operator, rule: &str) -> Value {
    let rules = operator.get("/api/rules").await.json();
    let list = rules["rules"].as_array().expect("there are rules");
    list.iter().find(|it| it["name"] == rule).map_or(Value::Null, |it| it["version"].clone())
}

async fn remove_rule(operator: &Operator, rule: &str) {
    std::fs::remove_file(operator.server.rule_file(rule)).expect("the rule is there");
    eventually("the rule is gone", async || match active_version(operator, rule).await {
        Value::Null => Ok(()),
        version => Err(version),
    })
    .await;
}

#[tokio::test]
async fn what_has_changed_since_changes_nothing_of_it() {
    let mut operator = Operator::start().await;
    let mut watcher = watcher(&operator).await;
    let mut ana = operator.subscriber("ana").await;
    let bob = operator.subscriber("bob").await;
    let mut gil = operator.server.mqtt5("gil").await;
    let mut ivo = operator.server.mqtt5("ivo").await;
    for member in [&mut gil, &mut ivo] {
        member.subscribe("$share/desk/orders/+", QoS::AtLeastOnce).await;
    }
    let before = active_version(&operator, "take").await;
    ana.publish("orders/bob", "bad?").await;
    let id = next_id(&mut watcher).await;
    let shown = operator.explain_settled(&id).await;

    let open = operator.server.directory().join("open.json");
    std::fs::write(&open, OPEN).expect("the policy is written");
    operator.server.reload(|config| config.auth.guest_policy = Some(open)).await.expect("a policy");
    ana.unsubscribe("orders/#").await;
    bob.disconnect().await;
    gil.unsubscribe("$share/desk/orders/+").await;
    let _fay = operator.subscriber("fay").await;
    operator.server.write_rule("take", TAKE_ELSEWHERE).await;
    operator.server.write_rule("late", LATE).await;
    remove_rule(&operator, "fails").await;

    let told = operator.explain(&id).await;
    assert_eq!(told["asOf"], json!({ "recipients": "then", "tables": "now" }), "{told}");
    let clients: Vec<_> = named(&told["recipients"], "outcome").into_iter().map(|(name, _)| name).collect();
    assert_eq!(clients, ["ana", "bob", "gil", "ivo"]);
    for recipient in ["ana", "bob", "gil", "ivo"] {
        let outcome = |told: &Value| of(&told["recipients"], recipient)["outcome"].clone();
        assert_eq!(outcome(&told), outcome(&shown), "{recipient}");
    }
    assert_eq!(of(&told["recipients"], "ana")["outcome"], "sent");
    let denied = of(&told["recipients"], "bob");
    assert_eq!((&denied["outcome"], &denied["ruling"]["statement"]["line"]), (&json!("denied"), &json!(3)));
    assert_eq!(denied["isConnected"], false, "that is as it is now");
    let mut shared = ["gil", "ivo"].map(|member| of(&told["recipients"], member)["outcome"].clone());
    shared.sort_by_key(Value::to_string);
    assert_eq!(shared, ["otherOfShare", "sent"], "one of them was given it");

    let take = of(&told["matched"], "take");
    assert_eq!((&take["version"], &take["asOf"]), (&before, &json!("then")));
    assert_eq!(take["activeVersion"], active_version(&operator, "take").await);
    assert_ne!(take["activeVersion"], before);
    assert_eq!((&take["fate"], &take["run"]["effects"][0]["table"]), (&json!("handled"), &json!("orders")));
    let gone = of(&told["matched"], "fails");
    assert_eq!((&gone["fate"], &gone["activeVersion"]), (&json!("failed"), &Value::Null));
    let late = of(&told["matched"], "late");
    assert_eq!((&late["fate"], &late["asOf"]), (&json!("newer"), &json!("later")));
}

#[tokio::test]
async fn without_a_sample_the_versions_say_which_rules_there_were() {
    for (versions_max, as_of) in [(50, "then"), (1, "now")] {
        let mut operator = Operator::with(|config| {
            config.rules.explain_sample = 0;
            config.rules.versions_max = versions_max;
        })
        .await;
        let mut watcher = watcher(&operator).await;
        let before = active_version(&operator, "take").await;
        watcher.publish("orders/one", "x").await;
        let id = next_id(&mut watcher).await;
        let mut late = operator.subscriber("late").await;
        operator.server.write_rule("take", TAKE_ELSEWHERE).await;
        operator.server.write_rule("late", LATE).await;
        late.subscribe("orders/one", QoS::AtLeastOnce).await;
        // What it remembers of the rules before goes with it.
        operator.server.restart().await;

        let told = operator.explain_settled(&id).await;
        let now = active_version(&operator, "take").await;
        let take = of(&told["matched"], "take");
        assert_eq!((&take["asOf"], &take["activeVersion"]), (&json!(as_of), &now), "{versions_max} {told}");
        assert_eq!(take["version"], if as_of == "then" { before } else { now });
        assert_eq!(of(&told["matched"], "fails")["asOf"], "then", "it has not changed");
        assert_eq!(of(&told["matched"], "late")["asOf"], "later");
        assert_eq!(told["asOf"]["recipients"], "now");
    }
}

#[tokio::test]
async fn how_far_a_session_has_come_is_told() {
    let operator = Operator::start().await;
    let mut watcher = watcher(&operator).await;
    let gone = "$aws/events/presence/disconnected/away";
    watcher.subscribe(gone, QoS::AtMostOnce).await;
    durable(&operator, "away", "orders/#").await.send(&wire::DISCONNECT).await;
    watcher.recv_on(gone).await;
    let mut slow = durable(&operator, "slow", "orders/#").await;
    let mut quick = durable(&operator, "quick", "orders/#").await;
    watcher.publish("orders/one", "x").await;
    let id = next_id(&mut watcher).await;
    let taken = slow.published().await;
    quick.receive().await;
    let told =
        operator.explain_until(&id, |told| of(&told["recipients"], "quick")["progress"] == "past").await;
    let progress =
        |told: &Value| named(&told["recipients"], "progress").into_iter().map(owned).collect::<Vec<_>>();
    assert_eq!(
        progress(&told),
        owned_all(&[("away", "waiting"), ("quick", "past"), ("slow", "unacknowledged")])
    );
    assert_eq!(of(&told["recipients"], "away")["outcome"], "sent", "it is kept for it");

    watcher.send("orders/zero", "x").await;
    let zero = next_id(&mut watcher).await;

    slow.send(&wire::puback(taken.packet_id)).await;
    let connect = Connect { clean: false, ..Connect::new(wire::V311, "away") };
    let mut back = operator.server.raw().await.join(&connect).await;
    assert_eq!(back.expect(kind::PUBLISH).await.publish(wire::V311).topic, "orders/one");
    let told = operator.explain(&zero).await;
    let away = of(&told["recipients"], "away");
    assert_eq!((&away["outcome"], &away["isConnected"]), (&json!("away"), &json!(true)), "it was away then");
    assert_eq!(away["progress"], Value::Null, "nothing is kept for it");
    operator.server.raw().await.join(&Connect::new(wire::V311, "quick")).await.ping().await;
    let told =
        operator.explain_until(&id, |told| of(&told["recipients"], "slow")["progress"] == "past").await;
    assert_eq!(
        progress(&told),
        owned_all(&[("away", "unacknowledged"), ("quick", "over"), ("slow", "past")])
    );
}

fn owned((name, progress): (&str, &Value)) -> (String, Value) {
    (name.to_owned(), progress.clone())
}

fn owned_all(all: &[(&str, &str)]) -> Vec<(String, Value)> {
    all.iter().map(|(name, progress)| ((*name).to_owned(), json!(progress))).collect()
}
