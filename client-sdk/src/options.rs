//! Where to connect to, as whom, and whom to trust.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rumqttc::v5::MqttOptions;
use rumqttc::{TlsConfiguration, Transport};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::error::ConnectError;

/// How often the client shows that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// The largest packet that the client takes.
const PACKET_BYTES_MAX: u32 = 16 * 1024 * 1024;

/// How a client connects.
#[derive(Debug, Clone)]
pub struct Options {
    url: String,
    client_id: String,
    authority: Option<PathBuf>,
    login: Option<(String, String)>,
}

impl Options {
    /// Connects to `url` (`mqtt`, `mqtts`, `ws` or `wss`) under a client id that no other client has.
    pub fn new(url: impl Into<String>, client_id: impl Into<String>) -> Options {
        Options { url: url.into(), client_id: client_id.into(), authority: None, login: None }
    }

    /// Trusts the authority whose certificate is in a PEM file, and nobody else; secure URLs need it.
    #[must_use]
    pub fn authority_file(mut self, path: impl AsRef<Path>) -> Options {
        self.authority = Some(path.as_ref().to_owned());
        self
    }

    /// Authenticates; without, the client is a guest.
    #[must_use]
    pub fn login(mut self, user: impl Into<String>, password: impl Into<String>) -> Options {
        self.login = Some((user.into(), password.into()));
        self
    }

    /// The URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn to_mqtt(&self) -> Result<MqttOptions, ConnectError> {
        let wrong = || ConnectError::Url { url: self.url.clone() };
        let (scheme, rest) = self.url.split_once("://").ok_or_else(wrong)?;
        let (host, port, transport) = match scheme {
            "mqtt" => (host(rest), port(rest, 1883), Transport::Tcp),
            "mqtts" => (host(rest), port(rest, 8883), Transport::tls_with_config(self.trust()?)),
            // For these the URL goes whole, with its path.
            "ws" => (Some(self.url.as_str()), Some(0), Transport::Ws),
            "wss" => (Some(self.url.as_str()), Some(0), Transport::wss_with_config(self.trust()?)),
            _ => return Err(wrong()),
        };
        let (host, port) = (host.ok_or_else(wrong)?, port.ok_or_else(wrong)?);
        let mut options = MqttOptions::new(&self.client_id, host, port);
        options.set_transport(transport).set_keep_alive(KEEP_ALIVE);
        options.set_max_packet_size(Some(PACKET_BYTES_MAX));
        if let Some((user, password)) = &self.login {
            options.set_credentials(user, password);
        }
        Ok(options)
    }

    fn trust(&self) -> Result<TlsConfiguration, ConnectError> {
        let Some(path) = &self.authority else {
            return Err(ConnectError::AuthorityUnknown { url: self.url.clone() });
        };
        let certificate = CertificateDer::from_pem_file(path)
            .map_err(|source| ConnectError::Authority { path: path.clone(), source })?;
        let unusable = |source| ConnectError::AuthorityUnusable { path: path.clone(), source };
        let mut roots = RootCertStore::empty();
        roots.add(certificate).map_err(unusable)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = builder.map_err(unusable)?.with_root_certificates(roots).with_no_client_auth();
        Ok(TlsConfiguration::Rustls(Arc::new(config)))
    }
}

/// The host of `host`, `host:port`, `host/` and so on.
fn host(rest: &str) -> Option<&str> {
    let authority = rest.split('/').next()?;
    let host = authority.split_once(':').map_or(authority, |(host, _)| host);
    (!host.is_empty()).then_some(host)
}

fn port(rest: &str, default: u16) -> Option<u16> {
    match rest.split('/').next()?.split_once(':') {
        Some((_, port)) => port.parse().ok(),
        None => Some(default),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> Option<(String, u16)> {
        Options::new(url, "me").to_mqtt().ok().map(|options| options.broker_address())
    }

    #[test]
    fn a_url_says_where_to_go() {
        assert_eq!(address("mqtt://example.org"), Some(("example.org".to_owned(), 1883)));
        assert_eq!(address("mqtt://example.org:18/"), Some(("example.org".to_owned(), 18)));
        for wrong in [
            "",
            "localhost:1883",
            "http://localhost",
            "mqtt://",
            "mqtt://:1883",
            "mqtt://a:b",
            "mqtt://a:70000",
        ] {
            let error = Options::new(wrong, "me").to_mqtt().err().map(|error| error.to_string());
            assert!(error.is_some_and(|error| error.contains("mqtt://host:port")), "{wrong}");
        }
    }

    #[test]
    fn a_secure_url_needs_an_authority_that_is_one() {
        for url in ["mqtts://localhost", "wss://localhost:8443/mqtt"] {
            assert!(matches!(Options::new(url, "me").to_mqtt(), Err(ConnectError::AuthorityUnknown { .. })));
            let missing = Options::new(url, "me").authority_file("/nowhere/ca.crt").to_mqtt();
            assert!(matches!(missing, Err(ConnectError::Authority { .. })), "{missing:?}");
        }
    }
}
