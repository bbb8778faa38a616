//! DISCONNECT and AUTH, both ways.

use bytes::{BufMut, Bytes, BytesMut};

use super::control::Control;
use super::frame::{remaining_length_len, write_remaining_length};
use super::properties::{AUTH_DATA, AUTH_METHOD, Place, Properties, Property};
use super::reader::Reader;
use super::reasons::{put_reason_string, reason_string_len};
use super::text::{put_binary, put_text};
use super::{ProtocolError, Reason, Version};

pub(super) fn read_disconnect(body: &[u8], version: Version) -> Result<Control, ProtocolError> {
    let mut reader = Reader::new("DISCONNECT", body);
    let mut reason = Reason::Success as u8;
    let mut session_expiry_seconds = None;
    if version == Version::V5 && !reader.is_empty() {
        reason = reader.byte("reason code")?;
        if !reader.is_empty() {
            let mut properties = Properties::new(Place::Disconnect, reader.properties()?);
            while let Some((property, _)) = properties.next()? {
                if let Property::SessionExpiry(seconds) = property {
                    session_expiry_seconds = Some(seconds);
                }
            }
        }
    }
    reader.finish()?;
    // The will is dropped for success alone. [MQTT5-3.1.2-10] A code that a client should not send is no reason to
    // answer: the connection is at its end either way, and what was to be said at a bad end is said.
    let with_will = reason != Reason::Success as u8;
    Ok(Control::Disconnect { with_will, session_expiry_seconds })
}

pub(super) fn read_auth(body: &[u8]) -> Result<Control, ProtocolError> {
    let mut reader = Reader::new("AUTH", body);
    // Without a body it says success (MQTT 5 §3.15.2.1), which is for the server to say. [MQTT5-3.15.2-1]
    let reason = if reader.is_empty() { 0 } else { reader.byte("reason code")? };
    if !matches!(reason, 0x18 | 0x19) {
        let detail = format!("{reason:#04x} is no reason code of a client's AUTH");
        return Err(ProtocolError::new(Reason::ProtocolError, detail));
    }
    let mut method = None;
    let mut data = None;
    let mut properties = Properties::new(Place::Auth, reader.properties()?);
    while let Some((property, _)) = properties.next()? {
        match property {
            Property::AuthMethod(name) => method = Some(name.to_owned()),
            Property::AuthData(bytes) => data = Some(Bytes::copy_from_slice(bytes)),
            _ => {}
        }
    }
    reader.finish()?;
    if method.is_none() {
        let detail = "AUTH does not name its authentication method"; // MQTT 5 §3.15.2.2.2
        return Err(ProtocolError::new(Reason::ProtocolError, detail));
    }
    Ok(Control::Auth { reason, method, data })
}

/// Writes DISCONNECT with a reason and its words, if there are any; only MQTT 5 has one from the server.
pub fn encode_disconnect(out: &mut BytesMut, version: Version, reason: Reason, detail: &str) {
    encode_disconnect_within(out, version, reason, detail, u32::MAX);
}

/// As [`encode_disconnect`], without the words where the packet would be longer than the client takes.
/// [MQTT5-3.14.2-3]
pub fn encode_disconnect_within(
    out: &mut BytesMut,
    version: Version,
    reason: Reason,
    detail: &str,
    packet_bytes_max: u32,
) {
    if version != Version::V5 {
        return;
    }
    // A reason that DISCONNECT does not have is unspecified there. [MQTT5-3.14.2-1]
    let code = if reason.is_for_disconnect() { reason } else { Reason::UnspecifiedError };
    let properties = reason_string_len(Some(detail));
    let remaining = 1 + remaining_length_len(properties) + properties;
    let len = 1 + remaining_length_len(remaining) + remaining;
    out.put_u8(0xE0);
    if properties == 0 || len > packet_bytes_max as usize {
        out.put_slice(&[1, code as u8]);
        return;
    }
    write_remaining_length(out, remaining);
    out.put_u8(code as u8);
    put_reason_string(out, Some(detail));
}

/// Writes AUTH: success, or a challenge to go on with; only MQTT 5 has it.
pub fn encode_auth(out: &mut BytesMut, reason: Reason, method: &str, data: Option<&[u8]>) {
    let mut properties = Vec::new();
    properties.put_u8(AUTH_METHOD);
    put_text(&mut properties, method);
    if let Some(data) = data {
        properties.put_u8(AUTH_DATA);
        put_binary(&mut properties, data);
    }
    out.put_u8(0xF0);
    write_remaining_length(out, 1 + remaining_length_len(properties.len()) + properties.len());
    out.put_u8(reason as u8);
    write_remaining_length(out, properties.len());
    out.put_slice(&properties);
}
