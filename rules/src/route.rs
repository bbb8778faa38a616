//! Which route of a WebSocket API a message takes: a selection expression over the message's JSON.

use serde_json::Value;
use thiserror::Error;

/// The route of messages that no other is there for.
pub const DEFAULT_ROUTE: &str = "$default";
/// Routes of a connection's life, which no message can choose.
const LIFE_ROUTES: [&str; 2] = ["$connect", "$disconnect"];
/// The longest expression in bytes.
pub const EXPRESSION_BYTES_MAX: usize = 1_024;

const BODY: &str = "request.body.";

/// A route selection expression, such as `$request.body.action` or `${request.body.service}/${request.body.action}`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RouteExpression {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    Text(String),
    /// Names of members, each in the one before.
    Body(Vec<String>),
}

/// Why a text is no route selection expression.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("route selection expression {expression:?}: {message}")]
pub struct RouteExpressionError {
    expression: String,
    message: &'static str,
}

impl RouteExpression {
    /// Reads an expression: text, `${request.body.a.b}` anywhere in it, or `$request.body.a.b` as the whole of it; `\$` is a
    /// dollar sign.
    ///
    /// # Errors
    /// Says what of it cannot be read.
    pub fn parse(text: &str) -> Result<Self, RouteExpressionError> {
        let fail = |message| RouteExpressionError { expression: crate::topic::excerpt(text), message };
        if text.is_empty() || text.len() > EXPRESSION_BYTES_MAX {
            return Err(fail("it has no characters, or more than 1024"));
        }
        if let Some(path) = text.strip_prefix('$').filter(|rest| !rest.starts_with('{')) {
            let path = body_path(path).ok_or_else(|| fail("behind `$` stands `request.body.` and a name"))?;
            return Ok(Self { parts: vec![Part::Body(path)] });
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
                let inside = rest.strip_prefix("${").and_then(|rest| rest.split_once('}'));
                let (path, behind) = inside.ok_or_else(|| fail("write `${request.body.name}`, or `\\$`"))?;
                let path =
                    body_path(path).ok_or_else(|| fail("in `${}` stands `request.body.` and a name"))?;
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

fn body_path(text: &str) -> Option<Vec<String>> {
    let path: Vec<String> = text.strip_prefix(BODY)?.split('.').map(str::to_owned).collect();
    path.iter().all(|name| !name.is_empty() && !name.contains(['$', '{', '}'])).then_some(path)
}

fn value_at(body: &Value, path: &[String]) -> Option<String> {
    let value = path.iter().try_fold(body, |value, name| value.get(name))?;
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
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
    fn what_is_no_expression_is_refused() {
        for text in [
            "",
            "$",
            "$request.header.x",
            "$request.body.",
            "${request.body.a",
            "a${b}",
            "$request.body.a..b",
            "a$b",
        ] {
            let error = RouteExpression::parse(text).unwrap_err().to_string();
            assert!(error.starts_with("route selection expression"), "{error}");
        }
    }
}
