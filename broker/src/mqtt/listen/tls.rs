//! Certificates: those of the configuration, or a local authority and a server certificate made at first start.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// Certificate and key of an operator who has their own.
#[derive(Debug, Clone)]
pub struct CertificateFiles {
    /// PEM: the server's certificate, then those that lead to a root.
    pub certificate: PathBuf,
    /// PEM: its private key.
    pub key: PathBuf,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("cannot use {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// There is no TLS in this build.
    #[error("TLS cannot be set up")]
    Library(#[source] rustls::Error),
    /// A certificate could not be made.
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
    /// A file is no PEM of what it should hold.
    #[error("{path} holds no usable {what}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What was sought in it.
        what: &'static str,
    },
    /// Certificate and key do not go together.
    #[error("{certificate} and {key} do not go together")]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What rustls said.
        #[source]
        source: rustls::Error,
    },
}

/// What the server shows of itself, which can be replaced while it runs: handshakes that begin afterwards show the new.
#[derive(Debug)]
pub struct Certificates {
    shown: ArcSwap<Shown>,
}

/// A certificate with its key, ready to be shown.
#[derive(Debug, Clone)]
pub struct Shown {
    key: Arc<CertifiedKey>,
    /// The local authority's certificate (PEM) if that is what signed: what users are to trust. None with certificates of
    /// the operator's own.
    pub authority_pem: Option<Arc<str>>,
}

impl Certificates {
    /// Shows this.
    pub fn new(shown: Shown) -> Arc<Certificates> {
        Arc::new(Certificates { shown: ArcSwap::from_pointee(shown) })
    }

    /// Shows something else from now on.
    pub fn set(&self, shown: Shown) {
        self.shown.store(Arc::new(shown));
    }

    /// What users are to trust, if that is not somebody they trust anyway.
    pub fn authority_pem(&self) -> Option<Arc<str>> {
        self.shown.load().authority_pem.clone()
    }

    /// What shakes hands.
    pub fn acceptor(self: &Arc<Certificates>) -> Result<TlsAcceptor, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Library)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Certificates>::clone(self));
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _client: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.shown.load().key))
    }
}

/// Loads the operator's certificate, or the local one of `directory`, which is made if it is not there.
///
/// The local server certificate names `localhost`, `127.0.0.1`, `::1` and `host_name`. It is made anew with the same
/// authority when the host has another name than before, so that trust given once lasts.
pub fn load_or_make(
    own: Option<&CertificateFiles>,
    directory: &Path,
    host_name: &str,
) -> Result<Shown, TlsError> {
    if let Some(files) = own {
        return Ok(Shown { key: load_key(&files.certificate, &files.key)?, authority_pem: None });
    }
    let authority = directory.join("ca.crt");
    let authority_key = directory.join("ca.key");
    if !authority.exists() || !authority_key.exists() {
        make_authority(&authority, &authority_key)?;
    }
    let certificate = directory.join("server.crt");
    let key = directory.join("server.key");
    let names = directory.join("server.names");
    if !certificate.exists() || !key.exists() || fs::read_to_string(&names).ok().as_deref() != Some(host_name)
    {
        make_server(&authority_key, &certificate, &key, host_name)?;
        write_file(&names, host_name, 0o644)?;
    }
    let authority_pem = Some(Arc::from(read_file(&authority)?));
    Ok(Shown { key: load_key(&certificate, &key)?, authority_pem })
}

fn make_authority(certificate: &Path, key: &Path) -> Result<(), TlsError> {
    let pair = KeyPair::generate()?;
    let made = authority_params().self_signed(&pair)?;
    write_file(key, &pair.serialize_pem(), 0o600)?;
    write_file(certificate, &made.pem(), 0o644)
}

/// All that is in the authority's certificate besides its key; constant, so that it can sign without being read.
fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Pointsman local authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2050, 1, 1);
    params
}

fn make_server(
    authority_key: &Path,
    certificate: &Path,
    key: &Path,
    host_name: &str,
) -> Result<(), TlsError> {
    let signer = KeyPair::from_pem(&read_file(authority_key)?)?;
    let issuer = Issuer::new(authority_params(), signer);
    let pair = KeyPair::generate()?;
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if !host_name.is_empty() && !names.iter().any(|name| name == host_name) {
        names.push(host_name.to_owned());
    }
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "Pointsman");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2050, 1, 1);
    let made = params.signed_by(&pair, &issuer)?;
    write_file(key, &pair.serialize_pem(), 0o600)?;
    write_file(certificate, &made.pem(), 0o644)
}

/// Reads a certificate with its key, and sees that they go together.
fn load_key(certificate: &Path, key: &Path) -> Result<Arc<CertifiedKey>, TlsError> {
    let no_certificate = || TlsError::Pem { path: certificate.to_owned(), what: "certificate" };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|_| no_certificate())?;
    if chain.is_empty() {
        return Err(no_certificate());
    }
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|_| TlsError::Pem { path: key.to_owned(), what: "private key" })?;
    let provider = rustls::crypto::ring::default_provider();
    let certified = CertifiedKey::from_der(chain, private, &provider).map_err(|source| TlsError::Pair {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        source,
    })?;
    Ok(Arc::new(certified))
}

fn read_file(path: &Path) -> Result<String, TlsError> {
    fs::read_to_string(path).map_err(|source| TlsError::File { path: path.to_owned(), source })
}

/// Writes a file whole or not at all, with its rights from the first moment.
fn write_file(path: &Path, text: &str, mode: u32) -> Result<(), TlsError> {
    let draft = path.with_extension("new");
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&draft)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&draft, path));
    written.map_err(|source| TlsError::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_local_authority_stays_and_its_key_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let first = load_or_make(None, directory.path(), "alpha").unwrap().authority_pem.unwrap();
        let server = fs::read_to_string(directory.path().join("server.crt")).unwrap();
        let again = load_or_make(None, directory.path(), "alpha").unwrap().authority_pem.unwrap();
        assert_eq!(first, again);
        assert_eq!(server, fs::read_to_string(directory.path().join("server.crt")).unwrap());
        let renamed = load_or_make(None, directory.path(), "beta").unwrap().authority_pem.unwrap();
        assert_eq!(first, renamed);
        assert_ne!(server, fs::read_to_string(directory.path().join("server.crt")).unwrap());
        for key in ["ca.key", "server.key"] {
            let mode = fs::metadata(directory.path().join(key)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{key}");
        }
    }

    #[test]
    fn certificates_that_cannot_be_used_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("x.pem");
        fs::write(&file, "not a certificate").unwrap();
        let files = CertificateFiles { certificate: file.clone(), key: file };
        let error = load_or_make(Some(&files), directory.path(), "alpha").unwrap_err();
        assert!(error.to_string().contains("x.pem"), "{error}");
    }
}
