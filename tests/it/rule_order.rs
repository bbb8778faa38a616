//! The order in which rules handle events, and who waits for whom.

use std::time::Instant;

use pointsman_tests::{Client, QoS, TestServer};

/// Answers each message; for those to `in/slow/…` it takes its time.
const HEAR: &str = r#"
    on_message("in/{pace}/{who}", "hear");
    fn hear(msg) {
        if msg.params.pace == "slow" { let n = 0; while n < 60000 { n += 1; } }
        publish("out/" + msg.params.who, msg.payload, #{ qos: 1 });
    }
"#;

/// A server with a rule that a debug build on a busy machine can run to its end.
async fn with_rule(text: &str) -> TestServer {
    let patient = TestServer::builder().without_bundled_rules().config(|config| {
        config.rules.run_time_max_ms = 10_000;
        config.rules.operations_max = 10_000_000;
    });
    patient.rule("case", text).start().await
}

async fn listener(server: &TestServer, topic: &str) -> Client {
    let mut listener = server.mqtt(&format!("listener-{}", topic.replace('/', "-"))).await;
    listener.subscribe(topic, QoS::AtLeastOnce).await;
    listener
}

#[tokio::test]
async fn slow_clients_hold_up_no_other() {
    const SLOW: [&str; 3] = ["a", "b", "c"];
    const SLOW_MESSAGES: usize = 8;
    const ROUND_TRIPS: usize = 10;
    let server = with_rule(HEAR).await;
    let mut answers = Vec::new();
    let begun = Instant::now();
    for who in SLOW {
        answers.push(listener(&server, &format!("out/{who}")).await);
        let mut client = server.mqtt(who).await;
        for number in 0..SLOW_MESSAGES {
            client.publish(&format!("in/slow/{who}"), number.to_string()).await;
        }
    }
    let mut quick_answers = listener(&server, "out/quick").await;
    let mut quick = server.mqtt("quick").await;
    let quick_begun = Instant::now();
    for number in 0..ROUND_TRIPS {
        quick.publish("in/quick/quick", number.to_string()).await;
        assert_eq!(quick_answers.recv().await.json(), number);
    }
    let quick_took = quick_begun.elapsed();
    for answers in &mut answers {
        for number in 0..SLOW_MESSAGES {
            assert_eq!(answers.recv().await.json(), number);
        }
    }
    let slow_took = begun.elapsed();
    assert!(quick_took * 2 < slow_took, "{quick_took:?} beside {slow_took:?}");
}

#[tokio::test]
async fn each_publisher_is_in_order_also_where_what_is_read_changes() {
    const EACH: usize = 40;
    // Every run reads and writes one row that all share, and one of its own that must count up.
    let server = with_rule(
        r#"on_message("in/{who}", "count");
           fn count(msg) {
               let all = table("t").get("all");
               table("t").put("all", if all == () { 1 } else { all + 1 });
               let own = table("t").get(msg.params.who);
               own = if own == () { 0 } else { own };
               table("t").put(msg.params.who, own + 1);
               publish("out/" + msg.params.who, [own, msg.json], #{ qos: 1 });
           }"#,
    )
    .await;
    let mut tasks = Vec::new();
    for who in ["a", "b", "c", "d"] {
        let mut answers = listener(&server, &format!("out/{who}")).await;
        let mut client = server.mqtt(who).await;
        tasks.push(tokio::spawn(async move {
            for number in 0..EACH {
                client.publish(&format!("in/{who}"), number.to_string()).await;
            }
            for number in 0..EACH {
                assert_eq!(answers.recv().await.json(), serde_json::json!([number, number]));
            }
        }));
    }
    for task in tasks {
        task.await.expect("every answer comes, in order");
    }
}

#[tokio::test]
async fn order_by_decides_what_waits_for_what() {
    const MESSAGES: usize = 30;
    let server = with_rule(
        r#"on_message("room/+", #{ order_by: "json.room" }, "hear");
           on_message("all/+", #{ order_by: "all" }, "hear");
           fn hear(msg) { publish("out/" + msg.json.room, msg.json.n, #{ qos: 1 }); }"#,
    )
    .await;
    for scope in ["room", "all"] {
        let mut answers = listener(&server, "out/lobby").await;
        let mut clients = [server.mqtt("a").await, server.mqtt("b").await];
        // Each is acknowledged before the other client says the next, so this is the order in which they came.
        for number in 0..MESSAGES {
            let said = serde_json::json!({ "room": "lobby", "n": number });
            clients[number % 2].publish_json(&format!("{scope}/x"), &said).await;
        }
        for number in 0..MESSAGES {
            assert_eq!(answers.recv().await.json(), number, "{scope}");
        }
    }
}
