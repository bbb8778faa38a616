//! What goes on in a run, as its clients see it: they come and go on a server that is killed now and then.

use std::net::SocketAddr;

use pointsman_tests::wire::{self, Connect, id, property_u32};
use pointsman_tests::{Connack, Peer};
use tokio::sync::watch;

/// What is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Publishers publish, others come and go, connections are cut.
    Load,
    /// Nothing new is published and nobody leaves.
    Drain,
    /// Everybody stops.
    Stop,
}

/// The state of things.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene {
    pub(super) phase: Phase,
    /// Whether the server can be connected to.
    pub(super) up: bool,
}

/// A client's way to the server.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) address: SocketAddr,
    pub(super) scene: watch::Receiver<Scene>,
}

impl Link {
    pub(super) fn phase(&self) -> Phase {
        self.scene.borrow().phase
    }

    /// Waits until the phase is that, or a later one.
    pub(super) async fn comes_to(&self, phase: Phase) {
        let mut scene = self.scene.clone();
        scene.wait_for(|scene| scene.phase >= phase).await.expect("the case lives longer than its clients");
    }

    /// Connects, as soon as there is a server that answers; `None` if everybody stops.
    pub(super) async fn connect(&self, connect: &Connect) -> Option<(Peer, Connack)> {
        let mut scene = self.scene.clone();
        loop {
            let up = scene.wait_for(|scene| scene.up || scene.phase == Phase::Stop).await;
            if up.expect("the case lives longer than its clients").phase == Phase::Stop {
                return None;
            }
            if let Some(connected) = Peer::connect(self.address, connect).await {
                return Some(connected);
            }
            // The server may have been killed and not be said to be.
            tokio::task::yield_now().await;
        }
    }
}

/// A CONNECT for a session that outlives its connections.
pub(super) fn resuming(level: u8, client_id: &str) -> Connect {
    let mut connect = Connect::new(level, client_id);
    connect.clean = false;
    // Who has heard everything says nothing, and on a busy machine the others take long.
    connect.keep_alive_seconds = 0;
    if level >= wire::V5 {
        connect.properties = property_u32(id::SESSION_EXPIRY, 3600);
    }
    connect
}
