//! What every case of conformance has: a server that all cases of the process share, a transport, a version, names.

use std::future::{Future as _, poll_fn};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::Poll;
use std::thread::JoinHandle;

use pointsman_tests::wire::{self, Connect, kind};
use pointsman_tests::{Endpoints, Raw, TestServer, Transport};
use tokio::sync::oneshot;

pub(super) use pointsman_tests::wire::{V5, V311};

/// Both versions.
pub(super) const BOTH: &[u8] = &[V311, V5];
/// What a statement of 3.1.1 alone is run with.
pub(super) const ONLY_V311: &[u8] = &[V311];
/// What a statement of 5 alone is run with.
pub(super) const ONLY_V5: &[u8] = &[V5];

/// Malformed packet.
pub(super) const MALFORMED: u8 = 0x81;
/// Protocol error.
pub(super) const PROTOCOL_ERROR: u8 = 0x82;
/// Where the standard leaves it open which of the two a mistake is.
pub(super) const WRONG: &[u8] = &[MALFORMED, PROTOCOL_ERROR];

/// A server on a runtime of its own, so that it outlives the runtimes of the cases that use it.
struct SharedServer {
    endpoints: Endpoints,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl SharedServer {
    /// The server that other cases use just now, or a new one.
    fn get() -> Arc<SharedServer> {
        static RUNNING: Mutex<Weak<SharedServer>> = Mutex::new(Weak::new());
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.upgrade().unwrap_or_else(|| {
            let server = Arc::new(SharedServer::start());
            *running = Arc::downgrade(&server);
            server
        })
    }

    fn start() -> SharedServer {
        let (started, endpoints) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime for the server");
            runtime.block_on(async {
                let mut server = TestServer::builder().without_bundled_rules().start().await;
                started.send(Endpoints::clone(&server)).expect("somebody waits for the server");
                // It is dropped where it is not used any more.
                let _ = stopped.await;
                server.stop().await;
            });
        });
        let endpoints = endpoints.recv().expect("the server starts");
        SharedServer { endpoints, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for SharedServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One run of a case: over a transport, in a version, with topics and client ids that nobody else has.
pub(super) struct Case {
    server: Arc<SharedServer>,
    pub(super) transport: Transport,
    pub(super) level: u8,
    number: usize,
}

/// Runs a case in each of those versions, on TCP and on wss.
pub(super) async fn each(levels: &[u8], run: impl AsyncFn(Case)) {
    for case in cases(levels) {
        println!("level {} over {:?}", case.level, case.transport);
        run(case).await;
    }
}

/// As [`each`], but all at once: for cases that have to wait for the clock.
pub(super) async fn each_at_once(levels: &[u8], run: impl AsyncFn(Case)) {
    let mut runs: Vec<_> = cases(levels).into_iter().map(|case| Box::pin(run(case))).collect();
    poll_fn(|cx| {
        runs.retain_mut(|run| run.as_mut().poll(cx).is_pending());
        if runs.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

fn cases(levels: &[u8]) -> Vec<Case> {
    static CASES: AtomicUsize = AtomicUsize::new(1);
    let server = SharedServer::get();
    let transports = [Transport::Tcp, Transport::Wss];
    let pairs = levels.iter().flat_map(|&level| transports.map(|transport| (level, transport)));
    pairs
        .map(|(level, transport)| {
            let number = CASES.fetch_add(1, Ordering::Relaxed);
            Case { server: Arc::clone(&server), transport, level, number }
        })
        .collect()
}

impl Case {
    pub(super) fn is_v5(&self) -> bool {
        self.level == V5
    }

    pub(super) fn endpoints(&self) -> &Endpoints {
        &self.server.endpoints
    }

    /// A topic, or filter, of this case.
    pub(super) fn topic(&self, name: &str) -> String {
        format!("c{}/{name}", self.number)
    }

    /// A client id of this case.
    pub(super) fn id(&self, who: &str) -> String {
        format!("{who}{}", self.number)
    }

    /// A CONNECT with nothing special.
    pub(super) fn connect(&self, who: &str) -> Connect {
        Connect::new(self.level, &self.id(who))
    }

    /// A CONNECT of a session that is to outlive its connection.
    pub(super) fn persistent(&self, who: &str) -> Connect {
        let properties = self.properties(&[wire::property_u32(wire::id::SESSION_EXPIRY, 600)]);
        Connect { clean: false, properties, ..self.connect(who) }
    }

    /// These properties, where the version has properties.
    pub(super) fn properties(&self, properties: &[Vec<u8>]) -> Vec<u8> {
        if self.is_v5() { properties.concat() } else { Vec::new() }
    }

    /// A connection on which nothing has been said.
    pub(super) async fn raw(&self) -> Raw {
        self.endpoints().raw_over(self.transport).await
    }

    /// A client.
    pub(super) async fn join(&self, who: &str) -> Raw {
        self.join_with(&self.connect(who)).await
    }

    /// A client that connects like this.
    pub(super) async fn join_with(&self, connect: &Connect) -> Raw {
        self.raw().await.join(connect).await
    }

    /// A client that is subscribed.
    pub(super) async fn subscriber(&self, who: &str, filter: &str, qos: u8) -> Raw {
        let mut subscriber = self.join(who).await;
        assert_eq!(subscriber.subscribe(&[(filter, qos)]).await, [qos], "{who} subscribes to {filter}");
        subscriber
    }

    /// A PUBLISH of this version, with packet id 9 and payload `x`.
    pub(super) fn publish(&self, flags: u8, topic: impl AsRef<[u8]>, properties: &[u8]) -> Vec<u8> {
        let properties = self.is_v5().then_some(properties);
        wire::Publish { flags, topic: topic.as_ref(), packet_id: 9, properties, payload: b"x" }.packet()
    }

    /// A SUBSCRIBE of this version.
    pub(super) fn subscribe(&self, packet_id: u16, filters: &[(&str, u8)], properties: &[u8]) -> Vec<u8> {
        wire::subscribe(packet_id, filters, self.is_v5().then_some(properties))
    }

    /// An UNSUBSCRIBE of this version.
    pub(super) fn unsubscribe(&self, packet_id: u16, filters: &[&str]) -> Vec<u8> {
        wire::unsubscribe(packet_id, filters, self.is_v5().then_some(&[]))
    }

    /// Sends bytes on a connection of their own. The server must end it, telling MQTT 5 one of `reasons`, and no other.
    pub(super) async fn refuses(&self, what: &str, bytes: &[u8], reasons: &[u8]) {
        println!("{what}: {bytes:02x?}");
        let mut bystander = self.join("bystander").await;
        let mut raw = self.join("refused").await;
        raw.send(bytes).await;
        self.ended(&mut raw, what, reasons).await;
        bystander.ping().await;
    }

    /// The server must end the connection, telling MQTT 5 one of `reasons`.
    pub(super) async fn ended(&self, raw: &mut Raw, what: &str, reasons: &[u8]) {
        if self.is_v5() {
            let packet = raw.next().await.unwrap_or_else(|| panic!("{what}: ended without a reason"));
            assert_eq!(packet.kind(), kind::DISCONNECT, "{what}: {packet:?}");
            let reason = packet.reason();
            assert!(reasons.contains(&reason), "{what}: {reason:#04x} is none of {reasons:02x?}");
        }
        let next = raw.next().await;
        assert_eq!(next, None, "{what}: the connection should have ended");
    }

    /// Sends bytes in the place of CONNECT. The server must end the connection: MQTT 5 may be told one of `reasons`
    /// in CONNACK, 3.1.1 is told nothing. [MQTT-3.1.4-1]
    pub(super) async fn refuses_connect(&self, what: &str, bytes: &[u8], reasons: &[u8]) {
        println!("{what}: {bytes:02x?}");
        let mut raw = self.raw().await;
        if let Some(connack) = raw.try_connect(self.level, bytes).await {
            assert!(self.is_v5(), "{what}: a malformed CONNECT has no CONNACK: {connack:?}");
            assert!(reasons.contains(&connack.code), "{what}: {connack:02x?}");
            assert!(!connack.session_present, "{what}");
            raw.expect_end().await;
        }
    }

    /// The server must answer CONNECT with that code, of 3.1.1 or of 5, and end the connection.
    pub(super) async fn rejects(&self, connect: &Connect, v311: u8, v5: &[u8]) {
        let mut raw = self.raw().await;
        let connack = raw.connect(connect).await;
        let codes = if self.is_v5() { v5 } else { &[v311] };
        assert!(codes.contains(&connack.code), "{connect:?}: {connack:02x?}");
        assert!(!connack.session_present, "[MQTT-3.2.2-6] {connack:02x?}");
        raw.expect_end().await;
    }

    /// Publishes and waits until a subscriber has been sent it, so that nobody who subscribes later is sent it as well.
    pub(super) async fn spread(&self, flags: u8, topic: &str, payload: &str, properties: &[u8]) {
        let mut witness = self.subscriber("witness", topic, 0).await;
        let mut publisher = self.join("publisher").await;
        publisher.deliver_flagged(flags, topic, payload, properties).await;
        publisher.leave().await;
        loop {
            let message = witness.published().await;
            if !message.retain && message.text() == payload {
                return witness.leave().await;
            }
        }
    }

    /// Asserts that nothing is on its way to a client: what comes next is what is published now.
    pub(super) async fn quiet(&self, subscriber: &mut Raw) {
        // Outside of what the case's own filters match.
        let topic = format!("m{}/marker", self.number);
        subscriber.subscribe(&[(&topic, 0)]).await;
        let mut publisher = self.join("marker").await;
        publisher.publish(&topic, "marker").await;
        let next = subscriber.published().await;
        assert_eq!((next.topic.as_str(), next.text()), (&*topic, "marker"), "nothing else should have come");
        subscriber.unsubscribe(&[&topic]).await;
        publisher.leave().await;
    }
}
