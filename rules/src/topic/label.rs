//! The text of a node of the trie: its level, and what follows in the only filter below it.

/// Bytes of a text that is kept in place.
const SHORT_MAX: usize = 22;

/// What is between the levels of a topic or filter.
const SEPARATOR: u8 = b'/';

/// A level, and behind a separator the tail if there is one.
pub(super) struct Label {
    text: Text,
    level_len: u32,
}

/// What is short, as nearly all are, is read with the node and not from elsewhere in memory.
enum Text {
    /// The first bytes are the text.
    Short { len: u8, bytes: [u8; SHORT_MAX] },
    /// Any other.
    Long(Box<[u8]>),
}

impl Text {
    fn new(text: &[u8]) -> Text {
        let mut bytes = [0; SHORT_MAX];
        match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(place), Ok(len)) => {
                place.copy_from_slice(text);
                Text::Short { len, bytes }
            }
            _ => Text::Long(text.into()),
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Text::Short { len, bytes } => &bytes[..usize::from(*len)],
            Text::Long(bytes) => bytes,
        }
    }
}

impl Label {
    /// A level, with a tail if there is a separator.
    pub(super) fn new(text: &str) -> Label {
        let level_len = first_level(text).0.len();
        let level_len = u32::try_from(level_len).expect("texts of MQTT have at most 65,535 bytes");
        Label { text: Text::new(text.as_bytes()), level_len }
    }

    /// Its level.
    pub(super) fn level(&self) -> &[u8] {
        &self.text.as_bytes()[..self.level_len as usize]
    }

    /// The levels below, if there is one filter alone.
    pub(super) fn tail(&self) -> Option<&[u8]> {
        self.text.as_bytes().get(self.level_len as usize + 1..)
    }

    /// Takes the tail off; empty if there is none.
    pub(super) fn take_tail(&mut self) -> Box<str> {
        let tail = String::from_utf8_lossy(self.tail().unwrap_or_default()).into();
        self.text = Text::new(self.level());
        tail
    }
}

/// The first level, and those below it.
pub(super) fn first_level(levels: &str) -> (&str, Option<&str>) {
    match levels.split_once('/') {
        None => (levels, None),
        Some((level, below)) => (level, Some(below)),
    }
}

/// Whether what of a topic is left below a node matches the node's tail.
pub(super) fn tail_matches(tail: &[u8], rest: Option<&str>) -> bool {
    let rest = rest.map(str::as_bytes);
    if rest == Some(tail) {
        return true;
    }
    let is_separator = |byte: &u8| *byte == SEPARATOR;
    let mut wanted = tail.split(is_separator);
    let mut levels = rest.into_iter().flat_map(|rest| rest.split(is_separator));
    loop {
        match (wanted.next(), levels.next()) {
            (Some(b"#"), _) | (None, None) => return true,
            (Some(b"+"), Some(_)) => {}
            (Some(name), Some(level)) if name == level => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_any_length_are_as_they_were() {
        for len in (0..40).chain([255, 256, 60_000]) {
            let level = "x".repeat(len);
            let mut label = Label::new(&level);
            assert_eq!((label.level(), label.tail()), (level.as_bytes(), None));
            assert_eq!(&*label.take_tail(), "");
            for tail in ["", "#", "y/+/é"] {
                let mut label = Label::new(&format!("{level}/{tail}"));
                assert_eq!((label.level(), label.tail()), (level.as_bytes(), Some(tail.as_bytes())));
                assert_eq!((&*label.take_tail(), label.tail()), (tail, None));
                assert_eq!(label.level(), level.as_bytes());
            }
        }
    }

    #[test]
    fn tails_match_as_filters_do() {
        for (tail, rest, matches) in [
            ("#", None, true),
            ("#", Some("a/b"), true),
            ("+", None, false),
            ("+", Some(""), true),
            ("+", Some("a/b"), false),
            ("a/#", Some("a"), true),
            ("a/+/c", Some("a/b/c"), true),
            ("a/+/c", Some("a/b"), false),
            ("a", Some("a/b"), false),
            ("", Some(""), true),
            ("", None, false),
        ] {
            assert_eq!(tail_matches(tail.as_bytes(), rest), matches, "{tail:?} {rest:?}");
        }
    }
}
