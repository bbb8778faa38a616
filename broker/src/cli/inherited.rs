//! Sockets that systemd has bound for the program (`sd_listen_fds(3)`), told apart by the names their units give them.

use anyhow::{Context, bail};
use listenfd::ListenFd;

use crate::app::Inherited;

/// What the names may be, in the words of an error.
const NAMES: &str = "set FileDescriptorName= of each socket unit to mqtt, mqtts, http, https or mqtt_unix";

/// Takes the sockets that there are; most often none.
pub(super) fn take() -> anyhow::Result<Inherited> {
    // It is read before the sockets are taken, which removes what the environment says of them.
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut sockets = ListenFd::from_env();
    let names = names_of(&names, sockets.len())?;
    let mut inherited = Inherited::default();
    for (index, name) in names.into_iter().enumerate() {
        let wrong = || format!("the socket that was handed over as {name:?}");
        if name == "mqtt_unix" {
            inherited.mqtt_unix.extend(sockets.take_unix_listener(index).with_context(wrong)?);
            continue;
        }
        let socket = sockets.take_tcp_listener(index).with_context(wrong)?;
        match name {
            "mqtt" => inherited.mqtt.extend(socket),
            "mqtts" => inherited.mqtts.extend(socket),
            "http" => inherited.http.extend(socket),
            "https" => inherited.https.extend(socket),
            other => bail!("a socket was handed over as {other:?}, which says nothing: {NAMES}"),
        }
    }
    Ok(inherited)
}

/// The name of each socket.
fn names_of(names: &str, count: usize) -> anyhow::Result<Vec<&str>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let names: Vec<&str> = names.split(':').collect();
    if names.len() != count || names.contains(&"") {
        bail!("{count} sockets were handed over with the names {names:?}: {NAMES}");
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_socket_needs_a_name() {
        assert_eq!(names_of("mqtt:https", 2).unwrap(), ["mqtt", "https"]);
        assert!(names_of("", 0).unwrap().is_empty());
        assert!(names_of("whatever", 0).unwrap().is_empty());
        for (names, count) in [("", 1), ("mqtt", 2), ("mqtt:", 2), ("mqtt:http", 1)] {
            let error = names_of(names, count).unwrap_err().to_string();
            assert!(error.contains("FileDescriptorName="), "{error}");
        }
    }
}
