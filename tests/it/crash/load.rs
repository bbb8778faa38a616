//! The clients that are there when the server is killed: publishers that keep many messages in flight, and a listener.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use pointsman_tests::{Endpoints, QoS};
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Outgoing, Packet};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::PUBLISHERS;
use super::ledger::{Ledger, Said};

/// Where all is said.
pub(super) const ROOM: &str = "/crash";

/// Messages of one publisher that wait for their acknowledgement at a time.
const WINDOW: usize = 30;
/// What may wait in a client besides.
const REQUESTS_MAX: usize = 64;

/// Starts the clients. Each ends when its connection does, and never connects again.
pub(super) fn begin(server: &Endpoints, ledger: &Arc<Ledger>) -> JoinSet<()> {
    let mut clients = JoinSet::new();
    for publisher in 0..PUBLISHERS {
        clients.spawn(publish(server.mqtt, publisher, Arc::clone(ledger)));
    }
    clients.spawn(listen(server.mqtt, Arc::clone(ledger)));
    clients
}

async fn publish(server: SocketAddr, publisher: u32, ledger: Arc<Ledger>) {
    let (client, mut events) = open(server, &format!("crash-{publisher}"));
    // Handed over and not yet numbered by the client, in order; and numbered, but not acknowledged.
    let (mut handed, mut flying) = (VecDeque::new(), HashMap::new());
    loop {
        while handed.len() + flying.len() < WINDOW {
            let said = ledger.next(publisher);
            let payload = json!({ "room": ROOM, "text": said.to_string() }).to_string();
            client.try_publish("chat/out", QoS::AtLeastOnce, false, payload).expect("the window fits");
            handed.push_back(said);
        }
        match events.poll().await {
            Ok(Event::Outgoing(Outgoing::Publish(packet_id))) => {
                let said = handed.pop_front().expect("only what was handed over is sent");
                assert_eq!(flying.insert(packet_id, said), None, "packet id {packet_id} is in use");
            }
            Ok(Event::Incoming(Packet::PubAck(ack))) => {
                ledger.acknowledge(flying.remove(&ack.pkid).expect("only what was sent is acknowledged"));
            }
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

async fn listen(server: SocketAddr, ledger: Arc<Ledger>) {
    let (client, mut events) = open(server, "crash-listener");
    client.subscribe(format!("chat/pub{ROOM}"), QoS::AtLeastOnce).await.expect("the queue is empty");
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::Publish(message))) => {
                let value: Value = serde_json::from_slice(&message.payload).expect("the rule publishes JSON");
                let text = value["message"]["text"].as_str().unwrap_or_default();
                let said = Said::parse(text).unwrap_or_else(|| panic!("nobody said {value}"));
                ledger.hear(value["id"].as_str().expect("a message has an id"), said);
            }
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

fn open(server: SocketAddr, client_id: &str) -> (AsyncClient, EventLoop) {
    let options = MqttOptions::new(client_id, server.ip().to_string(), server.port());
    AsyncClient::new(options, REQUESTS_MAX)
}
