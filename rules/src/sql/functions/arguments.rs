//! The arguments of one call, evaluated as the function asks for them.

use std::borrow::Cow;

use crate::sql::ast::Call;
use crate::sql::context::{Context, Evaluation, Scope};
use crate::sql::decimal::{Decimal, Rounding};
use crate::sql::error::SqlRunError;
use crate::sql::evaluate::Evaluated;
use crate::sql::value::Value;

/// The arguments of one call.
pub(crate) struct Arguments<'a, 's> {
    pub(crate) call: &'a Call,
    pub(super) scope: &'s Scope<'a>,
}

impl<'a> Arguments<'a, '_> {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.call.arguments.len()
    }

    /// One argument; Undefined if it is not given.
    pub(super) fn value(&self, index: usize) -> Evaluated<'a> {
        let value = match self.call.arguments.get(index) {
            Some(argument) => argument.evaluate(self.scope)?,
            None => return Ok(Value::Undefined),
        };
        self.evaluation().charge(value.bytes())?;
        Ok(value)
    }

    /// One argument as text; `None` is Undefined.
    pub(super) fn text(&self, index: usize) -> Result<Option<Cow<'a, str>>, SqlRunError> {
        Ok(self.value(index)?.into_text())
    }

    /// One argument as number; `None` is Undefined.
    pub(super) fn decimal(&self, index: usize) -> Result<Option<Decimal>, SqlRunError> {
        Ok(self.value(index)?.to_decimal())
    }

    /// One argument as whole number, rounded down; `None` is Undefined.
    pub(super) fn int(&self, index: usize) -> Result<Option<i128>, SqlRunError> {
        Ok(self.value(index)?.to_int(Rounding::Floor))
    }

    /// One argument as the whole number from 0 to `most` that is nearest; `None` is Undefined.
    pub(super) fn int_up_to(&self, index: usize, most: usize) -> Result<Option<usize>, SqlRunError> {
        Ok(self.value(index)?.to_int_up_to(most))
    }

    /// The evaluation that this call is part of.
    pub(super) fn evaluation(&self) -> &'a Evaluation<'a> {
        self.scope.evaluation
    }

    /// What the message and the server give.
    pub(super) fn context(&self) -> &'a Context<'a> {
        self.scope.evaluation.context
    }

    /// A text that the function made.
    pub(super) fn made(&self, text: String) -> Evaluated<'a> {
        self.evaluation().charge(text.len())?;
        Ok(Value::Text(Cow::Owned(text)))
    }
}

/// A text function of one argument.
pub(super) fn on_text<'a>(
    arguments: &Arguments<'a, '_>,
    make: impl FnOnce(&str) -> Option<Value<'a>>,
) -> Evaluated<'a> {
    let text = arguments.text(0)?;
    let value = text.and_then(|text| make(&text)).unwrap_or(Value::Undefined);
    arguments.evaluation().charge(value.bytes())?;
    Ok(value)
}

/// A text function of two arguments.
pub(super) fn on_texts<'a>(
    arguments: &Arguments<'a, '_>,
    make: impl FnOnce(&str, &str) -> Value<'a>,
) -> Evaluated<'a> {
    let (left, right) = (arguments.text(0)?, arguments.text(1)?);
    Ok(match (left, right) {
        (Some(left), Some(right)) => make(&left, &right),
        _ => Value::Undefined,
    })
}
