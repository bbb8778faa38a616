//! What is read, what is refused and with which reason, and what is written, byte by byte.

mod acks;
mod connect;
mod control;
mod properties;
mod publish;
mod random;
mod written;

use bytes::{BufMut, BytesMut};

use super::{ProtocolError, Reason, write_remaining_length};

const MALFORMED: Reason = Reason::MalformedPacket;
const PROTOCOL: Reason = Reason::ProtocolError;

/// A whole packet.
fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    out.put_u8(first);
    write_remaining_length(&mut out, body.len());
    out.put_slice(body);
    out.to_vec()
}

/// Properties with their length, which is below 128 here.
fn with_len(properties: &[u8]) -> Vec<u8> {
    let len = u8::try_from(properties.len()).expect("short properties");
    [&[len], properties].concat()
}

fn reason_of<T: std::fmt::Debug>(result: Result<T, ProtocolError>) -> Reason {
    result.expect_err("a refusal").reason
}
