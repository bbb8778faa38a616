//! Policies: documents of statements that allow or deny actions on topics, in the manner of AWS IoT.
//!
//! ```json
//! { "Statement": [
//!     { "Effect": "Allow", "Action": ["publish", "subscribe", "receive"], "Resource": "*" },
//!     { "Effect": "Deny", "Action": "receive", "NotResource": "chat/in/${client_id}" } ] }
//! ```
//! Any deny that matches wins, then any allow, else it is denied. `*` in a resource stands for any run of
//! characters, `?` for one; MQTT's `+` and `#` are plain characters. `${client_id}` and `${user}` stand for the
//! connection's own; a statement whose variable has no value matches nothing, and one whose variable's value has a
//! wildcard matches nothing either, so that no client widens its own policy by its choice of client id.

mod ruling;

use std::sync::Arc;

use serde::Deserialize;

pub use ruling::{Ruling, StatementPlace};

/// What a client asks to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Connect; the resource is the client id.
    Connect,
    /// Publish; the resource is the topic.
    Publish,
    /// Be sent a message; the resource is its topic.
    Receive,
    /// Subscribe; the resource is the filter.
    Subscribe,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Effect {
    Allow,
    Deny,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    fn as_slice(&self) -> &[T] {
        match self {
            OneOrMany::One(one) => std::slice::from_ref(one),
            OneOrMany::Many(many) => many,
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Statement {
    effect: Effect,
    action: OneOrMany<Action>,
    #[serde(default)]
    resource: Option<OneOrMany<String>>,
    #[serde(default)]
    not_resource: Option<OneOrMany<String>>,
}

/// A policy document.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Document {
    statement: Vec<Statement>,
}

/// A policy.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Where it comes from, for people.
    name: Arc<str>,
    statements: Arc<[CompiledStatement]>,
}

#[derive(Debug)]
struct CompiledStatement {
    deny: bool,
    actions: u8,
    inverted: bool,
    resources: Vec<Pattern>,
    /// Where it stands in the document, and its text.
    place: Arc<StatementPlace>,
}

#[derive(Debug)]
enum Pattern {
    /// The same for every connection.
    Fixed(String),
    /// With variables, which are put in for each connection.
    Variable(String),
}

/// Why a document is no policy.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// It is not the JSON of a policy.
    #[error("it is not JSON of the right shape")]
    Malformed(#[from] serde_json::Error),
    /// A statement has both or neither of its resources.
    #[error("statement {0} needs either Resource or NotResource")]
    Resources(usize),
    /// A variable that does not exist.
    #[error("statement {statement} uses ${{{variable}}}: there are client_id and user")]
    Variable {
        /// Which statement, from 1.
        statement: usize,
        /// The variable.
        variable: String,
    },
}

impl Policy {
    /// Reads and checks a document.
    pub fn parse(text: &str) -> Result<Policy, PolicyError> {
        let document: Document = serde_json::from_str(text)?;
        let mut statements = Vec::with_capacity(document.statement.len());
        let places = ruling::places(text)?;
        for (index, (statement, place)) in document.statement.iter().zip(places).enumerate() {
            let compiled = statement.compile(place).ok_or(PolicyError::Resources(index + 1))?;
            for pattern in &compiled.resources {
                if let Pattern::Variable(resource) = pattern {
                    check_variables(resource, index + 1)?;
                }
            }
            statements.push(compiled);
        }
        Ok(Policy { name: Arc::from("a policy"), statements: statements.into() })
    }

    /// The same, called so where people are told of it.
    #[must_use]
    pub fn named(self, name: &str) -> Policy {
        Policy { name: Arc::from(name), ..self }
    }

    /// What the operator may do: everything but to publish as the server does.
    pub fn admin() -> Policy {
        Policy::parse(
            r#"{ "Statement": [
                { "Effect": "Allow", "Action": ["connect", "publish", "subscribe", "receive"], "Resource": "*" },
                { "Effect": "Deny", "Action": "publish", "Resource": ["$SYS/*", "$aws/events/*", "chat/in/*"] } ] }"#,
        )
        .expect("a constant that a test reads")
        .named("the operator's policy")
    }

    /// Puts a connection's variables in. What has none is shared by all connections.
    pub fn bind(&self, client_id: &str, user: Option<&str>) -> BoundPolicy {
        let named = self.statements.iter().flat_map(|statement| &statement.resources);
        let variable = named.filter_map(|pattern| match pattern {
            Pattern::Fixed(_) => None,
            Pattern::Variable(resource) => Some(substitute(resource, client_id, user).map(Box::from)),
        });
        BoundPolicy { statements: Arc::clone(&self.statements), bound: variable.collect() }
    }
}

