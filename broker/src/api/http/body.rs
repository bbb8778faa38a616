//! The body of a request, whole: within a size and a time.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;

use super::problem::Problem;

/// Bytes of a body that is no message; the limit of scripts is lower and says more.
const BYTES_MAX: usize = 2 << 20;
/// How long a body may take to arrive.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Reads a body of at most so many bytes, which a limit of this name says.
pub(super) async fn within(body: Body, limit: &str, bytes_max: usize) -> Result<Bytes, Problem> {
    let Ok(read) = tokio::time::timeout(TIMEOUT, axum::body::to_bytes(body, bytes_max)).await else {
        let (status, title) = (StatusCode::REQUEST_TIMEOUT, "Too slow");
        let detail = format!("the body took longer than {} seconds", TIMEOUT.as_secs());
        return Err(Problem { status, title, detail });
    };
    read.map_err(|_| {
        let (status, title) = (StatusCode::PAYLOAD_TOO_LARGE, "Payload too large");
        let detail = format!("the body did not arrive whole within {limit} ({bytes_max})");
        Problem { status, title, detail }
    })
}

/// Reads a body that is a script, a call or a payload.
pub(super) async fn bytes(body: Body) -> Result<Bytes, Problem> {
    within(body, "the bytes of a request", BYTES_MAX).await
}

/// Reads a body that is text.
pub(super) async fn text(body: Body) -> Result<String, Problem> {
    let bytes = bytes(body).await?;
    String::from_utf8(bytes.to_vec()).map_err(|_| Problem::bad("the body is not UTF-8".to_owned()))
}
