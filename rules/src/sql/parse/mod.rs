//! From tokens to a statement: a parser with one token of look-ahead, and more where a word is also a name.

mod expression;
mod primary;
mod selection;
mod variables;

use std::rc::Rc;

use super::error::SqlError;
use super::lex::{Lexer, Place, Token};
use super::limits::EXPRESSION_DEPTH_MAX;

/// What the parser gives.
pub(crate) type Parsed<T> = Result<T, SqlError>;

/// Words that cannot be names of members where an expression is expected; `get(*, '…')` reaches those.
const RESERVED: [&str; 14] = [
    "AND", "AS", "CASE", "ELSE", "END", "FALSE", "FROM", "NOT", "NULL", "OR", "SELECT", "THEN", "TRUE",
    "WHERE",
];

/// The parser: the token that is next, and where it begins.
#[derive(Clone, Debug)]
pub(crate) struct Parser<'text> {
    lexer: Lexer<'text>,
    token: Token,
    place: Place,
    depth: usize,
    /// The names of the variables there are so far, in the order of SET.
    variables: Rc<Vec<String>>,
}

impl<'text> Parser<'text> {
    pub(crate) fn new(text: &'text str, place: Place) -> Parsed<Self> {
        Self::with_variables(text, place, Rc::default())
    }

    /// A parser for a text that stands in this one's.
    pub(crate) fn within<'inner>(&self, text: &'inner str, place: Place) -> Parsed<Parser<'inner>> {
        Parser::with_variables(text, place, Rc::clone(&self.variables))
    }

    fn with_variables(text: &'text str, place: Place, variables: Rc<Vec<String>>) -> Parsed<Self> {
        let lexer = Lexer::new(text, place);
        let mut parser = Self { lexer, token: Token::End, place, depth: 0, variables };
        parser.advance()?;
        Ok(parser)
    }

    /// Takes the next token.
    fn advance(&mut self) -> Parsed<Token> {
        let (token, place) = self.lexer.next()?;
        self.place = place;
        Ok(std::mem::replace(&mut self.token, token))
    }

    /// The place of the next token.
    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// What follows the next token.
    pub(crate) fn rest(&self) -> &'text str {
        self.lexer.rest()
    }

    /// An error that says what was expected at the next token.
    pub(crate) fn expected<T>(&self, what: &str) -> Parsed<T> {
        Err(self.place.error(format!("{what} was expected, and here is {}", self.token.shown())))
    }

    /// Whether the next token is this keyword.
    pub(crate) fn is_word(&self, keyword: &str) -> bool {
        self.token.is_word(keyword)
    }

    /// Takes this keyword, if it is next.
    pub(crate) fn take_word(&mut self, keyword: &str) -> Parsed<bool> {
        let is_next = self.is_word(keyword);
        if is_next {
            self.advance()?;
        }
        Ok(is_next)
    }

    /// Takes this keyword.
    pub(crate) fn word(&mut self, keyword: &str) -> Parsed<()> {
        if self.take_word(keyword)? { Ok(()) } else { self.expected(keyword) }
    }

    /// Whether the next token is this sign.
    pub(crate) fn is_sign(&self, sign: &str) -> bool {
        matches!(self.token, Token::Sign(next) if next == sign)
    }

    /// Takes this sign, if it is next.
    pub(crate) fn take_sign(&mut self, sign: &str) -> Parsed<bool> {
        let is_next = self.is_sign(sign);
        if is_next {
            self.advance()?;
        }
        Ok(is_next)
    }

    /// Takes this sign.
    pub(crate) fn sign(&mut self, sign: &str) -> Parsed<()> {
        if self.take_sign(sign)? { Ok(()) } else { self.expected(&format!("`{sign}`")) }
    }

    /// Takes a text in quotes, and gives the place of its first character, too.
    pub(crate) fn text(&mut self, what: &str) -> Parsed<(String, Place)> {
        let place = Place { column: self.place.column + 1, ..self.place };
        if !matches!(self.token, Token::Text(_)) {
            return self.expected(what);
        }
        match self.advance()? {
            Token::Text(text) => Ok((text, place)),
            _ => self.expected(what),
        }
    }

    /// Takes a number without sign and fraction.
    pub(crate) fn whole(&mut self, what: &str) -> Parsed<u64> {
        let Token::Number(digits) = &self.token else { return self.expected(what) };
        let Ok(number) = digits.parse() else { return self.expected(what) };
        self.advance()?;
        Ok(number)
    }

    /// Takes any word as a name.
    fn name(&mut self, what: &str) -> Parsed<String> {
        if !matches!(self.token, Token::Word(_)) {
            return self.expected(what);
        }
        match self.advance()? {
            Token::Word(name) => Ok(name),
            _ => self.expected(what),
        }
    }

    /// Takes the end.
    pub(crate) fn end(&self, what: &str) -> Parsed<()> {
        if self.token == Token::End { Ok(()) } else { self.expected(what) }
    }

    /// Does something one level deeper, if that is not too deep.
    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == EXPRESSION_DEPTH_MAX {
            return Err(self.place.error(format!("expressions lie more than {EXPRESSION_DEPTH_MAX} deep")));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }
}

/// Whether a word is reserved.
fn is_reserved(word: &str) -> bool {
    RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(word))
}
