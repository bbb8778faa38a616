//! What a client is sent: deliveries become packets here.

use tokio::io::{AsyncRead, AsyncWrite};

use super::super::codec::{OutboundPublish, QoS, Version, encode_publish};
use super::connection::Connection;
use super::outbox::Delivery;

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection<T> {
    /// Encodes deliveries until about `enough` bytes wait to be written, or the window is full.
    pub(super) fn encode_deliveries(&mut self, enough: usize) {
        while self.outbound.len() < enough {
            let Some(mut delivery) = self.deliveries.pop_front() else { return };
            let before = delivery.bytes();
            let verbatim =
                self.version != Version::V5 && !delivery.acknowledged && !delivery.retain_as_published;
            if verbatim {
                let frames = delivery.envelope.frames(delivery.first as usize, delivery.count as usize);
                self.outbound.extend_from_slice(frames);
                self.sent.publishes(0, u64::from(delivery.count), frames.len());
                self.client.outbox.written(before);
                continue;
            }
            let done = self.encode_each(&mut delivery, enough);
            if done {
                self.client.outbox.written(before);
            } else {
                let left = if delivery.count == 0 { 0 } else { delivery.bytes() };
                self.client.outbox.written(before - left);
                self.deliveries.push_front(delivery);
                if self.inflight.is_full() {
                    return;
                }
            }
        }
    }

    /// Encodes message by message; false if the window or the buffer is full before the end of the delivery.
    fn encode_each(&mut self, delivery: &mut Delivery, enough: usize) -> bool {
        while delivery.count > 0 {
            if self.outbound.len() >= enough {
                break;
            }
            let message = delivery.envelope.message(delivery.first as usize);
            let marks = message.marks();
            let qos = marks.qos.min(delivery.qos_max);
            let too_large = message.body().len() + message.properties().len() + 16 > self.packet_bytes_max;
            if too_large {
                // [MQTT-3.1.2-25]
                self.hub.telemetry.drops.packet_too_large.add(1);
            } else {
                let packet_id = if qos > QoS::AtMostOnce {
                    match self.inflight.next() {
                        Some(packet_id) => packet_id,
                        None => break,
                    }
                } else {
                    0
                };
                let publish = OutboundPublish {
                    body: message.body(),
                    topic_len: 2 + message.topic_bytes().len(),
                    properties: message.properties(),
                    subscription_ids: &delivery.subscription_ids,
                    qos,
                    retain: delivery.retain_as_published && marks.retain,
                    dup: false,
                    packet_id,
                };
                let before = self.outbound.len();
                encode_publish(&mut self.outbound, self.version, &publish);
                self.sent.publishes(qos as u8, 1, self.outbound.len() - before);
            }
            delivery.first += 1;
            delivery.count -= 1;
        }
        delivery.count == 0
    }
}
