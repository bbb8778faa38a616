//! A strict JSON reader that builds nothing: it checks a text and finds where its parts begin and end.

use std::fmt;

use super::DEPTH_MAX;

/// Why a text is not JSON.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ScanError {
    pub(crate) expected: &'static str,
    pub(crate) at: usize,
}

impl fmt::Display for ScanError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "not JSON: {} at byte {}", self.expected, self.at)
    }
}

/// A string of a JSON text, between its quotes, as it stands there.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct RawText<'text> {
    pub(crate) body: &'text str,
    pub(crate) is_escaped: bool,
}

/// A place in a text that is read as JSON.
#[derive(Clone, Debug)]
pub(crate) struct Scanner<'text> {
    text: &'text str,
    at: usize,
    is_doubtful: bool,
}

type Scan<T> = Result<T, ScanError>;

impl<'text> Scanner<'text> {
    pub(crate) fn new(text: &'text str) -> Self {
        Self { text, at: 0, is_doubtful: false }
    }

    /// How many bytes were passed.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Whether something was passed that is right by its form alone, and that other readers may refuse: half a surrogate
    /// pair, or a number that may be out of their range.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.is_doubtful
    }

    fn peek(&self) -> u8 {
        // A null byte is no part of any token, so it can stand for the end.
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    fn fail<T>(&self, expected: &'static str) -> Scan<T> {
        Err(ScanError { expected, at: self.at })
    }

    fn skip_blank(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    /// The next byte that is not blank, which is not taken.
    pub(crate) fn peek_token(&mut self) -> u8 {
        self.skip_blank();
        self.peek()
    }

    /// Whether nothing but blanks is left.
    pub(crate) fn end(&mut self) -> Scan<()> {
        self.skip_blank();
        if self.at < self.text.len() { self.fail("the end was expected") } else { Ok(()) }
    }

    /// Passes one value and gives its text. `depth` is how many arrays and objects it lies in.
    pub(crate) fn value(&mut self, depth: usize) -> Scan<&'text str> {
        let first = self.peek_token();
        let start = self.at;
        match first {
            b'"' => drop(self.string()?),
            b'{' => self.object(depth, |_, _| {})?,
            b'[' => self.array(depth, |_| {})?,
            b't' => self.word("true")?,
            b'f' => self.word("false")?,
            b'n' => self.word("null")?,
            b'-' | b'0'..=b'9' => self.number()?,
            _ => return self.fail("a value was expected"),
        }
        Ok(&self.text[start..self.at])
    }

    /// Passes an object, which begins here, and calls `found` for each member.
    pub(crate) fn object(
        &mut self,
        depth: usize,
        mut found: impl FnMut(RawText<'text>, &'text str),
    ) -> Scan<()> {
        self.enter(depth)?;
        if self.peek_token() == b'}' {
            self.at += 1;
            return Ok(());
        }
        loop {
            if self.peek_token() != b'"' {
                return self.fail("a member's name was expected");
            }
            let name = self.string()?;
            let value = self.member_value(depth + 1)?;
            found(name, value);
            match self.peek_token() {
                b',' => self.at += 1,
                b'}' => break,
                _ => return self.fail("`,` or `}` was expected"),
            }
        }
        self.at += 1;
        Ok(())
    }

    /// Passes what stands behind the name of a member: a colon, and the value, whose text it gives.
    pub(crate) fn member_value(&mut self, depth: usize) -> Scan<&'text str> {
        if self.peek_token() != b':' {
            return self.fail("`:` was expected");
        }
        self.at += 1;
        self.value(depth)
    }

    /// Passes an array, which begins here, and calls `found` for each element.
    pub(crate) fn array(&mut self, depth: usize, mut found: impl FnMut(&'text str)) -> Scan<()> {
        self.enter(depth)?;
        if self.peek_token() == b']' {
            self.at += 1;
            return Ok(());
        }
        loop {
            let element = self.value(depth + 1)?;
            found(element);
            match self.peek_token() {
                b',' => self.at += 1,
                b']' => break,
                _ => return self.fail("`,` or `]` was expected"),
            }
        }
        self.at += 1;
        Ok(())
    }

    fn enter(&mut self, depth: usize) -> Scan<()> {
        if depth >= DEPTH_MAX {
            return self.fail("less depth was expected");
        }
        self.at += 1;
        Ok(())
    }

    /// Passes a string, which begins here.
    pub(crate) fn string(&mut self) -> Scan<RawText<'text>> {
        self.at += 1;
        let start = self.at;
        let mut is_escaped = false;
        loop {
            self.at += plain_len(&self.text.as_bytes()[self.at..]);
            match self.peek() {
                b'"' => break,
                b'\\' => {
                    is_escaped = true;
                    self.escape()?;
                }
                _ => return self.fail("a character of a string or `\"` was expected"),
            }
        }
        let body = &self.text[start..self.at];
        self.at += 1;
        Ok(RawText { body, is_escaped })
    }

    fn escape(&mut self) -> Scan<()> {
        self.at += 1;
        match self.peek() {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
            b'u' => {
                self.at += 1;
                // U+D800 and above: halves of pairs, and what is as rare.
                self.is_doubtful |= matches!(self.peek(), b'd' | b'D');
                for _ in 0..4 {
                    if !self.peek().is_ascii_hexdigit() {
                        return self.fail("a hex digit was expected");
                    }
                    self.at += 1;
                }
            }
            _ => return self.fail("an escape of a string was expected"),
        }
        Ok(())
    }

    fn word(&mut self, word: &'static str) -> Scan<()> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return self.fail("a value was expected");
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Scan<()> {
        /// Numbers with no more characters before an exponent are within any range.
        const CHARACTERS_MAX: usize = 300;
        let start = self.at;
        if self.peek() == b'-' {
            self.at += 1;
        }
        match self.peek() {
            b'0' => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        self.is_doubtful |= self.at - start > CHARACTERS_MAX;
        if matches!(self.peek(), b'e' | b'E') {
            self.is_doubtful = true;
            self.at += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Scan<()> {
        if !self.peek().is_ascii_digit() {
            return self.fail("a digit was expected");
        }
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        Ok(())
    }
}

/// How many bytes from the begin on may stand in a string as they are: all but quotes, backslashes and control characters.
fn plain_len(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    /// Marks the high bits of bytes that are less than `bound`, which is no more than 128: the lowest mark is right.
    const fn less(word: u64, bound: u64) -> u64 {
        word.wrapping_sub(ONES * bound) & !word & HIGH
    }
    let mut at = 0;
    while let Some(eight) = bytes[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*eight);
        let (quote, backslash) = (word ^ (ONES * 0x22), word ^ (ONES * 0x5C));
        let marks = less(word, 0x20) | less(quote, 1) | less(backslash, 1);
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let is_plain = |byte: &u8| *byte >= 0x20 && *byte != b'"' && *byte != b'\\';
    at + bytes[at..].iter().take_while(|byte| is_plain(byte)).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_string_ends_at_its_first_unusual_byte(
            plain in "[ !#-\\[\\]-~\u{80}-\u{10FFFF}]{0,30}",
            unusual in prop::sample::select(vec!["", "\"", "\\", "\n", "\u{0}", "\u{1f}"]),
            rest in any::<String>(),
        ) {
            let rest = if unusual.is_empty() { String::new() } else { rest };
            let text = format!("{plain}{unusual}{rest}");
            prop_assert_eq!(plain_len(text.as_bytes()), plain.len());
        }
    }
}
