//! Substitution templates: texts with `${expr}`, filled in from the original payload (SEMANTICS §5.5).

use std::borrow::Cow;

use super::ast::Expr;
use super::context::Scope;
use super::error::SqlRunError;
use super::lex::{Place, advance};
use super::limits::TEMPLATE_BYTES_MAX;
use super::parse::{Parsed, Parser};
use crate::topic::excerpt;

/// A template, ready to be filled in.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    source: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    /// An expression, and how it is written.
    Expr(Expr, String),
    Text(String),
}

/// Why a template could not be filled in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum FillError {
    /// This expression is Undefined or Null.
    Missing(String),
    /// The evaluation failed.
    Run(SqlRunError),
}

impl Template {
    /// Reads a template whose first character stands at `place`, in what `outer` reads.
    pub(crate) fn parse(source: &str, place: Place, outer: &Parser<'_>) -> Parsed<Self> {
        let mut parts = Vec::new();
        let (mut rest, mut place) = (source, place);
        while let Some(at) = rest.find("${") {
            let (text, after) = rest.split_at(at);
            if !text.is_empty() {
                parts.push(Part::Text(text.to_owned()));
            }
            place = advance(place, text);
            let inner = &after[2..];
            let mut parser = outer.within(inner, Place { column: place.column + 2, ..place })?;
            let expr = parser.expression()?;
            if !parser.is_sign("}") {
                return parser.expected("`}` after the expression of a template");
            }
            rest = parser.rest();
            let taken = &after[..after.len() - rest.len()];
            place = advance(place, taken);
            parts.push(Part::Expr(expr, taken.to_owned()));
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { source: source.to_owned(), parts })
    }

    /// As it was written.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// The whole text, if nothing is to be filled in.
    pub(crate) fn fixed(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The text it begins with, up to the first expression.
    pub(crate) fn fixed_start(&self) -> &str {
        match self.parts.first() {
            Some(Part::Text(text)) => text,
            _ => "",
        }
    }

    /// Fills it in. An expression without a value is an error: a topic or key made without it would be another.
    pub(crate) fn fill<'a>(&'a self, scope: &Scope<'a>) -> Result<String, FillError> {
        let mut text = String::with_capacity(self.source.len() + 16);
        for part in &self.parts {
            match part {
                Part::Text(fixed) => text.push_str(fixed),
                Part::Expr(expr, source) => {
                    let value = expr.evaluate(scope).map_err(FillError::Run)?;
                    let value: Cow<'a, str> =
                        value.into_text().ok_or_else(|| FillError::Missing(excerpt(source)))?;
                    scope.evaluation.charge(value.len()).map_err(FillError::Run)?;
                    text.push_str(&value);
                }
            }
            if text.len() > TEMPLATE_BYTES_MAX {
                return Err(FillError::Run(SqlRunError::Limit("TEMPLATE_BYTES_MAX")));
            }
        }
        Ok(text)
    }
}
