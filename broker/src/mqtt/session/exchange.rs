//! AUTH: enhanced authentication while a client connects, and again while it is connected (MQTT 5 §4.12).

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::super::codec::{
    Connect, Control, ProtocolError, Reason, Version, decode_control, encode_auth, next_frame,
};
use super::Hub;
use super::connect::Refusal;
use super::connection::{Connection, End};
use super::inbound::refused;
use crate::auth::{Denial, Exchange, Identity, Method, Step};

/// Steps of one exchange; a client that needs more is refused.
const STEPS_MAX: usize = 16;

const CONTINUE: u8 = Reason::ContinueAuthentication as u8;
const AGAIN: u8 = Reason::ReAuthenticate as u8;

/// What a connection knows of the method by which its client connected, for when that authenticates again.
#[derive(Debug)]
pub(super) struct Enhanced {
    method: Arc<dyn Method>,
    /// While it does: the exchange, and how many steps it has had.
    exchange: Option<(Box<dyn Exchange>, usize)>,
}

/// A client that has shown who it is by a method.
pub(super) struct Shown {
    pub(super) identity: Identity,
    /// What CONNACK is to say last.
    pub(super) data: Vec<u8>,
    pub(super) enhanced: Box<Enhanced>,
}

/// Why a client has not.
pub(super) enum NotShown {
    /// It is told this with CONNACK.
    Refused(Refusal),
    /// It went away.
    Gone,
}

impl From<ProtocolError> for NotShown {
    fn from(error: ProtocolError) -> NotShown {
        NotShown::Refused(Refusal { reason: error.reason, detail: error.detail })
    }
}

impl From<Denial> for NotShown {
    fn from(denial: Denial) -> NotShown {
        NotShown::Refused(denial.into())
    }
}

/// The exchange that a CONNECT with an authentication method begins.
pub(super) async fn exchange<T>(
    transport: &mut T,
    inbound: &mut BytesMut,
    connect: &Connect,
    name: &str,
    hub: &Hub,
) -> Result<Shown, NotShown>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let Some(method) = hub.auth.method(name) else {
        let detail = format!("the authentication method {name:?} is not offered");
        let refusal = Refusal { reason: Reason::BadAuthenticationMethod, detail };
        return Err(NotShown::Refused(refusal)); // [MQTT-4.12.0-1]
    };
    let data = connect.auth_data.as_deref().unwrap_or_default();
    let (mut step, mut exchange) = method.start(&connect.client_id, data);
    for _ in 0..STEPS_MAX {
        match step {
            Step::Done { user, data } => {
                let identity = hub.auth.identify(user, &connect.client_id)?;
                let enhanced = Box::new(Enhanced { method, exchange: None });
                return Ok(Shown { identity, data, enhanced });
            }
            Step::Fail => break,
            Step::Continue(data) => {
                let mut out = BytesMut::new();
                encode_auth(&mut out, Reason::ContinueAuthentication, name, Some(&data));
                transport.write_all(&out).await.map_err(|_| NotShown::Gone)?;
                transport.flush().await.map_err(|_| NotShown::Gone)?;
                let answer = read_answer(transport, inbound, name, hub).await?;
                step = exchange.step(&answer);
            }
        }
    }
    Err(Denial::ExchangeFailed { method: name.to_owned() }.into())
}

/// The client's next packet: nothing but AUTH or DISCONNECT may come before CONNACK. [MQTT-3.1.2-30]
async fn read_answer<T>(
    transport: &mut T,
    inbound: &mut BytesMut,
    name: &str,
    hub: &Hub,
) -> Result<Bytes, NotShown>
where
    T: AsyncRead + Unpin,
{
    let packet_bytes_max = hub.limits().packet_bytes_max;
    let head = loop {
        if let Some(head) = next_frame(inbound, packet_bytes_max, Version::V5)?
            && inbound.len() >= head.len
        {
            break head;
        }
        if !matches!(transport.read_buf(inbound).await, Ok(1..)) {
            return Err(NotShown::Gone);
        }
    };
    let packet = inbound.split_to(head.len);
    let what = match head.first >> 4 {
        14 | 15 => decode_control(&packet, Version::V5)?,
        _ => return Err(ProtocolError::new(Reason::ProtocolError, "AUTH is to come before all else").into()),
    };
    match what {
        // [MQTT-4.12.0-3] [MQTT-4.12.0-5]
        Control::Auth { reason: CONTINUE, method, data } if method.as_deref() == Some(name) => {
            Ok(data.unwrap_or_default())
        }
        Control::Auth { .. } => Err(ProtocolError::new(
            Reason::ProtocolError,
            "AUTH does not go on with the method that CONNECT began with",
        )
        .into()),
        _ => Err(NotShown::Gone),
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection<T> {
    /// AUTH of a client that is connected: it authenticates again, by the same method. [MQTT-4.12.1-1]
    pub(super) fn authenticate_again(
        &mut self,
        reason: u8,
        method: Option<&str>,
        data: Option<&Bytes>,
    ) -> Result<(), End> {
        let Some(enhanced) = &mut self.enhanced else {
            return refused(Reason::ProtocolError, "an AUTH without an authentication method in CONNECT");
        };
        let name = enhanced.method.name().to_owned();
        if method != Some(&*name) {
            return refused(Reason::ProtocolError, "AUTH names another method than CONNECT");
        }
        let data = data.map(|data| &data[..]).unwrap_or_default();
        let step = match (reason, enhanced.exchange.take()) {
            (AGAIN, None) => {
                let (step, exchange) = enhanced.method.start(&self.client.client_id, data);
                enhanced.exchange = Some((exchange, 1));
                step
            }
            (CONTINUE, Some((mut exchange, steps))) if steps < STEPS_MAX => {
                let step = exchange.step(data);
                enhanced.exchange = Some((exchange, steps + 1));
                step
            }
            (CONTINUE, Some(_)) => Step::Fail,
            _ => return refused(Reason::ProtocolError, "an AUTH that does not follow from what was said"),
        };
        self.answer_again(step, &name)
    }

    fn answer_again(&mut self, step: Step, name: &str) -> Result<(), End> {
        let (reason, data) = match step {
            Step::Continue(data) => (Reason::ContinueAuthentication, data),
            // It stays who it is: its session and what it may do hang on that.
            Step::Done { user, data } if self.client.identity.user.as_deref() == Some(&*user) => {
                self.end_exchange();
                (Reason::Success, data)
            }
            Step::Done { .. } => {
                return refused(Reason::NotAuthorized, "authenticating again has shown another user");
            }
            // [MQTT-4.12.1-2]
            Step::Fail => {
                let denial = Denial::ExchangeFailed { method: name.to_owned() };
                return refused(Reason::NotAuthorized, denial.to_string());
            }
        };
        self.work.sent.others(1);
        let data = Some(&*data).filter(|data| !data.is_empty() || reason != Reason::Success);
        encode_auth(&mut self.outbound, reason, name, data);
        Ok(())
    }

    fn end_exchange(&mut self) {
        if let Some(enhanced) = &mut self.enhanced {
            enhanced.exchange = None;
        }
    }
}

#[cfg(test)]
mod tests;
