//! Waiting until everything has arrived, and looking whether that is all that must.

use tokio::time::Instant;

use super::naive::Retaining;
use super::run::Run;
use super::script::TOPICS;
use super::world::NEVER;

/// Rounds without any news after which all that could come has, if nothing is missing: more than a client has
/// subscriptions whose retained messages are read one after the other.
const CALM_ENOUGH: u32 = 5;
/// Rounds without any news after which nothing will come any more.
const CALM_ROUNDS: u32 = 100;

impl Run {
    /// Waits until everything has arrived.
    pub(super) async fn settle(&mut self) -> Result<(), String> {
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
}

fn wrong_retained(topic: &str, known: Option<&Vec<u8>>) -> String {
    let known = known.map(|known| String::from_utf8_lossy(known).into_owned());
    format!("the retained message of {topic} is {known:?}")
}
