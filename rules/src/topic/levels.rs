//! Filters whose levels have names, as rules write them: `scores/{game}/{player}`.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use super::{ALL_LEVELS, FilterError, ONE_LEVEL, TopicFilter, excerpt};

/// A topic filter with named levels.
///
/// `{name}` is a `+` whose level can be asked for by name; `{name#}`, as the last level, is a `#` whose levels
/// can be. Plain `+` and `#` are allowed as well. Cloning shares the text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LevelFilter(Arc<Parts>);

#[derive(Debug, Eq, PartialEq)]
struct Parts {
    text: Box<str>,
    filter: TopicFilter,
    names: Vec<Name>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Name {
    text: Box<str>,
    level: usize,
    takes_rest: bool,
}

/// Why a text is not a filter with named levels.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum LevelFilterError {
    /// A brace stands where no name can be.
    #[error("level {level:?} of filter {filter:?} has a brace: write `{{name}}` as a whole level")]
    Brace {
        /// The filter, shortened.
        filter: String,
        /// The level, shortened.
        level: String,
    },
    /// The filter is not valid without its names either.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// A name is not one that a script can write behind a dot.
    #[error(
        "name {name:?} in filter {filter:?} is not usable: begin with a letter, go on with letters, digits or `_`"
    )]
    Name {
        /// The filter, shortened.
        filter: String,
        /// The name, shortened.
        name: String,
    },
    /// Two levels have the same name.
    #[error("name {name:?} stands twice in filter {filter:?}: give each level its own")]
    Twice {
        /// The filter, shortened.
        filter: String,
        /// The name.
        name: String,
    },
}

impl LevelFilter {
    /// Reads a filter with named levels.
    ///
    /// # Errors
    /// Says which name or level is wrong.
    pub fn parse(text: &str) -> Result<Self, LevelFilterError> {
        let mut names: Vec<Name> = Vec::new();
        let mut plain = String::with_capacity(text.len());
        for (index, level) in text.split('/').enumerate() {
            if index > 0 {
                plain.push('/');
            }
            let Some((name, takes_rest)) = named(text, level)? else {
                plain.push_str(level);
                continue;
            };
            if names.iter().any(|other| *other.text == *name) {
                return Err(LevelFilterError::Twice { filter: excerpt(text), name: name.to_owned() });
            }
            names.push(Name { text: name.into(), level: index, takes_rest });
            plain.push_str(if takes_rest { ALL_LEVELS } else { ONE_LEVEL });
        }
        let filter = TopicFilter::parse(&plain)?;
        Ok(Self(Arc::new(Parts { text: text.into(), filter, names })))
    }

    /// The filter without its names, for matching.
    pub fn filter(&self) -> &TopicFilter {
        &self.0.filter
    }

    /// The filter as it was written, with its names.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The names of its levels, in its order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.names.iter().map(|name| &*name.text)
    }

    /// The named levels of a topic that matches, in the filter's order: `(name, level)`.
    ///
    /// `{name#}` gives all that is left with its slashes, and nothing (`""`) for the parent topic.
    pub fn params<'filter, 'topic>(&'filter self, topic: &'topic str) -> Params<'filter, 'topic> {
        Params { names: self.0.names.iter(), rest: Some(topic), level: 0 }
    }
}

/// Reads `{name}` or `{name#}`; `None` is a plain level.
fn named<'text>(text: &str, level: &'text str) -> Result<Option<(&'text str, bool)>, LevelFilterError> {
    if !level.contains(['{', '}']) {
        return Ok(None);
    }
    let brace = || LevelFilterError::Brace { filter: excerpt(text), level: excerpt(level) };
    let inner = level.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).ok_or_else(brace)?;
    let (name, takes_rest) = inner.strip_suffix('#').map_or((inner, false), |name| (name, true));
    let mut characters = name.chars();
    let starts_well = characters.next().is_some_and(|first| first.is_ascii_alphabetic());
    if !starts_well || !characters.all(|other| other.is_ascii_alphanumeric() || other == '_') {
        return Err(LevelFilterError::Name { filter: excerpt(text), name: excerpt(name) });
    }
    Ok(Some((name, takes_rest)))
}

impl fmt::Display for LevelFilter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.text)
    }
}

/// The named levels of one topic: see [`LevelFilter::params`].
#[derive(Clone, Debug)]
pub struct Params<'filter, 'topic> {
    names: std::slice::Iter<'filter, Name>,
    rest: Option<&'topic str>,
    level: usize,
}

impl<'filter, 'topic> Iterator for Params<'filter, 'topic> {
    type Item = (&'filter str, &'topic str);

    fn next(&mut self) -> Option<Self::Item> {
        let Name { text: name, level: wanted, takes_rest } = self.names.next()?;
        loop {
            let rest = self.rest.unwrap_or_default();
            if *takes_rest && self.level == *wanted {
                return Some((name, rest));
            }
            let (level, below) =
                rest.split_once('/').map_or((rest, None), |(level, below)| (level, Some(below)));
            let passed = self.level;
            (self.rest, self.level) = (below, passed + 1);
            if passed == *wanted {
                return Some((name, level));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_levels_are_found_by_name() {
        let check = |text: &str, plain: &str, topic: &str, expected: &[(&str, &str)]| {
            let filter = LevelFilter::parse(text).unwrap();
            assert_eq!(filter.filter().as_str(), plain);
            assert!(filter.filter().matches(topic), "{text} {topic}");
            assert_eq!(filter.params(topic).collect::<Vec<_>>(), expected, "{text} {topic}");
        };
        check("scores/{game}/{player}", "scores/+/+", "scores/go/ana", &[("game", "go"), ("player", "ana")]);
        check("{a}/x/{b}", "+/x/+", "1/x/2", &[("a", "1"), ("b", "2")]);
        check("a/+/{x}/#", "a/+/+/#", "a/1//3/4", &[("x", "")]);
        check("a/{rest#}", "a/#", "a/b/c", &[("rest", "b/c")]);
        check("a/{rest#}", "a/#", "a", &[("rest", "")]);
        check("{first}/{rest#}", "+/#", "é/日本/語", &[("first", "é"), ("rest", "日本/語")]);
        check("plain", "plain", "plain", &[]);
    }

    #[test]
    fn errors_name_what_is_wrong() {
        let check = |text: &str, message: &str| {
            assert_eq!(LevelFilter::parse(text).unwrap_err().to_string(), message);
        };
        check("a/x{b}", "level \"x{b}\" of filter \"a/x{b}\" has a brace: write `{name}` as a whole level");
        check("{a}/{a}", "name \"a\" stands twice in filter \"{a}/{a}\": give each level its own");
        check(
            "a/{}",
            "name \"\" in filter \"a/{}\" is not usable: begin with a letter, go on with letters, digits or `_`",
        );
        check("{rest#}/a", "filter \"#/a\" has levels after `#`: `#` must be the last level");
        check("", "filter is empty: give it at least one character, or `#` for everything");
    }
}
