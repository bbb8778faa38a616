//! Ops and rows are read back as they were written.

use super::*;
use crate::mqtt::session::state::{Subscribed, Window};
use proptest::prelude::*;

fn place() -> impl Strategy<Value = Place> {
    (1_u64..1000, 0_u32..50).prop_map(|(seq, index)| Place { seq, index })
}

fn ids() -> impl Strategy<Value = Vec<u16>> {
    prop::collection::vec(1_u16..200, 0..5)
}

fn wanted() -> impl Strategy<Value = Subscription> {
    ("[a-c]{1,2}", 0_u8..48).prop_filter_map("QoS 3", |(filter, options)| subscription_of(&filter, options))
}

fn sent() -> impl Strategy<Value = Vec<Sent>> {
    let one = (1_u16..200, 1_u8..4, any::<bool>(), place()).prop_map(|(packet_id, stage, shared, place)| {
        let stage = Stage::from_u8(stage).unwrap();
        Sent { packet_id, stage, shared, place, kept: None }
    });
    prop::collection::vec(one, 0..6)
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        any::<u32>().prop_map(|expiry_seconds| Op::Attach { expiry_seconds }),
        (any::<u64>(), any::<u32>()).prop_map(|(at_ms, expiry_seconds)| Op::Detach { at_ms, expiry_seconds }),
        (wanted(), prop::option::of(1_u32..9)).prop_map(|(wanted, id)| Op::Subscribe { wanted, id }),
        "[a-c]{1,2}".prop_map(|filter| Op::Unsubscribe { filter }),
        sent().prop_map(Op::Sent),
        ids().prop_map(|ids| Op::Acked { ids }),
        ids().prop_map(|ids| Op::Taken { ids }),
        ids().prop_map(|ids| Op::Received { ids }),
        ids().prop_map(|ids| Op::Released { ids }),
        (place(), 1_u32..4).prop_map(|(place, count)| Op::Assigned(Assigned {
            place,
            count,
            qos: QoS::AtLeastOnce,
            subscription_id: None
        })),
    ]
}

/// All that a state is, to compare two by.
fn picture(state: &State) -> impl PartialEq + std::fmt::Debug + use<> {
    let window: Vec<_> = state.window.iter().collect();
    let subscriptions: Vec<Subscribed> = state.subscriptions.clone();
    let received: Vec<u16> = state.received.iter().copied().collect();
    let assigned: Vec<Assigned> = state.assigned.iter().copied().collect();
    let expiry = (state.expiry_seconds, state.detached_at_ms);
    (window, state.window.next_id(), subscriptions, received, assigned, state.position, expiry)
}

fn made_of(ops: &[Op]) -> State {
    let mut state = State::default();
    (1..).zip(ops).for_each(|(seq, op)| state.apply(op, seq));
    state
}

proptest! {
    #[test]
    fn ops_are_read_back_and_make_the_same_state(ops in prop::collection::vec(op(), 0..20)) {
        let mut bytes = Vec::new();
        write_ops(&mut bytes, "a client", &ops[..ops.len() / 2]);
        write_ops(&mut bytes, "a client", &ops[ops.len() / 2..]);
        let mut read = Vec::new();
        read_ops(bytes.into(), |client_id, op| {
            assert_eq!(client_id, "a client");
            read.push(op);
        }).unwrap();
        prop_assert_eq!(picture(&made_of(&read)), picture(&made_of(&ops)));
    }

    #[test]
    fn a_row_makes_the_same_state(ops in prop::collection::vec(op(), 0..20), owed in prop::option::of(1_u64..99)) {
        let (state, session_id) = (made_of(&ops), Uuid::random());
        let row = read_row(write_row(7, owed, session_id, &state).into()).unwrap();
        prop_assert_eq!((row.as_of, row.owed_from, row.session_id), (7, owed, session_id));
        prop_assert_eq!(picture(&row.state), picture(&state));
    }

    #[test]
    fn anything_is_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_ops(bytes.clone().into(), |_, op| State::default().apply(&op, 1));
        let _ = read_row(bytes.into());
    }
}

#[test]
fn a_kept_message_comes_back_with_its_packet_id() {
    let mut builder = crate::mqtt::EnvelopeBuilder::default();
    let interest = crate::mqtt::Interest::default();
    builder.push("t", b"x", &[], crate::mqtt::Marks { qos: QoS::ExactlyOnce, retain: true, interest });
    let first_id = pointsman_rules::EventId::from_u128(1);
    let origin = crate::mqtt::Origin { publisher: 1, client_id: "c", user: None, hops: 0, first_id };
    let kept = builder.seal(&origin);
    let sent =
        Sent { packet_id: 5, stage: Stage::Pubrec, shared: false, place: Place::NOWHERE, kept: Some(kept) };
    let state = made_of(&[Op::Sent(vec![sent])]);
    let row = read_row(write_row(1, None, Uuid::random(), &state).into()).unwrap();
    let message = row.state.window.kept(5).unwrap();
    assert_eq!((message.message(0).topic(), row.state.position), ("t", Place::default()));
    assert_eq!(Window::default().next_id(), 1);
}
