//! A client that people use: `rumqttc`, 3.1.1 or 5, over any transport, which says what happened.

mod link;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use rumqttc::QoS;
use serde_json::Value;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::AbortHandle;

use crate::endpoints::Endpoints;
use crate::eventually::within;
use crate::message::Message;
use crate::transport::Transport;
use link::{Happening, Requests};

/// The version that a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// MQTT 3.1.1.
    V311,
    /// MQTT 5.
    V5,
}

impl Version {
    /// Those that `rumqttc` speaks.
    pub const ALL: [Version; 2] = [Version::V311, Version::V5];
}

/// What a client is to be like.
#[derive(Debug, Clone)]
pub struct ClientBuilder {
    pub(crate) endpoints: Endpoints,
    pub(crate) client_id: String,
    pub(crate) version: Version,
    pub(crate) transport: Transport,
    pub(crate) login: Option<(String, String)>,
    pub(crate) will: Option<(String, String)>,
    pub(crate) keep_alive: Duration,
}

/// A connected client. Dropping it cuts the connection without DISCONNECT.
#[derive(Debug)]
pub struct Client {
    requests: Requests,
    happenings: UnboundedReceiver<Happening>,
    messages: VecDeque<Message>,
    task: AbortHandle,
    id: String,
    marks: u32,
}

impl ClientBuilder {
    pub(crate) fn new(endpoints: Endpoints, client_id: &str) -> ClientBuilder {
        ClientBuilder {
            endpoints,
            client_id: client_id.to_owned(),
            version: Version::V311,
            transport: Transport::Tcp,
            login: None,
            will: None,
            keep_alive: Duration::from_mins(1),
        }
    }

    /// Speaks that version; 3.1.1 if nothing is said.
    #[must_use]
    pub fn version(mut self, version: Version) -> ClientBuilder {
        self.version = version;
        self
    }

    /// Goes that way; over TCP if nothing is said.
    #[must_use]
    pub fn over(mut self, transport: Transport) -> ClientBuilder {
        self.transport = transport;
        self
    }

    /// Has a user name and password.
    #[must_use]
    pub fn login(mut self, user: &str, password: &str) -> ClientBuilder {
        self.login = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// Has a will.
    #[must_use]
    pub fn will(mut self, topic: &str, payload: &str) -> ClientBuilder {
        self.will = Some((topic.to_owned(), payload.to_owned()));
        self
    }

    /// Pings that often.
    #[must_use]
    pub fn keep_alive(mut self, keep_alive: Duration) -> ClientBuilder {
        self.keep_alive = keep_alive;
        self
    }

    /// What `rumqttc` is told for 3.1.1, for cases that drive it themselves.
    pub fn options(self) -> rumqttc::MqttOptions {
        link::options(self)
    }

    /// What `rumqttc` is told for MQTT 5.
    pub fn options5(self) -> rumqttc::v5::MqttOptions {
        link::options5(self)
    }

    /// Connects.
    pub async fn connect(self) -> Client {
        let client_id = self.client_id.clone();
        self.try_connect().await.unwrap_or_else(|error| panic!("client {client_id} cannot connect: {error}"))
    }

    /// Connects, or says why that did not go.
    pub async fn try_connect(self) -> Result<Client, String> {
        let id = self.client_id.clone();
        let (requests, happenings, task) = link::open(self);
        let messages = VecDeque::new();
        let mut client = Client { requests, happenings, messages, task, id, marks: 0 };
        match client.happens("CONNACK").await {
            Happening::Connected => Ok(client),
            Happening::Ended(error) => Err(error),
            other => panic!("before CONNACK there was {other:?}"),
        }
    }
}

impl Client {
    /// Its client id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Subscribes, and waits until that is granted.
    pub async fn subscribe(&mut self, filter: &str, qos: QoS) {
        let granted = self.try_subscribe(filter, qos).await;
        assert!(granted, "{} may not subscribe to {filter}", self.id);
    }

    /// Subscribes; false if that is refused.
    pub async fn try_subscribe(&mut self, filter: &str, qos: QoS) -> bool {
        self.requests.subscribe(filter, qos).await;
        match self.happens("SUBACK").await {
            Happening::Subscribed(granted) => granted,
            other => panic!("{} waited for SUBACK of {filter} and got {other:?}", self.id),
        }
    }

