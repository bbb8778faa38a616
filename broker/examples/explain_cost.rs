//! What it costs to keep some messages so that they can be explained, by `rules.explain_sample`: CPU time of a server for each
//! message, from the socket of a publisher through the dispatcher to nobody, and to some sessions that are away.
//! `cargo run --release -p pointsman --example explain_cost`.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use pointsman::app::App;
use pointsman_config::Config;

/// The values that are measured, in turn.
const SAMPLES: [u64; 3] = [0, 1_000, 1];
/// The best of many rounds counts: what else runs on the machine does not disturb all of them.
const ROUNDS: usize = 31;
/// Messages of a round, each of 64 bytes, as many at a time as publishers that are in a hurry write.
const BLOCKS: usize = 5_000;
const MESSAGES_OF_BLOCK: usize = 100;
/// A second way to write is one message at a time, for which a round has fewer.
const SINGLES: usize = 20_000;

/// Sessions that outlive their connections and have none, so that nothing but the dispatcher works for them.
const SESSIONS: u8 = 10;
/// To nobody, and to those.
const UNWANTED: &[u8; 13] = b"bench/explain";
const WANTED: &[u8; 13] = b"bench/waiting";

const CONNECT: &[u8] = b"\x10\x11\x00\x04MQTT\x04\x02\x00\x00\x00\x05bench";
const PING: &[u8] = b"\xc0\x00";
const DISCONNECT: &[u8] = b"\xe0\x00";

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let folder = tempfile::tempdir()?;
    let (mut servers, mut publishers) = (Vec::new(), Vec::new());
    for one_of in SAMPLES {
        let mut config = Config::default();
        let any = "127.0.0.1:0".parse()?;
        let listen = &mut config.listen;
        (listen.mqtt, listen.mqtts, listen.http, listen.https) = (vec![any], vec![], vec![any], vec![]);
        config.data.directory = folder.path().join(format!("data-{one_of}"));
        config.rules.directory = folder.path().join("rules");
        config.rules.explain_sample = one_of;
        (config.limits.publish_messages_per_second, config.limits.publish_bytes_per_second) =
            (1 << 30, 1 << 40);
        fs::create_dir_all(&config.rules.directory)?;
        let server = runtime.block_on(App::start(&config))?;
        for number in 0..SESSIONS {
            leave_session(server.started().mqtt[0], number)?;
        }
        let mut publisher = TcpStream::connect(server.started().mqtt[0])?;
        publisher.set_nodelay(true)?;
        publisher.write_all(CONNECT)?;
        publisher.read_exact(&mut [0; 4])?;
        publishers.push(publisher);
        servers.push(server);
    }
    println!(
        "| explain_sample | {MESSAGES_OF_BLOCK} messages a write: ns a message, fastest (median) | one a write \
         | {MESSAGES_OF_BLOCK} a write, to {SESSIONS} sessions | one a write, to {SESSIONS} sessions |"
    );
    println!("|---|---|---|---|---|");
    let mut rows = SAMPLES.map(|one_of| (one_of, [const { Vec::new() }; 4]));
    for _ in 0..ROUNDS {
        for (publisher, (_, columns)) in publishers.iter_mut().zip(&mut rows) {
            let [blocks, singles, wanted_blocks, wanted_singles] = columns;
            blocks.push(round(publisher, UNWANTED, BLOCKS, MESSAGES_OF_BLOCK)?);
            singles.push(round(publisher, UNWANTED, SINGLES, 1)?);
            wanted_blocks.push(round(publisher, WANTED, BLOCKS, MESSAGES_OF_BLOCK)?);
            wanted_singles.push(round(publisher, WANTED, SINGLES, 1)?);
        }
    }
    for (one_of, columns) in &mut rows {
        let columns: Vec<String> = columns.iter_mut().map(|column| shown(column)).collect();
        println!("| {one_of} | {} |", columns.join(" | "));
    }
    drop(publishers);
    for server in servers {
        runtime.block_on(server.stop());
    }
    Ok(())
}

/// Leaves a session that subscribes at QoS 1, so that of what is published at QoS 0 nothing is kept for it.
fn leave_session(server: SocketAddr, number: u8) -> Result<(), Failure> {
    let mut client = TcpStream::connect(server)?;
    client.write_all(
        &[b"\x10\x0d\x00\x04MQTT\x04\x00\x00\x00\x00\x01".as_slice(), &[b'a' + number]].concat(),
    )?;
    client.read_exact(&mut [0; 4])?;
    client.write_all(&[b"\x82\x12\x00\x01\x00\x0d".as_slice(), WANTED, b"\x01"].concat())?;
    client.read_exact(&mut [0; 5])?;
    client.write_all(DISCONNECT)?;
    // To the end of the connection.
    client.read_to_end(&mut Vec::new())?;
    Ok(())
}

/// The fastest of some rounds, and the median.
fn shown(nanoseconds: &mut [u64]) -> String {
    nanoseconds.sort_unstable();
    format!("{} ({})", nanoseconds[0], nanoseconds[nanoseconds.len() / 2])
}

/// Publishes messages, so many at a time, and says what each took of the processors.
fn round(
    publisher: &mut TcpStream,
    topic: &[u8; 13],
    writes: usize,
    messages: usize,
) -> Result<u64, Failure> {
    // QoS 0.
    let message = [b"\x30\x4f\x00\x0d".as_slice(), topic, &[b'x'; 64]].concat();
    let block = message.repeat(messages);
    let before = server_time()?;
    for _ in 0..writes {
        publisher.write_all(&block)?;
    }
    // The answer comes when all before it was read, and so dispatched: with nobody else about, by the connection's own task.
    publisher.write_all(PING)?;
    publisher.read_exact(&mut [0; 2])?;
    Ok((server_time()? - before) / u64::try_from(writes * messages)?)
}

/// Nanoseconds that the threads of this process had of the processors, but for the one that publishes.
fn server_time() -> Result<u64, Failure> {
    let publisher = std::process::id().to_string();
    let mut sum = 0;
    for thread in fs::read_dir("/proc/self/task")? {
        let thread = thread?;
        if thread.file_name() == publisher.as_str() {
            continue;
        }
        // A thread may end meanwhile.
        let Ok(text) = fs::read_to_string(thread.path().join("schedstat")) else { continue };
        sum += text.split_whitespace().next().unwrap_or("0").parse::<u64>()?;
    }
    Ok(sum)
}
