//! JSON as a tree that keeps what is written: the order of members, repeated ones, and the digits of numbers.

use std::collections::HashSet;
use std::fmt;

use serde::de::IgnoredAny;
use serde_json::Value;

use super::EVENT_DEPTH_MAX;
use super::error::JsonError;
use super::json::{self, Cursor};

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Bool(bool),
    List(Vec<Node>),
    Null,
    /// Its text.
    Number(String),
    /// Its members in their order; several may have one name.
    Object(Vec<(String, Node)>),
    Text(String),
}

impl Node {
    /// Reads JSON.
    ///
    /// # Errors
    /// Says where it is no JSON, and why.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str::<IgnoredAny>(text).map_err(|error| error.to_string())?;
        Reader { cursor: Cursor::new(text), depth: 0 }.value().map_err(|error| error.to_string())
    }
}

/// The members of an event's object that count: of those with one name the last.
pub(super) fn last_members(members: &[(String, Node)]) -> impl Iterator<Item = (&str, &Node)> {
    let mut names = HashSet::new();
    let mut last: Vec<_> = members.iter().rev().filter(|(name, _)| names.insert(name)).collect();
    last.reverse();
    last.into_iter().map(|(name, member)| (name.as_str(), member))
}

struct Reader<'text> {
    cursor: Cursor<'text>,
    depth: usize,
}

impl Reader<'_> {
    fn value(&mut self) -> Result<Node, JsonError> {
        match self.cursor.peek() {
            b'{' => self.within(b'}', Reader::member).map(Node::Object),
            b'[' => self.within(b']', Reader::value).map(Node::List),
            b'"' => self.text().map(Node::Text),
            _ => match self.cursor.word() {
                "null" => Ok(Node::Null),
                "true" => Ok(Node::Bool(true)),
                "false" => Ok(Node::Bool(false)),
                number if json::is_number(number) => Ok(Node::Number(number.to_owned())),
                _ => self.cursor.error("a value"),
            },
        }
    }

    fn member(&mut self) -> Result<(String, Node), JsonError> {
        if self.cursor.peek() != b'"' {
            return self.cursor.error("a member's name, so a `\"`");
        }
        let name = self.text()?;
        self.cursor.expect(b':', "`:`")?;
        Ok((name, self.value()?))
    }

    /// Reads what lies in an object or list, up to its end.
    fn within<T>(
        &mut self,
        end: u8,
        read: impl Fn(&mut Self) -> Result<T, JsonError>,
    ) -> Result<Vec<T>, JsonError> {
        self.depth += 1;
        if self.depth > EVENT_DEPTH_MAX {
            return Err(JsonError::TooDeep { at: self.cursor.at(), max: EVENT_DEPTH_MAX });
        }
        self.cursor.step();
        let mut found = Vec::new();
        while self.cursor.peek() != end {
            if !found.is_empty() {
                self.cursor.expect(b',', "`,` or the end")?;
            }
            found.push(read(self)?);
        }
        self.cursor.step();
        self.depth -= 1;
        Ok(found)
    }

    fn text(&mut self) -> Result<String, JsonError> {
        let mut text = String::new();
        json::decode(self.cursor.string()?, &mut text)?;
        Ok(text)
    }
}

impl fmt::Display for Node {
    /// As JSON.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(truth) => write!(formatter, "{truth}"),
            Self::List(items) => {
                formatter.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(formatter, "{}{item}", if index > 0 { "," } else { "" })?;
                }
                formatter.write_str("]")
            }
            Self::Null => formatter.write_str("null"),
            Self::Number(text) => formatter.write_str(text),
            Self::Object(members) => {
                formatter.write_str("{")?;
                for (index, (name, member)) in members.iter().enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    write!(formatter, "{comma}{}:{member}", Value::from(name.as_str()))?;
                }
                formatter.write_str("}")
            }
            Self::Text(text) => write!(formatter, "{}", Value::from(text.as_str())),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_written_is_kept() {
        let text = r#"{"b":[1.50,-0e5,null],"a":{"x":"é\n"},"b":[true,false,"",[],{}]}"#;
        assert_eq!(Node::parse(text).unwrap().to_string(), text);
        let Node::Object(members) = Node::parse(text).unwrap() else { panic!("it is an object") };
        let last: Vec<String> = last_members(&members).map(|(name, node)| format!("{name}:{node}")).collect();
        assert_eq!(last, ["a:{\"x\":\"é\\n\"}", "b:[true,false,\"\",[],{}]"]);
    }

    #[test]
    fn what_is_no_json_says_where() {
        for (text, part) in [
            ("{", "line 1 column 1"),
            ("{\"a\":01}", "column 7"),
            ("[1,]", "column 4"),
            ("[1] 2", "trailing"),
            ("\"\\ud800\"", "surrogates"),
        ] {
            assert!(Node::parse(text).unwrap_err().contains(part), "{text}: {:?}", Node::parse(text));
        }
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Node::parse(&deep(EVENT_DEPTH_MAX)).is_ok());
        assert!(Node::parse(&deep(EVENT_DEPTH_MAX + 1)).unwrap_err().contains("128 deep"));
    }

    proptest! {
        #[test]
        fn it_is_the_json_that_the_library_reads(value in crate::pattern::testing::json(), style in 0..4_u8) {
            let node = Node::parse(&crate::pattern::testing::spelled(&value, style)).unwrap();
            prop_assert_eq!(serde_json::from_str::<Value>(&node.to_string()).unwrap(), value);
        }
    }
}
