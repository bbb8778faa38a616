//! Functions of the library, as statements in SQL call them: `aws_lambda('name', value)`.

use std::sync::Arc;

use rhai::{AST, CallFnOptions, Dynamic, Scope};

use super::{Engine, LibraryFile};
use crate::error::{Explained, explain};
use crate::json;
use crate::limits::Used;
use crate::sql::{FunctionError, Functions};
use crate::state::{Guard, Names, State, go_on_behind, used};

/// The functions that one statement may call.
pub(super) struct LibraryFunctions<'run> {
    pub(super) engine: &'run Engine,
    pub(super) libraries: &'run [Arc<LibraryFile>],
}

impl Functions for LibraryFunctions<'_> {
    fn call(&self, name: &str, argument: &[u8], used_before: &mut Used) -> Result<Vec<u8>, FunctionError> {
        let begun = (self.engine.monotonic)();
        // Whoever brings a statement along names the function by its ARN.
        let function = name.rsplit(':').next().unwrap_or(name);
        if !self.libraries.iter().any(|library| library.defines(function)) {
            return Err(format!(
                "there is no function {function:?} in lib/: define it there, with one parameter"
            )
            .into());
        }
        let limits = self.engine.limits();
        let argument = json::read(argument, limits)?;
        let (mut ast, mut constants, mut names) = (AST::empty(), Scope::new(), Names::default());
        for library in self.libraries {
            library.add_to(&mut ast, &mut constants, &mut names);
        }
        // A function of the library works out a value: it reads no table and has no effects.
        let guard = Guard::enter(State::Idle, names, begun);
        go_on_behind(*used_before);
        let options = CallFnOptions::new().eval_ast(false).rewind_scope(true);
        let mut scope = Scope::new();
        let called = self.engine.strict.call_fn_with_options::<Dynamic>(
            options,
            &mut scope,
            &ast,
            function,
            (argument,),
        );
        *used_before = used((self.engine.monotonic)());
        drop(Guard::leave(guard));
        let value = called.map_err(|error| {
            let Explained { message, kind, .. } = explain(error);
            FunctionError { message, kind }
        })?;
        Ok(json::write(&value, limits.effect_bytes_max)?)
    }
}
