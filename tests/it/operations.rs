//! Operating a server that runs: reloading, draining, signals, and what systemd gives and is told.

use std::process::Stdio;

use pointsman_tests::wire::{self, Connect, kind};
use pointsman_tests::{QoS, ServerProcess, TestServer, Transport, eventually, within};

const SERVER: &str = env!("CARGO_BIN_EXE_server");
const SERVER_SHUTTING_DOWN: u8 = 0x8B;

/// Waits until the server has written that to standard error.
async fn said(server: &ServerProcess, words: &str) {
    eventually(&format!("the server says {words:?}"), async || {
        let stderr = server.stderr();
        if stderr.contains(words) { Ok(()) } else { Err(stderr) }
    })
    .await;
}

#[tokio::test]
async fn certificates_are_replaced_without_dropping_a_client() {
    let other = TestServer::start().await;
    let mut server = TestServer::start().await;
    let mut client = server.wss("client").await;
    client.subscribe("a", QoS::AtLeastOnce).await;
    let own_authority = server.http().get("/ca.crt").await.body;
    let tls = other.config().data.directory.join("tls");
    let changed = server.reload(|config| {
        config.tls.certificate = Some(tls.join("server.crt"));
        config.tls.key = Some(tls.join("server.key"));
    });
    assert_eq!(changed.await.expect("they go together"), [""; 0]);
    client.publish("a", "still here").await;
    assert_eq!(client.recv().await.text(), "still here");
    let other_authority = other.http().get("/ca.crt").await.body;
    server.handshake_as("localhost", &other_authority).await.expect("the new certificate is shown");
    assert!(server.handshake_as("localhost", &own_authority).await.is_err(), "the old one is not");
    assert_eq!(server.http().get("/ca.crt").await.status, 404, "there is nothing to trust by hand");
    // A key of another certificate changes nothing.
    let mismatched = server.reload(|config| config.tls.key = Some(tls.join("ca.key"))).await;
    let error = mismatched.expect_err("they do not go together").to_string();
    assert!(error.contains("server.crt") && error.contains("ca.key"), "{error}");
    server.handshake_as("localhost", &other_authority).await.expect("all is as it was");
}

#[tokio::test]
async fn a_policy_applies_to_all_at_once() {
    let mut server = TestServer::start().await;
    let mut listener = server.mqtt("listener").await;
    listener.subscribe("news/#", QoS::AtLeastOnce).await;
    let mut writer = server.raw().await.join(&Connect::new(wire::V5, "writer")).await;
    writer.publish_with(2, "news/a", "before", &[]).await;
    assert_eq!(writer.expect(kind::PUBACK).await.body[2..], [] as [u8; 0]);
    assert_eq!(listener.recv().await.text(), "before");
    let policy = server.directory().join("strict.json");
    let text = r#"{ "Statement": [
        { "Effect": "Allow", "Action": ["connect", "publish", "subscribe", "receive"], "Resource": "*" },
        { "Effect": "Deny", "Action": "publish", "Resource": "news/a" },
        { "Effect": "Deny", "Action": "receive", "Resource": "news/b" } ] }"#;
    std::fs::write(&policy, text).expect("the policy is written");
    server.reload(|config| config.auth.guest_policy = Some(policy.clone())).await.expect("a policy");
    writer.publish_with(2, "news/a", "denied", &[]).await;
    assert_eq!(writer.expect(kind::PUBACK).await.body[2], 0x87, "who is connected is bound by it, too");
    writer.publish_with(2, "news/b", "unheard", &[]).await;
    writer.expect(kind::PUBACK).await;
    writer.publish_with(2, "news/c", "heard", &[]).await;
    assert_eq!(listener.recv().await.text(), "heard");
    std::fs::write(&policy, "{").expect("the policy is written");
    let broken = server.reload(|config| config.auth.guests = false).await;
    assert!(broken.expect_err("no policy").to_string().contains("strict.json"));
    server.mqtt("guest").await.disconnect().await;
    std::fs::write(&policy, text).expect("the policy is written");
    server.reload(|config| config.auth.guests = false).await.expect("a policy");
    assert!(server.client("guest").try_connect().await.is_err(), "guests are let in no more");
    writer.publish_with(2, "news/c", "connected before", &[]).await;
    assert_eq!(listener.recv().await.text(), "connected before");
}

