//! A client of the model: what it has in flight, and what the server may and must send it under which packet id.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::naive::Naive;
use super::script::CLIENTS;
use super::wire::{self, Packet, Publish};
use super::world::NEVER;

/// How far a publish of the server's is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It was not acknowledged.
    Got,
    /// PUBREC was sent.
    Received,
    /// PUBREL came.
    Released,
    /// PUBACK or PUBCOMP was sent.
    Done,
}

/// A publish of the server's.
#[derive(Debug, Clone)]
pub(super) struct Inflight {
    pub(super) publish: Publish,
    pub(super) stage: Stage,
    /// It came on this connection.
    pub(super) fresh: bool,
    /// Whether the server knows its stage is open.
    pub(super) open: bool,
}

/// How far a publish of the client's is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outgoing {
    /// PUBLISH was sent.
    Sent,
    /// PUBREC came.
    Received,
    /// PUBREL was sent.
    Released,
}

/// A publish of the client's.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) message: usize,
    pub(super) publish: Publish,
    pub(super) stage: Outgoing,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) who: usize,
    pub(super) v5: bool,
    pub(super) stream: Option<DuplexStream>,
    buffer: Vec<u8>,
    pub(super) window_max: u16,
    pub(super) inflight: Vec<Inflight>,
    pub(super) pending: Vec<Pending>,
    next_id: u16,
    pub(super) will: Option<usize>,
    /// The server was killed since this session began: it may not know what was done last.
    pub(super) killed: bool,
    /// Nothing that comes is compared.
    pub(super) unchecked: bool,
    /// What the server said last of how it ends the connection.
    pub(super) farewell: Option<u8>,
}

