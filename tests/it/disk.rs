//! A full disk: publishers are told, or not answered; nothing acknowledged is lost; and it goes on when there is room.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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

/// Gives the data folder a file system of its own, where that is permitted, and leaves it as it is elsewhere.
const SMALL_DISK: &str = "data=$(dirname \"$3\")/data; mkdir -p \"$data\"; \
    mountpoint -q \"$data\" || mount -t tmpfs -o size=24m tmpfs \"$data\" 2>/dev/null;";

/// Takes the file system away again, whatever becomes of the case.
struct Mounted(PathBuf);

impl Mounted {
    /// `None` if the folder has none of its own.
    fn at(folder: &Path) -> Option<Mounted> {
        let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
        let is_it = |line: &str| line.split(' ').nth(1).is_some_and(|at| Path::new(at) == folder);
        mounts.lines().any(is_it).then(|| Mounted(folder.to_owned()))
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Leaves no room.
    fn fill(&self) {
        let mut filler = File::create(self.filler()).expect("there is room for a file");
        let large = vec![0; 65_536];
        for chunk in [&large[..], &[0; 512]] {
            while filler.write_all(chunk).is_ok() {}
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.filler()).expect("the file is there");
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_file_system_without_room_loses_nothing_that_was_acknowledged() {
    let config = "[store]\nsegment_mib = 1\n";
    let program = env!("CARGO_BIN_EXE_server");
    let mut server = ServerProcess::start_by(program, SMALL_DISK, Stdio::null(), config).await;
    let Some(disk) = Mounted::at(&server.directory().join("data")) else {
        println!(
            "no file system can be mounted here: the cases with a limit of the process stand for this one"
        );
        return;
    };
    let mut keeper = server.raw().await.join(&lasting("keeper")).await;
    keeper.subscribe(&[("kept/#", 2)]).await;
    keeper.leave().await;
    let mut expected = Vec::new();
    for fall in 0..3 {
        let mut publisher = join(&server, wire::V5, "publisher").await;
        disk.fill();
        // What was begun of a block can still be written to its end.
        for number in 0.. {
            assert!(number < 20, "a full disk takes {number} messages");
            let text = format!("{fall} {number} {}", "x".repeat(8_000));
            match publisher.deliver(1 + number % 2, "kept/a", &text, &[]).await {
                0 => expected.push(text),
                QUOTA_EXCEEDED => break,
                reason => panic!("{reason:#04x}"),
            }
        }
        if fall == 1 {
            assert!(!server.kill().await.stderr.contains("panicked"));
            disk.make_room();
            server.run().await;
            publisher = join(&server, wire::V5, "publisher").await;
        } else {
            disk.make_room();
        }
        taken_again(&mut publisher).await;
        expected.push("room".to_owned());
        publisher.leave().await;
    }
    let mut publisher = join(&server, wire::V5, "publisher").await;
    assert_eq!(publisher.deliver(1, "kept/a", "all", &[]).await, 0);
    expected.push("all".to_owned());
    assert!(!server.kill().await.stderr.contains("panicked"));
    server.run().await;
    assert_eq!(kept(&server).await, expected);
}

#[tokio::test]
async fn rules_take_up_what_they_could_not_keep() {
    const MESSAGES: usize = 60;
    let config = "run_time_max_ms = 10000\noperations_max = 10000000\n";
    let server = ServerProcess::start_with(env!("CARGO_BIN_EXE_server"), config).await;
    let rule = r#"
        on_message("work", "work"); on_message("ask", "ask");
        fn work(msg) { let n = 0; while n < 30000 { n += 1; } table("count").add("all", "", "n", 1); }
        fn ask(msg) { publish("told", table("count").get("all")?.n ?? 0, #{ qos: 1 }); }
    "#;
    server.add_rule("slow", rule).await;
    let mut publisher = join(&server, wire::V5, "publisher").await;
    for number in 0..MESSAGES {
        assert_eq!(publisher.deliver(1, "work", &number.to_string(), &[]).await, 0);
    }
    server.fill_disk(DiskFull::Yes).await;
    eventually("some of the work is put aside", async || {
        let parked = server.status().await["parkedEvents"].as_u64().unwrap_or_default();
        if parked > 0 { Ok(()) } else { Err("nothing".to_owned()) }
    })
    .await;
    server.fill_disk(DiskFull::No).await;
    let mut asker = server.mqtt("asker").await;
    asker.subscribe("told", pointsman_tests::QoS::AtLeastOnce).await;
    eventually("all of it is done, each once, without a restart", async || {
        // QoS 0, which no disk refuses.
        asker.send("ask", "").await;
        let told = asker.recv_on("told").await.text().to_owned();
        if told == MESSAGES.to_string() { Ok(()) } else { Err(told) }
    })
    .await;
}
