//! A server that is killed at random moments of a run, and started again.

use std::fmt::Display;
use std::future::pending;
use std::ops::Range;
use std::time::{Duration, Instant};

use pointsman_tests::{ServerProcess, within};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::random::Random;
use super::scene::{Link, Phase, Scene};
use super::tally::Count;

/// How often the server is killed if nobody says how often.
const KILLS: u64 = 12;
/// A rate keeps the books of a long run small. The section of rules is open at this place.
const CONFIG: &str = "run_time_max_ms = 10000\n[limits]\npublish_messages_per_second = 200\n";
/// Set, it says how often the server is killed.
const KILLS_VARIABLE: &str = "POINTSMAN_CRASH_KILLS";
/// Set, it is the seed of an earlier run.
const SEED_VARIABLE: &str = "POINTSMAN_CRASH_SEED";

/// When the server falls.
pub(super) struct Pace {
    /// A kill comes when at most this many messages of its round were acknowledged.
    pub(super) progress_max: u64,
    /// One round in so many is a long one.
    pub(super) long_every: u64,
    /// How long such a round is, in milliseconds.
    pub(super) long_ms: Range<u64>,
    pub(super) starts: StartsCutShort,
}

/// After a fall, one start in so many is given up, so that the kill meets what recovery does.
#[derive(Clone, Copy)]
pub(super) struct StartsCutShort {
    pub(super) every: u64,
    /// After at most so many milliseconds.
    pub(super) ms_max: u64,
}

/// See the module.
pub(super) struct Stage {
    pub(super) server: ServerProcess,
    pub(super) random: Random,
    pace: Pace,
    scene: watch::Sender<Scene>,
    begun: Instant,
    rounds: u64,
    kills: u64,
}

impl Stage {
    /// Starts a server, and the run with it.
    pub(super) async fn open(pace: Pace) -> Stage {
        let random = number_in(SEED_VARIABLE).map_or_else(Random::new, Random::of);
        println!("{random}");
        let begun = Instant::now();
        let server = ServerProcess::start_with(env!("CARGO_BIN_EXE_server"), CONFIG).await;
        let scene = watch::Sender::new(Scene { phase: Phase::Load, up: true });
        Stage { server, random, pace, scene, begun, rounds: 0, kills: 0 }
    }

    /// The way to the server for a client.
    pub(super) fn link(&self) -> Link {
        Link { address: self.server.mqtt, scene: self.scene.subscribe() }
    }

    /// Whether the server has not been killed often enough.
    pub(super) fn goes_on(&self) -> bool {
        self.kills < kills_wanted()
    }

    /// Lets the clients go on for a random while.
    pub(super) async fn let_be(&mut self, acknowledged: &Count) {
        self.rounds += 1;
        if self.rounds % self.pace.long_every == self.pace.long_every / 2 {
            let Range { start, end } = self.pace.long_ms;
            let long = Duration::from_millis(start + self.random.below(end - start));
            let _ = tokio::time::timeout(long, pending::<()>()).await;
        }
        let messages = self.random.below(self.pace.progress_max);
        within("the work goes on", acknowledged.grows(messages)).await;
    }

    /// Kills the server and starts it again.
    pub(super) async fn fall(&mut self) {
        self.scene.send_modify(|scene| scene.up = false);
        kill(&mut self.server).await;
        self.kills += 1 + start_again(&mut self.server, &mut self.random, self.pace.starts).await;
        self.scene.send_modify(|scene| scene.up = true);
    }

    /// Has everybody know that another phase has begun.
    pub(super) fn come_to(&self, phase: Phase) {
        self.scene.send_modify(|scene| scene.phase = phase);
    }

    /// How far the run has come, with what repeats it.
    pub(super) fn when(&self) -> String {
        format!("after {} kills, {}", self.kills, self.random)
    }

    /// Tells whoever watches what there is by now.
    pub(super) fn tell(&self, what: impl Display) {
        println!("{} kills in {:?}, {what}", self.kills, self.begun.elapsed());
    }

    /// Ends the server as an operator does.
    pub(super) async fn close(&mut self) {
        let ended = self.server.terminate().await;
        assert!(ended.status.success() && !ended.stderr.contains("panicked"), "{ended:?}");
    }
}

/// How often the server is to be killed.
pub(super) fn kills_wanted() -> u64 {
    number_in(KILLS_VARIABLE).unwrap_or(KILLS)
}

/// Kills a server, which until then has not panicked.
async fn kill(server: &mut ServerProcess) {
    let ended = server.kill().await;
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}

/// Starts a server that was killed. Gives how often it was killed meanwhile.
pub(super) async fn start_again(
    server: &mut ServerProcess,
    random: &mut Random,
    starts: StartsCutShort,
) -> u64 {
    let mut kills = 0;
    while random.below(starts.every) == 0 {
        let patience = Duration::from_millis(random.below(starts.ms_max));
        let _ = tokio::time::timeout(patience, server.run()).await;
        kill(server).await;
        kills += 1;
    }
    server.run().await;
    kills
}

/// Waits for clients' tasks, whose own failures are failures of the case.
pub(super) async fn ended(clients: &mut JoinSet<()>, what: &str) {
    while let Some(ended) = within(what, clients.join_next()).await {
        if let Err(error) = ended {
            assert!(error.is_cancelled(), "{error}");
        }
    }
}

/// What a variable of the environment says, decimal or hexadecimal.
fn number_in(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    Some(number.unwrap_or_else(|error| panic!("{variable}={text:?} is no number: {error}")))
}
