//! From source to a checked rule.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rhai::{AST, ImmutableString, Map, ParseError, ParseErrorType, Position, Scope};
use sha2::{Digest, Sha256};

use super::check::{self, Fault, KnownFunctions};
use super::{Engine, Library};
use crate::basic_ingest::BASIC_INGEST_PREFIX;
use crate::error::{CompileError, explain};
use crate::plan;
use crate::rule::{Body, Rule, RuleName};
use crate::sql::SqlRule;
use crate::state::{Declared, Guard, Names, Registration, State};
use crate::topic::LevelFilter;
use crate::trigger::{Handling, On, Trigger};

const VERSION_DIGITS: usize = 12;
/// What stands where a script's rule has the name of its function.
const SQL_HANDLER: &str = "select";

/// Whether a file is a rule in SQL, by its name.
fn is_sql(file: &str) -> bool {
    Path::new(file).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("sql"))
}

/// What turns a source into a checked script: interpreters, and what they know.
pub(crate) struct Compiler<'engine> {
    /// Runs the top level, whose constants nobody knows yet.
    pub(crate) setup: &'engine rhai::Engine,
    /// Refuses unknown variables.
    pub(crate) strict: &'engine rhai::Engine,
    pub(crate) known: &'engine KnownFunctions,
    pub(crate) script_bytes_max: usize,
    pub(crate) monotonic: fn() -> Duration,
}

/// A source that was read and whose top level was run.
pub(crate) struct Draft<'source> {
    pub(super) file: &'source str,
    pub(super) source: &'source str,
    pub(crate) ast: AST,
    pub(crate) constants: Scope<'static>,
    pub(crate) declared: Declared,
    pub(crate) assigned_into: Arc<BTreeSet<ImmutableString>>,
}

impl Engine {
    /// Compiles and checks a rule. `file` is what messages call the source, for instance `chat.rhai`.
    ///
    /// # Errors
    /// Says where the source is wrong and what to do: syntax, unknown variables and functions, handlers that
    /// do not exist, triggers in the wrong place, and whatever the top level does that only handlers may do.
    pub fn compile(&self, name: &RuleName, file: &str, source: &str) -> Result<Rule, CompileError> {
        self.compile_with(name, file, source, &Library::default())
    }

    /// Compiles and checks a rule that finds the functions and constants of a library.
    ///
    /// # Errors
    /// As [`Engine::compile`]; and if a function or constant of the rule has the name of one of the library.
    pub fn compile_with(
        &self,
        name: &RuleName,
        file: &str,
        source: &str,
        library: &Library,
    ) -> Result<Rule, CompileError> {
        if is_sql(file) {
            return self.compile_sql(name, file, source, library);
        }
        let compiler = self.compiler();
        let mut draft = compiler.draft(file, source)?;
        let used = library.used_by(source);
        library.check_names(&draft)?;
        let own: Map = draft.constants.iter().map(|(name, _, value)| (name.into(), value)).collect();
        let mut names = Names { constants: Arc::new(own), assigned_into: Arc::clone(&draft.assigned_into) };
        let mut shared = AST::empty();
        for file in &used {
            file.add_to(&mut shared, &mut draft.constants, &mut names);
        }
        let mut ast = compiler.finish(&draft, &shared)?;
        ast.combine(shared);
        let triggers = draft.declared.registrations.iter().map(|registration| {
            check::handler_exists(&ast, registration).map_err(|fault| draft.fail(fault))?;
            let Registration { on, handling, handler, position } = registration;
            let (on, handling, handler) = (on.clone(), handling.clone(), handler.clone());
            Ok(Trigger { on, handling, handler, line: position.line().unwrap_or(0) })
        });
        let triggers = triggers.collect::<Result<Vec<Trigger>, _>>()?;
        let plan = |trigger: &Trigger| match trigger.on {
            On::Message(_) => plan::read(&ast, &trigger.handler, &names.constants, &self.limits),
            _ => None,
        };
        let plans = triggers.iter().map(plan).collect();
        let sources = used.iter().map(|file| file.source.as_str());
        Ok(Rule {
            name: name.clone(),
            file: file.to_owned(),
            version: version(source, sources),
            triggers,
            indexes: draft.declared.indexes.into(),
            source: source.to_owned(),
            body: Body::Script { ast: Box::new(ast.clone_functions_only()), names, plans },
            libraries: used,
        })
    }

