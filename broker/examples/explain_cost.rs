//! What it costs to keep some messages so that they can be explained, by `rules.explain_sample`: CPU time of a server for each
//! message, from the socket of a publisher through the dispatcher to nobody.
//! `cargo run --release -p pointsman --example explain_cost`.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

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

const CONNECT: &[u8] = b"\x10\x11\x00\x04MQTT\x04\x02\x00\x00\x00\x05bench";
const PING: &[u8] = b"\xc0\x00";

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
        let mut publisher = TcpStream::connect(server.started().mqtt[0])?;
        publisher.set_nodelay(true)?;
        publisher.write_all(CONNECT)?;
        publisher.read_exact(&mut [0; 4])?;
        publishers.push(publisher);
        servers.push(server);
    }
    println!(
        "| explain_sample | {MESSAGES_OF_BLOCK} messages a write: ns a message, fastest (median) | one a write |"
    );
    println!("|---|---|---|");
    let mut rows = SAMPLES.map(|one_of| (one_of, Vec::new(), Vec::new()));
    for _ in 0..ROUNDS {
        for (publisher, (_, blocks, singles)) in publishers.iter_mut().zip(&mut rows) {
            blocks.push(round(publisher, BLOCKS, MESSAGES_OF_BLOCK)?);
            singles.push(round(publisher, SINGLES, 1)?);
        }
    }
    for (one_of, blocks, singles) in &mut rows {
        println!("| {one_of} | {} | {} |", shown(blocks), shown(singles));
    }
    drop(publishers);
    for server in servers {
        runtime.block_on(server.stop());
    }
    Ok(())
}

/// The fastest of some rounds, and the median.
fn shown(nanoseconds: &mut [u64]) -> String {
    nanoseconds.sort_unstable();
    format!("{} ({})", nanoseconds[0], nanoseconds[nanoseconds.len() / 2])
}

/// Publishes messages, so many at a time, and says what each took of the processors.
fn round(publisher: &mut TcpStream, writes: usize, messages: usize) -> Result<u64, Failure> {
    // QoS 0, to `bench/explain`.
    let message = [b"\x30\x4f\x00\x0dbench/explain".as_slice(), &[b'x'; 64]].concat();
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
