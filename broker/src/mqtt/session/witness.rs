//! What is noted of messages that are kept to be explained, while they are delivered: whom they concern, who was away, and
//! which members of shares were given them.

use std::ops::Range;
use std::sync::{Arc, PoisonError};

use smallvec::SmallVec;

use super::super::envelope::Envelope;
use super::Hub;
use super::audience::Audience;
use super::samples::Sampled;
use super::session::Session;
use super::subscriptions::Route;

/// Places in an [`Audience`].
pub(super) type Members = SmallVec<[u16; 4]>;

/// Notes of one envelope, run by run.
#[derive(Debug)]
pub(super) struct Witness {
    /// The messages that are kept, which rise.
    pub(super) picked: SmallVec<[usize; 8]>,
    /// What is noted of the run that is being delivered, if one of its messages is kept.
    run: Option<Notes>,
}

#[derive(Debug)]
struct Notes {
    audience: Arc<Audience>,
    away: Members,
    /// Which messages of shared subscriptions went to whom.
    given: Vec<(Range<usize>, u16)>,
}

impl Witness {
    /// `picked` are the places of the messages that are kept, in order.
    pub(super) fn new(picked: SmallVec<[usize; 8]>) -> Witness {
        Witness { picked, run: None }
    }

    /// A run of messages is about to go where its route says.
    pub(super) fn begin(&mut self, hub: &Hub, topic: &str, range: &Range<usize>, route: &Route) {
        if self.picked.first().is_none_or(|index| !range.contains(index)) {
            return;
        }
        let audience = audience_of(hub, topic, route);
        let sessions = route.targets.iter().map(|target| &target.session);
        let away = sessions.filter(|session| is_away(session));
        let away = away.filter_map(|session| audience.position(session.number)).collect();
        self.run = Some(Notes { audience, away, given: Vec::new() });
    }

    /// A member of a share was given messages of the run.
    pub(super) fn given(&mut self, range: Range<usize>, member: &Session) {
        let Some(notes) = &mut self.run else { return };
        let Some(at) = notes.audience.position(member.number) else { return };
        if is_away(member) && !notes.away.contains(&at) {
            notes.away.push(at);
        }
        notes.given.push((range, at));
    }

    /// The run has gone out.
    pub(super) fn end(&mut self, hub: &Hub, envelope: &Envelope, range: &Range<usize>) {
        let Some(notes) = self.run.take() else { return };
        let count = self.picked.iter().take_while(|index| **index < range.end).count();
        for index in self.picked.drain(..count) {
            let given = notes.given.iter().filter(|(range, _)| range.contains(&index));
            hub.samples.keep(Sampled {
                envelope: envelope.single(index),
                audience: Arc::clone(&notes.audience),
                away: notes.away.clone(),
                given: given.map(|(_, at)| *at).collect(),
            });
        }
    }
}

/// The audience of a topic with this route, which is the same for as long as the route is: until subscriptions or policies
/// change.
fn audience_of(hub: &Hub, topic: &str, route: &Route) -> Arc<Audience> {
    let mut known = route.audience.lock().unwrap_or_else(PoisonError::into_inner);
    known.upgrade().unwrap_or_else(|| {
        let audience = Arc::new(hub.audience(topic));
        *known = Arc::downgrade(&audience);
        audience
    })
}

/// A session that does not outlive its connection has one.
fn is_away(session: &Session) -> bool {
    session.durable && !session.outbox.is_attached()
}
