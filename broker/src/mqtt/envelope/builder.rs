//! Collecting messages and sealing them.

use bytes::{BufMut, BytesMut};

use super::super::codec::{QoS, message_expiry, write_remaining_length};
use super::{
    Envelope, FLAG_DURABLE, FLAG_EXPIRES, FLAG_QOS, FLAG_RETAIN, FLAG_RULES, FOOTER_BYTES, FORMAT_VERSION,
    Interest, META_BYTES, Marks, Meta, NO_USER, Origin, SOME_EXPIRES, SOME_RETAINED,
};

/// Collects messages and seals them into an [`Envelope`].
#[derive(Debug, Default)]
pub struct EnvelopeBuilder {
    frames: BytesMut,
    properties: Vec<u8>,
    metas: Vec<Meta>,
    interest: Interest,
    some: u8,
}

/// What was added to a builder since some moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Added {
    /// About how many bytes of the envelope it takes; never less than it does.
    pub bytes: usize,
    /// Bytes of the frames that are to be retained.
    pub retained_bytes: usize,
    /// Whether somebody who must not miss it wants something of it, which includes the retained store.
    pub is_kept: bool,
}

/// What a builder held at some moment.
#[derive(Debug)]
pub struct BuilderMark {
    frames: usize,
    properties: usize,
    metas: usize,
    interest: Interest,
    some: u8,
}

impl EnvelopeBuilder {
    /// Adds a message. `topic` and `payload` together are at most 256 MiB, which the packet size limit sees to.
    pub fn push(&mut self, topic: &str, payload: &[u8], properties: &[u8], marks: Marks) {
        let remaining = 2 + topic.len() + payload.len();
        let frame_at = self.frames.len();
        self.frames.reserve(remaining + 5);
        self.frames.put_u8(0x30);
        write_remaining_length(&mut self.frames, remaining);
        let fixed_len = self.frames.len() - frame_at;
        self.frames.put_u16(u16_of(topic.len()));
        self.frames.put_slice(topic.as_bytes());
        self.frames.put_slice(payload);
        let properties_at = self.properties.len();
        self.properties.extend_from_slice(properties);
        self.metas.push(Meta {
            frame_at: u32_of(frame_at),
            frame_len: u32_of(self.frames.len() - frame_at),
            properties_at: u32_of(properties_at),
            properties_len: u32_of(properties.len()),
            topic_len: u16_of(topic.len()),
            fixed_len: u8::try_from(fixed_len).expect("a fixed header is at most five bytes"),
            flags: flags(marks) | if expires(properties) { FLAG_EXPIRES } else { 0 },
        });
        self.some |= if marks.retain { SOME_RETAINED } else { 0 };
        self.some |= if expires(properties) { SOME_EXPIRES } else { 0 };
        self.interest.durable |= marks.interest.durable && marks.qos > QoS::AtMostOnce;
        self.interest.rules |= marks.interest.rules;
    }

    /// Makes room for messages of about that many bytes.
    pub fn reserve(&mut self, bytes: usize) {
        self.frames.reserve(bytes + bytes / 8 + FOOTER_BYTES);
    }

    /// Moves the messages of another builder to the end of this one.
    pub fn append(&mut self, other: &mut EnvelopeBuilder) {
        let (frames, properties) = (u32_of(self.frames.len()), u32_of(self.properties.len()));
        self.frames.extend_from_slice(&other.frames);
        self.properties.append(&mut other.properties);
        self.metas.extend(other.metas.drain(..).map(|meta| Meta {
            frame_at: meta.frame_at + frames,
            properties_at: meta.properties_at + properties,
            ..meta
        }));
        self.interest.durable |= other.interest.durable;
        self.interest.rules |= other.interest.rules;
        self.some |= other.some;
        *other = EnvelopeBuilder::default();
    }

    /// What the builder holds, to come back to it.
    pub fn mark(&self) -> BuilderMark {
        BuilderMark {
            frames: self.frames.len(),
            properties: self.properties.len(),
            metas: self.metas.len(),
            interest: self.interest,
            some: self.some,
        }
    }

    /// Takes back what was added since the mark was made; nothing was sealed or moved meanwhile.
    pub fn take_back(&mut self, mark: &BuilderMark) {
        self.frames.truncate(mark.frames);
        self.properties.truncate(mark.properties);
        self.metas.truncate(mark.metas);
        self.interest = mark.interest;
        self.some = mark.some;
    }

