//! Dates as text, by the pattern letters of Joda-Time: into text.

use std::fmt::Write as _;

use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned};

use super::date_read::READ_LETTERS;
use super::{Arguments, Definition};
use crate::sql::decimal::Rounding;
use crate::sql::evaluate::Evaluated;
use crate::sql::limits::DATE_PATTERN_BYTES_MAX;
use crate::sql::value::Value;
use crate::topic::excerpt;

pub(super) const DEFINITIONS: &[Definition] =
    &[Definition::new("parse_time", 2, 3, parse_time), Definition::new("time_to_epoch", 2, 2, time_to_epoch)];

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const WEEKDAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// The letters of a pattern into whose text a time is put.
pub(super) const WRITTEN_LETTERS: &str = "GCyYxwedDEMaKhHkmsSzZ";

/// A date pattern: runs of a letter, and text between them.
pub(super) struct Format {
    pub(super) parts: Vec<Part>,
}

/// A part of a date pattern.
pub(super) enum Part {
    /// A letter and how often it stands there.
    Field(char, usize),
    /// Text that stands for itself.
    Text(String),
}

impl Format {
    /// Reads a pattern in which these letters have a meaning.
    ///
    /// # Errors
    /// Names the letter that has none, or the quote that is not closed.
    pub(super) fn parse(pattern: &str, letters: &str) -> Result<Self, String> {
        if pattern.len() > DATE_PATTERN_BYTES_MAX {
            return Err(format!("a date pattern has at most {DATE_PATTERN_BYTES_MAX} bytes"));
        }
        let mut parts = Vec::new();
        let mut rest = pattern;
        while let Some(first) = rest.chars().next() {
            let part = if first == '\'' {
                let (text, after) = quoted(rest).ok_or_else(|| {
                    format!("the date pattern {:?} has a quote that is not closed", excerpt(pattern))
                })?;
                rest = after;
                Part::Text(text)
            } else if first.is_ascii_alphabetic() {
                if !letters.contains(first) {
                    let pattern = excerpt(pattern);
                    return Err(format!(
                        "the letter `{first}` has no meaning in the date pattern {pattern:?}: put text in quotes"
                    ));
                }
                let count = rest.len() - rest.trim_start_matches(first).len();
                rest = &rest[count..];
                Part::Field(first, count)
            } else {
                rest = &rest[first.len_utf8()..];
                Part::Text(first.to_string())
            };
            parts.push(part);
        }
        Ok(Self { parts })
    }

    /// The text of a time.
    fn format(&self, time: &Zoned) -> String {
        let mut out = String::with_capacity(32);
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Field(letter, count) => write_field(*letter, *count, time, &mut out),
            }
        }
        out
    }
}

/// Reads `'text'`, in which `''` is a quote, or `''` alone, which is one. Gives what follows, too.
fn quoted(rest: &str) -> Option<(String, &str)> {
    if let Some(after) = rest.strip_prefix("''") {
        return Some(("'".to_owned(), after));
    }
    let mut text = String::new();
    let mut rest = &rest[1..];
    loop {
        let (part, after) = rest.split_once('\'')?;
        text.push_str(part);
        match after.strip_prefix('\'') {
            Some(more) => {
                text.push('\'');
                rest = more;
            }
            None => return Some((text, after)),
        }
    }
}

fn write_field(letter: char, count: usize, time: &Zoned, out: &mut String) {
    let year = i64::from(time.year());
    let hour = i64::from(time.hour());
    let number = match letter {
        'C' => year.div_euclid(100),
        'x' => i64::from(time.date().iso_week_date().year()),
        'w' => time.date().iso_week_date().week().into(),
        'e' => time.weekday().to_monday_one_offset().into(),
        'y' | 'Y' if count == 2 => year.rem_euclid(100),
        'y' | 'Y' => year,
        'D' => time.day_of_year().into(),
        'M' if count < 3 => time.month().into(),
        'd' => time.day().into(),
        'K' => hour % 12,
        'h' => (hour + 11) % 12 + 1,
        'H' => hour,
        'k' => (hour + 23) % 24 + 1,
        'm' => time.minute().into(),
        's' => time.second().into(),
        _ => return write_words(letter, count, time, out),
    };
    // Writing to a string cannot fail.
    let _ = write!(out, "{number:0count$}");
}

