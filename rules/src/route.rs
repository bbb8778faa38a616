//! Which route of a WebSocket API a message takes: a selection expression over the message's JSON.

use serde_json::Value;
use thiserror::Error;

/// The route of messages that no other is there for.
pub const DEFAULT_ROUTE: &str = "$default";
/// Routes of a connection's life, which no message can choose.
const LIFE_ROUTES: [&str; 2] = ["$connect", "$disconnect"];
/// The longest expression in bytes.
pub const EXPRESSION_BYTES_MAX: usize = 1_024;

/// Where a name ends in a variable without braces, and in one with them.
const BARE_NAME_ENDS: [char; 11] = ['.', '[', ']', '{', '}', '$', '/', '\\', ' ', '\'', '"'];
const BRACED_NAME_ENDS: [char; 6] = ['.', '[', ']', '{', '}', '$'];

/// A route selection expression, such as `$request.body.action` or `${request.body.service}/${request.body.action}`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RouteExpression {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    /// What is found by these steps, each in what the one before found.
    Body(Vec<Step>),
    Text(String),
}

/// A step of a path: the parts of `JSONPath` that find one value.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Step {
    /// `[0]`
    Element(usize),
    /// `.name` or `['name']`
    Member(String),
}

/// Why a text is no route selection expression.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("route selection expression {expression:?}: {message}")]
pub struct RouteExpressionError {
    expression: String,
    message: &'static str,
}

impl RouteExpression {
    /// Reads an expression: text and variables, which are `$request.body.a.b` or, where its end has to be said,
    /// `${request.body.a.b}`; `[0]` is an element of an array, `['a.b']` any member; `\$` is a dollar sign.
    ///
    /// # Errors
    /// Says what of it cannot be read.
    pub fn parse(text: &str) -> Result<Self, RouteExpressionError> {
        let fail = |message| RouteExpressionError { expression: crate::topic::excerpt(text), message };
        if text.is_empty() || text.len() > EXPRESSION_BYTES_MAX {
            return Err(fail("it has no characters, or more than 1024"));
        }
        let (mut parts, mut rest, mut literal) = (Vec::new(), text, String::new());
        while let Some(at) = rest.find(['$', '\\']) {
            literal.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(behind) = rest.strip_prefix("\\$") {
                literal.push('$');
                rest = behind;
            } else if let Some(behind) = rest.strip_prefix('\\') {
                literal.push('\\');
                rest = behind;
            } else {
                let (path, behind) = variable(rest).ok_or_else(|| {
                    fail("behind `$` stands `request.body.` and a name, both in braces or not")
                })?;
                if !literal.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut literal)));
                }
                parts.push(Part::Body(path));
                rest = behind;
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self { parts })
    }

    /// The route that a message takes among those there are; `None` if none is there for it, not even `$default`.
    pub fn select<'routes>(&self, body: &[u8], routes: &[&'routes str]) -> Option<&'routes str> {
        let route = |wanted: &str| routes.iter().copied().find(|route| *route == wanted);
        let chosen = self.evaluate(body).filter(|chosen| !LIFE_ROUTES.contains(&chosen.as_str()));
        chosen.and_then(|chosen| route(&chosen)).or_else(|| route(DEFAULT_ROUTE))
    }

    fn evaluate(&self, body: &[u8]) -> Option<String> {
        let body = || serde_json::from_slice::<Value>(body).ok().filter(Value::is_object);
        if let [Part::Body(path)] = self.parts.as_slice() {
            return value_at(&body()?, path);
        }
        let needs_body = self.parts.iter().any(|part| matches!(part, Part::Body(_)));
        let body = if needs_body { body()? } else { Value::Null };
        let text = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Body(path) => value_at(&body, path).unwrap_or_default(),
        };
        Some(self.parts.iter().map(text).collect())
    }
}

/// Reads `$request.body.a` or `${request.body.a}`, and gives what follows, too.
fn variable(text: &str) -> Option<(Vec<Step>, &str)> {
    match text.strip_prefix("${") {
        Some(inside) => {
            let (path, rest) = body_path(inside, &BRACED_NAME_ENDS)?;
            Some((path, rest.strip_prefix('}')?))
        }
        None => body_path(text.strip_prefix('$')?, &BARE_NAME_ENDS),
    }
}

