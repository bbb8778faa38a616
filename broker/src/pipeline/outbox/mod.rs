//! The outbox: requests to web servers, committed with the run that asked for them and then sent until they are taken.
//!
//! ```text
//! run ──► commit: a row for each request, in the run's own record ──► one courier for each server: in order, with backoff
//!                                                                        ├─ taken, or refused for good ──► the row goes
//!                                                                        └─ given up ──► `_undelivered`, for seven days
//! ```
//!
//! A row goes after its request was taken. Whatever happens in between, the request is sent again with the same
//! `Idempotency-Key`: at least once, and never lost.

mod address;
mod afterwards;
mod connect;
mod courier;
mod effects;
mod letters;
mod notify;
mod retry;
mod row;
mod send;
mod settings;
mod sign;
mod table;
mod target;
mod tidy;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pointsman_config::WebAddress;
use pointsman_rules::Webhook;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info};

pub(super) use afterwards::Afterwards;
pub(super) use effects::Asker;
pub use letters::{LetterView, LettersPage};
pub(super) use notify::{Notification, PREFIX as NOTIFY_PREFIX};
pub use settings::{OutboxSettings, Subscriber};
pub use sign::SigningKey;
pub use target::TargetStatus;

use courier::Courier;
use row::Delivery;
use send::Sender;
use table::{Letter, PAGE_ROWS, SERVERS, UNDELIVERED, WAITING};
use target::{Target, Ticket};

use crate::clock::Clock;
use crate::store::{ReadError, Record, Store, Write};

/// How long requests that are under way may take to end when the server stops.
const STOP_PATIENCE: Duration = Duration::from_secs(1);

/// Sends what rules ask for to web servers.
pub struct Outbox {
    store: Arc<Store>,
    settings: Arc<OutboxSettings>,
    clock: Arc<Clock>,
    sender: Sender,
    /// By scheme, host and port. Those of the configuration, and those for which something is left.
    targets: BTreeMap<String, Arc<Target>>,
    /// Held by whoever sends again or removes what was given up, so that none of it is sent, or counted, twice.
    at_letters: tokio::sync::Mutex<()>,
    tasks: TaskTracker,
    /// Nothing new is begun.
    stopping: CancellationToken,
    /// What is under way is cut off.
    cut: CancellationToken,
}

/// What a run wants to be sent: the row to commit, and its place in the queue.
struct Outgoing {
    write: Write,
    ticket: Ticket,
}

impl Outbox {
    /// Opens the outbox and counts what waits in it, page by page.
    pub(super) fn open(
        store: Arc<Store>,
        clock: Arc<Clock>,
        settings: OutboxSettings,
    ) -> Result<Arc<Outbox>, ReadError> {
        let settings = Arc::new(settings);
        let mut servers = settings.servers();
        let configured = servers.len();
        for row in store.scan(SERVERS, "", PAGE_ROWS) {
            servers.insert(row?.sort);
        }
        let mut targets = BTreeMap::new();
        for server in servers {
            let waiting = table::load(&store, WAITING, &server)?;
            let undelivered = table::load(&store, UNDELIVERED, &server)?;
            if waiting.rows > 0 {
                info!(server, requests = waiting.rows, "requests to a web server are left to be sent");
            }
            targets.insert(server.clone(), Arc::new(Target::new(server, waiting, undelivered)));
        }
        if configured > 0 {
            note_servers(&store, &targets);
        }
        let sender = Sender::new(Arc::clone(&settings), Arc::clone(&clock));
        let (tasks, stopping, cut) = (TaskTracker::new(), CancellationToken::new(), CancellationToken::new());
        let at_letters = tokio::sync::Mutex::default();
        Ok(Arc::new(Outbox { store, settings, clock, sender, targets, at_letters, tasks, stopping, cut }))
    }

    /// Begins to send. Needs a runtime.
    pub(super) fn start(self: &Arc<Self>) {
        for target in self.targets.values() {
            self.spawn(Courier::new(Arc::clone(self), Arc::clone(target)).work());
            self.spawn(Arc::clone(self).tidy(Arc::clone(target)));
        }
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let cut = self.cut.clone();
        self.tasks.spawn(async move {
            tokio::select! { () = work => {}, () = cut.cancelled() => {} }
        });
    }

