//! What a statement is evaluated with: the message, and everything else it may ask for.

use std::cell::{Cell, RefCell};

use bytes::Bytes;

use super::ast::Expr;
use super::doc::Doc;
use super::error::SqlRunError;
use super::evaluate::Evaluated;
use super::limits::WORK_BYTES_MAX;
use super::value::Value;
use crate::error::RunErrorKind;
use crate::event::Message;
use crate::event_id::EventId;
use crate::limits::Used;
use crate::snapshot::Snapshot;

/// Everything that an evaluation depends on: equal contexts give equal results.
#[derive(Clone, Copy)]
pub struct Context<'c> {
    /// What `topic()` gives: the topic, with Basic Ingest without its prefix.
    pub topic: &'c str,
    /// What `clientid()` gives; `None` is `"n/a"`, for what did not come over MQTT.
    pub client_id: Option<&'c str>,
    /// What `principal()` gives: the user; `None` is Undefined.
    pub principal: Option<&'c str>,
    /// What was published.
    pub payload: &'c Bytes,
    /// What `timestamp()` gives, in milliseconds.
    pub time_ms: i64,
    /// The event's identity, from which `traceid()`, `newuuid()` and `rand()` are made.
    pub event_id: EventId,
    /// The rule's name, so that two rules make different ids of one event.
    pub rule: &'c str,
    /// What `accountid()` gives.
    pub account_id: &'c str,
    /// What `get_dynamodb` reads.
    pub snapshot: &'c dyn Snapshot,
    /// What `aws_lambda` calls.
    pub functions: &'c dyn Functions,
}

/// Functions that statements call with `aws_lambda`, for instance those of scripts.
pub trait Functions: Send + Sync {
    /// Calls the function of this name with a JSON text and gives a JSON text. What it uses up is added to what the calls
    /// before have used, with which it keeps to the limits of one run.
    ///
    /// # Errors
    /// Says why there is no answer: no such function, or what it threw.
    fn call(&self, name: &str, argument: &[u8], used: &mut Used) -> Result<Vec<u8>, FunctionError>;
}

/// Why a function gave no answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FunctionError {
    /// What it says.
    pub message: String,
    /// Which kind of failure it is.
    pub kind: RunErrorKind,
}

impl From<String> for FunctionError {
    fn from(message: String) -> Self {
        Self { message, kind: RunErrorKind::Thrown }
    }
}

/// No functions: every call fails.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFunctions;

impl Functions for NoFunctions {
    fn call(&self, _: &str, _: &[u8], _: &mut Used) -> Result<Vec<u8>, FunctionError> {
        Err("no functions are defined for SQL rules".to_owned().into())
    }
}

impl<'c> Context<'c> {
    /// The context of a message for a rule, with the account id `000000000000`.
    pub fn of_message(
        message: &'c Message,
        rule: &'c str,
        snapshot: &'c dyn Snapshot,
        functions: &'c dyn Functions,
    ) -> Self {
        Self {
            topic: &message.topic,
            client_id: Some(message.client_id.as_str()).filter(|id| !id.is_empty()),
            principal: message.user.as_deref(),
            payload: &message.payload,
            time_ms: message.time_ms,
            event_id: message.id,
            rule,
            account_id: "000000000000",
            snapshot,
            functions,
        }
    }
}

/// One evaluation: the payload, read before, and what has been used up so far.
pub(crate) struct Evaluation<'a> {
    pub(crate) context: &'a Context<'a>,
    pub(crate) doc: &'a Doc<'a>,
    work_left: Cell<usize>,
    /// What the functions that were called have used up.
    used: Cell<Used>,
    drawn: Cell<u64>,
    /// What SET says, in its order.
    variables: &'a [Expr],
    /// The values of the first of them: as many as were needed so far.
    values: RefCell<Vec<Value<'a>>>,
}

