//! Cutting one message out of an envelope.

use super::{Envelope, EnvelopeBuilder, FOOTER_BYTES, LOG_INDEX_AT, Origin};

impl Envelope {
    /// The message at `index` in an envelope of its own, with the same id, origin and place in the log. It shares no
    /// memory with this one, which may hold 64 KiB of others, and has none to spare.
    #[must_use]
    pub fn single(&self, index: usize) -> Envelope {
        let message = self.message(index);
        let mut builder = EnvelopeBuilder::default();
        builder.push(message.topic(), message.payload(), message.properties(), message.marks());
        let mut sealed = builder.seal(&Origin {
            publisher: self.publisher(),
            client_id: self.client_id(),
            user: self.user(),
            hops: self.hops(),
            first_id: self.id(index),
        });
        if let Some(seq) = self.log_seq() {
            sealed.set_log_seq(seq);
        }
        let mut bytes = sealed.bytes.to_vec();
        let at = bytes.len() - FOOTER_BYTES + LOG_INDEX_AT;
        bytes[at..at + 4].copy_from_slice(&self.log_index(index).to_le_bytes());
        Envelope { bytes: bytes.into_boxed_slice().into() }
    }
}

#[cfg(test)]
mod tests {
    use pointsman_rules::EventId;

    use super::super::super::codec::QoS;
    use super::super::{Interest, Marks};
    use super::*;

    #[test]
    fn a_single_message_is_all_it_was() {
        let mut builder = EnvelopeBuilder::default();
        let marks =
            Marks { qos: QoS::ExactlyOnce, retain: true, interest: Interest { durable: true, rules: false } };
        builder.push("a", b"one", b"", Marks { retain: false, ..marks });
        builder.push("é/b", b"two", b"\x01\x01", marks);
        let origin = Origin {
            publisher: 9,
            client_id: "c1",
            user: Some("ann"),
            hops: 2,
            first_id: EventId::from_u128(41),
        };
        let mut envelope = builder.seal(&origin);
        envelope.set_log_seq(77);
        let single = Envelope::from_bytes(envelope.single(1).bytes().clone()).unwrap();
        let message = single.message(0);
        assert_eq!((single.len(), message.topic(), message.payload()), (1, "é/b", &b"two"[..]));
        assert_eq!((message.properties(), message.marks()), (&b"\x01\x01"[..], marks));
        assert_eq!((single.id(0), single.log_seq()), (EventId::from_u128(42), Some(77)));
        assert_eq!((single.client_id(), single.user(), single.hops()), ("c1", Some("ann"), 2));
        assert_eq!(single.publisher(), 9);
        assert_eq!((single.log_index(0), single.single(0).log_index(0), envelope.log_index(1)), (1, 1, 1));
        let origin = Origin { user: None, ..origin };
        builder.push("a", b"", b"", marks);
        let plain = builder.seal(&origin).single(0);
        assert_eq!((plain.user(), plain.log_seq()), (None, None));
    }
}