/// The fields that are no numbers.
fn write_words(letter: char, count: usize, time: &Zoned, out: &mut String) {
    let named = |names: &[&'static str], index: i8| {
        let name =
            usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or_default();
        if count < 4 { &name[..3.min(name.len())] } else { name }
    };
    match letter {
        'G' => out.push_str(if time.year() > 0 { "AD" } else { "BC" }),
        'M' => out.push_str(named(&MONTHS, time.month() - 1)),
        'E' => out.push_str(named(&WEEKDAYS, time.weekday().to_monday_zero_offset())),
        'a' => out.push_str(if time.hour() < 12 { "AM" } else { "PM" }),
        'S' => {
            let digits = format!("{:03}", time.millisecond());
            out.extend(digits.chars().chain(std::iter::repeat('0')).take(count));
        }
        'Z' if count < 3 => write_offset(time.offset(), count == 2, out),
        'z' if count < 4 => {
            let info = time.time_zone().to_offset_info(time.timestamp());
            out.push_str(info.abbreviation());
        }
        _ => match time.time_zone().iana_name() {
            Some(name) => out.push_str(name),
            None => write_offset(time.offset(), true, out),
        },
    }
}

fn write_offset(offset: Offset, has_colon: bool, out: &mut String) {
    let minutes = offset.seconds().abs() / 60;
    let sign = if offset.is_negative() { '-' } else { '+' };
    let colon = if has_colon { ":" } else { "" };
    // Writing to a string cannot fail.
    let _ = write!(out, "{sign}{:02}{colon}{:02}", minutes / 60, minutes % 60);
}

/// A time zone by its name, as `Europe/Berlin`, or its offset, as `+01:00`, `UTC+1` or `GMT-0330`.
pub(super) fn zone(name: &str) -> Option<TimeZone> {
    let offset = name.strip_prefix("UTC").or_else(|| name.strip_prefix("GMT")).unwrap_or(name);
    if offset.is_empty() || name == "Z" {
        return (!name.is_empty()).then_some(TimeZone::UTC);
    }
    if offset.starts_with(['+', '-']) {
        return Some(TimeZone::fixed(read_offset(offset)?));
    }
    TimeZone::get(name).ok()
}

/// Reads `+1`, `+01`, `+0100` and `+01:00`.
pub(super) fn read_offset(text: &str) -> Option<Offset> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match (digits.split_once(':'), digits.len()) {
        (Some(parts), _) => parts,
        (None, 4) => digits.split_at_checked(2)?,
        (None, _) => (digits, "0"),
    };
    let number =
        |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse::<i32>().ok())?;
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    if hours > 25 || minutes > 59 {
        return None;
    }
    Offset::from_seconds(sign * (hours * 3_600 + minutes * 60)).ok()
}

/// `parse_time(pattern, milliseconds[, zone])`: the time as text.
fn parse_time<'a>(arguments: &Arguments<'a, '_>) -> Evaluated<'a> {
    let name = if arguments.len() > 2 { arguments.text(2)? } else { Some("UTC".into()) };
    let (Some(pattern), Some(ms), Some(name)) =
        (arguments.text(0)?, arguments.value(1)?.to_int(Rounding::Truncate), name)
    else {
        return Ok(Value::Undefined);
    };
    let time = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let (Ok(format), Some(time), Some(zone)) = (Format::parse(&pattern, WRITTEN_LETTERS), time, zone(&name))
    else {
        return Ok(Value::Undefined);
    };
    arguments.made(format.format(&time.to_zoned(zone)))
}

/// `time_to_epoch(text, pattern)`: the time in milliseconds, in UTC if the text names no zone.
fn time_to_epoch<'a>(arguments: &Arguments<'a, '_>) -> Evaluated<'a> {
    let (Some(text), Some(pattern)) = (arguments.text(0)?, arguments.text(1)?) else {
        return Ok(Value::Undefined);
    };
    let time = Format::parse(&pattern, READ_LETTERS).ok().and_then(|format| format.read(&text));
    Ok(time.map_or(Value::Undefined, |ms| Value::Int(ms.into())))
}