    /// Unsubscribes, and waits until that is acknowledged.
    pub async fn unsubscribe(&mut self, filter: &str) {
        self.requests.unsubscribe(filter).await;
        match self.happens("UNSUBACK").await {
            Happening::Unsubscribed => {}
            other => panic!("{} waited for UNSUBACK of {filter} and got {other:?}", self.id),
        }
    }

    /// Publishes with QoS 1, and waits until that is acknowledged.
    pub async fn publish(&mut self, topic: &str, payload: impl Into<Bytes>) {
        self.requests.publish(topic, QoS::AtLeastOnce, payload.into(), Vec::new()).await;
        self.acknowledged(topic).await;
    }

    /// Publishes JSON with QoS 1, and waits until that is acknowledged.
    pub async fn publish_json(&mut self, topic: &str, value: &Value) {
        self.publish(topic, value.to_string()).await;
    }

    /// Publishes with QoS 1 and MQTT 5 user properties, and waits until that is acknowledged.
    pub async fn publish_with(&mut self, topic: &str, payload: &str, user_properties: &[(&str, &str)]) {
        let properties =
            user_properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let payload = Bytes::copy_from_slice(payload.as_bytes());
        self.requests.publish(topic, QoS::AtLeastOnce, payload, properties.collect()).await;
        self.acknowledged(topic).await;
    }

    /// Publishes with QoS 0.
    pub async fn send(&mut self, topic: &str, payload: impl Into<Bytes>) {
        self.requests.publish(topic, QoS::AtMostOnce, payload.into(), Vec::new()).await;
    }

    async fn acknowledged(&mut self, topic: &str) {
        match self.happens("PUBACK").await {
            Happening::Acknowledged => {}
            other => panic!("{} waited for PUBACK of {topic} and got {other:?}", self.id),
        }
    }

    /// The next message.
    pub async fn recv(&mut self) -> Message {
        if let Some(message) = self.messages.pop_front() {
            return message;
        }
        let what = format!("a message for {}", self.id);
        match within(&what, self.happenings.recv()).await {
            Some(Happening::Message(message)) => message,
            other => panic!("{} waited for a message and got {other:?}", self.id),
        }
    }

    /// The next message, which must be on that topic.
    pub async fn recv_on(&mut self, topic: &str) -> Message {
        let message = self.recv().await;
        assert_eq!(message.topic, topic, "the next message of {}: {message:?}", self.id);
        message
    }

    /// The next message for which `wanted` is true; the others are kept for later.
    pub async fn recv_where(&mut self, wanted: impl Fn(&Message) -> bool) -> Message {
        let mut others = VecDeque::new();
        loop {
            let message = self.recv().await;
            if wanted(&message) {
                others.append(&mut self.messages);
                self.messages = others;
                return message;
            }
            others.push_back(message);
        }
    }

    /// Asserts that nothing was on its way to this client: a message published now is the next to arrive.
    ///
    /// What passes through rules takes another way; to show that none comes, have a rule publish the mark.
    pub async fn expect_silence(&mut self) {
        self.marks += 1;
        let topic = format!("harness/mark/{}", self.id);
        let mark = self.marks.to_string();
        self.subscribe(&topic, QoS::AtLeastOnce).await;
        self.publish(&topic, mark.clone()).await;
        let message = self.recv().await;
        assert!(
            message.topic == topic && message.text() == mark,
            "{} should have been sent nothing, and was sent {message:?}",
            self.id
        );
        self.unsubscribe(&topic).await;
    }

    /// Says DISCONNECT, and waits until the connection has ended.
    pub async fn disconnect(mut self) {
        self.requests.disconnect().await;
        self.ended().await;
    }

    /// Waits until the connection has ended, and says what ended it.
    pub async fn ended(&mut self) -> String {
        loop {
            match self.happens("the end of the connection").await {
                Happening::Ended(error) => return error,
                Happening::Connected => panic!("{} connected a second time", self.id),
                _ => {}
            }
        }
    }

    /// What happens next besides messages, which are kept for [`Client::recv`].
    async fn happens(&mut self, what: &str) -> Happening {
        let what = format!("{what} for {}", self.id);
        loop {
            match within(&what, self.happenings.recv()).await {
                Some(Happening::Message(message)) => self.messages.push_back(message),
                Some(other) => return other,
                None => panic!("{} has ended, and is asked for {what}", self.id),
            }
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}
