//! A rule file: a statement, its actions and its error action.

use std::fmt::Write as _;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use smallvec::SmallVec;

use super::action::Action;
use super::context::{Context, Evaluation, Functions, Scope};
use super::decided::Decided;
use super::doc::Doc;
use super::error::{SqlError, SqlRunError};
use super::functions::{base64, uuid};
use super::lex::Place;
use super::limits::ACTIONS_MAX;
use super::outcome::{SqlFailure, SqlOutcome};
use super::parse::Parsed;
use super::select::Output;
use super::statement::{Statement, begin};
use super::value::Value;
use crate::error::{self, CompileError};
use crate::event::Message;
use crate::rule::RuleName;
use crate::snapshot::Snapshot;
use crate::topic::LevelFilter;

/// A rule in SQL, read and checked. It never changes; a new version is a new rule.
#[derive(Clone, Debug)]
pub struct SqlRule {
    /// Its name.
    pub name: RuleName,
    /// Its file, for messages to people.
    pub file: String,
    /// The first 12 hex digits of the SHA-256 of its source.
    pub version: String,
    source: String,
    statement: Statement,
    actions: Vec<Action>,
    error_action: Option<Action>,
}

impl SqlRule {
    /// Reads and checks a rule file: `SELECT … [FROM …] [WHERE …] THEN action, … [ON ERROR action]`.
    ///
    /// # Errors
    /// Says where the source is wrong, what was expected and what to do.
    pub fn compile(name: &RuleName, file: &str, source: &str) -> Result<Self, CompileError> {
        let (statement, actions, error_action) =
            read(source).map_err(|error| located(file, source, error))?;
        let mut version = String::with_capacity(12);
        for byte in &Sha256::digest(source.as_bytes())[..6] {
            // Writing to a string cannot fail.
            let _ = write!(version, "{byte:02x}");
        }
        let (name, file, source) = (name.clone(), file.to_owned(), source.to_owned());
        Ok(Self { name, file, version, source, statement, actions, error_action })
    }

    /// The text it was read from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The topics it listens to; `None` is for Basic Ingest only.
    pub fn filter(&self) -> Option<&LevelFilter> {
        self.statement.filter()
    }

    /// Its statement.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// What the rule makes of a message, whose topic is not compared with the filter. The same message and
    /// snapshot always give the same outcome.
    ///
    /// Actions are independent: one that fails is among the failures and stops no other. A statement that cannot
    /// be evaluated is a failure, too.
    ///
    /// # Errors
    /// If a table could not be read: the run is worth another try.
    pub fn run(
        &self,
        message: &Message,
        snapshot: &dyn Snapshot,
        functions: &dyn Functions,
    ) -> Result<SqlOutcome, SqlRunError> {
        if self.statement.refuses_at_a_glance(&message.payload) {
            return Ok(SqlOutcome::default());
        }
        self.run_rest(message, snapshot, functions, Decided::default())
    }

