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
    let mut reader = server.raw().await.join(&connect).await;
    reader.subscribe(&[("round", 1)]).await;
    let mut publisher = server.raw().await.join(&Connect::new(wire::V311, "publisher")).await;
    let mut last = 0;
    for turn in 0..MESSAGES / BATCH {
        publish(&mut publisher).await;
        let mut acks = Vec::new();
        for _ in 0..BATCH {
            let message = reader.published().await;
            let expected = last % u16::MAX + 1;
            assert_eq!(message.packet_id, expected, "in turn {turn}");
            last = expected;
            acks.extend(wire::puback(last));
        }
        reader.send(&acks).await;
    }
}

async fn publish(publisher: &mut Raw) {
    let message = wire::Publish { flags: 2, topic: b"round", packet_id: 9, properties: None, payload: b"x" };
    publisher.send(&message.packet().repeat(BATCH)).await;
    for _ in 0..BATCH {
        publisher.expect(kind::PUBACK).await;
    }
}
