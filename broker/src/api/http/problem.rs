//! Errors as `application/problem+json` (RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::report::chain;

/// An answer that says what went wrong and what to do.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) title: &'static str,
    pub(crate) detail: String,
}

impl Problem {
    /// A request that nobody can make sense of.
    pub(super) fn bad(detail: String) -> Problem {
        Problem { status: StatusCode::BAD_REQUEST, title: "Not understood", detail }
    }

    /// What the server itself could not do.
    pub(super) fn failed(error: &dyn std::error::Error) -> Problem {
        Problem { status: StatusCode::INTERNAL_SERVER_ERROR, title: "Not done", detail: chain(error) }
    }

    /// What is not there.
    pub(super) fn not_found(detail: String) -> Problem {
        Problem { status: StatusCode::NOT_FOUND, title: "Not found", detail }
    }
}

/// So that a handler whose answers say more than this can pass it on.
impl From<Problem> for Response {
    fn from(problem: Problem) -> Response {
        problem.into_response()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({ "status": self.status.as_u16(), "title": self.title, "detail": self.detail });
        let kind = HeaderValue::from_static("application/problem+json");
        (self.status, [(header::CONTENT_TYPE, kind)], body.to_string()).into_response()
    }
}
