//! A connection that may end at any time, as those do that a case cuts or whose server it kills.

use std::net::SocketAddr;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::raw::Connack;
use crate::wire::{self, Connect, Packet};

/// A connection over TCP that speaks in packets and takes its end as it comes. Dropping it cuts it.
pub struct Peer {
    stream: TcpStream,
    arrived: BytesMut,
}

impl Peer {
    /// Connects and reads CONNACK; `None` if the connection has ended before.
    pub async fn connect(address: SocketAddr, connect: &Connect) -> Option<(Peer, Connack)> {
        let stream = TcpStream::connect(address).await.ok()?;
        stream.set_nodelay(true).ok()?;
        let mut peer = Peer { stream, arrived: BytesMut::new() };
        peer.send(&connect.packet()).await?;
        let connack = Connack::read(&peer.next().await?);
        Some((peer, connack))
    }

    /// Writes bytes; `None` if the connection has ended.
    pub async fn send(&mut self, bytes: &[u8]) -> Option<()> {
        self.stream.write_all(bytes).await.ok()
    }

    /// The next packet, however long it takes; `None` if the connection has ended. Nothing is lost if this is given up.
    pub async fn next(&mut self) -> Option<Packet> {
        loop {
            if let Some(packet) = self.arrived() {
                return Some(packet);
            }
            if !matches!(self.stream.read_buf(&mut self.arrived).await, Ok(1..)) {
                return None;
            }
        }
    }

    /// The next packet, if it has arrived.
    pub fn arrived(&mut self) -> Option<Packet> {
        wire::take_packet(&mut self.arrived)
    }
}
