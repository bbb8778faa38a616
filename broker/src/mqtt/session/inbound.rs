//! What a client sends, packet by packet.

use bytes::{Buf, BytesMut};
use pointsman_rules::topic::{TopicFilter, validate_topic};
use tokio::io::{AsyncRead, AsyncWrite};

use super::super::codec::{
    Control, FrameHead, ProtocolError, PublishView, QoS, Reason, Subscription, Version, decode_control,
    encode_ack, encode_pingresp, encode_suback, encode_unsuback, frame_head, parse_publish, without_alias,
};
use super::super::envelope::{Marks, Origin};
use super::connection::{Connection, End, LastTopic};
use super::subscriptions::Subscriber;
use crate::auth::Action;

const PUBACK: u8 = 0x40;

impl From<ProtocolError> for End {
    fn from(error: ProtocolError) -> End {
        End::Refused(error)
    }
}

fn refused<V>(reason: Reason, detail: impl Into<String>) -> Result<V, End> {
    Err(End::Refused(ProtocolError::new(reason, detail)))
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection<T> {
    /// Handles every whole packet that is there. What was published goes on together, but not past a packet of
    /// another kind, so that the order in which the client did things is kept.
    pub(super) async fn handle_packets(&mut self) -> Result<(), End> {
        loop {
            let buffer = std::mem::take(&mut self.inbound);
            let mut used = 0;
            let parsed = self.parse_run(&buffer, &mut used);
            self.inbound = buffer;
            self.inbound.advance(used);
            // What came before a bad packet was good.
            if !self.builder.is_empty() {
                self.submit().await?;
            }
            self.flush_acks();
            match parsed? {
                Some(control) => self.handle_control(control)?,
                None => return Ok(()),
            }
        }
    }

    /// Takes packets from the front up to and with the first that is not PUBLISH or PUBACK.
    fn parse_run(&mut self, buffer: &BytesMut, used: &mut usize) -> Result<Option<Control>, End> {
        while let Some(head) = frame_head(&buffer[*used..], self.hub.limits.packet_bytes_max)? {
            let Some(packet) = buffer.get(*used..*used + head.len) else { return Ok(None) };
            *used += head.len;
            match head.first >> 4 {
                3 => self.take_publish(head, &packet[head.head_len..], buffer.len() - *used + head.len)?,
                4 => self.take_puback(&packet[head.head_len..])?,
                1 => return refused(Reason::ProtocolError, "a second CONNECT"), // [MQTT-3.1.0-2]
                5..=7 => return refused(Reason::ProtocolError, "a packet of QoS 2, which was not offered"),
                _ => return Ok(Some(decode_control(packet, self.version)?)),
            }
        }
        Ok(None)
    }

    fn take_puback(&mut self, body: &[u8]) -> Result<(), End> {
        let Some((id, _)) = body.split_first_chunk::<2>() else {
            return refused(Reason::MalformedPacket, "a PUBACK without a packet id");
        };
        // An unknown id is ignored: it may acknowledge what an earlier connection sent.
        self.inflight.acknowledge(u16::from_be_bytes(*id));
        Ok(())
    }

    /// Checks a PUBLISH and puts it into the builder. `coming` is how many bytes of the buffer are not handled yet.
    fn take_publish(&mut self, head: FrameHead, body: &[u8], coming: usize) -> Result<(), End> {
        let publish = parse_publish(head.first, body, self.version)?;
        if publish.qos == QoS::ExactlyOnce {
            return refused(Reason::QoSNotSupported, "QoS 2 is not offered yet"); // [MQTT5-3.2.2-11]
        }
        if publish.retain && self.version == Version::V5 {
            return refused(Reason::RetainNotSupported, "retained messages are not offered yet");
        }
        self.resolve_topic(&publish)?;
        if !self.last_topic.allowed {
            return self.deny(&publish);
        }
        let stripped;
        let properties = if publish.topic_alias.is_some() {
            stripped = without_alias(publish.properties);
            stripped.as_slice()
        } else {
            publish.properties
        };
        if self.builder.is_empty() {
            self.builder.reserve(coming);
        }
        let marks = Marks { qos: publish.qos, retain: publish.retain, interest: self.last_topic.interest };
        self.builder.push(&self.last_topic.topic, publish.payload, properties, marks);
        if publish.qos > QoS::AtMostOnce {
            self.acks.push((publish.packet_id, Reason::Success));
        }
        Ok(())
    }

    /// Makes `last_topic` the topic of this publish, checked.
    fn resolve_topic(&mut self, publish: &PublishView<'_>) -> Result<(), End> {
        let generation = self.hub.generation();
        let known = !publish.topic.is_empty()
            && publish.topic == self.last_topic.topic.as_bytes()
            && self.last_topic.generation == generation;
        if known && publish.topic_alias.is_none() {
            return Ok(());
        }
        let topic = match (std::str::from_utf8(publish.topic), publish.topic_alias) {
            (Err(_), _) => return refused(Reason::MalformedPacket, "a topic is not UTF-8"), // [MQTT-1.5.3-1]
            (Ok(""), None) => return refused(Reason::ProtocolError, "a PUBLISH has neither topic nor alias"),
            (Ok(topic), None) => topic.to_owned(),
            (Ok(topic), Some(alias)) => self.resolve_alias(topic, alias)?,
        };
        if let Err(error) = validate_topic(&topic) {
            return refused(Reason::TopicNameInvalid, error.to_string()); // [MQTT-3.3.2-2]
        }
        if topic.split('/').count() > self.hub.limits.topic_levels_max {
            return refused(Reason::TopicNameInvalid, "the topic has more levels than topic_levels_max");
        }
        // Nobody publishes as the server does, whatever a policy says.
        let allowed = !topic.starts_with('$') && self.client.identity.may(Action::Publish, &topic);
        let interest = self.hub.ingress.interest(&topic);
        self.last_topic = LastTopic { topic, interest, allowed, generation };
        Ok(())
    }

    fn resolve_alias(&mut self, topic: &str, alias: u16) -> Result<String, End> {
        if alias > self.hub.limits.topic_alias_max {
            return refused(Reason::TopicAliasInvalid, "the topic alias is above topic_alias_max"); // [MQTT-3.3.2-9]
        }
        let slot = usize::from(alias) - 1;
        if topic.is_empty() {
            let known = self.aliases.get(slot).and_then(Option::as_deref).map(str::to_owned);
            return known.map_or_else(|| refused(Reason::ProtocolError, "the topic alias is not set"), Ok);
        }
        if self.aliases.len() <= slot {
            self.aliases.resize(slot + 1, None);
        }
        self.aliases[slot] = Some(Box::from(topic));
        Ok(topic.to_owned())
    }

    /// A publish that the policy denies is refused by PUBACK where there is one that can say so; else the connection
    /// ends: nothing is dropped in silence (SEMANTICS §1.4).
    fn deny(&mut self, publish: &PublishView<'_>) -> Result<(), End> {
        self.hub.telemetry.drops.not_authorized.add(1);
        if self.version == Version::V5 && publish.qos > QoS::AtMostOnce {
            self.acks.push((publish.packet_id, Reason::NotAuthorized));
            return Ok(());
        }
        let detail = format!("the policy does not allow publishing to {:?}", self.last_topic.topic);
        refused(Reason::NotAuthorized, detail)
    }

    /// Sends what was published on its way, to the disk first if somebody needs that.
    async fn submit(&mut self) -> Result<(), End> {
        let count = self.builder.len();
        let durable = self.builder.interest().durable;
        let mut envelope = self.builder.seal(&Origin {
            publisher: self.client.connection,
            client_id: &self.client.client_id,
            user: self.client.identity.user.as_deref(),
            hops: 0,
            first_id: self.hub.ids.take(self.hub.clock.now_ms(), count),
        });
        self.hub.telemetry.messages_in_total.add(count as u64);
        if durable {
            envelope = match self.hub.ingress.log(envelope).await {
                Ok(envelope) => envelope,
                Err(error) => return self.withhold(&error),
            };
        }
        self.hub.spine.publish(envelope);
        self.hold().await;
        Ok(())
    }

    /// Nothing was promised: an MQTT 5 client is told so, another finds its connection closed and will send again.
    fn withhold(&mut self, error: &super::LogRefused) -> Result<(), End> {
        if self.version != Version::V5 {
            self.acks.clear();
            return refused(Reason::ServerUnavailable, error.detail.clone());
        }
        for (_, reason) in &mut self.acks {
            if *reason == Reason::Success {
                *reason = error.reason;
            }
        }
        Ok(())
    }

    /// Waits while the spine or a subscriber is too far behind.
    async fn hold(&mut self) {
        if self.hub.spine.is_lagging() {
            self.hub.telemetry.throttles_total.add(1);
            self.hub.spine.caught_up().await;
        }
        let until = self.client.held_until_ms();
        if until > 0 {
            let wait = until.saturating_sub(self.hub.clock.now_ms());
            if wait > 0 {
                tokio::time::sleep(std::time::Duration::from_millis(wait)).await;
            }
        }
    }

    fn flush_acks(&mut self) {
        for (packet_id, reason) in self.acks.drain(..) {
            encode_ack(&mut self.outbound, self.version, PUBACK, packet_id, reason);
        }
    }

    fn handle_control(&mut self, control: Control) -> Result<(), End> {
        match control {
            Control::Subscribe { packet_id, subscription_id, filters } => {
                self.subscribe(packet_id, subscription_id, &filters);
                Ok(())
            }
            Control::Unsubscribe { packet_id, filters } => {
                self.unsubscribe(packet_id, &filters);
                Ok(())
            }
            Control::PingRequest => {
                encode_pingresp(&mut self.outbound);
                Ok(())
            }
            Control::Disconnect { with_will, .. } => Err(End::Goodbye { with_will }),
            Control::Auth { .. } => {
                refused(Reason::ProtocolError, "an AUTH without an authentication method")
            }
        }
    }

    fn subscribe(&mut self, packet_id: u16, subscription_id: Option<u32>, wanted: &[Subscription]) {
        let mut accepted = Vec::new();
        let codes: Vec<Reason> = wanted
            .iter()
            .map(|subscription| match self.admit_filter(subscription) {
                Ok(filter) => {
                    accepted.push(filter.as_str().to_owned());
                    self.add_subscription(filter, subscription, subscription_id)
                }
                Err(reason) => reason,
            })
            .collect();
        encode_suback(&mut self.outbound, self.version, packet_id, &codes);
        if !accepted.is_empty() {
            self.hub.announce_subscriptions(&self.client, "subscribed", accepted);
        }
    }

    fn admit_filter(&self, wanted: &Subscription) -> Result<TopicFilter, Reason> {
        if wanted.filter.starts_with("$share/") {
            return Err(Reason::SharedSubscriptionsNotSupported);
        }
        let filter = TopicFilter::parse(&wanted.filter).map_err(|_| Reason::TopicFilterInvalid)?;
        if filter.levels() > self.hub.limits.topic_levels_max {
            return Err(Reason::TopicFilterInvalid);
        }
        let mine = self.filters.contains(&filter);
        if !mine && self.filters.len() >= self.hub.limits.subscriptions_max {
            return Err(Reason::QuotaExceeded);
        }
        if !self.client.identity.may(Action::Subscribe, filter.as_str()) {
            return Err(Reason::NotAuthorized);
        }
        Ok(filter)
    }

    fn add_subscription(
        &mut self,
        filter: TopicFilter,
        wanted: &Subscription,
        subscription_id: Option<u32>,
    ) -> Reason {
        let qos = wanted.qos.min(QoS::AtLeastOnce);
        let subscriber = Subscriber {
            client: std::sync::Arc::clone(&self.client),
            qos,
            no_local: wanted.no_local,
            retain_as_published: wanted.retain_as_published,
            subscription_id,
        };
        self.hub.subscriptions.subscribe(&filter, subscriber);
        if !self.filters.contains(&filter) {
            self.filters.push(filter);
        }
        if qos == QoS::AtLeastOnce { Reason::GrantedQoS1 } else { Reason::Success }
    }

    fn unsubscribe(&mut self, packet_id: u16, filters: &[bytestring::ByteString]) {
        let mut gone = Vec::new();
        let codes: Vec<Reason> = filters
            .iter()
            .map(|text| {
                let Ok(filter) = TopicFilter::parse(text) else { return Reason::TopicFilterInvalid };
                if !self.hub.subscriptions.unsubscribe(&filter, self.client.connection) {
                    return Reason::NoSubscriptionExisted;
                }
                self.filters.retain(|mine| *mine != filter);
                gone.push(text.to_string());
                Reason::Success
            })
            .collect();
        encode_unsuback(&mut self.outbound, self.version, packet_id, &codes);
        if !gone.is_empty() {
            self.hub.announce_subscriptions(&self.client, "unsubscribed", gone);
        }
    }
}
