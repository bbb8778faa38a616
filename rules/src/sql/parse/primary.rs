//! What operators stand between: literals, names, calls, brackets, CASE and nested queries.

use super::{Parsed, Parser, is_reserved};
use crate::sql::ast::{Case, CastTo, Expr, Query};
use crate::sql::functions;
use crate::sql::lex::Token;
use crate::sql::value::Value;
use crate::topic::excerpt;

const CASTS: [(&str, CastTo); 11] = [
    ("Bool", CastTo::Boolean),
    ("Boolean", CastTo::Boolean),
    ("Decimal", CastTo::Decimal),
    ("Double", CastTo::Decimal),
    ("Int", CastTo::Int),
    ("Integer", CastTo::Int),
    ("Ntext", CastTo::Text),
    ("Nvarchar", CastTo::Text),
    ("String", CastTo::Text),
    ("Text", CastTo::Text),
    ("Varchar", CastTo::Text),
];

impl Parser<'_> {
    pub(super) fn primary(&mut self) -> Parsed<Expr> {
        match &self.token {
            Token::Number(digits) => {
                let value = Value::from_json(digits).into_owned();
                if value == Value::Undefined {
                    return self.expected("a number that is not so large");
                }
                self.advance()?;
                Ok(Expr::Literal(value))
            }
            Token::Text(_) => Ok(Expr::Literal(Value::text(self.text("a text")?.0))),
            Token::Sign("(") => {
                self.advance()?;
                let inner = if self.is_word("SELECT") { self.query()? } else { self.expression()? };
                self.sign(")")?;
                Ok(inner)
            }
            Token::Sign("[") => {
                self.advance()?;
                Ok(Expr::Array(self.list("]", Self::expression)?))
            }
            Token::Sign("{") => {
                self.advance()?;
                let members = self.list("}", |parser| {
                    let (name, _) = parser.text("the name of a member in quotes")?;
                    parser.sign(":")?;
                    Ok((name, parser.expression()?))
                })?;
                Ok(Expr::Object(members))
            }
            Token::Word(word) => {
                let word = word.clone();
                self.word_expression(&word)
            }
            Token::Variable(_) => self.variable(),
            Token::End | Token::Sign(_) => self.expected("an expression"),
        }
    }

    /// What begins with a word: a keyword, a call or a name.
    fn word_expression(&mut self, word: &str) -> Parsed<Expr> {
        let literal = match word.to_ascii_uppercase().as_str() {
            "TRUE" => Value::Boolean(true),
            "FALSE" => Value::Boolean(false),
            "NULL" => Value::Null,
            "CASE" => return self.case(),
            _ if is_reserved(word) => {
                return self.expected("an expression (a member of that name is had by get(*, '…'))");
            }
            _ => {
                let place = self.place;
                self.advance()?;
                if !self.take_sign("(")? {
                    return Ok(Expr::Name(word.to_owned()));
                }
                if word.eq_ignore_ascii_case("cast") {
                    return self.cast();
                }
                if word.eq_ignore_ascii_case("exists") {
                    return self.exists();
                }
                let arguments = self.list(")", Self::argument)?;
                return functions::call(word, arguments)
                    .map(Expr::Call)
                    .map_err(|message| place.error(message));
            }
        };
        self.advance()?;
        Ok(Expr::Literal(literal))
    }

    fn argument(&mut self) -> Parsed<Expr> {
        if self.take_sign("*")? { Ok(Expr::All) } else { self.expression() }
    }

    /// Parts with commas between, up to the closing sign, which is taken.
    fn list<T>(&mut self, close: &str, mut part: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut parts = Vec::new();
        if self.take_sign(close)? {
            return Ok(parts);
        }
        loop {
            parts.push(part(self)?);
            if self.take_sign(close)? {
                return Ok(parts);
            }
            if !self.take_sign(",")? {
                return self.expected(&format!("`,` or `{close}`"));
            }
        }
    }

    fn cast(&mut self) -> Parsed<Expr> {
        let value = self.expression()?;
        self.word("AS")?;
        let place = self.place;
        let name = self.name("the name of a type")?;
        let Some((_, to)) = CASTS.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name)) else {
            let known: Vec<&str> = CASTS.iter().map(|(known, _)| *known).collect();
            let (name, known) = (excerpt(&name), known.join(", "));
            return Err(place.error(format!("there is no type {name:?}: there are {known}")));
        };
        self.sign(")")?;
        Ok(Expr::Cast(Box::new(value), *to))
    }

    fn exists(&mut self) -> Parsed<Expr> {
        match self.query()? {
            Expr::Query(query) => {
                self.sign(")")?;
                Ok(Expr::Exists(query))
            }
            _ => self.expected("a query"),
        }
    }

    fn case(&mut self) -> Parsed<Expr> {
        self.advance()?;
        if self.is_word("WHEN") {
            return self.expected("the value that CASE compares");
        }
        let value = self.expression()?;
        let mut branches = Vec::new();
        self.word("WHEN")?;
        loop {
            let when = self.expression()?;
            self.word("THEN")?;
            branches.push((when, self.expression()?));
            if !self.take_word("WHEN")? {
                break;
            }
        }
        let otherwise = if self.take_word("ELSE")? { Some(self.expression()?) } else { None };
        self.word("END")?;
        Ok(Expr::Case(Box::new(Case { value, branches, otherwise })))
    }

    /// `SELECT … FROM array [WHERE …]`, without its brackets.
    fn query(&mut self) -> Parsed<Expr> {
        self.deeper(|parser| {
            parser.word("SELECT")?;
            let what = parser.selected()?;
            parser.word("FROM")?;
            let from = parser.expression()?;
            let condition = parser.condition()?;
            let selection = crate::sql::ast::Selection { what, condition };
            Ok(Expr::Query(Box::new(Query { from, selection })))
        })
    }
}
