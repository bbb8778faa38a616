//! A hub with all that lies behind it, in a directory of its own, that can be ended in order or killed and taken up again.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::super::super::envelope::{Envelope, Interest};
use super::super::super::session::{
    Entry, Hub, HubParts, Ingress, LogEnd, LogRefused, Logged, OutboxLimits, Peer, PublishRate,
    RetainedLimits, SampleLimits, SessionLimits, serve,
};
use super::super::super::spine::{RouterSpine, SharedSpine, SpineOptions};
use crate::auth::{Auth, PasswordHash, Policy};
use crate::clock::{Clock, IdSource};
use crate::mqtt::Reason;
use crate::store::{Appended, Disk, DiskFile, RealDisk, Record, Store, StoreOptions};
use crate::telemetry::Telemetry;

/// How long anything may take before it counts as never.
pub(crate) const NEVER: Duration = Duration::from_secs(20);

/// Unacknowledged publishes that a client is sent at most, if it takes as many.
pub(crate) const INFLIGHT_MAX: u16 = 6;

/// Bytes that wait in a connection's pipe.
const PIPE_BYTES: usize = 1 << 20;

/// See the module.
pub(crate) struct World {
    pub(crate) clock: Arc<Clock>,
    directory: PathBuf,
    auth: Arc<Auth>,
    /// Counts the starts.
    starts: u64,
    /// Connections that are to end because of a fault, until it is next ended.
    faults_expected: u64,
    running: Option<Running>,
}

struct Running {
    hub: Arc<Hub>,
    ingress: Arc<PlainIngress>,
    telemetry: Arc<Telemetry>,
    power: Arc<AtomicBool>,
    connections: Vec<JoinHandle<()>>,
}

impl World {
    /// Starts one where anybody may do anything. Needs a runtime.
    pub(crate) fn start() -> World {
        // Making a hash takes long, and nobody asks for this one.
        static PASSWORD: OnceLock<PasswordHash> = OnceLock::new();
        let password = PASSWORD.get_or_init(|| PasswordHash::of("x", [0; 16])).clone();
        let auth = Auth::new(true, Policy::admin(), password);
        World::start_with(auth)
    }

    /// Starts one that knows its clients by this.
    pub(crate) fn start_with(auth: Auth) -> World {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name =
            format!("pointsman-model-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(name);
        let _old = std::fs::remove_dir_all(&directory);
        let mut world = World {
            clock: Arc::new(Clock::system()),
            directory,
            auth: Arc::new(auth),
            starts: 0,
            faults_expected: 0,
            running: None,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        self.starts += 1;
        let power = Arc::new(AtomicBool::new(true));
        let disk = Arc::new(Outlet { power: Arc::clone(&power) });
        let clock = Arc::clone(&self.clock);
        let options = StoreOptions { cache_bytes: 1 << 20, ..StoreOptions::new(&self.directory) };
        let store = Store::open(options, Arc::new(move || clock.now_ms()), disk);
        let store = Arc::new(store.expect("a store opens after whatever has happened to it"));
        let spine: SharedSpine = Arc::new(RouterSpine::start(SpineOptions::default()));
        let ingress = Arc::new_cyclic(|me| PlainIngress {
            me: Weak::clone(me),
            store: Arc::clone(&store),
            spine: Arc::clone(&spine),
            waiting: Mutex::default(),
            turn: Mutex::default(),
        });
        let telemetry = Arc::new(Telemetry::default());
        let hub = Hub::start(HubParts {
            store,
            spine,
            ingress: Arc::clone(&ingress) as Arc<dyn Ingress>,
            auth: Arc::clone(&self.auth),
            telemetry: Arc::clone(&telemetry),
            limits: limits(),
            samples: SampleLimits { one_of: 7, count_max: 100, bytes_max: 1 << 20 },
            clock: Arc::clone(&self.clock),
            ids: Arc::new(IdSource::new(1)),
            version_base: self.starts << 32,
        });
        let hub = hub.expect("a hub starts from whatever there is");
        self.running = Some(Running { hub, ingress, telemetry, power, connections: Vec::new() });
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("it runs but for moments")
    }

    /// The hub.
    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.running().hub
    }

    /// Opens a connection.
    pub(crate) fn open(&mut self) -> DuplexStream {
        self.open_over(|pipe| pipe)
    }

    /// Opens one over a transport that will have a fault.
    #[cfg(test)]
    pub(super) fn open_faulty<T>(&mut self, faulty: impl FnOnce(DuplexStream) -> T) -> DuplexStream
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.faults_expected += 1;
        self.open_over(faulty)
    }

    fn open_over<T>(&mut self, wrap: impl FnOnce(DuplexStream) -> T) -> DuplexStream
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        let running = self.running.as_mut().expect("it runs but for moments");
        let peer = Peer { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), connect_by: Instant::now() + NEVER };
        running.connections.retain(|connection| !connection.is_finished());
        running.connections.push(tokio::spawn(serve(wrap(theirs), peer, Arc::clone(&running.hub))));
        ours
    }

    /// Whether exactly so many connections are there, and nothing is on its way to the sessions.
    pub(crate) fn is_still(&self, connections: usize) -> bool {
        let running = self.running();
        running.connections.iter().filter(|it| !it.is_finished()).count() == connections
            && running.ingress.is_empty()
            && running.ingress.store.durable_end() == running.ingress.store.end()
            && running.hub.spine_stats().lag_bytes == 0
    }

    /// Ends it in order, and starts it again.
    pub(crate) async fn restart(&mut self) {
        self.hub().stop().await;
        self.end().await;
        self.begin();
    }

    /// Ends it without a word, and starts it again: what was not on disk at this moment is not there.
    pub(crate) async fn kill(&mut self) {
        self.running().power.store(false, Ordering::SeqCst);
        self.end().await;
        self.begin();
    }

    async fn end(&mut self) {
        let Running { hub, ingress, telemetry, connections, .. } = self.running.take().expect("it runs");
        let faults = telemetry.connection_faults_total.get();
        assert_eq!(faults, std::mem::take(&mut self.faults_expected), "connections ended because of a fault");
        for connection in connections {
            connection.abort();
            let ended = connection.await;
            if let Err(error) = ended
                && error.is_panic()
            {
                std::panic::resume_unwind(error.into_panic());
            }
        }
        let store = Arc::clone(&ingress.store);
        drop((hub, ingress));
        // Others may hold it for a moment: what reads from the log, or waits for the disk.
        let alone = eventually(|| Arc::strong_count(&store) == 1).await;
        assert!(alone, "something holds on to the store after the end");
        let closed = tokio::task::spawn_blocking(move || drop(store)).await;
        closed.expect("closing a store does not panic");
    }

    /// Ends it for good.
    pub(crate) async fn finish(mut self) {
        self.hub().stop().await;
        self.end().await;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.directory);
    }
}

