//! Times at which a rule is called: every so often, or by a cron expression.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cronexpr::{Crontab, MakeTimestamp};
use thiserror::Error;

/// The shortest time between two runs.
const PERIOD_MIN: Duration = Duration::from_millis(100);
/// The longest.
const PERIOD_MAX: Duration = Duration::from_hours(366 * 24);

/// Times at which a rule is called, the same in every run of the server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Schedule {
    times: Times,
    /// What becomes of runs whose time came while the server was not there.
    pub missed: Missed,
}

#[derive(Clone, Debug)]
enum Times {
    /// Every so many milliseconds, counted from 1970.
    Every(i64),
    /// As a cron expression says.
    Cron { text: Arc<str>, zone: Arc<str>, crontab: Arc<Crontab> },
}

/// What becomes of runs whose time came while the server was not there.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Missed {
    /// Each is made up for, as far as the limit allows.
    All,
    /// One is made for all.
    #[default]
    Once,
    /// They are left out.
    Skip,
}

/// Why a schedule is none.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum ScheduleError {
    /// The cron expression or the zone cannot be read.
    #[error(
        "cron {text:?} in zone {zone:?} cannot be read: write minute, hour, day of month, month and day of week, as in \"0 9 * * MON-FRI\", and a zone such as \"Europe/Berlin\" ({detail})"
    )]
    Cron {
        /// The expression.
        text: String,
        /// The zone.
        zone: String,
        /// What the reader says.
        detail: String,
    },
    /// The period is too short or too long.
    #[error("a period of {0:?} is not {PERIOD_MIN:?} to 366 days")]
    Period(Duration),
}

impl Schedule {
    /// Every `period`, at whole multiples of it since 1970 in UTC.
    ///
    /// # Errors
    /// If the period is shorter than 100 ms or longer than 366 days.
    pub fn every(period: Duration, missed: Missed) -> Result<Self, ScheduleError> {
        if !(PERIOD_MIN..=PERIOD_MAX).contains(&period) {
            return Err(ScheduleError::Period(period));
        }
        let period_ms = i64::try_from(period.as_millis()).unwrap_or(i64::MAX);
        Ok(Self { times: Times::Every(period_ms), missed })
    }

    /// By a cron expression of five fields, in a time zone of the IANA database.
    ///
    /// # Errors
    /// Says what of it cannot be read.
    pub fn cron(text: &str, zone: &str, missed: Missed) -> Result<Self, ScheduleError> {
        let refused =
            |detail: String| ScheduleError::Cron { text: text.to_owned(), zone: zone.to_owned(), detail };
        if text.split_whitespace().count() != 5 {
            return Err(refused("it has not five fields".to_owned()));
        }
        let crontab = cronexpr::parse_crontab(&format!("{text} {zone}"));
        let crontab = crontab.map_err(|error| refused(first_line(&error.to_string())))?;
        let times = Times::Cron { text: text.into(), zone: zone.into(), crontab: Arc::new(crontab) };
        Ok(Self { times, missed })
    }

    /// The first time after `at_ms`; `None` if none comes.
    pub fn next_after(&self, at_ms: i64) -> Option<i64> {
        match &self.times {
            Times::Every(period_ms) => at_ms.div_euclid(*period_ms).checked_add(1)?.checked_mul(*period_ms),
            Times::Cron { crontab, .. } => {
                let at = MakeTimestamp::from_millisecond(at_ms).ok()?;
                Some(crontab.find_next(at).ok()?.timestamp().as_millisecond())
            }
        }
    }

    /// The times in `(after_ms, until_ms]` that are to be made up for, the newest `at_most` of them.
    pub fn due(&self, after_ms: i64, until_ms: i64, at_most: usize) -> Vec<i64> {
        let mut due = std::collections::VecDeque::new();
        let mut from_ms = after_ms;
        // Of a period it is known where the newest begin; a cron expression has a minute between two.
        if let Times::Every(period_ms) = self.times {
            let reach = i64::try_from(at_most).unwrap_or(i64::MAX).saturating_mul(period_ms);
            from_ms = from_ms.max(until_ms.saturating_sub(reach));
        }
        while let Some(next) = self.next_after(from_ms).filter(|next| *next <= until_ms) {
            due.push_back(next);
            if due.len() > at_most {
                due.pop_front();
            }
            from_ms = next;
        }
        due.into()
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

impl PartialEq for Times {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Every(one), Self::Every(other)) => one == other,
            (Self::Cron { text, zone, .. }, Self::Cron { text: other, zone: other_zone, .. }) => {
                text == other && zone == other_zone
            }
            _ => false,
        }
    }
}

impl Eq for Times {}

impl fmt::Display for Schedule {
    /// As it is written in a script.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.times {
            Times::Every(period_ms) => write!(formatter, "every(\"{period_ms}ms\")"),
            Times::Cron { text, zone, .. } => write!(formatter, "cron(\"{text}\", {zone})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn periods_are_whole_multiples_since_1970() {
        let schedule = Schedule::every(Duration::from_secs(10), Missed::Once).unwrap();
        assert_eq!(schedule.next_after(0), Some(10_000));
        assert_eq!(schedule.next_after(9_999), Some(10_000));
        assert_eq!(schedule.next_after(10_000), Some(20_000));
        assert_eq!(schedule.due(5_000, 40_000, 10), [10_000, 20_000, 30_000, 40_000]);
        assert_eq!(schedule.due(0, 1_000_000_000_000, 2), [999_999_990_000, 1_000_000_000_000]);
        assert!(schedule.due(10_000, 19_999, 5).is_empty());
    }

    #[test]
    fn cron_knows_its_zone_and_summer_time() {
        let schedule = Schedule::cron("0 9 * * MON-FRI", "Europe/Berlin", Missed::Skip).unwrap();
        // Friday, winter: nine o'clock in Berlin is eight in UTC.
        assert_eq!(schedule.next_after(at("2026-03-27T07:59:59Z")), Some(at("2026-03-27T08:00:00Z")));
        // The clocks go forward on Sunday.
        assert_eq!(schedule.next_after(at("2026-03-27T08:00:00Z")), Some(at("2026-03-30T07:00:00Z")));
        assert_eq!(schedule.to_string(), "cron(\"0 9 * * MON-FRI\", Europe/Berlin)");
    }

    #[test]
    fn what_was_missed_is_bounded() {
        let schedule = Schedule::cron("* * * * *", "UTC", Missed::All).unwrap();
        let due = schedule.due(at("2026-01-01T00:00:30Z"), at("2026-01-01T02:00:00Z"), 3);
        assert_eq!(due, ["01:58:00", "01:59:00", "02:00:00"].map(|time| at(&format!("2026-01-01T{time}Z"))));
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for (text, zone) in [
            ("", "UTC"),
            ("* * * *", "UTC"),
            ("* * * * * *", "UTC"),
            ("61 * * * *", "UTC"),
            ("* * * * *", "Mars/Base"),
            ("x * * * *", "UTC"),
        ] {
            let error = Schedule::cron(text, zone, Missed::Once).unwrap_err().to_string();
            assert!(error.contains(text) && error.contains(zone), "{error}");
        }
        for period in [Duration::ZERO, Duration::from_millis(99), Duration::from_secs(40_000_000)] {
            assert_eq!(Schedule::every(period, Missed::Once), Err(ScheduleError::Period(period)));
        }
    }
}
