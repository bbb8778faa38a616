//! What an envelope's way through the spine costs, by the publisher and by the router:
//! `cargo run --release -p pointsman --example hop`.

use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use pointsman::mqtt::{
    Envelope, EnvelopeBuilder, Interest, Marks, Origin, QoS, ReaderOptions, RouterSpine, SERVER, Spine,
    SpineOptions,
};
use pointsman_rules::EventId;

const ENVELOPES: usize = 100_000;

fn main() -> Result<(), std::sync::mpsc::RecvError> {
    println!("| carried by | p50 µs | p99 µs | one at a time, a second | as fast as it goes, a second |");
    println!("|---|---|---|---|---|");
    for (name, inline) in [("the publisher", true), ("the router", false)] {
        measure(name, ReaderOptions { inline, ..ReaderOptions::default() })?;
    }
    Ok(())
}

fn measure(name: &str, options: ReaderOptions) -> Result<(), std::sync::mpsc::RecvError> {
    let spine = RouterSpine::start(SpineOptions::default());
    let (times, delivered): (_, Receiver<Instant>) = channel();
    let deliver = move |envelopes: &[Envelope]| {
        for _ in envelopes {
            let _ = times.send(Instant::now());
        }
    };
    spine.attach("reader", options, Box::new(deliver));
    let envelope = envelope();
    let begun = Instant::now();
    let mut waits = Vec::with_capacity(ENVELOPES);
    for _ in 0..ENVELOPES {
        let published = Instant::now();
        spine.publish(envelope.clone());
        waits.push(delivered.recv()?.duration_since(published));
    }
    let one_at_a_time = rate(begun.elapsed());
    waits.sort_unstable();
    let begun = Instant::now();
    for _ in 0..ENVELOPES {
        spine.publish(envelope.clone());
    }
    for _ in 0..ENVELOPES {
        delivered.recv()?;
    }
    let at_once = rate(begun.elapsed());
    let micros = |per_cent: usize| waits[ENVELOPES * per_cent / 100].as_secs_f64() * 1e6;
    println!("| {name} | {:.2} | {:.2} | {one_at_a_time:.0} | {at_once:.0} |", micros(50), micros(99));
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a rate to look at")]
fn rate(took: Duration) -> f64 {
    ENVELOPES as f64 / took.as_secs_f64()
}

/// One message of 64 bytes.
fn envelope() -> Envelope {
    let mut builder = EnvelopeBuilder::default();
    let marks = Marks { qos: QoS::AtMostOnce, retain: false, interest: Interest::default() };
    builder.push("bench/hop", &[b'x'; 64], &[], marks);
    let first_id = EventId::from_u128(1);
    builder.seal(&Origin { publisher: SERVER, client_id: "", user: None, hops: 0, first_id })
}
