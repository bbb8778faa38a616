//! Reading JSON where it lies: only as much as somebody asks for, eight bytes at a time where nobody does.

use super::EVENT_DEPTH_MAX;
use super::error::JsonError;

const EACH: u64 = 0x0101_0101_0101_0101;
const TOP: u64 = 0x8080_8080_8080_8080;

type Result<T> = std::result::Result<T, JsonError>;

/// The text of a JSON string between its quotes.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawText<'event> {
    pub(super) text: &'event str,
    /// Where it begins in the event.
    pub(super) start: usize,
    /// Whether it holds escapes.
    pub(super) has_escapes: bool,
}

/// A place in a JSON text.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'event> {
    text: &'event str,
    at: usize,
}

impl<'event> Cursor<'event> {
    pub(super) fn new(text: &'event str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn error<T>(&self, expected: &'static str) -> Result<T> {
        Err(JsonError::Syntax { at: self.at, expected })
    }

    /// The next byte that is no white space, without going past it. 0 at the end.
    #[inline]
    pub(super) fn peek(&mut self) -> u8 {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return byte;
            }
            self.at += 1;
        }
        0
    }

    /// Goes past the byte that `peek` gave.
    #[inline]
    pub(super) fn step(&mut self) {
        self.at += 1;
    }

    #[inline]
    pub(super) fn expect(&mut self, byte: u8, expected: &'static str) -> Result<()> {
        if self.peek() != byte {
            return self.error(expected);
        }
        self.at += 1;
        Ok(())
    }

    /// Reads a string; the cursor is at its first quote.
    #[inline]
    pub(super) fn string(&mut self) -> Result<RawText<'event>> {
        let start = self.at + 1;
        let has_escapes = self.skip_string()?;
        Ok(RawText { text: &self.text[start..self.at - 1], start, has_escapes })
    }

    /// Goes past a string, and says whether it holds escapes.
    #[inline]
    fn skip_string(&mut self) -> Result<bool> {
        let bytes = self.text.as_bytes();
        let mut at = self.at + 1;
        let mut has_escapes = false;
        loop {
            at += quote_or_backslash(&bytes[at.min(bytes.len())..]);
            match bytes.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Ok(has_escapes);
                }
                Some(_) => {
                    has_escapes = true;
                    at += 2;
                }
                None => return self.error("a string with a `\"` at its end"),
            }
        }
    }

    /// Reads a number, `true`, `false` or `null`: all up to what may stand behind a value.
    #[inline]
    pub(super) fn word(&mut self) -> &'event str {
        let bytes = &self.text.as_bytes()[self.at..];
        let is_end =
            |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r' | b'"' | b':');
        let len = bytes.iter().position(is_end).unwrap_or(bytes.len());
        let word = &self.text[self.at..self.at + len];
        self.at += len;
        word
    }

    /// Goes past any value. Only what is needed to find its end is looked at. `depth` is that of what it lies in.
    #[inline]
    pub(super) fn skip_value(&mut self, depth: usize) -> Result<()> {
        match self.peek() {
            b'"' => self.skip_string().map(|_| ()),
            b'{' | b'[' => self.skip_nested(depth),
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                self.word();
                Ok(())
            }
            _ => self.error("a value"),
        }
    }

    /// Goes past an array or object with all in it.
    fn skip_nested(&mut self, depth: usize) -> Result<()> {
        let bytes = self.text.as_bytes();
        let mut open = depth;
        loop {
            self.at += bracket_or_quote(&bytes[self.at..]);
            match bytes.get(self.at) {
                Some(b'"') => {
                    self.skip_string()?;
                    continue;
                }
                Some(b'[' | b'{') => {
                    open += 1;
                    if open > EVENT_DEPTH_MAX {
                        return Err(JsonError::TooDeep { at: self.at, max: EVENT_DEPTH_MAX });
                    }
                }
                Some(b']' | b'}') => {
                    open -= 1;
                    if open == depth {
                        self.at += 1;
                        return Ok(());
                    }
                }
                Some(_) => {}
                None => return self.error("the end of an array or object"),
            }
            self.at += 1;
        }
    }
}

/// The number of bytes before the first `"` or `\`, or all.
#[inline]
fn quote_or_backslash(bytes: &[u8]) -> usize {
    let (chunks, rest) = bytes.as_chunks::<8>();
    for (index, chunk) in chunks.iter().enumerate() {
        let word = u64::from_le_bytes(*chunk);
        let hits = zeros(word ^ (EACH * u64::from(b'"'))) | zeros(word ^ (EACH * u64::from(b'\\')));
        if hits != 0 {
            return index * 8 + hits.trailing_zeros() as usize / 8;
        }
    }
    let in_rest = rest.iter().position(|&byte| matches!(byte, b'"' | b'\\')).unwrap_or(rest.len());
    chunks.len() * 8 + in_rest
}

