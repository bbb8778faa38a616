//! Whom a topic concerns at one moment: the sessions with subscriptions that match, also those that may not receive it.

use std::mem::size_of;
use std::sync::Arc;

use pointsman_rules::topic::filter_matches;

use super::super::reserved;
use super::Hub;
use super::session::Session;
use super::state::Subscribed;
use crate::auth::Ruling;

/// Sessions that are noted.
pub const RECIPIENTS_MAX: usize = 1_000;

/// See the module. It holds no session, so that those can end.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    /// By the numbers of the sessions.
    pub(super) members: Box<[Member]>,
    /// How many there are, also where not all of them are noted.
    pub(super) count: usize,
}

/// A session that a topic concerns.
#[derive(Debug)]
pub(super) struct Member {
    /// No other session has it while the server runs.
    pub(super) session: u64,
    pub(super) client_id: Arc<str>,
    /// Whether it outlives its connection.
    pub(super) durable: bool,
    /// Its subscriptions that match.
    pub(super) subscribed: Box<[Subscribed]>,
    /// What the policy says, if it may not receive the topic.
    pub(super) denied: Option<Ruling>,
}

impl Audience {
    /// Where the session of that number is among those noted.
    pub(super) fn position(&self, session: u64) -> Option<u16> {
        let at = self.members.binary_search_by_key(&session, |member| member.session).ok()?;
        u16::try_from(at).ok()
    }

    /// Bytes it takes, near enough.
    pub(super) fn bytes(&self) -> usize {
        let texts = |it: &Member| {
            it.client_id.len() + it.subscribed.iter().map(|it| it.wanted.filter.len()).sum::<usize>()
        };
        let own = |it: &Member| size_of::<Member>() + size_of_val(&*it.subscribed) + texts(it);
        size_of::<Audience>() + self.members.iter().map(own).sum::<usize>()
    }
}

impl Hub {
    /// Whom a topic concerns now.
    pub(super) fn audience(&self, topic: &str) -> Audience {
        if reserved::is_for_rule(topic) {
            return Audience::default();
        }
        // The lock of the subscriptions is let go first: those who change them hold that of the session.
        let (sessions, count) = self.subscriptions.sessions(topic, RECIPIENTS_MAX);
        let members = sessions.iter().filter_map(|session| self.member(session, topic));
        Audience { members: members.collect(), count }
    }

    /// `None` if it has unsubscribed meanwhile.
    fn member(&self, session: &Session, topic: &str) -> Option<Member> {
        let matches = |it: &&Subscribed| filter_matches(it.topic_filter().0, topic);
        let subscribed: Box<[_]> = session.state().subscriptions.iter().filter(matches).cloned().collect();
        if subscribed.is_empty() {
            return None;
        }
        let ruling = session.receive_ruling(&self.auth, topic);
        Some(Member {
            session: session.number,
            client_id: Arc::clone(&session.client_id),
            durable: session.durable,
            subscribed,
            denied: ruling.filter(|ruling| !ruling.is_allowed),
        })
    }
}
