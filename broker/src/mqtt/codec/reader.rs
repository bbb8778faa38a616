//! A packet's bytes, read field by field; an error names the packet and the field.

use super::frame::read_variable;
use super::text::check_name;
use super::{ProtocolError, Reason};

/// What is left to read of a packet.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    packet: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads what comes after a fixed header.
    pub(super) fn new(packet: &'static str, body: &'a [u8]) -> Reader<'a> {
        Reader { packet, rest: body }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// All that is left.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn chunk<const N: usize>(&mut self, what: &str) -> Result<[u8; N], ProtocolError> {
        let (chunk, rest) = self.rest.split_first_chunk::<N>().ok_or_else(|| self.short(what))?;
        self.rest = rest;
        Ok(*chunk)
    }

    fn short(&self, what: &str) -> ProtocolError {
        ProtocolError::malformed(format!("{} ends before its {what} does", self.packet))
    }

    pub(super) fn byte(&mut self, what: &str) -> Result<u8, ProtocolError> {
        self.chunk::<1>(what).map(|[byte]| byte)
    }

    pub(super) fn two(&mut self, what: &str) -> Result<u16, ProtocolError> {
        self.chunk(what).map(u16::from_be_bytes)
    }

    /// A packet id, which is never 0. [MQTT-2.3.1-1, MQTT5-2.2.1-3]
    pub(super) fn packet_id(&mut self) -> Result<u16, ProtocolError> {
        match self.two("packet id")? {
            0 => Err(ProtocolError::new(Reason::ProtocolError, format!("{} has packet id 0", self.packet))),
            id => Ok(id),
        }
    }

    /// Binary data: two bytes of length, and as many as they say.
    pub(super) fn binary(&mut self, what: &str) -> Result<&'a [u8], ProtocolError> {
        let len = self.two(what)?;
        let (data, rest) = self.rest.split_at_checked(usize::from(len)).ok_or_else(|| self.short(what))?;
        self.rest = rest;
        Ok(data)
    }

    /// A string that names something.
    pub(super) fn name(&mut self, what: &str) -> Result<&'a str, ProtocolError> {
        let packet = self.packet;
        let bytes = self.binary(what)?;
        // The words for an error are only made where there is one.
        check_name(bytes, "").or_else(|_| check_name(bytes, &format!("the {what} of {packet}")))
    }

    /// The properties of MQTT 5, without their length.
    pub(super) fn properties(&mut self) -> Result<&'a [u8], ProtocolError> {
        let packet = self.packet;
        let (len, used) = read_variable(self.rest).ok_or_else(|| {
            ProtocolError::malformed(format!("the length of the properties of {packet} is malformed"))
        })?;
        let (properties, rest) = self.rest[used..].split_at_checked(len as usize).ok_or_else(|| {
            ProtocolError::malformed(format!("the properties of {packet} are longer than it"))
        })?;
        self.rest = rest;
        Ok(properties)
    }

    /// Refuses what comes after the last field.
    pub(super) fn finish(self) -> Result<(), ProtocolError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        let detail = format!("{} has {} bytes after its last field", self.packet, self.rest.len());
        Err(ProtocolError::malformed(detail))
    }
}
