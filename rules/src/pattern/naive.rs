//! The language's meaning, tried out: every way to pick a value for each condition. The automaton is compared
//! with it.

use std::sync::Arc;

use super::node::{Node, last_members};
use super::number::Number;
use super::parse::join;
use super::test::Scalar;
use super::{Condition, Pattern};

/// Which element of which array a value lies in, from outside in.
type Chain = Vec<(usize, usize)>;

struct Field<'event> {
    path: String,
    chain: Chain,
    value: Scalar<'event>,
}

/// Whether `event` matches.
pub(super) fn matches(pattern: &Pattern, event: &Node) -> bool {
    let mut fields = Vec::new();
    flatten(event, None, &mut Vec::new(), &mut 0, &mut fields);
    matches!(event, Node::Object(_))
        && pattern
            .alternatives
            .iter()
            .any(|alternative| try_from(alternative, &fields, &Vec::new(), &mut Vec::new()))
}

fn flatten<'event>(
    value: &'event Node,
    path: Option<&str>,
    chain: &mut Chain,
    arrays: &mut usize,
    fields: &mut Vec<Field<'event>>,
) {
    let scalar = match value {
        Node::Null => Scalar::Null,
        Node::Bool(truth) => Scalar::Bool(*truth),
        Node::Number(text) => Scalar::Number(Number::new(text)),
        Node::Text(text) => Scalar::Text(text),
        Node::List(items) => {
            let array = *arrays;
            *arrays += 1;
            for (index, item) in items.iter().enumerate() {
                let chained = matches!(item, Node::List(_) | Node::Object(_));
                chain.extend(chained.then_some((array, index)));
                flatten(item, path, chain, arrays, fields);
                chain.truncate(chain.len() - usize::from(chained));
            }
            return;
        }
        Node::Object(members) => {
            for (name, member) in last_members(members) {
                flatten(member, Some(&join(path, name)), chain, arrays, fields);
            }
            return;
        }
    };
    fields.push(Field { path: path.unwrap().to_owned(), chain: chain.clone(), value: scalar });
}

/// Two chains agree if they have the same element of each array they share.
fn agree(left: &Chain, right: &Chain) -> bool {
    left.iter().all(|(array, index)| right.iter().all(|(other, at)| array != other || index == at))
}

/// Picks a value for the first condition that has none yet, or lets it be absent, and goes on.
fn try_from(
    conditions: &[Arc<Condition>],
    fields: &[Field],
    chosen: &Chain,
    absent: &mut Vec<String>,
) -> bool {
    let Some((condition, rest)) = conditions.split_first() else {
        return absent
            .iter()
            .all(|path| fields.iter().all(|field| field.path != *path || !agree(&field.chain, chosen)));
    };
    for field in fields.iter().filter(|field| *field.path == *condition.path) {
        if agree(&field.chain, chosen) && condition.is_met_by(field.value) {
            let chosen = chosen.iter().chain(&field.chain).copied().collect();
            if try_from(rest, fields, &chosen, absent) {
                return true;
            }
        }
    }
    if condition.allows_absence() {
        absent.push(condition.path.to_string());
        let matched = try_from(rest, fields, chosen, absent);
        absent.pop();
        return matched;
    }
    false
}
