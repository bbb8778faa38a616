//! The list behind SELECT, and WHERE.

use super::{Parsed, Parser, is_reserved};
use crate::sql::ast::{Expr, Item, Selected};
use crate::sql::lex::Token;

impl Parser<'_> {
    /// What stands between SELECT and FROM.
    pub(crate) fn selected(&mut self) -> Parsed<Selected> {
        if self.is_value_keyword() {
            self.advance()?;
            let value = if self.take_sign("*")? { Expr::All } else { self.expression()? };
            return Ok(Selected::Value(value));
        }
        let (mut has_all, mut items) = (false, Vec::new());
        loop {
            if self.take_sign("*")? {
                if self.is_word("AS") {
                    items.push(self.named_item(Expr::All)?);
                } else {
                    has_all = true;
                }
            } else if matches!(&self.token, Token::Word(word) if is_reserved(word) && is_clause(word))
                || self.token == Token::End
            {
                return self.expected("`*` or an expression");
            } else {
                items.push(self.item()?);
            }
            if !self.take_sign(",")? {
                break;
            }
        }
        Ok(if has_all && items.is_empty() {
            Selected::Value(Expr::All)
        } else {
            Selected::Items { has_all, items }
        })
    }

    /// Whether `VALUE` is next and means the keyword: it is also a usual name of a member.
    fn is_value_keyword(&self) -> bool {
        if !self.is_word("VALUE") {
            return false;
        }
        let mut ahead = self.clone();
        if ahead.advance().is_err() {
            return false;
        }
        match &ahead.token {
            Token::Number(_) | Token::Text(_) | Token::Variable(_) | Token::Sign("(" | "[" | "{") => true,
            Token::Word(word) => {
                !is_clause(word)
                    && !["AND", "OR", "IN", "ON"].iter().any(|other| other.eq_ignore_ascii_case(word))
            }
            // `VALUE *` ends there; `value * 2` does not.
            Token::Sign("*") => {
                let _ = ahead.advance();
                match &ahead.token {
                    Token::End | Token::Sign(")") => true,
                    Token::Word(word) => is_clause(word) || word.eq_ignore_ascii_case("ON"),
                    _ => false,
                }
            }
            Token::End | Token::Sign(_) => false,
        }
    }

    fn item(&mut self) -> Parsed<Item> {
        let place = self.place;
        let value = self.expression()?;
        if self.is_word("AS") {
            return self.named_item(value);
        }
        let name = match &value {
            Expr::Name(name) => name.clone(),
            Expr::Members(_, names) => names.last().cloned().unwrap_or_default(),
            Expr::Call(call) => call.function.name.to_owned(),
            Expr::Variable(index) => self.variable_name(*index),
            _ => return Err(place.error("this item has no name of its own: give it one with AS")),
        };
        Ok(Item { value, path: vec![name] })
    }

    /// `AS a.b` behind an item.
    fn named_item(&mut self, value: Expr) -> Parsed<Item> {
        self.word("AS")?;
        let mut path = vec![self.alias()?];
        while self.take_sign(".")? {
            path.push(self.alias()?);
        }
        Ok(Item { value, path })
    }

    /// A name for an item: a word, or a text for names that are no words.
    fn alias(&mut self) -> Parsed<String> {
        match &self.token {
            Token::Text(_) => Ok(self.text("a name")?.0),
            _ => self.name("a name"),
        }
    }

    /// `WHERE …`, if it is next.
    pub(crate) fn condition(&mut self) -> Parsed<Option<Expr>> {
        if self.take_word("WHERE")? { self.expression().map(Some) } else { Ok(None) }
    }
}

/// Whether a word ends the list.
fn is_clause(word: &str) -> bool {
    ["AS", "FROM", "THEN", "WHERE"].iter().any(|clause| clause.eq_ignore_ascii_case(word))
}
