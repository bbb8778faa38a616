//! A client of `rumqttc` whose event loop is left to connect again by itself.

use std::collections::VecDeque;
use std::time::Duration;

use pointsman_tests::{ClientBuilder, Message, QoS, Version, within};
use rumqttc::mqttbytes::v4;
use rumqttc::v5::{self, mqttbytes::v5 as packets5};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::AbortHandle;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Requests that may wait in the client.
const REQUESTS_MAX: usize = 64;
/// Publishes of a client on their way. Below what a case publishes in all, `rumqttc` gives a message of QoS 2 the packet id
/// of one that it has not released after a reconnect, and the server takes the two for one.
const INFLIGHT_MAX: u16 = 1024;
/// How long the server keeps a session that is to last.
const SESSION_SECONDS: u32 = 60;
/// A client that is cut off tries to connect that often.
const RETRY: Duration = Duration::from_millis(20);

/// Whether a session outlives its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Session {
    /// It begins anew, and ends with the connection.
    Clean,
    /// It is taken up, and waits for the client.
    Lasting,
}

/// What happened to a client.
#[derive(Debug)]
enum Happening {
    /// CONNACK, with session present.
    Connected(bool),
    /// The client asked for the end of its connection.
    Ended,
    Message(Message),
    /// A publish has its last acknowledgement.
    Published,
    /// Whether it was granted.
    Subscribed(bool),
}

#[derive(Debug)]
enum Requests {
    V311(rumqttc::AsyncClient),
    V5(v5::AsyncClient),
}

/// A client, connected. Dropping it cuts the connection without DISCONNECT.
#[derive(Debug)]
pub(super) struct Peer {
    requests: Requests,
    happenings: UnboundedReceiver<Happening>,
    task: AbortHandle,
    messages: VecDeque<Message>,
    published: usize,
    /// Whether the server had the session when the client connected first.
    pub(super) session_present: bool,
}

const ALIVE: &str = "the client's task lives as long as the client";

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Peer {
    /// Connects.
    pub(super) async fn open(builder: ClientBuilder, version: Version, session: Session) -> Peer {
        let (told, happenings) = unbounded_channel();
        let is_clean = session == Session::Clean;
        let builder = builder.version(version);
        let (requests, task) = match version {
            Version::V311 => {
                let mut options = builder.options();
                options.set_clean_session(is_clean);
                options.set_inflight(INFLIGHT_MAX);
                let (client, events) = rumqttc::AsyncClient::new(options, REQUESTS_MAX);
                (Requests::V311(client), tokio::spawn(drive(events, told)))
            }
            Version::V5 => {
                let mut options = builder.options5();
                options.set_clean_start(is_clean);
                options.set_session_expiry_interval((!is_clean).then_some(SESSION_SECONDS));
                let (client, events) = v5::AsyncClient::new(options, REQUESTS_MAX);
                (Requests::V5(client), tokio::spawn(drive5(events, told)))
            }
        };
        let task = task.abort_handle();
        let messages = VecDeque::new();
        let mut peer = Peer { requests, happenings, task, messages, published: 0, session_present: false };
        peer.session_present = peer
            .happens("CONNACK", |happening| match happening {
                Happening::Connected(present) => Some(*present),
                _ => None,
            })
            .await;
        peer
    }

    /// Subscribes, and waits until that is granted.
    pub(super) async fn subscribe(&mut self, filter: &str, qos: QoS) {
        match &self.requests {
            Requests::V311(client) => client.subscribe(filter, qos).await.expect(ALIVE),
            Requests::V5(client) => client.subscribe(filter, qos5(qos)).await.expect(ALIVE),
        }
        let granted = self.happens("SUBACK", |happening| match happening {
            Happening::Subscribed(granted) => Some(*granted),
            _ => None,
        });
        assert!(granted.await, "{filter} was not granted");
    }

    /// Hands a publish to the client.
    pub(super) async fn start_publishing(&self, topic: &str, qos: QoS, payload: &str) {
        self.hand_over(topic, qos, false, payload).await;
    }

    /// Waits until that many publishes have had their last acknowledgement, in all.
    pub(super) async fn finish_publishing(&mut self, count: usize) {
        while self.published < count {
            let what = format!("the end of publish {}", self.published);
            self.happens(&what, |happening| matches!(happening, Happening::Published).then_some(())).await;
        }
    }

    /// Publishes, and waits for the last acknowledgement.
    pub(super) async fn publish(&mut self, topic: &str, qos: QoS, payload: &str) {
        self.hand_over(topic, qos, false, payload).await;
        self.finish(qos).await;
    }

    /// Publishes what is to be kept, and waits for the last acknowledgement.
    pub(super) async fn retain(&mut self, topic: &str, qos: QoS, payload: &str) {
        self.hand_over(topic, qos, true, payload).await;
        self.finish(qos).await;
    }

    async fn finish(&mut self, qos: QoS) {
        if qos != QoS::AtMostOnce {
            self.finish_publishing(self.published + 1).await;
        }
    }

    async fn hand_over(&self, topic: &str, qos: QoS, retain: bool, payload: &str) {
        let payload = payload.to_owned();
        match &self.requests {
            Requests::V311(client) => client.publish(topic, qos, retain, payload).await.expect(ALIVE),
            Requests::V5(client) => client.publish(topic, qos5(qos), retain, payload).await.expect(ALIVE),
        }
    }

    /// The next message.
    pub(super) async fn next(&mut self) -> Message {
        loop {
            if let Some(message) = self.messages.pop_front() {
                return message;
            }
            self.happens("a message", |happening| matches!(happening, Happening::Message(_)).then_some(()))
                .await;
        }
    }

    /// The numbers on each of two topics, to the end of both.
    pub(super) async fn numbers(&mut self, topics: [&str; 2]) -> [Vec<usize>; 2] {
        let mut seen = [Vec::new(), Vec::new()];
        let mut ended = [false; 2];
        while ended != [true; 2] {
            let message = self.next().await;
            let which = usize::from(message.topic != topics[0]);
            match message.text().parse() {
                Ok(number) => seen[which].push(number),
                Err(_) => ended[which] = true,
            }
        }
        seen
    }

    /// Says DISCONNECT, and waits until the connection has ended.
    pub(super) async fn close(mut self) {
        match &self.requests {
            Requests::V311(client) => client.disconnect().await.expect(ALIVE),
            Requests::V5(client) => client.disconnect().await.expect(ALIVE),
        }
        self.happens("the end", |happening| matches!(happening, Happening::Ended).then_some(())).await;
    }

    /// Waits for what `wanted` picks; messages are kept for later, and ends of publishes are counted.
    async fn happens<T>(&mut self, what: &str, wanted: impl Fn(&Happening) -> Option<T>) -> T {
        loop {
            let happening = within(what, self.happenings.recv()).await.expect(ALIVE);
            let found = wanted(&happening);
            match happening {
                Happening::Message(message) => self.messages.push_back(message),
                Happening::Published => self.published += 1,
                Happening::Connected(_) | Happening::Ended | Happening::Subscribed(_) => {}
            }
            if let Some(found) = found {
                return found;
            }
        }
    }
}

