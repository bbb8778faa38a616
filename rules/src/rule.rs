//! A compiled rule and what it listens to.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rhai::AST;
use thiserror::Error;

use crate::basic_ingest::{BASIC_INGEST_PREFIX, BasicIngest};
use crate::engine::LibraryFile;
use crate::plan::Plan;
use crate::rule_set::TriggerIndex;
use crate::sql::SqlRule;
use crate::state::Names;
use crate::topic::{ALL_LEVELS, TopicFilter};
use crate::trigger::{On, Trigger};

/// The longest name of a rule.
pub const RULE_NAME_LEN_MAX: usize = 64;

/// The name of a rule: 1 to 64 of `a`-`z`, `0`-`9`, `_` and `-`. For a file it is the name without `.rhai`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RuleName(Arc<str>);

/// Why a text cannot name a rule.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("rule name {0:?} is not 1 to {RULE_NAME_LEN_MAX} characters of a-z, 0-9, `_` and `-`")]
pub struct RuleNameError(String);

impl RuleName {
    /// Reads a name.
    ///
    /// # Errors
    /// Says which characters are allowed.
    pub fn parse(text: &str) -> Result<Self, RuleNameError> {
        let is_allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        if text.is_empty() || text.len() > RULE_NAME_LEN_MAX || !text.bytes().all(is_allowed) {
            return Err(RuleNameError(crate::topic::excerpt(text)));
        }
        Ok(Self(text.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl fmt::Display for RuleName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for RuleName {
    type Err = RuleNameError;

    fn from_str(text: &str) -> Result<Self, RuleNameError> {
        Self::parse(text)
    }
}

/// A rule, compiled and checked. It never changes; a new version is a new rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name.
    pub name: RuleName,
    /// Its file, for messages to people.
    pub file: String,
    /// The first 12 hex digits of the SHA-256 of its source, and of the files of the library that it uses.
    pub version: String,
    /// What it listens to, in the order of the source.
    pub triggers: Vec<Trigger>,
    /// The indexes that it declares.
    pub indexes: Arc<[Index]>,
    pub(crate) source: String,
    pub(crate) body: Body,
    /// The files of the library that it uses.
    pub(crate) libraries: Vec<Arc<LibraryFile>>,
}

/// What handles the events of a rule.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    /// Functions of a script.
    Script {
        ast: Box<AST>,
        names: Names,
        /// What the handlers of triggers do, of those that need no interpreter.
        plans: Vec<Option<Plan>>,
    },
    /// A statement with actions.
    Sql(Box<SqlRule>),
}

impl Rule {
    /// The text it was compiled from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether a handler needs no interpreter for what is usual: see docs/RULES.md, "What makes a handler fast".
    pub fn has_plan(&self, trigger: TriggerIndex) -> bool {
        match &self.body {
            Body::Script { plans, .. } => plans.get(trigger).is_some_and(Option::is_some),
            Body::Sql(_) => false,
        }
    }

    /// The topics of Basic Ingest that set a trigger off; `None` for one that no message sets off. A statement takes all
    /// that is published to its rule, whatever its FROM says.
    pub(crate) fn basic_ingest(&self, trigger: &Trigger) -> Option<TopicFilter> {
        let (On::Message(levels) | On::Batch(levels, _)) = &trigger.on else { return None };
        let filter = match &self.body {
            Body::Script { .. } => levels.filter().as_str(),
            Body::Sql(_) => ALL_LEVELS,
        };
        // What is too long for a filter is too long for the topic of a message as well.
        TopicFilter::parse(&format!("{BASIC_INGEST_PREFIX}{}/{filter}", self.name)).ok()
    }

    /// Why a message that was published to a rule by Basic Ingest does not set a trigger of this rule off; `None` if it
    /// does.
    pub fn why_not_ingested(&self, trigger: &Trigger, message: BasicIngest<'_>) -> Option<String> {
        if message.rule != self.name.as_str() {
            return Some(format!("the message is for rule {} alone", message.rule));
        }
        let Some(filter) = self.basic_ingest(trigger) else {
            return Some(format!("{} is not set off by a message", trigger.on));
        };
        let topic = format!("{BASIC_INGEST_PREFIX}{}/{}", message.rule, message.topic);
        (!filter.matches(&topic)).then(|| format!("{} does not match {}", trigger.on, message.topic))
    }

    /// The files of the library that it uses, with their text.
    pub fn libraries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.libraries.iter().map(|library| (library.file.as_str(), library.source.as_str()))
    }

    /// File and text in which a function is; the rule's own if no other is known to have it.
    pub(crate) fn source_of(&self, function: Option<&str>) -> (&str, &str) {
        let library = function.and_then(|name| self.libraries.iter().find(|library| library.defines(name)));
        library.map_or((&self.file, &self.source), |library| (&library.file, &library.source))
    }
}

/// A secondary index: the rows of a table can be found by a member of their value.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Index {
    /// The table.
    pub table: Arc<str>,
    /// The member.
    pub member: Arc<str>,
}

impl Index {
    /// The table that holds the index; no table of scripts can have this name.
    pub fn table_name(&self) -> String {
        format!("{}.{}", self.table, self.member)
    }
}
