//! Origins of pages, as browsers name them and as the configuration lists them.

use serde::Deserialize;

/// Which pages may open a WebSocket, besides those of this server itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Origin {
    /// Those of every origin.
    Any,
    /// Those of one: `https://example.org`, or `null` for pages that have none.
    One(String),
}

/// Why a text is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no origin: write a scheme and a host such as \"https://example.org\" or \
     \"http://localhost:3000\", without a path; or \"*\" for any"
)]
pub struct OriginError {
    text: String,
}

impl Origin {
    /// Whether a page of `origin`, as [`normalize_origin`] writes it, is meant.
    pub fn is(&self, origin: &str) -> bool {
        match self {
            Origin::Any => true,
            Origin::One(one) => one == origin,
        }
    }
}

impl TryFrom<String> for Origin {
    type Error = OriginError;

    fn try_from(text: String) -> Result<Origin, OriginError> {
        if text == "*" {
            return Ok(Origin::Any);
        }
        let normal = normalize_origin(&text);
        let host = normal.split_once("://").map(|(_, host)| host);
        let is_host = |host: &str| {
            !host.is_empty()
                && !host.contains(|c: char| matches!(c, '/' | '*' | '?' | '@') || c.is_whitespace())
        };
        if normal == "null" || host.is_some_and(is_host) {
            return Ok(Origin::One(normal));
        }
        Err(OriginError { text })
    }
}

/// An origin in the form in which equal ones are equal texts: small letters, no port that the scheme implies.
pub fn normalize_origin(origin: &str) -> String {
    let origin = origin.trim().to_ascii_lowercase();
    let default_port = match origin.split_once("://") {
        Some(("http" | "ws", _)) => ":80",
        Some(("https" | "wss", _)) => ":443",
        _ => return origin,
    };
    match origin.strip_suffix(default_port) {
        Some(without) => without.to_owned(),
        None => origin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Result<Origin, OriginError> {
        Origin::try_from(text.to_owned())
    }

    #[test]
    fn equal_origins_are_equal() {
        for (listed, named, same) in [
            ("https://example.org", "https://example.org", true),
            ("https://Example.org:443", "https://example.org", true),
            ("http://localhost:3000", "http://localhost:3000", true),
            ("http://localhost", "http://localhost:80", true),
            ("http://localhost", "https://localhost", false),
            ("https://example.org", "https://example.org.evil.test", false),
            ("null", "null", true),
            ("*", "https://anything.test", true),
        ] {
            assert_eq!(origin(listed).unwrap().is(&normalize_origin(named)), same, "{listed} {named}");
        }
    }

    #[test]
    fn what_is_no_origin_is_said_so() {
        for text in ["", "example.org", "https://", "https://a/b", "https://*.example.org", "https://a b"] {
            let error = origin(text).unwrap_err().to_string();
            assert!(error.contains("https://example.org"), "{error}");
        }
    }
}
