//! The bus from outside: events are put over HTTP, and what the log holds is given to a rule again.

use pointsman_tests::{Answer, Client, QoS, ServerProcess, TestServer, eventually, run_server};
use serde_json::{Value, json};

const SERVER: &str = env!("CARGO_BIN_EXE_server");

/// Counts what it gets, and says how often it got it, and by which replay.
const COUNTING: &str = r#"
    on_event(#{ source: ["shop"] }, "sold");
    on_message("sold/{n}", "said");
    fn sold(event) { told("bus" + event.detail.n, event.replay); }
    fn said(msg) { told("message" + msg.params.n, msg.replay); }
    fn told(what, replay) {
        let t = table("counts");
        t.add(what, "", "count", 1);
        let count = t.get(what).count;
        let by = if replay == () { "nobody" } else { replay.split("-")[0] };
        publish("out", `${what} ${count} ${by}`, #{ qos: 1 });
    }
"#;

struct Operator {
    server: TestServer,
}

impl Operator {
    async fn of(rule: &str) -> Operator {
        let server = TestServer::builder().without_bundled_rules().rule("counting", rule).start().await;
        Operator { server }
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.server.operator().post(path, body.to_string()).await
    }

    async fn replays(&self) -> Vec<Value> {
        let answer = self.server.operator().get("/api/bus/replays").await;
        answer.json()["replays"].as_array().expect("replays").clone()
    }

    async fn put(&self, n: usize) {
        let entry = json!({ "Source": "shop", "DetailType": "t", "Detail": format!("{{\"n\":{n}}}") });
        let answer = self.post("/api/bus/events", json!({ "Entries": [entry] })).await;
        assert_eq!(answer.json()["FailedEntryCount"], 0, "{answer:?}");
    }

    async fn listener(&self) -> Client {
        let mut client = self.server.mqtt("listener").await;
        client.subscribe("out", QoS::AtLeastOnce).await;
        client
    }

    /// Waits until the last replay has ended.
    async fn ended(&self) -> Value {
        eventually("the replay ends", async || {
            let replay = self.replays().await.pop().unwrap_or_default();
            if replay["state"] == "running" { Err(replay.to_string()) } else { Ok(()) }
        })
        .await;
        self.replays().await.remove(0)
    }
}

fn entry(source: Option<&str>, detail_type: Option<&str>, detail: Option<&str>) -> Value {
    let mut entry = json!({});
    for (member, value) in [("Source", source), ("DetailType", detail_type), ("Detail", detail)] {
        if let Some(value) = value {
            entry[member] = value.into();
        }
    }
    entry
}

fn missing(member: &str) -> Value {
    let message = format!("Parameter {member} is not valid. Reason: {member} is a required argument.");
    json!({ "ErrorCode": "InvalidArgument", "ErrorMessage": message })
}

#[tokio::test]
async fn events_are_put_as_the_cloud_bus_takes_them() {
    let operator = Operator::of(COUNTING).await;
    let malformed = json!({ "ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed." });
    for (entry, error) in [
        (entry(Some("game.scores"), Some("score.updated"), Some("{\"p\":1}")), None),
        (entry(None, Some("t"), Some("{}")), Some(missing("Source"))),
        (entry(Some("s"), None, Some("{}")), Some(missing("DetailType"))),
        (entry(Some("s"), Some("t"), None), Some(missing("Detail"))),
        (entry(Some("s"), Some("t"), Some("[1]")), Some(malformed.clone())),
        (entry(Some("s"), Some("t"), Some("plain")), Some(malformed.clone())),
        (entry(Some("s"), Some("t"), Some("{\"a\":")), Some(malformed)),
    ] {
        let answer = operator.post("/api/bus/events", json!({ "Entries": [entry] })).await;
        assert_eq!(answer.status.as_u16(), 200, "{entry}: {answer:?}");
        let answer = answer.json();
        assert_eq!(answer["FailedEntryCount"], usize::from(error.is_some()), "{entry}");
        match error {
            Some(error) => assert_eq!(answer["Entries"][0], error, "{entry}"),
            None => assert_eq!(answer["Entries"][0]["EventId"].as_str().map(str::len), Some(36)),
        }
    }
    let mut bus =
        operator.server.client("bus").login("admin", operator.server.admin_password()).connect().await;
    bus.subscribe("$bus/no-such-bus", QoS::AtLeastOnce).await;
    let mut elsewhere = entry(Some("s"), Some("t"), Some("{\"message\":\"m\"}"));
    elsewhere["EventBusName"] = "no-such-bus".into();
    elsewhere["Time"] = 1_700_000_000.into();
    let three = json!({ "Entries": [elsewhere, entry(None, Some("t"), Some("{}")), elsewhere] });
    let answer = operator.post("/api/bus/events", three).await.json();
    assert_eq!(answer["FailedEntryCount"], 1);
    assert_eq!(answer["Entries"][1], missing("Source"), "results are in the order of the entries");
    for at in [0, 2] {
        let event = bus.recv_on("$bus/no-such-bus").await.json();
        assert_eq!(
            (&event["id"], &event["time"]),
            (&answer["Entries"][at]["EventId"], &json!("2023-11-14T22:13:20Z"))
        );
    }
}

#[tokio::test]
async fn a_call_that_is_wrong_as_a_whole_puts_nothing() {
    let operator = Operator::of(COUNTING).await;
    let good = entry(Some("shop"), Some("t"), Some("{\"n\":1}"));
    let large = json!({ "a": "x".repeat(256 * 1024) }).to_string();
    for (body, part) in [
        (json!({ "Entries": vec![good.clone(); 11] }), "1 to 10 entries"),
        (json!({ "Entries": [] }), "1 to 10 entries"),
        (json!({ "Entries": [good.clone(), entry(Some("s"), Some("t"), Some(&large))] }), "over the limit"),
        (json!({ "Entries": [{ "Colour": "red" }] }), "Colour"),
        (json!({ "Entries": [{ "Time": "soon" }] }), "Time is"),
        (json!([]), "no call"),
    ] {
        let answer = operator.post("/api/bus/events", body).await;
        assert_eq!(answer.status.as_u16(), 400, "{part}: {answer:?}");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        assert_eq!(answer.json()["code"], "ValidationException");
        assert!(answer.json()["message"].as_str().expect("a text").contains(part), "{part}: {answer:?}");
    }
    let answer = operator.server.http().post_with("/api/bus/events", &[], "{}").await;
    assert_eq!(answer.status.as_u16(), 401, "{answer:?}");
    let mut listener = operator.listener().await;
    operator.put(2).await;
    assert_eq!(listener.recv().await.text(), "bus2 1 nobody", "nothing of the calls before");
}

#[tokio::test]
async fn a_rule_gets_again_what_the_log_holds_of_a_time() {
    let operator = Operator::of(COUNTING).await;
    let mut listener = operator.listener().await;
    let mut client = operator.server.mqtt("client").await;
    for n in 0..3 {
        operator.put(n).await;
        assert_eq!(listener.recv().await.text(), format!("bus{n} 1 nobody"));
        client.publish(&format!("sold/{n}"), "").await;
        assert_eq!(listener.recv().await.text(), format!("message{n} 1 nobody"));
    }
    let answer =
        operator.post("/api/bus/replay", json!({ "rule": "counting", "from": "1h", "bus": "default" })).await;
    assert_eq!(answer.status.as_u16(), 202, "{answer:?}");
    for n in 0..3 {
        assert_eq!(listener.recv().await.text(), format!("bus{n} 2 counting"), "in the order of the log");
    }
    let ended = operator.ended().await;
    assert_eq!(
        (&ended["state"], &ended["given"], &ended["handled"]),
        (&json!("done"), &json!(3), &json!(3)),
        "{ended}"
    );
    assert_eq!(ended["name"], answer.json()["name"]);
    // Without a bus, messages too.
    operator.post("/api/bus/replay", json!({ "rule": "counting", "from": "1h" })).await;
    let mut told = Vec::new();
    for _ in 0..6 {
        told.push(listener.recv().await.text().to_owned());
    }
    told.sort();
    let expected = ["bus0 3", "bus1 3", "bus2 3", "message0 2", "message1 2", "message2 2"];
    assert_eq!(told, expected.map(|told| format!("{told} counting")));
    assert_eq!(operator.ended().await["given"], 6);
    // Nothing is left of it for a restart.
    operator.put(3).await;
    assert_eq!(listener.recv().await.text(), "bus3 1 nobody");
}

#[tokio::test]
async fn a_replay_that_cannot_be_is_refused_with_a_reason() {
    let operator = Operator::of("on_connect(\"seen\"); fn seen(event) { }").await;
    for (body, status, part) in [
        (json!({ "rule": "nobody", "from": "1h" }), 404, "nobody"),
        (json!({ "rule": "counting", "from": "1h" }), 422, "listens to nothing"),
        (json!({ "rule": "counting", "from": "soon" }), 400, "from is"),
        (json!({ "rule": "counting", "from": "1h", "to": "2h" }), 400, "later"),
        (json!({ "rule": "counting", "from": "1h", "bus": "a b" }), 400, "bus is"),
        (json!({ "rule": "counting" }), 400, "missing field `from`"),
    ] {
        let answer = operator.post("/api/bus/replay", body.clone()).await;
        assert_eq!(answer.status.as_u16(), status, "{body}: {answer:?}");
        assert!(answer.json()["detail"].as_str().expect("a text").contains(part), "{body}: {answer:?}");
    }
    let answer = operator.server.operator().delete("/api/bus/replays/counting").await;
    assert_eq!(answer.status.as_u16(), 404, "{answer:?}");
    assert!(operator.replays().await.is_empty());
}

/// Takes long over each event.
const SLOW: &str = r#"
    on_event(#{ source: ["shop"] }, "sold");
    fn sold(event) {
        if event.replay == () { return; }
        let n = 0;
        while n < 400000 { n += 1; }
    }
"#;

#[tokio::test]
async fn a_replay_is_one_at_a_time_and_can_be_cancelled() {
    let patient = |config: &mut pointsman_config::Config| {
        config.rules.run_time_max_ms = 60_000;
        config.rules.operations_max = 1_000_000_000;
    };
    let server =
        TestServer::builder().without_bundled_rules().rule("counting", SLOW).config(patient).start().await;
    let operator = Operator { server };
    for n in 0..20 {
        operator.put(n).await;
    }
    let body = json!({ "rule": "counting", "from": "1h" });
    assert_eq!(operator.post("/api/bus/replay", body.clone()).await.status.as_u16(), 202);
    let second = operator.post("/api/bus/replay", body).await;
    assert_eq!(second.status.as_u16(), 409, "{second:?}");
    let answer = operator.server.operator().delete("/api/bus/replays/counting").await;
    assert_eq!((answer.status.as_u16(), &answer.json()["state"]), (200, &json!("cancelled")), "{answer:?}");
    assert_eq!(operator.ended().await["state"], "cancelled");
}

#[tokio::test]
async fn a_replay_ends_with_the_server_which_says_where_it_was() {
    let mut server =
        ServerProcess::start_with(SERVER, "run_time_max_ms = 60000\noperations_max = 1000000000\n").await;
    server.add_rule("counting", SLOW).await;
    let folder = server.config_file().parent().expect("a folder").to_owned();
    let run = async |arguments: &[&str]| {
        let arguments = [arguments, &["--config", "pointsman.toml"]].concat();
        run_server(SERVER, &arguments, &folder).await
    };
    for n in 0..20 {
        let detail = format!("{{\"n\":{n}}}");
        let put = run(&["bus", "put", "--source", "shop", "--type", "t", "--detail", &detail]).await;
        assert!(put.status.success() && put.stdout.trim().len() == 36, "{put:?}");
    }
    let wrong = run(&["bus", "put", "--source", "shop", "--type", "t", "--detail", "[1]"]).await;
    assert!(!wrong.status.success() && wrong.stderr.contains("MalformedDetail"), "{wrong:?}");
    let unsure = run(&["bus", "replay", "--rule", "counting", "--from", "1h"]).await;
    assert!(!unsure.status.success() && unsure.stderr.contains("--yes"), "{unsure:?}");
    let begun = run(&["bus", "replay", "--rule", "counting", "--from", "1h", "--yes"]).await;
    assert!(begun.status.success() && begun.stdout.contains("has begun"), "{begun:?}");
    server.kill().await;
    server.run().await;
    let list = run(&["bus", "replays"]).await;
    assert!(list.status.success() && list.stdout.contains("interrupted"), "{list:?}");
}
