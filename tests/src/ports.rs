//! Ports of one server: nobody else takes them while it lives, not even while it is down between two starts.
//!
//! They are below the range from which the system gives out ports, so that no client of another test and no listener on
//! "any port" comes upon them. A block is claimed by holding its last port.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

const FIRST: u16 = 10_000;
const BLOCKS: u16 = 1_200;
const BLOCK: u16 = 8;

/// A claim on the ports of one server.
#[derive(Debug)]
pub(crate) struct Ports {
    /// Held as long as the claim lasts.
    _guard: TcpListener,
    base: u16,
}

impl Ports {
    /// Claims ports that nobody else has.
    pub(crate) fn claim() -> Ports {
        // Tests run in many processes at once: each begins elsewhere.
        let begin = u16::try_from(std::process::id() % u32::from(BLOCKS)).unwrap_or(0);
        (0..BLOCKS)
            .map(|step| FIRST + (begin.wrapping_mul(31) % BLOCKS + step) % BLOCKS * BLOCK)
            .find_map(|base| {
                let guard = TcpListener::bind((Ipv4Addr::LOCALHOST, base + BLOCK - 1)).ok()?;
                // Somebody who knows nothing of claims may sit on the others.
                let free = |offset| TcpListener::bind((Ipv4Addr::LOCALHOST, base + offset)).is_ok();
                (0..4).all(free).then_some(Ports { _guard: guard, base })
            })
            .expect("of a thousand blocks of ports one is free")
    }

    /// Four of them, on an address.
    pub(crate) fn on(&self, address: impl Into<IpAddr>) -> [SocketAddr; 4] {
        let address = address.into();
        [0, 1, 2, 3].map(|offset| SocketAddr::new(address, self.base + offset))
    }
}
