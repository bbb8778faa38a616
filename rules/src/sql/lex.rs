//! From text to tokens, each with its place.

use super::error::SqlError;
use crate::topic::excerpt;

/// What a token is. Words are looked at where they stand, as most of them are also names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Token {
    /// The end of the text.
    End,
    /// A number, as it is written.
    Number(String),
    /// `'text'` or `"text"`, without its quotes.
    Text(String),
    /// A name or keyword.
    Word(String),
    /// An operator or bracket.
    Sign(&'static str),
    /// `@name`, without the sign.
    Variable(String),
}

/// A place in the text: line and column in characters, from 1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Place {
    pub(crate) const START: Self = Self { line: 1, column: 1 };

    /// An error at this place.
    pub(crate) fn error(self, message: impl Into<String>) -> SqlError {
        SqlError { line: self.line, column: self.column, message: message.into() }
    }
}

/// Reads one token after the other.
#[derive(Clone, Debug)]
pub(crate) struct Lexer<'text> {
    rest: &'text str,
    place: Place,
}

/// The longer ones first.
const SIGNS: [&str; 22] = [
    "<=", ">=", "<>", "!=", "==", "<", ">", "=", "(", ")", "{", "}", "[", "]", ",", ":", ".", "+", "-", "*",
    "/", "%",
];

impl<'text> Lexer<'text> {
    pub(crate) fn new(text: &'text str, place: Place) -> Self {
        Self { rest: text, place }
    }

    /// What has not been read.
    pub(crate) fn rest(&self) -> &'text str {
        self.rest
    }

    /// The next token and where it begins.
    pub(crate) fn next(&mut self) -> Result<(Token, Place), SqlError> {
        self.skip_blanks();
        let place = self.place;
        let Some(first) = self.rest.chars().next() else {
            return Ok((Token::End, place));
        };
        let token = match first {
            '\'' | '"' => Token::Text(self.quoted(first)?),
            '0'..='9' => Token::Number(self.number()?),
            '@' => Token::Variable(self.variable()?),
            _ if is_name_start(first) => {
                let end = self.rest.find(|next| !is_name_part(next)).unwrap_or(self.rest.len());
                Token::Word(self.take(end).to_owned())
            }
            _ => match SIGNS.iter().find(|sign| self.rest.starts_with(**sign)) {
                Some(sign) => {
                    self.take(sign.len());
                    Token::Sign(sign)
                }
                None => return Err(place.error(format!("the character {first:?} has no meaning here"))),
            },
        };
        Ok((token, place))
    }

    /// Passes blanks and comments, which go from `--` to the end of the line.
    fn skip_blanks(&mut self) {
        loop {
            let blank = self.rest.len() - self.rest.trim_start().len();
            self.take(blank);
            if !self.rest.starts_with("--") {
                return;
            }
            self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
        }
    }

    /// Takes so many bytes and moves the place.
    fn take(&mut self, bytes: usize) -> &'text str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        self.place = advance(self.place, taken);
        taken
    }

    /// Reads a text in quotes; the quote itself is written twice in it.
    fn quoted(&mut self, quote: char) -> Result<String, SqlError> {
        let place = self.place;
        self.take(1);
        let mut text = String::new();
        loop {
            let Some(end) = self.rest.find(quote) else {
                let shown = excerpt(self.rest.lines().next().unwrap_or_default());
                return Err(
                    place.error(format!("the text that begins with {shown:?} has no closing {quote}"))
                );
            };
            text.push_str(self.take(end));
            self.take(1);
            if !self.rest.starts_with(quote) {
                return Ok(text);
            }
            text.push(quote);
            self.take(1);
        }
    }

    /// Reads `@name`; unlike other names it may begin with a digit.
    fn variable(&mut self) -> Result<String, SqlError> {
        let name = &self.rest[1..];
        let end = name.find(|next| !is_name_part(next)).unwrap_or(name.len());
        if end == 0 {
            return Err(self.place.error("a name was expected behind `@`"));
        }
        Ok(self.take(1 + end)[1..].to_owned())
    }

    fn number(&mut self) -> Result<String, SqlError> {
        let place = self.place;
        let bytes = self.rest.as_bytes();
        let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let mut end = digits(0);
        if bytes.get(end) == Some(&b'.') && digits(end + 1) > 0 {
            end += 1 + digits(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let power = bytes.get(end + 1 + sign..).map_or(0, |_| digits(end + 1 + sign));
            end += if power > 0 { 1 + sign + power } else { 0 };
        }
        if self.rest[end..].starts_with(is_name_start) {
            let shown = excerpt(self.rest.split_whitespace().next().unwrap_or_default());
            return Err(place.error(format!(
                "{shown:?} is no number, and names begin with a letter: use get(*, '…') for other members"
            )));
        }
        Ok(self.take(end).to_owned())
    }
}

/// Where one stands after `text`.
pub(crate) fn advance(place: Place, text: &str) -> Place {
    text.chars().fold(place, |place, character| match character {
        '\n' => Place { line: place.line + 1, column: 1 },
        _ => Place { column: place.column + 1, ..place },
    })
}

fn is_name_start(character: char) -> bool {
    character == '_' || character.is_alphabetic()
}

fn is_name_part(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}

impl Token {
    /// Whether it is this keyword, in any case.
    pub(crate) fn is_word(&self, keyword: &str) -> bool {
        matches!(self, Self::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    /// How to name it in a message.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::End => "the end".to_owned(),
            Self::Number(text) | Self::Word(text) => format!("`{}`", excerpt(text)),
            Self::Text(text) => format!("'{}'", excerpt(text)),
            Self::Sign(sign) => format!("`{sign}`"),
            Self::Variable(name) => format!("`@{}`", excerpt(name)),
        }
    }
}
