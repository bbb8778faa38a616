//! What the router does badly, done to it; and what the spine makes of that.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::*;
use crate::mqtt::codec::QoS;
use crate::mqtt::{EnvelopeBuilder, Interest, Marks, Origin, SERVER};
use pointsman_rules::EventId;

const PATIENCE: Duration = Duration::from_secs(20);

fn envelope(number: u64, payload: &[u8]) -> Envelope {
    let mut builder = EnvelopeBuilder::default();
    let marks = Marks { qos: QoS::AtMostOnce, retain: false, interest: Interest::default() };
    // Topics that would kill or confuse the router if they reached it.
    let topics = ["é/x", "$aws/events/x", "日本/語", "🚂/🛤"];
    builder.push(topics[usize::try_from(number).unwrap() % 4], payload, &[], marks);
    let first_id = EventId::from_u128(u128::from(number));
    builder.seal(&Origin { publisher: SERVER, client_id: "", user: None, hops: 0, first_id })
}

/// A reader that hands on the numbers of what it gets.
fn attach(spine: &RouterSpine, name: &'static str) -> Receiver<u128> {
    let (numbers, got) = channel();
    let deliver = move |envelopes: &[Envelope]| {
        for envelope in envelopes {
            let _ = numbers.send(envelope.id(0).to_u128());
        }
    };
    spine.attach(name, Box::new(deliver));
    got
}

fn expect_in_order(got: &Receiver<u128>, numbers: std::ops::Range<u64>) {
    for number in numbers {
        assert_eq!(got.recv_timeout(PATIENCE), Ok(u128::from(number)));
    }
}

/// Panics the router's thread, the way any client of an exposed rumqttd could.
fn kill_router(spine: &RouterSpine) {
    let _ = spine.shared.lock().link.publish("é", "");
}

#[test]
fn every_reader_gets_everything_once_and_in_order() {
    let spine = RouterSpine::start(SpineOptions::default());
    let (first, second) = (attach(&spine, "first"), attach(&spine, "second"));
    for number in 0..20_000 {
        spine.publish(envelope(number, b"payload"));
    }
    expect_in_order(&first, 0..20_000);
    expect_in_order(&second, 0..20_000);
    assert_eq!(spine.stats().restarts, 0, "no topic of a client reached the router's matcher");
}

#[test]
fn the_envelopes_are_let_go_when_all_have_read_them() {
    let spine = RouterSpine::start(SpineOptions::default());
    let got = attach(&spine, "reader");
    for number in 0..1000 {
        spine.publish(envelope(number, b"payload"));
    }
    expect_in_order(&got, 0..1000);
    let deadline = Instant::now() + PATIENCE;
    while spine.stats().lag_bytes > 0 {
        assert!(Instant::now() < deadline, "the window still holds {} bytes", spine.stats().lag_bytes);
        thread::yield_now();
    }
    assert!(spine.shared.lock().window.is_empty());
}

#[test]
fn a_dead_router_is_replaced_and_nothing_is_lost() {
    let spine = RouterSpine::start(SpineOptions::default());
    let (first, second) = (attach(&spine, "first"), attach(&spine, "second"));
    let mut number = 0;
    for _ in 0..3 {
        for _ in 0..500 {
            spine.publish(envelope(number, b"payload"));
            number += 1;
        }
        kill_router(&spine);
        for _ in 0..500 {
            spine.publish(envelope(number, b"payload"));
            number += 1;
        }
        expect_in_order(&first, number - 1000..number);
        expect_in_order(&second, number - 1000..number);
    }
    assert_eq!(spine.stats().restarts, 3);
}

#[test]
fn a_reader_notices_a_dead_router_though_nothing_is_published() {
    let spine = RouterSpine::start(SpineOptions::default());
    let got = attach(&spine, "reader");
    spine.publish(envelope(0, b"before"));
    kill_router(&spine);
    expect_in_order(&got, 0..1);
    let deadline = Instant::now() + PATIENCE;
    while spine.stats().restarts == 0 {
        assert!(Instant::now() < deadline, "the router was not started again");
        thread::yield_now();
    }
    spine.publish(envelope(1, b"after"));
    expect_in_order(&got, 1..2);
}

#[test]
fn entries_that_the_router_evicts_come_from_the_window() {
    // A log of ten segments of 1 KiB: the router evicts what a slow reader has not read.
    let spine = RouterSpine::start(SpineOptions { lag_bytes_max: 1 });
    let (gate, opened) = channel::<()>();
    let (numbers, got) = channel();
    let mut held = true;
    let deliver = move |envelopes: &[Envelope]| {
        if std::mem::take(&mut held) {
            let _ = opened.recv();
        }
        for envelope in envelopes {
            let _ = numbers.send(envelope.id(0).to_u128());
        }
    };
    spine.attach("slow", Box::new(deliver));
    for number in 0..2_000 {
        spine.publish(envelope(number, &[0; 512]));
    }
    assert!(spine.is_lagging(), "publishers are asked to wait");
    gate.send(()).unwrap();
    expect_in_order(&got, 0..2_000);
    assert!(spine.stats().refilled > 0, "the router had evicted some");
}

#[tokio::test]
async fn publishers_wait_until_the_slowest_reader_has_caught_up() {
    let spine = RouterSpine::start(SpineOptions { lag_bytes_max: 64 * 1024 });
    let (gate, opened) = channel::<()>();
    let mut held = true;
    let deliver = move |_: &[Envelope]| {
        if std::mem::take(&mut held) {
            let _ = opened.recv();
        }
    };
    spine.attach("slow", Box::new(deliver));
    let mut number = 0;
    while !spine.is_lagging() {
        spine.publish(envelope(number, &[0; 1024]));
        number += 1;
    }
    let waiting = spine.caught_up();
    tokio::pin!(waiting);
    assert!(futures_util::poll!(&mut waiting).is_pending());
    gate.send(()).unwrap();
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
    assert!(!spine.is_lagging());
}

#[test]
fn a_small_message_holds_only_its_own_bytes() {
    let envelope = envelope(0, b"small");
    assert!(envelope.bytes().len() < 256, "an envelope shares nothing with a read buffer of 64 KiB");
}
