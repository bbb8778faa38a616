//! Dates as text: out of text, by the pattern letters of Joda-Time, and those of Java for years, months and zones.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::date::{Format, MONTHS, Part, WEEKDAYS, read_offset, zone};

/// The letters of a pattern by which a time is read. `x` is an offset, as in Java, and not Joda-Time's year of weeks.
pub(super) const READ_LETTERS: &str = "GyYuDdEMLaKhHkmsSzZVOXx";

/// The fields that a text gives so far, with what they are if it does not.
struct Fields {
    year: i16,
    month: i8,
    day: i8,
    day_of_year: Option<i16>,
    hour: i8,
    /// 0 to 11, if the text has a clock of twelve hours.
    half_day_hour: Option<i8>,
    is_afternoon: bool,
    minute: i8,
    second: i8,
    nanosecond: i32,
    zone: TimeZone,
}

impl Format {
    /// Reads a time, in milliseconds; `None` if the text is not of this pattern.
    pub(super) fn read(&self, text: &str) -> Option<i64> {
        let mut fields = Fields {
            year: 1970,
            month: 1,
            day: 1,
            day_of_year: None,
            hour: 0,
            half_day_hour: None,
            is_afternoon: false,
            minute: 0,
            second: 0,
            nanosecond: 0,
            zone: TimeZone::UTC,
        };
        let mut rest = text;
        for (index, part) in self.parts.iter().enumerate() {
            match part {
                Part::Text(text) => rest = rest.strip_prefix(text.as_str())?,
                Part::Field(letter, count) => {
                    // Where digits follow at once, only the count says where the number ends.
                    let is_fixed = matches!(self.parts.get(index + 1), Some(Part::Field(next, count)) if is_number(*next, *count));
                    rest = fields.read(*letter, *count, is_fixed, rest)?;
                }
            }
        }
        if rest.is_empty() { fields.time_ms() } else { None }
    }
}

fn is_number(letter: char, count: usize) -> bool {
    match letter {
        'E' | 'G' | 'O' | 'V' | 'X' | 'Z' | 'a' | 'x' | 'z' => false,
        'L' | 'M' => count < 3,
        _ => true,
    }
}

impl Fields {
    /// Reads one field and gives what follows it.
    fn read<'text>(
        &mut self,
        letter: char,
        count: usize,
        is_fixed: bool,
        rest: &'text str,
    ) -> Option<&'text str> {
        if !is_number(letter, count) {
            return self.read_word(letter, count, rest);
        }
        let (is_negative, digits) = match rest.strip_prefix('-') {
            Some(digits) if matches!(letter, 'Y' | 'u' | 'y') => (true, digits),
            _ => (false, rest),
        };
        let most = match letter {
            _ if is_fixed => count,
            'Y' | 'u' | 'y' => 4.max(count),
            'S' => 9,
            'D' => 3,
            _ => 2.max(count),
        };
        let len = digits.bytes().take(most).take_while(u8::is_ascii_digit).count();
        let (digits, after) = digits.split_at(len);
        let number: i32 = digits.parse().ok()?;
        let small = || i8::try_from(number).ok();
        match letter {
            'Y' | 'u' | 'y' => {
                // Two digits are of the years 1970 to 2069.
                let century =
                    if count == 2 && len == 2 { if number < 70 { 2_000 } else { 1_900 } } else { 0 };
                let year = i16::try_from(number + century).ok()?;
                self.year = if is_negative { -year } else { year };
            }
            'L' | 'M' => self.month = small()?,
            'd' => self.day = small()?,
            'D' => self.day_of_year = Some(i16::try_from(number).ok()?),
            'H' => self.hour = small()?,
            'k' => self.hour = small().filter(|hour| (1..=24).contains(hour))? % 24,
            'K' => self.half_day_hour = Some(small().filter(|hour| (0..=11).contains(hour))?),
            'h' => self.half_day_hour = Some(small().filter(|hour| (1..=12).contains(hour))? % 12),
            'm' => self.minute = small()?,
            's' => self.second = small()?,
            'S' => self.nanosecond = number.checked_mul(10_i32.checked_pow(9 - u32::try_from(len).ok()?)?)?,
            _ => return None,
        }
        Some(after)
    }

    fn read_word<'text>(&mut self, letter: char, count: usize, rest: &'text str) -> Option<&'text str> {
        let letters = rest.find(|next: char| !next.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (word, after) = rest.split_at(letters);
        let among = |names: &[&str]| {
            names.iter().position(|name| {
                name.eq_ignore_ascii_case(word)
                    || name.get(..3).is_some_and(|short| short.eq_ignore_ascii_case(word))
            })
        };
        match letter {
            'L' | 'M' => self.month = i8::try_from(among(&MONTHS)? + 1).ok()?,
            'E' => drop(among(&WEEKDAYS)?),
            'G' if word.eq_ignore_ascii_case("AD") => {}
            'a' if word.eq_ignore_ascii_case("AM") => self.is_afternoon = false,
            'a' if word.eq_ignore_ascii_case("PM") => self.is_afternoon = true,
            'X' | 'x' => return self.read_zone(true, rest),
            'Z' => return self.read_zone(count < 3, rest),
            'O' | 'V' | 'z' => return self.read_zone(false, rest),
            _ => return None,
        }
        Some(after)
    }

    fn read_zone<'text>(&mut self, is_offset: bool, rest: &'text str) -> Option<&'text str> {
        let is_part = |next: char| next.is_ascii_alphanumeric() || "/_+-:".contains(next);
        let (name, after) = rest.split_at(rest.find(|next| !is_part(next)).unwrap_or(rest.len()));
        self.zone = if is_offset && name != "Z" { TimeZone::fixed(read_offset(name)?) } else { zone(name)? };
        Some(after)
    }

    fn time_ms(self) -> Option<i64> {
        let date = match self.day_of_year {
            Some(day) if day >= 1 => {
                let first = Date::new(self.year, 1, 1).ok()?;
                first.checked_add(jiff::Span::new().try_days(day - 1).ok()?).ok()?
            }
            Some(_) => return None,
            None => Date::new(self.year, self.month, self.day).ok()?,
        };
        let hour = match self.half_day_hour {
            Some(hour) => hour + if self.is_afternoon { 12 } else { 0 },
            None => self.hour,
        };
        let time = jiff::civil::Time::new(hour, self.minute, self.second, self.nanosecond).ok()?;
        let local = DateTime::from_parts(date, time);
        Some(local.to_zoned(self.zone).ok()?.timestamp().as_millisecond())
    }
}
