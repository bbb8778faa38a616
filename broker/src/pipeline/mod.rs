//! The way of a message behind the sessions: into the log, to the rules, and what they ask for back out.
//!
//! ```text
//! Ingress::log ──► store (disk first) ──► spine ──► route: which rules ──► workers: evaluate, append the commit
//!                                           ▲                                   │
//!                                           └──── sender: once the commit is on disk, publish
//! ```

mod inputs;
mod outbox;
mod rules;
mod tools;
mod turns;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use pointsman_rules::leaderboard::BoardLimits;
use pointsman_rules::{Engine, Limits};
use serde::Serialize;

pub use inputs::bus::PutEventsError;
pub use inputs::ingest::Intake;
pub use outbox::{LetterView, LettersPage, Outbox, OutboxSettings, SigningKey, Subscriber, TargetStatus};
pub use rules::activate::{ActivationError, SaveError};
pub use rules::active::{Checked, LoadError, RuleFile, check_rules, load_library, load_rule, rule_files};
pub use rules::versions::{Cause, Version, VersionError, VersionLimits};
pub use tools::bus_replay::{BusReplay, BusReplayError, BusReplayRequest, BusReplayState};
pub use tools::compare::{Comparison, Difference, NotCompared};
pub use tools::dead_letters::{DeadLetter, DeadLetterError, DeadLetterLimits, RedriveError, Redriven};
pub use tools::explain::{
    AsOf, ExplainError, Explanation, Fate, Found, LetterBrief, Matched, NotMatched, Parts, Sample,
};
pub use tools::replay::DraftError;
pub use tools::shadow::ShadowRun;
pub use turns::lanes::LaneStats;

use inputs::put_aside::Patience;
use inputs::{batches, expiry, ingest, route, times};
use outbox::Afterwards;
use rules::activate::Activation;
use rules::active::{ActiveRule, ActiveRules};
use rules::past::Past;
use rules::versions::Versions;
use rules::watch;
use tools::bus_replay;
use tools::dead_letters::DeadLetters;
use tools::shadow::Shadow;
use turns::progress::Progress;
use turns::unit::Unit;
use turns::worker::Workers;
use turns::{boards, lanes};

use crate::clock::{Clock, IdSource};
use crate::mqtt::{Hub, ReaderOptions, SharedSpine};
use crate::store::{ReadError, Store};
use crate::telemetry::Telemetry;

/// How often the store is told how far the rules have come.
const SETTLE_EVERY: Duration = Duration::from_secs(1);

/// What the pipeline is made of.
pub struct PipelineParts {
    /// Keeps what must not be lost.
    pub store: Arc<Store>,
    /// Carries what rules publish.
    pub spine: SharedSpine,
    /// Where the rule files are.
    pub rules_directory: PathBuf,
    /// Bounds of a run.
    pub limits: Limits,
    /// Events that may wait for the workers.
    pub queue_events_max: usize,
    /// Runs in a row over a limit before a rule is suspended.
    pub overruns_max: u32,
    /// Messages that are put aside for suspended rules.
    pub parked_messages_max: usize,
    /// How many versions of each rule are kept.
    pub versions: VersionLimits,
    /// How many events are kept on which rules failed.
    pub dead_letters: DeadLetterLimits,
    /// Where rules may send requests to, and how often they are tried.
    pub outbox: OutboxSettings,
    /// How many leaderboards are held, and members of all of them.
    pub boards: BoardLimits,
    /// Threads that run rules.
    pub workers: usize,
    /// Counts.
    pub telemetry: Arc<Telemetry>,
    /// Tells the time.
    pub clock: Arc<Clock>,
    /// Gives message ids.
    pub ids: Arc<IdSource>,
}

