//! A small HTTP client: one request, one connection.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Body, Frame};
use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;

use crate::eventually::within;
use crate::transport::{self, Stream};

/// Asks a server.
#[derive(Debug, Clone)]
pub struct Http {
    pub(crate) address: SocketAddr,
    /// The PEM of the authority to trust, for HTTPS.
    pub(crate) authority: Option<Vec<u8>>,
    /// The value of `Authorization` that every request has, if any.
    pub(crate) login: Option<String>,
}

/// What a server answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Http {
    /// The same over TLS to `address`, trusting the authority of a PEM file.
    pub(crate) fn secure(address: SocketAddr, authority: &Path) -> Http {
        let pem = std::fs::read(authority)
            .unwrap_or_else(|error| panic!("the authority's certificate {}: {error}", authority.display()));
        Http { address, authority: Some(pem), login: None }
    }

    /// The same with a name and a password in every request.
    #[must_use]
    pub fn login(self, user: &str, password: &str) -> Http {
        Http { login: Some(basic(user, password)), ..self }
    }

    /// GETs a path.
    pub async fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[]).await
    }

    /// POSTs a body to a path.
    pub async fn post(&self, path: &str, body: impl Into<Bytes>) -> Answer {
        self.post_with(path, &[], body).await
    }

    /// PUTs a body to a path.
    pub async fn put(&self, path: &str, body: impl Into<Bytes>) -> Answer {
        self.ask(Method::PUT, path, &[], body).await
    }

    /// DELETEs a path.
    pub async fn delete(&self, path: &str) -> Answer {
        self.ask(Method::DELETE, path, &[], Bytes::new()).await
    }

    /// GETs a path with headers of one's own.
    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask(Method::GET, path, headers, Bytes::new()).await
    }

    /// POSTs a body to a path with headers of one's own.
    pub async fn post_with(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        self.ask(Method::POST, path, headers, body).await
    }

    /// Asks with any method.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        self.request(method, path, headers, Full::new(body.into())).await
    }

    /// Announces a body that never comes, and is answered nevertheless.
    pub async fn ask_without_the_body(&self, method: Method, path: &str) -> Answer {
        let body = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
        self.request(method, path, &[("content-length", "1000")], body).await
    }

    async fn request<B>(&self, method: Method, path: &str, headers: &[(&str, &str)], body: B) -> Answer
    where
        B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
    {
        let what = format!("{method} {path}");
        let mut request = Request::builder().method(method).uri(path).header(HOST, self.address.to_string());
        let login = self.login.as_deref().map(|login| ("authorization", login));
        for (name, value) in headers.iter().copied().chain(login) {
            let name: HeaderName = name.parse().expect("the name of a header");
            request = request.header(name, HeaderValue::from_str(value).expect("the value of a header"));
        }
        let request = request.body(body).expect("a request");
        let answer = within(&what, self.send(request)).await;
        answer.unwrap_or_else(|error| panic!("{what} is not answered: {error}"))
    }

    /// GETs a path; `None` if the server hangs up instead of answering.
    pub async fn try_get(&self, path: &str) -> Option<Answer> {
        let request = Request::builder().uri(path).header(HOST, self.address.to_string());
        let request = request.body(Full::<Bytes>::default()).expect("a request");
        within(&format!("GET {path}"), self.send(request)).await.ok()
    }

    async fn send<B>(&self, request: Request<B>) -> Result<Answer, hyper::Error>
    where
        B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
    {
        let stream: Box<dyn Stream> = match &self.authority {
            None => Box::new(transport::tcp(self.address).await),
            Some(pem) => {
                let name = self.address.ip().to_string();
                let config = transport::trusting_pem(pem);
                Box::new(
                    transport::tls(self.address, config, &name).await.expect("the certificate is trusted"),
                )
            }
        };
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(connection);
        let response = sender.send_request(request).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        driver.abort();
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }
}

/// The value of `Authorization` for a name and a password.
pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", data_encoding::BASE64.encode(format!("{user}:{password}").as_bytes()))
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body of text")
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {:?}", self.body))
    }
}
