//! From the elements of a pattern's arrays to tests.

use super::address;
use super::error::PatternError;
use super::fold::fold;
use super::node::Node;
use super::number::{Number, NumberKey};
use super::test::Test;
use super::wildcard;

/// Every operator.
const OPERATORS: [&str; 9] = [
    "anything-but",
    "cidr",
    "equals-ignore-case",
    "exactly",
    "exists",
    "numeric",
    "prefix",
    "suffix",
    "wildcard",
];
/// Names that are kept for operators to come.
const RESERVED: [&str; 14] = [
    "date-after",
    "date-before",
    "date-on-or-after",
    "date-on-or-before",
    "in-date-range",
    "ip-address-in-range",
    "ip-address-not-in-range",
    "not-equals-ignore-case",
    "not-wildcard",
    "regex",
    "<",
    "<=",
    ">",
    ">=",
];

type Result<T> = std::result::Result<T, PatternError>;

pub(super) fn is_operator(name: &str) -> bool {
    OPERATORS.contains(&name)
}

/// Whether no field within `$or` may have this name.
pub(super) fn is_reserved(name: &str) -> bool {
    is_operator(name) || RESERVED.contains(&name) || name == "="
}

/// Reads one element, which stands at `at`.
pub(super) fn read(node: &Node, at: &str) -> Result<Test> {
    match node {
        Node::Null => Ok(Test::Null),
        Node::Bool(truth) => Ok(Test::Bool(*truth)),
        Node::Number(number) => exact_number(number, at),
        Node::Text(text) => Ok(exact_text(text)),
        Node::List(_) => fail(at, "arrays cannot lie in each other: write the values side by side"),
        Node::Object(members) => {
            let (name, argument) = only_member(members, at)?;
            operator(name, argument, &format!("{at}.{name}"))
        }
    }
}

fn operator(name: &str, argument: &Node, at: &str) -> Result<Test> {
    match name {
        "anything-but" => anything_but(argument, at),
        "cidr" => {
            let text = text(argument, at)?;
            let (first, last) = address::block(text)
                .map_err(|reason| PatternError::new(at, format!("{text:?}: {reason}")))?;
            Ok(Test::Address(first, last))
        }
        "equals-ignore-case" => Ok(Test::IgnoreCase(fold(text(argument, at)?).into())),
        "exactly" => Ok(Test::Text(text(argument, at)?.into())),
        "exists" => match argument {
            Node::Bool(true) => Ok(Test::Present),
            Node::Bool(false) => Ok(Test::Absent),
            _ => fail(at, "must be true or false"),
        },
        "numeric" => numeric(argument, at),
        "prefix" => match argument {
            Node::Object(_) => Ok(Test::PrefixIgnoreCase(ignore_case(argument, at)?)),
            _ => Ok(Test::Prefix(text(argument, at)?.into())),
        },
        "suffix" => match argument {
            Node::Object(_) => Ok(Test::SuffixIgnoreCase(ignore_case(argument, at)?)),
            _ => Ok(Test::Suffix(text(argument, at)?.into())),
        },
        "wildcard" => wildcard(text(argument, at)?, at),
        _ => Err(unknown(name, at)),
    }
}

/// A text that is an address equals it in any of its spellings.
fn exact_text(text: &str) -> Test {
    match address::key(text) {
        Some(key) => Test::Address(key, key),
        None => Test::Text(text.into()),
    }
}

/// A number that binary64 does not hold equals itself, letter by letter.
fn exact_number(text: &str, at: &str) -> Result<Test> {
    match Number::new(text).key {
        Some(key) => Ok(Test::Number(key, key)),
        None if is_beyond(text) => Err(beyond(at)),
        None => Ok(Test::NumberText(text.into())),
    }
}

fn wildcard(text: &str, at: &str) -> Result<Test> {
    wildcard::parse(text).map_err(|reason| PatternError::new(at, format!("{text:?}: {reason}")))
}

/// The argument of `{"prefix":{"equals-ignore-case":…}}`, folded.
fn ignore_case(argument: &Node, at: &str) -> Result<Box<str>> {
    let Node::Object(members) = argument else { return fail(at, "must be a string or an object") };
    match only_member(members, at)? {
        ("equals-ignore-case", argument) => {
            Ok(fold(text(argument, &format!("{at}.equals-ignore-case"))?).into())
        }
        (name, _) => fail(at, format!("cannot hold `{name}`: only `equals-ignore-case` may stand here")),
    }
}

fn anything_but(argument: &Node, at: &str) -> Result<Test> {
    let tests = match argument {
        Node::Object(members) => {
            let (name, argument) = only_member(members, at)?;
            excluded_by_operator(name, argument, &format!("{at}.{name}"))?
        }
        argument => excluded_values(argument, at)?,
    };
    Ok(Test::AnythingBut(tests.into()))
}

fn excluded_values(argument: &Node, at: &str) -> Result<Vec<Test>> {
    let items = one_or_many(argument, at)?;
    let numbers = items.iter().filter(|item| matches!(item, Node::Number(_))).count();
    let texts = items.iter().filter(|item| matches!(item, Node::Text(_))).count();
    if numbers != items.len() && texts != items.len() {
        return fail(at, "must be a string or a number, or a list of only strings or only numbers");
    }
    let read = |item: &Node| match item {
        Node::Number(number) => number_key(number, at).map(|key| Test::Number(key, key)),
        Node::Text(text) => Ok(Test::Text(text.as_str().into())),
        _ => fail(at, "must be a string or a number"),
    };
    items.iter().map(read).collect()
}

