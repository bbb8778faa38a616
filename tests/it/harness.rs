//! The harness itself: every kind of server and client that it offers works.

use pointsman_tests::{QoS, ServerProcess, TestServer, Transport, Version};

#[tokio::test]
async fn every_client_reaches_a_server_in_this_process_over_every_transport() {
    let server = TestServer::start().await;
    let mut listener = server.mqtt("listener").await;
    listener.subscribe("greetings/#", QoS::AtLeastOnce).await;
    for version in Version::ALL {
        for transport in Transport::ALL {
            let mut client = server.client("greeter").version(version).over(transport).connect().await;
            client.publish("greetings/hello", format!("{version:?} {transport:?}")).await;
            assert_eq!(listener.recv().await.text(), format!("{version:?} {transport:?}"));
            client.disconnect().await;
        }
    }
    listener.expect_silence().await;
}

#[tokio::test]
async fn a_server_keeps_its_ports_over_a_restart() {
    let mut server = TestServer::start().await;
    let password = server.admin_password().to_owned();
    assert!(!password.is_empty());
    server.restart().await;
    assert_eq!(server.started().admin_password, None, "the password is made once");
    let mut client = server.mqtt("again").await;
    client.subscribe("a", QoS::AtMostOnce).await;
    client.send("a", "b").await;
    assert_eq!(client.recv_on("a").await.text(), "b");
    server.stop().await;
}

#[tokio::test]
async fn a_server_process_can_be_killed_terminated_and_started_again() {
    let mut server = ServerProcess::start(env!("CARGO_BIN_EXE_server")).await;
    server.mqtt("first").await.publish("a", "b").await;
    let killed = server.kill().await;
    assert!(!killed.status.success());
    server.run().await;
    server.wss("second").await.publish("a", "b").await;
    let ended = server.terminate().await;
    assert!(ended.status.success(), "{ended:?}");
    assert!(ended.stdout.contains("stopping"), "{ended:?}");
}
