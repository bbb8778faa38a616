//! Enhanced authentication over a method that asks for a sum.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::Instant;

use crate::auth::{Auth, Exchange, Method, PasswordHash, Policy, Step};
use crate::mqtt::codec::{ConnackOptions, Reason, Version, encode_auth, encode_connack};
use crate::mqtt::fuzzing::session::world::World;
use crate::mqtt::session::{Peer, serve};

/// The client says its name, is asked for 1 + 1, and says 2.
#[derive(Debug)]
struct Sum;

#[derive(Debug)]
struct Asked(Arc<str>);

impl Method for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }

    fn start(&self, _: &str, data: &[u8]) -> (Step, Box<dyn Exchange>) {
        let user = String::from_utf8_lossy(data);
        (Step::Continue(b"1+1".to_vec()), Box::new(Asked(Arc::from(&*user))))
    }
}

impl Exchange for Asked {
    fn step(&mut self, data: &[u8]) -> Step {
        match data {
            b"2" => Step::Done { user: Arc::clone(&self.0), data: b"right".to_vec() },
            b"?" => Step::Continue(b"1+1".to_vec()),
            _ => Step::Fail,
        }
    }
}

fn world() -> World {
    let auth = Auth::new(true, Policy::admin(), PasswordHash::of("x", [0; 16]));
    World::start_with(auth.with_method(Arc::new(Sum)))
}

fn text(bytes: &str) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).unwrap();
    [&len.to_be_bytes(), bytes.as_bytes()].concat()
}

/// CONNECT of MQTT 5 as client `c`, by this method.
fn connect(method: Option<&str>) -> Vec<u8> {
    let properties =
        method.map(|method| [vec![0x15], text(method), vec![0x16], text("ann")].concat()).unwrap_or_default();
    let len = u8::try_from(properties.len()).unwrap();
    let body = [text("MQTT"), vec![5, 2, 0, 0, len], properties, text("c")].concat();
    [vec![0x10, u8::try_from(body.len()).unwrap()], body].concat()
}

fn auth(reason: Reason, method: &str, data: &str) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode_auth(&mut out, reason, method, Some(data.as_bytes()));
    out.to_vec()
}

fn answer(data: &str) -> Vec<u8> {
    auth(Reason::ContinueAuthentication, "sum", data)
}

/// A client, and what it has read.
struct Client(DuplexStream);

impl Client {
    async fn says(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// The next packet, whole.
    async fn hears(&mut self) -> Vec<u8> {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).await.expect("the server says something");
        assert!(head[1] < 0x80, "a short packet");
        let mut body = vec![0; usize::from(head[1])];
        self.0.read_exact(&mut body).await.expect("the server says all of it");
        [&head[..], &body].concat()
    }

    /// The reason of CONNACK or DISCONNECT, with which the connection ends.
    async fn refused(mut self) -> u8 {
        let last = self.hears().await;
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty(), "more after the end: {rest:?}");
        match last[0] {
            0x20 => last[3],
            0xe0 => last[2],
            other => panic!("{other:#x} ends nothing"),
        }
    }

    /// Authenticates.
    async fn shows(&mut self) {
        self.says(&connect(Some("sum"))).await;
        assert_eq!(self.hears().await, answer("1+1"));
        self.says(&answer("2")).await;
        let connack = self.hears().await;
        assert_eq!((connack[0], connack[3]), (0x20, 0), "{connack:?}");
    }
}

#[tokio::test]
async fn a_client_shows_who_it_is_and_again() {
    let mut world = world();
    let mut client = Client(world.open());
    client.says(&connect(Some("sum"))).await;
    assert_eq!(client.hears().await, answer("1+1"));
    client.says(&answer("?")).await;
    assert_eq!(client.hears().await, answer("1+1"));
    client.says(&answer("2")).await;
    let connack = client.hears().await;
    let mut expected = BytesMut::new();
    let options = ConnackOptions { auth: Some(("sum", b"right")), ..ConnackOptions::default() };
    encode_connack(&mut expected, Version::V5, Reason::Success, &options);
    let said = [vec![0x15], text("sum"), vec![0x16], text("right")].concat();
    let says = |packet: &[u8]| packet.windows(said.len()).any(|it| it == said);
    assert!(connack[3] == 0 && says(&connack) && says(&expected), "{connack:?}");

    client.says(&auth(Reason::ReAuthenticate, "sum", "ann")).await;
    assert_eq!(client.hears().await, answer("1+1"));
    // Everything else goes on meanwhile.
    client.says(&[0xc0, 0]).await;
    assert_eq!(client.hears().await, [0xd0, 0]);
    client.says(&answer("2")).await;
    assert_eq!(client.hears().await, auth(Reason::Success, "sum", "right"));
    world.finish().await;
}

