//! How far a session that outlives its connections has come with a message of the log.

use std::sync::atomic::Ordering;

use serde::Serialize;

use super::Hub;
use super::session::Session;
use super::state::{Place, State};
use crate::store::Seq;

/// How far a session has come with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Progress {
    /// The session has ended.
    Over,
    /// It is past it: its client has acknowledged it, or it was passed over, as it had expired, was too large, or was no
    /// longer wanted or allowed when its turn came.
    Past,
    /// Its client was sent it, and has not acknowledged it.
    Unacknowledged,
    /// It is yet to be sent.
    Waiting,
}

impl Hub {
    /// How far a session has come with a message that its own subscriptions want.
    pub(super) fn progress(&self, session: &Session, place: Place) -> Progress {
        if self.dispatched_through.load(Ordering::Acquire) < place.seq {
            return Progress::Waiting;
        }
        let state = session.state();
        let owed_from = session.outbox.owed_from();
        progress_by_share(&state, place).unwrap_or_else(|| progress(&state, place, owed_from))
    }
}

/// How far it has come with a message that it is to deliver, or has sent; `None` if it is none of those.
pub(super) fn progress_by_share(state: &State, place: Place) -> Option<Progress> {
    if state.window.iter().any(|(_, slot)| slot.place == place) {
        return Some(Progress::Unacknowledged);
    }
    state.assigned.iter().any(|run| run.covers(place)).then_some(Progress::Waiting)
}

fn progress(state: &State, place: Place, owed_from: Option<Seq>) -> Progress {
    // Nothing is owed where the last messages that it was to be sent were passed over.
    let is_owed = owed_from.is_some_and(|from| from <= place.seq);
    if is_owed && place >= state.position { Progress::Waiting } else { Progress::Past }
}

#[cfg(test)]
mod tests {
    use super::super::super::codec::QoS;
    use super::super::state::{Assigned, Stage};
    use super::*;

    #[test]
    fn a_message_waits_then_is_out_and_then_past() {
        let place = Place { seq: 7, index: 2 };
        let mut state = State::default();
        let told = |state: &State, owed_from| {
            progress_by_share(state, place).unwrap_or_else(|| progress(state, place, owed_from))
        };
        assert_eq!(told(&state, Some(7)), Progress::Waiting);
        assert_eq!(told(&state, Some(8)), Progress::Past, "what was passed over is not owed");
        let packet_id = state.window.open(QoS::AtLeastOnce, place, false).unwrap();
        state.position = Place { seq: 7, index: 3 };
        assert_eq!(told(&state, Some(7)), Progress::Unacknowledged);
        state.window.puback(packet_id);
        assert_eq!((state.window.stage(packet_id), told(&state, Some(7))), (Stage::Free, Progress::Past));
    }

    #[test]
    fn what_a_share_gave_waits_until_it_is_out() {
        let place = Place { seq: 7, index: 2 };
        let mut state = State::default();
        assert_eq!(progress_by_share(&state, place), None);
        let run = Assigned {
            place: Place { index: 1, ..place },
            count: 2,
            qos: QoS::AtLeastOnce,
            subscription_id: None,
        };
        state.assigned.push_back(run);
        assert_eq!(progress_by_share(&state, place), Some(Progress::Waiting));
        assert_eq!(progress_by_share(&state, Place { index: 3, ..place }), None);
    }
}
