//! The command line.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use pointsman_config::{Config, DEFAULT_TOML};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::app::{App, Started, rule_limits};
use crate::pipeline;
use crate::report::chain;

/// An MQTT broker with a rules engine: chat, orders, scores and presence in one program.
#[derive(Debug, Parser)]
#[command(name = "pointsman", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

const EXAMPLES: &str = "Examples:
  pointsman                                     start with the defaults, on loopback
  pointsman serve --config /etc/pointsman.toml  start with a configuration file
  pointsman config default > pointsman.toml     write a file of all settings to begin from
  pointsman config check --config pointsman.toml
  pointsman rules check config/rules            compile every rule and say what is wrong

Once it runs, open http://localhost:8080 in a browser.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts the server; this is what happens without a command, too.
    Serve {
        /// The configuration file; every setting has a default.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Checks a configuration file, or prints the default one.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Checks rule files.
    Rules {
        #[command(subcommand)]
        command: RulesCommand,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Says whether a file is right, and if not where and why.
    Check {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Prints every setting with its default and what it means.
    Default,
}

#[derive(Debug, Subcommand)]
enum RulesCommand {
    /// Compiles every .rhai file of a folder and says file, line and column of what is wrong.
    Check {
        /// The folder of rules; that of the configuration if none is named.
        folder: Option<PathBuf>,
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

/// Runs the program.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command.unwrap_or(Command::Serve { config: None }) {
        Command::Serve { config } => serve(config.as_deref()),
        Command::Config { command: ConfigCommand::Check { config } } => check_config(&config),
        Command::Config { command: ConfigCommand::Default } => {
            print!("{DEFAULT_TOML}");
            Ok(())
        }
        Command::Rules { command: RulesCommand::Check { folder, config } } => {
            check_rules(folder, config.as_deref())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pointsman: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn load(path: Option<&Path>) -> anyhow::Result<Config> {
    let Some(path) = path else { return Ok(Config::default()) };
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    Ok(Config::load(path)?.relative_to(folder))
}

fn serve(path: Option<&Path>) -> anyhow::Result<()> {
    let config = load(path)?;
    tracing_subscriber::fmt()
        .with_env_filter(log_filter(&config, path)?)
        .with_target(false)
        // In a file or a journal, colours are noise.
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let app = App::start(&config).await?;
        print!("{}", greeting(app.started(), &config));
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        println!("stopping: telling the clients and writing what waits");
        app.stop().await;
        Ok(())
    })
}

/// What to log. The file is for the message.
fn log_filter(config: &Config, path: Option<&Path>) -> anyhow::Result<EnvFilter> {
    let filter = &config.log.filter;
    // Its `Display` says its source already.
    EnvFilter::try_new(format!("{filter},rumqttd=off,sled=warn")).map_err(|error| {
        let file = path.map(|path| format!("{}: ", path.display())).unwrap_or_default();
        anyhow::anyhow!("{file}log.filter: {filter:?} is no filter: {error}")
    })
}

/// What a start prints: what to open, and what else there is to know.
fn greeting(started: &Started, config: &Config) -> String {
    use std::fmt::Write;
    let mut text = format!("\nPointsman {} is ready.\n\n", env!("CARGO_PKG_VERSION"));
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<12} {value}");
    };
    for listener in started.listeners().iter().filter(|listener| !listener.url.contains("://[")) {
        match listener.kind {
            "http" => {
                row("open", &listener.url);
                row("", &format!("{}/chat", listener.url));
                row("WebSocket", &format!("{}/mqtt", listener.url.replacen("http", "ws", 1)));
            }
            "https" => {
                row("secure", &format!("{}/chat", listener.url));
                row("WebSocket", &format!("{}/mqtt", listener.url.replacen("http", "ws", 1)));
            }
            "mqtts" => row("MQTT, TLS", &listener.url),
            _ => row("MQTT", &listener.url),
        }
    }
    row("rules", &format!("{} (saved changes take effect at once)", started.rules_directory.display()));
    row("data", &config.data.directory.display().to_string());
    if let Some(authority) = &started.authority {
        row("trust", &format!("{} makes browsers trust the secure addresses", authority.display()));
    }
    if !started.pages {
        row("pages", "not built: install Node 20 or later and build again");
    }
    if let Some(password) = &started.admin_password {
        let _ = writeln!(text, "\n  user admin, password {password}   (shown this once; note it down)");
    }
    for error in &started.broken_rules {
        let _ = writeln!(text, "\n  a rule is not active:\n{error}");
    }
    let exposed = started.mqtt.iter().chain(&started.mqtts).chain(&started.http).chain(&started.https);
    if config.auth.guests && exposed.into_iter().any(|address| !address.ip().is_loopback()) {
        let _ = writeln!(
            text,
            "\n  Beware: clients without a password can connect from other machines (auth.guests)."
        );
    }
    let _ = writeln!(text, "\n  Ctrl-C stops it.\n");
    text
}

fn check_config(path: &Path) -> anyhow::Result<()> {
    let config = load(Some(path))?;
    log_filter(&config, Some(path))?;
    println!("{}: right", path.display());
    Ok(())
}

fn check_rules(folder: Option<PathBuf>, config: Option<&Path>) -> anyhow::Result<()> {
    let config = load(config)?;
    let folder = folder.unwrap_or_else(|| config.rules.directory.clone());
    let engine = pipeline::engine(rule_limits(&config));
    let mut wrong = 0;
    for (path, result) in pipeline::check_rules(&engine, &folder)? {
        match result {
            Ok(rule) => println!("{}: right, version {}", path.display(), rule.version),
            Err(error) => {
                wrong += 1;
                eprintln!("{}", chain(&error));
            }
        }
    }
    anyhow::ensure!(wrong == 0, "{wrong} of the rules in {} cannot be used", folder.display());
    Ok(())
}