impl Statement {
    /// `None` if it has both or neither of its resources.
    fn compile(&self, place: StatementPlace) -> Option<CompiledStatement> {
        let (resources, inverted) = match (&self.resource, &self.not_resource) {
            (Some(resources), None) => (resources, false),
            (None, Some(resources)) => (resources, true),
            _ => return None,
        };
        let pattern = |resource: &String| {
            if resource.contains("${") {
                Pattern::Variable(resource.clone())
            } else {
                Pattern::Fixed(resource.clone())
            }
        };
        Some(CompiledStatement {
            deny: self.effect == Effect::Deny,
            actions: self.action.as_slice().iter().fold(0, |mask, action| mask | bit(*action)),
            inverted,
            resources: resources.as_slice().iter().map(pattern).collect(),
            place: Arc::new(place),
        })
    }
}

fn check_variables(resource: &str, statement: usize) -> Result<(), PolicyError> {
    let mut rest = resource;
    while let Some(at) = rest.find("${") {
        let variable = rest[at + 2..].split('}').next().unwrap_or_default();
        if !matches!(variable, "client_id" | "user" | "*" | "?" | "$") {
            return Err(PolicyError::Variable { statement, variable: variable.to_owned() });
        }
        rest = &rest[at + 2..];
    }
    Ok(())
}

/// The escapes of literal `*`, `?` and `$`, as private characters that no wildcard is.
const STAR: char = '\u{E000}';
const QUESTION: char = '\u{E001}';

fn substitute(resource: &str, client_id: &str, user: Option<&str>) -> Option<String> {
    let mut out = String::with_capacity(resource.len() + client_id.len());
    let mut rest = resource;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let (variable, tail) = after.split_once('}')?;
        match variable {
            "client_id" => out.push_str(plain(client_id)?),
            "user" => out.push_str(plain(user?)?),
            "*" => out.push(STAR),
            "?" => out.push(QUESTION),
            _ => out.push('$'),
        }
        rest = tail;
    }
    out.push_str(rest);
    Some(out)
}

/// A value that means only itself, in a policy and in a filter.
fn plain(value: &str) -> Option<&str> {
    let wide = |c: char| matches!(c, '*' | '?' | '+' | '#' | '/' | STAR | QUESTION);
    if value.is_empty() || value.contains(wide) { None } else { Some(value) }
}

fn bit(action: Action) -> u8 {
    1 << action as u8
}

/// A policy with a connection's variables put in.
#[derive(Debug, Clone)]
pub struct BoundPolicy {
    statements: Arc<[CompiledStatement]>,
    /// What the patterns with variables say, in their order; `None` where a variable says nothing.
    bound: Box<[Option<Box<str>>]>,
}

impl BoundPolicy {
    /// Whether the action is allowed on the resource.
    pub fn allows(&self, action: Action, resource: &str) -> bool {
        self.decide(action, resource).is_allowed
    }

    fn decide(&self, action: Action, resource: &str) -> Decision {
        let mut allowed_by = None;
        let mut bound = self.bound.iter();
        for (index, statement) in self.statements.iter().enumerate() {
            let applies = statement.actions & bit(action) != 0;
            let (mut named, mut complete) = (false, true);
            for pattern in &statement.resources {
                let pattern = match pattern {
                    Pattern::Fixed(pattern) => Some(pattern.as_str()),
                    Pattern::Variable(_) => bound.next().and_then(Option::as_deref),
                };
                complete &= pattern.is_some();
                named |= applies && pattern.is_some_and(|pattern| matches(pattern, resource));
            }
            // "Everything but what this variable says" allows nothing when the variable says nothing.
            let is_void = statement.inverted && !statement.deny && !complete;
            if applies && !is_void && named != statement.inverted {
                if statement.deny {
                    return Decision { is_allowed: false, by: Some(index) };
                }
                allowed_by = allowed_by.or(Some(index));
            }
        }
        Decision { is_allowed: allowed_by.is_some(), by: allowed_by }
    }
}

