//! What an answer means, and when to try again.

use std::time::{Duration, UNIX_EPOCH};

use axum::http::{HeaderMap, StatusCode, header};

/// The first wait after a failure is at most this.
const BACKOFF_BASE: Duration = Duration::from_millis(500);
/// No wait is longer, unless the server asks for it.
const BACKOFF_MAX: Duration = Duration::from_mins(5);
/// No wait is shorter.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
/// A server that asks for more patience is asked again after this.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);

/// What came of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The server has it.
    Delivered,
    /// It will not be taken, however often it is tried.
    Refused(String),
    /// It may be taken another time.
    Failed {
        /// What went wrong.
        why: String,
        /// Whether the server was reached: only then is it an attempt that counts.
        reached: bool,
        /// How long the server asked to wait.
        retry_after: Option<Duration>,
    },
}

impl Outcome {
    /// The server could not be reached.
    pub(super) fn unreachable(why: impl Into<String>) -> Outcome {
        Outcome::Failed { why: why.into(), reached: false, retry_after: None }
    }

    /// The server was reached, and then something went wrong.
    pub(super) fn failed(why: impl Into<String>) -> Outcome {
        Outcome::Failed { why: why.into(), reached: true, retry_after: None }
    }
}

/// What a status means. `said` is the beginning of the body.
pub(super) fn judge(status: StatusCode, headers: &HeaderMap, said: &str, now_ms: u64) -> Outcome {
    let mut why = format!("the server answered {status}");
    if status.is_redirection() {
        let to = headers.get(header::LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("nowhere");
        return Outcome::Refused(format!(
            "{why} to {to:?}: redirects are not followed, name that address itself"
        ));
    }
    if !said.is_empty() && !status.is_success() {
        why = format!("{why}: {said}");
    }
    match status.as_u16() {
        200..=299 => Outcome::Delivered,
        408 | 425 | 429 | 500..=599 => {
            Outcome::Failed { why, reached: true, retry_after: retry_after(headers, now_ms) }
        }
        _ => Outcome::Refused(why),
    }
}

/// Seconds, or a date.
fn retry_after(headers: &HeaderMap, now_ms: u64) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if let Ok(seconds) = text.parse::<u64>() {
        Duration::from_secs(seconds)
    } else {
        let at = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
        at.saturating_sub(Duration::from_millis(now_ms))
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

/// How long to wait after so many failures in a row: at random up to a bound that doubles, so that many senders that failed
/// together do not come back together.
pub(super) fn backoff(failures: u32, retry_after: Option<Duration>, random: u64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let bound = BACKOFF_BASE.saturating_mul(1 << doublings).min(BACKOFF_MAX);
    let bound_ms = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX);
    let jittered = Duration::from_millis(random % (bound_ms + 1)).max(BACKOFF_MIN);
    retry_after.map_or(jittered, |asked| asked.max(jittered))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, headers: &[(header::HeaderName, &str)]) -> Outcome {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        judge(StatusCode::from_u16(status).unwrap(), &headers, "sorry", 1_700_000_000_000)
    }

    #[test]
    fn statuses_are_delivered_refused_or_tried_again() {
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(judged(status, &[]), Outcome::Delivered, "{status}");
        }
        for status in [400, 401, 403, 404, 405, 409, 410, 413, 422, 499] {
            let Outcome::Refused(why) = judged(status, &[]) else { panic!("{status}") };
            assert!(why.contains(&status.to_string()) && why.ends_with(": sorry"), "{why}");
        }
        for status in [408, 425, 429, 500, 502, 503, 504, 599] {
            assert!(matches!(judged(status, &[]), Outcome::Failed { reached: true, .. }), "{status}");
        }
        let Outcome::Refused(why) = judged(302, &[(header::LOCATION, "http://evil.test/")]) else { panic!() };
        assert!(why.contains("http://evil.test/") && why.contains("not followed"), "{why}");
    }

    #[test]
    fn a_server_says_how_long_to_wait() {
        let wait = |text: &str| match judged(429, &[(header::RETRY_AFTER, text)]) {
            Outcome::Failed { retry_after, .. } => retry_after,
            other => panic!("{other:?}"),
        };
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("999999"), Some(Duration::from_hours(1)));
        assert_eq!(wait("Tue, 14 Nov 2023 22:13:30 GMT"), Some(Duration::from_secs(10)));
        assert_eq!(wait("Tue, 14 Nov 2023 22:13:10 GMT"), Some(Duration::ZERO), "that is over");
        assert_eq!(wait("soon"), None);
    }

    #[test]
    fn waits_double_and_are_spread() {
        assert_eq!(backoff(1, None, 500), Duration::from_millis(500));
        assert_eq!(backoff(1, None, 0), BACKOFF_MIN);
        assert_eq!(backoff(4, None, 4_000), Duration::from_secs(4));
        assert_eq!(backoff(u32::MAX, None, 300_000), BACKOFF_MAX);
        for (failures, bound) in [(1, 500), (2, 1_000), (3, 2_000), (40, 300_000)] {
            for random in 0..1_000 {
                let wait = backoff(failures, None, random * 7_919);
                assert!((50..=bound).contains(&u64::try_from(wait.as_millis()).unwrap()), "{wait:?}");
            }
        }
        assert_eq!(backoff(1, Some(Duration::from_secs(9)), 3), Duration::from_secs(9));
    }
}