#[tokio::test]
async fn what_takes_a_restart_is_named_and_the_rest_applies() {
    let mut server = TestServer::start().await;
    let waiting = server.reload(|config| {
        config.listen.mqtt.clear();
        config.limits.connections_max = 1;
        config.rules.effects_max = 7;
    });
    assert_eq!(waiting.await.expect("a good configuration"), ["listen.mqtt", "rules"]);
    let mut first = server.mqtt("first").await;
    server.silent(Transport::Tcp).await.expect_end().await;
    first.publish("a", "b").await;
}

#[tokio::test]
async fn a_hangup_reads_the_file_anew_and_a_bad_one_changes_nothing() {
    let mut server = ServerProcess::start_with(SERVER, "[log]\nfilter = \"info\"\n").await;
    let mut client = server.mqtt("client").await;
    server.edit_config("[listen]\n", "[listen]\norigins = [\"nowhere\"]\n");
    server.signal("HUP").await;
    said(&server, "nothing is changed").await;
    for words in ["pointsman.toml", "line 2", "nowhere", "https://example.org"] {
        said(&server, words).await;
    }
    server.edit_config("[\"nowhere\"]", "[\"https://app.example\"]");
    server.edit_config("[rules]\n", "[store]\ncache_mib = 33\n[rules]\n");
    server.edit_config("filter = \"info\"", "filter = \"debug\"");
    server.signal("HUP").await;
    said(&server, "store changed: restart to apply").await;
    said(&server, "read anew").await;
    let headers = [("Sec-WebSocket-Protocol", "mqtt"), ("Origin", "https://app.example")];
    let head = server.frames(Transport::Ws).await.handshake("/mqtt", &headers).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    server.frames(Transport::Ws).await.handshake("/mqtt", &[("Origin", "https://evil.example")]).await;
    // That is logged at debug.
    said(&server, "listen.origins does not list").await;
    client.publish("a", "b").await;
    let ended = server.terminate().await;
    assert!(ended.status.success(), "{ended:?}");
}

#[tokio::test]
async fn a_server_that_ends_tells_its_clients_why_and_exits_well() {
    for signal in ["TERM", "INT"] {
        let mut server = ServerProcess::start(SERVER).await;
        let mut clients = Vec::new();
        for transport in Transport::ALL {
            let raw = server.raw_over(transport).await;
            clients.push(raw.join(&Connect::new(wire::V5, &format!("{transport:?}"))).await);
        }
        let mut old = server.raw().await.join(&Connect::new(wire::V311, "old")).await;
        // What was read before the end is acknowledged before it.
        clients[0].publish_with(2, "a", "b", &[]).await;
        clients[0].expect(kind::PUBACK).await;
        server.signal(signal).await;
        for client in &mut clients {
            assert_eq!(client.expect(kind::DISCONNECT).await.reason(), SERVER_SHUTTING_DOWN);
            client.expect_end().await;
        }
        old.expect_end().await;
        let ended = server.finish().await;
        assert!(ended.status.success(), "{ended:?}");
        assert!(ended.stdout.contains("stopping"), "{ended:?}");
    }
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let mut server = ServerProcess::start(SERVER).await;
    // One that does not read keeps it for a moment.
    let mut stuck = server.raw().await.join(&Connect::new(wire::V5, "stuck")).await;
    stuck.subscribe(&[("flood", 0)]).await;
    let mut publisher = server.mqtt("publisher").await;
    eventually("messages to the client that does not read are dropped", async || {
        for _ in 0..50 {
            publisher.publish("flood", "x".repeat(50_000)).await;
        }
        let dropped = server.status().await["dropped"].as_u64().unwrap_or(0);
        if dropped > 0 { Ok(()) } else { Err("none is dropped") }
    })
    .await;
    server.signal("TERM").await;
    eventually("the end begins", async || {
        if server.stdout().contains("stopping") { Ok(()) } else { Err(server.stdout()) }
    })
    .await;
    server.signal("TERM").await;
    let ended = server.finish().await;
    assert!(!ended.status.success(), "{ended:?}");
    assert!(ended.stderr.contains("ended at once"), "{ended:?}");
    server.run().await;
    server.mqtt("after").await.publish("a", "b").await;
}

