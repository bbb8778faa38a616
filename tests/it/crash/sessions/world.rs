//! What every client of a run shares: the way to the server, and the books.

use std::sync::Arc;

use pointsman_tests::wire::{self, Connect, id, property_u16};
use pointsman_tests::{Connack, Peer};

use super::super::scene::{self, Link};
use super::books::Books;

/// See the module.
#[derive(Clone)]
pub(super) struct World {
    pub(super) link: Link,
    pub(super) books: Arc<Books>,
    /// Whether the disk is full now and then, so that the server may refuse what it cannot keep.
    pub(super) disk_fills: bool,
}

impl World {
    /// Connects, as soon as there is a server that takes the session up; `None` if everybody stops.
    pub(super) async fn connect(&self, connect: &Connect) -> Option<(Peer, Connack)> {
        loop {
            let (peer, connack) = self.link.connect(connect).await?;
            if !self.disk_fills || connack.code == 0 {
                return Some((peer, connack));
            }
            // A session that the disk refused to change is not taken up before the disk takes it.
            self.books.refused.raise();
            tokio::task::yield_now().await;
        }
    }
}

/// A CONNECT for a session that outlives its connections. `receive_max` is for MQTT 5 alone.
pub(super) fn resuming(level: u8, client_id: &str, receive_max: u16) -> Connect {
    let mut connect = scene::resuming(level, client_id);
    if level >= wire::V5 {
        connect.properties.extend(property_u16(id::RECEIVE_MAX, receive_max));
    }
    connect
}