impl<'a> Evaluation<'a> {
    pub(crate) fn new(context: &'a Context<'a>, doc: &'a Doc<'a>, variables: &'a [Expr]) -> Self {
        let (work_left, used) = (Cell::new(WORK_BYTES_MAX), Cell::default());
        Self { context, doc, work_left, used, drawn: Cell::new(0), variables, values: RefCell::default() }
    }

    /// Counts bytes that are read or made on the way.
    pub(crate) fn charge(&self, bytes: usize) -> Result<(), SqlRunError> {
        // Something for each step, too, so that many that make nothing end as well.
        let left = self.work_left.get().checked_sub(bytes + 8);
        self.work_left.set(left.ok_or(SqlRunError::Limit("WORK_BYTES_MAX"))?);
        Ok(())
    }

    /// Calls a function. All that one evaluation calls keep to the limits of one run.
    pub(crate) fn call(&self, name: &str, argument: &[u8]) -> Result<Vec<u8>, FunctionError> {
        let mut used = self.used.get();
        let answer = self.context.functions.call(name, argument, &mut used);
        self.used.set(used);
        answer
    }

    /// A number for the next thing that is made from the event's identity: different each time.
    pub(crate) fn draw(&self) -> u64 {
        self.drawn.set(self.drawn.get() + 1);
        self.drawn.get()
    }

    /// The value of a variable: worked out once, when it or one behind it is needed first.
    pub(crate) fn variable(&'a self, index: usize) -> Evaluated<'a> {
        for (at, variable) in self.variables.iter().enumerate().take(index + 1) {
            if at >= self.values.borrow().len() {
                // It asks for none but those before it, which are there.
                let value = variable.evaluate(&Scope::payload(self))?;
                self.values.borrow_mut().push(value);
            }
        }
        let value = self.values.borrow().get(index).cloned().unwrap_or(Value::Undefined);
        self.charge(value.bytes())?;
        Ok(value)
    }

    /// The same with nothing used up, and numbers that go on.
    pub(crate) fn anew(&self) -> Evaluation<'_> {
        let fresh = Evaluation::new(self.context, self.doc, self.variables);
        fresh.drawn.set(self.drawn.get());
        fresh.values.replace(self.values.borrow().clone());
        fresh
    }
}

/// Where names are looked up.
pub(crate) struct Scope<'a> {
    pub(crate) evaluation: &'a Evaluation<'a>,
    /// The element that a nested query looks at; `None` is the payload.
    element: Option<Value<'a>>,
}

impl<'a> Scope<'a> {
    pub(crate) fn payload(evaluation: &'a Evaluation<'a>) -> Self {
        Self { evaluation, element: None }
    }

    pub(crate) fn element(evaluation: &'a Evaluation<'a>, element: Value<'a>) -> Self {
        Self { evaluation, element: Some(element) }
    }

    /// What `*` stands for.
    pub(crate) fn all(&self) -> Value<'a> {
        match (&self.element, self.evaluation.doc) {
            (Some(element), _) => element.clone(),
            (None, Doc::NotJson(_)) => Value::Bytes(self.evaluation.context.payload),
            (None, Doc::Object(json, _)) => Value::Json((*json).into()),
            (None, Doc::Other(json)) => Value::from_json(json),
        }
    }

    /// The member of this name as its text, if it can be had without making a value.
    pub(crate) fn member_text(&self, name: &str) -> Result<Option<&'a str>, SqlRunError> {
        if self.element.is_some() {
            return Ok(None);
        }
        self.evaluation.charge(self.evaluation.doc.members().len())?;
        Ok(self.evaluation.doc.member(name))
    }

    /// The member of this name.
    pub(crate) fn member(&self, name: &str) -> Evaluated<'a> {
        match &self.element {
            None => Ok(self.member_text(name)?.map_or(Value::Undefined, Value::from_json)),
            Some(element) => {
                self.evaluation.charge(element.bytes())?;
                Ok(element.clone().member(name))
            }
        }
    }
}
