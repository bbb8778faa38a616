//! One pattern and one event: whether they match, and why not.

use std::str;

use super::arrays::{Consistency, ROOT, Tree};
use super::error::JsonError;
use super::node::{Node, last_members};
use super::number::Number;
use super::parse::join;
use super::test::Scalar;
use super::{Alternative, Condition, Pattern};

/// How many values an explanation shows.
const VALUES_SHOWN_MAX: usize = 3;
/// How much of each.
const VALUE_CHARS_SHOWN_MAX: usize = 80;

impl Pattern {
    /// Whether `event`, the JSON text of an object, matches. To match many patterns against many events use a
    /// [`PatternSet`](super::PatternSet). An event that is beyond its limits does not match.
    pub fn matches(&self, event: &[u8]) -> bool {
        self.explain(event).is_none()
    }

    /// Why `event` does not match: the first condition that it does not meet, with its path; of a pattern with
    /// `$or`, that of the branch of which it meets most. `None` if it matches.
    pub fn explain(&self, event: &[u8]) -> Option<String> {
        let parsed = str::from_utf8(event).map_err(|error| error.to_string()).and_then(Node::parse);
        let event = match &parsed {
            Ok(event @ Node::Object(_)) => event,
            Ok(_) => return Some("the event is not a JSON object".to_owned()),
            Err(error) => return Some(format!("the event is not JSON: {error}")),
        };
        let mut flat = Flat { tree: Tree::new(), values: Vec::new() };
        flat.add(None, ROOT, event);
        let mut nearest = (0, String::new());
        for alternative in &self.alternatives {
            let met = alternative.iter().filter(|condition| flat.meets(condition)).count();
            if met == alternative.len() {
                match flat.is_consistent(alternative) {
                    Ok(true) => return None,
                    Ok(false) => {}
                    Err(error) => return Some(error.to_string()),
                }
            }
            if nearest.1.is_empty() || met > nearest.0 {
                nearest = (met, flat.why_not(alternative));
            }
        }
        Some(match self.alternatives.len() {
            1 => nearest.1,
            branches => format!("none of {branches} branches matches; of the nearest, {}", nearest.1),
        })
    }
}

/// An event as its values with their paths.
struct Flat<'event> {
    tree: Tree,
    values: Vec<(String, u32, Scalar<'event>)>,
}

impl<'event> Flat<'event> {
    fn add(&mut self, path: Option<&str>, element: u32, value: &'event Node) {
        let scalar = match value {
            Node::Object(members) => {
                for (name, member) in last_members(members) {
                    self.add(Some(&join(path, name)), element, member);
                }
                return;
            }
            Node::List(items) => {
                let array = self.tree.add_array(element);
                for item in items {
                    let has_own = matches!(item, Node::List(_) | Node::Object(_));
                    let element = if has_own { self.tree.add_element(array) } else { element };
                    self.add(path, element, item);
                }
                return;
            }
            Node::Bool(truth) => Scalar::Bool(*truth),
            Node::Null => Scalar::Null,
            Node::Number(text) => Scalar::Number(Number::new(text)),
            Node::Text(text) => Scalar::Text(text),
        };
        self.values.push((path.unwrap_or_default().to_owned(), element, scalar));
    }

    fn at<'flat>(
        &'flat self,
        condition: &'flat Condition,
    ) -> impl Iterator<Item = (u32, Scalar<'event>)> + 'flat {
        let is_there = |(path, ..): &&(String, u32, Scalar<'_>)| **path == *condition.path;
        self.values.iter().filter(is_there).map(|&(_, element, value)| (element, value))
    }

    fn meets(&self, condition: &Condition) -> bool {
        // A value in an element of an array does not count where another element is chosen.
        let may_be_absent = || self.at(condition).all(|(element, _)| element != ROOT);
        self.at(condition).any(|(_, value)| condition.is_met_by(value))
            || condition.allows_absence() && may_be_absent()
    }

    fn is_consistent(&self, alternative: &Alternative) -> Result<bool, JsonError> {
        let mut consistency = Consistency::default();
        consistency.clear(&self.tree)?;
        let mut absentable = 0;
        for (index, condition) in alternative.iter().enumerate() {
            absentable |= u64::from(condition.allows_absence()) << index;
            for (element, value) in self.at(condition) {
                consistency.add(element, index, condition.is_met_by(value));
            }
        }
        consistency.is_met(&self.tree, wanted(alternative.len()), absentable)
    }

    fn why_not(&self, alternative: &Alternative) -> String {
        let Some(condition) = alternative.iter().find(|condition| !self.meets(condition)) else {
            let paths: Vec<&str> = alternative.iter().map(|condition| &*condition.path).collect();
            return format!("{}: no element of the event's arrays meets these together", paths.join(", "));
        };
        let Condition { path, source, .. } = &**condition;
        let values: Vec<String> = self.at(condition).map(|(_, value)| show(value)).collect();
        let shown = values[..values.len().min(VALUES_SHOWN_MAX)].join(", ");
        match values.len() {
            0 => format!("{path}: there is no value, wanted {source}"),
            1..=VALUES_SHOWN_MAX => format!("{path}: {shown} is not wanted, but {source}"),
            more => {
                format!("{path}: {shown} and {} more are not wanted, but {source}", more - VALUES_SHOWN_MAX)
            }
        }
    }
}

impl Condition {
    /// Whether a value passes one of its tests.
    pub(super) fn is_met_by(&self, value: Scalar<'_>) -> bool {
        self.tests.iter().any(|test| test.passes(value))
    }
}

/// The bits of so many conditions, of which there are at most 64.
pub(super) fn wanted(conditions: usize) -> u64 {
    u64::MAX.checked_shr(u64::BITS - u32::try_from(conditions).unwrap_or(u64::BITS)).unwrap_or(0)
}

fn show(value: Scalar<'_>) -> String {
    let text = match value {
        Scalar::Bool(truth) => truth.to_string(),
        Scalar::Null => "null".to_owned(),
        Scalar::Number(number) => number.text.to_owned(),
        Scalar::Text(text) => format!("{text:?}"),
    };
    match text.char_indices().nth(VALUE_CHARS_SHOWN_MAX) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
