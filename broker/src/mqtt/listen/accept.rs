//! The loop that accepts, and what each connection that it lets in begins with.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use pointsman_config::ListenerKind;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::super::session::Peer;
use super::gate::{Gate, Place, Refused};
use super::proxy::{Proxied, read_header};

/// How long the listener waits when the system gives it no connection: most often the process has no file descriptor left,
/// which passes.
const BACK_OFF: [Duration; 2] = [Duration::from_millis(10), Duration::from_secs(1)];

/// Without another failure for so long, it is over.
const CALM: Duration = Duration::from_secs(1);

/// A connection that was let in.
pub struct Visit {
    /// Where it comes from, and by when its CONNECT must be complete.
    pub peer: Peer,
    /// Its place, which it holds until this is dropped.
    pub place: Place,
    /// Who let it in.
    pub gate: Arc<Gate>,
}

impl Visit {
    /// Says whose connection it is: that of the peer, or of whom a trusted proxy names in the header of the PROXY protocol
    /// where the listener has it. `None` if it is not to be served.
    pub async fn introduce(&self, stream: &mut TcpStream, kind: ListenerKind) -> Option<Peer> {
        let settings = self.gate.settings();
        let is_proxied = settings.proxy_protocol.contains(&kind) && settings.trusts(self.peer.ip);
        drop(settings);
        if !is_proxied {
            return Some(self.peer);
        }
        let header = tokio::time::timeout_at(self.peer.connect_by, read_header(stream)).await;
        match header {
            Ok(Ok(Proxied::Local)) => Some(self.peer),
            Ok(Ok(Proxied::From(ip))) => {
                self.gate.admit_client(ip).ok()?;
                Some(Peer { ip, ..self.peer })
            }
            Ok(Err(error)) => {
                debug!(proxy = %self.peer.ip, %error, "no header of the PROXY protocol");
                self.gate.refuse(self.peer.ip, Refused::ProxyHeader);
                None
            }
            Err(_) => {
                self.gate.refuse(self.peer.ip, Refused::ProxyHeader);
                None
            }
        }
    }
}

/// What connections come from.
pub trait Listener: Send + 'static {
    /// A connection.
    type Stream: Send + 'static;

    /// The next connection, and where it comes from.
    fn next(&self) -> impl Future<Output = io::Result<(Self::Stream, IpAddr)>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<(TcpStream, IpAddr)> {
        let (stream, address) = self.accept().await?;
        Ok((stream, address.ip().to_canonical()))
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;

    /// A client of a unix socket is on this machine, and is known by the address that says so.
    async fn next(&self) -> io::Result<(UnixStream, IpAddr)> {
        let (stream, _) = self.accept().await?;
        Ok((stream, IpAddr::V4(Ipv4Addr::LOCALHOST)))
    }
}

/// Accepts until told to stop; `handle` runs on a task of its own for each connection that the gate lets in.
pub async fn accept<L, H, F>(listener: L, gate: Arc<Gate>, stopping: CancellationToken, handle: H)
where
    L: Listener,
    H: Fn(L::Stream, Visit) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let mut trouble = Trouble::default();
    loop {
        let accepted = tokio::select! {
            accepted = listener.next() => accepted,
            () = stopping.cancelled() => return,
        };
        match accepted {
            Ok((stream, address)) => {
                trouble.goes(Instant::now());
                // Who is not let in is hung up on at once.
                if let Ok((peer, place)) = gate.admit(address) {
                    tokio::spawn(handle(stream, Visit { peer, place, gate: Arc::clone(&gate) }));
                }
            }
            Err(error) if is_of_one_connection(&error) => {
                debug!(%error, "a connection ended before it began");
            }
            Err(error) => {
                gate.accept_failed();
                tokio::time::sleep(trouble.begins_or_goes_on(&error)).await;
            }
        }
    }
}

/// Whether an error is about the connection that was to be accepted and not about accepting.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

/// A time in which nothing can be accepted: it is logged when it begins and when it ends.
#[derive(Debug, Default)]
struct Trouble {
    /// How long was waited last.
    waited: Option<Duration>,
    failed_at: Option<Instant>,
}

impl Trouble {
    /// How long to wait.
    fn begins_or_goes_on(&mut self, error: &io::Error) -> Duration {
        let [least, most] = BACK_OFF;
        if self.waited.is_none() {
            warn!(%error, "cannot accept connections; trying again until it goes");
        }
        let wait = self.waited.map_or(least, |waited| (2 * waited).min(most));
        self.waited = Some(wait);
        self.failed_at = Some(Instant::now());
        wait
    }

    /// A connection was accepted. Where descriptors are short one may be had now and then: it is not over as long as
    /// others were not.
    fn goes(&mut self, now: Instant) {
        if self.failed_at.is_some_and(|at| now.duration_since(at) >= CALM) {
            *self = Trouble::default();
            info!("connections are accepted again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_waited_out_ever_more_patiently() {
        let mut trouble = Trouble::default();
        let error = io::Error::from_raw_os_error(24);
        let waits: Vec<u128> = (0..9).map(|_| trouble.begins_or_goes_on(&error).as_millis()).collect();
        assert_eq!(waits, [10, 20, 40, 80, 160, 320, 640, 1_000, 1_000]);
        let now = Instant::now();
        trouble.goes(now);
        assert_eq!(
            trouble.begins_or_goes_on(&error).as_millis(),
            1_000,
            "one connection is no end of trouble"
        );
        trouble.goes(now + 2 * CALM);
        assert_eq!(trouble.begins_or_goes_on(&error).as_millis(), 10);
        assert!(!is_of_one_connection(&error));
        assert!(is_of_one_connection(&io::ErrorKind::ConnectionAborted.into()));
    }
}
