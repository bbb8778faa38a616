//! The model test: random scripts, and those that once found something.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::run::run;
use super::script::{CLIENTS, Message, Step, Wanted};
use super::wire::{self, Packet, Publish};
use super::world::{NEVER, World};

fn message() -> impl Strategy<Value = Message> {
    let retain = prop_oneof![4 => Just(false), 1 => Just(true)];
    (0..4_u8, 0..3_u8, retain, 0..8_u8).prop_map(|(topic, qos, retain, empty)| Message {
        topic,
        qos,
        retain,
        empty: retain && empty == 0,
    })
}

fn wanted() -> impl Strategy<Value = Wanted> {
    (0..10_u8, 0..3_u8, any::<bool>(), any::<bool>(), 0..3_u8).prop_map(
        |(filter, qos, no_local, as_published, handling)| Wanted {
            filter,
            qos,
            no_local,
            as_published,
            handling,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..u8::try_from(CLIENTS.len()).unwrap();
    let receive_max = prop_oneof![Just(1_u16), Just(2), Just(100)];
    let will = proptest::option::weighted(0.2, message());
    let clean = proptest::bool::weighted(0.25);
    prop_oneof![
        5 => (who.clone(), any::<bool>(), clean, 0..4_u8, receive_max, will).prop_map(
            |(who, v5, clean, expiry, receive_max, will)| Step::Connect { who, v5, clean, expiry, receive_max, will }
        ),
        6 => (who.clone(), prop::collection::vec(wanted(), 1..4), proptest::option::of(1..9_u32))
            .prop_map(|(who, filters, id)| Step::Subscribe { who, filters, id }),
        1 => (who.clone(), 0..10_u8).prop_map(|(who, filter)| Step::Unsubscribe { who, filter }),
        10 => (who.clone(), prop::collection::vec(message(), 1..7))
            .prop_map(|(who, messages)| Step::Publish { who, messages }),
        4 => (who.clone(), any::<u8>()).prop_map(|(who, which)| Step::Ack { who, which }),
        3 => (who.clone(), any::<bool>()).prop_map(|(who, backwards)| Step::AckAll { who, backwards }),
        1 => who.clone().prop_map(|who| Step::Repeat { who }),
        2 => who.clone().prop_map(|who| Step::Release { who }),
        1 => (who.clone(), any::<bool>(), any::<bool>()).prop_map(
            |(who, with_will, ends_session)| Step::Disconnect { who, with_will, ends_session }
        ),
        3 => who.prop_map(|who| Step::Cut { who }),
        1 => prop_oneof![Just(25_u8), Just(100)].prop_map(|seconds| Step::Advance { seconds }),
        1 => Just(Step::Keep),
        1 => Just(Step::Restart),
        1 => Just(Step::Kill),
        4 => Just(Step::Settle),
    ]
}

/// Runs a script.
fn check(steps: &[Step]) -> Result<(), TestCaseError> {
    super::runtime().block_on(run(steps)).map_err(TestCaseError::fail)
}

/// A line for each step.
fn lines(steps: &[Step]) -> String {
    let lines: Vec<String> = steps.iter().map(|step| format!("    Step::{step:?},\n")).collect();
    lines.concat()
}

#[test]
fn every_client_gets_what_it_is_to_get() {
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { Config::default().cases } else { 64 };
    let config = Config { cases, max_shrink_iters: 1500, failure_persistence: None, ..Config::default() };
    let scripts = prop::collection::vec(step(), 1..40);
    // The same scripts in every run of the suite; others when asked for a number of them.
    let mut runner = if std::env::var_os("PROPTEST_CASES").is_some() {
        TestRunner::new(config)
    } else {
        TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
    };
    match runner.run(&scripts, |steps| check(&steps)) {
        Ok(()) => {}
        Err(TestError::Fail(reason, steps)) => panic!("{reason}, after\n{}", lines(&steps)),
        Err(error) => panic!("{error}"),
    }
}

fn holds(steps: &[Step]) {
    if let Err(error) = super::runtime().block_on(run(steps)) {
        panic!("{error}");
    }
}

const fn wanted_at(filter: u8, qos: u8) -> Wanted {
    Wanted { filter, qos, no_local: false, as_published: false, handling: 0 }
}

const fn plain(topic: u8, qos: u8) -> Message {
    Message { topic, qos, retain: false, empty: false }
}

/// MQTT 5 with a session that stays.
fn connects(who: u8, receive_max: u16) -> Step {
    Step::Connect { who, v5: true, clean: false, expiry: 3, receive_max, will: None }
}

fn subscribes(who: u8, filters: &[Wanted]) -> Step {
    Step::Subscribe { who, filters: filters.to_vec(), id: Some(u32::from(who) + 1) }
}

#[test]
fn what_one_publishes_itself_comes_by_its_other_subscriptions_alone() {
    let no_local = Wanted { no_local: true, ..wanted_at(1, 2) };
    holds(&[
        connects(1, 10),
        subscribes(1, &[no_local]),
        Step::Subscribe { who: 1, filters: vec![wanted_at(2, 0)], id: None },
        Step::Publish { who: 1, messages: vec![plain(1, 1)] },
    ]);
}

#[test]
fn what_of_a_share_needs_no_acknowledgement_is_not_delivered_twice() {
    holds(&[
        connects(2, 1),
        subscribes(2, &[wanted_at(9, 1)]),
        Step::Publish { who: 2, messages: vec![plain(3, 1), plain(3, 0)] },
        Step::AckAll { who: 2, backwards: false },
        Step::Settle,
        Step::Cut { who: 2 },
        connects(2, 10),
    ]);
}

#[test]
fn what_waits_for_a_client_that_acknowledges_nothing_outlives_a_kill() {
    holds(&[
        connects(0, 1),
        subscribes(0, &[wanted_at(0, 1)]),
        connects(1, 10),
        Step::Publish { who: 1, messages: vec![plain(0, 1)] },
        Step::Settle,
        Step::Keep,
        Step::Publish { who: 1, messages: vec![plain(0, 1)] },
        Step::Settle,
        Step::Keep,
        Step::Settle,
        Step::Kill,
    ]);
}

#[test]
fn a_filter_that_comes_twice_in_one_packet_is_new_once() {
    let retained = Message { retain: true, ..plain(0, 0) };
    holds(&[
        connects(0, 10),
        Step::Publish { who: 0, messages: vec![retained] },
        subscribes(0, &[wanted_at(6, 0), Wanted { handling: 1, ..wanted_at(6, 0) }]),
    ]);
}

#[test]
fn what_is_sent_again_is_retained_as_it_was_before() {
    let as_published = Wanted { as_published: true, ..wanted_at(2, 1) };
    holds(&[
        connects(1, 1),
        subscribes(1, &[as_published]),
        Step::Publish { who: 1, messages: vec![Message { retain: true, ..plain(1, 1) }] },
        Step::Restart,
    ]);
}

#[test]
fn what_of_a_share_waits_for_its_member_is_retained_as_it_was_published() {
    let as_published = Wanted { as_published: true, ..wanted_at(7, 1) };
    holds(&[
        connects(0, 10),
        subscribes(0, &[as_published]),
        Step::Cut { who: 0 },
        connects(1, 10),
        Step::Publish { who: 1, messages: vec![Message { retain: true, ..plain(1, 1) }] },
        connects(0, 10),
        Step::Settle,
        Step::Cut { who: 0 },
    ]);
}

#[test]
fn what_goes_on_to_another_member_is_the_message_and_not_the_one_published_before_it() {
    let (qos_0, qos_1) = (plain(1, 0), plain(1, 1));
    // By the end of a session that ends with its connection, and of one that does not.
    for expiry in [0, 3] {
        let first = Step::Connect { who: 0, v5: true, clean: true, expiry, receive_max: 1, will: None };
        holds(&[
            first.clone(),
            connects(3, 10),
            subscribes(3, &[wanted_at(7, 1)]),
            subscribes(0, &[wanted_at(7, 1)]),
            Step::Publish { who: 0, messages: vec![qos_0, qos_1] },
            Step::Publish { who: 0, messages: vec![qos_0, qos_1] },
            Step::Settle,
            Step::Disconnect { who: 0, with_will: false, ends_session: true },
            Step::Restart,
        ]);
    }
}

#[test]
fn what_came_at_qos_0_does_not_come_again_for_a_subscription_at_a_higher_one() {
    holds(&[
        connects(0, 1),
        subscribes(0, &[wanted_at(5, 2), wanted_at(0, 0)]),
        connects(1, 10),
        Step::Publish { who: 1, messages: vec![plain(3, 2), plain(0, 2), plain(3, 2)] },
        Step::Settle,
        subscribes(0, &[wanted_at(0, 2)]),
        Step::Cut { who: 0 },
    ]);
}

#[test]
fn what_is_published_once_a_client_is_welcome_comes_at_qos_0_too() {
    let mut steps = vec![connects(0, 10), subscribes(0, &[wanted_at(0, 0)]), connects(1, 10)];
    for _ in 0..20 {
        steps.extend([connects(0, 10), Step::Publish { who: 1, messages: vec![plain(0, 0)] }]);
    }
    holds(&steps);
}

#[tokio::test]
async fn a_client_that_reads_no_answers_is_not_read_from() {
    const MORE_THAN_WAITS: usize = 16 << 20;
    let mut world = World::start();
    let mut stream = world.open();
    let connect = wire::Connect { client_id: "c", clean: true, ..wire::Connect::default() };
    stream.write_all(&wire::connect(&connect)).await.unwrap();
    let pings = wire::PING.repeat(32 * 1024);
    let mut written = 0;
    let patience = Duration::from_millis(500);
    while written < MORE_THAN_WAITS {
        match tokio::time::timeout(patience, stream.write_all(&pings)).await {
            Ok(taken) => taken.unwrap(),
            Err(_) => break,
        }
        written += pings.len();
    }
    assert!(written < MORE_THAN_WAITS, "the server takes everything and keeps the answers");
    // Once they are read, all goes on.
    let mut sink = vec![0; 4 << 20];
    let mut read = 0;
    while read < written {
        let more = tokio::time::timeout(NEVER, stream.read(&mut sink)).await;
        read += more.expect("there are answers").unwrap();
    }
    drop(stream);
    world.finish().await;
}

/// The next packet of MQTT 5.
pub(super) async fn next(stream: &mut DuplexStream, buffer: &mut Vec<u8>) -> Packet {
    loop {
        if let Some(packet) = wire::take(buffer, true) {
            return packet;
        }
        let read = tokio::time::timeout(NEVER, stream.read_buf(buffer)).await;
        assert!(read.expect("the server says something").unwrap() > 0, "the connection is at its end");
    }
}

#[tokio::test]
async fn what_is_retained_and_was_not_read_does_not_come_once_its_filter_is_gone() {
    let mut world = World::start();
    let (mut stream, mut buffer) = (world.open(), Vec::new());
    let connect =
        wire::Connect { client_id: "c", clean: true, v5: true, receive_max: 1, ..wire::Connect::default() };
    let mut script = wire::connect(&connect);
    for (topic, packet_id) in [("a", 1), ("a/b", 2), ("a/c", 3)] {
        let topic = topic.to_owned();
        let payload = b"x".to_vec();
        let publish = Publish { qos: 1, retain: true, topic, packet_id, payload, ..Publish::default() };
        script.extend(wire::publish(&publish, true));
    }
    // The window is full with the first, so that what the second finds is not read.
    script.extend(wire::subscribe(4, None, &[("#", 1)], true));
    script.extend(wire::subscribe(5, None, &[("a/#", 1)], true));
    script.extend(wire::unsubscribe(6, "a/#", true));
    stream.write_all(&script).await.unwrap();
    let (mut came, mut last) = (0, false);
    while !last {
        match next(&mut stream, &mut buffer).await {
            Packet::Publish(publish) => {
                came += 1;
                stream.write_all(&wire::ack(4, publish.packet_id)).await.unwrap();
                stream.write_all(&wire::PING).await.unwrap();
            }
            Packet::Pong => last = came == 3,
            _ => {}
        }
    }
    for _ in 0..5 {
        stream.write_all(&wire::PING).await.unwrap();
        assert_eq!(next(&mut stream, &mut buffer).await, Packet::Pong);
    }
    drop(stream);
    world.finish().await;
}