    /// The same of the actions of which nothing is decided. They ask for what they would have asked for beside
    /// the others.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_rest(
        &self,
        message: &Message,
        snapshot: &dyn Snapshot,
        functions: &dyn Functions,
        decided: Decided<'_>,
    ) -> Result<SqlOutcome, SqlRunError> {
        self.run_with(&Context::of_message(message, self.name.as_str(), snapshot, functions), decided)
    }

    fn run_with(&self, context: &Context<'_>, decided: Decided<'_>) -> Result<SqlOutcome, SqlRunError> {
        let doc = Doc::read(context.payload);
        let evaluation = Evaluation::new(context, &doc, &self.statement.variables);
        let mut outcome = SqlOutcome::default();
        match self.statement.evaluate_with(&evaluation) {
            Ok(None) => return Ok(outcome),
            Ok(Some(output)) => {
                outcome.fired = true;
                self.ask(&evaluation, &output, decided, &mut outcome);
            }
            Err(error @ SqlRunError::Snapshot { .. }) => return Err(error),
            Err(error) => {
                outcome.fired = true;
                let Place { line, column } = self.statement.place;
                outcome.failures.push(SqlFailure {
                    action: "Select",
                    resource: self.name.to_string(),
                    message: error.to_string(),
                    kind: error.kind(),
                    line,
                    column,
                });
            }
        }
        if !outcome.failures.is_empty() {
            self.report(&evaluation, decided, &mut outcome);
        }
        Ok(outcome)
    }

    /// Asks for the actions that were not done before.
    fn ask<'a>(
        &'a self,
        evaluation: &'a Evaluation<'a>,
        output: &Output,
        decided: Decided<'_>,
        outcome: &mut SqlOutcome,
    ) {
        let scope = Scope::payload(evaluation);
        let mut done: Vec<&str> = decided.done.iter().map(String::as_str).collect();
        let mut asked = SmallVec::<[&Action; ACTIONS_MAX]>::new();
        outcome.effects.reserve_exact(self.actions.len());
        for (number, action) in self.actions.iter().enumerate() {
            // Also of what was done or is refused: the ids that others draw depend on it.
            let effect = action.effect(&scope, output);
            if take(&mut done, action) {
                continue;
            }
            match decided.refusal_of(number).map_or(effect, |why| Err(action.refused(why))) {
                Ok(effect) => {
                    outcome.effects.push(effect);
                    outcome.asked.add(number);
                    asked.push(action);
                }
                Err(failure) => outcome.failures.push(failure),
            }
        }
        if !outcome.failures.is_empty() {
            outcome.done = asked.into_iter().map(Action::to_string).collect();
        }
    }

    /// Asks for the error action, once, with a document that says what failed.
    fn report(&self, evaluation: &Evaluation<'_>, decided: Decided<'_>, outcome: &mut SqlOutcome) {
        let Some(action) = &self.error_action else { return };
        let number = self.actions.len();
        let bytes = error_document(evaluation.context, &outcome.failures);
        // What the statement used up must not keep its failure from being told.
        let fresh = evaluation.anew();
        let effect = action.effect(&Scope::payload(&fresh), &Output { bytes, is_json: true });
        match decided.refusal_of(number).map_or(effect, |why| Err(action.refused(why))) {
            Ok(effect) => {
                outcome.effects.push(effect);
                outcome.asked.add(number);
                outcome.is_told = true;
            }
            Err(failure) => outcome.failures.push(failure),
        }
    }
}

/// Takes an action out of those that were done, if it is one of them.
fn take(done: &mut Vec<&str>, action: &Action) -> bool {
    if done.is_empty() {
        return false;
    }
    let written = action.to_string();
    let at = done.iter().position(|done| *done == written);
    at.map(|at| done.swap_remove(at)).is_some()
}

fn read(source: &str) -> Parsed<(Statement, Vec<Action>, Option<Action>)> {
    let mut parser = begin(source)?;
    let statement = Statement::read(&mut parser)?;
    if !parser.take_word("THEN")? {
        return parser.expected("an operator, `,`, FROM, WHERE or THEN with an action");
    }
    let mut actions = Vec::new();
    loop {
        if actions.len() == ACTIONS_MAX {
            return Err(parser.place().error(format!("a rule has at most {ACTIONS_MAX} actions")));
        }
        actions.push(Action::parse(&mut parser)?);
        if !parser.take_sign(",")? {
            break;
        }
    }
    let mut error_action = None;
    if parser.take_word("ON")? {
        parser.word("ERROR")?;
        error_action = Some(Action::parse(&mut parser)?);
    }
    parser.end("a setting of the action, `,`, ON ERROR or the end")?;
    Ok((statement, actions, error_action))
}

fn located(file: &str, source: &str, error: SqlError) -> CompileError {
    let SqlError { line, column, message } = error;
    let source_line = error::Place::at(source, line, column).source_line;
    CompileError { file: file.to_owned(), line, column, source_line, message }
}

/// What the error action gets.
fn error_document(context: &Context<'_>, failures: &[SqlFailure]) -> Bytes {
    let text = |text: &str| Value::text(text.to_owned());
    let failures = failures.iter().map(|failure| {
        Value::Object(vec![
            ("failedAction".into(), text(failure.action)),
            ("failedResource".into(), text(&failure.resource)),
            ("errorMessage".into(), text(&failure.message)),
        ])
    });
    let document = Value::Object(vec![
        ("ruleName".into(), text(context.rule)),
        ("topic".into(), text(context.topic)),
        ("cloudwatchTraceId".into(), text(&uuid(context.event_id.to_u128().to_be_bytes()))),
        ("clientId".into(), text(context.client_id.unwrap_or("n/a"))),
        ("base64OriginalPayload".into(), text(&base64(context.payload))),
        ("failures".into(), Value::Array(failures.collect())),
    ]);
    let mut json = Vec::with_capacity(256 + 2 * context.payload.len());
    document.write(&mut json);
    json.into()
}
