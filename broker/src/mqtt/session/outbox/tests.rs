//! What waits, and what gives way.

use super::*;
use crate::mqtt::{EnvelopeBuilder, Interest, Marks, Origin, SERVER};
use futures_util::task::noop_waker_ref;
use pointsman_rules::EventId;

const LIMITS: OutboxLimits = OutboxLimits { bytes_max: 1_000_000, messages_max: 10 };

fn envelope(count: usize) -> Envelope {
    let mut builder = EnvelopeBuilder::default();
    for number in 0..count {
        let marks = Marks { qos: QoS::AtLeastOnce, retain: false, interest: Interest::default() };
        builder.push("t", &[u8::try_from(number).unwrap()], &[], marks);
    }
    let first_id = EventId::from_u128(1);
    builder.seal(&Origin { publisher: SERVER, client_id: "", user: None, hops: 0, first_id })
}

fn delivery(envelope: &Envelope, first: u32, acknowledged: bool) -> Delivery {
    Delivery {
        envelope: envelope.clone(),
        first,
        count: 1,
        qos_max: QoS::AtLeastOnce,
        acknowledged,
        retain_as_published: false,
        via: Via::Subscription,
        share: None,
        subscription_ids: SmallVec::new(),
    }
}

fn logged(seq: Seq) -> Delivery {
    let mut envelope = envelope(1);
    envelope.set_log_seq(seq);
    delivery(&envelope, 0, true)
}

fn attached(durable: bool) -> (Outbox, Arc<Drops>) {
    let drops: Arc<Drops> = Arc::default();
    let outbox = Outbox::new(durable, LIMITS, Arc::clone(&drops));
    outbox.attach();
    (outbox, drops)
}

fn taken(outbox: &Outbox) -> (VecDeque<Delivery>, Source) {
    let mut deliveries = VecDeque::new();
    let source = outbox.take(&mut deliveries);
    (deliveries, source)
}

fn seqs(deliveries: &VecDeque<Delivery>) -> Vec<Seq> {
    deliveries.iter().filter_map(|delivery| delivery.envelope.log_seq()).collect()
}

#[test]
fn runs_that_continue_each_other_become_one() {
    let (outbox, _) = attached(false);
    let envelope = envelope(4);
    for first in [0, 1, 3] {
        outbox.push(delivery(&envelope, first, false));
    }
    let runs: Vec<(u32, u32)> = taken(&outbox).0.iter().map(|run| (run.first, run.count)).collect();
    assert_eq!(runs, [(0, 2), (3, 1)]);
}

#[test]
fn beyond_the_limit_the_oldest_that_may_be_lost_go_first() {
    let (outbox, drops) = attached(false);
    for number in 0..11 {
        outbox.push(delivery(&envelope(1), 0, number == 0));
    }
    let (taken, _) = taken(&outbox);
    assert!(taken[0].acknowledged, "what was promised stays, though it is the oldest");
    assert_eq!(drops.slow_consumer.get() + taken.len() as u64, 11);
    assert!(taken.len() <= LIMITS.messages_max && !outbox.is_hopeless());
}

#[test]
fn a_client_whose_promised_messages_exceed_the_limit_is_hopeless() {
    let (outbox, _) = attached(false);
    let pushed: Vec<Pushed> = (0..11).map(|_| outbox.push(delivery(&envelope(1), 0, true))).collect();
    assert_eq!((pushed[0], pushed[6]), (Pushed::Queued, Pushed::Crowded), "publishers slow down before");
    assert!(outbox.is_hopeless());
}

#[test]
fn a_connection_that_takes_nothing_sleeps() {
    let (outbox, _) = attached(false);
    let is_ready = |takes| outbox.poll_ready(&mut Context::from_waker(noop_waker_ref()), takes).is_ready();
    outbox.push(delivery(&envelope(1), 0, false));
    assert!(!is_ready(false) && is_ready(true));
}

#[test]
fn without_a_connection_a_durable_session_is_owed_what_is_in_the_log_and_nothing_else() {
    let (outbox, drops) = attached(true);
    outbox.detach(VecDeque::new());
    assert_eq!(outbox.push(delivery(&envelope(1), 0, false)), Pushed::Gone);
    assert_eq!((outbox.push(logged(5)), outbox.push(logged(8))), (Pushed::Owed, Pushed::Queued));
    assert_eq!((outbox.owed_from(), drops.offline.get()), (Some(5), 1));
    outbox.attach();
    assert_eq!(taken(&outbox).1, Source::Log { from: 5, through: 8 });
    outbox.push(logged(9));
    assert_eq!(outbox.caught_up(8), Source::Log { from: 9, through: 9 }, "more came while it read");
    assert_eq!(outbox.caught_up(9), Source::Live);
    outbox.push(logged(9));
    outbox.push(logged(10));
    assert_eq!(seqs(&taken(&outbox).0), [10], "what was read from the log does not come again");
}

