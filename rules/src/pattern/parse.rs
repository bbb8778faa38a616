//! From a pattern's objects to alternatives: nesting becomes paths, `$or` becomes one alternative per branch.

use std::sync::Arc;

use super::error::PatternError;
use super::node::Node;
use super::operators;
use super::{ALTERNATIVES_MAX, Alternative, CONDITIONS_MAX, Condition, PATTERN_DEPTH_MAX};

const OR: &str = "$or";

type Result<T> = std::result::Result<T, PatternError>;

/// Where in the pattern something stands.
#[derive(Clone, Copy)]
struct Place<'pattern> {
    /// In the event; `None` for the event itself.
    path: Option<&'pattern str>,
    /// In the pattern: the same with `$or[n]` between.
    at: &'pattern str,
    depth: usize,
    in_or: bool,
    /// Whether `$or` chooses somewhere in the pattern, so that no field may have this name.
    has_or: bool,
}

/// The alternatives of a whole pattern.
pub(super) fn alternatives(pattern: &Node) -> Result<Vec<Alternative>> {
    let Node::Object(members) = pattern else {
        return Err(PatternError::new("", "must be an object, as {\"detail\":{\"kind\":[\"a\"]}}"));
    };
    let mut alternatives = vec![Vec::new()];
    let place = Place { path: None, at: "", depth: 1, in_or: false, has_or: has_or(members) };
    read_object(members, place, &mut alternatives)?;
    for alternative in &mut alternatives {
        alternative.sort_by(|left, right| left.path.cmp(&right.path));
    }
    Ok(alternatives)
}

/// Adds the conditions of an object to each of `alternatives`.
fn read_object(members: &[(String, Node)], place: Place, alternatives: &mut Vec<Alternative>) -> Result<()> {
    if members.is_empty() {
        return Err(PatternError::new(place.at, "is an empty object: name a field in it"));
    }
    if place.depth > PATTERN_DEPTH_MAX {
        let message = format!("objects lie more than {PATTERN_DEPTH_MAX} deep: make the pattern flatter");
        return Err(PatternError::new(place.at, message));
    }
    for (name, member) in members {
        let at = if place.at.is_empty() { name.clone() } else { format!("{}.{name}", place.at) };
        if let (OR, Node::List(branches)) = (name.as_str(), member)
            && is_or(branches)
        {
            read_or(branches, Place { at: &at, ..place }, alternatives)?;
            continue;
        }
        if name == OR && place.has_or {
            let message = "is a field's name here, and chooses between objects elsewhere: rename the field";
            return Err(PatternError::new(at, message));
        }
        if place.in_or && operators::is_reserved(name) {
            let message = "is the name of an operator: no field within $or may have it";
            return Err(PatternError::new(at, message));
        }
        let path = join(place.path, name);
        match member {
            Node::Object(members) => {
                let place = Place { path: Some(&path), at: &at, depth: place.depth + 1, ..place };
                read_object(members, place, alternatives)?;
            }
            Node::List(items) => add(alternatives, &read_condition(items, member, &path, &at)?, &at)?,
            other => {
                let message = format!("must be a list of values or an object: write [{other}]");
                return Err(PatternError::new(at, message));
            }
        }
    }
    Ok(())
}

/// Whether `$or` chooses between objects here or further down.
fn has_or(members: &[(String, Node)]) -> bool {
    members.iter().any(|(name, member)| match member {
        Node::List(items) => name == OR && is_or(items),
        Node::Object(members) => has_or(members),
        _ => false,
    })
}

/// Whether the list behind `$or` has branches. A list of plain values and operators is that of a field
/// whose name is `$or`.
fn is_or(items: &[Node]) -> bool {
    let is_branch = |item: &Node| match item {
        Node::Object(members) => !members.iter().any(|(name, _)| operators::is_operator(name)),
        _ => false,
    };
    items.is_empty() || items.iter().any(is_branch)
}

/// Makes each alternative into one per branch.
fn read_or(branches: &[Node], place: Place, alternatives: &mut Vec<Alternative>) -> Result<()> {
    if branches.len() < 2 {
        return Err(PatternError::new(place.at, "must have two objects or more to choose from"));
    }
    let mut all = Vec::new();
    for (index, branch) in branches.iter().enumerate() {
        let at = format!("{}[{index}]", place.at);
        let Node::Object(members) = branch else {
            return Err(PatternError::new(at, format!("must be an object, not {branch}")));
        };
        let mut own = alternatives.clone();
        read_object(members, Place { at: &at, depth: place.depth + 1, in_or: true, ..place }, &mut own)?;
        all.append(&mut own);
        if all.len() > ALTERNATIVES_MAX {
            let message =
                format!("gives more than {ALTERNATIVES_MAX} combinations of branches: use several patterns");
            return Err(PatternError::new(place.at, message));
        }
    }
    *alternatives = all;
    Ok(())
}

fn read_condition(items: &[Node], list: &Node, path: &str, at: &str) -> Result<Arc<Condition>> {
    if items.is_empty() {
        return Err(PatternError::new(at, "is an empty list: name a value in it"));
    }
    let read = |(index, item)| operators::read(item, &format!("{at}[{index}]"));
    let tests = items.iter().enumerate().map(read).collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(Condition { path: path.into(), tests: tests.into(), source: list.to_string().into() }))
}

/// Of several conditions for one path the last counts, as of several members with one name.
fn add(alternatives: &mut [Alternative], condition: &Arc<Condition>, at: &str) -> Result<()> {
    for alternative in alternatives {
        alternative.retain(|other| other.path != condition.path);
        if alternative.len() == CONDITIONS_MAX {
            let message = format!("is one field too many: a pattern may name {CONDITIONS_MAX} together");
            return Err(PatternError::new(at, message));
        }
        alternative.push(Arc::clone(condition));
    }
    Ok(())
}

/// The path of a member of what is at `path`.
pub(super) fn join(path: Option<&str>, name: &str) -> String {
    path.map_or_else(|| name.to_owned(), |path| format!("{path}.{name}"))
}