fn excluded_by_operator(name: &str, argument: &Node, at: &str) -> Result<Vec<Test>> {
    if !matches!(name, "equals-ignore-case" | "prefix" | "suffix" | "wildcard") {
        let message = "cannot stand in anything-but: use equals-ignore-case, prefix, suffix or wildcard";
        return fail(at, message);
    }
    let read = |item: &Node| {
        let text = text(item, at)?;
        match name {
            "prefix" | "suffix" if text.is_empty() => {
                fail(at, "must not be empty: every text would be excluded")
            }
            "prefix" => Ok(Test::Prefix(text.into())),
            "suffix" => Ok(Test::Suffix(text.into())),
            "wildcard" => wildcard(text, at),
            _ => Ok(Test::IgnoreCase(fold(text).into())),
        }
    };
    one_or_many(argument, at)?.iter().map(read).collect()
}

fn one_or_many<'node>(argument: &'node Node, at: &str) -> Result<&'node [Node]> {
    match argument {
        Node::List(items) if items.is_empty() => fail(at, "must not be an empty list: name a value"),
        Node::List(items) => Ok(items),
        one => Ok(std::slice::from_ref(one)),
    }
}

fn numeric(argument: &Node, at: &str) -> Result<Test> {
    const EXPECTED: &str = "must be a list as [\"=\",5], [\">\",0] or [\">\",0,\"<=\",5]";
    let Node::List(items) = argument else { return fail(at, EXPECTED) };
    let bound = |operator: usize| match (&items[operator], &items[operator + 1]) {
        (Node::Text(name), Node::Number(number)) => {
            Ok((name.as_str(), number_key(number, &format!("{at}[{}]", operator + 1))?))
        }
        (Node::Text(_), other) => {
            fail(format!("{at}[{}]", operator + 1), format!("must be a number, not {other}"))
        }
        (other, _) => fail(format!("{at}[{operator}]"), format!("must be a comparison, not {other}")),
    };
    let (first, last) = match items.len() {
        2 => match bound(0)? {
            ("=", key) => (key, key),
            (">", key) => (key.above(), NumberKey::MAX),
            (">=", key) => (key, NumberKey::MAX),
            ("<", key) => (NumberKey::MIN, key.below()),
            ("<=", key) => (NumberKey::MIN, key),
            (name, _) => return fail(format!("{at}[0]"), format!("{name:?} is none of = < <= > >=")),
        },
        4 => {
            let ((lower, bottom), (upper, top)) = (bound(0)?, bound(2)?);
            if !matches!(lower, ">" | ">=") || !matches!(upper, "<" | "<=") {
                return fail(at, "a range must have > or >= first and < or <= second");
            }
            if bottom >= top {
                return fail(at, "the lower end of the range must be less than the upper end");
            }
            let first = if lower == ">" { bottom.above() } else { bottom };
            (first, if upper == "<" { top.below() } else { top })
        }
        _ => return fail(at, EXPECTED),
    };
    Ok(Test::Number(first, last))
}

/// The key of a number that is compared by its value.
fn number_key(text: &str, at: &str) -> Result<NumberKey> {
    if is_beyond(text) {
        return Err(beyond(at));
    }
    Number::new(text).key.ok_or_else(|| {
        let held = text.parse().unwrap_or(f64::NAN);
        PatternError::new(at, format!("{text} is more exact than binary64: write {held:?}"))
    })
}

fn is_beyond(text: &str) -> bool {
    !text.parse().is_ok_and(f64::is_finite)
}

fn beyond(at: &str) -> PatternError {
    PatternError::new(at, "is a number beyond binary64: use a smaller one")
}

fn text<'node>(argument: &'node Node, at: &str) -> Result<&'node str> {
    match argument {
        Node::Text(text) => Ok(text),
        Node::List(_) => fail(at, "must be one string, not a list: write one object for each"),
        other => fail(at, format!("must be a string, not {other}")),
    }
}

fn only_member<'node>(members: &'node [(String, Node)], at: &str) -> Result<(&'node str, &'node Node)> {
    match members {
        [(name, argument)] => Ok((name, argument)),
        [] => fail(at, "is an empty object: write an operator into it, as {\"prefix\":\"a\"}"),
        _ => fail(at, "holds several operators: write one object for each"),
    }
}

fn unknown(name: &str, at: &str) -> PatternError {
    let operators = OPERATORS.join(", ");
    if RESERVED.contains(&name) {
        return PatternError::new(at, format!("`{name}` is kept for later: use one of {operators}"));
    }
    let spelled = OPERATORS.iter().find(|operator| operator.eq_ignore_ascii_case(name));
    PatternError::new(
        at,
        match spelled {
            Some(operator) => format!("`{name}` is no operator: write `{operator}`"),
            None => format!("`{name}` is no operator: use one of {operators}"),
        },
    )
}

fn fail<T>(at: impl Into<String>, message: impl Into<String>) -> Result<T> {
    Err(PatternError::new(at, message))
}
