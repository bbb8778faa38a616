//! The path and the query of a request, decoded.

use axum::http::Uri;
use percent_encoding::percent_decode_str;

/// The names and values of a query, each name once.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the query, which may have these names and no others.
    pub(super) fn parse(uri: &Uri, names: &[&str]) -> Result<Query, String> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            // In a query a plus is a space, as forms write it.
            let [name, value] = [name, value].map(|text| decode("the query", &text.replace('+', " ")));
            let (name, value) = (name?, value?);
            if !names.contains(&name.as_str()) {
                return Err(format!("the query has {name:?}: it may have {}", names.join(", ")));
            }
            if pairs.iter().any(|(known, _)| *known == name) {
                return Err(format!("the query has {name:?} twice"));
            }
            pairs.push((name, value));
        }
        Ok(Query(pairs))
    }

    /// The value of a name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What stands in the path behind a prefix, with or without its slashes encoded.
pub(super) fn path_behind(uri: &Uri, prefix: &str) -> Result<String, String> {
    decode("the path", uri.path().strip_prefix(prefix).unwrap_or_default())
}

fn decode(what: &str, text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| format!("{what} is not percent-encoded UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded_and_strict() {
        let parse = |uri: &str| Query::parse(&uri.parse().unwrap(), &["a", "b"]);
        let query = parse("/x?a=1%262&b=c+d%2B&").unwrap();
        assert_eq!((query.get("a"), query.get("b"), query.get("c")), (Some("1&2"), Some("c d+"), None));
        assert_eq!(parse("/x").unwrap().get("a"), None);
        assert_eq!(parse("/x?a").unwrap().get("a"), Some(""));
        assert!(parse("/x?c=1").unwrap_err().contains("it may have a, b"));
        assert!(parse("/x?a=1&a=1").unwrap_err().contains("twice"));
        assert!(parse("/x?a=%ff").unwrap_err().contains("UTF-8"));
    }
}
