//! Who is sent a message, and who is not: as it was when it was delivered, or by what there is now.

use pointsman_rules::EventId;
use serde::Serialize;

use super::super::codec::QoS;
use super::super::envelope::Envelope;
use super::Hub;
use super::audience::Member;
use super::dispatch::is_publisher;
use super::progress::{Progress, progress_by_share};
use super::samples::Sampled;
use super::state::{Place, Subscribed};
use crate::auth::Ruling;

/// A session with subscriptions that match a message.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Recipient {
    /// Its client.
    pub client_id: String,
    /// The filters of its subscriptions that match, as they came.
    pub filters: Vec<String>,
    /// At which quality of service it is sent the message.
    pub qos: u8,
    /// Whether the client is connected now.
    pub is_connected: bool,
    /// Whether it is sent the message.
    pub outcome: Receipt,
    /// How far it has come with the message by now, if its session outlives its connection and the message is in the log for
    /// it.
    pub progress: Option<Progress>,
    /// What the policy says, if it is denied.
    pub ruling: Option<Ruling>,
}

/// Whether a session is sent a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Receipt {
    /// It is not connected, and the message is not kept for it, as it is one of QoS 0.
    Away,
    /// The policy does not let it receive the topic.
    Denied,
    /// It subscribed after the message was published.
    Later,
    /// It is a member of shared subscriptions; each of them sends the message to one of its members.
    OneOfShare,
    /// It is a member of shared subscriptions, which gave the message to others.
    OtherOfShare,
    /// It published the message, and asked not to be sent its own.
    Own,
    /// It is.
    Sent,
}

impl Hub {
    /// The sessions with subscriptions that match a message now, by client id, and how many there are. The envelope is its
    /// own.
    pub fn recipients(&self, envelope: &Envelope) -> (Vec<Recipient>, usize) {
        let audience = self.audience(envelope.message(0).topic());
        let recipient = |member: &Member| {
            let seq = envelope.log_seq().filter(|_| member.durable);
            let receipt = |it: &Subscribed, is_shared| {
                if seq.is_some_and(|seq| it.since > seq) {
                    Receipt::Later
                } else if is_shared {
                    Receipt::OneOfShare
                } else {
                    Receipt::Sent
                }
            };
            self.recipient(member, envelope, receipt, self.registry.client(&member.client_id).is_none())
        };
        (by_client(audience.members.iter().map(recipient)), audience.count)
    }

    /// The sessions that a message concerned when it was delivered, by client id, and how many there were.
    pub fn recipients_then(&self, sampled: &Sampled) -> (Vec<Recipient>, usize) {
        let audience = &sampled.audience;
        let recipient = |(at, member): (usize, _)| {
            let is_in = |list: &[u16]| list.iter().any(|it| usize::from(*it) == at);
            let receipt = |_: &Subscribed, is_shared| match (is_shared, is_in(&sampled.given)) {
                (true, false) => Receipt::OtherOfShare,
                _ => Receipt::Sent,
            };
            self.recipient(member, &sampled.envelope, receipt, is_in(&sampled.away))
        };
        (by_client(audience.members.iter().enumerate().map(recipient)), audience.count)
    }

    /// `receipt` says what a subscription makes of the message, if it is not its client's own.
    fn recipient(
        &self,
        member: &Member,
        envelope: &Envelope,
        receipt: impl Fn(&Subscribed, bool) -> Receipt,
        is_away: bool,
    ) -> Recipient {
        let is_own = is_publisher(envelope, &member.client_id);
        let mut qos = QoS::AtMostOnce;
        let mut outcome = Receipt::Denied;
        let mut by_share = true;
        for it in &member.subscribed {
            let (_, is_shared) = it.topic_filter();
            let receipt = if is_own && it.wanted.no_local { Receipt::Own } else { receipt(it, is_shared) };
            if is_sent(receipt) {
                qos = qos.max(it.wanted.qos);
                by_share &= is_shared;
            }
            // Of what its subscriptions make of the message, the best for the client.
            outcome = if rank(receipt) > rank(outcome) { receipt } else { outcome };
        }
        let qos = qos.min(envelope.message(0).marks().qos);
        if outcome == Receipt::Sent && is_away && (qos == QoS::AtMostOnce || !member.durable) {
            outcome = Receipt::Away;
        }
        if member.denied.is_some() {
            outcome = Receipt::Denied;
        }
        let place = Some(Place::of(envelope, 0)).filter(|place| place.is_in_log());
        let place = place.filter(|_| is_sent(outcome) && qos > QoS::AtMostOnce && member.durable);
        Recipient {
            client_id: member.client_id.to_string(),
            filters: member.subscribed.iter().map(|it| it.wanted.filter.clone()).collect(),
            qos: qos as u8,
            is_connected: self.registry.client(&member.client_id).is_some(),
            outcome,
            progress: place.and_then(|place| self.member_progress(member, place, by_share)),
            ruling: member.denied.clone(),
        }
    }

    /// `None` if that cannot be told: a member of a share does not remember what it has sent, nor what others were given.
    fn member_progress(&self, member: &Member, place: Place, by_share: bool) -> Option<Progress> {
        let session = self.sessions.get(&member.client_id).filter(|it| it.number == member.session);
        match session {
            None => Some(Progress::Over),
            Some(session) if by_share => progress_by_share(&session.state(), place),
            Some(session) => Some(self.progress(&session, place)),
        }
    }

    /// A message of those kept for a while.
    pub fn sample(&self, id: EventId) -> Option<Sampled> {
        self.samples.find(id)
    }

    /// The messages that were kept last, the newest first, each in an envelope of its own.
    pub fn samples(&self, count_max: usize) -> Vec<Envelope> {
        self.samples.newest(count_max)
    }
}

fn by_client(recipients: impl Iterator<Item = Recipient>) -> Vec<Recipient> {
    let mut recipients: Vec<_> = recipients.collect();
    recipients.sort_by(|left, right| left.client_id.cmp(&right.client_id));
    recipients
}

fn is_sent(receipt: Receipt) -> bool {
    matches!(receipt, Receipt::Sent | Receipt::OneOfShare)
}

/// What is better for the client is higher.
fn rank(receipt: Receipt) -> u8 {
    match receipt {
        Receipt::Away | Receipt::Denied => 0,
        Receipt::Own => 1,
        Receipt::Later => 2,
        Receipt::OtherOfShare => 3,
        Receipt::OneOfShare => 4,
        Receipt::Sent => 5,
    }
}
