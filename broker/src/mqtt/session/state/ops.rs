//! What happens to sessions, as the log keeps it, and the whole of one as its row does.
//!
//! ```text
//! record  = (client_id:str count:varint op*)*
//! op      = tag:u8 …            see `write_op`
//! row     = version:u8 as_of:varint owed:varint session_id:str (op | since:varint | next packet id:varint | position)*
//! ```
//! A row is the ops that make its state out of nothing, and what no op says. Tags are never renumbered.

use bytes::Bytes;

use super::super::super::codec::Subscription;
use super::super::super::envelope::Envelope;
use super::super::uuid::Uuid;
use super::{Assigned, Place, Stage, State, options_byte, subscription_of};
use crate::mqtt::QoS;
use crate::store::{Reader, Seq, put_bytes, put_varint};

/// One change to a session that must survive.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    /// It begins, empty.
    Begin {
        /// The UUID of lifecycle events.
        session_id: Uuid,
    },
    /// A connection has taken it up.
    Attach {
        expiry_seconds: u32,
    },
    /// Its connection has ended.
    Detach {
        at_ms: u64,
        expiry_seconds: u32,
    },
    /// It is over.
    End,
    Subscribe {
        wanted: Subscription,
        id: Option<u32>,
    },
    Unsubscribe {
        filter: String,
    },
    /// Messages were given packet ids and are about to be sent.
    Sent(Vec<Sent>),
    /// Exchanges are complete: PUBACK, PUBCOMP, or a PUBREC that refuses.
    Acked {
        ids: Vec<u16>,
    },
    /// PUBREC: the client has the messages.
    Taken {
        ids: Vec<u16>,
    },
    /// QoS 2 publishes of the client that came with this record.
    Received {
        ids: Vec<u16>,
    },
    /// PUBREL: their packet ids may be used again.
    Released {
        ids: Vec<u16>,
    },
    /// A shared subscription's messages that it is to deliver.
    Assigned(Assigned),
}

/// A message that was given a packet id.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) packet_id: u16,
    pub(crate) stage: Stage,
    pub(crate) shared: bool,
    /// Where in the log it is, if it is.
    pub(crate) place: Place,
    /// The message, if it is not in the log.
    pub(crate) kept: Option<Envelope>,
}

impl Sent {
    /// A shared message that needs no packet id any more: somebody has had it.
    pub(crate) fn handled(place: Place) -> Sent {
        Sent { packet_id: 0, stage: Stage::Free, shared: true, place, kept: None }
    }

    /// A shared message that this session is not to deliver any more, and nobody is until it is assigned anew.
    pub(crate) fn taken_back(place: Place) -> Sent {
        Sent { packet_id: TAKEN_BACK, ..Sent::handled(place) }
    }

    /// Whether it is [`Sent::taken_back`].
    pub(crate) fn is_taken_back(&self) -> bool {
        self.stage == Stage::Free && self.packet_id == TAKEN_BACK
    }
}

/// Bytes that are no ops.
#[derive(Debug, thiserror::Error)]
#[error("a session's entry in the log is not readable")]
pub(crate) struct OpError;

const BEGIN: u8 = 1;
const ATTACH: u8 = 2;
const DETACH: u8 = 3;
const END: u8 = 4;
const SUBSCRIBE: u8 = 5;
const UNSUBSCRIBE: u8 = 6;
const SENT: u8 = 7;
const ACKED: u8 = 8;
const TAKEN: u8 = 9;
const RECEIVED: u8 = 10;
const RELEASED: u8 = 11;
const ASSIGNED: u8 = 12;
const POSITION: u8 = 13;
const SINCE: u8 = 14;
const NEXT_ID: u8 = 15;

/// The packet id of what was taken back; what was handled has none.
const TAKEN_BACK: u16 = 1;

const SHARED: u8 = 0b100;
const KEPT: u8 = 0b1000;

/// Appends the ops of one session.
pub(crate) fn write_ops(out: &mut Vec<u8>, client_id: &str, ops: &[Op]) {
    put_bytes(out, client_id.as_bytes());
    put_varint(out, ops.len() as u64);
    for op in ops {
        write_op(out, op);
    }
}

