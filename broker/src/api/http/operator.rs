//! Requests that only the operator may make: HTTP Basic authentication with the name and password of MQTT, or the token
//! that the server has given to commands of its own machine.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64;

use super::Api;
use super::problem::Problem;
use crate::auth::Identity;

/// What a request is answered that is not the operator's.
#[derive(Debug)]
pub(super) enum Refused {
    /// It has no name and password, or wrong ones.
    Credentials(&'static str),
    /// It comes from a page of another server, whose browser adds the password by itself.
    Origin,
}

/// Lets no request through that is not the operator's, and tells the others who the operator is: the layer over everything
/// that is for the operator alone. Nothing but the head is looked at: the body of a stranger is not read.
pub(super) async fn admit(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    match check(&api, request.headers()).await {
        Ok(operator) => {
            request.extensions_mut().insert(Arc::new(operator));
            next.run(request).await
        }
        Err(refused) => refused.into_response(),
    }
}

/// The operator, if a request is the operator's.
pub(super) async fn check(api: &Api, headers: &HeaderMap) -> Result<Identity, Refused> {
    if is_from_elsewhere(headers) {
        return Err(Refused::Origin);
    }
    if let Some(token) = token(headers) {
        let wrong = Refused::Credentials("the token is not that of the server that runs now");
        let is_right = is_same(token.as_bytes(), api.operator_token.as_bytes());
        let identity = if is_right { api.hub.known_operator().ok() } else { None };
        return identity.ok_or(wrong);
    }
    let Some((name, password)) = credentials(headers) else {
        return Err(Refused::Credentials(
            "this needs the operator's name and password (HTTP Basic authentication)",
        ));
    };
    let identity = api.hub.operator(&name, &password).await;
    identity.map_err(|_| Refused::Credentials("the user name or password is wrong"))
}

fn credentials(headers: &HeaderMap) -> Option<(String, Vec<u8>)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = BASE64.decode(encoded.trim().as_bytes()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let name = String::from_utf8(decoded[..colon].to_vec()).ok()?;
    Some((name, decoded[colon + 1..].to_vec()))
}

/// The token of `Authorization: Bearer`.
fn token(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whether two texts are the same, in a time that does not tell where they differ.
fn is_same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |differs, (l, r)| differs | (l ^ r)) == 0
}

fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(HeaderValue::to_str);
    let Some(origin) = text(header::ORIGIN) else { return false };
    let host = text(header::HOST).and_then(Result::ok).unwrap_or_default();
    let same = origin.ok().and_then(|origin| origin.split_once("://")).is_some_and(|(_, from)| from == host);
    !same
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Refused::Credentials(detail) => {
                let (status, title) = (StatusCode::UNAUTHORIZED, "For the operator only");
                let mut response = Problem { status, title, detail: detail.to_owned() }.into_response();
                let challenge = HeaderValue::from_static("Basic realm=\"Pointsman\", charset=\"UTF-8\"");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
                response
            }
            Refused::Origin => Problem {
                status: StatusCode::FORBIDDEN,
                title: "From another page",
                detail: "pages of other servers may not act for the operator".to_owned(),
            }
            .into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn credentials_are_read_as_they_are() {
        let read = |value: &str| credentials(&with(header::AUTHORIZATION, value));
        assert_eq!(read("Basic YWRtaW46YTpi"), Some(("admin".to_owned(), b"a:b".to_vec())));
        assert_eq!(read("basic  YWRtaW46"), Some(("admin".to_owned(), Vec::new())));
        for wrong in ["", "Basic", "Basic YWRtaW4=", "Basic !!", "Bearer YWRtaW46YTpi", "Basic /zph"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(credentials(&HeaderMap::new()), None);
    }

    #[test]
    fn tokens_are_compared_whole() {
        assert_eq!(token(&with(header::AUTHORIZATION, "bearer  abc")), Some("abc"));
        assert_eq!(token(&with(header::AUTHORIZATION, "Basic abc")), None);
        assert!(is_same(b"abc", b"abc") && !is_same(b"abc", b"abd") && !is_same(b"abc", b"ab"));
    }

    #[test]
    fn a_page_of_another_server_is_told_apart() {
        let elsewhere = |origin: &str| {
            let mut headers = with(header::HOST, "localhost:8080");
            headers.insert(header::ORIGIN, origin.parse().unwrap());
            is_from_elsewhere(&headers)
        };
        assert!(!elsewhere("http://localhost:8080") && !elsewhere("https://localhost:8080"));
        assert!(elsewhere("null") && elsewhere("http://localhost") && elsewhere("https://evil.example"));
        assert!(!is_from_elsewhere(&HeaderMap::new()));
    }
}
