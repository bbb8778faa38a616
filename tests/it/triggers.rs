//! What sets rules off besides messages one by one: events of a bus, changes of rows, batches, times, and the past.

use pointsman_tests::{Client, QoS, ServerProcess, TestServer, eventually, within};
use serde_json::json;

async fn listener(server: &TestServer, filter: &str) -> Client {
    let mut client = server.mqtt("listener").await;
    client.subscribe(filter, QoS::AtLeastOnce).await;
    client
}

#[tokio::test]
async fn events_of_a_bus_reach_the_rules_whose_pattern_they_match() {
    let server = TestServer::builder()
        .rule(
            "orders",
            r#"
            on_message("order", "put");
            on_event(#{ "detail-type": ["made"], detail: #{ price: [#{ numeric: [">", 10] }] } }, "dear");
            on_event(#{ source: ["kitchen"] }, #{ bus: "lab" }, "cooked");
            fn put(msg) {
                let answer = put_events([
                    #{ source: "shop", detail_type: "made", detail: msg.json },
                    #{ source: "kitchen", detail_type: "made", detail: msg.json, bus: "lab" },
                    #{ source: "aws.shop", detail_type: "made", detail: "{}" },
                ]);
                publish("told/answer", answer.Entries.len() + ":" + answer.FailedEntryCount, #{ qos: 1 });
            }
            fn dear(event) { publish("told/dear", #{ price: event.detail.price, source: event.source, cause: event.cause }, #{ qos: 1 }); }
            fn cooked(event) { publish("told/cooked", `${event.detail_type} ${event.detail.price}`, #{ qos: 1 }); }
            "#,
        )
        .start()
        .await;
    let mut listener = listener(&server, "told/#").await;
    let mut bus = server.client("bus").login("admin", server.admin_password()).connect().await;
    bus.subscribe("$bus/lab", QoS::AtLeastOnce).await;
    let mut client = server.mqtt("client").await;
    client.publish("order", r#"{"price": 5}"#).await;
    assert_eq!(listener.recv_on("told/answer").await.text(), "3:1");
    assert_eq!(listener.recv_on("told/cooked").await.text(), "made 5");
    client.publish("order", r#"{"price": 11}"#).await;
    let dear = listener.recv_where(|it| it.topic == "told/dear").await.json();
    assert_eq!((&dear["price"], &dear["source"]), (&json!(11), &json!("shop")));
    assert_eq!(dear["cause"].as_str().map(str::len), Some(26), "the message that set it off");
    let event = bus.recv_on("$bus/lab").await.json();
    assert_eq!((&event["source"], &event["detail"]["price"]), (&json!("kitchen"), &json!(5)));
    assert_eq!(event["version"], "0");
}

#[tokio::test]
async fn a_rule_sees_what_changes_in_a_table() {
    let server = TestServer::builder()
        .rule(
            "players",
            r#"
            on_message("score/{player}", "score");
            on_message("leave/{player}", "leave");
            fn score(msg) { table("players").put(msg.params.player, "", #{ score: msg.json }); }
            fn leave(msg) { table("players").delete(msg.params.player); }
            "#,
        )
        .rule(
            "watcher",
            r#"
            on_change("players", "changed");
            fn changed(change) {
                publish("told", `${change.kind} ${change.hash} ${change.before?.score} ${change.after?.score}`, #{ qos: 1 });
            }
            "#,
        )
        .start()
        .await;
    let mut listener = listener(&server, "told").await;
    let mut client = server.mqtt("client").await;
    for (topic, payload) in
        [("score/ana", "1"), ("score/ana", "1"), ("score/ana", "2"), ("leave/ana", ""), ("leave/ana", "")]
    {
        client.publish(topic, payload).await;
    }
    client.publish("score/bob", "7").await;
    for expected in ["INSERT ana  1", "MODIFY ana 1 2", "REMOVE ana 2 "] {
        assert_eq!(listener.recv_where(|it| it.text().contains("ana")).await.text(), expected);
    }
    eventually("the other row's change is told", async || match listener.recv().await.text() {
        "INSERT bob  7" => Ok(()),
        other => Err(other.to_owned()),
    })
    .await;
}

/// Keeps rows for a moment, and says what becomes of them.
const SHORT_LIVED: &str = r#"
    on_message("keep/{name}", "keep");
    on_message("ask/{name}", "ask");
    on_change("moments", "changed");
    fn keep(msg) { table("moments").put(msg.params.name, "", msg.json, #{ ttl: "300ms" }); }
    fn ask(msg) { publish("times", table("told").get(msg.params.name)?.count ?? 0, #{ qos: 1 }); }
    fn changed(change) {
        if change.kind != "REMOVE" { return; }
        let t = table("told");
        t.add(change.hash, "", "count", 1);
        publish("over", `${change.hash} ${change.before} ${change.after} ${change.expired} ${t.get(change.hash).count}`, #{ qos: 1 });
    }
"#;

#[tokio::test]
async fn a_rule_is_told_once_of_a_row_whose_time_is_over() {
    let server = TestServer::builder().rule("moments", SHORT_LIVED).start().await;
    let mut listener = listener(&server, "over").await;
    let mut client = server.mqtt("client").await;
    for (name, value) in [("a", "1"), ("b", "3")] {
        client.publish(&format!("keep/{name}"), value).await;
    }
    let mut told = [listener.recv().await.text().to_owned(), listener.recv().await.text().to_owned()];
    told.sort();
    assert_eq!(told, ["a 1  true 1", "b 3  true 1"]);
    // Two more looks: what was told is not told again.
    client.publish("keep/c", "4").await;
    assert_eq!(listener.recv().await.text(), "c 4  true 1");
}

#[tokio::test]
async fn a_row_that_is_written_again_after_its_time_is_told_to_be_over_first() {
    const WATCHED: &str = r#"
        on_message("keep", "keep");
        on_message("drop", "discard");
        on_message("look", "look");
        on_change("moments", "changed");
        fn keep(msg) { table("moments").put("a", "", msg.json, #{ ttl: "20ms" }); }
        fn discard(msg) { table("moments").delete("a"); }
        fn look(msg) { publish("seen", table("moments").get("a") != (), #{ qos: 1 }); }
        fn changed(change) {
            publish("told", `${change.kind} ${change.before} ${change.after} ${change.expired}`, #{ qos: 1 });
        }
    "#;
    let server = TestServer::builder().rule("moments", WATCHED).start().await;
    let mut listener = listener(&server, "told").await;
    let mut client = server.mqtt("client").await;
    client.subscribe("seen", QoS::AtLeastOnce).await;
    // Most of them come before the server itself has looked for what is over.
    for round in 0..12 {
        client.publish("keep", round.to_string()).await;
        eventually("the row's time is over", async || {
            client.publish("look", "").await;
            let seen = client.recv_on("seen").await.text().to_owned();
            if seen == "false" { Ok(()) } else { Err(seen) }
        })
        .await;
        if round % 3 == 0 {
            client.publish("drop", "").await;
        }
    }
    for round in 0..12 {
        assert_eq!(listener.recv().await.text(), format!("INSERT  {round} false"));
        assert_eq!(listener.recv().await.text(), format!("REMOVE {round}  true"));
    }
}

#[tokio::test]
async fn large_rows_that_are_over_together_are_told_together() {
    const WATCHED: &str = r#"
        on_change("moments", "changed");
        fn changed(change) { if change.expired { publish("told", change.time, #{ qos: 1 }); } }
    "#;
    // Four MiB, of which the store gives one at a time; one a second would take three seconds.
    let keep = |name: &str| {
        let row = |number| format!("TABLE 'moments' KEY '{name}{number}' TTL '2s'");
        format!("SELECT * FROM 'keep' THEN {}", (0..8).map(row).collect::<Vec<_>>().join(", "))
    };
    let server = TestServer::builder()
        .rule("moments", WATCHED)
        .sql("one", &keep("a"))
        .sql("two", &keep("b"))
        .start()
        .await;
    let mut listener = listener(&server, "told").await;
    let text = "x".repeat(250_000);
    server.mqtt("client").await.publish("keep", format!("{{\"text\":\"{text}\"}}")).await;
    let mut times = Vec::new();
    for _ in 0..16 {
        times.push(listener.recv().await.text().parse::<u64>().unwrap());
    }
    let took_ms = times.iter().max().unwrap() - times.iter().min().unwrap();
    assert!(took_ms < 2_500, "it took {took_ms} ms");
}

#[tokio::test]
async fn rules_that_change_what_they_watch_come_to_an_end() {
    const ROUND: &str = r#"
        on_message("begin/{name}", "begin");
        on_message("ask/{name}", "ask");
        on_change("rounds", "again");
        fn begin(msg) { table("rounds").add(msg.params.name, "", "count", 1); }
        fn again(change) { table("rounds").add(change.hash, "", "count", 1); }
        fn ask(msg) { publish("count", table("rounds").get(msg.params.name)?.count ?? 0, #{ qos: 1 }); }
    "#;
    let server = TestServer::builder().rule("rounds", ROUND).start().await;
    let mut client = listener(&server, "count").await;
    // The message, and the eight rules that a change goes through.
    for name in ["a", "b"] {
        client.publish(&format!("begin/{name}"), "").await;
        for asked in ["a", name] {
            eventually("the change has gone through eight rules", async || {
                client.publish(&format!("ask/{asked}"), "").await;
                let count = client.recv_on("count").await.text().to_owned();
                if count == "9" { Ok(()) } else { Err(count) }
            })
            .await;
        }
    }
}

/// How often a row of [`SHORT_LIVED`] was told to be over.
async fn times_told(server: &ServerProcess, name: &str) -> String {
    let mut client = server.mqtt("asker").await;
    client.subscribe("times", QoS::AtLeastOnce).await;
    client.publish(&format!("ask/{name}"), "").await;
    client.recv_on("times").await.text().to_owned()
}

#[tokio::test]
async fn a_rule_is_told_once_of_a_row_whose_time_was_over_while_the_server_was_down() {
    let mut server = ServerProcess::start(env!("CARGO_BIN_EXE_server")).await;
    server.add_rule("moments", SHORT_LIVED).await;
    let mut client = server.mqtt("client").await;
    client.publish("keep/a", "1").await;
    server.kill().await;
    server.run().await;
    for _ in 0..2 {
        eventually("the end of the row is told", async || match times_told(&server, "a").await {
            told if told == "1" => Ok(()),
            told => Err(told),
        })
        .await;
        server.restart().await;
    }
    // The end of another is looked for after that of the first would be found again.
    server.mqtt("client").await.publish("keep/b", "2").await;
    eventually("the end of another row is told", async || match times_told(&server, "b").await {
        told if told == "1" => Ok(()),
        told => Err(told),
    })
    .await;
    assert_eq!(times_told(&server, "a").await, "1");
}

#[tokio::test]
async fn a_batch_is_complete_by_count_by_bytes_or_by_time() {
    let server = TestServer::builder()
        .rule(
            "batches",
            r#"
            on_batch("count/{n}", #{ max_messages: 3, max_delay: "60s" }, "told");
            on_batch("bytes", #{ max_bytes: 10, max_delay: "60s" }, "told");
            on_batch("time", #{ max_delay: "50ms" }, "told");
            fn told(batch) {
                let text = "";
                for msg in batch.messages { text += msg.text() + " "; }
                publish("told/" + batch.messages[0].topic.split("/")[0], text, #{ qos: 1 });
            }
            "#,
        )
        .start()
        .await;
    let mut listener = listener(&server, "told/#").await;
    let mut client = server.mqtt("client").await;
    for number in 0..7 {
        client.publish(&format!("count/{number}"), number.to_string()).await;
    }
    assert_eq!(listener.recv_on("told/count").await.text(), "0 1 2 ");
    assert_eq!(listener.recv_on("told/count").await.text(), "3 4 5 ");
    for text in ["aaaa", "bbbb", "cccc"] {
        client.publish("bytes", text).await;
    }
    assert_eq!(listener.recv_on("told/bytes").await.text(), "aaaa bbbb ", "a third would be too much");
    client.publish("time", "alone").await;
    assert_eq!(listener.recv_on("told/time").await.text(), "alone ");
}

#[tokio::test]
async fn every_message_is_in_one_batch_over_a_kill() {
    const MESSAGES: usize = 40;
    let mut server = ServerProcess::start(env!("CARGO_BIN_EXE_server")).await;
    server
        .add_rule(
            "batches",
            r#"
        on_batch("work", #{ max_messages: 7, max_delay: "200ms" }, "add");
        on_message("ask", "ask");
        fn add(batch) {
            let t = table("sum");
            for msg in batch.messages { t.add("all", "", "count", 1); }
        }
        fn ask(msg) { publish("told", table("sum").get("all")?.count ?? 0, #{ qos: 1 }); }
        "#,
        )
        .await;
    let mut client = server.mqtt("client").await;
    for number in 0..MESSAGES / 2 {
        client.publish("work", number.to_string()).await;
    }
    server.kill().await;
    server.run().await;
    let mut client = server.mqtt("client").await;
    client.subscribe("told", QoS::AtLeastOnce).await;
    for number in MESSAGES / 2..MESSAGES {
        client.publish("work", number.to_string()).await;
    }
    eventually("each message was counted once", async || {
        client.publish("ask", "").await;
        let told = client.recv_on("told").await.text().to_owned();
        if told == MESSAGES.to_string() { Ok(()) } else { Err(told) }
    })
    .await;
}

#[tokio::test]
async fn a_rule_is_called_again_and_again() {
    let server = TestServer::builder()
        .rule(
            "clock",
            r#"
            every("200ms", "tick");
            fn tick(tick) { publish("told", #{ time: tick.time, id: tick.id }, #{ qos: 1 }); }
            "#,
        )
        .start()
        .await;
    let mut listener = listener(&server, "told").await;
    let mut last = 0;
    for _ in 0..3 {
        let told = within("the next time", listener.recv()).await.json();
        let time = told["time"].as_u64().expect("milliseconds");
        assert!(time.is_multiple_of(200) && time > last, "{told} after {last}");
        last = time;
    }
}

#[tokio::test]
async fn a_new_rule_may_begin_with_the_oldest_that_is_kept() {
    let server = TestServer::builder()
        .rule(
            "putter",
            r#"
            on_message("put", "put");
            fn put(msg) { put_events(#{ source: "s", detail_type: "t", detail: #{ n: msg.json } }); publish("done", msg.payload, #{ qos: 1 }); }
            "#,
        )
        .start()
        .await;
    let mut listener = listener(&server, "#").await;
    let mut client = server.mqtt("client").await;
    for number in 0..3 {
        client.publish("put", number.to_string()).await;
        listener.recv_where(|it| it.topic == "done").await;
    }
    let rule = |start: &str| {
        format!(
            "on_event(#{{ source: [\"s\"] }}, #{{ start: \"{start}\" }}, \"late\");
             fn late(event) {{ publish(\"{start}\", event.detail.n, #{{ qos: 1 }}); }}"
        )
    };
    server.write_rule("from_oldest", &rule("oldest")).await;
    for number in 0..3 {
        assert_eq!(listener.recv_where(|it| it.topic == "oldest").await.text(), number.to_string());
    }
    server.write_rule("from_now", &rule("now")).await;
    client.publish("put", "3").await;
    assert_eq!(listener.recv_where(|it| it.topic == "now").await.text(), "3");
}