    /// What was added since the mark was made; nothing was sealed, moved or taken back meanwhile.
    pub fn added_since(&self, mark: &BuilderMark) -> Added {
        let metas = &self.metas[mark.metas..];
        let frames = self.frames.len() - mark.frames + self.properties.len() - mark.properties;
        let mut added = Added { bytes: frames + metas.len() * META_BYTES, ..Added::default() };
        for meta in metas {
            let is_retained = meta.flags & FLAG_RETAIN != 0;
            added.is_kept |= is_retained || meta.flags & FLAG_DURABLE != 0 && meta.flags & FLAG_QOS != 0;
            if is_retained {
                added.retained_bytes += meta.frame_len as usize;
            }
        }
        added
    }

    /// How many messages were added.
    pub fn len(&self) -> usize {
        self.metas.len()
    }

    /// Whether no message was added.
    pub fn is_empty(&self) -> bool {
        self.metas.is_empty()
    }

    /// Bytes of the frames so far.
    pub fn frame_bytes(&self) -> usize {
        self.frames.len()
    }

    /// Whether some message is to be retained.
    pub fn has_retained(&self) -> bool {
        self.some & SOME_RETAINED != 0
    }

    /// What the messages together need; `durable` only counts for QoS 1 and 2.
    pub fn interest(&self) -> Interest {
        self.interest
    }

    /// Seals what was added and leaves the builder empty.
    pub fn seal(&mut self, origin: &Origin<'_>) -> Envelope {
        let mut bytes = std::mem::take(&mut self.frames);
        let properties_base = bytes.len();
        let user = origin.user.unwrap_or_default();
        let identity = origin.client_id.len() + user.len();
        bytes.reserve(self.properties.len() + identity + self.metas.len() * META_BYTES + FOOTER_BYTES);
        bytes.put_slice(&self.properties);
        let client_at = bytes.len();
        bytes.put_slice(origin.client_id.as_bytes());
        bytes.put_slice(user.as_bytes());
        let metas_at = bytes.len();
        for meta in &self.metas {
            bytes.put_u32_le(meta.frame_at);
            bytes.put_u32_le(meta.frame_len);
            bytes.put_u32_le(meta.properties_at + u32_of(properties_base));
            bytes.put_u32_le(meta.properties_len);
            bytes.put_u16_le(meta.topic_len);
            bytes.put_u8(meta.fixed_len);
            bytes.put_u8(meta.flags);
            bytes.put_u32_le(0);
        }
        bytes.put_u64_le(0);
        bytes.put_u64_le(origin.publisher);
        bytes.put_u128_le(origin.first_id.to_u128());
        bytes.put_u32_le(u32_of(metas_at));
        bytes.put_u32_le(u32_of(self.metas.len()));
        bytes.put_u32_le(u32_of(client_at));
        bytes.put_u16_le(u16_of(origin.client_id.len()));
        bytes.put_u16_le(origin.user.map_or(NO_USER, |user| u16_of(user.len())));
        bytes.put_u8(u8::from(self.interest.durable) | u8::from(self.interest.rules) << 1 | self.some);
        bytes.put_u8(origin.hops);
        bytes.put_u8(FORMAT_VERSION);
        bytes.put_bytes(0, 5);
        self.metas.clear();
        self.properties.clear();
        self.interest = Interest::default();
        self.some = 0;
        Envelope { bytes: bytes.freeze() }
    }
}

/// Whether there is a message expiry interval among the properties.
fn expires(properties: &[u8]) -> bool {
    !properties.is_empty() && message_expiry(properties).is_some()
}

fn flags(marks: Marks) -> u8 {
    let mut flags = marks.qos as u8;
    if marks.retain {
        flags |= FLAG_RETAIN;
    }
    if marks.interest.durable {
        flags |= FLAG_DURABLE;
    }
    if marks.interest.rules {
        flags |= FLAG_RULES;
    }
    flags
}

fn u32_of(value: usize) -> u32 {
    u32::try_from(value).expect("an envelope is below 4 GiB: packets are at most 256 MiB")
}

fn u16_of(value: usize) -> u16 {
    u16::try_from(value).expect("MQTT texts are at most 65,535 bytes")
}