    fn compile_sql(
        &self,
        name: &RuleName,
        file: &str,
        source: &str,
        library: &Library,
    ) -> Result<Rule, CompileError> {
        let (bytes, max) = (source.len(), self.limits.script_bytes_max);
        if bytes > max {
            let message = format!("the file has {bytes} bytes: at most script_bytes_max = {max} are allowed");
            return Err(CompileError::new(file, source, Position::NONE, message));
        }
        let sql = SqlRule::compile(name, file, source)?;
        let libraries = library.used_by(source);
        // Without FROM it listens to what is published to itself.
        let own = || LevelFilter::parse(&format!("{BASIC_INGEST_PREFIX}{name}/#"));
        let filter = sql.filter().cloned().map_or_else(own, Ok);
        let filter =
            filter.map_err(|error| CompileError::new(file, source, Position::NONE, error.to_string()))?;
        let trigger = Trigger {
            on: On::Message(filter),
            handling: Handling::default(),
            handler: SQL_HANDLER.to_owned(),
            line: sql.statement().line(),
        };
        Ok(Rule {
            name: name.clone(),
            file: file.to_owned(),
            version: version(source, libraries.iter().map(|file| file.source.as_str())),
            triggers: vec![trigger],
            indexes: Arc::new([]),
            source: source.to_owned(),
            body: Body::Sql(Box::new(sql)),
            libraries,
        })
    }

    pub(super) fn compiler(&self) -> Compiler<'_> {
        Compiler {
            setup: &self.setup,
            strict: &self.strict,
            known: &self.known,
            script_bytes_max: self.limits.script_bytes_max,
            monotonic: self.monotonic,
        }
    }
}

impl Compiler<'_> {
    /// Reads a source and runs its top level, to learn its constants and triggers.
    pub(crate) fn draft<'source>(
        &self,
        file: &'source str,
        source: &'source str,
    ) -> Result<Draft<'source>, CompileError> {
        let fail = |position, message: String| CompileError::new(file, source, position, message);
        let (bytes, max) = (source.len(), self.script_bytes_max);
        if bytes > max {
            let message = format!("the file has {bytes} bytes: at most script_bytes_max = {max} are allowed");
            return Err(fail(Position::NONE, message));
        }
        let ast = self.setup.compile(source);
        let ast = ast.map_err(|error| fail(error.position(), parse_message(&error)))?;
        let assigned_into =
            check::assigned_into(&ast).map_err(|fault| fail(fault.position, fault.message))?;
        let assigned_into = Arc::new(assigned_into);
        let (declared, constants) = self
            .run_top_level(&ast, Arc::clone(&assigned_into))
            .map_err(|(position, message)| fail(position, message))?;
        Ok(Draft { file, source, ast, constants, declared, assigned_into })
    }

    /// Compiles a draft anew with its constants in place of their names, and checks that it calls only what is there:
    /// natives, functions of its own, and those that are `shared`.
    pub(crate) fn finish(&self, draft: &Draft<'_>, shared: &AST) -> Result<AST, CompileError> {
        check::no_parameter_named_like_a_constant(&draft.ast, &draft.constants)
            .and_then(|()| check::no_trigger_in_a_function(&draft.ast))
            .and_then(|()| self.known.check(&draft.ast, shared))
            .map_err(|fault| draft.fail(fault))?;
        let compiled = self.strict.compile_with_scope(&draft.constants, draft.source);
        compiled
            .map_err(|error| draft.fail(Fault { position: error.position(), message: parse_message(&error) }))
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
            let fault = explain(error);
            return Err((fault.position, fault.message));
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

impl Draft<'_> {
    /// What is wrong with it.
    pub(crate) fn fail(&self, fault: Fault) -> CompileError {
        CompileError::new(self.file, self.source, fault.position, fault.message)
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

/// The first digits of the SHA-256 of a source, and of the libraries that it uses.
fn version<'used>(source: &str, libraries: impl Iterator<Item = &'used str>) -> String {
    let mut digest = Sha256::new();
    digest.update(source.as_bytes());
    for library in libraries {
        // A byte that no text has, so that moving a line from one file to the other is a change.
        digest.update([0xFF]);
        digest.update(library.as_bytes());
    }
    let mut version = String::with_capacity(2 * VERSION_DIGITS);
    for byte in digest.finalize().iter().take(VERSION_DIGITS / 2) {
        let _ = write!(version, "{byte:02x}");
    }
    version
}
