//! Which certificate the server shows.

use std::fs;
use std::path::{Path, PathBuf};

use pointsman_config::Config;

use crate::mqtt::listen::{CertificateFiles, Shown, TlsError, load_or_make};

const FOLDER: &str = "tls";

/// The operator's certificate, or the local one.
pub(super) fn load(config: &Config) -> Result<Shown, TlsError> {
    let own = match (&config.tls.certificate, &config.tls.key) {
        (Some(certificate), Some(key)) => {
            Some(CertificateFiles { certificate: certificate.clone(), key: key.clone() })
        }
        _ => None,
    };
    let folder = config.data.directory.join(FOLDER);
    fs::create_dir_all(&folder).map_err(|source| TlsError::File { path: folder.clone(), source })?;
    load_or_make(own.as_ref(), &folder, &host_name())
}

/// Where the local authority's certificate is.
pub(super) fn authority_path(data: &Path) -> PathBuf {
    data.join(FOLDER).join("ca.crt")
}

/// The machine's name, if it is one that a certificate can hold.
pub fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    if name.is_empty() || name.len() > 253 || !name.chars().all(plain) {
        String::new()
    } else {
        name.to_owned()
    }
}