fn qos5(qos: QoS) -> v5::mqttbytes::QoS {
    match qos {
        QoS::AtMostOnce => v5::mqttbytes::QoS::AtMostOnce,
        QoS::AtLeastOnce => v5::mqttbytes::QoS::AtLeastOnce,
        QoS::ExactlyOnce => v5::mqttbytes::QoS::ExactlyOnce,
    }
}

fn retries() -> Interval {
    let mut retries = interval(RETRY);
    retries.set_missed_tick_behavior(MissedTickBehavior::Delay);
    retries
}

async fn drive(mut events: rumqttc::EventLoop, told: UnboundedSender<Happening>) {
    let mut retries = retries();
    let mut is_leaving = false;
    loop {
        let happening = match events.poll().await {
            Ok(rumqttc::Event::Incoming(packet)) => happening(packet),
            Ok(rumqttc::Event::Outgoing(packet)) => {
                is_leaving |= packet == rumqttc::Outgoing::Disconnect;
                None
            }
            Err(_) if is_leaving => Some(Happening::Ended),
            Err(_) => {
                retries.tick().await;
                None
            }
        };
        let is_end = matches!(happening, Some(Happening::Ended));
        if happening.is_some_and(|happening| told.send(happening).is_err()) || is_end {
            return;
        }
    }
}

fn happening(packet: v4::Packet) -> Option<Happening> {
    match packet {
        v4::Packet::ConnAck(ack) => Some(Happening::Connected(ack.session_present)),
        v4::Packet::PubAck(_) | v4::Packet::PubComp(_) => Some(Happening::Published),
        v4::Packet::Publish(publish) => Some(Happening::Message(Message {
            topic: publish.topic,
            payload: publish.payload,
            qos: publish.qos as u8,
            retain: publish.retain,
            user_properties: Vec::new(),
            subscription_ids: Vec::new(),
        })),
        v4::Packet::SubAck(ack) => {
            let is_granted =
                |code: &v4::SubscribeReasonCode| matches!(code, v4::SubscribeReasonCode::Success(_));
            Some(Happening::Subscribed(ack.return_codes.iter().all(is_granted)))
        }
        _ => None,
    }
}

async fn drive5(mut events: v5::EventLoop, told: UnboundedSender<Happening>) {
    let mut retries = retries();
    let mut is_leaving = false;
    loop {
        let happening = match events.poll().await {
            Ok(v5::Event::Incoming(packet)) => happening5(packet),
            Ok(v5::Event::Outgoing(packet)) => {
                is_leaving |= packet == rumqttc::Outgoing::Disconnect;
                None
            }
            Err(_) if is_leaving => Some(Happening::Ended),
            Err(_) => {
                retries.tick().await;
                None
            }
        };
        let is_end = matches!(happening, Some(Happening::Ended));
        if happening.is_some_and(|happening| told.send(happening).is_err()) || is_end {
            return;
        }
    }
}

fn happening5(packet: packets5::Packet) -> Option<Happening> {
    match packet {
        packets5::Packet::ConnAck(ack) => Some(Happening::Connected(ack.session_present)),
        packets5::Packet::PubAck(_) | packets5::Packet::PubComp(_) => Some(Happening::Published),
        packets5::Packet::Publish(publish) => Some(Happening::Message(Message {
            topic: String::from_utf8_lossy(&publish.topic).into_owned(),
            payload: publish.payload,
            qos: publish.qos as u8,
            retain: publish.retain,
            user_properties: publish.properties.unwrap_or_default().user_properties,
            subscription_ids: Vec::new(),
        })),
        packets5::Packet::SubAck(ack) => {
            let is_granted = |code: &packets5::SubscribeReasonCode| {
                matches!(code, packets5::SubscribeReasonCode::Success(_))
            };
            Some(Happening::Subscribed(ack.return_codes.iter().all(is_granted)))
        }
        _ => None,
    }
}
