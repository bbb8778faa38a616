//! Packet ids of a session go round, over connections and restarts.

use pointsman_tests::wire::{self, Connect, kind};
use pointsman_tests::{Raw, TestServer};

/// More than there are packet ids.
const MESSAGES: usize = 70_000;
const BATCH: usize = 500;

#[tokio::test]
async fn packet_ids_go_round_and_leave_out_those_that_are_out() {
    let server = TestServer::builder().without_bundled_rules().start().await;
    let connect = Connect { clean: false, ..Connect::new(wire::V311, "reader") };
    let mut subscriber = server.raw().await.join(&connect).await;
    subscriber.subscribe(&[("round", 1)]).await;
    let mut source = server.raw().await.join(&Connect::new(wire::V311, "publisher")).await;
    let mut last = 0;
    for turn in 0..MESSAGES / BATCH {
        publish(&mut source).await;
        let mut acks = Vec::new();
        for _ in 0..BATCH {
            let published = subscriber.published().await;
            let expected = last % u16::MAX + 1;
            assert_eq!(published.packet_id, expected, "in turn {turn}");
            last = expected;
            acks.extend(wire::puback(last));
        }
        subscriber.send(&acks).await;
    }
}

async fn publish(source: &mut Raw) {
    let message = wire::Publish { flags: 2, topic: b"round", packet_id: 9, properties: None, payload: b"x" };
    source.send(&message.packet().repeat(BATCH)).await;
    for _ in 0..BATCH {
        source.expect(kind::PUBACK).await;
    }
}
