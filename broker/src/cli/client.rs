//! Requests of a command to the server that runs on this machine, as its operator.

use anyhow::{Context, anyhow, bail};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use pointsman_config::Config;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::app::Contact;

/// The server that a configuration is of.
pub(super) struct Client {
    contact: Contact,
}

impl Client {
    /// Finds the server through the file in its data directory.
    pub(super) fn of(config: &Config) -> anyhow::Result<Client> {
        let data = &config.data.directory;
        let contact = Contact::read(data).with_context(|| {
            format!(
                "no server runs with the data directory {}, or it is another user's: start it, or name its \
                 configuration with --config",
                data.display()
            )
        })?;
        Ok(Client { contact })
    }

    /// GETs JSON.
    pub(super) fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send(&Method::GET, path, Vec::new())
    }

    /// POSTs a body and gets JSON.
    pub(super) fn post(&self, path: &str, body: Vec<u8>) -> anyhow::Result<Value> {
        self.send(&Method::POST, path, body)
    }

    /// DELETEs something and gets JSON.
    pub(super) fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.send(&Method::DELETE, path, Vec::new())
    }

    fn send(&self, method: &Method, path: &str, body: Vec<u8>) -> anyhow::Result<Value> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.ask(method, path, body))
    }

    async fn ask(&self, method: &Method, path: &str, body: Vec<u8>) -> anyhow::Result<Value> {
        let address = self.contact.http.context(
            "the server has no http listener, which commands need: add a loopback address to listen.http",
        )?;
        let unreachable = || format!("the server at {address} does not answer");
        let stream = TcpStream::connect(address).await.with_context(unreachable)?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.with_context(unreachable)?;
        let driver = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, address.to_string())
            .header(AUTHORIZATION, format!("Bearer {}", self.contact.token))
            .body(Full::new(Bytes::from(body)))?;
        let response = sender.send_request(request).await.with_context(unreachable)?;
        let status = response.status();
        let body = response.into_body().collect().await.with_context(unreachable)?.to_bytes();
        driver.abort();
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status.is_success() {
            return Ok(answer);
        }
        match (answer["title"].as_str(), answer["detail"].as_str()) {
            (Some(title), Some(detail)) => Err(anyhow!("{title}: {detail}")),
            _ => bail!("the server answers {status}"),
        }
    }
}

/// A path with what there is of a query.
pub(super) fn with_query(path: &str, query: &[(&str, Option<&str>)]) -> String {
    let given = query.iter().filter_map(|(name, value)| Some(format!("{name}={}", encode((*value)?))));
    let given: Vec<String> = given.collect();
    if given.is_empty() { path.to_owned() } else { format!("{path}?{}", given.join("&")) }
}

/// A text as it stands in the path or the query of a request.
pub(super) fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_what_is_given() {
        assert_eq!(with_query("/a", &[("b", None), ("c", None)]), "/a");
        assert_eq!(with_query("/a", &[("b", Some("1&2")), ("c", None), ("d", Some(""))]), "/a?b=1%262&d=");
    }
}
