//! What every client of a run shares: the server's address, what is going on, and the books.

use std::net::SocketAddr;
use std::sync::Arc;

use pointsman_tests::wire::{self, Connect, id, property_u16, property_u32};
use pointsman_tests::{Connack, Peer};
use tokio::sync::watch;

use super::books::Books;

/// What is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Publishers publish, subscribers come and go, connections are cut.
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

/// See the module.
#[derive(Clone)]
pub(super) struct World {
    pub(super) address: SocketAddr,
    pub(super) scene: watch::Receiver<Scene>,
    pub(super) books: Arc<Books>,
    /// Whether the disk is full now and then, so that the server may refuse what it cannot keep.
    pub(super) disk_fills: bool,
}

impl World {
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
            match Peer::connect(self.address, connect).await {
                // A session that the disk refused to change is not taken up before the disk takes it.
                Some((_, connack)) if self.disk_fills && connack.code != 0 => self.books.refused(),
                Some((peer, connack)) => return Some((peer, connack)),
                // The server may have been killed and not be said to be.
                None => {}
            }
            tokio::task::yield_now().await;
        }
    }
}

/// A CONNECT for a session that outlives its connections. `receive_max` is for MQTT 5 alone.
pub(super) fn resuming(level: u8, client_id: &str, receive_max: u16) -> Connect {
    let mut connect = Connect::new(level, client_id);
    connect.clean = false;
    // Who has heard everything says nothing, and on a busy machine the others take long.
    connect.keep_alive_seconds = 0;
    if level >= wire::V5 {
        connect.properties = property_u32(id::SESSION_EXPIRY, 3600);
        connect.properties.extend(property_u16(id::RECEIVE_MAX, receive_max));
    }
    connect
}
