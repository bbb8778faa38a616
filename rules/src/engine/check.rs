//! Checks that the interpreter itself makes only when a line is reached, if at all.

use std::collections::{BTreeMap, BTreeSet};

use rhai::{AST, ASTNode, Expr, FnCallExpr, ImmutableString, Position, Scope, Stmt};

use crate::natives::TRIGGER_NAMES;
use crate::state::Registration;

/// Something wrong in a source, and where.
pub(crate) struct Fault {
    pub(crate) position: Position,
    pub(crate) message: String,
}

/// The functions that every script finds: names with the numbers of arguments they take.
pub(crate) struct KnownFunctions(BTreeMap<String, BTreeSet<usize>>);

/// How a call is written, which decides what the first argument is.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Style {
    Function,
    Method,
}

impl KnownFunctions {
    pub(crate) fn new(engine: &rhai::Engine) -> Self {
        /// Built into the language rather than registered.
        const KEYWORDS: [(&str, usize); 8] = [
            ("Fn", 1),
            ("debug", 1),
            ("is_def_fn", 2),
            ("is_def_var", 1),
            ("is_shared", 1),
            ("print", 1),
            ("type_of", 1),
            ("to_string", 1),
        ];
        let mut known = BTreeMap::<String, BTreeSet<usize>>::new();
        let registered = engine.collect_fn_metadata(
            None,
            |function| Some((function.metadata.name.to_string(), function.metadata.num_params)),
            true,
        );
        let keywords = KEYWORDS.map(|(name, arguments)| (name.to_owned(), arguments));
        for (name, arguments) in registered.into_iter().chain(keywords) {
            known.entry(name).or_default().insert(arguments);
        }
        Self(known)
    }

    /// Refuses calls of functions that exist neither here nor in the script nor among the `shared` ones, and calls that
    /// could mean both.
    pub(crate) fn check(&self, ast: &AST, shared: &AST) -> Result<(), Fault> {
        let mut own = BTreeMap::<&str, BTreeSet<usize>>::new();
        for function in ast.iter_functions().chain(shared.iter_functions()) {
            own.entry(function.name).or_default().insert(function.params.len());
        }
        first_fault(|fault| {
            ast.walk(&mut |path| {
                let Some((call, style, position)) = path.last().and_then(call) else { return true };
                *fault = self.check_call(call, style, &own).map(|message| Fault { position, message });
                fault.is_none()
            });
        })
    }

    fn check_call(
        &self,
        call: &FnCallExpr,
        style: Style,
        own: &BTreeMap<&str, BTreeSet<usize>>,
    ) -> Option<String> {
        /// These take any number of arguments.
        const OPEN: [&str; 2] = ["call", "curry"];
        let name = call.name.as_str();
        let is_word = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        if call.op_token.is_some() || !is_word || call.is_qualified() || OPEN.contains(&name) {
            return None;
        }
        let written = call.args.len();
        let native_arguments = written + usize::from(style == Style::Method);
        let (native, script) = (self.0.get(name), own.get(name));
        let is_native = native.is_some_and(|counts| counts.contains(&native_arguments));
        let is_script = script.is_some_and(|counts| counts.contains(&written));
        if is_native && is_script {
            // The language would take the script's, also for a method of a table or a message.
            return Some(format!(
                "`{name}` is built in and a function of this file: give the function another name"
            ));
        }
        if is_native || is_script {
            return None;
        }
        if native.is_none() && script.is_none() {
            let hint = self.nearest(name, own).map(|near| format!(": did you mean `{near}`?"));
            return Some(format!("there is no function `{name}`{}", hint.unwrap_or_default()));
        }
        let object = usize::from(style == Style::Method);
        let natives = native.into_iter().flatten().filter_map(|count| count.checked_sub(object));
        let mut counts: Vec<usize> = natives.chain(script.into_iter().flatten().copied()).collect();
        counts.sort_unstable();
        counts.dedup();
        let counts: Vec<String> = counts.iter().map(usize::to_string).collect();
        Some(format!("`{name}` takes {} arguments here, not {written}", counts.join(" or ")))
    }

    fn nearest<'known>(
        &'known self,
        name: &str,
        own: &BTreeMap<&'known str, BTreeSet<usize>>,
    ) -> Option<&'known str> {
        const DISTANCE_MAX: usize = 2;
        let names = own.keys().copied().chain(self.0.keys().map(String::as_str));
        let words = names.filter(|other| other.starts_with(|first: char| first.is_ascii_alphabetic()));
        words
            .map(|other| (distance(name, other), other))
            .filter(|&(distance, other)| distance <= DISTANCE_MAX && distance < other.len())
            .min()
            .map(|(_, other)| other)
    }
}

