//! The four ways to a server, dialled: TCP, TLS, WebSocket, secure WebSocket.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A way to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// MQTT over TCP.
    Tcp,
    /// MQTT over TLS.
    Tls,
    /// MQTT over WebSocket.
    Ws,
    /// MQTT over WebSocket over TLS.
    Wss,
}

impl Transport {
    /// All of them.
    pub const ALL: [Transport; 4] = [Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];

    /// Whether it is inside TLS.
    pub fn is_secure(self) -> bool {
        matches!(self, Transport::Tls | Transport::Wss)
    }
}

/// Bytes both ways, over whatever.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// What trusts the authority in a PEM file and nobody else.
pub(crate) fn trusting(authority: &Path) -> Arc<ClientConfig> {
    let pem = std::fs::read(authority)
        .unwrap_or_else(|error| panic!("the authority's certificate {}: {error}", authority.display()));
    trusting_pem(&pem)
}

/// What trusts the authority of a PEM text and nobody else.
pub(crate) fn trusting_pem(pem: &[u8]) -> Arc<ClientConfig> {
    let certificate = CertificateDer::from_pem_slice(pem).expect("the authority's certificate is PEM");
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("the authority's certificate can be trusted");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.expect("ring knows the default versions");
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

pub(crate) async fn tcp(address: SocketAddr) -> TcpStream {
    let stream =
        TcpStream::connect(address).await.unwrap_or_else(|error| panic!("connecting to {address}: {error}"));
    stream.set_nodelay(true).expect("a new socket takes options");
    stream
}

pub(crate) async fn tls(
    address: SocketAddr,
    config: Arc<ClientConfig>,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    tls_over(tcp(address).await, config, name).await
}

pub(crate) async fn tls_over(
    stream: TcpStream,
    config: Arc<ClientConfig>,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(name.to_owned()).expect("the name of a server");
    TlsConnector::from(config).connect(name, stream).await
}
