//! Functions and constants that every rule of a folder finds: the files of `lib/`.

use std::collections::BTreeMap;
use std::sync::Arc;

use rhai::{AST, ImmutableString, Position, Scope};

use super::Engine;
use super::check::Fault;
use super::compile::Draft;
use crate::error::CompileError;
use crate::state::Names;

/// Files of shared functions and constants, compiled and checked together. It never changes.
#[derive(Clone, Debug, Default)]
pub struct Library(Vec<Arc<LibraryFile>>);

/// One file of a library.
#[derive(Debug)]
pub(crate) struct LibraryFile {
    pub(crate) file: String,
    pub(crate) source: String,
    ast: AST,
    constants: Scope<'static>,
    /// What it defines: functions and constants.
    words: Vec<String>,
    names: Names,
}

impl Engine {
    /// Compiles the files of a library, given as name and source. They see each other.
    ///
    /// # Errors
    /// As for a rule; and if two files define the same, or one of them listens to something.
    pub fn compile_library(&self, files: &[(String, String)]) -> Result<Library, CompileError> {
        let compiler = self.compiler();
        let mut drafts = Vec::with_capacity(files.len());
        let mut defined = BTreeMap::<(String, Option<usize>), &str>::new();
        let mut constants = Scope::new();
        for (file, source) in files {
            let draft = compiler.draft(file, source)?;
            if let Some(registration) = draft.declared.registrations.first() {
                let message = "a library listens to nothing: move the trigger into a rule".to_owned();
                return Err(draft.fail(Fault { position: registration.position, message }));
            }
            if !draft.declared.indexes.is_empty() {
                let message = "a library declares no index: say it in the rule that uses it".to_owned();
                return Err(draft.fail(Fault { position: Position::NONE, message }));
            }
            for (name, position) in definitions(&draft) {
                if let Some(other) = defined.insert(name.clone(), file) {
                    let message = format!("`{}` is also defined in {other}: rename one", name.0);
                    return Err(draft.fail(Fault { position, message }));
                }
            }
            for (name, _, value) in draft.constants.iter() {
                constants.push_constant_dynamic(name.to_owned(), value);
            }
            drafts.push(draft);
        }
        let shared =
            drafts.iter().fold(AST::empty(), |all, draft| all.merge(&draft.ast.clone_functions_only()));
        let compile = |(draft, (file, source)): (Draft<'_>, &(String, String))| {
            let words = definitions(&draft).into_iter().map(|((name, _), _)| name).collect();
            let own = draft.constants.iter().map(|(name, _, value)| (name.into(), value)).collect();
            let names = Names { constants: Arc::new(own), assigned_into: Arc::clone(&draft.assigned_into) };
            let own = draft.constants.clone();
            let ast = compiler.finish(&Draft { constants: constants.clone(), ..draft }, &shared)?;
            let (file, source) = (file.clone(), source.clone());
            let ast = ast.clone_functions_only();
            Ok(Arc::new(LibraryFile { file, source, ast, constants: own, words, names }))
        };
        Ok(Library(drafts.into_iter().zip(files).map(compile).collect::<Result<_, _>>()?))
    }
}

impl Library {
    /// The files that a source may use, and those that they may use: each of which it names something, if only in a
    /// comment.
    pub(super) fn used_by(&self, source: &str) -> Vec<Arc<LibraryFile>> {
        let mut used = vec![false; self.0.len()];
        let mut sources = vec![source];
        while let Some(source) = sources.pop() {
            for (index, file) in self.0.iter().enumerate() {
                if !used[index] && file.words.iter().any(|word| has_word(source, word)) {
                    used[index] = true;
                    sources.push(&file.source);
                }
            }
        }
        let files = self.0.iter().zip(used);
        files.filter(|(_, used)| *used).map(|(file, _)| Arc::clone(file)).collect()
    }

    /// Refuses a rule that defines what the library defines.
    pub(super) fn check_names(&self, draft: &Draft<'_>) -> Result<(), CompileError> {
        for ((name, parameters), position) in definitions(draft) {
            let defines = |file: &&Arc<LibraryFile>| match parameters {
                Some(count) => file.has_function(&name, count),
                None => file.constants.contains(&name),
            };
            if let Some(other) = self.0.iter().find(defines) {
                let message = format!("`{name}` is also defined in {}: rename one", other.file);
                return Err(draft.fail(Fault { position, message }));
            }
        }
        Ok(())
    }
}

impl LibraryFile {
    /// Adds what it defines to what a rule sees.
    pub(super) fn add_to(&self, ast: &mut AST, constants: &mut Scope<'static>, names: &mut Names) {
        ast.combine(self.ast.clone());
        for (name, _, value) in self.constants.iter() {
            constants.push_constant_dynamic(name.to_owned(), value);
        }
        let more = self.names.constants.iter().map(|(name, value)| (name.clone(), value.clone()));
        Arc::make_mut(&mut names.constants).extend(more);
        let more = self.names.assigned_into.iter().cloned();
        Arc::make_mut(&mut names.assigned_into).extend(more);
    }

    /// Whether it defines a function of that name.
    pub(crate) fn defines(&self, function: &str) -> bool {
        self.ast.iter_functions().any(|own| own.name == function)
    }

    fn has_function(&self, name: &str, parameters: usize) -> bool {
        self.ast.iter_functions().any(|own| own.name == name && own.params.len() == parameters)
    }
}

/// Functions with the number of their parameters, and constants, with their places.
fn definitions(draft: &Draft<'_>) -> Vec<((String, Option<usize>), Position)> {
    let functions = draft.ast.iter_fn_def().map(|function| {
        let parameters: &[ImmutableString] = &function.params;
        ((function.name.to_string(), Some(parameters.len())), function.body.start_position())
    });
    let constants = draft.constants.iter().map(|(name, ..)| ((name.to_owned(), None), Position::NONE));
    functions.chain(constants).collect()
}

/// Whether a text has a word, whole.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + word.len()..]);
        !before.ends_with(is_part) && !after.starts_with(is_part)
    })
}