#[tokio::test]
async fn a_process_without_file_descriptors_says_so_once_and_recovers() {
    let server = ServerProcess::start_by(SERVER, "ulimit -n 100;", Stdio::null(), "").await;
    let mut silent = Vec::new();
    for _ in 0..120 {
        silent.push(server.silent(Transport::Tcp).await);
    }
    said(&server, "cannot accept connections").await;
    drop(silent);
    eventually("connections are accepted again, and that is said", async || {
        server.client("after").try_connect().await?;
        if server.stderr().contains("accepted again") { Ok(()) } else { Err("not said".to_owned()) }
    })
    .await;
    assert_eq!(server.stderr().matches("cannot accept connections").count(), 1, "{}", server.stderr());
}

#[tokio::test]
async fn systemd_is_told_of_each_state() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify");
    let socket = tokio::net::UnixDatagram::bind(&path).expect("a socket");
    let prelude = format!("export NOTIFY_SOCKET={} WATCHDOG_USEC=200000 WATCHDOG_PID=$$;", path.display());
    let mut server = ServerProcess::start_by(SERVER, &prelude, Stdio::null(), "").await;
    let mut buffer = [0; 256];
    let mut next = async || {
        let length = within("word from the server", socket.recv(&mut buffer)).await.expect("it can be read");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    assert_eq!(next().await, "READY=1");
    assert_eq!(next().await, "WATCHDOG=1");
    assert_eq!(next().await, "WATCHDOG=1");
    server.signal("HUP").await;
    let mut states = Vec::new();
    while states.len() < 2 {
        states.extend(Some(next().await).filter(|state| state != "WATCHDOG=1"));
    }
    assert_eq!(states, ["RELOADING=1", "READY=1"]);
    server.terminate().await;
    while next().await != "STOPPING=1" {}
}

#[tokio::test]
async fn sockets_that_were_handed_over_are_listened_on() {
    let handed = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = handed.local_addr().expect("it is bound");
    let prelude = "exec 3<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=mqtt;";
    let stdin = Stdio::from(std::os::fd::OwnedFd::from(handed));
    let server = ServerProcess::start_by(SERVER, prelude, stdin, "").await;
    let mut endpoints = (*server).clone();
    endpoints.mqtt = address;
    endpoints.mqtt("through-the-handed-over").await.publish("a", "b").await;
    endpoints.ws("through-a-configured-one").await.publish("a", "b").await;
    assert!(tokio::net::TcpStream::connect(server.mqtt).await.is_err(), "the handed over takes its place");
}

#[tokio::test]
async fn a_unix_socket_is_served_and_cleared_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mqtt.sock");
    // As a server that was killed leaves it behind.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket"));
    let mut server =
        TestServer::builder().config(|config| config.listen.mqtt_unix = vec![path.clone()]).start().await;
    let mut watcher = server.mqtt("watcher").await;
    watcher.subscribe("$aws/events/presence/connected/local", QoS::AtLeastOnce).await;
    for level in [3, wire::V311, wire::V5] {
        let raw = server.raw_unix(&path).await.expect("it listens");
        raw.join(&Connect::new(level, "local")).await.ping().await;
        let event = watcher.recv_on("$aws/events/presence/connected/local").await.json();
        assert_eq!(event["ipAddress"], "127.0.0.1");
    }
    let config = server.config().clone();
    let second = TestServer::builder().config(|it| it.listen.mqtt_unix = config.listen.mqtt_unix).try_start();
    let error = second.await.err().expect("it is in use");
    let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    assert!(
        error.to_string().contains("mqtt.sock") && cause.contains("listens on it already"),
        "{error}: {cause}"
    );
    server.stop().await;
    assert!(!path.exists(), "a server that ends in order takes it away");
}
