//! A connection that has a fault ends as if its client were lost, and no other notices.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};

use super::tests::next;
use super::wire::{self, Packet};
use super::world::World;

/// A transport that panics on reading this byte.
struct Faulty(DuplexStream);

const FAULT: u8 = 0xff;

impl AsyncRead for Faulty {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.0).poll_read(cx, buffer);
        assert!(buffer.filled().last() != Some(&FAULT), "a fault, as this test wants it");
        read
    }
}

impl AsyncWrite for Faulty {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Joins, and says whether its session was there.
async fn join(stream: &mut DuplexStream, connect: &wire::Connect<'_>) -> bool {
    stream.write_all(&wire::connect(connect)).await.unwrap();
    let Packet::Connack { present, reason } = next(stream, &mut Vec::new()).await else {
        panic!("no CONNACK")
    };
    assert_eq!(reason, 0);
    present
}

#[tokio::test]
async fn a_fault_ends_its_connection_alone_and_in_order() {
    let mut world = World::start();
    let (mut listener, mut buffer) = (world.open(), Vec::new());
    join(
        &mut listener,
        &wire::Connect {
            client_id: "listener",
            v5: true,
            clean: true,
            receive_max: 10,
            ..Default::default()
        },
    )
    .await;
    listener.write_all(&wire::subscribe(1, None, &[("will", 0)], true)).await.unwrap();
    assert!(matches!(next(&mut listener, &mut buffer).await, Packet::Suback { .. }));
    let will = Some(("will", b"gone".as_slice(), 0, false));
    let lasting = wire::Connect {
        client_id: "faulty",
        v5: true,
        expiry: 1_000,
        receive_max: 10,
        will,
        ..Default::default()
    };
    let mut faulty = world.open_faulty(Faulty);
    assert!(!join(&mut faulty, &lasting).await);
    faulty.write_all(&[FAULT]).await.unwrap();
    let Packet::Publish(told) = next(&mut listener, &mut buffer).await else { panic!("no will") };
    assert_eq!((told.topic.as_str(), told.payload.as_slice()), ("will", b"gone".as_slice()));
    // Its place is free, and its session is there.
    let mut back = world.open();
    assert!(join(&mut back, &wire::Connect { will: None, ..lasting }).await);
    world.finish().await;
}
