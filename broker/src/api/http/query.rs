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

    /// The value of a name, to be kept.
    pub(super) fn owned(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// Whether it is true; if nothing is said, it is not.
    pub(super) fn flag(&self, name: &str) -> Result<bool, String> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(format!("{name} is {other:?}: give true or false")),
        }
    }

    /// How many items a page may have at most: `default` if nothing is said, never more than `max`.
    pub(super) fn limit(&self, name: &str, default: usize, max: usize) -> Result<usize, String> {
        let Some(text) = self.get(name) else { return Ok(default) };
        let limit = text.parse().ok().filter(|limit| (1..=max).contains(limit));
        limit.ok_or_else(|| format!("{name} is {text:?}: give 1 to {max}"))
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

    #[test]
    fn numbers_and_flags_have_defaults_and_bounds() {
        let parse = |uri: &str| Query::parse(&uri.parse().unwrap(), &["limit", "all"]).unwrap();
        let limit = |uri: &str| parse(uri).limit("limit", 50, 200);
        assert_eq!((limit("/x"), limit("/x?limit=1"), limit("/x?limit=200")), (Ok(50), Ok(1), Ok(200)));
        for wrong in ["", "0", "201", "-1", "x"] {
            let error = limit(&format!("/x?limit={wrong}")).unwrap_err();
            assert_eq!(error, format!("limit is {wrong:?}: give 1 to 200"));
        }
        let flag = |uri: &str| parse(uri).flag("all");
        assert_eq!((flag("/x"), flag("/x?all=false"), flag("/x?all=true")), (Ok(false), Ok(false), Ok(true)));
        assert_eq!(flag("/x?all=yes").unwrap_err(), "all is \"yes\": give true or false");
    }
}
