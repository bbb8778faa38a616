//! The server is killed at random moments under load, and what it acknowledged is compared with what it kept.
//!
//! Publishers never send anything twice, so that each message has to be in the history once if it was acknowledged,
//! and at most once if it was not. What a power cut does to single writes is the matter of the store's own tests, which
//! hold the disk in their hands; here the files are damaged in the ways that a real process leaves to be found.

mod audit;
mod ledger;
mod load;
mod random;
mod rules;
mod scene;
mod sessions;
mod stage;
mod tally;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use pointsman_tests::{ServerProcess, within};

use ledger::{Ledger, Progress};
use random::Random;
use stage::{StartsCutShort, ended, start_again};

/// How often the server is killed, starts that are cut short included.
const KILLS: u64 = 24;
/// Publishers at a time.
const PUBLISHERS: u32 = 4;
/// A kill comes when at most this many messages of its round were acknowledged, or heard.
const PROGRESS_MAX: u64 = 250;
const STARTS: StartsCutShort = StartsCutShort { every: 4, ms_max: 250 };

/// What a fall leaves behind.
#[derive(Debug, Clone, Copy)]
enum Damage {
    /// Half of a record at the end of the log, which nobody was promised.
    LogTorn,
    /// Of sled's file only the beginning: what it had not synced itself is gone.
    SledShort,
    /// Nothing of sled's file.
    SledEmpty,
    /// Bytes in the middle of sled's file that were never written.
    SledGarbled,
}

#[tokio::test]
async fn what_was_acknowledged_survives_kills() {
    let mut random = Random::new();
    let mut server = start().await;
    let ledger = Arc::new(Ledger::new(PUBLISHERS));
    let (started, mut kills) = (Instant::now(), 0);
    while kills < KILLS {
        kill_under_load(&mut server, &ledger, some_progress(&mut random)).await;
        kills += 1 + start_again(&mut server, &mut random, STARTS).await;
    }
    conclude(&server, &ledger, &random).await;
    println!("{kills} kills in {:?}, {ledger}", started.elapsed());
}

#[tokio::test]
async fn what_was_acknowledged_survives_damage_to_what_was_not_promised() {
    let mut random = Random::new();
    let mut server = start().await;
    let ledger = Arc::new(Ledger::new(PUBLISHERS));
    for damage in
        [Damage::LogTorn, Damage::SledShort, Damage::SledEmpty, Damage::SledGarbled, Damage::LogTorn]
    {
        let progress = Progress { acknowledged: 100, heard: random.below(PROGRESS_MAX) };
        kill_under_load(&mut server, &ledger, progress).await;
        inflict(damage, &server.directory().join("data"), &mut random);
        server.run().await;
        audit::complete(&server, &ledger, &format!("after {damage:?}, {random}")).await;
    }
    conclude(&server, &ledger, &random).await;
}

async fn start() -> ServerProcess {
    // The section of rules is open at this place. A debug build on a busy machine is given the time that it takes.
    ServerProcess::start_with(env!("CARGO_BIN_EXE_server"), "run_time_max_ms = 10000\n").await
}

/// Acknowledgements come well before the rule has run, so each is the last thing to happen in some rounds.
fn some_progress(random: &mut Random) -> Progress {
    let messages = random.below(PROGRESS_MAX);
    match random.below(2) {
        0 => Progress { acknowledged: messages, heard: 0 },
        _ => Progress { acknowledged: 0, heard: messages },
    }
}

/// Publishes and listens, and kills the server after that much progress.
async fn kill_under_load(server: &mut ServerProcess, ledger: &Arc<Ledger>, progress: Progress) {
    let mut clients = load::begin(server, ledger);
    within("the talk goes on", ledger.advances(progress)).await;
    // It may have said how sled took what was damaged, so nothing is asked of its output.
    server.kill().await;
    ended(&mut clients, "the clients notice").await;
}

/// A last round that ends in peace, and then everything is compared.
async fn conclude(server: &ServerProcess, ledger: &Arc<Ledger>, random: &Random) {
    let mut clients = load::begin(server, ledger);
    within("the talk goes on", ledger.advances(Progress { acknowledged: 50, heard: 50 })).await;
    clients.abort_all();
    ended(&mut clients, "the clients notice").await;
    audit::complete(server, ledger, &random.to_string()).await;
}

fn inflict(damage: Damage, data: &Path, random: &mut Random) {
    let sled = data.join("sled/db");
    match damage {
        Damage::LogTorn => {
            let mut log = OpenOptions::new().append(true).open(newest_segment(data)).expect("there is a log");
            let length = usize::try_from(1 + random.below(300)).expect("a small number");
            log.write_all(&vec![0x5a; length]).expect("the log can be written");
        }
        Damage::SledShort => {
            let size = fs::metadata(&sled).expect("sled has a file").len();
            cut(&sled, random.below(size));
        }
        Damage::SledEmpty => cut(&sled, 0),
        Damage::SledGarbled => {
            let mut bytes = fs::read(&sled).expect("sled has a file");
            let middle = bytes.len() / 2;
            let end = bytes.len().min(middle + 4096);
            bytes[middle..end].fill(0xa5);
            fs::write(&sled, bytes).expect("sled's file can be written");
        }
    }
}

fn cut(path: &Path, bytes: u64) {
    let file = OpenOptions::new().write(true).open(path).expect("sled has a file");
    file.set_len(bytes).expect("a file can be cut");
}

fn newest_segment(data: &Path) -> PathBuf {
    let segments = fs::read_dir(data.join("log")).expect("there is a log");
    let paths = segments.map(|entry| entry.expect("a folder can be read").path());
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .max()
        .expect("a segment")
}
