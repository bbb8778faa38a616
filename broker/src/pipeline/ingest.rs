//! Into the log: what the sessions ask of what lies behind them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Pipeline;
use super::route::lifecycle_trigger;
use crate::mqtt::{Envelope, Ingress, Interest, LIFECYCLE_PREFIX, LogRefused, Logged, Reason};
use crate::report::chain;
use crate::store::{AppendError, Record};

/// The sessions' side of a pipeline.
pub struct Intake(pub Arc<Pipeline>);

impl Ingress for Intake {
    fn interest(&self, topic: &str) -> Interest {
        let active = self.0.active.load();
        if let Some(event) = topic.strip_prefix(LIFECYCLE_PREFIX) {
            let rules = lifecycle_trigger(event.split('/').nth(1).unwrap_or_default())
                .is_some_and(|on| active.set.lifecycle_triggers(&on).next().is_some());
            return Interest { durable: false, rules };
        }
        let wanted = active.set.has_message_match(topic);
        Interest { durable: wanted, rules: wanted }
    }

    fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }

    fn log(&self, envelope: Envelope) -> Logged {
        let pipeline = Arc::clone(&self.0);
        Box::pin(async move { pipeline.log(envelope).await })
    }
}

impl Pipeline {
    /// Puts an envelope into the log; it is on disk when this resolves.
    async fn log(&self, mut envelope: Envelope) -> Result<Envelope, LogRefused> {
        let appended = loop {
            let entered = self.progress.enter(|| {
                let record = Record { messages: envelope.bytes().clone(), ..Record::default() };
                self.store.append(record).map(|appended| (appended.seq, appended))
            });
            match entered {
                Ok(appended) => break appended,
                // Publishers wait for room: that is what slows them.
                Err(AppendError::Full { .. }) => self.store.room().await,
                Err(error) => return Err(refusal(&error)),
            }
        };
        let seq = appended.seq;
        envelope.set_log_seq(seq);
        if let Err(error) = appended.durable().await {
            self.progress.finish(seq);
            return Err(refusal(&error));
        }
        Ok(envelope)
    }
}

fn refusal(error: &dyn std::error::Error) -> LogRefused {
    let detail = format!("the message cannot be kept: {}", chain(error));
    LogRefused { reason: Reason::QuotaExceeded, detail }
}
