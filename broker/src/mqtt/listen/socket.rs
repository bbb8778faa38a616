//! The sockets that listeners listen on: bound here, or handed over by whoever started the server.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, UnixListener};

/// Connections that the kernel may hold for us while we are busy.
const BACKLOG: i32 = 4096;

/// When nothing has come for so long, the kernel asks whether the other side is still there …
const KEEPALIVE_AFTER: Duration = Duration::from_mins(1);
/// … and again after each of these …
const KEEPALIVE_EVERY: Duration = Duration::from_secs(15);
/// … and gives it up when it has not answered so often.
const KEEPALIVE_TRIES: u32 = 4;
/// How long what was sent may go without an acknowledgement before the other side is given up.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_mins(2);

/// Who may use a unix socket: its owner and its group.
const UNIX_MODE: u32 = 0o660;

/// Why a unix socket cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum UnixSocketError {
    /// A server listens on it.
    #[error("a server listens on it already; stop that, or set another path in listen.mqtt_unix")]
    InUse,
    /// There is something else, which is not ours to remove.
    #[error("there is a file that is no socket; remove it, or set another path in listen.mqtt_unix")]
    NotASocket,
    /// It cannot be made.
    #[error("it cannot be made; its folder must be there and be writable")]
    System(#[from] io::Error),
}

/// Binds a listener; the address is taken exclusively.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    adopt_tcp(socket.into())
}

/// Takes a listener over. Connections have its options from their beginning, so that accepting costs no further call.
pub fn adopt_tcp(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    let socket = SockRef::from(&listener);
    socket.set_nonblocking(true)?;
    // A packet is written when it is complete: waiting for more only delays it.
    socket.set_tcp_nodelay(true)?;
    // Clients without a keep-alive that vanished without a word are found by these.
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(KEEPALIVE_EVERY)
        .with_retries(KEEPALIVE_TRIES);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX))?;
    TcpListener::from_std(listener)
}

/// Takes a listener on a unix socket over.
pub fn adopt_unix(listener: StdUnixListener) -> io::Result<UnixListener> {
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

/// Listens on a unix socket. One that a server left behind is removed, if nobody listens on it.
pub fn bind_unix(path: &Path) -> Result<UnixListener, UnixSocketError> {
    if let Ok(found) = path.symlink_metadata() {
        if !found.file_type().is_socket() {
            return Err(UnixSocketError::NotASocket);
        }
        if UnixStream::connect(path).is_ok() {
            return Err(UnixSocketError::InUse);
        }
        std::fs::remove_file(path)?;
    }
    // It has its rights before anybody finds it under its name.
    let draft = draft_of(path);
    let _ = std::fs::remove_file(&draft);
    let listener = StdUnixListener::bind(&draft)?;
    std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(UNIX_MODE))?;
    std::fs::rename(&draft, path)?;
    Ok(adopt_unix(listener)?)
}

fn draft_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_that_nobody_listens_on_is_taken_and_others_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mqtt.sock");
        let first = bind_unix(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, UNIX_MODE);
        assert!(matches!(bind_unix(&path), Err(UnixSocketError::InUse)));
        drop(first);
        assert!(path.exists(), "a server that was killed leaves it behind");
        drop(bind_unix(&path).unwrap());
        let file = folder.path().join("notes.txt");
        std::fs::write(&file, "kept").unwrap();
        assert!(matches!(bind_unix(&file), Err(UnixSocketError::NotASocket)));
        assert_eq!(std::fs::read_to_string(file).unwrap(), "kept");
        let nowhere = folder.path().join("missing/mqtt.sock");
        assert!(matches!(bind_unix(&nowhere), Err(UnixSocketError::System(_))));
    }

    #[tokio::test]
    async fn connections_have_the_options_of_their_listener() {
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(UNACKNOWLEDGED_MAX));
    }
}