/// Reads the ops of a record: client id and op, in order.
pub(crate) fn read_ops(bytes: Bytes, mut each: impl FnMut(&str, Op)) -> Result<(), OpError> {
    let mut reader = Reader(bytes);
    while !reader.0.is_empty() {
        let client_id = reader.string().ok_or(OpError)?;
        let count = reader.varint().ok_or(OpError)?;
        for _ in 0..count {
            each(&client_id, read_op(&mut reader).ok_or(OpError)?);
        }
    }
    Ok(())
}

fn write_op(out: &mut Vec<u8>, op: &Op) {
    match op {
        Op::Begin { session_id } => {
            out.push(BEGIN);
            put_bytes(out, session_id.to_string().as_bytes());
        }
        Op::Attach { expiry_seconds } => {
            out.push(ATTACH);
            put_varint(out, u64::from(*expiry_seconds));
        }
        Op::Detach { at_ms, expiry_seconds } => {
            out.push(DETACH);
            put_varint(out, *at_ms);
            put_varint(out, u64::from(*expiry_seconds));
        }
        Op::End => out.push(END),
        Op::Subscribe { wanted, id } => {
            out.push(SUBSCRIBE);
            put_bytes(out, wanted.filter.as_bytes());
            out.push(options_byte(wanted));
            put_varint(out, u64::from(id.unwrap_or(0)));
        }
        Op::Unsubscribe { filter } => {
            out.push(UNSUBSCRIBE);
            put_bytes(out, filter.as_bytes());
        }
        Op::Sent(sent) => {
            out.push(SENT);
            put_varint(out, sent.len() as u64);
            for sent in sent {
                write_sent(out, sent);
            }
        }
        Op::Acked { ids } => write_ids(out, ACKED, ids),
        Op::Taken { ids } => write_ids(out, TAKEN, ids),
        Op::Received { ids } => write_ids(out, RECEIVED, ids),
        Op::Released { ids } => write_ids(out, RELEASED, ids),
        Op::Assigned(run) => {
            out.push(ASSIGNED);
            put_varint(out, run.place.seq);
            put_varint(out, u64::from(run.place.index));
            put_varint(out, u64::from(run.count));
            out.push(run.qos as u8);
            put_varint(out, u64::from(run.subscription_id.unwrap_or(0)));
        }
    }
}

fn write_sent(out: &mut Vec<u8>, sent: &Sent) {
    put_varint(out, u64::from(sent.packet_id));
    let flags =
        sent.stage as u8 | if sent.shared { SHARED } else { 0 } | if sent.kept.is_some() { KEPT } else { 0 };
    out.push(flags);
    put_varint(out, sent.place.seq);
    put_varint(out, u64::from(sent.place.index));
    if let Some(message) = &sent.kept {
        put_bytes(out, message.bytes());
    }
}

fn write_ids(out: &mut Vec<u8>, tag: u8, ids: &[u16]) {
    out.push(tag);
    put_varint(out, ids.len() as u64);
    for id in ids {
        put_varint(out, u64::from(*id));
    }
}

fn read_op(reader: &mut Reader) -> Option<Op> {
    match reader.byte()? {
        BEGIN => Some(Op::Begin { session_id: Uuid::parse(&reader.string()?)? }),
        ATTACH => Some(Op::Attach { expiry_seconds: read_u32(reader)? }),
        DETACH => Some(Op::Detach { at_ms: reader.varint()?, expiry_seconds: read_u32(reader)? }),
        END => Some(Op::End),
        SUBSCRIBE => {
            let filter = reader.string()?;
            let wanted = subscription_of(&filter, reader.byte()?)?;
            Some(Op::Subscribe { wanted, id: Some(read_u32(reader)?).filter(|id| *id != 0) })
        }
        UNSUBSCRIBE => Some(Op::Unsubscribe { filter: reader.string()? }),
        SENT => {
            let count = reader.count()?;
            Some(Op::Sent((0..count).map(|_| read_sent(reader)).collect::<Option<_>>()?))
        }
        ACKED => Some(Op::Acked { ids: read_ids(reader)? }),
        TAKEN => Some(Op::Taken { ids: read_ids(reader)? }),
        RECEIVED => Some(Op::Received { ids: read_ids(reader)? }),
        RELEASED => Some(Op::Released { ids: read_ids(reader)? }),
        ASSIGNED => Some(Op::Assigned(Assigned {
            place: Place { seq: reader.varint()?, index: read_u32(reader)? },
            count: read_u32(reader)?,
            qos: QoS::from_bits(reader.byte()?)?,
            subscription_id: Some(read_u32(reader)?).filter(|id| *id != 0),
        })),
        _ => None,
    }
}

