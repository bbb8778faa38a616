//! Events that are put on a bus from outside.

use bytes::Bytes;
use pointsman_rules::bus::{CallError, Entry, EntryError, PutContext, check_call};

use super::wanted::BUS_PREFIX;
use crate::mqtt::{self, EnvelopeBuilder, Interest, LogRefused, Marks, Origin, QoS, SERVER};
use crate::pipeline::Pipeline;

/// Why none of the events of a call was put.
#[derive(Debug, thiserror::Error)]
pub enum PutEventsError {
    /// There are none, too many, or they are too large together.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The log does not take them.
    #[error("{}", .0.detail)]
    NotKept(LogRefused),
}

impl Pipeline {
    /// Puts events on their buses, and gives the id of each, or why it was not put. When this resolves they are on disk, all
    /// in one record.
    pub async fn put_events(
        &self,
        entries: &[Entry],
    ) -> Result<Vec<Result<String, EntryError>>, PutEventsError> {
        check_call(entries)?;
        // As every publisher, it waits while a reader of the spine is too far behind.
        if self.spine.is_lagging() {
            self.spine.caught_up().await;
        }
        let now_ms = self.clock.now_ms();
        let time_ms = i64::try_from(now_ms).unwrap_or(i64::MAX);
        let seed = self.ids.take(now_ms, entries.len());
        let mut builder = EnvelopeBuilder::default();
        let mut put = |(number, entry): (u64, &Entry)| {
            let context = PutContext { time_ms, seed, rule: "", number, cause: None };
            let event = entry.event(&context)?;
            let topic = format!("{BUS_PREFIX}{}", entry.bus());
            let Interest { durable, rules } = self.active.load().interest(&topic);
            let interest = Interest { durable, rules: rules || self.shadow_wants(&topic) };
            builder.push(&topic, &event, &[], Marks { qos: QoS::AtLeastOnce, retain: false, interest });
            Ok(context.uuid())
        };
        let results = (0..).zip(entries).map(&mut put).collect();
        if !builder.is_empty() {
            let origin = Origin { publisher: SERVER, client_id: "", user: None, hops: 0, first_id: seed };
            let envelope = Some(builder.seal(&origin));
            let entry = mqtt::Entry { envelope, sessions: Bytes::new(), writes: Vec::new() };
            let first = self.enter(&entry);
            self.log(entry, first).await.map_err(PutEventsError::NotKept)?;
        }
        Ok(results)
    }
}
