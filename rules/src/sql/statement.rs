//! A whole statement: what it listens to, what it lets through, what it selects.

use std::str::FromStr;

use super::ast::{Expr, Selection};
use super::context::{Context, Evaluation, Scope};
use super::doc::Doc;
use super::error::{SqlError, SqlRunError};
use super::evaluate::passes;
use super::glance::Glance;
use super::lex::Place;
use super::limits::SQL_BYTES_MAX;
use super::parse::{Parsed, Parser};
use super::select::{self, Output};
use crate::basic_ingest;
use crate::topic::LevelFilter;

/// A statement of AWS IoT SQL, version 2016-03-23, read and checked.
#[derive(Clone, Debug)]
pub struct Statement {
    pub(crate) place: Place,
    filter: Option<LevelFilter>,
    /// What SET says, in its order.
    pub(crate) variables: Vec<Expr>,
    selection: Selection,
    glances: Vec<Glance>,
}

impl Statement {
    /// Reads a statement.
    ///
    /// # Errors
    /// Says what was expected, and where.
    pub fn parse(text: &str) -> Result<Self, SqlError> {
        let mut parser = begin(text)?;
        let statement = Self::read(&mut parser)?;
        parser.end("an operator, `,`, FROM, WHERE or the end")?;
        Ok(statement)
    }

    /// Reads a statement, and leaves what follows it.
    pub(crate) fn read(parser: &mut Parser<'_>) -> Parsed<Self> {
        let place = parser.place();
        let variables = parser.variables()?;
        parser.word("SELECT")?;
        let what = parser.selected()?;
        let mut filter = None;
        if parser.take_word("FROM")? {
            let (text, place) = parser.text("a topic filter in quotes")?;
            filter = Some(LevelFilter::parse(&text).map_err(|error| place.error(error.to_string()))?);
            basic_ingest::check_filter(&text).map_err(|message| place.error(message))?;
        }
        let condition = parser.condition()?;
        let glances = Glance::all_of(condition.as_ref());
        Ok(Self { place, filter, variables, selection: Selection { what, condition }, glances })
    }

    /// The topics it listens to; `None` if it has no FROM and so is for Basic Ingest only.
    pub fn filter(&self) -> Option<&LevelFilter> {
        self.filter.as_ref()
    }

    /// The line of the file where it begins.
    pub(crate) fn line(&self) -> usize {
        self.place.line
    }

    /// What it makes of a message: `None` if WHERE is anything but true. The topic is not compared with FROM.
    ///
    /// # Errors
    /// Says which limit was reached, or what could not be read or called.
    pub fn evaluate(&self, context: &Context<'_>) -> Result<Option<Output>, SqlRunError> {
        if self.refuses_at_a_glance(context.payload) {
            return Ok(None);
        }
        self.evaluate_with(&Evaluation::new(context, &Doc::read(context.payload), &self.variables))
    }

    /// Whether WHERE cannot be true, as far as can be told without reading the whole payload.
    pub(crate) fn refuses_at_a_glance(&self, payload: &[u8]) -> bool {
        self.glances.iter().any(|glance| glance.refuses(payload))
    }

    /// The same, with a payload that was read before.
    pub(crate) fn evaluate_with<'a>(
        &'a self,
        evaluation: &'a Evaluation<'a>,
    ) -> Result<Option<Output>, SqlRunError> {
        let scope = Scope::payload(evaluation);
        if passes(&self.selection, &scope)? {
            select::output(&self.selection, &scope).map(Some)
        } else {
            Ok(None)
        }
    }
}

/// A parser at the begin of a text that is not too long.
pub(crate) fn begin(text: &str) -> Parsed<Parser<'_>> {
    if text.len() > SQL_BYTES_MAX {
        let bytes = text.len();
        return Err(Place::START
            .error(format!("the statement has {bytes} bytes: at most {SQL_BYTES_MAX} are allowed")));
    }
    Parser::new(text, Place::START)
}

impl FromStr for Statement {
    type Err = SqlError;

    fn from_str(text: &str) -> Result<Self, SqlError> {
        Self::parse(text)
    }
}
