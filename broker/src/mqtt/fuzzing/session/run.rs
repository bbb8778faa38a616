//! Has a script happen to a server, and compares what its clients are sent with what the naive broker says.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::client::{Client, Outgoing, Pending, Stage};
use super::naive::{Message, Naive, Retaining, Session, Subscription};
use super::script::{self, CLIENTS, EXPIRIES, FILTERS, Step, TOPICS, of};
use super::wire::{self, Packet, Publish};
use super::world::{INFLIGHT_MAX, NEVER, World};

/// Publishes of one client that may be under way.
const PENDING_MAX: usize = 40;
/// Rounds without any news after which all that could come has, if nothing is missing: more than a client has
/// subscriptions whose retained messages are read one after the other.
const CALM_ENOUGH: u32 = 5;
/// Rounds without any news after which nothing will come any more.
const CALM_ROUNDS: u32 = 100;

/// A run of a script.
struct Run {
    world: World,
    naive: Naive,
    clients: Vec<Client>,
    unchecked: bool,
}

/// Runs a script against a fresh server; an error says what the server did wrong and when.
pub(super) async fn run(steps: &[Step]) -> Result<(), String> {
    let unchecked = steps.iter().any(|step| matches!(step, Step::Raw { .. }));
    let clients = (0..CLIENTS.len()).map(|who| Client::new(who, unchecked)).collect();
    let mut run = Run { world: World::start(), naive: Naive::default(), clients, unchecked };
    for (at, step) in steps.iter().enumerate() {
        run.step(step).await.map_err(|error| format!("step {at}, {step:?}: {error}"))?;
    }
    run.end().await.map_err(|error| format!("at the end: {error}"))?;
    run.world.finish().await;
    Ok(())
}

fn index(who: u8) -> usize {
    usize::from(who) % CLIENTS.len()
}

