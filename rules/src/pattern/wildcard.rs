//! Texts with `*` in them, which stands for any characters, or none.

use smallvec::SmallVec;

use super::WILDCARD_STARS_MAX;
use super::test::Test;

/// A wildcard with more in it than a beginning or an end: what stands between its stars, at least two pieces.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Wildcard {
    /// All pieces, one behind the other.
    text: Box<str>,
    /// Where each ends.
    ends: SmallVec<[u32; 6]>,
}

impl Wildcard {
    fn new(pieces: &[String]) -> Self {
        let mut end = 0;
        let ends = pieces.iter().map(|piece| {
            end += piece.len();
            u32::try_from(end).expect("patterns have fewer bytes than 2^32")
        });
        Self { ends: ends.collect(), text: pieces.concat().into() }
    }

    fn piece(&self, number: usize) -> &str {
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start as usize..self.ends[number] as usize]
    }

    /// What a value must begin with, up to the first `*`.
    pub(super) fn start(&self) -> &str {
        self.piece(0)
    }

    /// What a value must end with, from the last `*` on.
    pub(super) fn end(&self) -> &str {
        self.piece(self.ends.len() - 1)
    }

    /// What must stand between start and end, in this order.
    fn middle(&self) -> impl Iterator<Item = &str> {
        (1..self.ends.len() - 1).map(|number| self.piece(number))
    }

    /// Whether `text` is one it describes. Taking each piece where it comes first is enough: whoever takes a
    /// later one has less left for the others.
    pub(super) fn matches(&self, text: &str) -> bool {
        let Some(rest) = text.strip_prefix(self.start()) else { return false };
        let Some(mut rest) = rest.strip_suffix(self.end()) else { return false };
        for piece in self.middle() {
            let Some(at) = rest.find(piece) else { return false };
            rest = &rest[at + piece.len()..];
        }
        true
    }
}

/// Reads a wildcard: `\*` and `\\` stand for the character itself. The simplest test that means it comes back.
///
/// # Errors
/// Says what is wrong, to be read behind the text.
pub(super) fn parse(text: &str) -> Result<Test, String> {
    let mut pieces = vec![String::new()];
    let mut chars = text.char_indices();
    let mut star_before = false;
    while let Some((at, character)) = chars.next() {
        if character == '*' {
            if star_before {
                return Err(format!("has two `*` beside each other at byte {at}: write one"));
            }
            pieces.push(String::new());
        } else {
            let plain = match character {
                '\\' => match chars.next() {
                    Some((_, escaped @ ('*' | '\\'))) => escaped,
                    _ => {
                        return Err(format!(
                            "has a `\\` at byte {at} before neither `*` nor `\\`: write `\\\\`"
                        ));
                    }
                },
                plain => plain,
            };
            let last = pieces.len() - 1;
            pieces[last].push(plain);
        }
        star_before = character == '*';
    }
    let count = pieces.len() - 1;
    if count > WILDCARD_STARS_MAX {
        return Err(format!("has {count} `*`: at most {WILDCARD_STARS_MAX} are allowed"));
    }
    Ok(match &*pieces {
        [text] => Test::Text(text.as_str().into()),
        [start, end] if end.is_empty() => Test::Prefix(start.as_str().into()),
        [start, end] if start.is_empty() => Test::Suffix(end.as_str().into()),
        _ => Test::Wildcard(Wildcard::new(&pieces)),
    })
}

#[cfg(test)]
mod tests {
    use super::super::test::Scalar;
    use super::*;

    fn matches(wildcard: &str, text: &str) -> bool {
        parse(wildcard).unwrap().passes(Scalar::Text(text))
    }

    #[test]
    fn stars_stand_for_anything() {
        for (wildcard, yes, no) in [
            ("", "", "x"),
            ("*", "", "\u{0}never"),
            ("a*", "a", "ba"),
            ("*a", "ba", "ab"),
            ("a*a", "aa", "a"),
            ("ab*ba", "abba", "aba"),
            ("chat/*/a/a/end", "chat/x/a/a/a/end", "chat/x/a/b/end"),
            ("*b*", "abc", "ac"),
            ("*a*b*a*", "xaxbxax", "xaxbx"),
            ("*é*", "aéb", "aeb"),
            ("50\\*off", "50*off", "50xoff"),
            ("a\\\\b", "a\\b", "ab"),
            ("*\\**x", "a*bx", "abx"),
        ] {
            assert!(matches(wildcard, yes), "{wildcard} {yes}");
            assert!(wildcard == "*" || !matches(wildcard, no), "{wildcard} {no}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (wildcard, part) in [("a**b", "byte 2"), ("a\\b", "byte 1"), ("a\\", "byte 1")] {
            assert!(parse(wildcard).unwrap_err().contains(part), "{wildcard}");
        }
        assert!(parse(&"a*".repeat(WILDCARD_STARS_MAX)).is_ok());
        assert!(parse(&"a*".repeat(WILDCARD_STARS_MAX + 1)).unwrap_err().contains("at most 16"));
    }
}