impl Client {
    pub(super) fn new(who: usize, unchecked: bool) -> Client {
        Client {
            who,
            v5: false,
            stream: None,
            buffer: Vec::new(),
            window_max: 0,
            inflight: Vec::new(),
            pending: Vec::new(),
            next_id: 1,
            will: None,
            killed: false,
            unchecked,
            farewell: None,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        CLIENTS[self.who]
    }

    pub(super) fn is_connected(&self) -> bool {
        self.stream.is_some()
    }

    /// A packet id that is free.
    pub(super) fn packet_id(&mut self) -> u16 {
        loop {
            let id = self.next_id;
            self.next_id = self.next_id.checked_add(1).unwrap_or(1);
            if self.pending.iter().all(|it| it.publish.packet_id != id) {
                return id;
            }
        }
    }

    /// Sends bytes; a connection that the server has closed takes none.
    pub(super) async fn write(&mut self, bytes: &[u8]) {
        if let Some(stream) = &mut self.stream {
            let _closed = stream.write_all(bytes).await;
        }
    }

    /// The next packet; `None` at the end of the connection.
    pub(super) async fn read(&mut self) -> Result<Option<Packet>, String> {
        loop {
            if let Some(packet) = wire::take(&mut self.buffer, self.v5) {
                return Ok(Some(packet));
            }
            let Some(stream) = &mut self.stream else { return Ok(None) };
            let read = tokio::time::timeout(NEVER, stream.read_buf(&mut self.buffer)).await;
            match read {
                Err(_) => return Err(format!("{}: the server says nothing any more", self.name())),
                Ok(Ok(1..)) => {}
                Ok(_) => return Ok(None),
            }
        }
    }

    /// Sends PINGREQ and takes everything up to the answer; says whether something else came.
    pub(super) async fn ping(&mut self, naive: &mut Naive) -> Result<bool, String> {
        self.write(&wire::PING).await;
        let mut more = false;
        while let Some(packet) = self.read().await? {
            if packet == Packet::Pong {
                return Ok(more);
            }
            more = true;
            self.take(packet, naive).await?;
        }
        if self.unchecked {
            self.stream = None;
            return Ok(true);
        }
        Err(format!("{}: the server has closed the connection, saying {:?}", self.name(), self.farewell))
    }

    /// Reads up to a packet that is asked for.
    pub(super) async fn until(
        &mut self,
        naive: &mut Naive,
        is_it: impl Fn(&Packet) -> bool,
    ) -> Result<Option<Packet>, String> {
        while let Some(packet) = self.read().await? {
            if is_it(&packet) {
                return Ok(Some(packet));
            }
            self.take(packet, naive).await?;
        }
        if self.unchecked {
            self.stream = None;
            return Ok(None);
        }
        Err(format!("{}: the server has closed the connection, saying {:?}", self.name(), self.farewell))
    }

    /// Takes what the server sends by itself.
    pub(super) async fn take(&mut self, packet: Packet, naive: &mut Naive) -> Result<(), String> {
        if self.unchecked {
            return self.answer(packet).await;
        }
        let says = format!("{}: {packet:?}", self.name());
        let taken = match packet {
            Packet::Publish(publish) => self.take_publish(publish, naive),
            Packet::Ack { kind: 6, packet_id, .. } => self.take_release(packet_id).await,
            Packet::Ack { kind, packet_id, reason } => self.take_ack(kind, packet_id, reason, naive),
            Packet::Disconnect { reason } => {
                self.farewell = Some(reason);
                Ok(())
            }
            _ => Err("nobody asked for it".to_owned()),
        };
        taken.map_err(|error| format!("{says}: {error}; in flight {:?}", self.inflight))
    }

    /// Answers as any client does.
    async fn answer(&mut self, packet: Packet) -> Result<(), String> {
        let reply = match packet {
            Packet::Publish(publish) if publish.qos > 0 => {
                assert_ne!(publish.packet_id, 0, "a publish without a packet id");
                wire::ack(if publish.qos == 1 { 4 } else { 5 }, publish.packet_id)
            }
            Packet::Ack { kind: 5, packet_id, reason } if reason < 0x80 => wire::ack(6, packet_id),
            Packet::Ack { kind: 6, packet_id, .. } => wire::ack(7, packet_id),
            _ => return Ok(()),
        };
        self.write(&reply).await;
        Ok(())
    }

    fn take_publish(&mut self, publish: Publish, naive: &mut Naive) -> Result<(), String> {
        let known = self.inflight.iter().position(|it| it.publish.packet_id == publish.packet_id);
        if let Some(at) = known.filter(|_| publish.qos > 0) {
            let it = &mut self.inflight[at];
            if publish.dup {
                return self.take_again(at, &publish);
            }
            if it.open || it.stage == Stage::Done {
                self.inflight.remove(at);
            } else {
                return Err("the packet id is not free".to_owned());
            }
        }
        let waits = self.inflight.iter().find(|it| it.stage == Stage::Got && !it.fresh && !it.open);
        if let Some(waits) = waits.filter(|_| !publish.dup) {
            return Err(format!("{:?} was to be sent again before", waits.publish));
        }
        let out = self.inflight.iter().filter(|it| it.fresh && it.stage != Stage::Done).count();
        if publish.qos > 0 && out >= usize::from(self.window_max) {
            return Err(format!("{out} are out already"));
        }
        naive.take(self.who, &publish, self.v5)?;
        if publish.qos > 0 {
            self.inflight.push(Inflight { publish, stage: Stage::Got, fresh: true, open: false });
        }
        Ok(())
    }

    /// What was sent before is sent again, under its packet id and in its order. [MQTT-4.4.0-1] [MQTT-4.6.0-1]
    fn take_again(&mut self, at: usize, publish: &Publish) -> Result<(), String> {
        let earlier = self.inflight[..at].iter().find(|it| it.stage == Stage::Got && !it.fresh && !it.open);
        if let Some(earlier) = earlier {
            return Err(format!("{:?} comes first", earlier.publish));
        }
        let it = &mut self.inflight[at];
        if it.fresh {
            return Err("it was sent on this connection already".to_owned());
        }
        let before = (&it.publish.topic, &it.publish.payload, it.publish.qos, it.publish.retain);
        if before != (&publish.topic, &publish.payload, publish.qos, publish.retain) {
            return Err(format!("it was {:?} before", it.publish));
        }
        match it.stage {
            Stage::Got => {}
            Stage::Received | Stage::Done if it.open => {
                if it.stage == Stage::Done && publish.qos == 2 {
                    return Err("it was released".to_owned());
                }
            }
            stage => return Err(format!("it is {stage:?}")),
        }
        it.stage = Stage::Got;
        it.fresh = true;
        it.open = false;
        Ok(())
    }

    async fn take_release(&mut self, packet_id: u16) -> Result<(), String> {
        let known = self.inflight.iter_mut().find(|it| it.publish.packet_id == packet_id);
        match known.map(|it| (it.stage, it)) {
            Some((Stage::Received | Stage::Released | Stage::Done, it)) if it.publish.qos == 2 => {
                it.stage = Stage::Released;
                it.fresh = true;
                it.open = false;
            }
            None if self.killed => self.write(&wire::ack(7, packet_id)).await,
            other => return Err(format!("what is released is {other:?}")),
        }
        Ok(())
    }

    fn take_ack(&mut self, kind: u8, packet_id: u16, reason: u8, naive: &mut Naive) -> Result<(), String> {
        let at = self.pending.iter().position(|it| it.publish.packet_id == packet_id);
        let Some(at) = at else { return Err("nothing of that packet id was published".to_owned()) };
        if reason >= 0x80 && kind != 7 {
            return Err("it is refused".to_owned());
        }
        let it = &mut self.pending[at];
        match (kind, it.publish.qos, it.stage) {
            (4, 1, _) => {}
            // What was published twice is acknowledged twice.
            (5, 2, Outgoing::Released) => return Ok(()),
            (5, 2, Outgoing::Sent | Outgoing::Received) => {
                it.stage = Outgoing::Received;
                naive.messages[it.message].certain = true;
                return Ok(());
            }
            (7, 2, Outgoing::Released) => {}
            (_, _, stage) => return Err(format!("the publish is {stage:?}")),
        }
        naive.messages[it.message].certain = true;
        self.pending.remove(at);
        Ok(())
    }

    /// Payloads that it has and did not acknowledge for sure.
    pub(super) fn unacknowledged(&self) -> Vec<Vec<u8>> {
        self.inflight.iter().map(|it| it.publish.payload.clone()).collect()
    }

    /// Everything has arrived: what was acknowledged is done.
    pub(super) fn settled(&mut self) -> Result<(), String> {
        let waits = self.pending.iter().find(|it| it.stage != Outgoing::Received);
        if let Some(waits) = waits {
            return Err(format!("{}: the server does not answer {waits:?}", self.name()));
        }
        self.inflight.retain(|it| !(it.stage == Stage::Done && it.fresh));
        match self.inflight.iter().find(|it| it.stage == Stage::Received && it.fresh) {
            Some(it) => Err(format!("{}: the server does not release {it:?}", self.name())),
            None => Ok(()),
        }
    }

    /// Whether what was sent before has come again, as far as it must.
    pub(super) fn waits_for_again(&self) -> Option<&Inflight> {
        let may_be_over = |it: &&Inflight| it.open && (it.stage == Stage::Done || it.publish.qos == 1);
        self.inflight.iter().find(|it| !it.fresh && !may_be_over(it))
    }

    /// The connection is gone.
    pub(super) fn lost(&mut self) {
        self.stream = None;
        self.buffer.clear();
        for it in &mut self.inflight {
            it.open |= it.fresh && matches!(it.stage, Stage::Received | Stage::Done);
            it.fresh = false;
        }
    }
}
