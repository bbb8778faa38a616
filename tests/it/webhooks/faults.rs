//! Web servers that refuse, hang, fail or vanish: nothing is lost, and nobody else is held up.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use pointsman_tests::{Client, Manner, QoS, Received, ServerProcess, TestServer, WebServer, eventually};
use serde_json::json;

use super::{RULE, allow, figure, hook, undelivered, with_hook};

/// The bodies in the order in which they first came, and that each came again with the same id only.
fn firsts(received: &[Received]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut firsts: Vec<String> = Vec::new();
    for request in received {
        if seen.insert((request.id().to_owned(), request.text().to_owned())) {
            firsts.push(request.text().to_owned());
        }
    }
    let (ids, bodies): (BTreeSet<_>, BTreeSet<_>) = seen.iter().cloned().unzip();
    assert_eq!(ids.len(), bodies.len(), "what is sent again has the same id");
    firsts
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number:04}")).collect()
}

#[tokio::test]
async fn what_fails_is_sent_again_in_order_with_the_same_id() {
    let web = WebServer::start().await;
    let (server, mut client) = with_hook(&web, |_| {}).await;
    web.behave_once([Manner::Status(500), Manner::HangUp, Manner::Status(503), Manner::Status(200)]);
    for body in numbers(5) {
        hook(&mut client, &web.url("/"), &body, json!({})).await;
    }
    let received = web.receives(8).await;
    assert_eq!(firsts(&received), numbers(5));
    assert!(received[..4].iter().all(|request| request.text() == "0000"), "the others wait for their turn");
    let figures = figure(&server, "delivered", |count| count == 5).await;
    assert_eq!(
        (&figures["failures"], &figures["failuresInARow"], &figures["waiting"]),
        (&json!(3), &json!(0), &json!(0))
    );
}

#[tokio::test]
async fn a_server_is_left_alone_for_as_long_as_it_asks() {
    let web = WebServer::start().await;
    let (_server, mut client) = with_hook(&web, |_| {}).await;
    web.behave_once([Manner::Full(429, "Retry-After: 1\r\n".to_owned(), Vec::new())]);
    hook(&mut client, &web.url("/"), "x", json!({})).await;
    let received = web.receives(2).await;
    let waited = received[1].at - received[0].at;
    assert!(waited >= Duration::from_millis(990), "it came again after {waited:?}");
}

#[tokio::test]
async fn a_request_is_given_up_after_its_retries() {
    let web = WebServer::start().await;
    let (server, mut client) = with_hook(&web, |config| config.rules.webhooks.attempts_max = 3).await;
    web.behave(Manner::Status(500));
    hook(&mut client, &web.url("/"), "once", json!({ "retries": 0 })).await;
    hook(&mut client, &web.url("/"), "thrice", json!({})).await;
    let received = web.receives(4).await;
    assert_eq!(firsts(&received), ["once", "thrice"]);
    figure(&server, "undelivered", |count| count == 2).await;
    let given_up = undelivered(&server, &web.url("")).await;
    assert!(given_up[0]["why"].to_string().contains("0 retries"), "{given_up}");
    assert!(given_up[1]["why"].to_string().contains("attempts_max = 3"), "{given_up}");
    assert_eq!(web.received().len(), 4);
}

#[tokio::test]
async fn as_many_requests_are_under_way_as_the_configuration_says() {
    let web = WebServer::start().await;
    let (server, mut client) = with_hook(&web, |config| config.rules.webhooks.in_flight_max = 3).await;
    web.behave(Manner::Hang);
    for body in numbers(9) {
        hook(&mut client, &web.url("/"), &body, json!({ "timeout": "5s" })).await;
    }
    let received = web.receives(1).await;
    let under_way = received.len();
    web.behave(Manner::Status(200));
    let figures = figure(&server, "delivered", |count| count == 9).await;
    assert_eq!(figures["waiting"], json!(0));
    assert!(under_way <= 3, "{under_way} were under way");
    assert_eq!(firsts(&web.received()).len(), 9);
}

#[tokio::test]
async fn a_timeout_is_a_failure_like_others() {
    let web = WebServer::start().await;
    let (server, mut client) = with_hook(&web, |_| {}).await;
    web.behave_once([Manner::Hang]);
    hook(&mut client, &web.url("/"), "x", json!({ "timeout": "100ms" })).await;
    let received = web.receives(2).await;
    assert_eq!(received[0].id(), received[1].id());
    let figures = figure(&server, "delivered", |count| count == 1).await;
    assert!(figures["lastError"].to_string().contains("no answer within 100ms"), "{figures}");
}

