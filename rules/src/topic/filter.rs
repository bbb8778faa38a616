//! Topic filters: what a subscription or a rule listens to.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use super::{ALL_LEVELS, ONE_LEVEL, TOPIC_BYTES_MAX, excerpt};

/// A valid topic filter. Cloning shares the text.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TopicFilter(Arc<str>);

/// Why a text is not a topic filter.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum FilterError {
    /// `#` stands before the last level. [MQTT-4.7.1-2]
    #[error("filter {filter:?} has levels after `#`: `#` must be the last level")]
    AllNotLast {
        /// The filter, shortened.
        filter: String,
    },
    /// The filter has no characters. [MQTT-4.7.3-1]
    #[error("filter is empty: give it at least one character, or `#` for everything")]
    Empty,
    /// The filter holds the null character. [MQTT-4.7.3-2]
    #[error("filter {filter:?} holds the null character: remove it")]
    Nul {
        /// The filter, shortened.
        filter: String,
    },
    /// The filter does not fit its length field. [MQTT-4.7.3-3]
    #[error("filter has {bytes} bytes: at most {TOPIC_BYTES_MAX} are allowed")]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// A wildcard shares its level with other characters. [MQTT-4.7.1-2] [MQTT-4.7.1-3]
    #[error(
        "filter {filter:?} has `{wildcard}` inside the level {level:?}: a wildcard must be a whole level"
    )]
    WildcardInLevel {
        /// The filter, shortened.
        filter: String,
        /// The level, shortened.
        level: String,
        /// `+` or `#`.
        wildcard: char,
    },
}

impl TopicFilter {
    /// Reads a filter.
    ///
    /// # Errors
    /// Says which rule of MQTT 3.1.1 §4.7 the text breaks.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        validate_filter(text)?;
        Ok(Self(text.into()))
    }

    /// The filter as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How many levels it has, wildcards included; at least one.
    pub fn levels(&self) -> usize {
        1 + self.0.bytes().filter(|&byte| byte == b'/').count()
    }

    /// Whether it has a wildcard.
    pub fn has_wildcard(&self) -> bool {
        self.0.bytes().any(|byte| matches!(byte, b'+' | b'#'))
    }

    /// Whether messages to `topic` are meant, by MQTT 3.1.1 §4.7: `a/#` means `a` too, and a wildcard
    /// at the start never means a topic that starts with `$`.
    pub fn matches(&self, topic: &str) -> bool {
        filter_matches(&self.0, topic)
    }
}

/// [`TopicFilter::matches`] of a text that is known to be a filter.
pub fn filter_matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false; // [MQTT-4.7.2-1]
    }
    let mut topic_levels = topic.split('/');
    for level in filter.split('/') {
        if level == ALL_LEVELS {
            return true;
        }
        match topic_levels.next() {
            Some(other) if level == ONE_LEVEL || level == other => {}
            _ => return false,
        }
    }
    topic_levels.next().is_none()
}

fn validate_filter(text: &str) -> Result<(), FilterError> {
    if text.is_empty() {
        return Err(FilterError::Empty);
    }
    if text.len() > TOPIC_BYTES_MAX {
        return Err(FilterError::TooLong { bytes: text.len() });
    }
    if text.contains('\0') {
        return Err(FilterError::Nul { filter: excerpt(text) });
    }
    let mut levels = text.split('/').peekable();
    while let Some(level) = levels.next() {
        if level.len() > 1
            && let Some(wildcard) = level.chars().find(|&character| matches!(character, '+' | '#'))
        {
            let (filter, level) = (excerpt(text), excerpt(level));
            return Err(FilterError::WildcardInLevel { filter, level, wildcard });
        }
        if level == ALL_LEVELS && levels.peek().is_some() {
            return Err(FilterError::AllNotLast { filter: excerpt(text) });
        }
    }
    Ok(())
}

impl AsRef<str> for TopicFilter {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for TopicFilter {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TopicFilter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for TopicFilter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_what_and_where() {
        let check = |filter: &str, message: &str| {
            assert_eq!(TopicFilter::parse(filter).unwrap_err().to_string(), message);
        };
        check("", "filter is empty: give it at least one character, or `#` for everything");
        check("a/#/b", "filter \"a/#/b\" has levels after `#`: `#` must be the last level");
        check(
            "a/b+/c",
            "filter \"a/b+/c\" has `+` inside the level \"b+\": a wildcard must be a whole level",
        );
        check("##", "filter \"##\" has `#` inside the level \"##\": a wildcard must be a whole level");
        check("a\0", "filter \"a\\0\" holds the null character: remove it");
        check(&"x".repeat(65_536), "filter has 65536 bytes: at most 65535 are allowed");
    }

    #[test]
    fn a_long_filter_is_shortened_in_errors() {
        let error = TopicFilter::parse(&format!("{}+", "é".repeat(1_000))).unwrap_err();
        assert!(error.to_string().len() < 500, "{error}");
    }

    #[test]
    fn levels_are_counted() {
        for (filter, levels) in [("a", 1), ("/", 2), ("a/+/#", 3), ("日本/語", 2)] {
            assert_eq!(TopicFilter::parse(filter).unwrap().levels(), levels, "{filter}");
        }
    }
}
