//! Has a script happen to a server, and compares what its clients are sent with what the naive broker says.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::client::Client;
use super::naive::Naive;
use super::script::{CLIENTS, FILTERS, Step, of};
use super::world::{NEVER, World};

/// A run of a script.
pub(super) struct Run {
    pub(super) world: World,
    pub(super) naive: Naive,
    pub(super) clients: Vec<Client>,
    /// Nothing is compared.
    pub(super) unchecked: bool,
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

    pub(super) fn now_ms(&self) -> u64 {
        self.world.clock.now_ms()
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
        let lost = self.naive.shared.iter().find(|it| {
            let came_otherwise =
                self.naive.sessions.iter().flatten().any(|session| session.took_for_other(it));
            it.must && it.got == 0 && self.naive.messages[it.message].certain && !came_otherwise
        });
        lost.map_or(Ok(()), |lost| Err(format!("nobody got the shared message {lost:?}")))
    }
}
