//! `/metrics`: the format, the names, who may read it, and that the counters move.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use pointsman_config::Readers;
use pointsman_tests::{QoS, TestServer, Transport, eventually, repository};

/// A page, read strictly: families by name, samples by name and labels.
#[derive(Debug, Default)]
struct Page {
    kinds: BTreeMap<String, String>,
    samples: BTreeMap<String, f64>,
}

impl Page {
    fn parse(text: &str) -> Page {
        assert!(text.ends_with('\n'), "the last line ends");
        let mut page = Page::default();
        let mut lines = text.lines().peekable();
        while let Some(help) = lines.next() {
            let (family, words) = of("# HELP ", help);
            assert!(!words.is_empty() && !family.starts_with("pointsman_pointsman"), "{help}");
            let (typed, kind) = of("# TYPE ", lines.next().expect("a type follows the help"));
            assert_eq!(typed, family, "help and type belong together");
            assert!(matches!(kind, "counter" | "gauge" | "histogram"), "{kind}");
            assert_eq!(kind == "counter", family.ends_with("_total"), "{family}");
            assert!(
                page.kinds.insert(family.to_owned(), kind.to_owned()).is_none(),
                "{family} is there twice"
            );
            let before = page.samples.len();
            while let Some(sample) = lines.next_if(|line| !line.starts_with('#')) {
                page.sample(family, kind, sample);
            }
            assert!(page.samples.len() > before, "{family} has a sample");
        }
        page
    }

    fn sample(&mut self, family: &str, kind: &str, line: &str) {
        let (series, value) = line.rsplit_once(' ').expect("a sample has a value");
        let value: f64 = value.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
        let (name, labels) = match series.split_once('{') {
            Some((name, rest)) => (name, rest.strip_suffix('}').expect("labels end")),
            None => (series, ""),
        };
        let suffixes: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        assert!(
            suffixes.iter().any(|suffix| name == format!("{family}{suffix}")),
            "{line} is not of {family}"
        );
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'), "{name}");
        for label in labels.split(',').filter(|label| !label.is_empty()) {
            let (key, value) = label.split_once('=').expect("a label has a value");
            assert!(key.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{label}");
            let quoted = value.len() >= 2 && value.starts_with('"') && value.ends_with('"');
            assert!(quoted && !value[1..value.len() - 1].contains(['"', '\\']), "{label}");
        }
        assert!(value.is_finite() && value >= 0.0, "{line}");
        assert!(self.samples.insert(series.to_owned(), value).is_none(), "{series} is there twice");
    }

    fn get(&self, series: &str) -> f64 {
        *self.samples.get(series).unwrap_or_else(|| panic!("no {series}"))
    }
}

fn of<'a>(head: &str, line: &'a str) -> (&'a str, &'a str) {
    line.strip_prefix(head).and_then(|rest| rest.split_once(' ')).unwrap_or_else(|| panic!("{line:?}"))
}

async fn page(server: &TestServer) -> Page {
    let answer = server.http().get("/metrics").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    Page::parse(answer.text())
}

#[tokio::test]
async fn the_page_and_its_documentation_name_the_same() {
    let server = TestServer::start().await;
    let page = page(&server).await;
    let text = fs::read_to_string(repository().join("docs/METRICS.md")).expect("the documentation");
    let documented: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name.to_owned())
        .collect();
    let given: BTreeSet<_> = page.kinds.into_keys().collect();
    assert_eq!(given, documented);
}

