//! Why a policy allows or denies something: the statement that decides, and where it stands.

use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{Action, BoundPolicy, Policy};

/// What a policy says of an action, with the statement that decides. Cloning shares the texts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ruling {
    /// Whether it is allowed.
    pub is_allowed: bool,
    /// The policy: its file, or what else it is known as.
    #[serde(serialize_with = "name")]
    pub policy: Arc<str>,
    /// The statement that decides; where there is none, no statement allows it.
    #[serde(serialize_with = "place")]
    pub statement: Option<Arc<StatementPlace>>,
}

fn name<S: Serializer>(name: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(name)
}

#[expect(clippy::ref_option, reason = "serde calls it so")]
fn place<S: Serializer>(place: &Option<Arc<StatementPlace>>, serializer: S) -> Result<S::Ok, S::Error> {
    place.as_deref().serialize(serializer)
}

/// A statement of a policy, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatementPlace {
    /// Which of the statements it is, from 1.
    pub number: usize,
    /// The line that it begins on, from 1.
    pub line: usize,
    /// Its text.
    pub text: Box<str>,
}

/// The statements of a document as they are written.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Sources<'a> {
    #[serde(borrow)]
    statement: Vec<&'a RawValue>,
}

/// Where the statements of a document stand, in their order.
pub(super) fn places(document: &str) -> Result<Vec<StatementPlace>, serde_json::Error> {
    let sources: Sources<'_> = serde_json::from_str(document)?;
    let place = |(index, source): (usize, &&RawValue)| {
        let text = source.get();
        // It is a part of the document.
        let at = text.as_ptr().addr().saturating_sub(document.as_ptr().addr());
        let before = document.as_bytes().get(..at).unwrap_or_default();
        let line = before.split(|byte| *byte == b'\n').count();
        StatementPlace { number: index + 1, line, text: text.into() }
    };
    Ok(sources.statement.iter().enumerate().map(place).collect())
}

impl BoundPolicy {
    /// What it says of an action on a resource. `policy` is what it was made of.
    pub fn ruling(&self, policy: &Policy, action: Action, resource: &str) -> Ruling {
        let decision = self.decide(action, resource);
        let statement = decision.by.and_then(|index| self.statements.get(index));
        Ruling {
            is_allowed: decision.is_allowed,
            policy: Arc::clone(&policy.name),
            statement: statement.map(|statement| Arc::clone(&statement.place)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"{ "Statement": [
        { "Effect": "Allow", "Action": ["subscribe", "receive"], "Resource": "*" },
        { "Effect": "Allow", "Action": "receive",
          "Resource": "home/*" },
        { "Effect": "Deny", "Action": "receive", "NotResource": "home/${client_id}" } ] }"#;

    #[test]
    fn the_statement_that_decides_is_named_with_its_line() {
        let policy = Policy::parse(POLICY).unwrap().named("guest.json");
        let bound = policy.bind("c1", None);
        let decided = |action, resource| {
            let ruling = bound.ruling(&policy, action, resource);
            assert_eq!(ruling.is_allowed, bound.allows(action, resource));
            assert_eq!(&*ruling.policy, "guest.json");
            (ruling.is_allowed, ruling.statement.map(|statement| (statement.number, statement.line)))
        };
        assert_eq!(decided(Action::Receive, "home/c1"), (true, Some((1, 2))));
        assert_eq!(decided(Action::Receive, "home/c2"), (false, Some((3, 5))));
        assert_eq!(decided(Action::Publish, "home/c1"), (false, None));
        let statement = bound.ruling(&policy, Action::Receive, "x").statement.unwrap();
        assert_eq!(
            &*statement.text,
            "{ \"Effect\": \"Deny\", \"Action\": \"receive\", \"NotResource\": \"home/${client_id}\" }"
        );
    }
}
