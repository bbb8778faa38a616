//! The functions of the language: one table, filled by one file per subject.

mod arguments;
mod check;
mod context;
mod date;
mod date_read;
mod encoding;
mod number;
mod object;
mod pattern;
mod text;

use std::fmt;

pub(crate) use arguments::Arguments;
pub(crate) use context::uuid;
pub(crate) use encoding::base64;
pub(crate) use pattern::Pattern;

use super::ast::{Call, Expr};
use super::context::Scope;
use super::evaluate::Evaluated;

/// What a function does with its arguments.
pub(crate) type Body = for<'a, 's> fn(&Arguments<'a, 's>) -> Evaluated<'a>;

/// A function of the language.
pub(crate) struct Definition {
    pub(crate) name: &'static str,
    /// How many arguments it takes, at least and at most.
    least: usize,
    most: usize,
    body: Body,
}

/// More arguments than anybody writes.
const ANY: usize = 1_000;

impl Definition {
    const fn new(name: &'static str, least: usize, most: usize, body: Body) -> Self {
        Self { name, least, most, body }
    }
}

impl fmt::Debug for Definition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

static GROUPS: [&[Definition]; 7] = [
    context::DEFINITIONS,
    date::DEFINITIONS,
    encoding::DEFINITIONS,
    number::DEFINITIONS,
    object::DEFINITIONS,
    pattern::DEFINITIONS,
    text::DEFINITIONS,
];

/// Functions that the language has and this server has no use for, and what to do instead.
const REFUSED: [(&str, &str); 7] = [
    (
        "get_registry_data",
        "there is no registry of things: keep the data in a table, and read it with get_dynamodb",
    ),
    ("get_secret", "secrets do not belong into messages"),
    ("get_thing_shadow", "there are no shadows: keep the state in a table, and read it with get_dynamodb"),
    ("get_user_properties", "properties of MQTT 5 are not given to statements: use a script"),
    ("machinelearning_predict", "write a script for it"),
    ("get_mqtt_property", "properties of MQTT 5 are not given to statements: use a script"),
    ("sourceip", "addresses are not given to statements: lifecycle events have them"),
];

/// Finds a function by its name, in any case, and checks the arguments as far as they stand in the statement.
///
/// # Errors
/// Says what is wrong with the name or the arguments.
pub(crate) fn call(name: &str, arguments: Vec<Expr>) -> Result<Call, String> {
    if let Some((refused, instead)) = REFUSED.iter().find(|(refused, _)| refused.eq_ignore_ascii_case(name)) {
        return Err(format!("the function {refused} is not offered: {instead}"));
    }
    let mut all = GROUPS.iter().copied().flatten();
    let Some(function) = all.find(|function| function.name.eq_ignore_ascii_case(name)) else {
        let name = crate::topic::excerpt(name);
        return Err(format!("there is no function `{name}`: docs/SQL.md lists all of them"));
    };
    let (count, Definition { name, least, most, .. }) = (arguments.len(), function);
    if !(*least..=*most).contains(&count) {
        let wanted = match (least, most) {
            (least, &ANY) => format!("at least {least}"),
            (least, most) if least == most => least.to_string(),
            (least, most) => format!("{least} to {most}"),
        };
        return Err(format!("the function {name} takes {wanted} arguments, not {count}"));
    }
    let pattern = check::check(name, &arguments)?;
    Ok(Call { function, arguments, pattern })
}

impl Call {
    /// Calls the function.
    pub(crate) fn evaluate<'a>(&'a self, scope: &Scope<'a>) -> Evaluated<'a> {
        scope.evaluation.charge(0)?;
        (self.function.body)(&Arguments { call: self, scope })
    }
}
