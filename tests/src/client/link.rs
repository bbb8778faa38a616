//! What is different between the two versions of `rumqttc`: its types, brought together here.

use bytes::Bytes;
use rumqttc::mqttbytes::v4;
use rumqttc::v5;
use rumqttc::v5::mqttbytes::v5 as packets5;
use rumqttc::{QoS, TlsConfiguration};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::AbortHandle;

use super::{ClientBuilder, Version};
use crate::message::Message;
use crate::transport::{self, Transport};

/// Requests that may wait in the client.
const REQUESTS_MAX: usize = 64;
/// The largest packet that the client sends or takes.
const PACKET_BYTES_MAX: usize = 2 * 1024 * 1024;

/// What happened to a client.
#[derive(Debug)]
pub(super) enum Happening {
    Acknowledged,
    Connected,
    Ended(String),
    Message(Message),
    /// Whether it was granted.
    Subscribed(bool),
    Unsubscribed,
}

/// The side of a client that asks.
#[derive(Debug)]
pub(super) enum Requests {
    V311(rumqttc::AsyncClient),
    V5(v5::AsyncClient),
}

const ALIVE: &str = "the client's task lives as long as the client";

impl Requests {
    pub(super) async fn subscribe(&self, filter: &str, qos: QoS) {
        match self {
            Requests::V311(client) => client.subscribe(filter, qos).await.expect(ALIVE),
            Requests::V5(client) => client.subscribe(filter, qos5(qos)).await.expect(ALIVE),
        }
    }

    pub(super) async fn unsubscribe(&self, filter: &str) {
        match self {
            Requests::V311(client) => client.unsubscribe(filter).await.expect(ALIVE),
            Requests::V5(client) => client.unsubscribe(filter).await.expect(ALIVE),
        }
    }

    pub(super) async fn publish(
        &self,
        topic: &str,
        qos: QoS,
        payload: Bytes,
        user_properties: Vec<(String, String)>,
    ) {
        match self {
            Requests::V311(client) => client.publish_bytes(topic, qos, false, payload).await.expect(ALIVE),
            Requests::V5(client) => {
                let properties = packets5::PublishProperties { user_properties, ..Default::default() };
                client
                    .publish_with_properties(topic, qos5(qos), false, payload, properties)
                    .await
                    .expect(ALIVE);
            }
        }
    }

    pub(super) async fn disconnect(&self) {
        match self {
            Requests::V311(client) => client.disconnect().await.expect(ALIVE),
            Requests::V5(client) => client.disconnect().await.expect(ALIVE),
        }
    }
}

/// Starts a client, and the task that drives it until its connection ends.
pub(super) fn open(builder: ClientBuilder) -> (Requests, UnboundedReceiver<Happening>, AbortHandle) {
    let (told, happenings) = unbounded_channel();
    match builder.version {
        Version::V311 => {
            let (client, events) = rumqttc::AsyncClient::new(options(builder), REQUESTS_MAX);
            (Requests::V311(client), happenings, tokio::spawn(drive(events, told)).abort_handle())
        }
        Version::V5 => {
            let (client, events) = v5::AsyncClient::new(options5(builder), REQUESTS_MAX);
            (Requests::V5(client), happenings, tokio::spawn(drive5(events, told)).abort_handle())
        }
    }
}

/// Host, port and way, as `rumqttc` wants them.
fn way(builder: &ClientBuilder) -> (String, u16, rumqttc::Transport) {
    let address = builder.endpoints.address(builder.transport);
    let host = match builder.transport {
        Transport::Tcp | Transport::Tls => address.ip().to_string(),
        Transport::Ws | Transport::Wss => builder.endpoints.url(builder.transport),
    };
    let trusting = || TlsConfiguration::Rustls(transport::trusting(&builder.endpoints.authority));
    let way = match builder.transport {
        Transport::Tcp => rumqttc::Transport::Tcp,
        Transport::Tls => rumqttc::Transport::tls_with_config(trusting()),
        Transport::Ws => rumqttc::Transport::Ws,
        Transport::Wss => rumqttc::Transport::wss_with_config(trusting()),
    };
    (host, address.port(), way)
}

pub(super) fn options(builder: ClientBuilder) -> rumqttc::MqttOptions {
    let (host, port, way) = way(&builder);
    let mut options = rumqttc::MqttOptions::new(builder.client_id, host, port);
    options.set_transport(way).set_keep_alive(builder.keep_alive);
    options.set_max_packet_size(PACKET_BYTES_MAX, PACKET_BYTES_MAX);
    if let Some((user, password)) = builder.login {
        options.set_credentials(user, password);
    }
    if let Some((topic, payload)) = builder.will {
        options.set_last_will(v4::LastWill::new(topic, payload, QoS::AtLeastOnce, false));
    }
    options
}

