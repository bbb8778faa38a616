//! From source to a checked rule.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

use rhai::{AST, ImmutableString, Map, ParseError, ParseErrorType, Position, Scope};
use sha2::{Digest, Sha256};

use super::{Engine, check};
use crate::error::{CompileError, explain};
use crate::rule::{Rule, RuleName};
use crate::state::{Declared, Guard, Names, Registration, State};
use crate::trigger::Trigger;

const VERSION_DIGITS: usize = 12;

impl Engine {
    /// Compiles and checks a rule. `file` is what messages call the source, for instance `chat.rhai`.
    ///
    /// # Errors
    /// Says where the source is wrong and what to do: syntax, unknown variables and functions, handlers that
    /// do not exist, triggers in the wrong place, and whatever the top level does that only handlers may do.
    pub fn compile(&self, name: &RuleName, file: &str, source: &str) -> Result<Rule, CompileError> {
        let fail = |position, message: String| CompileError::new(file, source, position, message);
        let (bytes, max) = (source.len(), self.limits.script_bytes_max);
        if bytes > max {
            let message = format!("the file has {bytes} bytes: at most script_bytes_max = {max} are allowed");
            return Err(fail(Position::NONE, message));
        }
        let parse_failed = |error: ParseError| fail(error.position(), parse_message(&error));

        // Once to learn the constants, once with them in place of their names in every function.
        let first = self.setup.compile(source).map_err(parse_failed)?;
        let assigned_into =
            check::assigned_into(&first).map_err(|fault| fail(fault.position, fault.message))?;
        let assigned_into = Arc::new(assigned_into);
        let (declared, constants) = self
            .run_top_level(&first, Arc::clone(&assigned_into))
            .map_err(|(position, message)| fail(position, message))?;
        check::no_parameter_named_like_a_constant(&first, &constants)
            .and_then(|()| check::no_trigger_in_a_function(&first))
            .and_then(|()| self.known.check(&first))
            .map_err(|fault| fail(fault.position, fault.message))?;
        let ast = self.strict.compile_with_scope(&constants, source).map_err(parse_failed)?;

        let triggers = declared.registrations.into_iter().map(|registration| {
            check::handler_exists(&ast, &registration)
                .map_err(|fault| fail(fault.position, fault.message))?;
            let Registration { on, handling, handler, position } = registration;
            Ok(Trigger { on, handling, handler, line: position.line().unwrap_or(0) })
        });
        let triggers = triggers.collect::<Result<_, _>>()?;
        let constants = constants.iter().map(|(name, _, value)| (name.into(), value)).collect::<Map>();
        Ok(Rule {
            name: name.clone(),
            file: file.to_owned(),
            version: version(source),
            triggers,
            indexes: declared.indexes.into(),
            source: source.to_owned(),
            ast: ast.clone_functions_only(),
            names: Names { constants: Arc::new(constants), assigned_into },
        })
    }

    /// Runs what stands outside of functions: it may define constants and register triggers.
    fn run_top_level(
        &self,
        ast: &AST,
        assigned_into: Arc<BTreeSet<ImmutableString>>,
    ) -> Result<(Declared, Scope<'static>), (Position, String)> {
        let names = Names { constants: Arc::default(), assigned_into };
        let guard = Guard::enter(State::Registering(Declared::default()), names, (self.monotonic)());
        let mut scope = Scope::new();
        let result = self.setup.run_ast_with_scope(&mut scope, ast);
        let (state, _) = Guard::leave(guard);
        if let Err(error) = result {
            let (position, message, _) = explain(error);
            return Err((position, message));
        }
        let declared = match state {
            State::Registering(declared) => declared,
            State::Idle | State::Running(_) => Declared::default(),
        };
        let mut constants = Scope::new();
        for (name, is_constant, value) in scope.iter() {
            if is_constant {
                constants.push_constant_dynamic(name.to_owned(), value);
            }
        }
        Ok((declared, constants))
    }
}

fn parse_message(error: &ParseError) -> String {
    match error.err_type() {
        ParseErrorType::VariableUndefined(name) => format!(
            "there is no variable `{name}` here: functions see their parameters, their own variables, and what \
             the top level defines with `const`"
        ),
        other => other.to_string(),
    }
}

fn version(source: &str) -> String {
    let mut version = String::with_capacity(2 * VERSION_DIGITS);
    for byte in Sha256::digest(source.as_bytes()).iter().take(VERSION_DIGITS / 2) {
        let _ = write!(version, "{byte:02x}");
    }
    version
}
