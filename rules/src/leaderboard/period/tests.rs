//! Periods around midnights, new years and changes of the clock.

use proptest::prelude::*;

use super::*;

const HOUR_MS: i64 = 3_600_000;

/// Word and zone; a time; the id, the begin and the end of its period.
const DAYS: [[&str; 6]; 9] = [
    ["daily", "UTC", "2026-11-21T15:55:00Z", "2026-11-21", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"],
    [
        "daily",
        "Europe/Berlin",
        "2026-11-20T23:30:00Z",
        "2026-11-21",
        "2026-11-20T23:00:00Z",
        "2026-11-21T23:00:00Z",
    ],
    // Days of 23 and 25 hours.
    [
        "daily",
        "Europe/Berlin",
        "2026-03-29T12:00:00Z",
        "2026-03-29",
        "2026-03-28T23:00:00Z",
        "2026-03-29T22:00:00Z",
    ],
    [
        "daily",
        "Europe/Berlin",
        "2026-10-25T12:00:00Z",
        "2026-10-25",
        "2026-10-24T22:00:00Z",
        "2026-10-25T23:00:00Z",
    ],
    // A day without midnight.
    [
        "daily",
        "America/Havana",
        "2026-03-08T12:00:00Z",
        "2026-03-08",
        "2026-03-08T05:00:00Z",
        "2026-03-09T04:00:00Z",
    ],
    ["weekly", "UTC", "2026-11-22T23:59:59Z", "2026-W47", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"],
    ["weekly", "UTC", "2027-01-01T00:00:00Z", "2026-W53", "2026-12-28T00:00:00Z", "2027-01-04T00:00:00Z"],
    [
        "monthly",
        "Asia/Kolkata",
        "2026-02-28T18:30:00Z",
        "2026-03",
        "2026-02-28T18:30:00Z",
        "2026-03-31T18:30:00Z",
    ],
    ["yearly", "UTC", "2026-11-21T00:00:00Z", "2026", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"],
];

fn ms(time: &str) -> i64 {
    time.parse::<Timestamp>().unwrap().as_millisecond()
}

fn reset(word: &str, zone: &str) -> Reset {
    Reset::calendar(word, Some(zone)).unwrap().unwrap()
}

#[test]
fn each_word_has_its_periods() {
    for [word, zone, time, id, start, end] in DAYS {
        let period = reset(word, zone).period(ms(time)).unwrap();
        let expected = Period { id: id.into(), start_ms: ms(start), end_ms: Some(ms(end)) };
        assert_eq!(period, expected, "{word} {zone} {time}");
    }
    let all = Reset::never().period(5).unwrap();
    assert_eq!((&*all.id, all.end_ms, Reset::never().kept_until_ms(&all, 3)), ("all", None, Ok(None)));
    assert_eq!(Reset::never().closed(&all, 3).count(), 0);
}

#[test]
fn lengths_are_counted_in_utc() {
    let ten_minutes = Reset::length(600_000).unwrap();
    let period = ten_minutes.period(ms("2026-11-21T15:59:59.999Z")).unwrap();
    assert_eq!(&*period.id, "2026-11-21T15:50:00Z");
    assert_eq!(ten_minutes.kept_until_ms(&period, 2), Ok(Some(ms("2026-11-21T16:20:00Z"))));
    let closed: Vec<Box<str>> = ten_minutes.closed(&period, 2).map(|period| period.id).collect();
    assert_eq!(closed, ["2026-11-21T15:40:00Z".into(), "2026-11-21T15:30:00Z".into()]);
    assert_eq!(&*ten_minutes.period(-1).unwrap().id, "1969-12-31T23:50:00Z");
    for length_ms in [0, -1, 999, 367 * 24 * HOUR_MS, i64::MAX] {
        assert_eq!(Reset::length(length_ms), Err(PeriodError::Length));
    }
}

#[test]
fn closed_periods_come_latest_first() {
    let weekly = reset("weekly", "Europe/Berlin");
    let period = weekly.period(ms("2027-01-12T00:00:00Z")).unwrap();
    let closed: Vec<Box<str>> = weekly.closed(&period, 3).map(|period| period.id).collect();
    assert_eq!(closed, ["2027-W01".into(), "2026-W53".into(), "2026-W52".into()]);
    let first = weekly.period(ms("2026-12-22T00:00:00Z")).unwrap();
    assert_eq!(weekly.kept_until_ms(&first, 3), Ok(period.end_ms), "as long as it is listed");
}

#[test]
fn errors_say_what_is_wrong() {
    assert_eq!(Reset::calendar("hourly", None), Ok(None));
    let error = Reset::calendar("daily", Some("Mars/Base")).unwrap_err().to_string();
    assert!(error.contains("no time zone \"Mars/Base\""), "{error}");
    for reset in [reset("weekly", "UTC"), Reset::length(1_000).unwrap()] {
        for time_ms in [i64::MIN, i64::MAX] {
            assert_eq!(reset.period(time_ms), Err(PeriodError::Time(time_ms)));
        }
    }
}

proptest! {
    /// From the year 1800 to 2200, in zones that have changed their clocks in many ways.
    #[test]
    fn periods_follow_each_other(
        time_ms in -5_364_662_400_000_i64..7_258_118_400_000,
        word in prop::sample::select(vec!["daily", "weekly", "monthly", "yearly"]),
        zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/Havana", "Pacific/Apia", "Asia/Tehran"]),
        keep in 0_u32..10,
    ) {
        let reset = reset(word, zone);
        let period = reset.period(time_ms).unwrap();
        let end_ms = period.end_ms.unwrap();
        prop_assert!(period.start_ms <= time_ms && time_ms < end_ms, "{:?}", period);
        prop_assert_eq!(&reset.period(period.start_ms).unwrap(), &period);
        prop_assert_eq!(&reset.period(end_ms - 1).unwrap(), &period);
        let next = reset.period(end_ms).unwrap();
        prop_assert_eq!(next.start_ms, end_ms);
        prop_assert!(next.id > period.id || period.start_ms < 0);
        let mut last = period.clone();
        for _ in 0..keep {
            last = reset.period(last.end_ms.unwrap()).unwrap();
        }
        prop_assert_eq!(reset.kept_until_ms(&period, keep).unwrap(), last.end_ms);
        let closed: Vec<Period> = reset.closed(&last, keep).collect();
        prop_assert_eq!(closed.last().cloned().unwrap_or(last), period);
    }
}
