//! One attempt to deliver a request.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, Request, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use pointsman_config::WebAddress;
use tokio::time::Instant;

use super::connect::{Connector, Link};
use super::retry::{Outcome, judge};
use super::row::Delivery;
use super::settings::OutboxSettings;
use super::sign;
use crate::clock::Clock;
use crate::report::chain;

const USER_AGENT: &str = concat!("Pointsman/", env!("CARGO_PKG_VERSION"));
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Characters of an answer that are repeated in errors.
const EXCERPT_CHARS_MAX: usize = 200;
/// How long an answer's body is waited for: what counts is the status.
const BODY_PATIENCE: Duration = Duration::from_secs(1);

/// Sends requests.
pub(super) struct Sender {
    settings: Arc<OutboxSettings>,
    connector: Connector,
    clock: Arc<Clock>,
}

/// A place for one request under way, with the connection of the last one if it can be used again.
#[derive(Debug, Default)]
pub(super) struct Lane(Option<Link>);

impl Sender {
    pub(super) fn new(settings: Arc<OutboxSettings>, clock: Arc<Clock>) -> Sender {
        Sender { connector: Connector::new(Arc::clone(&settings)), settings, clock }
    }

    /// Tries to deliver a request. `id` is the same at each attempt.
    pub(super) async fn attempt(&self, lane: &mut Lane, id: &str, delivery: &Delivery) -> Outcome {
        let (url, mut request) = match self.request(id, delivery) {
            Ok(made) => made,
            Err(why) => return Outcome::Refused(why),
        };
        let timeout = delivery.timeout.unwrap_or(self.settings.timeout);
        let deadline = Instant::now() + timeout;
        if let Some(link) = lane.0.take().filter(Link::is_usable) {
            match self.exchange(lane, link, request, deadline, timeout).await {
                Ok(outcome) => return outcome,
                // The server had closed the connection: on a new one, it is the same attempt.
                Err(back) => request = back,
            }
        }
        let link = match self.connector.connect(&url, timeout.min(self.settings.connect_timeout)).await {
            Ok(link) => link,
            Err(outcome) => return outcome,
        };
        let sent = self.exchange(lane, link, request, deadline, timeout).await;
        sent.unwrap_or_else(|_| Outcome::unreachable(format!("{} hung up at once", url.server())))
    }

    /// Sends a request and reads the answer; gives the request back if it certainly did not leave.
    async fn exchange(
        &self,
        lane: &mut Lane,
        mut link: Link,
        request: Request<Full<Bytes>>,
        deadline: Instant,
        timeout: Duration,
    ) -> Result<Outcome, Request<Full<Bytes>>> {
        let response = match tokio::time::timeout_at(deadline, link.send(request)).await {
            Err(_) => return Ok(Outcome::failed(format!("no answer within {timeout:?}"))),
            Ok(Err((_, Some(request)))) => return Err(request),
            Ok(Err((error, None))) => return Ok(Outcome::failed(format!("no answer: {}", chain(&error)))),
            Ok(Ok(response)) => response,
        };
        let (head, body) = response.into_parts();
        let (said, ended) = read(body, self.settings.response_bytes_max).await;
        if ended {
            lane.0 = Some(link);
        }
        Ok(judge(head.status, &head.headers, &said, self.clock.now_ms()))
    }

    fn request(&self, id: &str, delivery: &Delivery) -> Result<(WebAddress, Request<Full<Bytes>>), String> {
        let url = WebAddress::parse(&delivery.url).map_err(|error| error.to_string())?;
        if !self.settings.allows(&url) {
            return Err(format!("{url} is not under any address of rules.webhooks.allow any more"));
        }
        let text = |text: &str| HeaderValue::from_str(text).map_err(|error| error.to_string());
        let mut request = Request::new(Full::new(delivery.body.clone()));
        *request.method_mut() =
            Method::from_bytes(delivery.method.as_bytes()).map_err(|error| error.to_string())?;
        *request.uri_mut() =
            url.path().parse().map_err(|error| format!("{url} has no path that can be sent: {error}"))?;
        let headers = request.headers_mut();
        headers.insert(header::HOST, text(&url.authority())?);
        for (name, value) in &delivery.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
            headers.insert(name, text(value)?);
        }
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers.insert(IDEMPOTENCY_KEY, text(id)?);
        if let Some(name) = &delivery.secret {
            let key = self.settings.secrets.get(name);
            let key = key.ok_or_else(|| {
                format!("the secret {name:?} is not under [rules.webhooks.secrets] any more")
            })?;
            headers.insert(sign::HEADER, text(&key.sign(self.clock.now_ms() / 1_000, &delivery.body))?);
        }
        Ok((url, request))
    }
}

/// The beginning of a body as text, and whether the body ended within its bounds.
async fn read(mut body: Incoming, bytes_max: usize) -> (String, bool) {
    let mut begun: Vec<u8> = Vec::new();
    let mut bytes = 0;
    let all = async {
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return false };
            let Some(data) = frame.data_ref() else { continue };
            bytes += data.len();
            if bytes > bytes_max {
                return false;
            }
            // No character has more than four bytes.
            let room = (4 * EXCERPT_CHARS_MAX).saturating_sub(begun.len()).min(data.len());
            begun.extend_from_slice(&data[..room]);
        }
        true
    };
    let ended = tokio::time::timeout(BODY_PATIENCE, all).await.unwrap_or(false);
    let said = String::from_utf8_lossy(&begun);
    let said = said.chars().take(EXCERPT_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c });
    (said.collect::<String>().trim().to_owned(), ended)
}