    /// What a call of `webhook` becomes, or why it may not be made.
    fn webhook(&self, asker: &mut Asker<'_>, webhook: Webhook) -> Result<Outgoing, String> {
        let Webhook { url, method, headers, body, timeout, retries, secret } = webhook;
        let address = WebAddress::parse(&url).map_err(|error| format!("webhook: {error}"))?;
        if !self.settings.allow.iter().any(|allowed| allowed.covers(&address)) {
            return Err(format!(
                "webhook may not send to {address}: add it to rules.webhooks.allow in the configuration"
            ));
        }
        if let Some(ip) = address.ip() {
            let socket = std::net::SocketAddr::new(ip, address.port());
            address::permitted(address.host(), [socket], &self.settings.private)
                .map_err(|why| format!("webhook may not send to {address}: {why}"))?;
        }
        let bytes_max = self.settings.body_bytes_max;
        if body.len() > bytes_max {
            let bytes = body.len();
            return Err(format!(
                "webhook got a body of {bytes} bytes: rules.webhooks.body_bytes_max = {bytes_max}"
            ));
        }
        if let Some(name) = secret.as_ref().filter(|name| !self.settings.secrets.contains_key(*name)) {
            return Err(format!("webhook knows no secret {name:?}: add it under [rules.webhooks.secrets]"));
        }
        let at_ms = self.clock.now_ms();
        let (rule, method) = (asker.rule().to_owned(), method.to_owned());
        let url = address.to_string();
        let delivery = Delivery { at_ms, rule, method, url, headers, timeout, retries, secret, body };
        self.outgoing(&asker.next_id(), &address, &delivery)
    }

    /// What the web servers that subscribe to a topic are sent.
    fn notify(&self, rule: &str, notification: &Notification<'_>) -> Result<Vec<Outgoing>, String> {
        let Notification { topic, message, .. } = notification;
        let subscribers = self.settings.subscribers.iter().filter(|it| it.wants(topic, message));
        let requests = subscribers.enumerate().map(|(number, subscriber)| {
            let delivery = notification.request(&subscriber.to, rule, self.clock.now_ms());
            self.outgoing(&format!("{}-{number:03}", notification.id), &subscriber.to.url, &delivery)
        });
        requests.collect()
    }

    fn outgoing(&self, id: &str, address: &WebAddress, delivery: &Delivery) -> Result<Outgoing, String> {
        let server = address.server();
        let target = self.targets.get(&server).ok_or_else(|| format!("{server} is not configured"))?;
        let value: Bytes = delivery.encode();
        let bytes = value.len() as u64;
        if let Some(ticket) = target.reserve(bytes, self.settings.load_max()) {
            return Ok(Outgoing { write: Write::put(WAITING, &server, id, value, None), ticket });
        }
        let (given_up_at_ms, why) = (self.clock.now_ms(), target::FULL.to_owned());
        let letter = Letter { given_up_at_ms, attempts: 0, why, delivery: delivery.clone() };
        Ok(Outgoing { write: letter.write(&server, id), ticket: Ticket::given_up(target, bytes) })
    }

    /// How each server fares.
    pub fn status(&self) -> Vec<TargetStatus> {
        self.targets.values().map(|target| target.status()).collect()
    }

    /// Sends nothing more. Requests under way get a moment; what is cut off is sent again at the next start. Blocks, so it is
    /// for a thread beside the runtime.
    pub(super) fn stop(&self) {
        self.stopping.cancel();
        self.tasks.close();
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.block_on(async {
            if tokio::time::timeout(STOP_PATIENCE, self.tasks.wait()).await.is_err() {
                info!("some requests to web servers were under way; they are sent again at the next start");
                self.cut.cancel();
                self.tasks.wait().await;
            }
        });
    }
}

/// Has the servers known at the next start, also if the configuration names them no longer.
fn note_servers(store: &Store, targets: &BTreeMap<String, Arc<Target>>) {
    let writes = targets.keys().map(|server| Write::put(SERVERS, "", server, Bytes::new(), None));
    // Written anew at each start, so that it does not matter if this one is not kept.
    let noted = store.append(Record { writes: writes.collect(), ..Record::default() });
    if let Err(error) = noted {
        error!(%error, "the web servers that rules send to cannot be noted");
    }
}
