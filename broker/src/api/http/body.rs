//! The body of a request, whole: within a size and a time.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;

use super::problem::Problem;

/// Bytes of a body that is no message; the limit of scripts is lower and says more.
const BYTES_MAX: usize = 2 << 20;
/// How long a body may take to arrive.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

/// Why a body is not there.
#[derive(Debug)]
pub(super) enum Missing {
    /// It did not arrive whole within the size.
    Size,
    /// It did not arrive within the time.
    Time,
}

/// Reads a body of at most so many bytes.
pub(super) async fn read(body: Body, bytes_max: usize) -> Result<Bytes, Missing> {
    let read = tokio::time::timeout(TIMEOUT, axum::body::to_bytes(body, bytes_max)).await;
    read.map_err(|_| Missing::Time)?.map_err(|_| Missing::Size)
}

/// Reads a body that is a script, a call or a payload.
pub(super) async fn bytes(body: Body) -> Result<Bytes, Problem> {
    read(body, BYTES_MAX).await.map_err(|missing| match missing {
        Missing::Size => Problem {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            title: "Payload too large",
            detail: format!("the body did not arrive whole within {BYTES_MAX} bytes"),
        },
        Missing::Time => Problem::bad(format!("the body took longer than {} seconds", TIMEOUT.as_secs())),
    })
}

/// Reads a body that is text.
pub(super) async fn text(body: Body) -> Result<String, Problem> {
    let bytes = bytes(body).await?;
    String::from_utf8(bytes.to_vec()).map_err(|_| Problem::bad("the body is not UTF-8".to_owned()))
}