#[test]
fn a_durable_session_that_is_too_slow_is_fed_from_the_log_and_loses_nothing() {
    let (outbox, drops) = attached(true);
    assert!((1..=11).all(|seq| outbox.push(logged(seq)) != Pushed::Gone));
    assert!(!outbox.is_hopeless() && drops.slow_consumer.get() == 0);
    let (deliveries, source) = taken(&outbox);
    assert_eq!((deliveries.len(), source), (0, Source::Log { from: 1, through: 11 }));
}

#[test]
fn what_was_in_hand_at_the_end_is_owed() {
    let (outbox, _) = attached(true);
    assert_eq!(outbox.push(logged(1)), Pushed::Owed, "its row is to say so");
    assert!((2..=3).all(|seq| outbox.push(logged(seq)) == Pushed::Queued));
    let (mut in_hand, _) = taken(&outbox);
    outbox.push(logged(4));
    in_hand.pop_front();
    outbox.detach(in_hand);
    assert_eq!(outbox.owed_from(), Some(1), "from the first that was taken: its position says what was sent");
}

#[test]
fn a_session_that_was_sent_everything_is_owed_nothing() {
    let (outbox, _) = attached(true);
    outbox.push(logged(1));
    let _sent = taken(&outbox);
    outbox.sent_all();
    assert_eq!(outbox.owed_from(), None);
    outbox.detach(VecDeque::new());
    outbox.attach();
    assert_eq!(taken(&outbox).1, Source::Live);
}

#[test]
fn the_first_that_is_owed_is_said_whether_it_is_queued_or_left_in_the_log() {
    let (outbox, _) = attached(true);
    let mut in_hand = taken(&outbox).0;
    assert_eq!(outbox.push(logged(1)), Pushed::Owed, "queued, and not in any row yet");
    assert_eq!(outbox.push(logged(2)), Pushed::Queued);
    in_hand.extend(taken(&outbox).0);
    assert_eq!(outbox.push(logged(3)), Pushed::Queued, "what is in hand is owed already");
    outbox.detach(in_hand);
    outbox.attach();
    let (_, source) = taken(&outbox);
    assert_eq!(source, Source::Log { from: 1, through: 3 });
    outbox.caught_up(3);
    assert_eq!(outbox.push(logged(4)), Pushed::Owed);
}

#[test]
fn what_comes_by_two_shares_stays_apart() {
    let (outbox, _) = attached(false);
    let both = envelope(2);
    let filter = pointsman_rules::topic::TopicFilter::parse("t").unwrap();
    for (first, group) in [(0, "g"), (1, "h")] {
        let share = Some(Arc::new(Share::new(group, &filter)));
        outbox.push(Delivery { via: Via::Share, share, ..delivery(&both, first, true) });
    }
    assert_eq!(taken(&outbox).0.len(), 2, "each goes on to members of its own share when this one leaves");
}

#[test]
fn what_is_read_from_the_log_comes_without_its_qos_0_which_is_queued() {
    let (outbox, _) = attached(true);
    outbox.push(logged(1));
    let (in_hand, _) = taken(&outbox);
    outbox.detach(in_hand);
    let mut mixed = mixed_envelope();
    mixed.set_log_seq(2);
    let run = Delivery { count: 3, ..delivery(&mixed, 0, true) };
    outbox.push(run.clone());
    assert_eq!(taken(&outbox).0.len(), 0, "nobody is there to have QoS 0");
    outbox.attach();
    outbox.push(run);
    let (deliveries, source) = taken(&outbox);
    assert_eq!(source, Source::Log { from: 1, through: 2 });
    let places: Vec<(u32, u32, bool)> =
        deliveries.iter().map(|it| (it.first, it.count, it.acknowledged)).collect();
    assert_eq!(places, [(0, 1, false), (2, 1, false)]);
}

/// Of QoS 0, 1 and 0.
fn mixed_envelope() -> Envelope {
    let mut builder = EnvelopeBuilder::default();
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::AtMostOnce] {
        builder.push("t", b"x", &[], Marks { qos, retain: false, interest: Interest::default() });
    }
    let first_id = EventId::from_u128(1);
    builder.seal(&Origin { publisher: SERVER, client_id: "", user: None, hops: 0, first_id })
}
