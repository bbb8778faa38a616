//! What systemd is told of the program's state (`sd_notify(3)`, for units of `Type=notify`).

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tracing::debug;

/// Tells whoever started the program how it fares; nobody if nobody asked.
#[derive(Debug, Default)]
pub(super) struct Notifier {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// How often a sign of life is wanted.
    watchdog_every: Option<Duration>,
}

impl Notifier {
    /// As the environment says: `NOTIFY_SOCKET`, and `WATCHDOG_USEC` if it is meant for this process.
    pub(super) fn from_env() -> Notifier {
        let text = |name| std::env::var(name).ok();
        let watchdog = watchdog_every(
            text("WATCHDOG_USEC").as_deref(),
            text("WATCHDOG_PID").as_deref(),
            std::process::id(),
        );
        match std::env::var_os("NOTIFY_SOCKET").map(|name| open(&name)) {
            Some(Ok(socket)) => Notifier { socket: Some(socket), watchdog_every: watchdog },
            Some(Err(error)) => {
                debug!(%error, "NOTIFY_SOCKET cannot be used");
                Notifier::default()
            }
            None => Notifier::default(),
        }
    }

    /// Everything listens, and what was read anew is in force.
    pub(super) fn ready(&self) {
        self.send("READY=1");
    }

    /// The configuration is read anew.
    pub(super) fn reloading(&self) {
        self.send("RELOADING=1");
    }

    /// The end has begun.
    pub(super) fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// Gives signs of life for as long as it is polled: twice in the time after which the program counts as stuck.
    pub(super) async fn watchdog(&self) {
        let Some(every) = self.watchdog_every else { return std::future::pending().await };
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.send("WATCHDOG=1");
        }
    }

    fn send(&self, state: &str) {
        if let Some((socket, address)) = &self.socket
            && let Err(error) = socket.send_to_addr(state.as_bytes(), address)
        {
            debug!(%error, state, "NOTIFY_SOCKET does not take it");
        }
    }
}

fn open(name: &OsString) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match name.as_bytes() {
        // The name of an abstract socket begins with a zero, which is written so.
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest)?,
        _ => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    // Nobody here waits for whoever does not read.
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

/// How often a sign of life is due: twice in the time that is given.
fn watchdog_every(usec: Option<&str>, pid: Option<&str>, own_pid: u32) -> Option<Duration> {
    let micros: u64 = usec?.parse().ok().filter(|micros| *micros > 1)?;
    let is_meant = pid.is_none_or(|pid| pid.parse() == Ok(own_pid));
    is_meant.then(|| Duration::from_micros(micros / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_of_life_are_due_twice_in_the_time_that_is_given() {
        for (usec, pid, every) in [
            (Some("30000000"), None, Some(Duration::from_secs(15))),
            (Some("30000000"), Some("7"), Some(Duration::from_secs(15))),
            (Some("30000000"), Some("8"), None),
            (Some("0"), None, None),
            (Some("soon"), None, None),
            (None, Some("7"), None),
        ] {
            assert_eq!(watchdog_every(usec, pid, 7), every, "{usec:?} {pid:?}");
        }
    }

    #[test]
    fn sockets_with_a_path_and_abstract_ones_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let with_path = UnixDatagram::bind(&path).unwrap();
        let name = format!("pointsman-notify-test-{}", std::process::id());
        let abstract_name = SocketAddr::from_abstract_name(&name).unwrap();
        let without_path = UnixDatagram::bind_addr(&abstract_name).unwrap();
        for (name, listener) in
            [(path.into_os_string(), with_path), (format!("@{name}").into(), without_path)]
        {
            let notifier = Notifier { socket: Some(open(&name).unwrap()), watchdog_every: None };
            notifier.ready();
            let mut buffer = [0; 64];
            let length = listener.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"READY=1");
        }
    }
}