pub(super) fn options5(builder: ClientBuilder) -> v5::MqttOptions {
    let (host, port, way) = way(&builder);
    let mut options = v5::MqttOptions::new(builder.client_id, host, port);
    options.set_transport(way).set_keep_alive(builder.keep_alive);
    options.set_max_packet_size(u32::try_from(PACKET_BYTES_MAX).ok());
    if let Some((user, password)) = builder.login {
        options.set_credentials(user, password);
    }
    if let Some((topic, payload)) = builder.will {
        let qos = v5::mqttbytes::QoS::AtLeastOnce;
        options.set_last_will(packets5::LastWill::new(topic, payload, qos, false, None));
    }
    options
}

async fn drive(mut events: rumqttc::EventLoop, told: UnboundedSender<Happening>) {
    loop {
        let happening = match events.poll().await {
            Ok(rumqttc::Event::Incoming(packet)) => happening(packet),
            Ok(rumqttc::Event::Outgoing(_)) => None,
            // The event loop would connect again; a case says so itself if it wants that.
            Err(error) => {
                let _ = told.send(Happening::Ended(error.to_string()));
                return;
            }
        };
        if happening.is_some_and(|happening| told.send(happening).is_err()) {
            return;
        }
    }
}

fn happening(packet: v4::Packet) -> Option<Happening> {
    match packet {
        v4::Packet::ConnAck(_) => Some(Happening::Connected),
        v4::Packet::PubAck(_) => Some(Happening::Acknowledged),
        v4::Packet::Publish(publish) => Some(Happening::Message(Message {
            topic: publish.topic,
            payload: publish.payload,
            qos: publish.qos as u8,
            retain: publish.retain,
            user_properties: Vec::new(),
            subscription_ids: Vec::new(),
        })),
        v4::Packet::SubAck(ack) => {
            let granted =
                |code: &v4::SubscribeReasonCode| matches!(code, v4::SubscribeReasonCode::Success(_));
            Some(Happening::Subscribed(ack.return_codes.iter().all(granted)))
        }
        v4::Packet::UnsubAck(_) => Some(Happening::Unsubscribed),
        _ => None,
    }
}

async fn drive5(mut events: v5::EventLoop, told: UnboundedSender<Happening>) {
    loop {
        let happening = match events.poll().await {
            Ok(v5::Event::Incoming(packet)) => happening5(packet),
            Ok(v5::Event::Outgoing(_)) => None,
            Err(error) => {
                let _ = told.send(Happening::Ended(error.to_string()));
                return;
            }
        };
        if happening.is_some_and(|happening| told.send(happening).is_err()) {
            return;
        }
    }
}

fn happening5(packet: packets5::Packet) -> Option<Happening> {
    match packet {
        packets5::Packet::ConnAck(_) => Some(Happening::Connected),
        packets5::Packet::PubAck(_) => Some(Happening::Acknowledged),
        packets5::Packet::Publish(publish) => {
            let properties = publish.properties.unwrap_or_default();
            let ids = properties.subscription_identifiers.into_iter().filter_map(|id| u32::try_from(id).ok());
            Some(Happening::Message(Message {
                topic: String::from_utf8_lossy(&publish.topic).into_owned(),
                payload: publish.payload,
                qos: publish.qos as u8,
                retain: publish.retain,
                user_properties: properties.user_properties,
                subscription_ids: ids.collect(),
            }))
        }
        packets5::Packet::SubAck(ack) => {
            let granted = |code: &packets5::SubscribeReasonCode| {
                matches!(code, packets5::SubscribeReasonCode::Success(_))
            };
            Some(Happening::Subscribed(ack.return_codes.iter().all(granted)))
        }
        packets5::Packet::UnsubAck(_) => Some(Happening::Unsubscribed),
        _ => None,
    }
}

fn qos5(qos: QoS) -> v5::mqttbytes::QoS {
    match qos {
        QoS::AtMostOnce => v5::mqttbytes::QoS::AtMostOnce,
        QoS::AtLeastOnce => v5::mqttbytes::QoS::AtLeastOnce,
        QoS::ExactlyOnce => v5::mqttbytes::QoS::ExactlyOnce,
    }
}
