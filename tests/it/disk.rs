//! A full disk: publishers are told, or not answered; nothing acknowledged is lost; and it goes on when there is room.

use pointsman_tests::wire::{self, Connect, kind};
use pointsman_tests::{DiskFull, Endpoints, PATIENCE, Raw, ServerProcess, eventually};

const QUOTA_EXCEEDED: u8 = 0x97;

/// A client whose session outlives its connections.
fn lasting(client_id: &str) -> Connect {
    Connect { clean: false, ..Connect::new(wire::V311, client_id) }
}

async fn join(server: &Endpoints, level: u8, client_id: &str) -> Raw {
    server.raw().await.join(&Connect::new(level, client_id)).await
}

/// A server with a client that is away and wants all under `kept/`.
async fn start() -> ServerProcess {
    let server = ServerProcess::start(env!("CARGO_BIN_EXE_server")).await;
    let mut keeper = server.raw().await.join(&lasting("keeper")).await;
    keeper.subscribe(&[("kept/#", 2)]).await;
    keeper.leave().await;
    server
}

/// Publishes until that is taken, which says that there is room again.
async fn taken_again(publisher: &mut Raw) {
    eventually("the disk takes messages again", async || {
        match publisher.deliver(1, "kept/again", "room", &[]).await {
            0 => Ok(()),
            reason => Err(format!("{reason:#04x}")),
        }
    })
    .await;
}

/// What the client that was away is sent, up to the message that says that this is all.
async fn kept(server: &Endpoints) -> Vec<String> {
    let mut keeper = server.raw().await;
    assert!(keeper.connect(&lasting("keeper")).await.session_present);
    let mut kept = Vec::new();
    while kept.last().is_none_or(|last| last != "all") {
        kept.push(keeper.receive().await.text().to_owned());
    }
    keeper.leave().await;
    kept
}

#[tokio::test]
async fn a_publisher_of_mqtt_5_is_told_and_may_go_on() {
    let mut server = start().await;
    let mut publisher = join(&server, wire::V5, "publisher").await;
    assert_eq!(publisher.deliver(1, "kept/a", "before", &[]).await, 0);
    server.fill_disk(DiskFull::Yes).await;
    assert_eq!(publisher.deliver(1, "kept/a", "refused", &[]).await, QUOTA_EXCEEDED);
    assert_eq!(publisher.deliver(2, "kept/a", "refused too", &[]).await, QUOTA_EXCEEDED);
    assert_eq!(publisher.deliver_flagged(3, "kept/a", "refused as well", &[]).await, QUOTA_EXCEEDED);
    publisher.ping().await;
    server.fill_disk(DiskFull::No).await;
    taken_again(&mut publisher).await;
    // The packet id that was refused stands for a new message.
    assert_eq!(publisher.deliver(2, "kept/a", "after", &[]).await, 0);
    assert_eq!(publisher.deliver(1, "kept/a", "all", &[]).await, 0);
    assert!(!server.kill().await.stderr.contains("panicked"));
    server.run().await;
    assert_eq!(kept(&server).await, ["before", "room", "after", "all"]);
}

#[tokio::test]
async fn a_publisher_before_mqtt_5_is_not_answered_and_sends_again() {
    let mut server = start().await;
    let publish = |text: &str| {
        let topic = b"kept/a";
        wire::Publish { flags: 4, topic, packet_id: 9, properties: None, payload: text.as_bytes() }.packet()
    };
    let mut publisher = server.raw().await.join(&lasting("publisher")).await;
    assert_eq!(publisher.deliver(2, "kept/a", "before", &[]).await, 0);
    server.fill_disk(DiskFull::Yes).await;
    publisher.send(&publish("while it is full")).await;
    publisher.expect_end().await;
    server.fill_disk(DiskFull::No).await;
    let deadline = std::time::Instant::now() + PATIENCE;
    let mut publisher = loop {
        assert!(std::time::Instant::now() < deadline, "the disk takes messages again");
        let mut again = server.raw().await;
        let connack = again.connect(&lasting("publisher")).await;
        if connack.code != 0 {
            continue;
        }
        assert!(connack.session_present);
        again.send(&publish("while it is full")).await;
        match again.next().await {
            Some(packet) if packet.kind() == kind::PUBREC => break again,
            Some(packet) => panic!("PUBREC was expected: {packet:?}"),
            None => {}
        }
    };
    publisher.send(&wire::pubrel(9)).await;
    publisher.expect(kind::PUBCOMP).await;
    assert_eq!(publisher.deliver(1, "kept/a", "all", &[]).await, 0);
    assert!(!server.kill().await.stderr.contains("panicked"));
    server.run().await;
    assert_eq!(kept(&server).await, ["before", "while it is full", "all"]);
}

#[tokio::test]
async fn what_nobody_wants_kept_flows_on() {
    let server = start().await;
    let mut listener = join(&server, wire::V5, "listener").await;
    listener.subscribe(&[("calm", 2)]).await;
    let mut publisher = join(&server, wire::V5, "publisher").await;
    server.fill_disk(DiskFull::Yes).await;
    assert_eq!(publisher.deliver(1, "kept/a", "refused", &[]).await, QUOTA_EXCEEDED);
    for qos in 0..3 {
        assert_eq!(publisher.deliver(qos, "calm", "on", &[]).await, 0);
        assert_eq!(listener.receive().await.text(), "on");
    }
    // Who connects is let in, but for a session that is to be kept.
    let mut bystander = join(&server, wire::V311, "bystander").await;
    bystander.ping().await;
    assert_eq!(server.raw().await.connect(&lasting("late")).await.code, 3, "the server is unavailable");
}
