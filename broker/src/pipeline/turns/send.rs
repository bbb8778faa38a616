//! What happens after a turn: once its record is on disk, what its runs publish goes out, and its lanes are free.

use std::thread;
use std::time::Duration;

use tracing::error;

use super::lanes::{Held, Lanes};
use super::unit::Piece;
use crate::mqtt::Envelope;
use crate::pipeline::Pipeline;
use crate::pipeline::outbox::Afterwards;
use crate::store::{Appended, Seq};

/// Bytes that may wait on the spine before what rules publish has to wait too.
const OUTPUT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How long what rules publish waits for the spine at most.
const SPINE_PATIENCE: Duration = Duration::from_secs(1);
/// Whoever has to wait for the spine looks again after this.
const BRIEF: Duration = Duration::from_millis(1);

/// What a turn leaves.
pub(in crate::pipeline) struct Batch {
    /// In order; mostly one.
    pub(in crate::pipeline) parts: Vec<Part>,
    /// Records of which a piece of work is done once all is on disk.
    pub(in crate::pipeline) finished: Vec<Seq>,
    /// The lanes, which take up nothing new before this is sent: that keeps what they publish in order.
    pub(in crate::pipeline) held: Vec<Held<Piece>>,
}

/// What some events of a turn leave.
#[derive(Default)]
pub(in crate::pipeline) struct Part {
    /// The record, if there was anything to keep.
    pub(in crate::pipeline) appended: Option<Appended>,
    /// The record holds what is published.
    pub(in crate::pipeline) is_logged: bool,
    /// What is published besides.
    pub(in crate::pipeline) envelope: Option<Envelope>,
    /// What is done last.
    pub(in crate::pipeline) afterwards: Afterwards,
    /// What is undone if the disk refuses the record.
    pub(in crate::pipeline) ran: Vec<Piece>,
}

impl Batch {
    /// Whether something of it has to be on disk before it is sent.
    pub(in crate::pipeline) fn waits_for_disk(&self) -> bool {
        self.parts.iter().any(|part| part.appended.is_some())
    }
}

/// Waits for the disk where that is needed, publishes, and gives the lanes back.
pub(in crate::pipeline) fn send(pipeline: &Pipeline, lanes: &Lanes<Piece>, batch: Batch) {
    for mut part in batch.parts {
        match part.appended.take().map_or(Ok(()), Appended::wait) {
            Err(error) => {
                error!(%error, "what rules wrote could not be kept; their events are put aside");
                for Piece { unit, range } in part.ran {
                    pipeline.put_aside(&unit, range);
                }
            }
            Ok(()) => release(pipeline, part),
        }
    }
    for seq in batch.finished {
        pipeline.progress.finish(seq);
    }
    lanes.give_back(batch.held);
}

/// Lets out what events of a turn leave, once it is on disk.
pub(in crate::pipeline) fn release(pipeline: &Pipeline, part: Part) {
    if part.is_logged {
        pipeline.publish_logged();
    }
    if let Some(envelope) = part.envelope {
        wait_for_spine(pipeline);
        pipeline.spine.publish(envelope);
    }
    pipeline.do_afterwards(part.afterwards);
}

/// Slows rules down where what they publish piles up far beyond what publishers may cause. Not for ever: it may be the
/// rules themselves that the spine waits for, which is why they do not wait as soon as publishers do.
fn wait_for_spine(pipeline: &Pipeline) {
    let mut waited = Duration::ZERO;
    while pipeline.spine.is_lagging()
        && pipeline.spine.stats().lag_bytes > OUTPUT_BYTES_MAX
        && waited < SPINE_PATIENCE
    {
        thread::sleep(BRIEF);
        waited += BRIEF;
    }
}
