//! Who is sent a message, and who is not: by the subscriptions and policies that there are now.

use pointsman_rules::EventId;
use serde::Serialize;

use super::super::codec::QoS;
use super::super::envelope::Envelope;
use super::super::reserved;
use super::Hub;
use super::dispatch::is_publisher;
use super::session::Session;
use super::subscriptions::WantedFilter;
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
    /// Whether the client is connected.
    pub is_connected: bool,
    /// Whether it is sent the message.
    pub outcome: Receipt,
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
    /// It published the message, and asked not to be sent its own.
    Own,
    /// It is.
    Sent,
}

impl Hub {
    /// The sessions with subscriptions that match the message at `index`, by client id, at most `count_max`; and how many
    /// there are.
    pub fn recipients(&self, envelope: &Envelope, index: usize, count_max: usize) -> (Vec<Recipient>, usize) {
        let topic = envelope.message(index).topic();
        if reserved::is_for_rule(topic) {
            return (Vec::new(), 0);
        }
        // The lock of the subscriptions is let go first: those who change them hold that of the session.
        let mut sessions = self.subscriptions.sessions(topic);
        sessions.sort_by(|left, right| left.client_id.cmp(&right.client_id));
        let count = sessions.len();
        sessions.truncate(count_max);
        let recipients = sessions.iter().filter_map(|session| self.recipient(session, envelope, index));
        (recipients.collect(), count)
    }

    /// `None` if it has unsubscribed meanwhile.
    fn recipient(&self, session: &Session, envelope: &Envelope, index: usize) -> Option<Recipient> {
        let message = envelope.message(index);
        let is_own = is_publisher(envelope, &session.client_id);
        let seq = envelope.log_seq().filter(|_| session.durable);
        let mut filters = Vec::new();
        let mut qos = QoS::AtMostOnce;
        // Of what its subscriptions make of the message, the best for the client.
        let mut outcome: Option<Receipt> = None;
        for it in &session.state().subscriptions {
            let wanted = WantedFilter::parse(&it.wanted.filter);
            let Some(wanted) = wanted.filter(|wanted| wanted.filter.matches(message.topic())) else {
                continue;
            };
            let receipt = if is_own && it.wanted.no_local {
                Receipt::Own
            } else if seq.is_some_and(|seq| it.since > seq) {
                Receipt::Later
            } else if wanted.share.is_some() {
                Receipt::OneOfShare
            } else {
                Receipt::Sent
            };
            if matches!(receipt, Receipt::Sent | Receipt::OneOfShare) {
                qos = qos.max(it.wanted.qos);
            }
            let is_better = outcome.is_none_or(|before| rank(receipt) > rank(before));
            outcome = if is_better { Some(receipt) } else { outcome };
            filters.push(it.wanted.filter.clone());
        }
        let mut outcome = outcome?;
        let qos = qos.min(message.marks().qos);
        let is_connected = session.outbox.is_attached();
        if outcome == Receipt::Sent && !is_connected && (qos == QoS::AtMostOnce || !session.durable) {
            outcome = Receipt::Away;
        }
        let ruling = session.receive_ruling(&self.auth, message.topic()).filter(|ruling| !ruling.is_allowed);
        if ruling.is_some() {
            outcome = Receipt::Denied;
        }
        let client_id = session.client_id.to_string();
        Some(Recipient { client_id, filters, qos: qos as u8, is_connected, outcome, ruling })
    }

    /// A message of those kept for a while, in an envelope of its own.
    pub fn sample(&self, id: EventId) -> Option<Envelope> {
        self.samples.find(id)
    }

    /// The messages that were kept last, the newest first, each in an envelope of its own.
    pub fn samples(&self, count_max: usize) -> Vec<Envelope> {
        self.samples.newest(count_max)
    }
}

/// What is better for the client is higher.
fn rank(receipt: Receipt) -> u8 {
    match receipt {
        Receipt::Away | Receipt::Denied => 0,
        Receipt::Own => 1,
        Receipt::Later => 2,
        Receipt::OneOfShare => 3,
        Receipt::Sent => 4,
    }
}
