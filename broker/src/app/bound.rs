//! The sockets that the server listens on: all are bound before anything on disk is touched.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use pointsman_config::Listen;
use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::{StartError, Started};
use crate::api::http::{self, Api};
use crate::mqtt::listen::{self, Gate};

/// Sockets that whoever started the program has bound already, such as systemd. Those of a kind take the place of what
/// the configuration says for it.
#[derive(Debug, Default)]
pub struct Inherited {
    /// MQTT over TCP.
    pub mqtt: Vec<std::net::TcpListener>,
    /// MQTT over TLS.
    pub mqtts: Vec<std::net::TcpListener>,
    /// HTTP.
    pub http: Vec<std::net::TcpListener>,
    /// HTTPS.
    pub https: Vec<std::net::TcpListener>,
    /// MQTT over unix sockets.
    pub mqtt_unix: Vec<std::os::unix::net::UnixListener>,
}

/// Every listener of a server.
pub(super) struct Bound {
    mqtt: Vec<TcpListener>,
    mqtts: Vec<TcpListener>,
    http: Vec<TcpListener>,
    https: Vec<TcpListener>,
    mqtt_unix: Vec<UnixListener>,
    /// The unix sockets that are the server's own to remove.
    unix_paths: Vec<PathBuf>,
}

impl Bound {
    /// Binds what the configuration says and nobody has handed over.
    pub(super) fn bind(section: &Listen, inherited: Inherited) -> Result<Bound, StartError> {
        let (mqtt_unix, unix_paths) = if inherited.mqtt_unix.is_empty() {
            (bind_unix(&section.mqtt_unix)?, section.mqtt_unix.clone())
        } else {
            (adopt(inherited.mqtt_unix, "mqtt_unix", listen::adopt_unix)?, Vec::new())
        };
        let bind = |kind, inherited: Vec<_>, addresses: &[SocketAddr]| {
            if inherited.is_empty() {
                bind(kind, addresses)
            } else {
                adopt(inherited, kind, listen::adopt_tcp)
            }
        };
        Ok(Bound {
            mqtt: bind("mqtt", inherited.mqtt, &section.mqtt)?,
            mqtts: bind("mqtts", inherited.mqtts, &section.mqtts)?,
            http: bind("http", inherited.http, &section.http)?,
            https: bind("https", inherited.https, &section.https)?,
            mqtt_unix,
            unix_paths,
        })
    }

    /// Says where it listens.
    pub(super) fn note(&self, started: &mut Started) {
        let of = |listeners: &[TcpListener]| listeners.iter().filter_map(|it| it.local_addr().ok()).collect();
        started.mqtt = of(&self.mqtt);
        started.mqtts = of(&self.mqtts);
        started.http = of(&self.http);
        started.https = of(&self.https);
        started.mqtt_unix.clone_from(&self.unix_paths);
    }

    /// Begins to accept.
    pub(super) fn serve(self, acceptor: &TlsAcceptor, gate: &Arc<Gate>, api: &Api, tasks: &TaskTracker) {
        let (hub, gate) = (|| Arc::clone(&api.hub), || Arc::clone(gate));
        for listener in self.mqtt {
            tasks.spawn(listen::serve_tcp(listener, gate(), hub()));
        }
        for listener in self.mqtts {
            tasks.spawn(listen::serve_tls(listener, acceptor.clone(), gate(), hub()));
        }
        for listener in self.mqtt_unix {
            tasks.spawn(listen::serve_unix(listener, gate(), hub()));
        }
        for listener in self.http {
            tasks.spawn(http::serve_plain(listener, gate(), api.clone()));
        }
        for listener in self.https {
            tasks.spawn(http::serve_tls(listener, acceptor.clone(), gate(), api.clone()));
        }
    }
}

fn bind(kind: &'static str, addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, StartError> {
    let mut listeners = Vec::new();
    for &address in addresses {
        match listen::bind(address) {
            Ok(listener) => listeners.push(listener),
            // A machine without IPv6 has no ::1; 127.0.0.1 is there all the same.
            Err(error) if address.is_ipv6() && address.ip().is_loopback() && is_missing(&error) => {
                debug!(%address, %error, "not listening: this machine has no such address");
            }
            Err(source) => {
                let hint = match source.kind() {
                    std::io::ErrorKind::AddrInUse => {
                        " (stop the program that has it, or set another address in [listen])"
                    }
                    std::io::ErrorKind::PermissionDenied => " (ports below 1024 need the right to use them)",
                    _ => "",
                };
                return Err(StartError::Bind { address, kind, source, hint });
            }
        }
    }
    Ok(listeners)
}

/// Whether an error says that there is no such address or family here.
fn is_missing(error: &std::io::Error) -> bool {
    const NO_SUCH_FAMILY: i32 = 97;
    error.kind() == std::io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(NO_SUCH_FAMILY)
}

fn bind_unix(paths: &[PathBuf]) -> Result<Vec<UnixListener>, StartError> {
    let bind = |path: &PathBuf| {
        listen::bind_unix(path).map_err(|source| StartError::Unix { path: path.clone(), source })
    };
    paths.iter().map(bind).collect()
}

/// Takes sockets over that were handed over.
fn adopt<S, L>(
    sockets: Vec<S>,
    kind: &'static str,
    adopt: impl Fn(S) -> std::io::Result<L>,
) -> Result<Vec<L>, StartError> {
    let adopt = |socket| adopt(socket).map_err(|source| StartError::Inherited { kind, source });
    sockets.into_iter().map(adopt).collect()
}
