//! `rumqttc`: what its own event loop makes of a server that goes away.
//!
//! As a receiver it hands a message of QoS 2 out with PUBLISH and forgets packet ids when its connection ends, so that
//! exactly once is asked of the server where a publisher of its is cut off, not where a subscriber is.

mod peer;

use std::collections::BTreeSet;

use pointsman_tests::{Endpoints, Proxy, QoS, ServerProcess, Transport, Version};

use peer::{Peer, Session};

const LEVELS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
/// Messages of the publisher that loses its connection, at each level.
const FLOOD: usize = 300;

#[tokio::test]
async fn rumqttc_speaks_3_1_1() {
    run(Version::V311).await;
}

#[tokio::test]
async fn rumqttc_speaks_5() {
    run(Version::V5).await;
}

async fn run(version: Version) {
    let mut server = ServerProcess::start(env!("CARGO_BIN_EXE_server")).await;
    every_level_over_every_transport(&server, version).await;
    retained_messages_are_kept_and_cleared(&server, version).await;
    a_will_follows_an_abrupt_end(&server, version).await;
    a_session_keeps_what_its_client_missed(&server, version).await;
    a_publisher_that_is_cut_off_is_heard_once(&server, version).await;
    if version == Version::V5 {
        a_group_shares_its_messages(&server).await;
    }
    a_server_killed_in_mid_flow_loses_nothing(&mut server, version).await;
}

async fn every_level_over_every_transport(server: &ServerProcess, version: Version) {
    for way in Transport::ALL {
        let mut subscriber = Peer::open(server.client("subscriber").over(way), version, Session::Clean).await;
        let mut publisher = Peer::open(server.client("publisher").over(way), version, Session::Clean).await;
        subscriber.subscribe("levels/#", QoS::ExactlyOnce).await;
        let mut seen = BTreeSet::new();
        for qos in LEVELS {
            publisher.publish(&format!("levels/{}", qos as u8), qos, "x").await;
            let message = subscriber.next().await;
            seen.insert((message.topic, message.qos));
        }
        let wanted: BTreeSet<_> =
            LEVELS.map(|qos| (format!("levels/{}", qos as u8), qos as u8)).into_iter().collect();
        assert_eq!(seen, wanted, "{way:?}");
        subscriber.close().await;
        publisher.close().await;
    }
}

async fn retained_messages_are_kept_and_cleared(server: &ServerProcess, version: Version) {
    let mut keeper = Peer::open(server.client("keeper"), version, Session::Clean).await;
    for qos in LEVELS {
        keeper.retain(&format!("kept/{}", qos as u8), qos, "x").await;
    }
    let mut late = Peer::open(server.client("late"), version, Session::Clean).await;
    late.subscribe("kept/+", QoS::ExactlyOnce).await;
    for _ in LEVELS {
        assert!(late.next().await.retain, "it is told that the message is an old one");
    }
    for qos in LEVELS {
        keeper.retain(&format!("kept/{}", qos as u8), qos, "").await;
    }
    let mut last = Peer::open(server.client("last"), version, Session::Clean).await;
    last.subscribe("kept/+", QoS::ExactlyOnce).await;
    keeper.publish("kept/end", QoS::AtLeastOnce, "end").await;
    assert_eq!(last.next().await.topic, "kept/end");
}

async fn a_will_follows_an_abrupt_end(server: &ServerProcess, version: Version) {
    let mut mourner = Peer::open(server.client("mourner"), version, Session::Clean).await;
    mourner.subscribe("wills/#", QoS::ExactlyOnce).await;
    let mortal = server.client("mortal").will("wills/mortal", "gone");
    drop(Peer::open(mortal, version, Session::Clean).await);
    assert_eq!(mourner.next().await.text(), "gone");
}