/// The rules, their workers, and what they have yet to do.
pub struct Pipeline {
    store: Arc<Store>,
    spine: SharedSpine,
    engine: Arc<Engine>,
    versions: Versions,
    dead_letters: DeadLetters,
    bus_replays: bus_replay::BusReplays,
    activation: Mutex<Activation>,
    /// The draft that is being tried on live traffic.
    shadow: ArcSwapOption<Shadow>,
    active: ArcSwap<ActiveRules>,
    /// What was active before.
    past: Past,
    /// Grows with every change of the active rules.
    generation: AtomicU64,
    progress: Progress,
    order: ingest::Order,
    /// Sends what leaves the server.
    outbox: Arc<Outbox>,
    /// Knows which topics sessions want kept.
    hub: OnceLock<Weak<Hub>>,
    batches: batches::Batches,
    leaderboards: Arc<boards::Leaderboards>,
    workers: OnceLock<Workers>,
    rules_directory: PathBuf,
    overruns_max: u32,
    parked_messages_max: usize,
    telemetry: Arc<Telemetry>,
    clock: Arc<Clock>,
    ids: Arc<IdSource>,
    /// The rule files that did not load, with the reason.
    broken: Mutex<Vec<BrokenRule>>,
}

/// A rule file that did not load.
#[derive(Debug, Clone, Serialize)]
pub struct BrokenRule {
    /// The file.
    pub file: String,
    /// File, line, column, reason and the line itself.
    pub error: String,
}

/// How an active rule fares.
#[derive(Debug, Clone, Serialize)]
pub struct RuleStatus {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it listens to.
    pub triggers: Vec<String>,
    /// Whether it was suspended for reaching a limit again and again.
    pub suspended: bool,
}

/// A clock for deadlines.
fn monotonic() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// An engine with these limits, for checking rules without running them.
pub fn engine(limits: Limits) -> Engine {
    Engine::new(limits, monotonic)
}

impl Pipeline {
    /// Loads the rules and begins to listen to the spine.
    pub fn start(parts: PipelineParts) -> Result<Arc<Pipeline>, ReadError> {
        let outbox = Outbox::open(Arc::clone(&parts.store), Arc::clone(&parts.clock), parts.outbox)?;
        let dead_letters =
            DeadLetters::open(Arc::clone(&parts.store), Arc::clone(&parts.clock), parts.dead_letters)?;
        let pipeline = Arc::new(Pipeline {
            outbox,
            engine: Arc::new(engine(parts.limits)),
            versions: Versions::new(Arc::clone(&parts.store), parts.versions),
            dead_letters,
            bus_replays: bus_replay::BusReplays::default(),
            activation: Mutex::default(),
            shadow: ArcSwapOption::empty(),
            store: parts.store,
            spine: Arc::clone(&parts.spine),
            active: ArcSwap::default(),
            past: Past::default(),
            generation: AtomicU64::new(1),
            progress: Progress::default(),
            order: ingest::Order::default(),
            hub: OnceLock::new(),
            batches: batches::Batches::default(),
            leaderboards: Arc::new(boards::Leaderboards::new(parts.boards)),
            workers: OnceLock::new(),
            rules_directory: parts.rules_directory,
            overruns_max: parts.overruns_max,
            parked_messages_max: parts.parked_messages_max,
            telemetry: parts.telemetry,
            clock: parts.clock,
            ids: parts.ids,
            broken: Mutex::default(),
        });
        let workers = Workers::start(&pipeline, parts.workers, parts.queue_events_max);
        let _ = pipeline.workers.set(workers);
        let folder = pipeline.reload();
        let router = Arc::downgrade(&pipeline);
        parts.spine.attach(
            "rules",
            ReaderOptions { inline: false, wants: route::concerns_rules },
            Box::new(move |envelopes| {
                if let Some(pipeline) = router.upgrade() {
                    pipeline.route(envelopes);
                }
            }),
        );
        watch::start(&pipeline, folder);
        Ok(pipeline)
    }

    /// Takes up what was left undone. To be called when everybody listens to the spine who is to see what rules publish on
    /// the way.
    pub fn take_up(self: &Arc<Self>, hub: &Arc<Hub>) -> Result<(), ReadError> {
        let _ = self.hub.set(Arc::downgrade(hub));
        self.outbox.start();
        self.leaderboards.load(&self.store)?;
        self.recover()?;
        batches::start(self);
        times::start(self);
        expiry::start(self);
        let settler = Arc::downgrade(self);
        spawn("settle", move || settle_until_gone(&settler));
        Ok(())
    }

    /// The active rules and how they fare.
    pub fn rules(&self) -> Vec<RuleStatus> {
        let active = self.active.load();
        active.rules.iter().map(|active| status(active)).collect()
    }

