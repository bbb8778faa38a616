//! `pointsman serve`: a server from its start to its end, and the signals between.

use std::io::IsTerminal;
use std::path::Path;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::{Formatter, format};
use tracing_subscriber::reload::Handle;

use super::greeting::greeting;
use super::systemd::Notifier;
use super::{inherited, load, log_filter};
use crate::app::App;
use crate::report::chain;

/// Changes what is logged while the program runs.
type LogHandle = Handle<EnvFilter, Formatter<format::DefaultFields, format::Format, fn() -> std::io::Stderr>>;

/// Sent with a write that would make a file larger than the process may (`ulimit -f`), which ends the program if nobody
/// takes it.
const SIGXFSZ: i32 = 25;

/// Runs a server until it is told to end.
pub(super) fn run(path: Option<&Path>) -> anyhow::Result<()> {
    let config = load(path)?;
    let log = start_log(log_filter(&config, path)?);
    let inherited = inherited::take()?;
    let notifier = Notifier::from_env();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        // From here on no signal ends the program by itself.
        let mut signals = Signals::new()?;
        let mut hangup = take(SignalKind::hangup())?;
        // Taken and never looked at, so that a write over the limit fails, as one to a full disk does.
        let _file_size = take(SignalKind::from_raw(SIGXFSZ))?;
        let app = App::start_with(&config, inherited).await?;
        print!("{}", greeting(app.started(), &config));
        notifier.ready();
        let watchdog = notifier.watchdog();
        tokio::select! {
            () = signals.ending() => {}
            () = reload_when_asked(&app, &mut hangup, path, &log, &notifier) => {}
            () = watchdog => {}
        }
        notifier.stopping();
        println!("stopping: telling the clients and writing what waits");
        tokio::select! {
            () = app.stop() => Ok(()),
            () = signals.ending() => Err(anyhow::anyhow!("ended at once, as a second signal asked; the next start will recover")),
        }
    });
    // What is still under way after a second signal is not waited for.
    runtime.shutdown_background();
    ended
}

fn take(kind: SignalKind) -> anyhow::Result<Signal> {
    signal(kind).context("cannot take signals")
}

/// The signals that end the program.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Signals> {
        Ok(Signals { interrupt: take(SignalKind::interrupt())?, terminate: take(SignalKind::terminate())? })
    }

    /// Resolves with the next of them.
    async fn ending(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Reads the configuration anew with each SIGHUP, for as long as it is polled.
async fn reload_when_asked(
    app: &App,
    hangup: &mut Signal,
    path: Option<&Path>,
    log: &LogHandle,
    notifier: &Notifier,
) {
    while hangup.recv().await.is_some() {
        notifier.reloading();
        match reload(app, path, log).await {
            Ok(waiting) => {
                for key in waiting {
                    warn!("{key} changed: restart to apply");
                }
                info!("configuration, certificates and policies are read anew");
            }
            Err(error) => error!("nothing is changed: {error:#}"),
        }
        notifier.ready();
    }
}

async fn reload(app: &App, path: Option<&Path>, log: &LogHandle) -> anyhow::Result<Vec<&'static str>> {
    let config = load(path)?;
    let filter = log_filter(&config, path)?;
    let waiting = app.reload(&config).await?;
    if let Err(error) = log.reload(filter) {
        warn!(error = chain(&error), "log.filter stays as it was");
    }
    Ok(waiting)
}

fn start_log(filter: EnvFilter) -> LogHandle {
    let stderr: fn() -> std::io::Stderr = std::io::stderr;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        // In a file or a journal, colours are noise.
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(stderr)
        .with_filter_reloading();
    let handle = subscriber.reload_handle();
    subscriber.init();
    handle
}