/// Refuses triggers that would be registered only when a handler runs, which is never.
pub(crate) fn no_trigger_in_a_function(ast: &AST) -> Result<(), Fault> {
    first_fault(|fault| {
        ast.clone_functions_only().walk(&mut |path| {
            if let Some((call, _, position)) = path.last().and_then(call)
                && TRIGGER_NAMES.contains(&call.name.as_str())
            {
                let message =
                    format!("`{}` works only at the top level of the file, not in a function", call.name);
                *fault = Some(Fault { position, message });
            }
            fault.is_none()
        });
    })
}

/// The variables that some statement assigns into, as in `m[key] = value` or `m.member = value`.
///
/// Assigning into `this` is refused: it has no name by which its size could be watched.
pub(crate) fn assigned_into(ast: &AST) -> Result<BTreeSet<ImmutableString>, Fault> {
    let mut names = BTreeSet::new();
    first_fault(|fault| {
        ast.walk(&mut |path| {
            let Some(ASTNode::Stmt(Stmt::Assignment(assignment))) = path.last() else { return true };
            let mut target = &assignment.1.lhs;
            while let Expr::Index(chain, ..) | Expr::Dot(chain, ..) = target {
                target = &chain.lhs;
            }
            match target {
                Expr::Variable(variable, ..) => drop(names.insert(variable.1.clone())),
                other => {
                    let message = "only a variable or a part of one can be assigned to".to_owned();
                    *fault = Some(Fault { position: other.position(), message });
                }
            }
            fault.is_none()
        });
    })?;
    Ok(names)
}

/// Refuses what would silently be the constant: the optimizer does not know parameters.
pub(crate) fn no_parameter_named_like_a_constant(ast: &AST, constants: &Scope) -> Result<(), Fault> {
    for function in ast.iter_fn_def() {
        if let Some(name) = function.params.iter().find(|name| constants.contains(name)) {
            let message = format!(
                "the parameter `{name}` of function `{}` has the name of a constant: rename one",
                function.name
            );
            let position = function.body.start_position();
            return Err(Fault { position, message });
        }
    }
    Ok(())
}

/// Refuses a trigger whose handler is not a function of one parameter.
pub(crate) fn handler_exists(ast: &AST, registration: &Registration) -> Result<(), Fault> {
    let Registration { handler, position, .. } = registration;
    let counts: Vec<usize> = ast
        .iter_functions()
        .filter(|function| function.name == handler)
        .map(|function| function.params.len())
        .collect();
    let message = match counts.as_slice() {
        [] => {
            let names: Vec<&str> = ast.iter_functions().map(|function| function.name).collect();
            let near = names.into_iter().min_by_key(|name| distance(name, handler));
            let hint = near.filter(|name| distance(name, handler) <= 2);
            let hint = hint.map(|near| format!(": did you mean `{near}`?")).unwrap_or_default();
            format!("there is no function `{handler}` in this file{hint}")
        }
        counts if counts.contains(&1) => return Ok(()),
        [count, ..] => format!("the handler `{handler}` has {count} parameters: it gets one, the event"),
    };
    Err(Fault { position: *position, message })
}

fn call<'node>(node: &'node ASTNode) -> Option<(&'node FnCallExpr, Style, Position)> {
    match node {
        ASTNode::Expr(Expr::FnCall(call, position)) | ASTNode::Stmt(Stmt::FnCall(call, position)) => {
            Some((call, Style::Function, *position))
        }
        ASTNode::Expr(Expr::MethodCall(call, position)) => Some((call, Style::Method, *position)),
        _ => None,
    }
}

fn first_fault(find: impl FnOnce(&mut Option<Fault>)) -> Result<(), Fault> {
    let mut fault = None;
    find(&mut fault);
    fault.map_or(Ok(()), Err)
}

/// How many letters to add, drop or change to get from one name to the other.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, letter) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, other) in right.iter().enumerate() {
            let above = row[column + 1];
            let change = diagonal + usize::from(letter != *other);
            row[column + 1] = change.min(above + 1).min(row[column] + 1);
            diagonal = above;
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn distance_counts_letters() {
        for (left, right, expected) in
            [("publish", "publsh", 1), ("", "abc", 3), ("put", "put", 0), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(left, right), expected, "{left} {right}");
        }
    }
}
