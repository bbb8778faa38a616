//! Waiting for a condition: looks often, gives up late, and says what it saw last.

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;

/// How long anything may take before a case gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(30);

const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Asks `probe` until it says `Ok`, and gives what it said; `Err` is the status that is printed on giving up.
pub async fn eventually<T, S: std::fmt::Display>(
    what: &str,
    mut probe: impl AsyncFnMut() -> Result<T, S>,
) -> T {
    let start = Instant::now();
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await; // the first is due at once
        let status = match probe().await {
            Ok(value) => return value,
            Err(status) => status,
        };
        assert!(start.elapsed() < PATIENCE, "gave up after {PATIENCE:?} on: {what}; last status: {status}");
    }
}

/// Waits for a future, but not longer than [`PATIENCE`].
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let in_time = tokio::time::timeout(PATIENCE, future).await;
    in_time.unwrap_or_else(|elapsed| panic!("gave up after {PATIENCE:?} on: {what} ({elapsed})"))
}