fn body_path<'text>(text: &'text str, name_ends: &[char]) -> Option<(Vec<Step>, &'text str)> {
    let (mut path, mut rest) = (Vec::new(), text.strip_prefix("request.body")?);
    loop {
        if let Some(behind) = rest.strip_prefix('.') {
            let (name, after) = behind.split_at(behind.find(name_ends).unwrap_or(behind.len()));
            if name.is_empty() {
                return None;
            }
            path.push(Step::Member(name.to_owned()));
            rest = after;
        } else if let Some(behind) = rest.strip_prefix('[') {
            let (inside, after) = behind.split_once(']')?;
            let quoted = |quote| inside.strip_prefix(quote)?.strip_suffix(quote);
            path.push(match quoted('\'').or_else(|| quoted('"')) {
                Some(name) => Step::Member(name.to_owned()),
                None => Step::Element(inside.parse().ok()?),
            });
            rest = after;
        } else {
            return (!path.is_empty()).then_some((path, rest));
        }
    }
}

fn value_at(body: &Value, path: &[Step]) -> Option<String> {
    let value = path.iter().try_fold(body, |value, step| match step {
        Step::Element(index) => value.get(index),
        Step::Member(name) => value.get(name),
    })?;
    (!value.is_null()).then(|| text_of(value))
}

/// Texts as they are, arrays as `[a, b]`, anything else as JSON.
fn text_of(value: &Value) -> String {
    match value {
        Value::Array(elements) => {
            format!("[{}]", elements.iter().map(text_of).collect::<Vec<_>>().join(", "))
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Case {
        id: String,
        route_selection_expression: String,
        body: String,
        routes: Vec<String>,
        selected: String,
    }

    #[test]
    fn each_message_takes_the_route_that_the_vectors_say() {
        let cases: Vec<Case> =
            serde_json::from_str(include_str!("../tests/data/route_selection.json")).unwrap();
        assert!(cases.len() >= 15);
        for case in cases {
            let expression = RouteExpression::parse(&case.route_selection_expression).unwrap();
            let routes: Vec<&str> = case.routes.iter().map(String::as_str).collect();
            let selected = expression.select(case.body.as_bytes(), &routes).unwrap_or("ERROR_FORBIDDEN");
            assert_eq!(selected, case.selected, "{}", case.id);
        }
    }

    #[test]
    fn a_missing_part_is_empty_and_a_body_that_is_no_object_has_none() {
        let expression = RouteExpression::parse("${request.body.a}-x").unwrap();
        let routes = ["-x", "$default"];
        assert_eq!(expression.select(b"{}", &routes), Some("-x"));
        assert_eq!(expression.select(b"no json", &routes), Some("$default"));
        assert_eq!(expression.select(b"[]", &["-x"]), None);
        assert_eq!(RouteExpression::parse("a\\b").unwrap().select(b"", &["a\\b"]), Some("a\\b"));
    }

    #[test]
    fn each_message_takes_the_route_that_the_documentation_says() {
        let body = br#"{"service":"chat","action":"join","data":{"room":"room1234"},"list":["a",1,["b"],null],"n":null,
            "a.b":"dotted","o":{"k":true},"big":12345678901,"half":0.5,"empty":"","to":"$default","my-key":"dash"}"#;
        for (expression, route) in [
            ("$request.body.action", "join"),
            ("${request.body.action}", "join"),
            ("${request.body.service}/${request.body.action}", "chat/join"),
            ("$request.body.service/$request.body.action", "chat/join"),
            ("v1/$request.body.action", "v1/join"),
            ("${request.body.action}-${request.body.invalidPath}", "join-"),
            ("${request.body.action}-beta", "join-beta"),
            ("action", "action"),
            ("\\$default", "$default"),
            ("$request.body.my-key", "dash"),
            ("$request.body.list", "[a, 1, [b], null]"),
            ("$request.body.list[0]", "a"),
            ("$request.body.list[2][0]", "b"),
            ("$request.body.list[9]", "$default"),
            ("$request.body.list.0", "$default"),
            ("$request.body['a.b']", "dotted"),
            ("${request.body[\"a.b\"]}!", "dotted!"),
            ("$request.body.data.room", "room1234"),
            ("$request.body.data.room.x", "$default"),
            ("$request.body.o.k", "true"),
            ("$request.body.big", "12345678901"),
            ("$request.body.half", "0.5"),
            ("$request.body.n", "$default"),
            ("$request.body.nope", "$default"),
            ("$request.body.empty", "$default"),
            ("$request.body.to", "$default"),
            ("x${request.body.n}", "x"),
        ] {
            let selected = RouteExpression::parse(expression).unwrap().select(body, &[route, "$default"]);
            assert_eq!(selected, Some(route), "{expression}");
        }
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for text in [
            "",
            "$",
            "$request.header.x",
            "$request.body.",
            "${request.body.a",
            "a${b}",
            "$request.body.a..b",
            "$request.body.a.",
            "$request.body[*]",
            "$request.body.a[?(@.b)]",
            "${request.body.a b",
            "a$b",
        ] {
            let error = RouteExpression::parse(text).unwrap_err().to_string();
            assert!(error.starts_with("route selection expression"), "{error}");
        }
    }
}
