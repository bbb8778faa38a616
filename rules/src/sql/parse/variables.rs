//! SET: what has a name of its own in a statement.

use std::rc::Rc;

use super::{Parsed, Parser};
use crate::sql::ast::Expr;
use crate::sql::lex::Token;
use crate::sql::limits::{VARIABLE_CHARS_MAX, VARIABLES_MAX};
use crate::topic::excerpt;

impl Parser<'_> {
    /// `SET @name = expression, …`, if it is next. Each may use those before it, so none needs itself.
    pub(crate) fn variables(&mut self) -> Parsed<Vec<Expr>> {
        let mut values = Vec::new();
        if !self.take_word("SET")? {
            return Ok(values);
        }
        loop {
            let Token::Variable(name) = &self.token else {
                return self.expected("a variable, such as `@name`,");
            };
            let (name, place) = (name.clone(), self.place);
            if name.chars().count() > VARIABLE_CHARS_MAX {
                return Err(place
                    .error(format!("the name of a variable has at most {VARIABLE_CHARS_MAX} characters")));
            }
            if self.variables.contains(&name) {
                return Err(place.error(format!("the variable `@{name}` is set before")));
            }
            if values.len() == VARIABLES_MAX {
                return Err(place.error(format!("a statement has at most {VARIABLES_MAX} variables")));
            }
            self.advance()?;
            self.sign("=")?;
            values.push(self.expression()?);
            Rc::make_mut(&mut self.variables).push(name);
            if !self.take_sign(",")? {
                return Ok(values);
            }
        }
    }

    /// `@name` in an expression.
    pub(super) fn variable(&mut self) -> Parsed<Expr> {
        let Token::Variable(name) = &self.token else { return self.expected("a variable") };
        let Some(index) = self.variables.iter().position(|other| other == name) else {
            let name = excerpt(name);
            return Err(self
                .place
                .error(format!("there is no variable `@{name}`: SET makes them, before SELECT")));
        };
        self.advance()?;
        Ok(Expr::Variable(index))
    }

    /// The name of a variable.
    pub(super) fn variable_name(&self, index: usize) -> String {
        self.variables.get(index).cloned().unwrap_or_default()
    }
}
