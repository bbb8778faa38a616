//! The periods of a board: which one a time falls into, how long it is kept, and which came before.

#[cfg(test)]
mod tests;

use jiff::Timestamp;
use jiff::ToSpan;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use thiserror::Error;

/// The id of the one period of a board that never begins anew.
const ALL: &str = "all";
/// The shortest period.
const LENGTH_MS_MIN: i64 = 1_000;
/// The longest period that is given as a length.
const LENGTH_MS_MAX: i64 = 366 * 86_400_000;

/// When a new period begins. Calendar periods begin at midnight of a time zone, weeks on Monday; the others are counted
/// from 1970 on, in UTC.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reset(Every);

#[derive(Clone, Debug, Default, PartialEq)]
enum Every {
    Calendar(Unit, TimeZone),
    Length(i64),
    #[default]
    Never,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Unit {
    Day,
    Month,
    Week,
    Year,
}

/// A period.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Period {
    /// `2026-11-21`, `2026-W47`, `2026-11`, `2026`, `2026-11-21T15:50:00Z` or `all`. Ids of one board sort by time.
    pub id: Box<str>,
    /// When it begins, in milliseconds.
    pub start_ms: i64,
    /// When the next one begins; `None` for the one that never ends.
    pub end_ms: Option<i64>,
}

/// Why there is no such period.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum PeriodError {
    /// The length is too short or too long.
    #[error("a period takes 1 second to 366 days")]
    Length,
    /// The time is outside of the calendar.
    #[error("{0} ms is no time of the calendar")]
    Time(i64),
    /// There is no such time zone.
    #[error("there is no time zone {0:?}: it has a name such as Europe/Berlin, or UTC")]
    Zone(String),
}

impl Reset {
    /// The one period lasts for ever.
    pub fn never() -> Self {
        Self::default()
    }

    /// A new period for each `daily`, `weekly`, `monthly` or `yearly`; `None` for other words. Without a zone it is UTC.
    ///
    /// # Errors
    /// The zone is one of the time zone database that is built in.
    pub fn calendar(word: &str, zone: Option<&str>) -> Result<Option<Self>, PeriodError> {
        let unit = match word {
            "daily" => Unit::Day,
            "monthly" => Unit::Month,
            "weekly" => Unit::Week,
            "yearly" => Unit::Year,
            _ => return Ok(None),
        };
        let unknown = |name| PeriodError::Zone(crate::topic::excerpt(name));
        let zone = zone.map_or(Ok(TimeZone::UTC), |name| TimeZone::get(name).map_err(|_| unknown(name)))?;
        Ok(Some(Self(Every::Calendar(unit, zone))))
    }

    /// A new period each time so many milliseconds have gone.
    ///
    /// # Errors
    /// A period takes 1 second to 366 days.
    pub fn length(length_ms: i64) -> Result<Self, PeriodError> {
        let is_sound = (LENGTH_MS_MIN..=LENGTH_MS_MAX).contains(&length_ms);
        if is_sound { Ok(Self(Every::Length(length_ms))) } else { Err(PeriodError::Length) }
    }

    /// The period that a time falls into.
    ///
    /// # Errors
    /// The time is one of the calendar.
    pub fn period(&self, time_ms: i64) -> Result<Period, PeriodError> {
        let out_of_range = |_| PeriodError::Time(time_ms);
        match &self.0 {
            Every::Never => Ok(Period { id: ALL.into(), start_ms: i64::MIN, end_ms: None }),
            Every::Length(length_ms) => {
                let start_ms = time_ms.div_euclid(*length_ms).saturating_mul(*length_ms);
                let start = Timestamp::from_millisecond(start_ms).map_err(out_of_range)?;
                let end_ms = Some(start_ms.saturating_add(*length_ms));
                Ok(Period { id: start.to_string().into(), start_ms, end_ms })
            }
            Every::Calendar(unit, zone) => {
                let time = Timestamp::from_millisecond(time_ms).map_err(out_of_range)?;
                let first = unit.first_day(zone.to_datetime(time).date());
                let end = unit.after(first, 1).map_err(out_of_range)?;
                let [start_ms, end_ms] = [first, end].map(|date| midnight_ms(date, zone));
                let (start_ms, end_ms) = (start_ms.map_err(out_of_range)?, end_ms.map_err(out_of_range)?);
                Ok(Period { id: unit.id(first).into(), start_ms, end_ms: Some(end_ms) })
            }
        }
    }

    /// When the last of the `keep` periods that follow a period ends: until then it is kept.
    ///
    /// # Errors
    /// That time is one of the calendar.
    pub fn kept_until_ms(&self, period: &Period, keep: u32) -> Result<Option<i64>, PeriodError> {
        let out_of_range = |_| PeriodError::Time(period.start_ms);
        match &self.0 {
            Every::Never => Ok(None),
            Every::Length(length_ms) => {
                let lengths = length_ms.saturating_mul(i64::from(keep) + 1);
                Ok(Some(period.start_ms.saturating_add(lengths)))
            }
            Every::Calendar(unit, zone) => {
                let start = Timestamp::from_millisecond(period.start_ms).map_err(out_of_range)?;
                let end = unit.after(unit.first_day(zone.to_datetime(start).date()), keep + 1);
                let end_ms = end.and_then(|end| midnight_ms(end, zone));
                Ok(Some(end_ms.map_err(out_of_range)?))
            }
        }
    }

    /// The periods before one, the latest first: at most `keep`.
    pub fn closed(&self, period: &Period, keep: u32) -> impl Iterator<Item = Period> {
        let mut start_ms = period.start_ms;
        (0..keep).map_while(move |_| {
            let before = self.period(start_ms.checked_sub(1)?).ok()?;
            start_ms = before.start_ms;
            before.end_ms.is_some().then_some(before)
        })
    }
}

impl Unit {
    fn first_day(self, date: Date) -> Date {
        match self {
            Self::Day => date,
            Self::Month => date.first_of_month(),
            Self::Week => {
                let days = date.weekday().since(Weekday::Monday);
                date.checked_sub(i64::from(days).days()).unwrap_or(date)
            }
            Self::Year => date.first_of_year(),
        }
    }

    /// The first day so many periods later.
    fn after(self, first_day: Date, periods: u32) -> Result<Date, jiff::Error> {
        let periods = i64::from(periods);
        first_day.checked_add(match self {
            Self::Day => periods.days(),
            Self::Month => periods.months(),
            Self::Week => periods.weeks(),
            Self::Year => periods.years(),
        })
    }

    fn id(self, first_day: Date) -> String {
        let (year, month) = (first_day.year(), first_day.month());
        match self {
            Self::Day => format!("{year:04}-{month:02}-{:02}", first_day.day()),
            Self::Month => format!("{year:04}-{month:02}"),
            Self::Week => {
                let week = first_day.iso_week_date();
                format!("{:04}-W{:02}", week.year(), week.week())
            }
            Self::Year => format!("{year:04}"),
        }
    }
}

/// When a day begins: at midnight, or after it where the clock skips midnight.
fn midnight_ms(date: Date, zone: &TimeZone) -> Result<i64, jiff::Error> {
    Ok(zone.to_timestamp(date.at(0, 0, 0, 0))?.as_millisecond())
}