async fn a_session_keeps_what_its_client_missed(server: &ServerProcess, version: Version) {
    let sleeper = |session| Peer::open(server.client("sleeper"), version, session);
    let mut first = sleeper(Session::Lasting).await;
    assert!(!first.session_present);
    first.subscribe("missed", QoS::ExactlyOnce).await;
    first.close().await;
    let mut waker = Peer::open(server.client("waker"), version, Session::Clean).await;
    for number in 0..20 {
        waker.publish("missed", LEVELS[1 + number % 2], &number.to_string()).await;
    }
    let mut second = sleeper(Session::Lasting).await;
    assert!(second.session_present);
    for number in 0..20 {
        let message = second.next().await;
        assert_eq!((message.text(), usize::from(message.qos)), (&*number.to_string(), 1 + number % 2));
    }
    second.close().await;
    assert!(!sleeper(Session::Clean).await.session_present);
}

async fn a_publisher_that_is_cut_off_is_heard_once(server: &ServerProcess, version: Version) {
    let proxy = Proxy::to(server.mqtt).await;
    let mut subscriber = Peer::open(server.client("listener"), version, Session::Clean).await;
    subscriber.subscribe("cut/#", QoS::AtLeastOnce).await;
    let way = Endpoints { mqtt: proxy.address(), ..Endpoints::clone(server) };
    let mut publisher = Peer::open(way.client("cut-off"), version, Session::Lasting).await;
    for number in 0..FLOOD {
        publisher.start_publishing("cut/1", QoS::AtLeastOnce, &number.to_string()).await;
        publisher.start_publishing("cut/2", QoS::ExactlyOnce, &number.to_string()).await;
        if number % 100 == 50 {
            proxy.cut();
        }
    }
    publisher.finish_publishing(2 * FLOOD).await;
    publisher.publish("cut/1", QoS::AtLeastOnce, "end").await;
    publisher.publish("cut/2", QoS::ExactlyOnce, "end").await;
    let [least, mut once] = subscriber.numbers(["cut/1", "cut/2"]).await;
    let wanted: BTreeSet<usize> = (0..FLOOD).collect();
    assert_eq!(BTreeSet::from_iter(least), wanted, "QoS 1: each at least once");
    once.sort_unstable();
    assert_eq!(once, Vec::from_iter(wanted), "QoS 2: each exactly once");
}

async fn a_server_killed_in_mid_flow_loses_nothing(server: &mut ServerProcess, version: Version) {
    let mut subscriber = Peer::open(server.client("lasting"), version, Session::Lasting).await;
    subscriber.subscribe("restart/#", QoS::AtLeastOnce).await;
    let mut publisher = Peer::open(server.client("stubborn"), version, Session::Lasting).await;
    for number in 0..FLOOD {
        publisher.start_publishing("restart/1", QoS::AtLeastOnce, &number.to_string()).await;
        publisher.start_publishing("restart/2", QoS::ExactlyOnce, &number.to_string()).await;
        if number == FLOOD / 2 {
            server.kill().await;
            server.run().await;
        }
    }
    publisher.finish_publishing(2 * FLOOD).await;
    publisher.publish("restart/1", QoS::AtLeastOnce, "end").await;
    publisher.publish("restart/2", QoS::ExactlyOnce, "end").await;
    for seen in subscriber.numbers(["restart/1", "restart/2"]).await {
        assert_eq!(BTreeSet::from_iter(seen), (0..FLOOD).collect(), "each at least once");
    }
}

async fn a_group_shares_its_messages(server: &ServerProcess) {
    let mut members = Vec::new();
    for id in ["member-1", "member-2"] {
        let mut member = Peer::open(server.client(id), Version::V5, Session::Clean).await;
        member.subscribe("$share/group/work", QoS::ExactlyOnce).await;
        members.push(member);
    }
    let mut foreman = Peer::open(server.client("foreman"), Version::V5, Session::Clean).await;
    for number in 0..40 {
        foreman.publish("work", QoS::ExactlyOnce, &number.to_string()).await;
    }
    let mut seen: Vec<usize> = Vec::new();
    let [first, second] = &mut members[..] else { unreachable!("there are two") };
    let mut shares = [0, 0];
    while seen.len() < 40 {
        let (member, message) = tokio::select! {
            message = first.next() => (0, message),
            message = second.next() => (1, message),
        };
        shares[member] += 1;
        seen.push(message.text().parse().expect("a number"));
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..40).collect::<Vec<_>>(), "each message went to one member");
    assert!(shares.iter().all(|share| *share > 0), "each member has a share: {shares:?}");
}
