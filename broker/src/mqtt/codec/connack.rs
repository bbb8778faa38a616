//! CONNACK: what the server says of itself.

use bytes::{BufMut, BytesMut};

use super::frame::{remaining_length_len, write_remaining_length};
use super::properties::{
    AUTH_DATA, AUTH_METHOD, PACKET_BYTES_MAX, REASON_STRING, RECEIVE_MAX, SESSION_EXPIRY, TOPIC_ALIAS_MAX,
};
use super::text::{put_binary, put_text, reason_text};
use super::{Reason, Version};

const ASSIGNED_CLIENT_ID: u8 = 0x12;
const SERVER_KEEP_ALIVE: u8 = 0x13;
const RESPONSE_INFO: u8 = 0x1A;

/// What CONNACK tells besides the reason; all but the first go to MQTT 5 only.
#[derive(Debug, Clone, Default)]
pub struct ConnackOptions<'a> {
    /// Whether there is a session from before.
    pub session_present: bool,
    /// The session expiry in seconds, where it is not what the client asked for.
    pub session_expiry_seconds: Option<u32>,
    /// The prefix of topics for responses.
    pub response_info: Option<&'a str>,
    /// The method of an enhanced authentication that has succeeded, and its last data.
    pub auth: Option<(&'a str, &'a [u8])>,
    /// The client id that the server made.
    pub assigned_client_id: Option<&'a str>,
    /// Why it was refused, in words.
    pub reason_string: Option<&'a str>,
    /// The keep-alive that the server wants instead of the client's.
    pub server_keep_alive_seconds: Option<u16>,
    /// How many unacknowledged publishes the server takes.
    pub receive_max: u16,
    /// The largest packet the server takes.
    pub packet_bytes_max: u32,
    /// How many topic aliases the server takes.
    pub topic_alias_max: u16,
}

/// The return code of 3.1.1 for what has none of its own.
const SERVER_UNAVAILABLE: u8 = 3;

/// Writes CONNACK.
pub fn encode_connack(out: &mut BytesMut, version: Version, reason: Reason, options: &ConnackOptions<'_>) {
    encode_connack_within(out, version, reason, options, u32::MAX);
}

/// As [`encode_connack`], without the words where the packet would be longer than the client takes. [MQTT5-3.2.2-19]
pub fn encode_connack_within(
    out: &mut BytesMut,
    version: Version,
    reason: Reason,
    options: &ConnackOptions<'_>,
    packet_bytes_max: u32,
) {
    // A refusal says that there is no session, and 3.1 has no word for it. [MQTT-3.2.2-4, MQTT5-3.2.2-6]
    let present = options.session_present && reason == Reason::Success && version != Version::V31;
    if version != Version::V5 {
        out.put_slice(&[0x20, 2, u8::from(present), reason.connack_v3().unwrap_or(SERVER_UNAVAILABLE)]);
        return;
    }
    let mut properties = Vec::new();
    if reason == Reason::Success {
        put_terms(&mut properties, options);
    }
    if let Some(text) = options.reason_string.map(reason_text).filter(|text| !text.is_empty()) {
        let without = properties.len();
        properties.put_u8(REASON_STRING);
        put_text(&mut properties, text);
        let remaining = remaining_len(properties.len());
        if 1 + remaining_length_len(remaining) + remaining > packet_bytes_max as usize {
            properties.truncate(without);
        }
    }
    out.put_u8(0x20);
    write_remaining_length(out, remaining_len(properties.len()));
    out.put_slice(&[u8::from(present), reason as u8]);
    write_remaining_length(out, properties.len());
    out.put_slice(&properties);
}

fn remaining_len(properties_len: usize) -> usize {
    2 + remaining_length_len(properties_len) + properties_len
}

/// What a client that comes in has to know. What is not said is offered: QoS 2, retained messages, wildcards,
/// subscription identifiers, shared subscriptions (MQTT 5 §3.2.2.3).
fn put_terms(out: &mut Vec<u8>, options: &ConnackOptions<'_>) {
    if let Some(seconds) = options.session_expiry_seconds {
        out.put_u8(SESSION_EXPIRY);
        out.put_u32(seconds);
    }
    out.put_u8(RECEIVE_MAX);
    out.put_u16(options.receive_max);
    out.put_u8(PACKET_BYTES_MAX);
    out.put_u32(options.packet_bytes_max);
    out.put_u8(TOPIC_ALIAS_MAX);
    out.put_u16(options.topic_alias_max);
    if let Some(client_id) = options.assigned_client_id {
        out.put_u8(ASSIGNED_CLIENT_ID);
        put_text(out, client_id);
    }
    if let Some(seconds) = options.server_keep_alive_seconds {
        out.put_u8(SERVER_KEEP_ALIVE);
        out.put_u16(seconds);
    }
    if let Some(prefix) = options.response_info {
        out.put_u8(RESPONSE_INFO);
        put_text(out, prefix);
    }
    if let Some((method, data)) = options.auth {
        out.put_u8(AUTH_METHOD);
        put_text(out, method);
        out.put_u8(AUTH_DATA);
        put_binary(out, data);
    }
}