/// What a policy says, and the statement that decides; without one it is a denial.
#[derive(Debug, Clone, Copy)]
struct Decision {
    is_allowed: bool,
    by: Option<usize>,
}

/// Glob matching in linear space, without recursion: on a mismatch only the last `*` takes one character more.
fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    let mut retry: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let before_text = text.clone();
        match (pattern.next(), text.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                retry = Some((pattern.clone(), before_text.clone()));
                text = before_text;
            }
            (Some('?'), Some(_)) | (Some(STAR), Some('*')) | (Some(QUESTION), Some('?')) => {}
            (Some(wanted), Some(found)) if wanted == found && wanted != STAR && wanted != QUESTION => {}
            _ => {
                let Some((after_star, mut from)) = retry.take() else { return false };
                if from.next().is_none() {
                    return false;
                }
                pattern = after_star.clone();
                text = from.clone();
                retry = Some((after_star, from));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAT: &str = r#"{ "Statement": [
        { "Effect": "Allow", "Action": ["connect", "publish", "subscribe", "receive"], "Resource": "*" },
        { "Effect": "Deny", "Action": "publish", "Resource": ["$*", "chat/in/*", "chat/pub/*"] },
        { "Effect": "Allow", "Action": "receive", "Resource": "chat/in/${client_id}" } ] }"#;

    #[test]
    fn deny_wins_then_allow_then_nothing() {
        let bound = Policy::parse(CHAT).unwrap().bind("c1", None);
        assert!(bound.allows(Action::Publish, "chat/out"));
        assert!(!bound.allows(Action::Publish, "chat/in/c1"));
        assert!(!bound.allows(Action::Publish, "$aws/events/x"));
        let nothing = Policy::parse(r#"{ "Statement": [] }"#).unwrap().bind("c1", None);
        assert!(!nothing.allows(Action::Connect, "c1"));
    }

    #[test]
    fn a_client_id_cannot_widen_its_policy() {
        let policy = Policy::parse(
            r#"{ "Statement": [ { "Effect": "Allow", "Action": "subscribe", "Resource": "chat/in/${client_id}" } ] }"#,
        )
        .unwrap();
        assert!(policy.bind("c1", None).allows(Action::Subscribe, "chat/in/c1"));
        for id in ["*", "+", "#", "a/b", "?", ""] {
            let bound = policy.bind(id, None);
            assert!(!bound.allows(Action::Subscribe, &format!("chat/in/{id}")), "{id:?}");
            assert!(!bound.allows(Action::Subscribe, "chat/in/c1"), "{id:?}");
        }
    }

    #[test]
    fn a_variable_without_a_value_matches_nothing() {
        let text = r#"{ "Statement": { "Effect": "Allow" } }"#;
        assert!(matches!(Policy::parse(text), Err(PolicyError::Malformed(_))));
        let policy = Policy::parse(
            r#"{ "Statement": [ { "Effect": "Allow", "Action": "publish", "Resource": "home/${user}/*" } ] }"#,
        )
        .unwrap();
        assert!(!policy.bind("c1", None).allows(Action::Publish, "home//x"));
        assert!(policy.bind("c1", Some("ann")).allows(Action::Publish, "home/ann/x"));
        let unknown =
            r#"{ "Statement": [ { "Effect": "Allow", "Action": "publish", "Resource": "${name}" } ] }"#;
        assert!(matches!(Policy::parse(unknown), Err(PolicyError::Variable { statement: 1, .. })));
    }

    #[test]
    fn globs() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*", "a/b/c", true),
            ("a*", "ba", false),
            ("*b", "aab", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("", "", true),
            ("", "a", false),
            ("**", "x", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
        let literal = substitute("a/${*}", "c", None).unwrap();
        assert!(matches(&literal, "a/*") && !matches(&literal, "a/b"));
    }

    #[test]
    fn the_admin_policy_is_one() {
        let admin = Policy::admin().bind("c1", Some("admin"));
        assert!(admin.allows(Action::Subscribe, "#") && admin.allows(Action::Receive, "chat/in/c2"));
        assert!(!admin.allows(Action::Publish, "$aws/events/presence/connected/c1"));
        assert!(!admin.allows(Action::Publish, "chat/in/c2"));
    }
}
