//! How many appends a second the store acknowledges: `cargo run --release -p pointsman --example acks`.
//!
//! Optional arguments: seconds a case, and the folder to write to (it is removed).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use pointsman::store::{AppendError, RealDisk, Record, Store, StoreOptions, Write};

/// A moment from which the store's clock counts.
const EPOCH_MS: u64 = 1_700_000_000_000;
const PAYLOAD_BYTES: usize = 64;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().map_or(Ok(3), |text| text.parse())?;
    let folder = arguments.next().map_or_else(|| std::env::temp_dir().join("pointsman-acks"), PathBuf::from);
    println!("| in flight | what is appended | acks/s | p50 µs | p99 µs |\n|---|---|---|---|---|");
    for rows in [false, true] {
        for in_flight in [1, 32, 512] {
            measure(&folder, in_flight, rows, Duration::from_secs(seconds)).await?;
        }
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

async fn measure(
    folder: &Path,
    in_flight: usize,
    rows: bool,
    time: Duration,
) -> Result<(), Box<dyn std::error::Error>> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    let begun = Instant::now();
    let clock = move || EPOCH_MS + u64::try_from(begun.elapsed().as_millis()).unwrap_or(0);
    let store = Arc::new(Store::open(StoreOptions::new(folder), Arc::new(clock), Arc::new(RealDisk))?);
    let appenders: Vec<_> = (0..in_flight)
        .map(|appender| tokio::spawn(append(Arc::clone(&store), appender, rows, begun + time)))
        .collect();
    let mut latencies = Vec::new();
    for appender in appenders {
        latencies.extend(appender.await?);
    }
    latencies.sort_unstable();
    let acks = u128::try_from(latencies.len())? * 1_000_000 / begun.elapsed().as_micros();
    let at = |percent: usize| latencies.get(latencies.len() * percent / 100).copied().unwrap_or_default();
    let what = if rows { "a row of 64 B" } else { "a message of 64 B" };
    println!("| {in_flight} | {what} | {acks} | {} | {} |", at(50), at(99));
    store.close()?;
    Ok(())
}

/// Appends one after the other and gives the time of each, in microseconds.
async fn append(store: Arc<Store>, appender: usize, rows: bool, until: Instant) -> Vec<u128> {
    let payload = Bytes::from(vec![7; PAYLOAD_BYTES]);
    let mut latencies = Vec::new();
    while Instant::now() < until {
        let mut record = Record::default();
        if rows {
            record.writes.push(Write::Put {
                table: "messages".to_owned(),
                hash: format!("room{}", appender % 100),
                sort: format!("{appender}-{:010}", latencies.len()),
                value: payload.clone(),
                expires_at_ms: Some(EPOCH_MS + 3_600_000),
            });
        } else {
            record.messages = payload.clone();
        }
        let asked = Instant::now();
        let acknowledged = match store.append(record) {
            Ok(ticket) => ticket.durable().await.map_err(|error| error.to_string()),
            Err(AppendError::Full { .. }) => {
                store.room().await;
                continue;
            }
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = acknowledged {
            eprintln!("cannot append: {error}");
            break;
        }
        latencies.push(asked.elapsed().as_micros());
    }
    latencies
}
