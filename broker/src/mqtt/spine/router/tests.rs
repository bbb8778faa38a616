//! What the router does badly, done to it; and what the spine makes of that.

use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

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

/// Readers that have everything through the router.
const ROUTED: ReaderOptions = ReaderOptions { inline: false, wants: |_| true };
/// Readers that publishers may deliver to.
const INLINE: ReaderOptions = ReaderOptions { inline: true, wants: |_| true };

/// A reader that hands on the numbers of what it gets.
fn attach(spine: &RouterSpine, name: &'static str, options: ReaderOptions) -> Receiver<u128> {
    let (numbers, got) = channel();
    let deliver = move |envelopes: &[Envelope]| {
        for envelope in envelopes {
            let _ = numbers.send(envelope.id(0).to_u128());
        }
    };
    spine.attach(name, options, Box::new(deliver));
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
    let (first, second) = (attach(&spine, "first", ROUTED), attach(&spine, "second", INLINE));
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
    let got = attach(&spine, "reader", ROUTED);
    for number in 0..1000 {
        spine.publish(envelope(number, b"payload"));
    }
    expect_in_order(&got, 0..1000);
    let deadline = Instant::now() + PATIENCE;
    while spine.stats().lag_bytes > 0 {
        assert!(Instant::now() < deadline, "the window still holds {} bytes", spine.stats().lag_bytes);
        thread::yield_now();
    }
}

#[test]
fn a_dead_router_is_replaced_and_nothing_is_lost() {
    let spine = RouterSpine::start(SpineOptions::default());
    let (first, second) = (attach(&spine, "first", ROUTED), attach(&spine, "second", INLINE));
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
    let got = attach(&spine, "reader", ROUTED);
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
    spine.attach("slow", ROUTED, Box::new(deliver));
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
    spine.attach("slow", ROUTED, Box::new(deliver));
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

#[test]
fn a_reader_that_has_had_everything_is_delivered_to_by_the_publisher() {
    let spine = RouterSpine::start(SpineOptions::default());
    let threads: Arc<Mutex<Vec<thread::ThreadId>>> = Arc::default();
    let seen = Arc::clone(&threads);
    spine.attach("reader", INLINE, Box::new(move |_| seen.lock().unwrap().push(thread::current().id())));
    for number in 0..10 {
        spine.publish(envelope(number, b"payload"));
    }
    assert_eq!(*threads.lock().unwrap(), vec![thread::current().id(); 10]);
    assert_eq!((spine.stats().routed, spine.stats().lag_bytes), (0, 0));
}

#[test]
fn what_is_published_while_delivering_comes_after_it() {
    let spine = RouterSpine::start(SpineOptions::default());
    let (numbers, got) = channel();
    let again = spine.clone();
    let deliver = move |envelopes: &[Envelope]| {
        for number in envelopes.iter().map(|it| it.id(0).to_u128()) {
            let _ = numbers.send(number);
            if number < 500 {
                again.publish(envelope(u64::try_from(number).unwrap() + 1, b""));
            }
        }
    };
    spine.attach("reader", INLINE, Box::new(deliver));
    spine.publish(envelope(0, b""));
    expect_in_order(&got, 0..500);
    assert!(spine.stats().routed > 0, "the publisher was not kept for ever");
}

#[test]
fn a_reader_that_panics_on_a_publishers_thread_goes_on() {
    let spine = RouterSpine::start(SpineOptions::default());
    let (numbers, got) = channel();
    let deliver = move |envelopes: &[Envelope]| {
        let number = envelopes[0].id(0).to_u128();
        assert_ne!(number, 0, "a reader with an error in it");
        let _ = numbers.send(number);
    };
    spine.attach("reader", INLINE, Box::new(deliver));
    spine.publish(envelope(0, b""));
    spine.publish(envelope(1, b""));
    assert_eq!(got.recv_timeout(PATIENCE), Ok(1));
    assert_eq!(spine.stats().lag_bytes, 0);
}

/// Many publishers, readers of all kinds, and a router that dies now and then. What each publisher publishes comes in
/// its order, and all readers have all of it in the same order.
#[test]
fn all_readers_have_one_order_whatever_happens_to_the_router() {
    const PUBLISHERS: u64 = 4;
    const EACH: u64 = 3_000;
    let spine = RouterSpine::start(SpineOptions { lag_bytes_max: 64 * 1024 });
    let quick = attach(&spine, "quick", INLINE);
    let routed = attach(&spine, "routed", ROUTED);
    let (numbers, slow) = channel();
    let deliver = move |envelopes: &[Envelope]| {
        for envelope in envelopes {
            thread::yield_now();
            let _ = numbers.send(envelope.id(0).to_u128());
        }
    };
    spine.attach("slow", INLINE, Box::new(deliver));
    thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let spine = &spine;
            scope.spawn(move || {
                for number in 0..EACH {
                    spine.publish(envelope(publisher * EACH + number, b"payload"));
                    if number % 1000 == 500 {
                        kill_router(spine);
                    }
                }
            });
        }
    });
    let all = |got: &Receiver<u128>| -> Vec<u128> {
        (0..PUBLISHERS * EACH).map(|_| got.recv_timeout(PATIENCE).unwrap()).collect()
    };
    let order = all(&quick);
    assert!(order == all(&routed) && order == all(&slow), "the readers differ");
    for publisher in 0..PUBLISHERS {
        let of = |number: &&u128| **number / u128::from(EACH) == u128::from(publisher);
        assert!(order.iter().filter(of).is_sorted(), "what publisher {publisher} published changed places");
    }
    assert!(spine.stats().restarts > 0);
}