#[tokio::test]
async fn what_finds_the_queue_full_is_kept_aside_within_bounds() {
    let web = WebServer::start().await;
    let (server, mut client) = with_hook(&web, |config| config.rules.webhooks.outbox_rows_max = 4).await;
    web.behave(Manner::Hang);
    for body in numbers(12) {
        hook(&mut client, &web.url("/"), &body, json!({})).await;
    }
    figure(&server, "givenUp", |count| count == 8).await;
    let figures = figure(&server, "undelivered", |count| count <= 4).await;
    assert_eq!(figures["waiting"], json!(4));
    let given_up = undelivered(&server, &web.url("")).await;
    let bodies: Vec<&str> =
        given_up.as_array().expect("a list").iter().filter_map(|it| it["body"].as_str()).collect();
    assert_eq!(bodies, ["0008", "0009", "0010", "0011"], "the oldest went");
    assert!(given_up[0]["why"].to_string().contains("outbox_rows_max"), "{given_up}");
}

#[tokio::test]
async fn a_server_that_vanishes_misses_nothing_though_we_are_killed_meanwhile() {
    const EACH: usize = 40;
    let mut web = WebServer::start().await;
    let more = format!(
        "run_time_max_ms = 10000\n[rules.webhooks]\nallow = [\"{}\"]\nallow_private = [\"{}\"]\n",
        web.url("/"),
        web.address()
    );
    let mut server = ServerProcess::start_with(env!("CARGO_BIN_EXE_server"), &more).await;
    std::fs::write(server.rule_file("hook"), RULE).expect("the rule is written");
    eventually("the rule is active", async || {
        let rules = server.status().await["rules"].clone();
        if rules.to_string().contains("\"hook\"") { Ok(()) } else { Err(rules) }
    })
    .await;
    let mut sent = 0;
    for round in 0..4 {
        let mut client = server.mqtt("client").await;
        if round % 2 == 1 {
            web.vanish().await;
        }
        for number in sent..sent + EACH {
            hook(&mut client, &web.url("/"), &format!("{number:04}"), json!({})).await;
        }
        sent += EACH;
        server.kill().await;
        web.come_back().await;
        server.run().await;
    }
    let all = numbers(sent);
    let received = eventually("all have come", async || {
        let received = web.received();
        let count = firsts(&received).len();
        if count == all.len() { Ok(received) } else { Err(format!("{count} of {}", all.len())) }
    })
    .await;
    assert_eq!(firsts(&received), all, "in order");
}

#[tokio::test]
async fn a_server_that_hangs_delays_only_itself() {
    const ROUNDS: usize = 300;
    let (hanging, lively) = (WebServer::start().await, WebServer::start().await);
    hanging.behave(Manner::Hang);
    let rule = r#"on_message("ping", "pong"); fn pong(msg) { publish("out/pong", msg.payload); }"#;
    let builder = TestServer::builder().without_bundled_rules().rule("hook", RULE).rule("ping", rule);
    let server = builder
        .config(|config| {
            allow(config, &hanging);
            allow(config, &lively);
        })
        .start()
        .await;
    let mut client = server.mqtt("client").await;
    client.subscribe("out/pong", QoS::AtMostOnce).await;
    let before = p99(&mut client, ROUNDS).await;
    let mut other = server.mqtt("other").await;
    for number in 0..ROUNDS {
        hook(&mut other, &hanging.url("/"), &number.to_string(), json!({})).await;
    }
    hanging.receives(1).await;
    let during = p99(&mut client, ROUNDS).await;
    hook(&mut other, &lively.url("/"), "lively", json!({})).await;
    assert_eq!(lively.receives(1).await[0].text(), "lively");
    assert_eq!(hanging.received().len(), 1, "one request is under way to it");
    println!("p99 of another rule: {before:?} before, {during:?} while a web server hangs");
    // A machine that runs other tests is no clock: this shows that nothing waits for the timeout of seconds.
    assert!(during < before * 10 + Duration::from_millis(100), "{before:?} became {during:?}");
}

async fn p99(client: &mut Client, rounds: usize) -> Duration {
    let mut times = Vec::new();
    for round in 0..rounds {
        let begun = Instant::now();
        client.send("ping", round.to_string()).await;
        client.recv_on("out/pong").await;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    times[rounds * 99 / 100]
}

#[tokio::test]
async fn what_waits_for_a_server_that_is_not_allowed_any_more_is_given_up() {
    let web = WebServer::start().await;
    let more = |path: &str| {
        format!(
            "[rules.webhooks]\nallow = [\"{}\"]\nallow_private = [\"{}\"]\n",
            web.url(path),
            web.address()
        )
    };
    let mut server = ServerProcess::start_with(env!("CARGO_BIN_EXE_server"), &more("/")).await;
    std::fs::write(server.rule_file("hook"), RULE).expect("the rule is written");
    web.behave(Manner::Hang);
    eventually("a request has come", async || {
        let mut client = server.mqtt("client").await;
        hook(&mut client, &web.url("/old"), "x", json!({})).await;
        if web.received().is_empty() { Err("none") } else { Ok(()) }
    })
    .await;
    server.kill().await;
    let came = web.received().len();
    server.edit_config(&format!("allow = [\"{}\"]", web.url("/")), "allow = []");
    server.run().await;
    eventually("it is given up", async || {
        if server.metric("pointsman_webhook_given_up_total").await > 0 { Ok(()) } else { Err("none") }
    })
    .await;
    assert_eq!(web.received().len(), came);
}
