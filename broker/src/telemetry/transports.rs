//! Connections by the transport they come over.

use std::sync::Arc;

use super::Counter;

/// How a client reaches the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// MQTT over TCP.
    Tcp,
    /// MQTT over TLS.
    Tls,
    /// MQTT over a Unix socket.
    Unix,
    /// MQTT over WebSocket.
    Ws,
    /// MQTT over WebSocket and TLS.
    Wss,
}

impl Transport {
    /// All of them.
    pub const ALL: [Transport; 5] =
        [Transport::Tcp, Transport::Tls, Transport::Unix, Transport::Ws, Transport::Wss];

    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
            Transport::Unix => "unix",
            Transport::Ws => "ws",
            Transport::Wss => "wss",
        }
    }
}

/// Connections opened and closed, by transport.
#[derive(Debug, Default)]
pub struct Transports {
    counts: [Counts; Transport::ALL.len()],
}

#[derive(Debug, Default)]
struct Counts {
    opened: Counter,
    closed: Counter,
}

/// A connection that counts as open for as long as this lives.
#[derive(Debug)]
pub struct Open {
    transports: Arc<Transports>,
    transport: Transport,
}

impl Transports {
    /// Counts a connection as open while what this returns lives.
    pub fn open(self: &Arc<Transports>, transport: Transport) -> Open {
        self.of(transport).opened.add(1);
        Open { transports: Arc::clone(self), transport }
    }

    /// Those opened since the start.
    pub fn opened(&self, transport: Transport) -> u64 {
        self.of(transport).opened.get()
    }

    /// Those open now.
    pub fn open_now(&self, transport: Transport) -> u64 {
        // In this order, so that one that closes meanwhile does not count as closed before it was opened.
        let closed = self.of(transport).closed.get();
        self.of(transport).opened.get().saturating_sub(closed)
    }

    fn of(&self, transport: Transport) -> &Counts {
        &self.counts[transport as usize]
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.transports.of(self.transport).closed.add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_counts_while_it_is_open() {
        let transports = Arc::new(Transports::default());
        for (index, transport) in Transport::ALL.into_iter().enumerate() {
            assert_eq!(transport as usize, index);
            let open = transports.open(transport);
            assert_eq!(transports.open_now(transport), 1);
            drop(open);
            assert_eq!((transports.opened(transport), transports.open_now(transport)), (1, 0));
        }
    }
}
