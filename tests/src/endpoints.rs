//! Where a server listens, and the clients that go there.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use crate::client::{Client, ClientBuilder, Version};
use crate::frames::Frames;
use crate::http::Http;
use crate::raw::Raw;
use crate::transport::{self, Stream, Transport};
use crate::websocket::WebSocket;

/// Where a server listens, and whom to trust.
#[derive(Debug, Clone)]
pub struct Endpoints {
    /// MQTT over TCP.
    pub mqtt: SocketAddr,
    /// MQTT over TLS.
    pub mqtts: SocketAddr,
    /// HTTP and MQTT over WebSocket.
    pub http: SocketAddr,
    /// HTTPS and MQTT over secure WebSocket.
    pub https: SocketAddr,
    /// The file of the authority's certificate.
    pub authority: PathBuf,
}

impl Endpoints {
    /// A client of MQTT 3.1.1 over TCP, connected.
    pub async fn mqtt(&self, client_id: &str) -> Client {
        self.client(client_id).connect().await
    }

    /// A client of MQTT 5 over TCP, connected.
    pub async fn mqtt5(&self, client_id: &str) -> Client {
        self.client(client_id).version(Version::V5).connect().await
    }

    /// A client of MQTT 3.1.1 over TLS, connected.
    pub async fn mqtts(&self, client_id: &str) -> Client {
        self.client(client_id).over(Transport::Tls).connect().await
    }

    /// A client of MQTT 3.1.1 over WebSocket, connected.
    pub async fn ws(&self, client_id: &str) -> Client {
        self.client(client_id).over(Transport::Ws).connect().await
    }

    /// A client of MQTT 3.1.1 over secure WebSocket, connected.
    pub async fn wss(&self, client_id: &str) -> Client {
        self.client(client_id).over(Transport::Wss).connect().await
    }

    /// A client that is yet to be set up and connected.
    pub fn client(&self, client_id: &str) -> ClientBuilder {
        ClientBuilder::new(self.clone(), client_id)
    }

    /// A TCP connection for bytes of one's own.
    pub async fn raw(&self) -> Raw {
        self.raw_over(Transport::Tcp).await
    }

    /// A connection over a transport for bytes of one's own; handshakes below MQTT are done.
    pub async fn raw_over(&self, transport: Transport) -> Raw {
        self.raw_behind(b"", transport).await
    }

    /// The same behind something that sends these bytes first.
    pub async fn raw_behind(&self, first: &[u8], transport: Transport) -> Raw {
        let stream = self.dial(first, transport).await;
        let stream: Box<dyn Stream> = match transport {
            Transport::Tcp | Transport::Tls => stream,
            Transport::Ws | Transport::Wss => {
                Box::new(WebSocket::handshake(stream, &self.url(transport)).await)
            }
        };
        Raw::new(stream)
    }

    /// A connection to a unix socket for bytes of one's own.
    pub async fn raw_unix(&self, path: &Path) -> std::io::Result<Raw> {
        Ok(Raw::new(Box::new(UnixStream::connect(path).await?)))
    }

    /// A connection to the listener of a WebSocket transport, for frames of one's own.
    pub async fn frames(&self, transport: Transport) -> Frames {
        Frames::new(self.dial(b"", transport).await, self.address(transport).to_string())
    }

    /// A connection over a transport on which only TLS has shaken hands: what a WebSocket says is one's own too.
    pub async fn unframed(&self, transport: Transport) -> Raw {
        Raw::new(self.dial(b"", transport).await)
    }

    /// A connection over a transport on which TLS is there and nothing has been said but these bytes before it.
    async fn dial(&self, first: &[u8], transport: Transport) -> Box<dyn Stream> {
        let address = self.address(transport);
        let mut stream = transport::tcp(address).await;
        stream.write_all(first).await.expect("a new connection takes some bytes");
        if !transport.is_secure() {
            return Box::new(stream);
        }
        let config = transport::trusting(&self.authority);
        let host = address.ip().to_string();
        Box::new(transport::tls_over(stream, config, &host).await.expect("the certificate is trusted"))
    }

    /// Shakes hands with the listener of MQTT over TLS as the server of that name, trusting an authority (PEM).
    pub async fn handshake_as(&self, name: &str, authority_pem: &[u8]) -> std::io::Result<()> {
        transport::tls(self.mqtts, transport::trusting_pem(authority_pem), name).await.map(drop)
    }

    /// A TCP connection to the listener of a transport, on which nothing has been said.
    pub async fn silent(&self, transport: Transport) -> Raw {
        Raw::new(Box::new(transport::tcp(self.address(transport)).await))
    }

    /// HTTP requests.
    pub fn http(&self) -> Http {
        Http { address: self.http, authority: None, login: None }
    }

    /// HTTPS requests.
    pub fn https(&self) -> Http {
        Http::secure(self.https, &self.authority)
    }

    /// What `/api/status` says.
    pub async fn status(&self) -> Value {
        self.http().get("/api/status").await.json()
    }

    /// What a metric is at, by its name and labels as `/metrics` has them.
    pub async fn metric(&self, name: &str) -> u64 {
        let page = self.http().get("/metrics").await;
        let value = page.text().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name}: {}", page.text()))
    }

    /// The address of a listener.
    pub fn address(&self, transport: Transport) -> SocketAddr {
        match transport {
            Transport::Tcp => self.mqtt,
            Transport::Tls => self.mqtts,
            Transport::Ws => self.http,
            Transport::Wss => self.https,
        }
    }

    pub(crate) fn url(&self, transport: Transport) -> String {
        let scheme = if transport.is_secure() { "wss" } else { "ws" };
        format!("{scheme}://{}/mqtt", self.address(transport))
    }
}