fn read_sent(reader: &mut Reader) -> Option<Sent> {
    let packet_id = u16::try_from(reader.varint()?).ok()?;
    let flags = reader.byte()?;
    let place = Place { seq: reader.varint()?, index: read_u32(reader)? };
    let kept = if flags & KEPT != 0 { Some(Envelope::from_bytes(reader.bytes()?).ok()?) } else { None };
    Some(Sent { packet_id, stage: Stage::from_u8(flags & 3)?, shared: flags & SHARED != 0, place, kept })
}

fn read_ids(reader: &mut Reader) -> Option<Vec<u16>> {
    let count = reader.count()?;
    (0..count).map(|_| u16::try_from(reader.varint()?).ok()).collect()
}

fn read_u32(reader: &mut Reader) -> Option<u32> {
    u32::try_from(reader.varint()?).ok()
}

const ROW_VERSION: u8 = 1;

/// A session as its row has it.
#[derive(Debug)]
pub(crate) struct Row {
    /// Ops up to this record are in it.
    pub(crate) as_of: Seq,
    /// The first record that may hold something it was to be sent and was not.
    pub(crate) owed_from: Option<Seq>,
    pub(crate) session_id: Uuid,
    pub(crate) state: State,
}

/// The bytes of a session's row.
pub(crate) fn write_row(as_of: Seq, owed_from: Option<Seq>, session_id: Uuid, state: &State) -> Vec<u8> {
    let mut out = vec![ROW_VERSION];
    put_varint(&mut out, as_of);
    put_varint(&mut out, owed_from.unwrap_or(0));
    put_bytes(&mut out, session_id.to_string().as_bytes());
    match state.detached_at_ms {
        Some(at_ms) => write_op(&mut out, &Op::Detach { at_ms, expiry_seconds: state.expiry_seconds }),
        None => write_op(&mut out, &Op::Attach { expiry_seconds: state.expiry_seconds }),
    }
    for it in &state.subscriptions {
        out.push(SINCE);
        put_varint(&mut out, it.since);
        write_op(&mut out, &Op::Subscribe { wanted: it.wanted.clone(), id: it.id });
    }
    let sent = state.window.iter().map(|(packet_id, slot)| Sent {
        packet_id,
        stage: slot.stage,
        shared: slot.shared,
        place: slot.place,
        kept: state.window.kept(packet_id).cloned(),
    });
    write_op(&mut out, &Op::Sent(sent.collect()));
    out.push(NEXT_ID);
    put_varint(&mut out, u64::from(state.window.next_id()));
    write_op(&mut out, &Op::Received { ids: state.received.iter().copied().collect() });
    state.assigned.iter().for_each(|run| write_op(&mut out, &Op::Assigned(*run)));
    out.push(POSITION);
    put_varint(&mut out, state.position.seq);
    put_varint(&mut out, u64::from(state.position.index));
    out
}

/// Reads a session's row.
pub(crate) fn read_row(bytes: Bytes) -> Result<Row, OpError> {
    read_row_of(&mut Reader(bytes)).ok_or(OpError)
}

fn read_row_of(reader: &mut Reader) -> Option<Row> {
    if reader.byte()? != ROW_VERSION {
        return None;
    }
    let as_of = reader.varint()?;
    let owed_from = Some(reader.varint()?).filter(|seq| *seq != 0);
    let session_id = Uuid::parse(&reader.string()?)?;
    let mut state = State::default();
    let mut since = 0;
    while let Some(&tag) = reader.0.first() {
        match tag {
            SINCE => {
                reader.byte()?;
                since = reader.varint()?;
            }
            NEXT_ID => {
                reader.byte()?;
                state.window.go_on_with(u16::try_from(reader.varint()?).ok()?);
            }
            POSITION => {
                reader.byte()?;
                state.position = Place { seq: reader.varint()?, index: read_u32(reader)? };
            }
            _ => {
                let op = read_op(reader)?;
                state.apply(&op, since);
            }
        }
    }
    Some(Row { as_of, owed_from, session_id, state })
}

#[cfg(test)]
mod tests;