/// Whether it comes true before long.
pub(crate) async fn eventually(mut is_so: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + NEVER;
    while !is_so() {
        if Instant::now() > deadline {
            return false;
        }
        tokio::task::yield_now().await;
    }
    true
}

fn limits() -> SessionLimits {
    SessionLimits {
        packet_bytes_max: 64 * 1024,
        subscriptions_max: 50,
        topic_levels_max: 16,
        client_id_bytes_max: 64,
        inflight_max: INFLIGHT_MAX,
        topic_alias_max: 4,
        keep_alive_max_seconds: 0,
        receive_max: 60,
        publish_rate: PublishRate { messages_per_second: 0, bytes_per_second: 0 },
        sessions_max: 100,
        session_expiry_max_seconds: u32::MAX,
        outbox: OutboxLimits { bytes_max: 1 << 20, messages_max: 10_000 },
        retained: RetainedLimits::default(),
    }
}

/// What lies behind the sessions where there are no rules.
struct PlainIngress {
    me: Weak<PlainIngress>,
    store: Arc<Store>,
    spine: SharedSpine,
    waiting: Mutex<Waiting>,
    turn: Mutex<()>,
}

#[derive(Default)]
struct Waiting {
    entries: VecDeque<(Appended, Envelope)>,
    last: u64,
}

impl PlainIngress {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_empty(&self) -> bool {
        self.lock().entries.is_empty()
    }

    /// Puts on the spine what is on disk, in the order of the log.
    fn publish(&self) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let (appended, envelope) = {
                let mut waiting = self.lock();
                if waiting.entries.front().is_none_or(|(front, _)| front.outcome().is_none()) {
                    return;
                }
                waiting.entries.pop_front().expect("it was looked at")
            };
            if appended.outcome().is_some_and(|outcome| outcome.is_ok()) {
                self.spine.publish(envelope);
            }
        }
    }
}

impl Ingress for PlainIngress {
    fn interest(&self, _: &str) -> Interest {
        Interest::default()
    }

    fn generation(&self) -> u64 {
        0
    }

    fn log(&self, entry: Entry) -> Logged {
        let Entry { envelope, sessions, writes } = entry;
        let messages = envelope.as_ref().map_or_else(Bytes::new, |envelope| envelope.bytes().clone());
        let mut waiting = self.lock();
        let appended = self.store.append(Record { messages, writes, sessions, ..Record::default() });
        let appended = match appended {
            Ok(appended) => appended,
            Err(error) => return Box::pin(std::future::ready(Err(refused(&error)))),
        };
        if let Some(mut envelope) = envelope {
            envelope.set_log_seq(appended.seq);
            waiting.last = appended.seq;
            waiting.entries.push_back((appended.clone(), envelope));
        }
        drop(waiting);
        let (seq, me) = (appended.seq, self.me.upgrade());
        Box::pin(async move {
            let outcome = appended.durable().await;
            if let Some(me) = me {
                me.publish();
            }
            outcome.map(|()| seq).map_err(|error| refused(&error))
        })
    }

    fn end(&self) -> LogEnd {
        let waiting = self.lock();
        LogEnd { end: self.store.end(), last_message: waiting.last }
    }
}

fn refused(error: &dyn std::error::Error) -> LogRefused {
    LogRefused { reason: Reason::QuotaExceeded, detail: crate::report::chain(error) }
}

/// The disk, without waiting for it, until the power is off: then nothing arrives there any more.
struct Outlet {
    power: Arc<AtomicBool>,
}

impl Outlet {
    fn check(power: &AtomicBool) -> io::Result<()> {
        if power.load(Ordering::SeqCst) { Ok(()) } else { Err(io::Error::other("the power is off")) }
    }
}

impl Disk for Outlet {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Outlet::check(&self.power)?;
        Ok(Box::new(OutletFile { file: RealDisk.create(path)?, power: Arc::clone(&self.power) }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OutletFile { file: RealDisk.open(path)?, power: Arc::clone(&self.power) }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Outlet::check(&self.power)?;
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        Outlet::check(&self.power)?;
        RealDisk.remove(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(directory)
    }

    fn create_dir(&self, directory: &Path) -> io::Result<()> {
        RealDisk.create_dir(directory)
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Outlet::check(&self.power)
    }
}

struct OutletFile {
    file: Box<dyn DiskFile>,
    power: Arc<AtomicBool>,
}

impl DiskFile for OutletFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        Outlet::check(&self.power)?;
        self.file.append(bytes)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buffer)
    }

    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        Outlet::check(&self.power)?;
        self.file.truncate(size)
    }

    fn sync_data(&self) -> io::Result<()> {
        Outlet::check(&self.power)
    }
}