#[tokio::test]
async fn counters_move() {
    let server = TestServer::start().await;
    let before = page(&server).await;
    let mut listener = server.client("listener").over(Transport::Ws).connect().await;
    listener.subscribe("moves", QoS::AtLeastOnce).await;
    let mut publisher = server.mqtt("publisher").await;
    publisher.publish("moves", "0123456789").await;
    publisher.send("moves", "abc").await;
    for text in ["0123456789", "abc"] {
        assert_eq!(listener.recv_on("moves").await.text(), text);
    }
    server.client("nobody").login("nobody", "x").try_connect().await.expect_err("a wrong password");
    eventually("what was sent and acknowledged is counted", async || {
        let after = page(&server).await;
        let moved = |series: &str| after.get(series) - before.get(series);
        let expected = [
            ("pointsman_connections{transport=\"ws\"}", 1.0),
            ("pointsman_connections{transport=\"tcp\"}", 1.0),
            ("pointsman_connections_opened_total{transport=\"tcp\"}", 2.0),
            ("pointsman_connects_accepted_total", 2.0),
            ("pointsman_connects_refused_total{reason=\"bad_credentials\"}", 1.0),
            ("pointsman_sessions{state=\"connected\"}", 2.0),
            ("pointsman_subscriptions{kind=\"plain\"}", 1.0),
            ("pointsman_messages_received_total{qos=\"1\"}", 1.0),
            ("pointsman_messages_received_total{qos=\"0\"}", 1.0),
            ("pointsman_messages_sent_total{qos=\"1\"}", 1.0),
            ("pointsman_messages_sent_total{qos=\"0\"}", 1.0),
            // Two bytes of fixed header, two of length, the topic, the packet id, the payload.
            ("pointsman_messages_received_bytes_total{qos=\"1\"}", 21.0),
            ("pointsman_messages_sent_bytes_total{qos=\"0\"}", 12.0),
            // SUBSCRIBE, two PUBLISH, PUBACK; SUBACK, PUBACK, two PUBLISH.
            ("pointsman_packets_received_total", 4.0),
            ("pointsman_packets_sent_total", 4.0),
        ];
        match expected.iter().find(|(series, by)| (moved(series) - by).abs() > 0.01) {
            None => Ok(()),
            Some((series, by)) => Err(format!("{series} moved by {}, not {by}", moved(series))),
        }
    })
    .await;
    let after = page(&server).await;
    for series in
        ["pointsman_received_bytes_total", "pointsman_sent_bytes_total", "pointsman_spine_envelopes_total"]
    {
        assert!(after.get(series) > before.get(series), "{series}");
    }
}

#[tokio::test]
async fn the_disk_is_timed() {
    let rule = r#"on_message("kept", "keep"); fn keep(msg) { table("t").put("a", "b", 1); }"#;
    let server = TestServer::builder().rule("kept", rule).start().await;
    let before = page(&server).await;
    server.mqtt("publisher").await.publish("kept", "x").await;
    let after = page(&server).await;
    let count = "pointsman_log_commit_seconds_count";
    assert!(after.get(count) > before.get(count));
    assert!(after.get("pointsman_log_commit_seconds_bucket{le=\"+Inf\"}") >= after.get(count));
    assert!(after.get("pointsman_log_commit_seconds_sum") > before.get("pointsman_log_commit_seconds_sum"));
    assert!(after.get("pointsman_log_durable_record") > before.get("pointsman_log_durable_record"));
}

#[tokio::test]
async fn strangers_need_the_operators_password() {
    let server = TestServer::builder().config(|config| config.metrics.allow = Readers::Admin).start().await;
    let refused = server.http().get("/metrics").await;
    assert_eq!((refused.status.as_u16(), &refused.json()["title"]), (401, &"For the operator only".into()));
    assert!(refused.headers["www-authenticate"].to_str().unwrap().starts_with("Basic "));
    let get = async |user: &str, password: &str| {
        server.https().login(user, password).get("/metrics").await.status.as_u16()
    };
    assert_eq!(get("admin", "wrong").await, 401);
    assert_eq!(get("root", server.admin_password()).await, 401);
    assert_eq!(get("admin", server.admin_password()).await, 200);
    let headers = [("origin", "https://evil.example")];
    assert_eq!(server.operator().get_with("/metrics", &headers).await.status.as_u16(), 403);
}

#[tokio::test]
async fn who_comes_through_a_proxy_is_not_of_this_machine() {
    let server = TestServer::start().await;
    let answer = server.http().get_with("/metrics", &[("x-forwarded-for", "192.0.2.1")]).await;
    assert_eq!(answer.status.as_u16(), 401);
}
