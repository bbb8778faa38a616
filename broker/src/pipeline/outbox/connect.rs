//! Connections to web servers: found, checked, reached, and kept for the next request.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use pointsman_config::WebAddress;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::address::permitted;
use super::retry::Outcome;
use super::settings::OutboxSettings;

/// A connection that was not used for so long is not used again: the server may be about to close it.
const IDLE_MAX: Duration = Duration::from_secs(20);
/// Bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 64 * 1024;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A connection that takes requests one after the other. Dropping it closes it.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) requests: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
    pub(super) used: Instant,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Link {
    /// Whether another request may be sent on it.
    pub(super) fn is_usable(&self) -> bool {
        !self.requests.is_closed() && self.used.elapsed() < IDLE_MAX
    }

    /// Sends a request, and gives it back where it certainly did not leave.
    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<hyper::Response<hyper::body::Incoming>, (hyper::Error, Option<Request<Full<Bytes>>>)> {
        if let Err(error) = self.requests.ready().await {
            return Err((error, Some(request)));
        }
        self.used = Instant::now();
        let sent = self.requests.try_send_request(request).await;
        sent.map_err(|mut refused| {
            let request = refused.take_message();
            (refused.into_error(), request)
        })
    }
}

/// Makes connections.
pub(super) struct Connector {
    settings: Arc<OutboxSettings>,
    /// Made when the first server with TLS is reached: reading the system's authorities takes a while.
    tls: OnceCell<TlsConnector>,
}

impl Connector {
    pub(super) fn new(settings: Arc<OutboxSettings>) -> Connector {
        Connector { settings, tls: OnceCell::new() }
    }

    /// Connects to a server, within `patience`.
    pub(super) async fn connect(&self, url: &WebAddress, patience: Duration) -> Result<Link, Outcome> {
        match tokio::time::timeout(patience, self.try_connect(url)).await {
            Ok(link) => link,
            Err(_) => {
                Err(Outcome::unreachable(format!("{} was not reached within {patience:?}", url.server())))
            }
        }
    }

    async fn try_connect(&self, url: &WebAddress) -> Result<Link, Outcome> {
        let failed = |doing: &str, error: &dyn std::error::Error| {
            Outcome::unreachable(format!("{doing} {}: {}", url.server(), crate::report::chain(error)))
        };
        let found = if let Some(address) = url.ip() {
            vec![SocketAddr::new(address, url.port())]
        } else {
            let found = lookup_host((url.host(), url.port())).await;
            found.map_err(|error| failed("cannot find", &error))?.collect()
        };
        let addresses = permitted(url.host(), found, &self.settings.private).map_err(Outcome::Refused)?;
        let stream = reach(&addresses).await.map_err(|error| failed("cannot reach", &error))?;
        let stream: Box<dyn Stream> = if url.is_secure() {
            let tls = self.tls.get_or_try_init(|| self.authorities()).await;
            let tls = tls.map_err(Outcome::unreachable)?;
            let name = ServerName::try_from(url.host().to_owned()).map_err(|error| {
                Outcome::Refused(format!("{} cannot have a certificate: {error}", url.host()))
            })?;
            let stream = tls.connect(name, stream).await;
            Box::new(stream.map_err(|error| failed("no TLS with", &error))?)
        } else {
            Box::new(stream)
        };
        let handshake = Builder::new().max_buf_size(HEAD_BYTES_MAX).handshake(TokioIo::new(stream)).await;
        let (requests, connection) = handshake.map_err(|error| failed("cannot speak to", &error))?;
        let driver = tokio::spawn(async move {
            // How it ended is what the request is told.
            let _ = connection.await;
        });
        Ok(Link { requests, driver, used: Instant::now() })
    }

    /// Trusts the authorities of the system and that of the settings.
    async fn authorities(&self) -> Result<TlsConnector, String> {
        let extra = self.settings.authority.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut roots = RootCertStore::empty();
            let system = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(system.certs);
            if let Some(path) = extra {
                let certificates =
                    CertificateDer::pem_file_iter(&path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
                let certificates = certificates.map_err(|error| {
                    format!("rules.webhooks.authority {} cannot be read: {error}", path.display())
                })?;
                roots.add_parsable_certificates(certificates);
            }
            if roots.is_empty() {
                return Err("this system has no authorities to trust: install its CA certificates, or set \
                            rules.webhooks.authority"
                    .to_owned());
            }
            Ok(roots)
        });
        let roots = read.await.map_err(|error| error.to_string())??;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut config =
            config.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

/// The first of the addresses that answers.
async fn reach(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // A request is written whole: waiting for more of it would only delay it.
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
