//! `GET /metrics`: every figure of the server, in the text format of Prometheus (docs/METRICS.md).

mod page;
mod process;
mod text;

use std::net::IpAddr;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Api;
use super::arrival::Arrival;
use super::operator;
use super::problem::Problem;

/// Who may read the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsReaders {
    /// The operator.
    Admin,
    /// The operator, and whoever asks from this machine and for nobody else.
    Loopback,
}

pub(super) async fn get(
    State(api): State<Api>,
    Extension(arrival): Extension<Arrival>,
    headers: HeaderMap,
) -> Response {
    let near = api.metrics_readers == MetricsReaders::Loopback && is_near(arrival.client, &headers);
    if !near && let Err(refused) = operator::check(&api, &headers).await {
        return refused.into_response();
    }
    // Where there are very many sessions, looking at each takes a while.
    let page = tokio::task::spawn_blocking(move || page::write(&api)).await;
    match page {
        Ok(page) => ([(header::CONTENT_TYPE, text::CONTENT_TYPE)], page).into_response(),
        Err(error) => Problem {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            title: "No metrics",
            detail: format!("the figures could not be put together: {error}"),
        }
        .into_response(),
    }
}

/// Whether a request is from this machine itself. One that a proxy on this machine passes on is not.
fn is_near(client: IpAddr, headers: &HeaderMap) -> bool {
    const FORWARDED: [&str; 4] = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];
    client.to_canonical().is_loopback() && !FORWARDED.iter().any(|name| headers.contains_key(*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_itself_is_near() {
        let near = |client: &str, header: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(name) = header {
                headers.insert(name, "x".parse().unwrap());
            }
            is_near(client.parse().unwrap(), &headers)
        };
        assert!(near("127.0.0.1", None) && near("::1", None) && near("::ffff:127.0.0.2", None));
        assert!(!near("192.0.2.1", None) && !near("2001:db8::1", None));
        assert!(!near("127.0.0.1", Some("x-forwarded-for")) && !near("127.0.0.1", Some("forwarded")));
    }
}