impl Run {
    async fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Publish { .. }
            | Step::Ack { .. }
            | Step::AckAll { .. }
            | Step::Repeat { .. }
            | Step::Release { .. }
            | Step::Cut { .. }
            | Step::Keep
            | Step::Raw { .. }
            | Step::Kill => {}
            _ => self.settle().await?,
        }
        match step {
            Step::Connect { who, .. } => self.connect(index(*who), step).await,
            Step::Subscribe { who, filters, id } => self.subscribe(index(*who), filters, *id).await,
            Step::Unsubscribe { who, filter } => self.unsubscribe(index(*who), of(&FILTERS, *filter)).await,
            Step::Publish { who, messages } => {
                self.publish(index(*who), messages).await;
                Ok(())
            }
            Step::Ack { who, which } => {
                self.ack(index(*who), Some(usize::from(*which)), false).await;
                Ok(())
            }
            Step::AckAll { who, backwards } => {
                self.ack(index(*who), None, *backwards).await;
                Ok(())
            }
            Step::Repeat { who } => {
                self.repeat(index(*who)).await;
                Ok(())
            }
            Step::Release { who } => {
                self.release(index(*who)).await;
                Ok(())
            }
            Step::Disconnect { who, with_will, ends_session } => {
                self.disconnect(index(*who), *with_will, *ends_session).await
            }
            Step::Cut { who } => {
                self.lose(index(*who), true);
                Ok(())
            }
            Step::Advance { seconds } => self.advance(u64::from(*seconds)).await,
            Step::Keep => {
                self.world.hub().keep_now().await;
                Ok(())
            }
            Step::Restart => self.restart().await,
            Step::Kill => self.kill().await,
            Step::Settle => Ok(()),
            Step::Raw { who, bytes } => self.raw(index(*who), bytes).await,
        }
    }

    fn now_ms(&self) -> u64 {
        self.world.clock.now_ms()
    }

    /// Waits until everything has arrived.
    async fn settle(&mut self) -> Result<(), String> {
        let (mut calm, began) = (0, Instant::now());
        loop {
            let mut news = false;
            for client in self.clients.iter_mut().filter(|client| client.is_connected()) {
                news |= client.ping(&mut self.naive).await?;
            }
            let connected = self.clients.iter().filter(|client| client.is_connected()).count();
            let still = self.world.is_still(connected);
            calm = if news || !still { 0 } else { calm + 1 };
            let waits = self.waits();
            match waits {
                None if calm >= CALM_ENOUGH => break,
                Some(waits) if calm >= CALM_ROUNDS && began.elapsed() > NEVER / 20 => return Err(waits),
                _ => {}
            }
            if began.elapsed() > NEVER {
                return Err("the server does not come to rest".to_owned());
            }
            tokio::task::yield_now().await;
        }
        if self.unchecked {
            return Ok(());
        }
        for client in self.clients.iter_mut().filter(|client| client.is_connected()) {
            client.settled()?;
            let pending = client.who;
            for message in self.naive.messages.iter_mut().filter(|it| it.publisher == pending && it.qos == 0)
            {
                message.certain |= message.ordered;
            }
        }
        for client in self.clients.iter().filter(|client| client.is_connected()) {
            let out = self.world.hub().settled(client.name(), client.window_max);
            if let Some(session) = &mut self.naive.sessions[client.who] {
                session.is_full = out.is_none_or(|out| out >= client.window_max);
            }
        }
        for will in std::mem::take(&mut self.naive.wills) {
            self.naive.messages[will].certain = true;
        }
        self.compare_retained()
    }

    /// What a client still has to get, if its window has room for it.
    fn waits(&self) -> Option<String> {
        if self.unchecked {
            return None;
        }
        for client in self.clients.iter().filter(|client| client.is_connected()) {
            let Some(out) = self.world.hub().settled(client.name(), client.window_max) else {
                return Some(format!("{}: something is under way to it for ever", client.name()));
            };
            if out >= client.window_max {
                continue;
            }
            if let Some(again) = client.waits_for_again() {
                return Some(format!("{}: {again:?} does not come again", client.name()));
            }
            let session = self.naive.sessions[client.who].as_ref()?;
            if let Some(missing) = session.missing(&self.naive.messages) {
                let message = &self.naive.messages[missing.message];
                return Some(format!("{}: {message:?}, {missing:?}, does not come", client.name()));
            }
        }
        None
    }

    fn compare_retained(&mut self) -> Result<(), String> {
        let retaining = std::mem::take(&mut self.naive.retaining);
        for (at, topic) in TOPICS.iter().enumerate() {
            let here = |it: &&Retaining| self.naive.messages[it.message].topic == *topic;
            let here: Vec<&Retaining> = retaining.iter().filter(here).collect();
            let mut may_be: Vec<usize> = here.iter().map(|it| it.message).collect();
            let before = self.naive.retained[at];
            let overwritten = here.iter().any(|it| !it.again && self.naive.messages[it.message].certain);
            let known = self.world.hub().retained_message(topic);
            let known = known.map(|one| one.message(0).payload().to_vec());
            let payload = |id: usize| self.naive.messages[id].payload.clone();
            if !overwritten {
                may_be.extend(before);
            }
            let none = !overwritten && before.is_none() || may_be.iter().any(|id| payload(*id).is_empty());
            self.naive.retained[at] = match &known {
                None if none => None,
                Some(known) => match may_be.iter().rev().find(|id| payload(**id) == *known) {
                    Some(id) => Some(*id),
                    None => return Err(wrong_retained(topic, Some(known))),
                },
                None => return Err(wrong_retained(topic, None)),
            };
        }
        Ok(())
    }

    async fn connect(&mut self, who: usize, step: &Step) -> Result<(), String> {
        let Step::Connect { v5, clean, expiry, receive_max, will, .. } = step else { return Ok(()) };
        let now_ms = self.now_ms();
        self.naive.expire(now_ms);
        let old = self.clients[who].stream.take();
        if old.is_some() {
            self.lose(who, true);
        }
        let expiry = match (*v5, *clean) {
            (true, _) => of(&EXPIRIES, *expiry),
            (false, true) => 0,
            (false, false) => u32::MAX,
        };
        let unacknowledged = self.clients[who].unacknowledged();
        if *clean {
            self.naive.end(who, &unacknowledged);
        }
        let will = will.map(|will| self.message(who, will, false));
        let receive_max = (*receive_max).max(1);
        let will_text = will.map(|id| self.naive.messages[id].clone());
        let connect = wire::Connect {
            client_id: CLIENTS[who],
            v5: *v5,
            clean: *clean,
            expiry,
            receive_max,
            will: will_text.as_ref().map(|it| (it.topic, &it.payload[..], it.qos, it.retain)),
        };
        let stream = self.world.open();
        let client = &mut self.clients[who];
        client.lost();
        client.stream = Some(stream);
        client.v5 = *v5;
        client.will = will;
        client.farewell = None;
        client.window_max = if *v5 { receive_max.min(INFLIGHT_MAX) } else { INFLIGHT_MAX };
        client.write(&wire::connect(&connect)).await;
        let answer = client.read().await?;
        drop(old);
        if self.unchecked {
            return Ok(());
        }
        let Some(Packet::Connack { present, reason: 0 }) = answer else {
            return Err(format!("CONNECT is answered with {answer:?}"));
        };
        let known = self.naive.sessions[who].is_some();
        if present != known {
            return Err(format!("session present is {present}, and there was {known}"));
        }
        let before = self.naive.sessions[who].as_ref().map(|session| session.expiry);
        self.take_up(who, present, expiry).await;
        if before.is_some_and(|before| before != expiry) {
            // Whether a kill makes the server forget that is open.
            self.settle().await?;
        }
        Ok(())
    }

    /// After CONNACK: a session begins, or goes on. [MQTT-4.4.0-1]
    async fn take_up(&mut self, who: usize, present: bool, expiry: u32) {
        let client = &mut self.clients[who];
        if !present {
            client.inflight.clear();
            client.pending.clear();
            client.killed = false;
            let session = Session { durable: expiry > 0, expiry, ..Session::default() };
            self.naive.sessions[who] = Some(session);
            return;
        }
        if let Some(session) = &mut self.naive.sessions[who] {
            session.left_at_ms = None;
            session.resumed = true;
            session.expiry = expiry;
        }
        let mut bytes = Vec::new();
        for it in &mut client.pending {
            if it.stage == Outgoing::Released {
                bytes.extend(wire::ack(6, it.publish.packet_id));
                continue;
            }
            it.publish.dup = true;
            bytes.extend(wire::publish(&it.publish, client.v5));
            if it.stage == Outgoing::Sent {
                self.naive.publish(it.message, true);
            }
        }
        client.write(&bytes).await;
    }

    async fn subscribe(
        &mut self,
        who: usize,
        wanted: &[script::Wanted],
        id: Option<u32>,
    ) -> Result<(), String> {
        let client = &mut self.clients[who];
        if !client.is_connected() || wanted.is_empty() {
            return Ok(());
        }
        let (v5, packet_id) = (client.v5, client.packet_id());
        client.inflight.iter_mut().for_each(|it| it.loose = true);
        let id = id.filter(|id| v5 && *id > 0 && *id < 1 << 20);
        let mut filters = Vec::new();
        for it in wanted {
            let filter = of(&FILTERS, it.filter);
            // [MQTT-3.8.3-4]
            let no_local = v5 && it.no_local && !filter.starts_with("$share");
            // What a change of this means for what waits is open.
            let before = self.naive.sessions[who].as_ref();
            let before = before.and_then(|it| it.subscriptions.iter().find(|it| it.filter == filter));
            let no_local = before.map_or(no_local, |before| before.no_local && v5);
            let (as_published, handling) = (v5 && it.as_published, if v5 { it.handling % 3 } else { 0 });
            let qos = it.qos % 3;
            let options = qos | u8::from(no_local) << 2 | u8::from(as_published) << 3 | handling << 4;
            filters.push((filter, options));
            let subscription = Subscription { filter, qos, no_local, as_published, id };
            self.naive.subscribe(who, subscription, handling);
        }
        client.write(&wire::subscribe(packet_id, id, &filters, v5)).await;
        let is_it = |packet: &Packet| matches!(packet, Packet::Suback { .. });
        let answer = client.until(&mut self.naive, is_it).await?;
        let granted: Vec<u8> = filters.iter().map(|(_, options)| options & 3).collect();
        match answer {
            // What is retained meanwhile may come twice: so not meanwhile.
            Some(Packet::Suback { packet_id: id, codes }) if id == packet_id && codes == granted => {
                self.settle().await
            }
            _ if self.unchecked => Ok(()),
            other => Err(format!("SUBSCRIBE {packet_id} is answered with {other:?}")),
        }
    }

    async fn unsubscribe(&mut self, who: usize, filter: &'static str) -> Result<(), String> {
        let client = &mut self.clients[who];
        if !client.is_connected() {
            return Ok(());
        }
        let packet_id = client.packet_id();
        client.inflight.iter_mut().for_each(|it| it.loose = true);
        client.write(&wire::unsubscribe(packet_id, filter, client.v5)).await;
        self.naive.unsubscribe(who, filter);
        let is_it = |packet: &Packet| *packet == Packet::Unsuback { packet_id };
        client.until(&mut self.naive, is_it).await.map(drop)
    }

    /// Makes a message known.
    fn message(&mut self, who: usize, wanted: script::Message, ordered: bool) -> usize {
        let id = self.naive.messages.len();
        let payload = if wanted.empty { Vec::new() } else { format!("m{id}").into_bytes() };
        self.naive.messages.push(Message {
            publisher: who,
            topic: of(&TOPICS, wanted.topic),
            qos: wanted.qos % 3,
            retain: wanted.retain,
            payload,
            certain: false,
            ordered,
        });
        id
    }

    async fn publish(&mut self, who: usize, messages: &[script::Message]) {
        let mut bytes = Vec::new();
        for wanted in messages {
            if !self.clients[who].is_connected() || self.clients[who].pending.len() >= PENDING_MAX {
                break;
            }
            let id = self.message(who, *wanted, true);
            let message = &self.naive.messages[id];
            let client = &mut self.clients[who];
            let publish = Publish {
                qos: message.qos,
                retain: message.retain,
                topic: message.topic.to_owned(),
                packet_id: if message.qos > 0 { client.packet_id() } else { 0 },
                payload: message.payload.clone(),
                ..Publish::default()
            };
            bytes.extend(wire::publish(&publish, client.v5));
            if publish.qos > 0 {
                client.pending.push(Pending { message: id, publish, stage: Outgoing::Sent });
            }
            self.naive.publish(id, false);
        }
        self.clients[who].write(&bytes).await;
    }

    async fn ack(&mut self, who: usize, which: Option<usize>, backwards: bool) {
        let client = &mut self.clients[who];
        let due =
            |it: &&mut super::client::Inflight| it.fresh && matches!(it.stage, Stage::Got | Stage::Released);
        let mut due: Vec<_> = client.inflight.iter_mut().filter(due).collect();
        if due.is_empty() {
            return;
        }
        if let Some(which) = which {
            let at = which % due.len();
            due = vec![due.swap_remove(at)];
        }
        if backwards {
            due.reverse();
        }
        let mut bytes = Vec::new();
        for it in due {
            let (kind, stage) = match (it.stage, it.publish.qos) {
                (Stage::Got, 1) => (4, Stage::Done),
                (Stage::Got, _) => (5, Stage::Received),
                _ => (7, Stage::Done),
            };
            it.stage = stage;
            bytes.extend(wire::ack(kind, it.publish.packet_id));
        }
        client.write(&bytes).await;
    }

    async fn repeat(&mut self, who: usize) {
        let client = &mut self.clients[who];
        if !client.is_connected() {
            return;
        }
        let twice =
            client.pending.iter_mut().find(|it| it.publish.qos == 2 && it.stage != Outgoing::Released);
        let Some(twice) = twice else { return };
        twice.publish.dup = true;
        let bytes = wire::publish(&twice.publish, client.v5);
        client.write(&bytes).await;
    }

    async fn release(&mut self, who: usize) {
        let client = &mut self.clients[who];
        if !client.is_connected() {
            return;
        }
        let mut bytes = Vec::new();
        for it in client.pending.iter_mut().filter(|it| it.stage == Outgoing::Received) {
            it.stage = Outgoing::Released;
            bytes.extend(wire::ack(6, it.publish.packet_id));
        }
        client.write(&bytes).await;
    }

    async fn disconnect(&mut self, who: usize, with_will: bool, ends_session: bool) -> Result<(), String> {
        let client = &mut self.clients[who];
        if !client.is_connected() {
            return Ok(());
        }
        let will = client.v5 && with_will;
        let expiry = (client.v5 && ends_session).then_some(0);
        client.write(&wire::disconnect(client.v5, with_will, expiry)).await;
        while let Some(packet) = client.read().await? {
            if !matches!(packet, Packet::Pong) {
                client.take(packet, &mut self.naive).await?;
            }
        }
        if expiry.is_some()
            && let Some(session) = &mut self.naive.sessions[who]
        {
            session.expiry = 0;
        }
        self.lose(who, will);
        self.settle().await
    }

    /// A connection has ended.
    fn lose(&mut self, who: usize, with_will: bool) {
        let now_ms = self.now_ms();
        let client = &mut self.clients[who];
        if self.naive.sessions[who].as_ref().is_none_or(|session| session.left_at_ms.is_some()) {
            client.lost();
            return;
        }
        let unacknowledged = client.unacknowledged();
        client.lost();
        let will = client.will.take().filter(|_| with_will);
        self.naive.leave(who, now_ms, &unacknowledged);
        if let Some(will) = will {
            self.naive.wills.push(will);
            self.naive.publish(will, false);
        }
    }

    /// Sends any bytes and no more; the server is to close the connection then, whatever they were.
    async fn raw(&mut self, who: usize, bytes: &[u8]) -> Result<(), String> {
        let stream = self.clients[who].stream.take();
        let mut stream = stream.unwrap_or_else(|| self.world.open());
        let _closed = stream.write_all(bytes).await;
        let _closed = stream.shutdown().await;
        let mut sink = Vec::new();
        let ended = tokio::time::timeout(NEVER, stream.read_to_end(&mut sink)).await;
        self.clients[who].lost();
        if ended.is_err() {
            return Err("the server does not close a connection that its client has closed".to_owned());
        }
        Ok(())
    }

    async fn advance(&mut self, seconds: u64) -> Result<(), String> {
        self.world.clock.advance(seconds * 1000);
        let now_ms = self.now_ms();
        self.naive.expire(now_ms);
        self.world.hub().keep_now().await;
        self.settle().await
    }

    async fn restart(&mut self) -> Result<(), String> {
        self.world.restart().await;
        for who in 0..self.clients.len() {
            if self.clients[who].is_connected() {
                self.lose(who, true);
            }
        }
        // A server that stops does not wait for wills.
        self.naive.wills.clear();
        Ok(())
    }

    async fn kill(&mut self) -> Result<(), String> {
        self.world.kill().await;
        self.naive.killed();
        self.naive.wills.clear();
        for who in 0..self.clients.len() {
            let client = &mut self.clients[who];
            client.killed = true;
            if client.is_connected() {
                client.will = None;
                self.lose(who, false);
            }
            for it in self.clients[who].inflight.iter_mut().filter(|it| it.publish.qos == 1) {
                it.open = true;
            }
        }
        self.settle().await
    }

    /// Every session's client comes back and takes all that it is owed.
    async fn end(&mut self) -> Result<(), String> {
        if self.unchecked {
            return Ok(());
        }
        self.settle().await?;
        for who in 0..self.clients.len() {
            if self.clients[who].is_connected() {
                continue;
            }
            let number = u8::try_from(who).unwrap_or(0);
            let step = Step::Connect {
                who: number,
                v5: true,
                clean: false,
                expiry: 3,
                receive_max: 100,
                will: None,
            };
            self.connect(who, &step).await?;
            self.settle().await?;
        }
        for _ in 0..200 {
            self.settle().await?;
            let mut more = false;
            for who in 0..self.clients.len() {
                more |= self.clients[who].inflight.iter().any(|it| it.fresh);
                self.ack(who, None, false).await;
                self.release(who).await;
            }
            if !more {
                break;
            }
        }
        let lost = self
            .naive
            .shared
            .iter()
            .find(|it| it.must && it.got == 0 && self.naive.messages[it.message].certain);
        lost.map_or(Ok(()), |lost| Err(format!("nobody got the shared message {lost:?}")))
    }
}

fn wrong_retained(topic: &str, known: Option<&Vec<u8>>) -> String {
    let known = known.map(|known| String::from_utf8_lossy(known).into_owned());
    format!("the retained message of {topic} is {known:?}")
}
