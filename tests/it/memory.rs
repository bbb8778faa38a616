//! Very many client ids and topics come and go, and the server's memory is as it was.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use pointsman_tests::wire::{self, Connect, Publish, id, kind, property_u32};
use pointsman_tests::{Endpoints, Raw, ServerProcess, eventually, within};
use tokio::task::JoinSet;

/// Set, it says how many client ids come and go.
const COUNT_VARIABLE: &str = "POINTSMAN_CHURN";
const COUNT: usize = 4_000;
/// Topics for each of them that come and go besides its own.
const TOPICS_EACH: usize = 5;
/// Clients at a time.
const CLIENTS: usize = 16;
/// Topics in one write of the publisher.
const BATCH: usize = 500;
/// One client in so many leaves traces: a session that outlives its connection for a moment, and a retained message.
const LASTING_EVERY: usize = 8;
/// What the second half of them may add: where there are many, less than 100 bytes for each.
const GROWTH_BYTES_MAX: u64 = 32 << 20;

/// The log is small, so that it is as full in the middle as at the end. The section of rules is open at this place.
const CONFIG: &str = "run_time_max_ms = 10000\n[limits]\nconnects_per_address_per_second = 1000000\n\
                      [store]\nlog_mib_max = 4\nsegment_mib = 1\n";

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_flat_while_clients_and_topics_come_and_go() {
    let count = std::env::var(COUNT_VARIABLE).ok().map_or(COUNT, |text| text.parse().expect("a number"));
    let server = ServerProcess::start_with(env!("CARGO_BIN_EXE_server"), CONFIG).await;
    let half = come_and_go(&server, 0, count / 2).await;
    let end = come_and_go(&server, count / 2, count).await;
    let topics = count * (TOPICS_EACH + 1);
    println!("{count} client ids and {topics} topics: {half} bytes after half of them, {end} in the end");
    let growth = end.saturating_sub(half);
    assert!(growth <= GROWTH_BYTES_MAX, "{half} bytes after half of {count}, {end} in the end");
    assert!(!server.stderr().contains("panicked"), "{}", server.stderr());
}

/// Has clients and topics of these numbers come and go, and gives the bytes of memory that the server has then.
async fn come_and_go(server: &ServerProcess, from: usize, to: usize) -> u64 {
    let begun = Instant::now();
    let next = Arc::new(AtomicUsize::new(from));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (endpoints, next) = (Endpoints::clone(server), Arc::clone(&next));
        clients.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= to {
                    return;
                }
                visit(&endpoints, number).await;
            }
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.expect("a client does not fail");
    }
    publish(server, from * TOPICS_EACH, to * TOPICS_EACH).await;
    for (name, labels) in [
        ("pointsman_connections_open", ""),
        ("pointsman_sessions", "{state=\"connected\"}"),
        ("pointsman_sessions", "{state=\"offline\"}"),
        ("pointsman_subscriptions", "{kind=\"plain\"}"),
        ("pointsman_retained_messages", ""),
        ("pointsman_outbox_bytes", ""),
        ("pointsman_log_pending_bytes", ""),
        ("pointsman_tables_pending_bytes", ""),
    ] {
        nothing_is_left(server, &format!("{name}{labels}")).await;
    }
    println!("{from} to {to} in {:?}", begun.elapsed());
    resident_bytes(server)
}

/// A client comes, is sent what it publishes to itself, and goes.
async fn visit(server: &Endpoints, number: usize) {
    let lasting = number.is_multiple_of(LASTING_EVERY);
    let name = format!("visitor-{number}");
    let mut connect = Connect::new(wire::V5, &name);
    if lasting {
        connect.properties = property_u32(id::SESSION_EXPIRY, 100);
    }
    let mut script = connect.packet();
    script.extend(wire::subscribe(1, &[(&name, 1)], Some(&[])));
    let retain = u8::from(lasting);
    let publish = |payload: &[u8], packet_id: u16| {
        let topic = name.as_bytes();
        Publish { flags: 2 | retain, topic, packet_id, properties: Some(&[]), payload }.packet()
    };
    script.extend(publish(b"here", 2));
    script.extend(publish(b"", 3));
    let mut client = server.raw().await;
    client.send(&script).await;
    let (mut acks, mut came) = (0, 0);
    assert_eq!(client.connack().await.code, 0);
    while acks < 2 || came < 2 {
        let packet = within("what a client published", client.next()).await.expect("the server goes on");
        match packet.kind() {
            kind::PUBACK => acks += 1,
            kind::PUBLISH => {
                came += 1;
                client.send(&wire::puback(packet.publish(wire::V5).packet_id)).await;
            }
            kind::SUBACK => {}
            _ => panic!("nobody asked for {packet:?}"),
        }
    }
    let expiry = if lasting { property_u32(id::SESSION_EXPIRY, 0) } else { Vec::new() };
    client.send(&wire::disconnect(0, &expiry)).await;
    client.expect_end().await;
}

/// Publishes to topics of these numbers, each once.
async fn publish(server: &Endpoints, from: usize, to: usize) {
    let mut publisher: Raw = server.raw().await.join(&Connect::new(wire::V311, "publisher")).await;
    for first in (from..to).step_by(BATCH) {
        let numbers = first..to.min(first + BATCH);
        let packets: Vec<u8> =
            numbers.flat_map(|number| wire::publish(&format!("topics/{number}/of/many"), "x")).collect();
        publisher.send(&packets).await;
        publisher.ping().await;
    }
    publisher.leave().await;
}

/// Waits until a metric is at zero.
async fn nothing_is_left(server: &Endpoints, name: &str) {
    eventually(&format!("{name} is 0"), async || {
        match server.metric(name).await {
            0 => Ok(()),
            // The request itself is a connection.
            1 if name == "pointsman_connections_open" => Ok(()),
            other => Err(other.to_string()),
        }
    })
    .await;
}

/// Bytes of memory that the server has of its own.
fn resident_bytes(server: &ServerProcess) -> u64 {
    let process = server.id().expect("the server runs");
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("there is a /proc");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("it says RssAnon");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number of KiB");
    kib * 1024
}
