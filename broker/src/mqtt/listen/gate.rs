//! Who is let in before a byte was read: how many connections there may be, how fast one address may open them, and
//! whose word is taken for a client's address. All of it can change while the server runs.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use pointsman_config::{ForwardedHeader, ListenerKind, Network, Origin};
use tokio::time::Instant;
use tracing::debug;

use super::super::session::Peer;
use super::rate::AddressRates;
use crate::telemetry::{Counter, Telemetry};

/// What the listeners go by; the names are those of the configuration.
#[derive(Debug, Clone)]
pub struct GateSettings {
    /// Connections at a time.
    pub connections_max: usize,
    /// Connections that one address may open in a second.
    pub connects_per_address_per_second: u32,
    /// From accepting a connection to the end of its CONNECT.
    pub connect_timeout: Duration,
    /// Origins whose pages may open a WebSocket, besides this server's own.
    pub origins: Vec<Origin>,
    /// After so long without traffic a WebSocket is sent a ping; zero for never.
    pub websocket_ping: Duration,
    /// Proxies whose word is taken for a client's address.
    pub trusted_proxies: Vec<Network>,
    /// Listeners on which they begin with a header of the PROXY protocol.
    pub proxy_protocol: Vec<ListenerKind>,
    /// The header of HTTP in which they say it.
    pub forwarded_header: ForwardedHeader,
}

impl GateSettings {
    /// Whether the address is that of a proxy whose word is taken.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(address))
    }
}

/// Lets connections in, or not.
#[derive(Debug)]
pub struct Gate {
    settings: ArcSwap<GateSettings>,
    rates: Mutex<AddressRates>,
    telemetry: Arc<Telemetry>,
    started: Instant,
}

/// The place of one connection among `connections_max`, until it is dropped.
#[derive(Debug)]
pub struct Place {
    telemetry: Arc<Telemetry>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.telemetry.connections_open.leave();
    }
}

/// Why a connection is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There are too many.
    #[error("limits.connections_max is reached")]
    ConnectionsMax,
    /// This address opens too many too fast.
    #[error("the address has opened more than limits.connects_per_address_per_second")]
    ConnectRate,
    /// A page of an origin that is not listed.
    #[error("listen.origins does not list the page's origin")]
    Origin,
    /// The header of the PROXY protocol is missing or wrong.
    #[error("a trusted proxy sent no right header of the PROXY protocol")]
    ProxyHeader,
}

impl Gate {
    /// A gate that goes by `settings`.
    pub fn new(settings: GateSettings, telemetry: Arc<Telemetry>) -> Arc<Gate> {
        let rates = Mutex::default();
        Arc::new(Gate {
            settings: ArcSwap::from_pointee(settings),
            rates,
            telemetry,
            started: Instant::now(),
        })
    }

    /// What it goes by now.
    pub fn settings(&self) -> Guard<Arc<GateSettings>> {
        self.settings.load()
    }

    /// Goes by other settings from now on; connections that are there stay.
    pub fn set(&self, settings: GateSettings) {
        self.settings.store(Arc::new(settings));
    }

    /// Lets a connection from that address in. A trusted proxy is not one address of many: who is behind it is asked with
    /// [`Gate::admit_client`], once that is known.
    pub fn admit(&self, address: IpAddr) -> Result<(Peer, Place), Refused> {
        let settings = self.settings();
        let max = u64::try_from(settings.connections_max).unwrap_or(u64::MAX);
        if !self.telemetry.connections_open.enter(max) {
            return Err(self.refuse(address, Refused::ConnectionsMax));
        }
        let place = Place { telemetry: Arc::clone(&self.telemetry) };
        if !settings.trusts(address) {
            self.admit_client(address)?;
        }
        Ok((Peer { ip: address, connect_by: Instant::now() + settings.connect_timeout }, place))
    }

    /// Takes one connection from the allowance of an address.
    pub fn admit_client(&self, address: IpAddr) -> Result<(), Refused> {
        let per_second = self.settings().connects_per_address_per_second;
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        if rates.take(address, per_second, self.started.elapsed()) {
            return Ok(());
        }
        drop(rates);
        Err(self.refuse(address, Refused::ConnectRate))
    }

    /// Counts and logs a refusal, and gives it back.
    pub fn refuse(&self, address: IpAddr, refused: Refused) -> Refused {
        self.telemetry.refusals_total.add(1);
        self.counter(refused).add(1);
        debug!(ip = %address, reason = %refused, "refused");
        refused
    }

    /// Counts that the system would not give a connection.
    pub(super) fn accept_failed(&self) {
        self.telemetry.accept_errors_total.add(1);
    }

    fn counter(&self, refused: Refused) -> &Counter {
        let refusals = &self.telemetry.refusals;
        match refused {
            Refused::ConnectionsMax => &refusals.connections_max,
            Refused::ConnectRate => &refusals.connect_rate,
            Refused::Origin => &refusals.origin,
            Refused::ProxyHeader => &refusals.proxy_header,
        }
    }
}