    /// The rule files that did not load.
    pub fn broken_rules(&self) -> Vec<BrokenRule> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Messages put aside for suspended rules.
    pub fn parked(&self) -> usize {
        self.progress.parked()
    }

    /// Messages that wait for their batch to be complete.
    pub fn batched(&self) -> usize {
        self.batches.waiting()
    }

    /// How many events are kept on which rules failed.
    pub fn dead_letter_count(&self) -> usize {
        self.dead_letters.count()
    }

    /// Some of those events, the oldest first, behind one of them, of one rule or of all.
    pub fn dead_letters(
        &self,
        rule: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, DeadLetterError> {
        self.dead_letters.page(rule, after, limit)
    }

    /// The ids of those events, the oldest first, of one rule or of all.
    pub fn dead_letter_ids(&self, rule: Option<&str>) -> Vec<String> {
        self.dead_letters.ids(rule)
    }

    /// One of those events.
    pub fn dead_letter(&self, id: &str) -> Result<Option<DeadLetter>, DeadLetterError> {
        Ok(self.dead_letters.get(id)?.map(|(letter, _)| letter))
    }

    /// Gives some of those events up, and says how many there were.
    pub fn remove_dead_letters(&self, ids: &[String]) -> Result<usize, DeadLetterError> {
        self.dead_letters.remove(ids)
    }

    /// What leaves for web servers.
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Does what a commit that is on disk wants done.
    fn do_afterwards(&self, afterwards: Afterwards) {
        if afterwards.is_empty() {
            return;
        }
        let hub = self.hub.get().and_then(Weak::upgrade);
        afterwards.perform(|client_id, reason| {
            if let Some(hub) = &hub {
                hub.disconnect(client_id, reason);
            }
        });
    }

    /// Handles what waits, and tells the store how far the rules have come.
    pub fn stop(&self) {
        self.stop_bus_replays();
        self.close_batches();
        if let Some(workers) = self.workers.get() {
            workers.stop();
        }
        self.outbox.stop();
        self.settle();
    }

    /// What waits for the workers.
    pub fn lanes(&self) -> LaneStats {
        self.workers.get().map(Workers::stats).unwrap_or_default()
    }

    fn submit(&self, key: lanes::Key, unit: Unit) {
        if let Some(workers) = self.workers.get() {
            workers.submit(key, unit);
        }
    }

    fn settle(&self) {
        // Whoever logs a message puts it on the spine, once it is on disk; but a request may be given up meanwhile.
        self.publish_logged();
        let durable_end = self.store.durable_end();
        let settled = self.progress.settled(durable_end);
        let mut lowest = settled.for_most();
        for active in &self.active.load().rules {
            for trigger in active.message_triggers() {
                let key = active.key(trigger);
                let before = settled.before(&key);
                lowest = lowest.min(before);
                self.store.settle(&key.rule, key.trigger, before);
            }
        }
        self.store.hold_from("rules", lowest);
    }

    fn bump_generation(&self) {
        self.generation.fetch_add(1, Ordering::Release);
    }
}

fn status(active: &ActiveRule) -> RuleStatus {
    RuleStatus {
        name: active.rule.name.to_string(),
        version: active.rule.version.clone(),
        triggers: active.rule.triggers.iter().map(|trigger| trigger.on.to_string()).collect(),
        suspended: active.is_suspended(),
    }
}

fn settle_until_gone(pipeline: &Weak<Pipeline>) {
    let mut patience = Patience::default();
    loop {
        thread::sleep(SETTLE_EVERY);
        let Some(pipeline) = pipeline.upgrade() else { return };
        pipeline.settle();
        pipeline.keep_boards();
        pipeline.retry_put_aside(&mut patience);
    }
}

/// Starts a thread of the pipeline.
fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> thread::JoinHandle<()> {
    thread::Builder::new()
        .name(format!("rules-{name}"))
        .stack_size(STACK_BYTES)
        .spawn(body)
        .expect("the system has a thread for a worker made at start")
}

/// Runs something that runs scripts, on a stack that is large enough for them.
fn on_own_stack<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("rules-aside".to_owned()).stack_size(STACK_BYTES);
        let thread = thread.spawn_scoped(scope, body).expect("the system has a thread for a moment");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Scripts recurse on the stack of their worker; the limit of call depth is made for this much.
const STACK_BYTES: usize = 8 * 1024 * 1024;