/// The number of bytes before the first bracket, brace or `"`, or all. It may stop earlier, at another byte.
#[inline]
fn bracket_or_quote(bytes: &[u8]) -> usize {
    // These bits make one byte of all four of `[`, `]`, `{` and `}`, and of few others.
    const ALIKE: u64 = 0x26;
    let (chunks, rest) = bytes.as_chunks::<8>();
    for (index, chunk) in chunks.iter().enumerate() {
        let word = u64::from_le_bytes(*chunk);
        let brackets = zeros((word | (EACH * ALIKE)) ^ (EACH * 0x7f));
        let hits = brackets | zeros(word ^ (EACH * u64::from(b'"')));
        if hits != 0 {
            return index * 8 + hits.trailing_zeros() as usize / 8;
        }
    }
    let is_it = |byte: &u8| matches!(byte, b'[' | b']' | b'{' | b'}' | b'"');
    chunks.len() * 8 + rest.iter().position(is_it).unwrap_or(rest.len())
}

/// The top bit of each byte that is 0, and perhaps of some above the lowest of them.
#[inline]
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(EACH) & !word & TOP
}

/// Whether `text` is a number as JSON has them.
pub(super) fn is_number(text: &str) -> bool {
    fn digits(bytes: &[u8]) -> Option<&[u8]> {
        let len = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
        (len > 0).then(|| &bytes[len..])
    }
    let bytes = text.as_bytes();
    let bytes = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let Some(mut rest) = bytes.strip_prefix(b"0").or_else(|| digits(bytes)) else { return false };
    if let Some(fraction) = rest.strip_prefix(b".") {
        let Some(behind) = digits(fraction) else { return false };
        rest = behind;
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let unsigned =
            exponent.strip_prefix(b"-").or_else(|| exponent.strip_prefix(b"+")).unwrap_or(exponent);
        let Some(behind) = digits(unsigned) else { return false };
        rest = behind;
    }
    rest.is_empty()
}

/// Appends a string's text to `out`, with its escapes replaced by what they stand for.
pub(super) fn decode(raw: RawText<'_>, out: &mut String) -> Result<()> {
    let error = |at: usize, expected| Err(JsonError::Syntax { at: raw.start + at, expected });
    let mut at = 0;
    while let Some(plain) = raw.text[at..].find('\\') {
        out.push_str(&raw.text[at..at + plain]);
        at += plain + 2;
        let character = match raw.text.as_bytes()[at - 1] {
            same @ (b'"' | b'\\' | b'/') => char::from(same),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let (character, len) = match unit(raw.text, at) {
                    Some(high @ 0xd800..0xdc00) => (pair(high, raw.text, at + 4), 10),
                    Some(unit) => (char::from_u32(unit), 4),
                    None => return error(at, "four hexadecimal digits"),
                };
                at += len;
                let Some(character) = character else { return error(at - len, "a pair of surrogates") };
                character
            }
            _ => return error(at - 1, "one of \" \\ / b f n r t u"),
        };
        out.push(character);
    }
    out.push_str(&raw.text[at..]);
    Ok(())
}

/// The four hexadecimal digits at `at`.
fn unit(text: &str, at: usize) -> Option<u32> {
    let digits = text.get(at..at + 4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u32::from_str_radix(digits, 16).ok()
}

/// The character of a pair whose second half is escaped at `at`.
fn pair(high: u32, text: &str, at: usize) -> Option<char> {
    let low = unit(text, at + 2).filter(|low| (0xdc00..0xe000).contains(low))?;
    text.get(at..).filter(|rest| rest.starts_with("\\u"))?;
    char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(json: &str) -> Result<String> {
        let mut out = String::new();
        decode(Cursor::new(json).string()?, &mut out)?;
        Ok(out)
    }

    proptest! {
        #[test]
        fn strings_are_read_as_by_the_library(text in "(\\PC|[\"\\\\]|\\\\u[0-9a-fA-F]{4}|\\\\[bfnrtx/]){0,12}") {
            let json = format!("\"{text}\"");
            // The end may be found before that of the text: the library then sees trailing characters.
            let ours = decoded(&json);
            let theirs = serde_json::Deserializer::from_str(&json).into_iter::<String>().next();
            match theirs {
                Some(Ok(theirs)) => prop_assert_eq!(ours, Ok(theirs)),
                _ => prop_assert!(ours.is_err(), "{:?}", ours),
            }
        }

        #[test]
        fn numbers_are_those_of_the_library(text in "[-+]?[0-9]{0,3}(\\.[0-9]{0,2})?([eE][-+]?[0-9]{0,2})?") {
            prop_assert_eq!(is_number(&text), serde_json::from_str::<f64>(&text).is_ok());
        }

        #[test]
        fn the_end_of_a_value_is_found(value in crate::pattern::testing::json(), rest in "[,\\]} x]{0,3}") {
            let json = format!("{value}");
            let text = format!("{json},{rest}");
            let mut cursor = Cursor::new(&text);
            prop_assert_eq!(cursor.skip_value(0), Ok(()));
            prop_assert_eq!(cursor.at(), json.len());
        }

        #[test]
        fn no_text_panics(text in "[\\[\\]{}\":,\\\\0a é]{0,40}") {
            let _ = Cursor::new(&text).skip_value(0);
        }
    }
}
