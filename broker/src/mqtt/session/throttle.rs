//! How fast a client may publish: a bucket of messages and one of bytes, filled evenly.

use std::time::Duration;

use tokio::time::Instant;

/// What one connection may publish in a second; it may save up one second's worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishRate {
    /// Messages; 0 for any number.
    pub messages_per_second: u64,
    /// Bytes of topics and payloads; 0 for any number.
    pub bytes_per_second: u64,
}

/// How much of its rate a connection has used.
#[derive(Debug)]
pub(crate) struct Throttle {
    since: Instant,
    messages: u64,
    bytes: u64,
}

impl Throttle {
    pub(crate) fn new() -> Throttle {
        Throttle { since: Instant::now(), messages: 0, bytes: 0 }
    }

    /// Notes what was published at a rate, and says how long nothing more is to be read.
    pub(crate) fn note(&mut self, rate: PublishRate, messages: u64, bytes: u64) -> Option<Duration> {
        self.messages += messages;
        self.bytes += bytes;
        let over = |used: u64, rate: u64| rate != 0 && used > rate;
        let is_over =
            over(self.messages, rate.messages_per_second) || over(self.bytes, rate.bytes_per_second);
        // As long as less than a second's worth was used there is no need to look at the clock.
        if is_over { self.settle(rate, Instant::now()) } else { None }
    }

    /// Takes off what the time since has allowed.
    fn settle(&mut self, rate: PublishRate, now: Instant) -> Option<Duration> {
        let passed = now.duration_since(self.since);
        self.since = now;
        let allowed =
            |rate: u64| u64::try_from(u128::from(rate) * passed.as_micros() / 1_000_000).unwrap_or(u64::MAX);
        self.messages = self.messages.saturating_sub(allowed(rate.messages_per_second));
        self.bytes = self.bytes.saturating_sub(allowed(rate.bytes_per_second));
        let wait = |used: u64, rate: u64| {
            let over = if rate == 0 { 0 } else { used.saturating_sub(rate) };
            Duration::from_micros(
                u64::try_from(u128::from(over) * 1_000_000 / u128::from(rate.max(1))).unwrap_or(u64::MAX),
            )
        };
        let wait = wait(self.messages, rate.messages_per_second).max(wait(self.bytes, rate.bytes_per_second));
        (!wait.is_zero()).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_the_rate_is_waited_for() {
        let rate = PublishRate { messages_per_second: 10, bytes_per_second: 0 };
        let mut throttle = Throttle::new();
        let begun = throttle.since;
        throttle.messages = 15;
        assert_eq!(
            throttle.settle(rate, begun),
            Some(Duration::from_millis(500)),
            "a second's worth is saved up"
        );
        assert_eq!(throttle.settle(rate, begun + Duration::from_millis(500)), None);
        throttle.messages += 1;
        assert_eq!(
            throttle.settle(rate, begun + Duration::from_millis(500)),
            Some(Duration::from_millis(100))
        );
        assert_eq!(throttle.settle(rate, begun + Duration::from_secs(100)), None);
        assert_eq!(throttle.messages, 0);
    }

    #[test]
    fn bytes_count_as_well_and_zero_is_no_limit() {
        let rate = PublishRate { messages_per_second: 0, bytes_per_second: 1000 };
        let mut throttle = Throttle::new();
        assert!(throttle.note(rate, 1_000_000, 1000).is_none());
        let wait = throttle.note(rate, 1, 2000).unwrap();
        assert!(wait > Duration::from_millis(1500) && wait <= Duration::from_secs(2), "{wait:?}");
    }
}