#[tokio::test]
async fn a_connect_that_does_not_show_it_is_refused() {
    let mut world = world();
    let mut client = Client(world.open());
    client.says(&connect(Some("product"))).await;
    assert_eq!(client.refused().await, Reason::BadAuthenticationMethod as u8);
    let cases = [
        (answer("3"), Reason::NotAuthorized),
        (auth(Reason::ContinueAuthentication, "product", "2"), Reason::ProtocolError),
        (auth(Reason::ReAuthenticate, "sum", "2"), Reason::ProtocolError),
        (vec![0x30, 4, 0, 1, b'a', 0], Reason::ProtocolError),
        (vec![0xf1, 0], Reason::MalformedPacket),
    ];
    for (bytes, reason) in cases {
        let mut client = Client(world.open());
        client.says(&connect(Some("sum"))).await;
        assert_eq!(client.hears().await, answer("1+1"));
        client.says(&bytes).await;
        assert_eq!(client.refused().await, reason as u8, "{bytes:?}");
    }
    let mut client = Client(world.open());
    client.says(&connect(Some("sum"))).await;
    for _ in 0..super::STEPS_MAX - 1 {
        assert_eq!(client.hears().await, answer("1+1"));
        client.says(&answer("?")).await;
    }
    assert_eq!(client.hears().await, answer("1+1"));
    client.says(&answer("?")).await;
    assert_eq!(client.refused().await, Reason::NotAuthorized as u8, "it has had its steps");
    world.finish().await;
}

#[tokio::test]
async fn a_connection_that_does_not_show_it_again_is_ended() {
    let again = |user| auth(Reason::ReAuthenticate, "sum", user);
    let cases = [
        (vec![again("ann"), answer("3")], Reason::NotAuthorized),
        (vec![again("bob"), answer("2")], Reason::NotAuthorized),
        (vec![again("ann"), again("ann")], Reason::ProtocolError),
        (vec![answer("2")], Reason::ProtocolError),
        (vec![auth(Reason::ReAuthenticate, "product", "ann")], Reason::ProtocolError),
    ];
    let mut world = world();
    for (packets, reason) in cases {
        let mut client = Client(world.open());
        client.shows().await;
        client.says(&packets[0]).await;
        for packet in &packets[1..] {
            assert_eq!(client.hears().await, answer("1+1"));
            client.says(packet).await;
        }
        assert_eq!(client.refused().await, reason as u8, "{packets:?}");
    }
    let mut client = Client(world.open());
    client.says(&connect(None)).await;
    assert_eq!(client.hears().await[3], 0);
    client.says(&again("ann")).await;
    assert_eq!(client.refused().await, Reason::ProtocolError as u8, "it came without a method");
    world.finish().await;
}

#[tokio::test]
async fn an_exchange_ends_with_the_time_for_connect() {
    let world = world();
    let (ours, theirs) = tokio::io::duplex(1000);
    let connect_by = Instant::now() + Duration::from_millis(100);
    let peer = Peer { ip: [127, 0, 0, 1].into(), connect_by };
    let served = tokio::spawn(serve(theirs, peer, Arc::clone(world.hub())));
    let mut client = Client(ours);
    client.says(&connect(Some("sum"))).await;
    assert_eq!(client.hears().await, answer("1+1"));
    let mut rest = Vec::new();
    client.0.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty() && Instant::now() >= connect_by, "{rest:?}");
    served.await.unwrap();
    world.finish().await;
}
