//! The values of `store.durability` over kills: none of them loses what was acknowledged. docs/DURABILITY.md

use pointsman_tests::wire::{self, Connect};
use pointsman_tests::{Endpoints, Raw, ServerProcess};
use tokio::task::JoinSet;

/// Publishers at a time.
const PUBLISHERS: usize = 8;
/// Messages of each before a kill.
const MESSAGES: usize = 20;
/// Kills.
const ROUNDS: usize = 3;

/// A client whose session outlives its connections.
fn lasting() -> Connect {
    Connect { clean: false, ..Connect::new(wire::V311, "keeper") }
}

/// The server is killed in the moment in which the last of some messages is acknowledged.
async fn survives_kills(durability: &str) {
    let config = format!("[store]\ndurability = \"{durability}\"\n");
    let mut server = ServerProcess::start_with(env!("CARGO_BIN_EXE_server"), &config).await;
    let mut keeper = server.raw().await.join(&lasting()).await;
    keeper.subscribe(&[("kept/#", 2)]).await;
    keeper.leave().await;
    for round in 0..ROUNDS {
        let mut publishers = JoinSet::new();
        for publisher in 0..PUBLISHERS {
            publishers.spawn(publish(Endpoints::clone(&server), round, publisher));
        }
        while let Some(ended) = publishers.join_next().await {
            ended.expect("a publisher is answered");
        }
        assert!(!server.kill().await.stderr.contains("panicked"));
        server.run().await;
    }
    let mut keeper = server.raw().await;
    assert!(keeper.connect(&lasting()).await.session_present);
    let mut next = [[0; PUBLISHERS]; 3];
    for _ in 0..ROUNDS * PUBLISHERS * MESSAGES {
        let came = keeper.receive().await;
        let mut numbers = came.text().split(' ').map(|it| it.parse::<usize>().expect("a number"));
        let (publisher, number) = (numbers.next().expect("who"), numbers.next().expect("which"));
        // Each once, in the order of its publisher at its level.
        let expected = &mut next[usize::from(came.qos)][publisher];
        assert_eq!(number / 2, *expected, "of {publisher} at QoS {}", came.qos);
        *expected += 1;
    }
    keeper.ping().await;
    keeper.leave().await;
}

/// Publishes at QoS 1 and 2 in turn, and is answered each time.
async fn publish(server: Endpoints, round: usize, publisher: usize) {
    let client_id = format!("publisher-{publisher}");
    let mut client: Raw = server.raw().await.join(&Connect::new(wire::V311, &client_id)).await;
    for number in round * MESSAGES..(round + 1) * MESSAGES {
        let qos = if number.is_multiple_of(2) { 1 } else { 2 };
        let topic = format!("kept/{publisher}");
        assert_eq!(client.deliver(qos, &topic, &format!("{publisher} {number}"), &[]).await, 0);
    }
}

#[tokio::test]
async fn every_write_loses_nothing_when_the_server_is_killed() {
    survives_kills("every-write").await;
}

#[tokio::test]
async fn interval_loses_nothing_when_the_server_is_killed() {
    survives_kills("interval").await;
}

#[tokio::test]
async fn a_durability_that_there_is_not_is_refused_with_those_that_there_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pointsman.toml");
    std::fs::write(&file, "[store]\ndurability = \"never\"\n").expect("the file is written");
    let arguments = ["config", "check", "--config", "pointsman.toml"];
    let output = pointsman_tests::run_server(env!("CARGO_BIN_EXE_server"), &arguments, folder.path()).await;
    assert!(!output.status.success());
    let said = format!("{}{}", output.stderr, output.stdout);
    assert!(["durability", "every-write", "group", "interval"].iter().all(|it| said.contains(it)), "{said}");
}
