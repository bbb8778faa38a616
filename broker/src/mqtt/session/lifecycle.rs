//! Lifecycle events: what `$aws/events/…` tells of clients that come, go and subscribe (SEMANTICS §2).

use std::net::IpAddr;

use serde::Serialize;

use super::super::codec::QoS;
use super::super::envelope::{EnvelopeBuilder, Interest, Marks, Origin, SERVER};
use super::Hub;
use super::client::Client;
use super::session::Session;
use super::uuid::Uuid;

/// The topics under which lifecycle events are published begin with this.
pub const PREFIX: &str = "$aws/events/";

/// The payload of a lifecycle event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LifecycleEvent {
    /// Whom it is about.
    pub client_id: String,
    /// Milliseconds since 1970.
    pub timestamp: u64,
    /// `connected`, `disconnected`, `connect_failed`, `subscribed` or `unsubscribed`.
    pub event_type: String,
    /// The UUID of the session.
    pub session_identifier: String,
    /// The credential that authenticated.
    pub principal_identifier: String,
    /// The client's address; with `connected` and `connect_failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<String>,
    /// Grows with each connection of the client id; the same in both events of one connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_number: Option<u64>,
    /// Whether the client said goodbye; with `disconnected`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_initiated_disconnect: Option<bool>,
    /// Why it ended; with `disconnected`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disconnect_reason: Option<String>,
    /// Why it was refused; with `connect_failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_failure_reason: Option<String>,
    /// The filters of one packet; with `subscribed` and `unsubscribed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topics: Option<Vec<String>>,
}

/// Why a connection ended, as lifecycle events name it. Each but the first publishes the will.
pub(crate) mod reason {
    pub(crate) const CLIENT_INITIATED_DISCONNECT: &str = "CLIENT_INITIATED_DISCONNECT";
    pub(crate) const CONNECTION_LOST: &str = "CONNECTION_LOST";
    pub(crate) const MQTT_KEEP_ALIVE_TIMEOUT: &str = "MQTT_KEEP_ALIVE_TIMEOUT";
    pub(crate) const CLIENT_ERROR: &str = "CLIENT_ERROR";
    pub(crate) const DUPLICATE_CLIENTID: &str = "DUPLICATE_CLIENTID";
    pub(crate) const AUTH_ERROR: &str = "AUTH_ERROR";
    pub(crate) const SERVER_ERROR: &str = "SERVER_ERROR";
    pub(crate) const SERVER_INITIATED_DISCONNECT: &str = "SERVER_INITIATED_DISCONNECT";
}

impl Hub {
    pub(crate) fn announce_connected(&self, client: &Client, session: &Session) {
        let event = LifecycleEvent {
            ip_address: Some(client.ip.to_string()),
            version_number: Some(client.version_number),
            ..self.event_of(client, session, "connected")
        };
        self.announce("presence/connected", client.identity.user.as_deref(), &event);
    }

    pub(crate) fn announce_disconnected(&self, client: &Client, session: &Session, reason: &str) {
        let event = LifecycleEvent {
            version_number: Some(client.version_number),
            client_initiated_disconnect: Some(reason == reason::CLIENT_INITIATED_DISCONNECT),
            disconnect_reason: Some(reason.to_owned()),
            ..self.event_of(client, session, "disconnected")
        };
        self.announce("presence/disconnected", client.identity.user.as_deref(), &event);
    }

    pub(crate) fn announce_refused(&self, client_id: &str, ip: IpAddr) {
        let event = LifecycleEvent {
            client_id: client_id.to_owned(),
            timestamp: self.clock.now_ms(),
            event_type: "connect_failed".to_owned(),
            session_identifier: Uuid::random().to_string(),
            principal_identifier: "guest".to_owned(),
            ip_address: Some(ip.to_string()),
            connect_failure_reason: Some("AUTHORIZATION_FAILED".to_owned()),
            ..LifecycleEvent::default()
        };
        self.announce("presence/connect_failed", None, &event);
    }

    pub(crate) fn announce_subscriptions(
        &self,
        client: &Client,
        session: &Session,
        kind: &'static str,
        topics: Vec<String>,
    ) {
        let event = LifecycleEvent { topics: Some(topics), ..self.event_of(client, session, kind) };
        let topic =
            if kind == "subscribed" { "subscriptions/subscribed" } else { "subscriptions/unsubscribed" };
        self.announce(topic, client.identity.user.as_deref(), &event);
    }

    fn event_of(&self, client: &Client, session: &Session, kind: &str) -> LifecycleEvent {
        LifecycleEvent {
            client_id: client.client_id.to_string(),
            timestamp: self.clock.now_ms(),
            event_type: kind.to_owned(),
            session_identifier: session.session_id.to_string(),
            principal_identifier: client.identity.principal().to_owned(),
            ..LifecycleEvent::default()
        }
    }

    fn announce(&self, kind: &str, user: Option<&str>, event: &LifecycleEvent) {
        // A client id that would be a wildcard in a topic has no topic. (SEMANTICS §2)
        if event.client_id.contains(['+', '#']) {
            return;
        }
        let topic = format!("{PREFIX}{kind}/{}", event.client_id);
        let Ok(payload) = serde_json::to_vec(event) else { return };
        let mut builder = EnvelopeBuilder::default();
        let interest = Interest { durable: false, ..self.ingress.interest(&topic) };
        builder.push(&topic, &payload, &[], Marks { qos: QoS::AtLeastOnce, retain: false, interest });
        let envelope = builder.seal(&Origin {
            publisher: SERVER,
            client_id: &event.client_id,
            user,
            hops: 0,
            first_id: self.ids.take(event.timestamp, 1),
        });
        self.spine.publish(envelope);
    }
}
