//! What lets commands of this machine act for the operator: a file in the data directory, for its owner alone, that says
//! where the server is and holds a token that is good until the server ends.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use super::{StartError, Started};
use crate::random;

const NAME: &str = "operator.json";
const OWNER_ALONE: u32 = 0o600;

/// How a server is reached, and how a command shows that it acts for the operator.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Contact {
    /// Its plain HTTP listener; none if it has none.
    pub http: Option<SocketAddr>,
    /// The token.
    pub token: String,
}

impl Contact {
    /// Reads the file of the server that has this data directory.
    pub fn read(data: &Path) -> io::Result<Contact> {
        let text = fs::read(data.join(NAME))?;
        serde_json::from_slice(&text).map_err(io::Error::from)
    }
}

/// The file of the server that runs.
pub(super) struct OperatorFile {
    path: PathBuf,
    token: Arc<str>,
}

impl OperatorFile {
    /// Writes it anew, with a token of its own.
    pub(super) fn write(data: &Path, started: &Started) -> Result<OperatorFile, StartError> {
        let path = data.join(NAME);
        let token = HEXLOWER.encode(&random::array::<32>());
        let contact = Contact { http: started.http.first().copied().map(reachable), token: token.clone() };
        let text = serde_json::to_vec(&contact).unwrap_or_default();
        let failed = |source| StartError::OperatorFile { path: path.clone(), source };
        write_whole(&path, &text).map_err(failed)?;
        Ok(OperatorFile { path, token: token.into() })
    }

    pub(super) fn token(&self) -> Arc<str> {
        Arc::clone(&self.token)
    }

    /// Takes it away: nobody is there any more.
    pub(super) fn remove(&self) {
        // Who finds it later finds nobody at its address.
        let _ = fs::remove_file(&self.path);
    }
}

/// Makes a file anew that nobody else may read at any moment.
fn write_whole(path: &Path, text: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("draft");
    let _ = fs::remove_file(&draft);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(OWNER_ALONE).open(&draft)?;
    file.write_all(text)?;
    fs::rename(&draft, path)
}

/// An address at which a listener is reached from this machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_file_is_for_its_owner_alone_and_goes_with_the_server() {
        let data = tempfile::tempdir().unwrap();
        let started = Started { http: vec!["0.0.0.0:80".parse().unwrap()], ..Started::default() };
        let file = OperatorFile::write(data.path(), &started).unwrap();
        let mode = fs::metadata(data.path().join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, OWNER_ALONE);
        let contact = Contact::read(data.path()).unwrap();
        assert_eq!(contact.http, Some("127.0.0.1:80".parse().unwrap()));
        assert_eq!(contact.token.len(), 64);
        let again = OperatorFile::write(data.path(), &started).unwrap();
        assert_ne!(again.token(), file.token(), "each start has a token of its own");
        again.remove();
        assert!(Contact::read(data.path()).is_err());
    }
}
