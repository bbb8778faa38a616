//! Reading from the log what a session is owed: all from a place on, or single messages to be sent again.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use pointsman_rules::topic::TopicTrie;
use smallvec::SmallVec;

use super::super::codec::QoS;
use super::super::envelope::Envelope;
use super::Hub;
use super::dispatch::is_publisher;
use super::outbox::{Delivery, Via};
use super::session::Session;
use super::state::{Place, Subscribed};
use super::subscriptions::WantedFilter;
use crate::aside::aside;
use crate::store::{ReadError, Record, Seq, Store};

/// What one step reads at most: bytes of records, and messages found.
const STEP_BYTES: usize = 1024 * 1024;
const STEP_MESSAGES: usize = 2048;
/// Records apart up to which two are read in one go.
const NEAR: Seq = 2000;

/// What a step found.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    pub(super) deliveries: VecDeque<Delivery>,
    /// Every record up to this one has been read.
    pub(super) through: Seq,
}

/// Reads what a session is owed from a place on, off the network's threads and at least up to record `through`, or as much
/// as a step reads.
pub(super) async fn read_owed(
    hub: Arc<Hub>,
    session: Arc<Session>,
    from: Place,
    through: Seq,
) -> Result<Chunk, ReadError> {
    hub.store.reached(through).await;
    aside(move || Owed::new(&session).read(&hub.store, from)).await
}

/// What a session is owed.
struct Owed<'a> {
    session: &'a Session,
    filters: TopicTrie<Subscribed>,
    routes: HashMap<Box<[u8]>, Vec<Subscribed>>,
}

impl Owed<'_> {
    fn new(session: &Session) -> Owed<'_> {
        let mut filters = TopicTrie::new();
        for it in &session.state().subscriptions {
            if let Some(wanted) =
                WantedFilter::parse(&it.wanted.filter).filter(|wanted| wanted.share.is_none())
            {
                filters.insert(&wanted.filter, it.clone());
            }
        }
        Owed { session, filters, routes: HashMap::new() }
    }

    fn read(mut self, store: &Store, from: Place) -> Result<Chunk, ReadError> {
        let replay = store.replay(from.seq)?;
        let mut chunk = Chunk { through: replay.end().max(from.seq.saturating_sub(1)), ..Chunk::default() };
        let (mut bytes, mut messages) = (0, 0);
        for entry in replay {
            let (seq, record) = entry?;
            bytes += record.messages.len() + record.sessions.len();
            if let Some(envelope) = envelope_of(record, seq) {
                let first = if seq == from.seq { from.index as usize } else { 0 };
                messages += self.pick(&envelope, seq, first, &mut chunk.deliveries);
            }
            if bytes >= STEP_BYTES || messages >= STEP_MESSAGES {
                chunk.through = seq;
                break;
            }
        }
        Ok(chunk)
    }

    /// Adds what the session wants of an envelope.
    fn pick(&mut self, envelope: &Envelope, seq: Seq, first: usize, out: &mut VecDeque<Delivery>) -> usize {
        let mut found = 0;
        let own = is_publisher(envelope, &self.session.client_id);
        for index in first..envelope.len() {
            let message = envelope.message(index);
            if message.marks().qos == QoS::AtMostOnce {
                continue;
            }
            let wanted = self.wanted(message.topic_bytes());
            let wanted = wanted.iter().filter(|it| it.since <= seq && !(own && it.wanted.no_local));
            let Some(delivery) = delivery_for(envelope, index, wanted) else { continue };
            found += 1;
            match out.back_mut() {
                Some(last) if last.is_continued_by(&delivery) => last.count += 1,
                _ => out.push_back(delivery),
            }
        }
        found
    }

    fn wanted(&mut self, topic: &[u8]) -> &[Subscribed] {
        if !self.routes.contains_key(topic) {
            let text = std::str::from_utf8(topic).unwrap_or_default();
            let mut wanted = Vec::new();
            if self.session.may_receive(text) {
                self.filters.for_each_match(text, |it| wanted.push(it.clone()));
            }
            self.routes.insert(Box::from(topic), wanted);
        }
        self.routes.get(topic).map_or(&[], Vec::as_slice)
    }
}

/// What several subscriptions of one session make of a message; `None` if they want it at QoS 0 or not at all.
fn delivery_for<'a>(
    envelope: &Envelope,
    index: usize,
    wanted: impl Iterator<Item = &'a Subscribed>,
) -> Option<Delivery> {
    let mut delivery = Delivery {
        envelope: envelope.clone(),
        first: u32::try_from(index).ok()?,
        count: 1,
        qos_max: QoS::AtMostOnce,
        acknowledged: true,
        retain_as_published: false,
        via: Via::Subscription,
        share: None,
        subscription_ids: SmallVec::new(),
    };
    for it in wanted {
        delivery.qos_max = delivery.qos_max.max(it.wanted.qos);
        delivery.retain_as_published |= it.wanted.retain_as_published;
        delivery.subscription_ids.extend(it.id);
    }
    (delivery.qos_max > QoS::AtMostOnce).then_some(delivery)
}

/// The messages at these places, which rise; `None` where the log has none any more.
pub(super) async fn read_places(
    hub: Arc<Hub>,
    places: Vec<Place>,
) -> Result<Vec<Option<Envelope>>, ReadError> {
    if let Some(last) = places.iter().map(|place| place.seq).max() {
        hub.store.reached(last).await;
    }
    aside(move || envelopes_at(&hub.store, &places)).await
}

/// The envelopes that hold these places.
pub(super) fn envelopes_at(store: &Store, places: &[Place]) -> Result<Vec<Option<Envelope>>, ReadError> {
    let mut wanted: Vec<Seq> = places.iter().map(|place| place.seq).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut found: HashMap<Seq, Envelope> = HashMap::new();
    let mut rest = &wanted[..];
    while let Some(&first) = rest.first() {
        let near =
            rest.iter().zip(rest.iter().skip(1)).take_while(|(one, next)| *next - *one <= NEAR).count() + 1;
        let (group, behind) = rest.split_at(near);
        rest = behind;
        let last = group.last().copied().unwrap_or(first);
        let records = match store.replay(first) {
            Ok(records) => records,
            // The limits of the log win over what a session needs.
            Err(ReadError::Dropped { .. }) => continue,
            Err(error) => return Err(error),
        };
        for entry in records {
            let (seq, record) = entry?;
            if group.binary_search(&seq).is_ok()
                && let Some(envelope) = envelope_of(record, seq)
            {
                found.insert(seq, envelope);
            }
            if seq >= last {
                break;
            }
        }
    }
    let at = |place: &Place| {
        found.get(&place.seq).filter(|envelope| (place.index as usize) < envelope.len()).cloned()
    };
    Ok(places.iter().map(at).collect())
}

/// The envelope of a record, if it has one.
pub fn envelope_of(record: Record, seq: Seq) -> Option<Envelope> {
    if record.messages.is_empty() {
        return None;
    }
    match Envelope::from_bytes(record.messages) {
        Ok(mut envelope) => {
            envelope.set_log_seq(seq);
            Some(envelope)
        }
        Err(error) => {
            tracing::warn!(seq, %error, "a record of the log holds something else than messages");
            None
        }
    }
}
