//! Topic names: what a message may be published to.

use thiserror::Error;

use super::excerpt;

/// The longest topic or filter, as its length is a 16-bit number on the wire. [MQTT-4.7.3-3]
pub const TOPIC_BYTES_MAX: usize = 65_535;

/// Why a topic cannot be published to.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum TopicError {
    /// The topic has no characters. [MQTT-4.7.3-1]
    #[error("topic is empty: give it at least one character")]
    Empty,
    /// The topic holds the null character. [MQTT-4.7.3-2]
    #[error("topic {topic:?} holds the null character at byte {at}: remove it")]
    Nul {
        /// The topic, shortened.
        topic: String,
        /// Where the character stands, in bytes.
        at: usize,
    },
    /// The topic does not fit its length field. [MQTT-4.7.3-3]
    #[error("topic has {bytes} bytes: at most {TOPIC_BYTES_MAX} are allowed")]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// The topic holds a wildcard. [MQTT-3.3.2-2]
    #[error("topic {topic:?} holds the wildcard `{wildcard}` at byte {at}: only filters may have wildcards")]
    Wildcard {
        /// The topic, shortened.
        topic: String,
        /// `+` or `#`.
        wildcard: char,
        /// Where the character stands, in bytes.
        at: usize,
    },
}

/// Checks that messages may be published to `topic`.
///
/// # Errors
/// Says which rule of MQTT 3.1.1 §4.7 the topic breaks, and where.
pub fn validate_topic(topic: &str) -> Result<(), TopicError> {
    if topic.is_empty() {
        return Err(TopicError::Empty);
    }
    if topic.len() > TOPIC_BYTES_MAX {
        return Err(TopicError::TooLong { bytes: topic.len() });
    }
    // The three characters are ASCII, so looking at bytes cannot hit the middle of another one.
    match topic.bytes().position(|byte| matches!(byte, 0 | b'+' | b'#')) {
        None => Ok(()),
        Some(at) if topic.as_bytes()[at] == 0 => Err(TopicError::Nul { topic: excerpt(topic), at }),
        Some(at) => {
            let wildcard = char::from(topic.as_bytes()[at]);
            Err(TopicError::Wildcard { topic: excerpt(topic), wildcard, at })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_utf8_without_wildcards_is_a_topic() {
        for topic in ["a", "/", "//", " ", "é/x", "日本/語", "$SYS/x", "a/🚂/b"] {
            assert_eq!(validate_topic(topic), Ok(()), "{topic}");
        }
        assert_eq!(validate_topic(&"x".repeat(TOPIC_BYTES_MAX)), Ok(()));
    }

    #[test]
    fn errors_name_what_and_where() {
        let check = |topic: &str, message: &str| {
            assert_eq!(validate_topic(topic).unwrap_err().to_string(), message);
        };
        check("", "topic is empty: give it at least one character");
        check("a/+", "topic \"a/+\" holds the wildcard `+` at byte 2: only filters may have wildcards");
        check("a#", "topic \"a#\" holds the wildcard `#` at byte 1: only filters may have wildcards");
        check("a\0", "topic \"a\\0\" holds the null character at byte 1: remove it");
        check(&"é".repeat(40_000), "topic has 80000 bytes: at most 65535 are allowed");
    }
}
